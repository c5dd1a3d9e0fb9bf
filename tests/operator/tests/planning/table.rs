//! One image, its shares, and a cloud that is a set: the table the planner is tried at.

use std::collections::{BTreeMap, BTreeSet};

use imageshare_operator::api::cloud_image::{CloudImageStatus, GrantState, UnmanagedRecipients, VisibilityChange};
use imageshare_operator::clouds::{CallShape, Fault, Submitted};
use imageshare_operator::domain::identifiers::{PrincipalId, Recipient, RecipientKind, RegionId};
use imageshare_operator::domain::image::{ImageFacts, ImageKind, ImageState, Ownership, RecipientList, Visibility};
use imageshare_operator::domain::provider::{Provider, Site};
use imageshare_operator::domain::share::{AskedRecipient, Consent, Finalizer, Share};
use imageshare_operator::planning::batch::Batch;
use imageshare_operator::planning::desired::{DesiredRecipients, Terms};
use imageshare_operator::planning::ledger::Ledger;
use imageshare_operator::planning::outcome::record;
use imageshare_operator::planning::sharing::{IntentRecorded, Plan, PlanInput, Timing, plan};
use jiff::{SignedDuration, Timestamp};

pub const TIMING: Timing = Timing {
    absence_window: SignedDuration::from_secs(5),
    lagging_absence_window: SignedDuration::from_secs(60),
    lost_job_window: SignedDuration::from_secs(30),
    unmanaged_grace: SignedDuration::from_secs(600),
    refusal_retry: SignedDuration::from_secs(3600),
    answer_poll: SignedDuration::from_secs(60),
    left_within: SignedDuration::ZERO,
};

const ALIBABA: CallShape = CallShape { recipients: 10, both_ways: true };

pub fn id(n: usize) -> String {
    format!("{}", 100_000 + n)
}

pub fn recipient(n: usize) -> Recipient {
    Recipient { kind: RecipientKind::Account, id: PrincipalId::parse(&id(n)).unwrap() }
}

pub fn asked(n: usize) -> AskedRecipient {
    AskedRecipient { kind: RecipientKind::Account, id: id(n), site: None, name: None, copyable: false }
}

pub fn share(n: usize, recipients: &[usize]) -> Share {
    Share {
        uid: format!("uid-{n}"),
        namespace: "team".into(),
        name: format!("share-{n}"),
        generation: 1,
        created: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(i64::try_from(n).unwrap()),
        deleting: false,
        suspended: false,
        finalizer: Finalizer::Carried,
        expires: None,
        retain: false,
        requested: None,
        consent: Consent::Given,
        recipients: recipients.iter().copied().map(asked).collect(),
    }
}

pub fn image() -> ImageFacts {
    ImageFacts {
        ownership: Ownership::Own,
        state: ImageState::Available,
        kind: ImageKind::SystemDisk,
        name: "golden".into(),
        encrypted: false,
        keys: BTreeSet::new(),
        snapshots: BTreeSet::new(),
        from_marketplace: false,
        visibility: Visibility::Shared,
        size: Some(40 << 30),
    }
}

/// One image, its shares, and a cloud that is a set.
pub struct Table {
    pub now: Timestamp,
    pub others_until: Timestamp,
    pub provider: Provider,
    pub limit: u32,
    pub policy: UnmanagedRecipients,
    pub deleting: bool,
    pub image: ImageFacts,
    pub shares: Vec<Share>,
    pub requested: bool,
    pub cloud: BTreeSet<Recipient>,
    pub ledger: Ledger,
    /// What the last pass wrote before its calls, where it made any.
    pub intended: Option<Ledger>,
    pub revoked: Vec<Recipient>,
    pub calls: usize,
    /// A call that names one of these is refused with this.
    pub refuse: Option<(Vec<Recipient>, Fault)>,
    /// Calls have no visible effect yet.
    pub lag: bool,
    late: BTreeSet<Recipient>,
}

impl Table {
    pub fn new(shares: Vec<Share>) -> Self {
        Self {
            now: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000),
            others_until: Timestamp::UNIX_EPOCH,
            provider: Provider::Alibaba,
            limit: 50,
            policy: UnmanagedRecipients::Report,
            deleting: false,
            image: image(),
            shares,
            requested: false,
            cloud: BTreeSet::new(),
            ledger: Ledger::default(),
            intended: None,
            revoked: Vec::new(),
            calls: 0,
            refuse: None,
            lag: false,
            late: BTreeSet::new(),
        }
    }

    pub fn terms(&self) -> Terms {
        Terms {
            provider: self.provider,
            ourselves: BTreeSet::from([PrincipalId::parse(&id(9999)).unwrap()]),
            site: Some(Site::International),
            region: RegionId::parse("cn-hangzhou").unwrap(),
            sites: BTreeMap::new(),
            recipients_per_image: self.limit,
            recipients_per_full_server_image: self.limit,
        }
    }

    pub fn wishes(&self) -> DesiredRecipients {
        DesiredRecipients::gather(&self.terms(), &self.shares, &self.ledger, self.now)
    }

    pub fn plan(&self) -> Plan {
        let wishes = self.wishes();
        let recipients =
            RecipientList { recipients: self.seen().iter().map(|r| (r.clone(), None)).collect(), complete: true };
        plan(&PlanInput {
            others_until: self.others_until,
            now: self.now,
            timing: TIMING,
            terms: &self.terms(),
            unmanaged: self.policy,
            visibility_change: VisibilityChange::Forbid,
            deleting: self.deleting,
            requested: self.requested,
            shares: &self.shares,
            desired: &wishes,
            ledger: &self.ledger,
            image: &self.image,
            recipients: &recipients,
            copies: None,
        })
    }

    /// One pass as the controller makes it: plan, intend, confirm, call, record, look again.
    pub fn pass(&mut self) -> Plan {
        let first = self.plan();
        self.intended = None;
        if first.acts() {
            let intended = first.with_intents(self.now);
            self.intended = Some(intended.clone());
            let before = self.ledger.clone();
            let first = first.confirm(&IntentRecorded::at("2"), &before, &self.wishes());
            let mut exchange = Batch::new(first.add.clone(), first.remove.clone(), first.free_slots, ALIBABA);
            if before.image_refusal.is_some() {
                exchange = exchange.of_refused_image();
            }
            while let Some(call) = exchange.next_call() {
                self.calls += 1;
                assert!(
                    self.limit == 0 || self.cloud.len() + call.add.len() <= self.limit as usize || call.add.is_empty(),
                    "a call that had to fail was sent"
                );
                let mut named = call.add.iter().chain(&call.remove);
                if let Some((refused, fault)) = &self.refuse
                    && named.any(|recipient| refused.contains(recipient))
                {
                    exchange.record(Err(fault.clone()));
                    continue;
                }
                self.cloud.extend(call.add);
                self.cloud.retain(|r| !call.remove.contains(r));
                self.revoked.extend(call.remove);
                exchange.record(Ok(Submitted::Done));
            }
            self.ledger = record(&intended, &before, &exchange.finish(), self.now);
        }
        let second = self.plan();
        self.ledger = second.settled.clone();
        if !self.lag {
            self.late.clone_from(&self.cloud);
        }
        second
    }

    /// Whom a read shows: what was there before, while calls show their effect late.
    fn seen(&self) -> &BTreeSet<Recipient> {
        if self.lag { &self.late } else { &self.cloud }
    }

    /// Through status and back, as every reconcile reads it.
    pub fn write_and_read(&mut self) {
        let mut status = CloudImageStatus::default();
        self.ledger.encode_into(&mut status);
        self.ledger = Ledger::parse(Some(&status)).unwrap();
    }

    pub fn later(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    pub fn states(&self) -> BTreeMap<usize, GrantState> {
        let number = |r: &Recipient| r.id.as_str().parse::<usize>().unwrap() - 100_000;
        self.ledger.grants.iter().map(|(r, e)| (number(r), e.state)).collect()
    }
}
