//! The part of a copy's reconcile that may call the clouds: observes the stage of the copy, takes the next steps, and records
//! each before it calls the cloud.

use std::ops::ControlFlow::{self, Break, Continue};

use kube::ResourceExt;

use super::cloud_image;
use super::observe::{CopyAccess, Desired, observe_access};
use super::report::{ReplicaReporter, Shown};
use crate::api::conditions::Reason;
use crate::api::image_replica::ReplicaDeletionPolicy;
use crate::api::{CloudAccount, ImageReplica};
use crate::clouds::{CopyOrder, CopyProgress, Copying, Fault, Priority};
use crate::cluster::ClusterError;
use crate::cluster::events::EventReason;
use crate::domain::fault::{Conflict, Recovery};
use crate::domain::identifiers::ImageId;
use crate::domain::provider::CopyMeans;
use crate::planning::problem::Problem;
use crate::planning::replica::{
    Attempt, ClearingSight, Stage, Step, after_asking, after_clearing, after_following, after_losing_the_writer,
    after_missing, judge_source, next_try, refusal_to_copy,
};
use crate::planning::schedule::{Requeue, next_copy_poll};
use crate::reconcile::context::Context;
use crate::reconcile::requeue::{Next, release};
use crate::reconcile::status::is_requested;
use crate::reconcile::transfers::TransferState;

/// Most steps of one reconcile; the next reconcile continues.
const STEPS_MAX: usize = 8;

/// Copies take long, so that their progress calls share the priority of answers to offers.
pub(super) const PRIORITY: Priority = Priority::Acceptance;

/// Whether a deleting replica has nothing left to end at a cloud, or cannot reach the cloud and may be released.
fn nothing_to_end(replica: &ImageReplica, problem: &Problem) -> bool {
    match problem.reason {
        Reason::AccountNotFound | Reason::AccountChanged => true,
        _ => problem.closes_the_way() && replica.spec.deletion_policy == ReplicaDeletionPolicy::Retain,
    }
}

/// How to release a deleting replica.
const RETAIN: &str =
    "set deletionPolicy: Retain to leave at the cloud what there is of the copy and let this object go";

/// Reports the problem that stops a replica, or releases a deleting one that has nothing to end.
async fn kept(reporter: &mut ReplicaReporter<'_>, problem: Problem) -> Result<Next, ClusterError> {
    let replica = reporter.base.object;
    if replica.metadata.deletion_timestamp.is_none() {
        return reporter.problem(problem).await;
    }
    if nothing_to_end(replica, &problem) {
        return leave(reporter).await;
    }
    reporter.problem(problem.or_if_closed(RETAIN)).await
}

/// Continues the copy, or begins it. `last`: the last recorded attempt.
pub(super) async fn reconcile_copy(
    ctx: &Context,
    replica: &ImageReplica,
    mut reporter: ReplicaReporter<'_>,
    desired: &Desired,
    last: Option<&Attempt>,
) -> Result<Next, ClusterError> {
    let deleting = replica.metadata.deletion_timestamp.is_some();
    let forgotten = planted!("asked-copy-forgotten", Stage::Failed, Stage::Asked);
    let under_way = last.filter(|attempt| ![Stage::Failed, forgotten].contains(&attempt.stage));
    let access = match observe_access(ctx, replica, desired, under_way).await {
        Ok(access) => access,
        Err(problem) => return kept(&mut reporter, problem).await,
    };
    reporter.note_accounts(access.from.owner.to_string(), access.to.owner.to_string());
    let only_to_end = access.from.only_to_end.clone().or_else(|| access.to.only_to_end.clone());
    if let Some(problem) = only_to_end.filter(|_| !deleting) {
        return reporter.problem(problem).await;
    }
    let mut reconcile = CopyReconcile { ctx, replica, desired, access: &access, deleting, reporter };
    match under_way {
        Some(attempt) => reconcile.go_on(attempt.clone()).await,
        None => reconcile.begin(last).await,
    }
}

pub(super) async fn leave(reporter: &ReplicaReporter<'_>) -> Result<Next, ClusterError> {
    let (ctx, current) = (reporter.base.ctx, reporter.base.current());
    ctx.transfers.stop(&current.uid().unwrap_or_default());
    release(ctx, &current).await?;
    Ok(Next::Gone)
}

/// One reconcile of one copy.
struct CopyReconcile<'a> {
    ctx: &'a Context,
    replica: &'a ImageReplica,
    desired: &'a Desired,
    access: &'a CopyAccess,
    deleting: bool,
    reporter: ReplicaReporter<'a>,
}

fn copying() -> Shown {
    Shown::Problem(Problem::passing(Reason::Copying, "the copy is being made"))
}

fn clearing() -> Shown {
    Shown::Problem(Problem::passing(Reason::Clearing, "the copy is not wanted any more and is being ended and removed"))
}

impl CopyReconcile<'_> {
    fn uid(&self) -> String {
        self.replica.uid().unwrap_or_default()
    }

    /// Reports a failed call as `account`, whose credentials may be the cause.
    async fn report_fault(&mut self, account: &CloudAccount, fault: Fault) -> Result<Next, ClusterError> {
        self.ctx.connections.note(account, &fault).await;
        kept(&mut self.reporter, Problem::from(&fault)).await
    }

    /// Starts an attempt, if the source can be copied and no `CloudImage` has the name.
    async fn begin(&mut self, last: Option<&Attempt>) -> Result<Next, ClusterError> {
        let now = self.ctx.clock.now();
        let corrected = |last: &&Attempt| last.is_corrected(&self.access.source, &self.replica.spec.destination);
        let refused = last.filter(|last| !corrected(last));
        let due = refused.map(|last| next_try(last, self.access.patience(self.ctx)));
        if let Some(due) = due.filter(|due| now < *due && !is_requested(self.replica)) {
            self.reporter.report(Shown::Same, |_| {}).await?;
            return Ok(Next::at(due));
        }
        if let Some(other) = &self.desired.other_image {
            return self.reporter.problem(cloud_image::name_taken(other)).await;
        }
        match self.judge_source().await {
            Ok(None) => {}
            Ok(Some(problem)) => return self.reporter.problem(problem).await,
            Err(fault) => return self.report_fault(&self.access.from_account, fault).await,
        }
        let attempt = Attempt::after(last, self.access.source.clone(), now);
        let attempt = attempt.to(self.replica.spec.destination.clone());
        planted!("copy-before-ledger", self.reporter.stage(Some(&attempt), copying()).await?, ());
        match self.ask(attempt).await? {
            Continue(attempt) => Ok(Next::at(next_copy_poll(attempt.since, self.ctx.clock.now()))),
            Break(next) => Ok(next),
        }
    }

    /// Reads the source afresh and decides whether it can be copied; the problem, if not.
    async fn judge_source(&self) -> Result<Option<Problem>, Fault> {
        let (cloud, at) = (&self.access.from.connection.cloud, self.access.origin());
        let offer = if self.access.by_offer() { cloud.observe_received(at, PRIORITY).await? } else { None };
        let image = cloud.observe_image(at, PRIORITY.escalate()).await?;
        Ok(judge_source(&self.access.route, image.as_ref(), offer.as_ref()).err())
    }

    /// Continues an attempt from its stage.
    async fn go_on(&mut self, mut attempt: Attempt) -> Result<Next, ClusterError> {
        for _ in 0..STEPS_MAX {
            if self.deleting && !matches!(attempt.stage, Stage::Clearing(_)) {
                if let Some(next) = self.already_recorded(&attempt).await? {
                    return Ok(next);
                }
                attempt = self.unwanted(&attempt).await?;
            }
            let step = match self.next_step(&attempt).await {
                Ok(step) => step,
                Err(fault) => return self.report_fault(self.access.copying_account(), fault).await,
            };
            attempt = match (step, &attempt.stage) {
                (Some(step), _) => match self.take(attempt, step).await? {
                    Continue(attempt) => attempt,
                    Break(next) => return Ok(next),
                },
                (None, Stage::Made(image)) => return self.record(&image.clone()).await,
                (None, _) => return self.begin(Some(&attempt)).await,
            };
        }
        Ok(Next::at(next_copy_poll(attempt.since, self.ctx.clock.now())))
    }

    /// Observes an attempt at the cloud and returns its next step; `None` where the attempt is over.
    async fn next_step(&self, attempt: &Attempt) -> Result<Option<Step>, Fault> {
        let (cloud, order) = (self.access.copier(), self.access.order(attempt));
        let (patience, now) = (self.access.patience(self.ctx), self.ctx.clock.now());
        let step = match &attempt.stage {
            Stage::Asked => {
                let found = cloud.find_copy(&order, PRIORITY).await?;
                after_asking(attempt, self.access.means(), found, patience, now)
            }
            Stage::Copying(copying) => self.follow(attempt, copying).await?,
            Stage::Clearing(None) => {
                let found = cloud.find_copy(&order, PRIORITY).await?;
                after_clearing(attempt, ClearingSight::Found(found), patience, now)
            }
            Stage::Clearing(Some(copying)) => {
                let progress = cloud.follow_copy(&order, copying, PRIORITY).await?;
                after_clearing(attempt, ClearingSight::Progress(progress), patience, now)
            }
            Stage::Failed | Stage::Made(_) => return Ok(None),
        };
        if !step.rests_on_absence() {
            self.ctx.states.not_missing(&self.uid());
            return Ok(Some(step));
        }
        let first_missing = self.ctx.states.missing_since(&self.uid(), now);
        Ok(Some(after_missing(step, first_missing, patience, now)))
    }

    async fn follow(&self, attempt: &Attempt, copying: &Copying) -> Result<Step, Fault> {
        let (patience, now) = (self.access.patience(self.ctx), self.ctx.clock.now());
        let stream = self.access.means() == CopyMeans::Stream;
        if stream {
            match self.ctx.transfers.state(&self.uid()) {
                TransferState::Running { percent } => {
                    return Ok(Step::Progress(percent, next_copy_poll(attempt.since, now)));
                }
                TransferState::Ended(Err(fault)) => return Ok(Step::GiveUp(refusal_to_copy(&fault))),
                TransferState::Ended(Ok(())) | TransferState::Unknown => {}
            }
        }
        let progress = self.access.copier().follow_copy(&self.access.order(attempt), copying, PRIORITY).await?;
        if stream && matches!(progress, CopyProgress::Running { .. }) {
            let first_seen = self.ctx.transfers.stranger_since(&self.uid(), now);
            return Ok(after_losing_the_writer(attempt, first_seen, patience, now));
        }
        Ok(after_following(attempt, progress, patience, now))
    }

    /// Takes one step. `Break`: the reconcile is over.
    async fn take(&mut self, attempt: Attempt, step: Step) -> Result<ControlFlow<Next, Attempt>, ClusterError> {
        let now = self.ctx.clock.now();
        match step {
            Step::Wait(at) => Ok(Break(Next::at(at))),
            Step::Progress(percent, at) => {
                self.reporter.progress(percent, copying()).await?;
                Ok(Break(Next::at(at)))
            }
            Step::Ask => self.ask(attempt).await,
            Step::Anew => {
                let next = Attempt::after(Some(&attempt), attempt.source.clone(), now);
                self.reporter.stage(Some(&next), copying()).await?;
                self.ask(next).await
            }
            Step::Fill(image) => {
                let (from, to) = self.access.ends(&image);
                self.ctx.transfers.start(&self.uid(), from, to);
                self.reporter.progress(None, copying()).await?;
                Ok(Break(Next::at(next_copy_poll(attempt.since.max(now), now))))
            }
            Step::Now(stage) => {
                let shown = match &stage {
                    _ if self.deleting => clearing(),
                    // The status already reports why the operator gave the attempt up.
                    Stage::Clearing(_) => Shown::Same,
                    _ => copying(),
                };
                let next = attempt.at(stage);
                self.reporter.stage(Some(&next), shown).await?;
                Ok(Continue(next))
            }
            Step::GiveUp(problem) | Step::Missing(problem) => self.give_up(&attempt, problem).await.map(Continue),
            Step::Remove(image) => self.remove(attempt, image).await,
            Step::Cleared if self.deleting => leave(&self.reporter).await.map(Break),
            Step::Cleared => {
                let failed = Attempt { since: now, stage: Stage::Failed, ..attempt };
                self.reporter.stage(Some(&failed), Shown::Same).await?;
                Ok(Break(Next::at(next_try(&failed, self.access.patience(self.ctx)))))
            }
        }
    }

    /// Asks the cloud for the recorded copy.
    async fn ask(&mut self, attempt: Attempt) -> Result<ControlFlow<Next, Attempt>, ClusterError> {
        let order = self.access.order(&attempt);
        let asked = self.asked(&order).await;
        tracing::info!(
            object.name = %self.replica.name_any(), image.id = %order.source.image, image.region = %order.source.region,
            destination.region = %order.region, attempt = attempt.number,
            fault = asked.as_ref().err().map(tracing::field::display), "asked for a copy"
        );
        match asked {
            Ok(copying) => {
                let next = attempt.at(Stage::Copying(copying));
                self.reporter.stage(Some(&next), self::copying()).await?;
                let note =
                    format!("copying image {} of {} to {}", order.source.image, order.source.region, order.region);
                self.reporter.base.event(EventReason::CopyStarted, note);
                Ok(Continue(next))
            }
            // Only a user can fix it, and the cloud made nothing.
            Err(fault) if fault.certainly_did_nothing() && fault.recovery() == Recovery::Blocked => {
                let failed = Attempt { since: self.ctx.clock.now(), stage: Stage::Failed, ..attempt };
                self.reporter.stage(Some(&failed), Shown::Problem(refusal_to_copy(&fault))).await?;
                Ok(Break(Next::at(next_try(&failed, self.access.patience(self.ctx)))))
            }
            Err(fault) => self.reporter.problem(refusal_to_copy(&fault)).await.map(Break),
        }
    }

    async fn asked(&self, order: &CopyOrder) -> Result<Copying, Fault> {
        let content = match self.access.means() {
            CopyMeans::Stream => {
                let facts = self.access.from.connection.cloud.content_facts(&order.source, Priority::Edit).await;
                Some(self.noted(&self.access.from_account, facts).await?)
            }
            CopyMeans::Token | CopyMeans::Job => None,
        };
        let begun = self.access.copier().begin_copy(order, content.as_ref(), Priority::Edit).await;
        self.noted(self.access.copying_account(), begun).await
    }

    async fn noted<T>(&self, account: &CloudAccount, answer: Result<T, Fault>) -> Result<T, Fault> {
        if let Err(fault) = &answer {
            self.ctx.connections.note(account, fault).await;
        }
        answer
    }

    /// An interrupted reconcile may have created the `CloudImage` of the copy, which may be shared by now: then it is too
    /// late to end the copy, and the policy for a finished copy applies.
    async fn already_recorded(&mut self, attempt: &Attempt) -> Result<Option<Next>, ClusterError> {
        let Stage::Made(image) = &attempt.stage else { return Ok(None) };
        let Some(uid) = cloud_image::uid_of(self.ctx, self.replica, self.access, image).await? else { return Ok(None) };
        self.reporter.finish(uid).await?;
        Ok(Some(Next::at(self.ctx.clock.now())))
    }

    /// Ends the copy of an object that is being deleted before the copy is finished.
    async fn unwanted(&mut self, attempt: &Attempt) -> Result<Attempt, ClusterError> {
        self.ctx.transfers.stop(&self.uid());
        let next = attempt.at(Stage::Clearing(what_is_made(&attempt.stage)));
        self.reporter.stage(Some(&next), clearing()).await?;
        Ok(next)
    }

    /// Gives up a failed copy; the source may show the cause.
    async fn give_up(&mut self, attempt: &Attempt, problem: Problem) -> Result<Attempt, ClusterError> {
        self.ctx.transfers.stop(&self.uid());
        let cause = self.judge_source().await.ok().flatten();
        let problem = cause.map_or(problem.clone(), |cause| Problem {
            message: format!("{}; the copy of it under way failed and is removed", cause.message),
            ..cause
        });
        let note = problem.message.clone();
        let next = attempt.at(Stage::Clearing(what_is_made(&attempt.stage)));
        self.reporter.stage(Some(&next), Shown::Problem(problem)).await?;
        self.reporter.base.event(EventReason::CopyFailed, note);
        Ok(next)
    }

    /// Ends and removes what exists of a copy; later reads show whether it is gone.
    async fn remove(&mut self, attempt: Attempt, image: ImageId) -> Result<ControlFlow<Next, Attempt>, ClusterError> {
        let now = self.ctx.clock.now();
        match self.access.copier().cancel_copy(&self.access.order(&attempt), &image).await {
            Ok(()) | Err(Fault::NotFound(_) | Fault::Conflict(Conflict::ImageBusy)) => {
                let next = attempt.at(Stage::Clearing(Some(Copying::Image(image))));
                self.reporter.stage(Some(&next), Shown::Same).await?;
                Ok(Break(Next::at(next_copy_poll(attempt.since.max(now), now))))
            }
            Err(fault) => self.report_fault(self.access.copying_account(), fault).await.map(Break),
        }
    }

    /// Creates the `CloudImage` of the finished copy.
    async fn record(&mut self, image: &ImageId) -> Result<Next, ClusterError> {
        match cloud_image::write(self.ctx, self.replica, self.access, image).await? {
            Continue(uid) => {
                self.reporter.finish(uid).await?;
                Ok(Next::Requeue(Requeue::Settled))
            }
            Break(problem) => self.reporter.problem(problem).await,
        }
    }
}

/// What an abandoned attempt may leave at the cloud, as far as its stage shows it.
fn what_is_made(stage: &Stage) -> Option<Copying> {
    match stage {
        Stage::Copying(copying) => Some(copying.clone()),
        Stage::Clearing(copying) => copying.clone(),
        Stage::Made(image) => Some(Copying::Image(image.clone())),
        Stage::Asked | Stage::Failed => None,
    }
}
