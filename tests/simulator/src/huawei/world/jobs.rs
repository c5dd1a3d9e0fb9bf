//! Jobs: what is asked of members takes effect a while later, by the clock. A job is checked when it is asked for and
//! again when it ends; what it comes to then is all or nothing, but for injected failures.

use super::World;
use super::copies::Copying;
use super::plan::Order;
use crate::chassis::effect::{Effect, Replica};
use crate::chassis::exchange::JobFailure;
use crate::chassis::names::{AccountId, ImageId, RegionId};
use crate::chassis::refusal::Refusal;
use crate::huawei::rules;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Who asked for a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// The project.
    pub project: AccountId,
    /// Its region.
    pub region: RegionId,
    /// The key or user.
    pub key_id: String,
}

/// What comes with an order: names and fates that the world does not make up itself.
#[derive(Debug, Clone)]
pub(in crate::huawei) struct Submission {
    /// The job's id.
    pub(in crate::huawei) id: String,
    /// Whether it fails.
    pub(in crate::huawei) failure: Option<JobFailure>,
    /// How much longer it takes than the rules say, in milliseconds.
    pub(in crate::huawei) slow_millis: u64,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not begun.
    Init,
    /// Under way.
    Running,
    /// Done.
    Success,
    /// Failed.
    Fail,
}

impl Phase {
    /// The vendor's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Running => "RUNNING",
            Self::Success => "SUCCESS",
            Self::Fail => "FAIL",
        }
    }
}

/// A job.
#[derive(Debug, Clone)]
pub struct Job {
    pub(super) asker: Asker,
    pub(super) order: Order,
    pub(super) begin: Timestamp,
    pub(super) end: Timestamp,
    pub(super) failure: Option<JobFailure>,
    pub(super) outcome: Option<Outcome>,
    pub(super) copying: Option<Copying>,
}

#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) refusal: Option<Refusal>,
    /// The images all of whose steps were taken.
    pub(super) done: Vec<ImageId>,
}

impl Job {
    /// Who asked.
    pub fn asker(&self) -> &Asker {
        &self.asker
    }

    /// What was asked.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// When it was taken in.
    pub fn begin(&self) -> Timestamp {
        self.begin
    }

    /// When it ended, if it has.
    pub fn end(&self) -> Option<Timestamp> {
        self.outcome.as_ref().map(|_| self.end)
    }

    /// Where it stands; the first third of its time it has not begun, a copy the first tenth.
    pub fn phase(&self, now: Timestamp) -> Phase {
        let waiting = self.end.duration_since(self.begin).checked_div(3).unwrap_or_default();
        match (&self.outcome, &self.copying) {
            (Some(Outcome { refusal: None, .. }), _) => Phase::Success,
            (Some(_), _) => Phase::Fail,
            (None, Some(copying)) if copying.is_waiting() => Phase::Init,
            (None, None) if now.duration_since(self.begin) < waiting => Phase::Init,
            (None, _) => Phase::Running,
        }
    }

    /// How much of it is done, in percent; of a copy that failed, how far it came.
    pub fn percent(&self, now: Timestamp) -> u8 {
        match (self.phase(now), &self.copying) {
            (Phase::Init, _) => 0,
            (Phase::Running, None) => 50,
            (Phase::Running, Some(copying)) => copying.percent(self.begin, now),
            (Phase::Fail, Some(copying)) => copying.percent(self.begin, self.end),
            (Phase::Success | Phase::Fail, _) => 100,
        }
    }

    /// The image a copy makes.
    pub fn copied(&self) -> Option<&ImageId> {
        self.copying.as_ref().map(Copying::image)
    }

    /// Why it failed, if it did.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.outcome.as_ref()?.refusal.as_ref()
    }

    /// Whether it did all it should to an image.
    pub fn is_done_for(&self, image: &ImageId) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| outcome.done.contains(image))
    }
}

/// A job that has just ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its id.
    pub id: String,
    /// Who asked for it.
    pub asker: Asker,
    /// When it ended.
    pub at: Timestamp,
    /// The images it was about.
    pub images: Vec<ImageId>,
    /// What it changed, image by image.
    pub effects: Vec<(ImageId, Effect)>,
    /// Its error code, if it failed.
    pub code: Option<String>,
    /// What a copy made, or was to make.
    pub copy: Option<Replica>,
}

/// The jobs there are.
#[derive(Debug, Clone, Default)]
pub(super) struct Jobs {
    pub(super) all: BTreeMap<String, Job>,
    /// Under way, by when they end (a copy: when something next befalls it) and then by when they were asked for.
    pub(super) due: BTreeSet<(Timestamp, u64, String)>,
    /// Ended, oldest first.
    ended: VecDeque<String>,
    pub(super) count: u64,
}

impl World {
    /// Takes in an order on members; what it changes it changes when the job ends.
    ///
    /// # Errors
    /// The vendor's refusal, unless the rules have it come up in the job.
    pub(in crate::huawei) fn submit(
        &mut self,
        asker: &Asker,
        order: Order,
        submission: Submission,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if let Err(refusal) = self.plan(&asker.project, &order)
            && !rules::ERRORS_IN_JOB.contains(&refusal.code.as_str())
        {
            return Err(refusal);
        }
        self.begin(asker, order, self.rules.job_millis, submission, now)
    }

    /// Takes in the deletion of an image, which is gone a while later. Asking again while it goes is a success without
    /// effect (unconfirmed).
    ///
    /// # Errors
    /// The vendor's refusal.
    pub(in crate::huawei) fn delete_image(
        &mut self,
        asker: &Asker,
        image: &ImageId,
        submission: Submission,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.may_delete(&asker.project, image)?;
        let Some(found) = self.images.get_mut(image) else { return Ok(()) };
        if found.deleting {
            return Ok(());
        }
        found.deleting = true;
        self.begin(asker, Order::Delete { image: image.clone() }, rules::DELETION_MILLIS, submission, now)
    }

    fn begin(
        &mut self,
        asker: &Asker,
        order: Order,
        millis: u32,
        submission: Submission,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if self.jobs.due.len() >= rules::MAX_RUNNING_JOBS {
            return Err(rules::TOO_MANY_TASKS.refuse());
        }
        let Submission { id, failure, slow_millis } = submission;
        let took = i64::try_from(slow_millis.saturating_add(u64::from(millis))).unwrap_or(i64::MAX);
        let end = now.checked_add(SignedDuration::from_millis(took)).unwrap_or(now);
        self.jobs.count += 1;
        self.jobs.due.insert((end, self.jobs.count, id.clone()));
        let job = Job { asker: asker.clone(), order, begin: now, end, failure, outcome: None, copying: None };
        self.jobs.all.insert(id, job);
        Ok(())
    }

    /// A job on members of this id that this project asked for.
    pub fn job(&self, project: &AccountId, id: &str) -> Option<&Job> {
        let job = self.jobs.all.get(id).filter(|job| job.asker.project == *project);
        job.filter(|job| !matches!(job.order, Order::Delete { .. }))
    }

    /// Ends the next job that is due by `now`, if there is one: its steps are taken as of its own end. Copies that are
    /// not at their end move on meanwhile, all in the order of time.
    pub fn end_next(&mut self, now: Timestamp) -> Option<Ended> {
        while let Some(next) = self.jobs.due.first().filter(|(at, _, _)| *at <= now).cloned() {
            self.jobs.due.remove(&next);
            let (at, count, id) = next;
            let copies = self.jobs.all.get(&id).is_some_and(|job| job.copying.is_some());
            let ended = if copies { self.move_copy_on(id, count, at) } else { self.end_job(id, at) };
            if ended.is_some() {
                return ended;
            }
        }
        None
    }

    fn end_job(&mut self, id: String, at: Timestamp) -> Option<Ended> {
        let Job { asker, order, failure, .. } = self.jobs.all.get(&id)?.clone();
        let (mut steps, mut refusal) = match self.plan(&asker.project, &order) {
            Ok(steps) => (steps, None),
            Err(refusal) => (Vec::new(), Some(refusal)),
        };
        let mut cut_off = BTreeSet::new();
        if let Some(JobFailure { code, partial }) = failure {
            cut_off = steps.iter().skip(partial).map(|step| step.image.clone()).collect();
            steps.truncate(partial);
            let message = "the job was made to fail by the simulator's fault injection".to_owned();
            refusal = Some(Refusal { status: 400, code, message });
        }
        let effects = match &order {
            Order::Make(making) if refusal.is_none() => self.make(&asker, making, at),
            _ => self.apply(&steps, at),
        };
        let code = refusal.as_ref().map(|refusal| refusal.code.clone());
        let done = |image: &&ImageId| {
            refusal.is_none() || (!cut_off.contains(*image) && steps.iter().any(|step| step.image == **image))
        };
        let outcome = Outcome { done: order.images().iter().filter(done).cloned().collect(), refusal: refusal.clone() };
        if let Some(job) = self.jobs.all.get_mut(&id) {
            job.outcome = Some(outcome);
        }
        self.forget_old_jobs(id.clone());
        Some(Ended { id, asker, at, images: order.images().to_vec(), effects, code, copy: None })
    }

    pub(super) fn forget_old_jobs(&mut self, ended: String) {
        self.jobs.ended.push_back(ended);
        while self.jobs.all.len() > rules::MAX_JOBS
            && let Some(oldest) = self.jobs.ended.pop_front()
        {
            self.jobs.all.remove(&oldest);
        }
    }
}
