//! Stories of images whose snapshots are shared, against a cloud that is a map.

mod shared;

use super::*;
use crate::api::cloud_image::{CloudImageStatus, VisibilityChange};
use crate::domain::fault::{Fault, Refusal};
use crate::domain::identifiers::{PrincipalId, RecipientKind, RegionId};
use crate::domain::provider::{Provider, Site};
use crate::domain::share::{AskedRecipient, Consent, Finalizer, Share};
use crate::planning::batch::{BatchResult, ChangeOutcome};
use crate::planning::sharing::{IntentRecorded, Plan, Timing, plan as plan_image};
use crate::planning::unseen::{plan_absent_image, plan_unseen};

const WINDOW: SignedDuration = SignedDuration::from_secs(60);
const TIMING: Timing = Timing {
    absence_window: WINDOW,
    lagging_absence_window: WINDOW,
    lost_job_window: WINDOW,
    unmanaged_grace: SignedDuration::from_secs(600),
    refusal_retry: SignedDuration::from_secs(3600),
    answer_poll: SignedDuration::from_secs(60),
    left_within: SignedDuration::from_hours(24),
};

fn account(n: usize) -> Recipient {
    Recipient { kind: RecipientKind::Account, id: PrincipalId::parse(&format!("{n:0>12}")).unwrap() }
}

fn snapshot(n: usize) -> SnapshotId {
    SnapshotId::parse(&format!("snap-{n}")).unwrap()
}

fn ask(n: usize, copyable: bool) -> AskedRecipient {
    let Recipient { kind, id } = account(n);
    AskedRecipient { kind, id: id.to_string(), site: None, name: None, copyable }
}

fn share(n: usize, recipients: Vec<AskedRecipient>) -> Share {
    Share {
        uid: format!("uid-{n}"),
        namespace: "team".into(),
        name: format!("share-{n}"),
        generation: 1,
        created: Timestamp::UNIX_EPOCH,
        deleting: false,
        suspended: false,
        finalizer: Finalizer::Carried,
        expires: None,
        retain: false,
        requested: None,
        consent: Consent::Given,
        recipients,
    }
}

/// What the cloud has: who may use the image, and who may copy each snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Cloud {
    image: BTreeSet<Recipient>,
    snapshots: SnapshotPermissions,
    /// Every change, as a person would read it.
    log: Vec<String>,
}

/// One image of an account, with the operator's ledger of it.
struct Table {
    now: Timestamp,
    shares: Vec<Share>,
    ledger: Ledger,
    facts: Option<ImageFacts>,
    refuses: Option<Fault>,
    hides: bool,
    deleting: bool,
}

impl Table {
    fn of(snapshots: &[usize], shares: Vec<Share>) -> Self {
        let snapshots = snapshots.iter().copied().map(snapshot).collect();
        Self {
            now: Timestamp::from_second(1_000_000).unwrap(),
            shares,
            ledger: Ledger::default(),
            facts: Some(ImageFacts { snapshots, ..absent_image() }),
            refuses: None,
            hides: false,
            deleting: false,
        }
    }

    fn desired(&self) -> DesiredRecipients {
        let terms = terms();
        DesiredRecipients::gather(&terms, &self.shares, &self.ledger, self.now)
    }

    fn plan(&self, cloud: &Cloud, elsewhere: &Elsewhere) -> Plan {
        let (desired, terms) = (self.desired(), terms());
        let known = self.facts.iter().flat_map(|facts| &facts.snapshots).chain(&self.ledger.copies.snapshots);
        let seen: SnapshotPermissions =
            known.map(|id| (id.clone(), cloud.snapshots.get(id).cloned().unwrap_or_default())).collect();
        let image = cloud.image.iter().filter(|_| self.facts.is_some());
        let recipients =
            RecipientList { recipients: image.map(|recipient| (recipient.clone(), None)).collect(), complete: true };
        let absent = absent_image();
        let input = PlanInput {
            now: self.now,
            timing: TIMING,
            others_until: Timestamp::UNIX_EPOCH,
            terms: &terms,
            unmanaged: UnmanagedRecipients::Report,
            visibility_change: VisibilityChange::Forbid,
            deleting: self.deleting,
            requested: false,
            shares: &self.shares,
            desired: &desired,
            ledger: &self.ledger,
            image: self.facts.as_ref().unwrap_or(&absent),
            recipients: &recipients,
            copies: Some(CopyInput { seen: if self.hides { Err(Reason::CopyRefused) } else { Ok(&seen) }, elsewhere }),
        };
        if self.facts.is_some() { plan_image(&input) } else { plan_absent_image(&input) }
    }

    /// One reconcile, as the controller makes it, and what the ledger of another image holds. `crash`: the process ends after
    /// the intents were recorded (1), or after the calls (2).
    fn pass_beside(&mut self, cloud: &mut Cloud, other: Option<&Ledger>, crash: usize) {
        let mut elsewhere = Elsewhere::default();
        if let Some(other) = other {
            elsewhere.add(&other.copies);
        }
        let planned = self.plan(cloud, &elsewhere);
        if planned.acts() {
            let intended = planned.with_intents(self.now);
            let before = self.ledger.clone();
            self.write(&intended);
            if crash == 1 {
                return;
            }
            let mut plan = planned.confirm(&IntentRecorded::at("2"), &before, &self.desired());
            plan.copies.hand_over(&elsewhere);
            let copied = self.copy_calls(cloud, &plan.copies);
            let outcomes = plan.add.iter().chain(&plan.remove).map(|r| (r.clone(), ChangeOutcome::Done)).collect();
            for recipient in &plan.add {
                cloud.log.push(format!("share with {recipient}"));
                cloud.image.insert(recipient.clone());
            }
            for recipient in &plan.remove {
                cloud.log.push(format!("unshare with {recipient}"));
                cloud.image.remove(recipient);
            }
            if crash == 2 {
                return;
            }
            let result = BatchResult { outcomes, ..BatchResult::default() };
            let recorded = record_all(&intended, &before, (&result, &copied), &plan.copies, self.now);
            self.write(&recorded);
        }
        let settled = self.plan(cloud, &elsewhere).settled;
        self.write(&settled);
    }

    fn copy_calls(&self, cloud: &mut Cloud, plan: &CopyPlan) -> BatchResult {
        let results = plan.steps.iter().map(|(snapshot, step)| {
            let outcome = |recipient: &Recipient, refused: bool| {
                (recipient.clone(), if refused { ChangeOutcome::NotSent } else { ChangeOutcome::Done })
            };
            let mut outcomes = BTreeMap::new();
            let on = cloud.snapshots.entry(snapshot.clone()).or_default();
            for recipient in &step.add {
                outcomes.extend([outcome(recipient, self.refuses.is_some())]);
                if self.refuses.is_none() {
                    cloud.log.push(format!("let {recipient} copy {snapshot}"));
                    on.insert(recipient.clone());
                }
            }
            for recipient in &step.remove {
                outcomes.extend([outcome(recipient, false)]);
                cloud.log.push(format!("{recipient} copies {snapshot} no longer"));
                on.remove(recipient);
            }
            let fault = self.refuses.clone().filter(|_| !step.add.is_empty());
            BatchResult { outcomes, fault: fault.clone(), image_refused: fault, job: None }
        });
        merge(plan, results.collect())
    }

    /// Through status and back.
    fn write(&mut self, ledger: &Ledger) {
        let mut status = CloudImageStatus::default();
        ledger.encode_into(&mut status);
        self.ledger = Ledger::parse(Some(&status)).unwrap();
    }

    fn pass(&mut self, cloud: &mut Cloud) {
        self.pass_beside(cloud, None, 0);
    }

    /// Reconciles until nothing is left to do.
    fn settle(&mut self, cloud: &mut Cloud) {
        for _ in 0..8 {
            self.pass(cloud);
            self.now += WINDOW;
        }
        let (ledger, log) = (self.ledger.clone(), cloud.log.len());
        self.pass(cloud);
        assert_eq!((&self.ledger, cloud.log.len()), (&ledger, log), "settled means silent");
    }

    fn is_free(&self) -> bool {
        !self.ledger.holds_anything() && self.ledger.shares.is_empty()
    }
}

fn terms() -> Terms {
    Terms {
        provider: Provider::Aws,
        ourselves: BTreeSet::new(),
        site: Some(Site::Partition(crate::domain::aws::Partition::Commercial)),
        region: RegionId::parse("eu-west-1").unwrap(),
        sites: BTreeMap::new(),
        recipients_per_image: 1000,
        recipients_per_full_server_image: 1000,
    }
}

/// A cloud whose image has these snapshots, shared with nobody.
fn cloud(snapshots: &[usize]) -> Cloud {
    Cloud { snapshots: snapshots.iter().map(|n| (snapshot(*n), BTreeSet::new())).collect(), ..Cloud::default() }
}

#[test]
fn a_recipient_can_copy_before_it_sees_the_image_and_no_longer_sees_it_when_it_can_no_longer_copy() {
    let (mut cloud, mut table) =
        (cloud(&[1, 2]), Table::of(&[1, 2], vec![share(1, vec![ask(7, true), ask(8, false)])]));
    table.settle(&mut cloud);
    let (copier, other) = (account(7), account(8));
    let place = |log: &[String], what: &str| log.iter().position(|line| line == what).unwrap();
    let shared = place(&cloud.log, &format!("share with {copier}"));
    assert!((1..3).all(|n| place(&cloud.log, &format!("let {copier} copy snap-{n}")) < shared), "{:?}", cloud.log);
    assert!(place(&cloud.log, &format!("share with {other}")) < shared, "who does not copy does not wait");
    assert_eq!(cloud.image, [copier.clone(), other].into());
    assert_eq!(table.ledger.copies.grants.len(), 1);

    cloud.log.clear();
    table.shares[0].deleting = true;
    table.settle(&mut cloud);
    let unshared = place(&cloud.log, &format!("unshare with {copier}"));
    assert!(
        (1..3).all(|n| place(&cloud.log, &format!("{copier} copies snap-{n} no longer")) > unshared),
        "{:?}",
        cloud.log
    );
    assert!(cloud.image.is_empty() && cloud.snapshots.values().all(BTreeSet::is_empty) && table.is_free());
}

#[test]
fn a_recipient_that_the_fresh_list_wants_to_copy_again_keeps_its_permission() {
    let (mut cloud, mut table) = (cloud(&[1]), Table::of(&[1], vec![share(1, vec![ask(7, true)])]));
    table.settle(&mut cloud);
    table.shares[0].recipients = vec![ask(7, false)];
    let plan = table.plan(&cloud, &Elsewhere::default());
    assert!(plan.copies.removes());
    table.shares[0].recipients = vec![ask(7, true)];
    let plan = plan.confirm(&IntentRecorded::at("2"), &table.ledger, &table.desired());
    assert!(!plan.acts(), "{plan}");
}

#[test]
fn copyable_taken_back_ends_the_copying_alone_and_the_share_stays() {
    let (mut cloud, mut table) = (cloud(&[1]), Table::of(&[1], vec![share(1, vec![ask(7, true)])]));
    table.settle(&mut cloud);
    table.shares[0].recipients = vec![ask(7, false)];
    table.settle(&mut cloud);
    assert_eq!(cloud.image, [account(7)].into());
    assert!(cloud.snapshots.values().all(BTreeSet::is_empty) && table.ledger.copies.is_empty());
}

#[test]
fn what_others_gave_is_never_taken_back_neither_from_strangers_nor_from_our_recipients() {
    let (mut cloud, mut table) = (cloud(&[1, 2]), Table::of(&[1, 2], vec![share(1, vec![ask(7, true)])]));
    cloud.snapshots.get_mut(&snapshot(1)).unwrap().extend([account(7), account(9)]);
    table.settle(&mut cloud);
    assert_eq!(table.ledger.copies.ours, [(account(7), [snapshot(2)].into())].into());
    table.shares.clear();
    table.settle(&mut cloud);
    assert_eq!(cloud.snapshots[&snapshot(1)], [account(7), account(9)].into());
    assert!(cloud.snapshots[&snapshot(2)].is_empty() && table.is_free());
}

#[test]
fn a_process_that_ends_at_any_moment_leaves_nothing_that_the_ledger_does_not_know() {
    for crash in [1, 2] {
        for pass in 0..3 {
            let (mut cloud, mut table) = (cloud(&[1, 2]), Table::of(&[1, 2], vec![share(1, vec![ask(7, true)])]));
            for _ in 0..pass {
                table.pass(&mut cloud);
            }
            table.pass_beside(&mut cloud, None, crash);
            table.shares[0].deleting = true;
            table.settle(&mut cloud);
            assert!(cloud.snapshots.values().all(BTreeSet::is_empty) && cloud.image.is_empty(), "{crash} {pass}");
            assert!(table.is_free(), "{crash} {pass}: {:?}", table.ledger);
        }
    }
}

#[test]
fn the_permissions_on_snapshots_of_a_deregistered_image_are_taken_back_and_hold_its_share_until_then() {
    let (mut cloud, mut table) = (cloud(&[1]), Table::of(&[1], vec![share(1, vec![ask(7, true)])]));
    table.settle(&mut cloud);
    table.facts = None;
    table.settle(&mut cloud);
    assert_eq!(cloud.snapshots[&snapshot(1)], [account(7)].into(), "the share still asks for it");
    table.shares[0].deleting = true;
    table.pass_beside(&mut cloud, None, 1);
    assert!(!table.ledger.shares.is_empty(), "{:?}", table.ledger);
    table.settle(&mut cloud);
    assert!(cloud.snapshots[&snapshot(1)].is_empty() && !table.ledger.copies.hold_anything());
    assert!(table.ledger.shares.is_empty());
}

#[test]
fn a_paused_share_keeps_the_copying_and_a_retained_one_leaves_it() {
    let (mut cloud, mut table) = (cloud(&[1]), Table::of(&[1], vec![share(1, vec![ask(7, true)])]));
    table.settle(&mut cloud);
    table.shares[0].suspended = true;
    table.shares[0].recipients = vec![ask(7, false)];
    table.settle(&mut cloud);
    assert_eq!(cloud.snapshots[&snapshot(1)], [account(7)].into());
    table.shares[0].suspended = false;
    table.shares[0].recipients = vec![ask(7, true)];
    (table.shares[0].deleting, table.shares[0].retain) = (true, true);
    table.settle(&mut cloud);
    table.shares.clear();
    table.settle(&mut cloud);
    assert_eq!(cloud.snapshots[&snapshot(1)], [account(7)].into());
    assert_eq!(table.ledger.copies.grants[&account(7)].state, GrantState::Retained);
    assert!(!table.ledger.holds_anything());
}

#[test]
fn while_permissions_cannot_be_read_others_get_the_image_and_an_ended_share_is_kept() {
    let (mut cloud, mut table) = (cloud(&[1]), Table::of(&[1], vec![share(1, vec![ask(7, true)])]));
    table.settle(&mut cloud);
    table.hides = true;
    table.shares.push(share(2, vec![ask(8, false), ask(9, true)]));
    table.settle(&mut cloud);
    assert_eq!(cloud.image, [account(7), account(8)].into());
    assert_eq!(table.ledger.declined, [(account(9), Reason::CopyRefused)].into());
    table.shares.remove(0);
    table.settle(&mut cloud);
    assert!(table.ledger.shares.contains_key("uid-1"), "its permissions may still be there");
    table.hides = false;
    table.settle(&mut cloud);
    assert!(!table.ledger.shares.contains_key("uid-1"));
    assert_eq!(cloud.snapshots[&snapshot(1)], [account(9)].into());
}

#[test]
fn an_image_that_nobody_may_copy_is_tried_again_with_growing_pauses_and_harms_nobody_else() {
    let (mut cloud, mut table) = (cloud(&[1]), Table::of(&[1], vec![share(1, vec![ask(7, true), ask(8, false)])]));
    table.refuses = Some(Fault::Refused { refusal: Refusal::Image, code: "OperationNotPermitted".to_owned() });
    let mut tries = 0;
    for _ in 0..60 {
        tries += usize::from(table.plan(&cloud, &Elsewhere::default()).copies.acts());
        table.pass(&mut cloud);
        table.now += SignedDuration::from_secs(10);
    }
    assert!((2..8).contains(&tries), "{tries} tries in ten minutes");
    assert_eq!(cloud.image, [account(8)].into());
    assert_eq!(table.ledger.declined.get(&account(7)), Some(&Reason::CopyRefused));
    table.refuses = None;
    table.now += SignedDuration::from_mins(20);
    table.settle(&mut cloud);
    assert_eq!(cloud.image, [account(7), account(8)].into());
    assert!(table.ledger.copies.refusal.is_none());
}

#[test]
fn as_many_recipients_can_copy_as_a_ledger_holds_and_the_others_are_told() {
    let many = COPIES_MAX + 3;
    let asked = (0..many).map(|n| ask(n, true)).collect();
    let (mut cloud, mut table) = (cloud(&[1]), Table::of(&[1], vec![share(1, asked)]));
    table.settle(&mut cloud);
    assert_eq!((cloud.image.len(), table.ledger.copies.grants.len()), (COPIES_MAX, COPIES_MAX));
    let told: Vec<Reason> = table.ledger.declined.values().copied().collect();
    assert_eq!(told, [Reason::CopyableLimit; 3]);
}

#[test]
fn a_permission_that_somebody_took_away_is_given_again_and_the_recipient_keeps_the_image() {
    let (mut cloud, mut table) = (cloud(&[1, 2]), Table::of(&[1, 2], vec![share(1, vec![ask(7, true)])]));
    table.settle(&mut cloud);
    cloud.snapshots.get_mut(&snapshot(2)).unwrap().clear();
    cloud.log.clear();
    table.settle(&mut cloud);
    assert_eq!(cloud.log, [format!("let {} copy snap-2", account(7))]);
}

#[test]
fn without_the_cloud_what_a_deleted_share_leaves_behind_is_retained_and_other_copying_holds_the_share() {
    let (mut cloud, mut table) = (cloud(&[1]), Table::of(&[1], vec![share(1, vec![ask(7, true)])]));
    table.settle(&mut cloud);
    table.ledger.grants.clear();
    table.shares[0].deleting = true;
    let unseen = |table: &Table| {
        let desired = DesiredRecipients::gather_unjudged(&table.shares, &table.ledger, table.now);
        plan_unseen(&table.ledger, &desired, &table.shares, table.now)
    };
    assert!(unseen(&table).shares.contains_key("uid-1"));
    table.shares[0].retain = true;
    let left = unseen(&table);
    assert_eq!(left.copies.grants[&account(7)].state, GrantState::Retained);
    assert!(left.shares.is_empty());
}

#[test]
fn a_ledger_that_names_a_snapshot_it_does_not_list_is_unreadable() {
    let (mut cloud, mut table) = (cloud(&[1]), Table::of(&[1], vec![share(1, vec![ask(7, true)])]));
    table.settle(&mut cloud);
    let mut status = CloudImageStatus::default();
    table.ledger.encode_into(&mut status);
    status.snapshots.clear();
    let error = Ledger::parse(Some(&status)).unwrap_err().to_string();
    assert!(error.contains("status.snapshots"), "{error}");
}
