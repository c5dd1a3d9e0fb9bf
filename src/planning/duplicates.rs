//! Who owns an image, and which of several objects for one image is the active one: the one that makes the calls.
//!
//! A name is not a proof: anyone who may write a `CloudAccount` can claim any account id. So an object counts for
//! others only if it recorded the owner, which it does when it first observes the image as its own, and if the
//! credentials of its `CloudAccount` are proven to be that owner's. An object that learns of another one this way holds
//! the same credentials.

use std::collections::BTreeSet;
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::desired::DesiredRecipients;
use super::ledger::Ledger;
use super::problem::{Problem, name_some};
use super::spelling::names_any;
use crate::api::cloud_image::GrantState;
use crate::api::conditions::{ACTIVE, Decision, Reason, Truth};
use crate::domain::identifiers::{PrincipalId, Recipient};

/// Separates the account from the project in a recorded owner.
const PROJECT: &str = ", project ";

/// The owner of the images of one region: an account, and its project there if that is not the account itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    account: String,
    project: Option<String>,
}

impl Owner {
    /// The owner of the images of an account, or of its project in a region.
    pub fn new(account: String, project: Option<&PrincipalId>) -> Self {
        Self { account, project: project.map(ToString::to_string) }
    }

    /// Parses an owner that a status recorded.
    pub fn parse(recorded: &str) -> Self {
        let (account, project) = recorded.split_once(PROJECT).map_or((recorded, None), |(a, p)| (a, Some(p)));
        Self { account: account.to_owned(), project: project.map(ToOwned::to_owned) }
    }

    /// The account, in any region.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Whether a status recorded this owner. Older versions recorded the account alone, for any image.
    pub fn is_recorded_as(&self, recorded: &str) -> bool {
        planted!(
            "project-not-of-the-owner",
            recorded == self.account || *self == Self::parse(recorded),
            Self::parse(recorded).account == self.account
        )
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.account)?;
        self.project.iter().try_for_each(|project| write!(f, "{PROJECT}{project}"))
    }
}

/// One of the objects that name an image, with the fields that the choice depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contender {
    /// Its uid.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// The owner it recorded; `None` if it never observed the image as its own.
    pub owner: Option<String>,
    /// The account it names, independent of the recorded owner.
    pub account: Option<String>,
    /// Whether the credentials of its `CloudAccount` are proven, and not refused for too long since.
    pub proven: bool,
    /// Its status marks it as a duplicate.
    pub is_reported: bool,
    /// The recipients that it granted the image and is not revoking, by its ledger.
    pub grants: BTreeSet<Recipient>,
}

impl Contender {
    /// The active object stays active: objects that recorded the owner come first, then those not marked as duplicates.
    /// Then age decides.
    fn rank(&self) -> (bool, bool, Option<Timestamp>, &str) {
        (self.owner.is_none(), self.is_reported, self.created, &self.uid)
    }
}

/// The state of an account's credentials while the cloud does not accept them: since when it refuses them, and whether
/// they still count as proven. `refused`: it refuses them now and is not merely unreachable; `since`: the value known
/// before.
pub fn doubt(
    refused: bool,
    since: Option<Timestamp>,
    takeover_after: SignedDuration,
    now: Timestamp,
) -> (Option<Timestamp>, bool) {
    let since = since.or_else(|| refused.then_some(now));
    let over = since.map(|since| since.saturating_add(takeover_after).unwrap_or(Timestamp::MAX));
    (since, over.is_none_or(|over| now < over))
}

/// The role of an object among those that name the same image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role<'a> {
    /// There is no other.
    Sole,
    /// It acts; these do not.
    Active(Vec<&'a Contender>),
    /// This other one acts.
    Duplicate(&'a Contender),
    /// There are others, and no credentials are proven: none acts before.
    Unproven,
}

/// Chooses the role of `own`, whose credentials were accepted as those of `owner`. `others`: all other objects that
/// name an image of this id in this region.
pub fn role<'a>(own: &Contender, owner: &Owner, others: &'a [Contender]) -> Role<'a> {
    let is_same = |other: &&Contender| other.owner.as_ref().is_some_and(|recorded| owner.is_recorded_as(recorded));
    let same: Vec<&Contender> = others.iter().filter(is_same).collect();
    let active = same.iter().filter(|other| other.proven).min_by_key(|other| other.rank());
    match active {
        _ if same.is_empty() => Role::Sole,
        Some(active) if !own.proven || active.rank() < own.rank() => Role::Duplicate(active),
        None if !own.proven => Role::Unproven,
        Some(_) | None => Role::Active(same),
    }
}

/// A duplicate's ledger without the grants that it should end and that the active object granted too: the active one
/// ends them. Recipients that a share wants, holds or retains stay in the ledger. The active object hands nothing over;
/// otherwise each could leave a revoke to the other.
pub fn hand_over(ledger: &Ledger, desired: &DesiredRecipients, active: &BTreeSet<Recipient>) -> Ledger {
    let mut left = ledger.clone();
    left.grants.retain(|recipient, entry| {
        let ends = entry.state != GrantState::Retained
            && !desired.wanted.contains_key(recipient)
            && !desired.keeps(recipient)
            && !desired.retained.contains(recipient);
        !(ends && names_any(active, recipient))
    });
    left
}

/// Whether `other` may affect `own`: it recorded, or may record, an owner of the account that `own` is called through
/// or recorded.
pub fn may_affect(other: &Contender, own: &Contender) -> bool {
    let recorded = |contender: &Contender| contender.owner.as_deref().map(|owner| Owner::parse(owner).account);
    let theirs = recorded(other).or_else(|| other.account.clone().filter(|_| other.proven));
    theirs.is_some() && (theirs == own.account || theirs == recorded(own))
}

/// The terms for one kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// The condition reason of its duplicates.
    pub duplicate: Reason,
}

/// `CloudImages`.
pub const IMAGES: Kind = Kind { name: "CloudImage", duplicate: Reason::DuplicateImage };
/// `SharedImageAcceptances`.
pub const ACCEPTANCES: Kind = Kind { name: "SharedImageAcceptance", duplicate: Reason::DuplicateAcceptance };

impl Kind {
    /// The problem that keeps an object of this role from acting. It names no object, since shares show the messages of
    /// an image.
    pub fn problem(self, role: &Role<'_>) -> Option<Problem> {
        let name = self.name;
        match role {
            Role::Sole | Role::Active(_) => None,
            Role::Duplicate(_) => Some(Problem::blocked(
                self.duplicate,
                format!(
                    "another {name} names the same image at the cloud and is the active one: delete one of the two"
                ),
            )),
            Role::Unproven => Some(Problem::passing(
                Reason::Pending,
                "waiting for the CloudAccount to be verified: no cloud API calls are made before",
            )),
        }
    }

    /// The condition that reports an object's duplicates. It never names objects of other namespaces.
    pub fn decision(self, role: &Role<'_>, namespace: &str) -> Option<Decision> {
        let name = self.name;
        let (truth, reason, message) = match role {
            Role::Sole | Role::Unproven => return None,
            Role::Duplicate(active) => {
                let active = self.whom(&[active], namespace);
                let message = format!("{active}, which names the same image, is the active one: this one does nothing");
                (Truth::False, self.duplicate, message)
            }
            Role::Active(others) if others.iter().all(|other| other.proven) => {
                let others = self.whom(others, namespace);
                let message = format!("this {name} is the active one; the same image is named by {others}");
                (Truth::True, Reason::HasDuplicates, message)
            }
            Role::Active(others) => {
                let gone: Vec<&Contender> = others.iter().filter(|other| !other.proven).copied().collect();
                let others = self.whom(&gone, namespace);
                let message =
                    format!("this {name} acts since the CloudAccount of another can no longer be used: {others}");
                (Truth::True, Reason::TookOver, message)
            }
        };
        Some(Decision { kind: ACTIVE, truth, reason, message })
    }

    /// Names the objects of one namespace, and reports whether there are others.
    fn whom(self, contenders: &[&Contender], namespace: &str) -> String {
        let (here, elsewhere): (Vec<&Contender>, Vec<&Contender>) =
            contenders.iter().copied().partition(|contender| contender.namespace == namespace);
        let mut here: Vec<&str> = here.iter().map(|contender| contender.name.as_str()).collect();
        here.sort_unstable();
        let named = (!here.is_empty()).then(|| format!("{} {}", self.name, name_some(here)));
        let others = (!elsewhere.is_empty()).then(|| format!("a {} of another namespace", self.name));
        named.into_iter().chain(others).collect::<Vec<_>>().join(" and ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identifiers::RecipientKind;
    use crate::planning::ledger::Entry;

    const ACCOUNT: &str = "Huawei Cloud account a";

    fn owner(project: &str) -> Owner {
        Owner::new(ACCOUNT.to_owned(), Some(&PrincipalId::parse(project).unwrap()))
    }

    /// An object with a recorded owner and a proven account, changed by `words`: `new` did not record the owner, `bad`
    /// is not proven, `marked` is marked as a duplicate, `away` is in another namespace, `moved` recorded another project
    /// and `old` none.
    fn contender(name: &str, seconds: i64, words: &str) -> Contender {
        let is = |word: &str| words.split(' ').any(|given| given == word);
        let recorded = if is("moved") { owner("q").to_string() } else { owner("p").to_string() };
        let recorded = if is("old") { ACCOUNT.to_owned() } else { recorded };
        Contender {
            uid: name.to_owned(),
            namespace: if is("away") { "elsewhere" } else { "here" }.to_owned(),
            name: name.to_owned(),
            created: Some(Timestamp::from_second(seconds).unwrap()),
            owner: (!is("new")).then_some(recorded),
            account: Some(if is("foreign") { "Huawei Cloud account b" } else { ACCOUNT }.to_owned()),
            proven: !is("bad"),
            is_reported: is("marked"),
            grants: BTreeSet::new(),
        }
    }

    fn chosen(own: &str, others: &[(i64, &str)]) -> String {
        let own = contender("own", 100, own);
        let others: Vec<Contender> =
            others.iter().enumerate().map(|(n, (age, words))| contender(&format!("o{n}"), *age, words)).collect();
        match role(&own, &owner("p"), &others) {
            Role::Sole => "sole".to_owned(),
            Role::Active(of) => format!("active of {}", of.len()),
            Role::Duplicate(active) => active.name.clone(),
            Role::Unproven => "unproven".to_owned(),
        }
    }

    #[test]
    fn whoever_recorded_the_owner_and_is_proven_acts() {
        for (own, others, wanted) in [
            ("", vec![], "sole"),
            // Both recorded the owner: the older one is active.
            ("", vec![(99, "")], "o0"),
            ("", vec![(101, "")], "active of 1"),
            ("", vec![(99, ""), (98, "")], "o1"),
            // An object with a recorded owner precedes one without, whatever their ages.
            ("new", vec![(101, "")], "o0"),
            ("", vec![(99, "new")], "sole"),
            ("new", vec![(99, "new")], "sole"),
            // A claim is no proof: neither an account id nor age.
            ("", vec![(99, "bad")], "active of 1"),
            ("", vec![(99, "new bad")], "sole"),
            ("new", vec![(99, "bad")], "active of 1"),
            ("new", vec![(99, "bad"), (101, "")], "o1"),
            // An object that took over stays active when the former one can act again.
            ("marked", vec![(101, "")], "o0"),
            ("", vec![(99, "marked")], "active of 1"),
            ("marked", vec![(99, "marked")], "o0"),
            ("marked", vec![(101, "marked")], "active of 1"),
            // Unproven credentials reveal no other objects, except to an object that recorded the owner.
            ("bad", vec![(99, "")], "o0"),
            ("bad", vec![(101, "")], "o0"),
            ("bad", vec![(101, "bad")], "unproven"),
            // An image of another project is a different image; a record without a project may mean this one.
            ("", vec![(99, "moved")], "sole"),
            ("", vec![(99, "old")], "o0"),
        ] {
            assert_eq!(chosen(own, &others), wanted, "{own:?} {others:?}");
        }
    }

    #[test]
    fn of_objects_that_see_each_other_exactly_one_acts() {
        let words = ["", "marked", "bad", "bad marked"];
        for (one, other) in words.iter().flat_map(|one| words.iter().map(move |other| (one, other))) {
            let (one, other) = (contender("a", 1, one), contender("b", 1, other));
            let acts = |own: &Contender, other: &Contender| {
                matches!(role(own, &owner("p"), std::slice::from_ref(other)), Role::Active(_) | Role::Sole)
            };
            let active = [acts(&one, &other), acts(&other, &one)].iter().filter(|acts| **acts).count();
            assert_eq!(active, usize::from(one.proven || other.proven), "{one:?} {other:?}");
        }
    }

    #[test]
    fn who_never_saw_the_image_through_proven_credentials_concerns_nobody() {
        for (other, wanted) in
            [("", true), ("bad", true), ("moved", true), ("new", true), ("new bad", false), ("new foreign", false)]
        {
            assert_eq!(may_affect(&contender("b", 1, other), &contender("a", 2, "")), wanted, "{other:?}");
        }
        // Its account is deleted, and its recorded owner still counts.
        let own = Contender { account: None, ..contender("a", 2, "bad") };
        assert!(may_affect(&contender("b", 1, ""), &own));
    }

    #[test]
    fn an_owner_is_read_as_it_was_recorded() {
        for recorded in
            [ACCOUNT, "Huawei Cloud account a at https://here:1, project p", "OpenStack project p at http://k"]
        {
            assert_eq!(Owner::parse(recorded).to_string(), recorded);
        }
        assert_eq!(owner("p").to_string(), "Huawei Cloud account a, project p");
        assert!(owner("p").is_recorded_as("Huawei Cloud account a, project p"));
        assert!(owner("p").is_recorded_as(ACCOUNT));
        for other in
            ["Huawei Cloud account a, project q", "Huawei Cloud account ab", "Huawei Cloud account a at https://x"]
        {
            assert!(!owner("p").is_recorded_as(other), "{other}");
        }
        assert!(!Owner::new(ACCOUNT.to_owned(), None).is_recorded_as("Huawei Cloud account a, project p"));
    }

    #[test]
    fn what_ends_at_a_duplicate_and_was_granted_by_the_active_one_is_left_to_that_one() {
        let recipient =
            |n: u32| Recipient { kind: RecipientKind::Project, id: PrincipalId::parse(&format!("r{n}")).unwrap() };
        let entry = |state| Entry::new(state, Timestamp::UNIX_EPOCH);
        let states = [GrantState::Granted, GrantState::Revoking, GrantState::Granted, GrantState::Retained];
        let grants = (1..).map(recipient).zip(states.map(entry)).collect();
        let ledger = Ledger { grants, ..Ledger::default() };
        let desired = DesiredRecipients { held: [recipient(3)].into(), ..DesiredRecipients::default() };
        let left = |active| hand_over(&ledger, &desired, &active).grants.into_keys().collect::<Vec<_>>();
        assert_eq!(left((1..5).map(recipient).collect()), [recipient(3), recipient(4)]);
        assert_eq!(left([recipient(1)].into()), [recipient(2), recipient(3), recipient(4)]);
        assert_eq!(left(BTreeSet::new()).len(), 4);
    }

    #[test]
    fn credentials_stay_proven_until_they_were_refused_for_long() {
        let (at, hour) = (|second| Timestamp::from_second(second).unwrap(), SignedDuration::from_hours(1));
        for (refused, since, now, wanted) in [
            (false, None, 50, (None, true)),
            (true, None, 50, (Some(at(50)), true)),
            (true, Some(50), 3649, (Some(at(50)), true)),
            (true, Some(50), 3650, (Some(at(50)), false)),
            // A cloud that is unreachable for a moment does not restart the period.
            (false, Some(50), 3650, (Some(at(50)), false)),
        ] {
            assert_eq!(doubt(refused, since.map(at), hour, at(now)), wanted, "{refused} {since:?} {now}");
        }
    }

    #[test]
    fn objects_of_other_namespaces_are_never_named() {
        let (own, owner) = (contender("own", 100, ""), owner("p"));
        let report = |own: &Contender, others: &[Contender]| {
            let role = role(own, &owner, others);
            let (problem, decision) = (IMAGES.problem(&role), IMAGES.decision(&role, "here"));
            (problem.map(|o| o.message).unwrap_or_default(), decision.map(|d| (d.truth, d.reason, d.message)).unwrap())
        };
        let (problem, (truth, reason, message)) = report(&own, &[contender("golden", 99, "")]);
        assert!(!problem.contains("golden") && problem.contains("delete one"), "{problem}");
        assert_eq!((truth, reason), (Truth::False, Reason::DuplicateImage));
        assert!(message.starts_with("CloudImage golden, which names the same image, is the active one"), "{message}");
        let (problem, (_, _, message)) = report(&own, &[contender("golden", 99, "away")]);
        assert!(
            !format!("{problem}{message}").contains("golden") && message.contains("of another namespace"),
            "{message}"
        );

        let (problem, (truth, reason, message)) =
            report(&own, &[contender("golden", 101, "away"), contender("silver", 102, "")]);
        assert_eq!((problem.as_str(), truth, reason), ("", Truth::True, Reason::HasDuplicates));
        assert!(message.ends_with("CloudImage silver and a CloudImage of another namespace"), "{message}");
        let (_, (truth, reason, message)) =
            report(&own, &[contender("golden", 99, "bad"), contender("silver", 102, "")]);
        assert_eq!((truth, reason), (Truth::True, Reason::TookOver));
        assert!(message.ends_with("can no longer be used: CloudImage golden"), "{message}");
    }
}
