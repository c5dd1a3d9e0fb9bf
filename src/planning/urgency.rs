//! The priority of an image's reconcile, and whether it needs the cloud at all, decided from Kubernetes objects alone.

use jiff::Timestamp;

use super::deletion::{blockers, held_by_replica, held_by_shares};
use super::ledger::Ledger;
use super::problem::Problem;
use crate::domain::call::Priority;
use crate::domain::share::{Activity, Share};

/// What the caches show of an image before a reconcile.
#[derive(Debug, Clone, Copy)]
pub struct Need<'a> {
    /// The ledger in its status.
    pub ledger: &'a Ledger,
    /// The shares that name it.
    pub shares: &'a [Share],
    /// It is being deleted.
    pub deleting: bool,
    /// It is not `Ready`, or a requested reconcile is not handled yet. A change to such an image, for example to its
    /// account's credentials, must not starve behind the resync.
    pub unready: bool,
    /// Its status is about an older generation.
    pub edited: bool,
    /// When the decision is made.
    pub now: Timestamp,
}

impl Need<'_> {
    /// The priority of a reconcile. After a restart every object looks changed; a share that the ledger shows as served
    /// is not.
    pub fn priority(&self, changed: bool) -> Priority {
        if self.ends_access() {
            Priority::Revoke
        } else if self.ledger.job.is_some() || (changed && (self.unready || self.edited || self.is_unserved())) {
            // A job is polled until its end can be read: its effect is not known before.
            Priority::Edit
        } else {
            Priority::Resync
        }
    }

    /// Whether access is to end and may: nothing precedes that. An image that is being deleted ends no access while
    /// other objects block it. A removal that the cloud refused waits for its backoff.
    fn ends_access(&self) -> bool {
        let ended =
            |share: &Share| share.activity(self.now) == Activity::Ended && self.ledger.shares.contains_key(&share.uid);
        let last =
            self.deleting && planted!("held-image-asks-the-cloud", blockers(self.shares, self.ledger).is_empty(), true);
        self.ledger.removal_is_due(self.now) || self.shares.iter().any(ended) || (last && self.ledger.holds_anything())
    }

    /// Whether a share asks for something that is not decided yet.
    fn is_unserved(&self) -> bool {
        self.shares.iter().any(|share| {
            let served = self.ledger.shares.get(&share.uid).map(|served| served.generation);
            share.activity(self.now) == Activity::Active && served != Some(share.generation)
        })
    }

    /// What blocks the deletion of an image that is otherwise in its desired state: the cloud could show nothing
    /// relevant. `replica`: the `ImageReplica` that is to remove the image, if only that blocks it.
    pub fn blocked_by_others(&self, replica: Option<&str>) -> Option<Problem> {
        let keeps = held_by_shares(&blockers(self.shares, self.ledger)).or_else(|| held_by_replica(replica));
        let asks = self.ledger.job.is_some() || self.ends_access() || self.is_unserved();
        keeps.filter(|_| !asks && !self.unready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::cloud_image::GrantState;
    use crate::domain::identifiers::{JobId, PrincipalId, Recipient, RecipientKind};
    use crate::domain::share::{Consent, Finalizer};
    use crate::planning::attempts::Attempt;
    use crate::planning::ledger::{Entry, Job, Served};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000 + seconds).unwrap()
    }

    fn share(edit: impl FnOnce(&mut Share)) -> Share {
        let mut share = Share {
            uid: "team".into(),
            namespace: "plat".into(),
            name: "team".into(),
            generation: 1,
            created: at(0),
            deleting: false,
            suspended: false,
            finalizer: Finalizer::Carried,
            requested: None,
            expires: None,
            retain: false,
            consent: Consent::Given,
            recipients: Vec::new(),
        };
        edit(&mut share);
        share
    }

    /// The share is served, and its recipient has the image.
    fn served(state: GrantState) -> Ledger {
        let recipient = Recipient { kind: RecipientKind::Account, id: PrincipalId::parse("1000000000000001").unwrap() };
        let team = Served { namespace: "plat".into(), name: "team".into(), generation: 1 };
        Ledger {
            grants: [(recipient, Entry::new(state, at(0)))].into(),
            shares: [("team".to_owned(), team)].into(),
            ..Ledger::default()
        }
    }

    fn need<'a>(ledger: &'a Ledger, shares: &'a [Share]) -> Need<'a> {
        Need { ledger, shares, deleting: false, unready: false, edited: false, now: at(10) }
    }

    #[test]
    fn what_is_served_as_asked_is_part_of_the_resync_however_it_was_woken() {
        let (ledger, shares) = (served(GrantState::Granted), [share(|_| {})]);
        let need = need(&ledger, &shares);
        assert_eq!([true, false].map(|changed| need.priority(changed)), [Priority::Resync, Priority::Resync]);
    }

    #[test]
    fn an_edit_is_one_of_the_image_of_a_share_or_of_what_is_amiss_and_only_where_something_changed() {
        let ledger = served(GrantState::Granted);
        let (as_it_was, edited) = ([share(|_| {})], [share(|share| share.generation = 2)]);
        for need in [
            Need { unready: true, ..need(&ledger, &as_it_was) },
            Need { edited: true, ..need(&ledger, &as_it_was) },
            need(&ledger, &edited),
        ] {
            assert_eq!(
                [true, false].map(|changed| need.priority(changed)),
                [Priority::Edit, Priority::Resync],
                "{need:?}"
            );
        }
    }

    #[test]
    fn a_share_that_asks_for_nothing_now_is_no_edit() {
        let ledger = served(GrantState::Granted);
        let edits: [fn(&mut Share); 3] = [
            |share| share.suspended = true,
            |share| share.consent = Consent::Unknown,
            |share| share.finalizer = Finalizer::Missing,
        ];
        for edit in edits {
            let shares = [share(|share| {
                share.generation = 2;
                edit(share);
            })];
            assert_eq!(need(&ledger, &shares).priority(true), Priority::Resync);
        }
    }

    #[test]
    fn a_job_is_followed_although_nothing_changed() {
        let job = Job { id: JobId::parse("job-1").unwrap(), since: at(0) };
        let (ledger, shares) = (Ledger { job: Some(job), ..served(GrantState::Granted) }, [share(|_| {})]);
        assert_eq!(need(&ledger, &shares).priority(false), Priority::Edit);
        assert_eq!(need(&ledger, &shares).blocked_by_others(None), None);
    }

    #[test]
    fn access_that_is_to_end_goes_first_but_not_while_a_refused_removal_pauses() {
        let (granted, revoking) = (served(GrantState::Granted), served(GrantState::Revoking));
        let ends: [fn(&mut Share); 3] = [
            |share| share.deleting = true,
            |share| share.consent = Consent::Withheld,
            |share| share.expires = Some(at(10)),
        ];
        for end in ends {
            assert_eq!(need(&granted, &[share(end)]).priority(false), Priority::Revoke);
            assert_eq!(
                need(&Ledger::default(), &[share(end)]).priority(false),
                Priority::Resync,
                "it never had anything"
            );
        }
        assert_eq!(need(&revoking, &[]).priority(false), Priority::Revoke);
        let recipient = revoking.grants.keys().next().unwrap().clone();
        let refused = Attempt { since: at(9), last: at(9), code: Some("Refused".into()) };
        let paused = Ledger { attempts: [(recipient, refused)].into(), ..revoking };
        assert_eq!(need(&paused, &[]).priority(false), Priority::Resync);
        assert_eq!(Need { now: at(24), ..need(&paused, &[]) }.priority(false), Priority::Revoke);
    }

    #[test]
    fn an_image_that_is_deleted_needs_the_cloud_once_nobody_keeps_it() {
        let (ledger, shares) = (served(GrantState::Granted), [share(|_| {})]);
        let kept = Need { deleting: true, ..need(&ledger, &shares) };
        assert_eq!(kept.priority(true), Priority::Resync);
        assert!(kept.blocked_by_others(None).unwrap().message.contains("plat/team"));
        assert_eq!(Need { unready: true, ..kept }.blocked_by_others(None), None, "what is unready must be read anew");
        let unserved = [share(|share| share.generation = 2)];
        assert_eq!(Need { shares: &unserved, ..kept }.blocked_by_others(None), None, "somebody waits for an answer");
        let left = Ledger { shares: [].into(), ..ledger.clone() };
        let last = Need { ledger: &left, shares: &[], ..kept };
        assert_eq!((last.priority(false), last.blocked_by_others(None)), (Priority::Revoke, None));
        let nothing = Need { ledger: &Ledger::default(), ..last };
        assert_eq!(nothing.priority(true), Priority::Resync);
        assert!(nothing.blocked_by_others(Some("copy")).unwrap().message.contains("ImageReplica copy"));
    }
}
