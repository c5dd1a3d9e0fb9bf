//! One image at a cloud whose recipients answer, whose calls may be jobs, and which may hide whom it is shared with: the
//! world in which the planner is tried beside the plain set of `table.rs`.

use std::collections::{BTreeMap, BTreeSet};

use imageshare_operator::api::cloud_image::{CloudImageStatus, UnmanagedRecipients, VisibilityChange};
use imageshare_operator::clouds::{CallShape, RecipientChange, Submitted};
use imageshare_operator::domain::aws::Partition;
use imageshare_operator::domain::fault::{Fault, Missing};
use imageshare_operator::domain::identifiers::{JobId, PrincipalId, Recipient, RecipientKind, RegionId};
use imageshare_operator::domain::image::{Answer, ImageFacts, ImageKind, RecipientList, Visibility};
use imageshare_operator::domain::provider::{Provider, Site};
use imageshare_operator::domain::share::{AskedRecipient, Share};
use imageshare_operator::planning::batch::{Batch, BatchResult};
use imageshare_operator::planning::desired::{DesiredRecipients, Terms};
use imageshare_operator::planning::ledger::Ledger;
use imageshare_operator::planning::outcome::{JobRecord, most_at_once, record, record_failure, record_success};
use imageshare_operator::planning::problem::Problem;
use imageshare_operator::planning::sharing::{IntentRecorded, Plan, PlanInput, Timing, ask_anew, plan};
use jiff::{SignedDuration, Timestamp};

use super::table::{TIMING, image, share};

/// The owner's account and project.
pub const OWNER_ACCOUNT: usize = 0xacc0;
pub const OWNER_PROJECT: usize = 0xacc1;

pub fn hex_id(n: usize) -> String {
    format!("{n:032x}")
}

pub fn id_of(kind: RecipientKind, n: usize) -> String {
    match kind {
        RecipientKind::Project | RecipientKind::Account => hex_id(n),
        RecipientKind::Organization => format!("organizations::{}:ou:o-abc/ou-{n}", hex_id(77)),
    }
}

pub fn of(kind: RecipientKind, n: usize) -> Recipient {
    Recipient { kind, id: PrincipalId::parse(&id_of(kind, n)).unwrap() }
}

pub fn project(n: usize) -> Recipient {
    of(RecipientKind::Project, n)
}

pub fn ask(recipient: &Recipient) -> AskedRecipient {
    AskedRecipient { kind: recipient.kind, id: recipient.id.to_string(), site: None, name: None, copyable: false }
}

/// A share that asks for these.
pub fn share_for(n: usize, recipients: impl IntoIterator<Item = Recipient>) -> Share {
    Share { recipients: recipients.into_iter().map(|r| ask(&r)).collect(), ..share(n, &[]) }
}

/// A share that asks for these projects.
pub fn share_of(n: usize, projects: impl IntoIterator<Item = usize>) -> Share {
    share_for(n, projects.into_iter().map(project))
}

pub struct World {
    pub now: Timestamp,
    pub provider: Provider,
    /// Recipients an image may have, as the account says.
    pub places: u32,
    pub policy: UnmanagedRecipients,
    pub change: VisibilityChange,
    pub deleting: bool,
    pub image: ImageFacts,
    pub shares: Vec<Share>,
    pub cloud: BTreeMap<Recipient, Option<Answer>>,
    pub ledger: Ledger,
    pub candidates: usize,
    pub trouble: Option<Problem>,
    /// A call or job that adds one of these fails.
    pub bad: BTreeSet<Recipient>,
    /// With this.
    pub fault: Fault,
    /// A failing job adds those before the first bad one.
    pub half_done: bool,
    /// A job that only removes fails.
    pub removals_fail: bool,
    /// Every call is refused with this, without effect.
    pub closed: Option<Fault>,
    /// What reads show instead of the truth.
    pub lie: Option<RecipientList>,
    running: Option<RecipientChange>,
    pub calls: usize,
    pub revoked: Vec<Recipient>,
}

impl World {
    pub fn at(provider: Provider, shares: Vec<Share>) -> Self {
        Self {
            // Not a whole second, as Kubernetes keeps them.
            now: Timestamp::from_millisecond(1_000_000_250).unwrap(),
            provider,
            places: provider.rules().recipients_per_image,
            policy: UnmanagedRecipients::Report,
            change: VisibilityChange::Forbid,
            deleting: false,
            image: image(),
            shares,
            cloud: BTreeMap::new(),
            ledger: Ledger::default(),
            candidates: 0,
            trouble: None,
            bad: BTreeSet::new(),
            fault: Fault::NotFound(Missing::Recipient),
            half_done: false,
            removals_fail: false,
            closed: None,
            lie: None,
            running: None,
            calls: 0,
            revoked: Vec::new(),
        }
    }

    pub fn terms(&self) -> Terms {
        let rules = self.provider.rules();
        Terms {
            provider: self.provider,
            ourselves: [OWNER_ACCOUNT, OWNER_PROJECT].map(|n| PrincipalId::parse(&hex_id(n)).unwrap()).into(),
            site: match self.provider {
                Provider::Huawei => Some(Site::International),
                Provider::Aws => Some(Site::Partition(Partition::Commercial)),
                Provider::Alibaba | Provider::OpenStack => None,
            },
            region: RegionId::parse("cn-north-4").unwrap(),
            sites: BTreeMap::new(),
            recipients_per_image: self.places,
            recipients_per_full_server_image: rules.recipients_per_full_server_image,
        }
    }

    fn left_within(&self) -> SignedDuration {
        if self.provider.rules().accounts_leave { SignedDuration::from_hours(25) } else { SignedDuration::ZERO }
    }

    pub fn wishes(&self) -> DesiredRecipients {
        DesiredRecipients::gather(&self.terms(), &self.shares, &self.ledger, self.now)
    }

    fn shape(&self) -> CallShape {
        match self.provider {
            Provider::Alibaba => CallShape { recipients: 10, both_ways: true },
            Provider::Huawei => CallShape { recipients: 128, both_ways: false },
            Provider::OpenStack => CallShape { recipients: 1, both_ways: false },
            Provider::Aws => CallShape { recipients: 500, both_ways: true },
        }
    }

    /// Whom a read shows: nobody, while the image hides them.
    pub fn seen(&self) -> RecipientList {
        if let Some(lie) = &self.lie {
            return lie.clone();
        }
        let hidden = self.image.visibility != Visibility::Shared;
        RecipientList { recipients: if hidden { BTreeMap::new() } else { self.cloud.clone() }, complete: true }
    }

    pub fn plan(&self) -> Plan {
        plan(&PlanInput {
            others_until: Timestamp::UNIX_EPOCH,
            now: self.now,
            timing: Timing { left_within: self.left_within(), ..TIMING },
            terms: &self.terms(),
            unmanaged: self.policy,
            visibility_change: self.change,
            deleting: self.deleting,
            requested: false,
            shares: &self.shares,
            desired: &self.wishes(),
            ledger: &self.ledger,
            image: &self.image,
            recipients: &self.seen(),
            copies: None,
        })
    }

    /// One pass as the controller makes it: end the job, plan, intend, confirm, open or call, record, look again. After a
    /// failure that only time or a person mends, nothing is called before the next pass.
    pub fn pass(&mut self) -> Plan {
        self.ledger = ask_anew(self.ledger.clone(), &self.shares, self.now);
        self.trouble = None;
        self.end_job();
        let planned = self.plan();
        if planned.acts() {
            let intended = planned.with_intents(self.now);
            let before = self.ledger.clone();
            if self.trouble.is_some() {
                let recorded = record(&intended, &before, &BatchResult::default(), self.now);
                self.write(&recorded);
                return planned;
            }
            let first = planned.clone().confirm(&IntentRecorded::at("2"), &before, &self.wishes());
            if first.open {
                self.calls += 1;
                self.image.visibility = Visibility::Shared;
                self.write(&intended);
                return planned;
            }
            let mut add = first.add.clone();
            add.truncate(most_at_once(self.candidates));
            let mut exchange = Batch::new(add, first.remove.clone(), first.free_slots, self.shape());
            while let Some(call) = exchange.next_call() {
                let submitted = self.call(call);
                exchange.record(submitted);
            }
            let recorded = record(&intended, &before, &exchange.finish(), self.now);
            self.write(&recorded);
            if self.running.is_some() {
                assert!(self.ledger.job.is_some(), "a job that is not written down is lost");
                return planned;
            }
        }
        let second = self.plan();
        self.write(&second.settled);
        second
    }

    /// Through status and back, as every pass reads it.
    fn write(&mut self, ledger: &Ledger) {
        let mut status = CloudImageStatus::default();
        ledger.encode_into(&mut status);
        self.ledger = Ledger::parse(Some(&status)).unwrap();
    }

    fn call(&mut self, call: RecipientChange) -> Result<Submitted, Fault> {
        self.calls += 1;
        if let Some(fault) = &self.closed {
            return Err(fault.clone());
        }
        self.revoked.extend(call.remove.iter().cloned());
        if self.provider == Provider::Huawei {
            assert!(self.running.is_none(), "one job at a time");
            assert!(call.add.is_empty() || call.remove.is_empty(), "this cloud cannot do both in one call");
            self.running = Some(call);
            return Ok(Submitted::Job(JobId::parse(&format!("job-{}", self.calls)).unwrap()));
        }
        if call.add.iter().any(|r| self.bad.contains(r)) {
            return Err(self.fault.clone());
        }
        self.apply(&call);
        Ok(Submitted::Done)
    }

    fn apply(&mut self, change: &RecipientChange) {
        for recipient in &change.add {
            let asked = recipient.kind == RecipientKind::Project && self.provider.rules().handshake;
            self.cloud.entry(recipient.clone()).or_insert(asked.then_some(Answer::Pending));
        }
        self.cloud.retain(|recipient, _| !change.remove.contains(recipient));
        let limit = self.limit();
        let counts_all = self.provider.rules().unaccepted_use_places;
        let using = |a: &&Option<Answer>| counts_all || matches!(a, None | Some(Answer::Accepted));
        let taken = self.cloud.values().filter(using).count();
        assert!(change.add.is_empty() || taken <= limit, "a call that had to fail was sent: {taken}/{limit}");
    }

    fn limit(&self) -> usize {
        let limit = match self.image.kind {
            ImageKind::FullServer => self.terms().recipients_per_full_server_image,
            ImageKind::SystemDisk | ImageKind::DataDisk | ImageKind::Iso => self.places,
        };
        usize::try_from(limit).unwrap()
    }

    fn end_job(&mut self) {
        let Some(change) = self.running.take() else { return };
        let failing = change.add.iter().position(|r| self.bad.contains(r));
        let fails = failing.is_some() || (self.removals_fail && change.add.is_empty());
        let done = match failing {
            None if fails => RecipientChange::default(),
            None => change,
            Some(at) if self.half_done => RecipientChange { add: change.add[..at].to_vec(), remove: Vec::new() },
            Some(_) => RecipientChange::default(),
        };
        self.apply(&done);
        let JobRecord { ledger, candidates, problem: trouble } = if fails {
            record_failure(&self.ledger, &self.fault, &self.seen(), self.candidates, self.now)
        } else {
            record_success(&self.ledger, self.candidates)
        };
        (self.ledger, self.candidates, self.trouble) = (ledger, candidates, trouble);
    }

    pub fn answer(&mut self, recipient: &Recipient, answer: Answer) {
        if let Some(said @ Some(_)) = self.cloud.get_mut(recipient) {
            *said = Some(answer);
        }
    }

    /// Makes all of these projects accept.
    pub fn accept(&mut self, projects: impl IntoIterator<Item = usize>) {
        projects.into_iter().for_each(|n| self.answer(&project(n), Answer::Accepted));
    }

    pub fn later(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    /// Passes, each a while after the other.
    pub fn passes(&mut self, count: usize) {
        for _ in 0..count {
            self.pass();
            self.later(7);
        }
    }

    /// Nothing is called and nothing is written while nothing changes.
    pub fn assert_at_rest(&mut self) {
        let (calls, ledger) = (self.calls, self.ledger.clone());
        self.passes(3);
        assert_eq!((self.calls, &self.ledger), (calls, &ledger));
    }
}
