//! One reconcile of one image: observe, plan, write the intent, list the shares afresh, execute, observe again, report.

use kube::ResourceExt;

use super::observe::{Desired, Seen, Site, list_shares_afresh, observe_image, observe_recipients, observe_site};
use super::report::{Report, Reporter};
use super::urgency::{is_requested, need};
use crate::api::CloudImage;
use crate::api::cloud_image::{ImageDeletionPolicy, UnmanagedRecipients};
use crate::api::conditions::Reason;
use crate::clouds::{Fault, Priority};
use crate::cluster::ClusterError;
use crate::cluster::guard::Guarded;
use crate::controllers::cloud_image::execute::execute;
use crate::domain::fault::Missing;
use crate::domain::image::Ownership;
use crate::planning::batch::{Batch, BatchResult};
use crate::planning::deletion::{DeletionDecision, ObservedImage, ask_again, blockers, deletion_asked, plan_deletion};
use crate::planning::desired::DesiredRecipients;
use crate::planning::duplicates::hand_over;
use crate::planning::ledger::Ledger;
use crate::planning::outcome::{most_at_once, record, record_failure, record_success};
use crate::planning::problem::Problem;
use crate::planning::schedule::{Requeue, next_job_look};
use crate::planning::sharing::{Plan, PlanInput, confirm, plan};
use crate::planning::unseen::{plan_absent, plan_unseen};
use crate::reconcile::admission::Worker;
use crate::reconcile::context::Context;
use crate::reconcile::jobs::{Followed, follow};
use crate::reconcile::requeue::{Asked, Next, later, release};

/// Runs one reconcile; the part that may call the cloud waits for a seat.
pub(super) async fn run(
    ctx: &Context,
    image: &CloudImage,
    desired: Desired,
    (asked, worker): (Asked, Worker<Guarded<CloudImage>>),
) -> Result<Next, ClusterError> {
    let mut reporter = Reporter::new(ctx, image, &desired);
    let ledger = match Ledger::parse(image.status.as_ref()) {
        Ok(ledger) => ledger.not_after(ctx.clock.now()),
        Err(error) => return reporter.unreadable_ledger(&error).await,
    };
    reporter.init_status().await?;
    if image.metadata.deletion_timestamp.is_some() {
        if let Some(passed) = leave_unseen(ctx, image, &mut reporter, &desired, &ledger).await? {
            return Ok(passed);
        }
        let replica = desired.replica.as_deref().filter(|_| image.spec.deletion_policy == ImageDeletionPolicy::Retain);
        let kept = need(ctx, image, &desired, &ledger).kept_by_others(replica);
        if let Some(kept) = kept.filter(|_| asked.changed()) {
            let report = Report { seen: false, ..Report::seen(ledger.clone(), None, None) };
            return reporter.finish(report, &blockers(&desired.shares, &ledger), Some(kept)).await;
        }
    }
    let priority = need(ctx, image, &desired, &ledger).priority(asked.changed());
    let (account, region) = (&image.spec.account_ref.name, &image.spec.region);
    let Some(seat) = worker.begin(account, region, asked.with(priority)) else { return Ok(Next::Queued) };
    seat.call(Box::pin(act(ctx, image, &mut reporter, (&desired, ledger), priority))).await
}

/// The part of a reconcile that may call the cloud.
async fn act(
    ctx: &Context,
    image: &CloudImage,
    reporter: &mut Reporter<'_>,
    (desired, ledger): (&Desired, Ledger),
    priority: Priority,
) -> Result<Next, ClusterError> {
    let deleting = image.metadata.deletion_timestamp.is_some();
    let site = match observe_site(ctx, image, desired).await {
        Ok(site) => site,
        // The active object acts for the image: the deletion of this duplicate calls no cloud.
        Err(problem)
            if deleting
                && problem.reason == Reason::DuplicateImage
                && blockers(&desired.shares, &ledger).is_empty() =>
        {
            return leave(ctx, image, reporter, false).await;
        }
        Err(problem) => return unseen(ctx, image, reporter, (desired, &ledger), problem).await,
    };
    if let Some(problem) = site.only_to_end.clone().filter(|_| priority != Priority::Revoke && !deleting) {
        return unseen(ctx, image, reporter, (desired, &ledger), problem).await;
    }
    let granted = ledger.holds_anything();
    let followed = match &ledger.job {
        Some(job) => {
            let cloud = site.connection.cloud.as_ref();
            follow(ctx, cloud, &site.at.region, job, priority.max(Priority::Edit)).await.map(Some)
        }
        None => Ok(None),
    };
    let (seen, failed) = match followed {
        Ok(Some(Followed::Running(until))) => return Ok(Next::Requeue(Requeue::Waiting(until))),
        Ok(Some(Followed::Failed(fault))) => (observe(ctx, image, &site, (priority, granted)).await, Some(fault)),
        Ok(Some(Followed::Ended) | None) => (observe(ctx, image, &site, (priority, granted)).await, None),
        Err(fault) => (Err(fault), None),
    };
    let seen = match seen {
        Ok(seen) => seen,
        // A resync without room in the call budget learned nothing: requeue it, and leave the status unchanged.
        Err(Fault::BudgetSpent { retry_after }) if priority == Priority::Resync => {
            return Ok(Next::Requeue(Requeue::Waiting(later(ctx, retry_after))));
        }
        // The same in a process that stops: the next process reconciles the image.
        Err(Fault::NotLeading) => return Ok(Next::Requeue(Requeue::Retrying { not_before: None })),
        Err(fault) => {
            note_fault(ctx, desired, &fault).await;
            return unseen(ctx, image, reporter, (desired, &ledger), Problem::from(&fault)).await;
        }
    };
    if seen.image.as_ref().is_some_and(|facts| facts.ownership == Ownership::Own) && desired.duplicates.must_claim() {
        return reporter.claim().await;
    }
    let requested = is_requested(image);
    let pass = Pass { ctx, image, desired, site: &site, priority, deleting, requested };
    let (ledger, problem) = pass.learn(ledger, failed.as_ref(), &seen);
    let mut report = match &seen.image {
        None => pass.absent(&ledger, seen.at),
        Some(facts) if facts.ownership != Ownership::Own => Report::seen(ledger.clone(), None, Some(facts.clone())),
        Some(_) => pass.share(reporter, &ledger, seen, problem.is_some()).await?,
    };
    report.problem = report.problem.or(problem);
    pass.depart(reporter, report).await
}

/// Observes the image. The reconcile after a job reuses the image as read before the job.
async fn observe(ctx: &Context, image: &CloudImage, site: &Site, how: (Priority, bool)) -> Result<Seen, Fault> {
    let carried = ctx.states.take_carried(&image.uid().unwrap_or_default(), ctx.clock.now());
    observe_image(ctx, site.connection.cloud.as_ref(), &site.at, how, carried).await
}

/// Releases a deleting image without calling the cloud, if Kubernetes holds nothing more for it.
async fn leave_unseen(
    ctx: &Context,
    image: &CloudImage,
    reporter: &mut Reporter<'_>,
    desired: &Desired,
    ledger: &Ledger,
) -> Result<Option<Next>, ClusterError> {
    if image.spec.deletion_policy == ImageDeletionPolicy::Delete || ledger.holds_anything() {
        return Ok(None);
    }
    if desired.replica.is_some() || !blockers(&desired.shares, ledger).is_empty() {
        return Ok(None);
    }
    leave(ctx, image, reporter, false).await.map(Some)
}

/// Releases the object, if the API server itself lists no share that names it. `image_gone`: the image is proven absent at the
/// cloud, so that nobody has it, whatever the ledger says.
async fn leave(
    ctx: &Context,
    image: &CloudImage,
    reporter: &mut Reporter<'_>,
    image_gone: bool,
) -> Result<Next, ClusterError> {
    let fresh = list_shares_afresh(ctx, image, reporter.version()).await?;
    let holds_nothing = Ledger::parse(image.status.as_ref()).is_ok_and(|ledger| image_gone || !ledger.holds_anything());
    let wanted_by_nobody = blockers(&fresh, &Ledger::default()).is_empty();
    if !(holds_nothing && wanted_by_nobody) {
        return Ok(Next::Requeue(Requeue::Retrying { not_before: None }));
    }
    release(ctx, &reporter.current()).await?;
    Ok(Next::Gone)
}

/// How to release a `CloudImage` that has nothing left but the image itself to delete.
const RETAIN: &str = "set deletionPolicy: Retain to leave the image at the cloud and let this object go";

async fn unseen(
    ctx: &Context,
    image: &CloudImage,
    reporter: &mut Reporter<'_>,
    (desired, ledger): (&Desired, &Ledger),
    problem: Problem,
) -> Result<Next, ClusterError> {
    let now = ctx.clock.now();
    let wanted = DesiredRecipients::gather_unjudged(&desired.shares, ledger, now);
    let settled = plan_unseen(ledger, &wanted, &desired.shares, now);
    let known = problem.reason != Reason::DuplicateImage;
    let waits_for_the_image = image.metadata.deletion_timestamp.is_some()
        && image.spec.deletion_policy == ImageDeletionPolicy::Delete
        && !settled.holds_anything();
    let problem = if waits_for_the_image { problem.or_if_closed(RETAIN) } else { problem };
    reporter.problem(&settled, problem, known).await
}

async fn note_fault(ctx: &Context, desired: &Desired, fault: &Fault) {
    if let Some(account) = &desired.account {
        ctx.connections.note(account, fault).await;
    }
}

struct Pass<'a> {
    ctx: &'a Context,
    image: &'a CloudImage,
    desired: &'a Desired,
    site: &'a Site,
    priority: Priority,
    deleting: bool,
    /// A user requested this reconcile.
    requested: bool,
}

impl Pass<'_> {
    fn uid(&self) -> String {
        self.image.uid().unwrap_or_default()
    }

    /// The ledger after the job it recorded has ended.
    fn learn(&self, ledger: Ledger, failed: Option<&Fault>, seen: &Seen) -> (Ledger, Option<Problem>) {
        if ledger.job.is_none() {
            return (ledger, None);
        }
        let candidates = self.ctx.states.candidates(&self.uid());
        let lesson = match failed {
            Some(fault) => record_failure(&ledger, fault, &seen.recipients, candidates, seen.at),
            None => record_success(&ledger, candidates),
        };
        self.ctx.states.set_candidates(&self.uid(), lesson.candidates);
        (lesson.ledger, lesson.problem)
    }

    fn absent(&self, ledger: &Ledger, at: jiff::Timestamp) -> Report {
        let window = self.ctx.settings.timing.absence_window;
        let (settled, look_again) = plan_absent(ledger, &self.desired.shares, window, at);
        let mut report = Report::seen(settled, None, None);
        report.look_again = look_again;
        report
    }

    /// Evaluates the shares at the time of the read: one may have expired since the reconcile began.
    fn plan(&self, ledger: &Ledger, seen: &Seen) -> Option<Plan> {
        let shares = &self.desired.shares;
        let wanted = DesiredRecipients::gather(&self.site.terms, shares, ledger, seen.at);
        let duplicates = &self.desired.duplicates;
        let ledger = &hand_over(ledger, &wanted, &duplicates.granted_by_active());
        // Somebody asked for the recipients of duplicates, though not through this object.
        let asked_for_elsewhere = duplicates.others_granted();
        let unmanaged = self.image.spec.unmanaged_recipients;
        let input = PlanInput {
            now: seen.at,
            timing: self.ctx.settings.timing,
            others_until: self.ctx.others_until(),
            terms: &self.site.terms,
            unmanaged: if asked_for_elsewhere { UnmanagedRecipients::Report } else { unmanaged },
            visibility_change: self.image.spec.visibility_change,
            deleting: self.deleting || self.site.only_to_end.is_some(),
            requested: self.requested,
            shares,
            desired: &wanted,
            ledger,
            image: seen.image.as_ref()?,
            recipients: &seen.recipients,
        };
        Some(plan(&input))
    }

    /// Makes the image's recipients match the plan. `pause`: a job just failed in a way that only time or a user can fix, and the
    /// same call would fail again: report the observed state, and leave the calls to the next reconcile.
    async fn share(
        &self,
        reporter: &mut Reporter<'_>,
        ledger: &Ledger,
        seen: Seen,
        pause: bool,
    ) -> Result<Report, ClusterError> {
        let Some(mut first) = self.plan(ledger, &seen) else {
            return Ok(self.absent(ledger, seen.at));
        };
        if !first.acts() {
            let look_again = first.look_again;
            return Ok(Report { look_again, ..Report::seen(first.settled.clone(), Some(first), seen.image) });
        }
        let intended = first.with_intents(seen.at);
        if pause {
            let recorded = record(&intended, ledger, &BatchResult::default(), seen.at);
            return Ok(Report::seen(recorded, Some(first), seen.image));
        }
        planted!("call-before-ledger", reporter.record_intent(&intended).await?, ());
        let listed = list_shares_afresh(self.ctx, self.image, reporter.version()).await?;
        let fresh = planted!("list-from-cache", listed, self.desired.shares.clone());
        let fresh_wanted = DesiredRecipients::gather(&self.site.terms, &fresh, ledger, self.ctx.clock.now());
        confirm(&mut first, ledger, &fresh_wanted);
        if !first.acts() {
            // The cache lags behind the API server: its update will start the next reconcile.
            let recorded = record(&intended, ledger, &BatchResult::default(), self.ctx.clock.now());
            return Ok(Report { overtaken: true, ..Report::seen(recorded, Some(first), seen.image) });
        }
        if first.open {
            return Ok(self.open(&intended, first, seen).await);
        }
        self.batch(ledger, &intended, first, seen).await
    }

    /// Opens the private image for sharing; the next reconcile observes who has it then.
    async fn open(&self, intended: &Ledger, plan: Plan, seen: Seen) -> Report {
        let opened =
            self.site.connection.cloud.open_for_sharing(&self.site.at, self.priority.max(Priority::Edit)).await;
        let mut report = Report::seen(intended.clone(), Some(plan), seen.image);
        report.look_again = Some(self.ctx.clock.now());
        if let Err(fault) = opened {
            note_fault(self.ctx, self.desired, &fault).await;
            report.problem = Some(Problem::from(&fault));
        }
        report
    }

    /// Makes the calls and observes their effect; where a job carries them out, the next reconciles observe it.
    async fn batch(&self, ledger: &Ledger, intended: &Ledger, first: Plan, seen: Seen) -> Result<Report, ClusterError> {
        let cloud = self.site.connection.cloud.as_ref();
        let (mut add, remove) = (first.add.clone(), first.remove.clone());
        add.truncate(most_at_once(self.ctx.states.candidates(&self.uid())));
        let mut batch = Batch::new(add, remove, first.free_places, cloud.call_shape());
        if intended.image_refusal.is_some() {
            batch = batch.of_refused_image();
        }
        // Drift that a resync found is still worth a call that waits for a token.
        let priority = if first.remove.is_empty() { self.priority.max(Priority::Edit) } else { Priority::Revoke };
        let (ending, requests) = execute(cloud, &self.site.at, batch, priority).await;
        self.ctx.states.access_notes(&self.uid(), |notes| notes.note_requests(requests));
        if let Some(fault) = &ending.fault {
            note_fault(self.ctx, self.desired, fault).await;
        }
        let now = self.ctx.clock.now();
        let recorded = record(intended, ledger, &ending, now);
        if let Some(job) = &recorded.job {
            let look_again = Some(next_job_look(job.since, now));
            if let Some(facts) = seen.image.clone() {
                self.ctx.states.carry(&self.uid(), facts, seen.at);
            }
            return Ok(Report { look_again, ..Report::seen(recorded, Some(first), seen.image) });
        }
        let fault = ending.fault;
        let after = match fault.clone().filter(Fault::closes_the_account) {
            Some(closed) => Err(closed),
            None => observe_recipients(cloud, &self.site.at, priority).await,
        };
        let after = match after {
            Ok(recipients) => Seen { at: self.ctx.clock.now(), image: seen.image, recipients },
            Err(unread) => {
                let mut report = Report::seen(recorded, Some(first), seen.image);
                report.problem = Some(Problem::from(&fault.unwrap_or(unread)));
                return Ok(report);
            }
        };
        let second = self.plan(&recorded, &after);
        Ok(after_calls(second, recorded, after, fault))
    }

    /// Writes the report; decides whether to release an object that is being deleted.
    async fn depart(&self, reporter: &mut Reporter<'_>, mut report: Report) -> Result<Next, ClusterError> {
        report.only_to_end.clone_from(&self.site.only_to_end);
        let blockers = blockers(&self.desired.shares, &report.ledger);
        if !self.deleting {
            return reporter.finish(report, &blockers, None).await;
        }
        let now = self.ctx.clock.now();
        let window = self.ctx.settings.timing.absence_window;
        let observed = match (&report.facts, report.ledger.absent_since) {
            (Some(facts), _) => ObservedImage::Present { ownership: &facts.ownership, recipients: report.present() },
            (None, Some(since)) => ObservedImage::Absent { since },
            (None, None) => ObservedImage::Unseen,
        };
        let is_active = self.desired.duplicates.obstacle().is_none();
        let policy = if is_active { self.image.spec.deletion_policy } else { ImageDeletionPolicy::Retain };
        match plan_deletion(&blockers, self.desired.replica.as_deref(), &report.ledger, policy, observed, window, now) {
            DeletionDecision::Held(problem) => reporter.finish(report, &blockers, Some(problem)).await,
            DeletionDecision::Await(until) => {
                report.look_again = until.or(report.look_again);
                reporter.finish(report, &blockers, None).await
            }
            DeletionDecision::Asked(until) => {
                report.look_again = Some(until);
                reporter.finish(report, &blockers, Some(deletion_asked())).await
            }
            DeletionDecision::Release => {
                let image_gone = matches!(observed, ObservedImage::Absent { .. });
                reporter.finish(report, &blockers, None).await?;
                leave(self.ctx, self.image, reporter, image_gone).await
            }
            DeletionDecision::Delete => self.delete(reporter, report, &blockers).await,
        }
    }

    /// Asks the cloud to delete the image, once the ledger records the call. Later reads, not the response, show whether the
    /// image is gone.
    async fn delete(
        &self,
        reporter: &mut Reporter<'_>,
        mut report: Report,
        keeping: &[String],
    ) -> Result<Next, ClusterError> {
        let asked = ask_again(&report.ledger, self.ctx.clock.now());
        reporter.record_intent(&asked).await?;
        let fresh = list_shares_afresh(self.ctx, self.image, reporter.version()).await?;
        if !blockers(&fresh, &report.ledger).is_empty() {
            return Ok(Next::Requeue(Requeue::Retrying { not_before: None }));
        }
        match self.site.connection.cloud.delete_image(&self.site.at).await {
            Ok(()) | Err(Fault::NotFound(Missing::Image)) => {
                tracing::info!(image.id = %self.site.at.image, "asked the cloud to delete the image");
                report.ledger = asked;
                report.look_again = Some(self.ctx.clock.now());
                reporter.finish(report, keeping, Some(deletion_asked())).await
            }
            Err(fault) => {
                note_fault(self.ctx, self.desired, &fault).await;
                reporter.finish(report, keeping, Some(Problem::from(&fault))).await
            }
        }
    }
}

/// The report after the calls: further steps follow at once, unless a fault requires a pause.
fn after_calls(second: Option<Plan>, recorded: Ledger, after: Seen, fault: Option<Fault>) -> Report {
    let Some(second) = second else { return Report::seen(recorded, None, after.image) };
    let more = second.acts() && fault.is_none();
    let look_again = if more { Some(after.at) } else { second.look_again };
    let mut report = Report::seen(second.settled.clone(), Some(second), after.image);
    report.look_again = look_again;
    report.problem = fault.map(|fault| Problem::from(&fault));
    report
}
