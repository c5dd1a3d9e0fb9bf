//! The ledger of one image: the recipients it was granted to, read from and written to `CloudImage.status`. It is the
//! only record of this operator's grants at a cloud that keeps no mark of ownership.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::attempts::{Attempt, ImageRefusal, written};
use super::copies::Copies;
use crate::api::cloud_image::{CloudImageStatus, Declined, Grant, GrantState, PendingJob, ServedShare, Unmanaged};
use crate::api::conditions::Reason;
use crate::api::limits::UNMANAGED_LISTED_MAX;
use crate::domain::identifiers::{InvalidIdentifier, JobId, PrincipalId, Recipient};
use crate::domain::image::Answer;

/// Most entries a ledger holds, so that the longest one fits etcd's limit of 1.5 MiB (`tests/operator/tests/planning/bounds.rs`).
pub const GRANTS_MAX: usize = 1000;
/// Most declined recipients that are listed; further ones show as pending until those listed are corrected.
pub const DECLINED_MAX: usize = 1000;
/// Most shares recorded as holders of one grant, the first by uid; further ones still keep it by naming the recipient.
const HOLDERS_PER_GRANT_MAX: usize = 16;

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The state of the grant.
    pub state: GrantState,
    /// When a call that may have added it was last recorded.
    pub since: Timestamp,
    /// Why the cloud refused it, if it did.
    pub refusal: Option<Reason>,
    /// The recipient's answer, where the cloud asks for one.
    pub answer: Option<Answer>,
    /// For an undesired entry: the operator removed it or read it as absent, and its absence counts from `since`. Until
    /// then one absent read proves nothing: the removal may never have reached the cloud.
    pub absent: bool,
    /// When it was last given again after it had vanished from the cloud.
    pub regiven: Option<Timestamp>,
}

impl Entry {
    /// An entry with no other known facts.
    pub fn new(state: GrantState, since: Timestamp) -> Self {
        Self { state, since, refusal: None, answer: None, absent: false, regiven: None }
    }
}

/// A job at the cloud that may still change the image's recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// When it was started.
    pub since: Timestamp,
}

/// A share the image serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its last reconciled generation.
    pub generation: i64,
}

/// The contents of the image's status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// By recipient.
    pub grants: BTreeMap<Recipient, Entry>,
    /// Desired, not requested at the cloud, and why.
    pub declined: BTreeMap<Recipient, Reason>,
    /// By share uid.
    pub shares: BTreeMap<String, Served>,
    /// By recipient, the uids of the shares that hold its grant. Only granted recipients and listed shares are written.
    pub holders: BTreeMap<Recipient, BTreeSet<String>>,
    /// By recipient that no share holds any more, the uids of the shares that held its grant last: for whom its access ends.
    /// Decides nothing.
    pub former_holders: BTreeMap<Recipient, BTreeSet<String>>,
    /// By recipient, calls without effect so far, to add it (while intended) or to remove it (while being revoked).
    pub attempts: BTreeMap<Recipient, Attempt>,
    /// The cloud refuses to add any recipient.
    pub image_refusal: Option<ImageRefusal>,
    /// Calls to delete the image, which the cloud still shows.
    pub deletion: Option<Attempt>,
    /// Recipients that no share asked for, and since when while a share was active.
    pub unmanaged: BTreeMap<Recipient, Option<Timestamp>>,
    /// A running job: the operator concludes and sends nothing else before it ends.
    pub job: Option<Job>,
    /// When the image was first read as absent.
    pub absent_since: Option<Timestamp>,
    /// Who may copy the image, where that is a permission of its own.
    pub copies: Copies,
}

impl Ledger {
    /// The same ledger with no time later than `now`: if the clock was set back, everything counts from now. Times are
    /// written in whole seconds, rounded up.
    #[must_use]
    pub fn not_after(mut self, now: Timestamp) -> Self {
        let latest = now.saturating_add(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX);
        let times = self.grants.values_mut();
        let times = times.flat_map(|entry| [Some(&mut entry.since), entry.regiven.as_mut()]).flatten();
        let times = times.chain(self.unmanaged.values_mut().flatten()).chain(self.absent_since.as_mut());
        let refusal = self.image_refusal.as_mut().map(|refusal| &mut refusal.attempt);
        let attempts = self.attempts.values_mut().chain(refusal).chain(self.deletion.as_mut());
        let times = times.chain(attempts.flat_map(|attempt| [&mut attempt.since, &mut attempt.last]));
        for time in times.chain(self.job.as_mut().map(|job| &mut job.since)) {
            if *time > latest {
                *time = now;
            }
        }
        self.copies = self.copies.not_after(now);
        self
    }
}

impl Job {
    /// Reads a job from status.
    pub fn parse(job: &PendingJob) -> Result<Self, InvalidIdentifier> {
        Ok(Self { id: JobId::parse(&job.id)?, since: job.since.0 })
    }

    /// Writes the job for status.
    pub fn encode(&self) -> PendingJob {
        PendingJob { id: self.id.to_string(), since: written(self.since) }
    }
}

impl Ledger {
    /// Reads the ledger from status. One entry that does not parse makes the whole ledger unreadable: half a ledger is
    /// no basis for decisions.
    pub fn parse(status: Option<&CloudImageStatus>) -> Result<Self, InvalidIdentifier> {
        let Some(status) = status else { return Ok(Self::default()) };
        let mut ledger = Self {
            absent_since: status.absent_since.as_ref().map(|t| t.0),
            image_refusal: status.refused.as_ref().map(ImageRefusal::parse),
            deletion: status.deletion.as_ref().map(Attempt::parse),
            copies: Copies::parse(status)?,
            ..Self::default()
        };
        if let Some(job) = &status.job {
            ledger.job = Some(Job::parse(job)?);
        }
        for grant in &status.grants {
            let recipient = Recipient { kind: grant.kind, id: PrincipalId::parse(&grant.id)? };
            let entry = Entry {
                state: grant.state,
                since: grant.since.0,
                refusal: grant.refusal,
                answer: grant.answer,
                absent: grant.absent,
                regiven: grant.regiven.as_ref().map(|time| time.0),
            };
            let uids = |positions: &[i32]| -> BTreeSet<String> {
                let shares = positions.iter().filter_map(|at| status.shares.get(usize::try_from(*at).ok()?));
                shares.map(|share| share.uid.clone()).collect()
            };
            let (holders, former) = (uids(&grant.shares), uids(&grant.former_shares));
            if let Some(attempt) = &grant.attempt {
                ledger.attempts.insert(recipient.clone(), Attempt::parse(attempt));
            }
            if !holders.is_empty() {
                ledger.holders.insert(recipient.clone(), holders);
            }
            if !former.is_empty() {
                ledger.former_holders.insert(recipient.clone(), former);
            }
            ledger.grants.insert(recipient, entry);
        }
        for declined in &status.declined {
            let recipient = Recipient { kind: declined.kind, id: PrincipalId::parse(&declined.id)? };
            ledger.declined.insert(recipient, declined.reason);
        }
        for unmanaged in &status.unmanaged {
            let recipient = Recipient { kind: unmanaged.kind, id: PrincipalId::parse(&unmanaged.id)? };
            ledger.unmanaged.insert(recipient, unmanaged.since.as_ref().map(|t| t.0));
        }
        for share in &status.shares {
            let served =
                Served { namespace: share.namespace.clone(), name: share.name.clone(), generation: share.generation };
            ledger.shares.insert(share.uid.clone(), served);
        }
        Ok(ledger)
    }

    /// Writes the ledger into status; lists are sorted and bounded.
    pub fn encode_into(&self, status: &mut CloudImageStatus) {
        status.absent_since = self.absent_since.map(written);
        status.job = self.job.as_ref().map(Job::encode);
        status.refused = self.image_refusal.as_ref().map(ImageRefusal::encode);
        status.deletion = self.deletion.as_ref().map(Attempt::encode);
        self.copies.encode_into(status);
        let retained = self.grants.values().filter(|entry| entry.state == GrantState::Retained).count();
        status.retained = i32::try_from(retained).ok().filter(|retained| *retained > 0);
        let positions: BTreeMap<&str, i32> = self.shares.keys().map(String::as_str).zip(0..).collect();
        status.grants = self.grants.iter().map(|(recipient, entry)| self.grant(recipient, entry, &positions)).collect();
        status.declined = self
            .declined
            .iter()
            .take(DECLINED_MAX)
            .map(|(recipient, reason)| Declined { kind: recipient.kind, id: recipient.id.to_string(), reason: *reason })
            .collect();
        status.unmanaged = self
            .unmanaged
            .iter()
            .take(UNMANAGED_LISTED_MAX)
            .map(|(recipient, since)| Unmanaged {
                kind: recipient.kind,
                id: recipient.id.to_string(),
                since: since.map(written),
            })
            .collect();
        status.shares = self
            .shares
            .iter()
            .map(|(uid, share)| ServedShare {
                uid: uid.clone(),
                namespace: share.namespace.clone(),
                name: share.name.clone(),
                generation: share.generation,
                last_handled_reconcile_at: None,
            })
            .collect();
    }

    /// `positions`: the index of each share in `status.shares`, by uid.
    fn grant(&self, recipient: &Recipient, entry: &Entry, positions: &BTreeMap<&str, i32>) -> Grant {
        let listed = |uids: Option<&BTreeSet<String>>| -> Vec<i32> {
            let positions = uids.into_iter().flatten().filter_map(|uid| positions.get(uid.as_str()).copied());
            positions.take(HOLDERS_PER_GRANT_MAX).collect()
        };
        Grant {
            kind: recipient.kind,
            id: recipient.id.to_string(),
            state: entry.state,
            since: written(entry.since),
            refusal: entry.refusal,
            answer: entry.answer,
            absent: entry.absent,
            regiven: entry.regiven.map(written),
            shares: listed(self.holders.get(recipient)),
            former_shares: listed(self.former_holders.get(recipient)),
            attempt: self.attempts.get(recipient).map(|attempt| Box::new(attempt.encode())),
        }
    }

    /// Replaces the holders, and keeps those of grants that nobody holds now.
    pub fn set_holders(&mut self, holders: BTreeMap<Recipient, BTreeSet<String>>, before: &Self) {
        let left = self.grants.keys().filter(|recipient| !holders.contains_key(*recipient));
        let former = left.filter_map(|recipient| {
            let last = before.holders.get(recipient).or_else(|| before.former_holders.get(recipient))?;
            Some((recipient.clone(), last.clone()))
        });
        self.former_holders = former.collect();
        self.holders = holders;
    }

    /// The recipients whose grants a share holds.
    pub fn held_for(&self, uid: &str) -> impl Iterator<Item = &Recipient> {
        self.holders.iter().filter(move |(_, holders)| holders.contains(uid)).map(|(recipient, _)| recipient)
    }

    /// Recipients that keep the image without an `ImageShare`.
    pub fn retained(&self) -> impl Iterator<Item = &Recipient> {
        self.grants.iter().filter(|(_, entry)| entry.state == GrantState::Retained).map(|(recipient, _)| recipient)
    }

    /// Whether a revoke is in progress that does not just wait for its backoff after a refusal.
    pub fn removal_is_due(&self, now: Timestamp) -> bool {
        let due = |attempt: Option<&Attempt>| {
            let refused = attempt.filter(|attempt| attempt.code.is_some());
            refused.is_none_or(|refused| refused.next_call(SignedDuration::ZERO) <= now)
        };
        self.revoking().any(|recipient| due(self.attempts.get(recipient)))
            || self.copies.revoking().any(|recipient| due(self.copies.attempts.get(recipient)))
    }

    /// Recipients whose removal the cloud refused at the last call, each with the vendor's code.
    pub fn refused_removals(&self) -> impl Iterator<Item = (&Recipient, &str)> {
        let of_image = self.revoking().map(|recipient| (recipient, self.attempts.get(recipient)));
        let of_copies = self.copies.revoking().map(|recipient| (recipient, self.copies.attempts.get(recipient)));
        of_image.chain(of_copies).filter_map(|(recipient, attempt)| Some((recipient, attempt?.code.as_deref()?)))
    }

    /// Whether any of this operator's grants may still be at the cloud.
    pub fn holds_anything(&self) -> bool {
        self.grants.values().any(|entry| entry.state != GrantState::Retained) || self.copies.hold_anything()
    }

    /// Everybody who has something of this operator's, or may have.
    pub fn recipients(&self) -> BTreeSet<&Recipient> {
        self.grants.keys().chain(self.copies.grants.keys()).collect()
    }

    /// Whether the image was read as absent twice, an absence window apart: only then is a grant `ImageGone`.
    pub fn image_is_gone(&self) -> bool {
        self.absent_since.is_some() && self.grants.values().any(|entry| entry.state == GrantState::ImageGone)
    }

    /// Whether a grant is being added or revoked.
    pub fn is_moving(&self, recipient: &Recipient) -> bool {
        let state = self.grants.get(recipient).map(|entry| entry.state);
        matches!(state, Some(GrantState::Intended | GrantState::Revoking))
    }

    /// Recipients being revoked.
    pub fn revoking(&self) -> impl Iterator<Item = &Recipient> {
        self.grants.iter().filter(|(_, entry)| entry.state == GrantState::Revoking).map(|(recipient, _)| recipient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identifiers::RecipientKind;

    #[test]
    fn after_the_clock_was_set_back_no_pause_lasts_until_the_old_time() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let recipient =
            || Recipient { kind: RecipientKind::Account, id: PrincipalId::parse("1000000000000001").unwrap() };
        let attempt = |seconds| Attempt { since: at(seconds), last: at(seconds + 60), code: Some("Refused".into()) };
        let of = |seconds: i64| Ledger {
            grants: [(
                recipient(),
                Entry { regiven: Some(at(seconds)), ..Entry::new(GrantState::Revoking, at(seconds)) },
            )]
            .into(),
            attempts: [(recipient(), attempt(seconds))].into(),
            image_refusal: Some(ImageRefusal { reason: Reason::ImageNotShareable, attempt: attempt(seconds) }),
            deletion: Some(attempt(seconds)),
            unmanaged: [(recipient(), Some(at(seconds)))].into(),
            job: Some(Job { id: JobId::parse("job-1").unwrap(), since: at(seconds) }),
            absent_since: Some(at(seconds)),
            ..Ledger::default()
        };
        let latest = |ledger: &Ledger| {
            let mut status = CloudImageStatus::default();
            ledger.encode_into(&mut status);
            let text = serde_json::to_string(&status).unwrap();
            let times = text.split('"').filter_map(|word| word.parse::<Timestamp>().ok());
            (times.clone().count(), times.max().unwrap())
        };
        let (written, old) = latest(&of(9_000));
        assert_eq!((written, old), (11, at(9_060)), "every time there is in a ledger is judged");
        assert_eq!(latest(&of(9_000).not_after(at(100))), (11, at(100)));
        assert_eq!(of(10).not_after(at(100)), of(10), "what is past stays");
    }

    #[test]
    fn an_image_that_was_absent_once_is_not_gone_while_a_removal_is_under_way() {
        let recipient = Recipient { kind: RecipientKind::Account, id: PrincipalId::parse("1000000000000001").unwrap() };
        let now = Timestamp::UNIX_EPOCH;
        let of = |state| Ledger {
            grants: [(recipient.clone(), Entry::new(state, now))].into(),
            absent_since: Some(now),
            ..Ledger::default()
        };
        assert!(!of(GrantState::Revoking).image_is_gone());
        assert!(of(GrantState::ImageGone).image_is_gone());
    }

    #[test]
    fn a_wait_counted_from_a_written_ledger_never_ends_early() {
        for millisecond in [0, 1, 500, 999, -1, -999] {
            let time = Timestamp::from_millisecond(millisecond).unwrap();
            let ledger = Ledger { absent_since: Some(time), ..Ledger::default() };
            let mut status = CloudImageStatus::default();
            ledger.encode_into(&mut status);
            let stored: CloudImageStatus = serde_json::from_value(serde_json::to_value(&status).unwrap()).unwrap();
            let read = Ledger::parse(Some(&stored)).unwrap().absent_since.unwrap();
            assert!(read >= time && read.duration_since(time).as_millis() < 1000, "{time} became {read}");
            assert_eq!(stored, status, "what was written reads back the same");
        }
    }
}
