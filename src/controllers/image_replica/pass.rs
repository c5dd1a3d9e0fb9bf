//! One reconcile of one copy: observes its stage, takes the next steps, and records each before it calls the cloud.

use jiff::Timestamp;
use kube::ResourceExt;

use super::cloud_image;
use super::observe::{Desired, Site, observe_site};
use super::report::{Reporter, Says};
use crate::api::conditions::Reason;
use crate::api::image_replica::ReplicaDeletionPolicy;
use crate::api::{CloudAccount, ImageReplica};
use crate::clouds::{CopyOrder, CopyProgress, Copying, Fault, Priority};
use crate::cluster::ClusterError;
use crate::cluster::events::EventReason;
use crate::cluster::guard::Guarded;
use crate::domain::fault::{Conflict, Recovery};
use crate::domain::identifiers::ImageId;
use crate::domain::provider::CopyMeans;
use crate::planning::problem::Problem;
use crate::planning::replica::{
    Attempt, ClearingSight, Stage, Step, after_asking, after_clearing, after_following, after_losing_the_writer,
    after_missing, judge_source, next_try, refusal_to_copy,
};
use crate::planning::schedule::{Requeue, next_copy_look};
use crate::reconcile::admission::Worker;
use crate::reconcile::context::Context;
use crate::reconcile::convert::accounts_named;
use crate::reconcile::convert::requested_at;
use crate::reconcile::requeue::{Asked, Next, release};
use crate::reconcile::transfers::TransferState;

/// Most steps of one reconcile; the next reconcile continues.
const STEPS_MAX: usize = 8;

/// Copies take long, so that their progress calls share the priority of answers to offers.
const PRIORITY: Priority = Priority::Acceptance;

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
async fn kept(
    ctx: &Context,
    replica: &ImageReplica,
    reporter: &mut Reporter<'_>,
    problem: Problem,
) -> Result<Next, ClusterError> {
    if replica.metadata.deletion_timestamp.is_none() {
        return reporter.problem(problem).await;
    }
    if nothing_to_end(replica, &problem) {
        return leave(ctx, reporter).await;
    }
    reporter.problem(problem.or_if_closed(RETAIN)).await
}

/// Runs one reconcile; the part that may call the clouds waits for a seat.
pub(super) async fn run(
    ctx: &Context,
    replica: &ImageReplica,
    desired: Desired,
    (asked, worker): (Asked, Worker<Guarded<ImageReplica>>),
) -> Result<Next, ClusterError> {
    let mut reporter = Reporter::new(ctx, replica);
    reporter.init_status().await?;
    let deleting = replica.metadata.deletion_timestamp.is_some();
    let status = replica.status.as_ref();
    if let Some(uid) = status.and_then(|status| status.cloud_image_uid.as_deref()) {
        return stand(ctx, replica, reporter, uid).await;
    }
    let last = match status.and_then(|status| status.copy.as_ref()).map(Attempt::parse).transpose() {
        Ok(last) => last,
        Err(error) => {
            return reporter.problem(Problem::blocked(Reason::Unreadable, format!("status.copy: {error}"))).await;
        }
    };
    let is_under_way = last.as_ref().is_some_and(|attempt| attempt.stage != Stage::Failed);
    if deleting && !is_under_way {
        return leave(ctx, &reporter).await;
    }
    if replica.spec.suspend && !is_under_way {
        return reporter.problem(Problem::blocked(Reason::Suspended, "spec.suspend: no copy is begun")).await;
    }
    let accounts = accounts_named(replica, desired.source.as_ref().ok()).join("+");
    let Some(seat) = worker.begin(&accounts, "", asked.with(PRIORITY)) else { return Ok(Next::Queued) };
    seat.call(Box::pin(act(ctx, replica, reporter, desired, last))).await
}

/// The part of a reconcile that may call the clouds.
async fn act(
    ctx: &Context,
    replica: &ImageReplica,
    mut reporter: Reporter<'_>,
    desired: Desired,
    last: Option<Attempt>,
) -> Result<Next, ClusterError> {
    let deleting = replica.metadata.deletion_timestamp.is_some();
    let forgotten = planted!("asked-copy-forgotten", Stage::Failed, Stage::Asked);
    let under_way = last.as_ref().filter(|attempt| ![Stage::Failed, forgotten].contains(&attempt.stage));
    let site = match observe_site(ctx, replica, &desired, under_way).await {
        Ok(site) => site,
        Err(problem) => return kept(ctx, replica, &mut reporter, problem).await,
    };
    reporter.note_accounts(site.from.owner.to_string(), site.to.owner.to_string());
    let only_to_end = site.from.only_to_end.clone().or_else(|| site.to.only_to_end.clone());
    if let Some(problem) = only_to_end.filter(|_| !deleting) {
        return reporter.problem(problem).await;
    }
    let pass = Pass { ctx, replica, desired: &desired, site: &site, deleting };
    match (under_way, &last) {
        (Some(attempt), _) => pass.go_on(&mut reporter, attempt.clone()).await,
        (None, last) => pass.begin(&mut reporter, last.as_ref()).await,
    }
}

async fn leave(ctx: &Context, reporter: &Reporter<'_>) -> Result<Next, ClusterError> {
    let current = reporter.current();
    ctx.transfers.stop(&current.uid().unwrap_or_default());
    release(ctx, &current).await?;
    Ok(Next::Gone)
}

/// Reconciles a finished copy. Its `CloudImage` manages it from then on, so that this calls no cloud.
async fn stand(
    ctx: &Context,
    replica: &ImageReplica,
    mut reporter: Reporter<'_>,
    uid: &str,
) -> Result<Next, ClusterError> {
    if replica.metadata.deletion_timestamp.is_none() {
        reporter.say(Says::Replicated, |_| {}).await?;
        return Ok(Next::Requeue(Requeue::Settled));
    }
    if planted!("copy-retain-ignored", replica.spec.deletion_policy == ReplicaDeletionPolicy::Delete, true)
        && let Some(waiting) = cloud_image::delete(ctx, replica, uid).await?
    {
        return reporter.problem(waiting).await;
    }
    leave(ctx, &reporter).await
}

struct Pass<'a> {
    ctx: &'a Context,
    replica: &'a ImageReplica,
    desired: &'a Desired,
    site: &'a Site,
    deleting: bool,
}

fn look_again(at: Timestamp) -> Next {
    Next::Requeue(Requeue::Waiting(at))
}

fn copying() -> Says {
    Says::Problem(Problem::passing(Reason::Copying, "the copy is being made"))
}

fn clearing() -> Says {
    Says::Problem(Problem::passing(Reason::Clearing, "the copy is not wanted any more and is being ended and removed"))
}

impl Pass<'_> {
    fn uid(&self) -> String {
        self.replica.uid().unwrap_or_default()
    }

    /// Reports a failed call as `account`, whose credentials may be the cause.
    async fn unseen(
        &self,
        reporter: &mut Reporter<'_>,
        account: &CloudAccount,
        fault: Fault,
    ) -> Result<Next, ClusterError> {
        self.ctx.connections.note(account, &fault).await;
        kept(self.ctx, self.replica, reporter, Problem::from(&fault)).await
    }

    /// Starts an attempt, if the source can be copied and no `CloudImage` has the name.
    async fn begin(&self, reporter: &mut Reporter<'_>, last: Option<&Attempt>) -> Result<Next, ClusterError> {
        let now = self.ctx.clock.now();
        let due = last.map(|last| next_try(last, self.site.patience(self.ctx)));
        let handled = self.replica.status.as_ref().and_then(|status| status.last_handled_reconcile_at.clone());
        let asked_anew = requested_at(self.replica).is_some_and(|asked| handled.as_ref() != Some(&asked));
        if let Some(due) = due.filter(|due| now < *due && !asked_anew) {
            reporter.say(Says::Same, |_| {}).await?;
            return Ok(look_again(due));
        }
        if let Some(other) = &self.desired.other_image {
            return reporter.problem(cloud_image::name_taken(other)).await;
        }
        match self.judge_source().await {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => return reporter.problem(problem).await,
            Err(fault) => return self.unseen(reporter, &self.site.from_account, fault).await,
        }
        let attempt = Attempt::after(last, self.site.source.clone(), now);
        planted!("copy-before-ledger", reporter.stage(Some(&attempt), copying()).await?, ());
        match self.ask(reporter, attempt).await? {
            Ok(attempt) => Ok(look_again(next_copy_look(attempt.since, self.ctx.clock.now()))),
            Err(passed) => Ok(passed),
        }
    }

    /// Reads the source afresh and decides whether it can be copied.
    async fn judge_source(&self) -> Result<Result<(), Problem>, Fault> {
        let (cloud, at) = (&self.site.from.connection.cloud, self.site.origin());
        let offer = if self.site.by_offer() { cloud.observe_received(at, PRIORITY).await? } else { None };
        let image = cloud.observe_image(at, PRIORITY.escalate()).await?;
        Ok(judge_source(&self.site.route(), image.as_ref(), offer.as_ref()))
    }

    /// Continues an attempt from its stage.
    async fn go_on(&self, reporter: &mut Reporter<'_>, mut attempt: Attempt) -> Result<Next, ClusterError> {
        for _ in 0..STEPS_MAX {
            if self.deleting && !matches!(attempt.stage, Stage::Clearing(_)) {
                if let Some(passed) = self.stood_for(reporter, &attempt).await? {
                    return Ok(passed);
                }
                attempt = self.unwanted(reporter, &attempt).await?;
            }
            let step = match self.look(&attempt).await {
                Ok(step) => step,
                Err(fault) => return self.unseen(reporter, self.site.copying_account(), fault).await,
            };
            attempt = match (step, &attempt.stage) {
                (Some(step), _) => match self.take(reporter, attempt, step).await? {
                    Ok(attempt) => attempt,
                    Err(passed) => return Ok(passed),
                },
                (None, Stage::Made(image)) => return self.record(reporter, &image.clone()).await,
                (None, _) => return self.begin(reporter, Some(&attempt)).await,
            };
        }
        Ok(look_again(next_copy_look(attempt.since, self.ctx.clock.now())))
    }

    /// Observes an attempt at the cloud and returns its next step; `None` where the attempt is over.
    async fn look(&self, attempt: &Attempt) -> Result<Option<Step>, Fault> {
        let (cloud, order) = (self.site.copier(), self.site.order(attempt));
        let (patience, now) = (self.site.patience(self.ctx), self.ctx.clock.now());
        let step = match &attempt.stage {
            Stage::Asked => {
                let found = cloud.find_copy(&order, PRIORITY).await?;
                after_asking(attempt, self.site.means(), found, patience, now)
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
        let (patience, now) = (self.site.patience(self.ctx), self.ctx.clock.now());
        let stream = self.site.means() == CopyMeans::Stream;
        if stream {
            match self.ctx.transfers.look(&self.uid()) {
                TransferState::Running { percent } => {
                    return Ok(Step::Progress(percent, next_copy_look(attempt.since, now)));
                }
                TransferState::Ended(Err(fault)) => return Ok(Step::GiveUp(refusal_to_copy(&fault))),
                TransferState::Ended(Ok(())) | TransferState::Unknown => {}
            }
        }
        let progress = self.site.copier().follow_copy(&self.site.order(attempt), copying, PRIORITY).await?;
        if stream && matches!(progress, CopyProgress::Running { .. }) {
            let first_seen = self.ctx.transfers.stranger_since(&self.uid(), now);
            return Ok(after_losing_the_writer(attempt, first_seen, patience, now));
        }
        Ok(after_following(attempt, progress, patience, now))
    }

    /// Takes one step. `Err`: the reconcile is over.
    async fn take(
        &self,
        reporter: &mut Reporter<'_>,
        attempt: Attempt,
        step: Step,
    ) -> Result<Result<Attempt, Next>, ClusterError> {
        let now = self.ctx.clock.now();
        match step {
            Step::Wait(at) => Ok(Err(look_again(at))),
            Step::Progress(percent, at) => {
                reporter.progress(percent, copying()).await?;
                Ok(Err(look_again(at)))
            }
            Step::Ask => self.ask(reporter, attempt).await,
            Step::Anew => {
                let next = Attempt::after(Some(&attempt), attempt.source.clone(), now);
                reporter.stage(Some(&next), copying()).await?;
                self.ask(reporter, next).await
            }
            Step::Fill(image) => {
                let (from, to) = self.site.ends(&image);
                self.ctx.transfers.start(&self.uid(), from, to);
                reporter.progress(None, copying()).await?;
                Ok(Err(look_again(next_copy_look(attempt.since.max(now), now))))
            }
            Step::Now(stage) => {
                let says = match &stage {
                    _ if self.deleting => clearing(),
                    // The status already reports why the operator gave the attempt up.
                    Stage::Clearing(_) => Says::Same,
                    _ => copying(),
                };
                let next = attempt.at(stage);
                reporter.stage(Some(&next), says).await?;
                Ok(Ok(next))
            }
            Step::GiveUp(problem) | Step::Missing(problem) => self.give_up(reporter, &attempt, problem).await.map(Ok),
            Step::Remove(image) => self.remove(reporter, attempt, image).await,
            Step::Cleared if self.deleting => leave(self.ctx, reporter).await.map(Err),
            Step::Cleared => {
                let failed = Attempt { since: now, stage: Stage::Failed, ..attempt };
                reporter.stage(Some(&failed), Says::Same).await?;
                Ok(Err(look_again(next_try(&failed, self.site.patience(self.ctx)))))
            }
        }
    }

    /// Asks the cloud for the recorded copy.
    async fn ask(&self, reporter: &mut Reporter<'_>, attempt: Attempt) -> Result<Result<Attempt, Next>, ClusterError> {
        let order = self.site.order(&attempt);
        let asked = self.asked(&order).await;
        tracing::info!(
            object.name = %self.replica.name_any(), image.id = %order.source.image, image.region = %order.source.region,
            destination.region = %order.region, attempt = attempt.number,
            fault = asked.as_ref().err().map(tracing::field::display), "asked for a copy"
        );
        match asked {
            Ok(copying) => {
                let next = attempt.at(Stage::Copying(copying));
                reporter.stage(Some(&next), self::copying()).await?;
                let note =
                    format!("copying image {} of {} to {}", order.source.image, order.source.region, order.region);
                reporter.tell(EventReason::CopyStarted, note);
                Ok(Ok(next))
            }
            // Only a user can fix it, and the cloud made nothing.
            Err(fault) if fault.certainly_did_nothing() && fault.recovery() == Recovery::Blocked => {
                let failed = Attempt { since: self.ctx.clock.now(), stage: Stage::Failed, ..attempt };
                reporter.stage(Some(&failed), Says::Problem(refusal_to_copy(&fault))).await?;
                Ok(Err(look_again(next_try(&failed, self.site.patience(self.ctx)))))
            }
            Err(fault) => reporter.problem(refusal_to_copy(&fault)).await.map(Err),
        }
    }

    async fn asked(&self, order: &CopyOrder) -> Result<Copying, Fault> {
        let content = match self.site.means() {
            CopyMeans::Stream => {
                let facts = self.site.from.connection.cloud.content_facts(&order.source, Priority::Edit).await;
                Some(self.noted(&self.site.from_account, facts).await?)
            }
            CopyMeans::Token | CopyMeans::Job => None,
        };
        let begun = self.site.copier().begin_copy(order, content.as_ref(), Priority::Edit).await;
        self.noted(self.site.copying_account(), begun).await
    }

    async fn noted<T>(&self, account: &CloudAccount, answer: Result<T, Fault>) -> Result<T, Fault> {
        if let Err(fault) = &answer {
            self.ctx.connections.note(account, fault).await;
        }
        answer
    }

    /// An interrupted reconcile may have created the `CloudImage` of the copy, which may be shared by now: then it is too
    /// late to end the copy, and the policy for a finished copy applies.
    async fn stood_for(&self, reporter: &mut Reporter<'_>, attempt: &Attempt) -> Result<Option<Next>, ClusterError> {
        let Stage::Made(image) = &attempt.stage else { return Ok(None) };
        let Some(uid) = cloud_image::uid_of(self.ctx, self.replica, self.site, image).await? else { return Ok(None) };
        reporter.finish(uid).await?;
        Ok(Some(look_again(self.ctx.clock.now())))
    }

    /// Ends the copy of an object that is being deleted before the copy is finished.
    async fn unwanted(&self, reporter: &mut Reporter<'_>, attempt: &Attempt) -> Result<Attempt, ClusterError> {
        self.ctx.transfers.stop(&self.uid());
        let next = attempt.at(Stage::Clearing(what_is_made(&attempt.stage)));
        reporter.stage(Some(&next), clearing()).await?;
        Ok(next)
    }

    /// Gives up a failed copy; the source may show the cause.
    async fn give_up(
        &self,
        reporter: &mut Reporter<'_>,
        attempt: &Attempt,
        problem: Problem,
    ) -> Result<Attempt, ClusterError> {
        self.ctx.transfers.stop(&self.uid());
        let cause = self.judge_source().await.ok().and_then(Result::err);
        let problem = cause.map_or(problem.clone(), |cause| Problem {
            message: format!("{}; the copy of it under way failed and is removed", cause.message),
            ..cause
        });
        let note = problem.message.clone();
        let next = attempt.at(Stage::Clearing(what_is_made(&attempt.stage)));
        reporter.stage(Some(&next), Says::Problem(problem)).await?;
        reporter.tell(EventReason::CopyFailed, note);
        Ok(next)
    }

    /// Ends and removes what exists of a copy; later reads show whether it is gone.
    async fn remove(
        &self,
        reporter: &mut Reporter<'_>,
        attempt: Attempt,
        image: ImageId,
    ) -> Result<Result<Attempt, Next>, ClusterError> {
        let now = self.ctx.clock.now();
        match self.site.copier().cancel_copy(&self.site.order(&attempt), &image).await {
            Ok(()) | Err(Fault::NotFound(_) | Fault::Conflict(Conflict::ImageBusy)) => {
                let next = attempt.at(Stage::Clearing(Some(Copying::Image(image))));
                reporter.stage(Some(&next), Says::Same).await?;
                Ok(Err(look_again(next_copy_look(attempt.since.max(now), now))))
            }
            Err(fault) => self.unseen(reporter, self.site.copying_account(), fault).await.map(Err),
        }
    }

    /// Creates the `CloudImage` of the finished copy.
    async fn record(&self, reporter: &mut Reporter<'_>, image: &ImageId) -> Result<Next, ClusterError> {
        match cloud_image::write(self.ctx, self.replica, self.site, image).await? {
            Ok(uid) => {
                reporter.finish(uid).await?;
                Ok(Next::Requeue(Requeue::Settled))
            }
            Err(problem) => reporter.problem(problem).await,
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
