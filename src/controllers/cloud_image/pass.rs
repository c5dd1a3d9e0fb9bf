//! One pass over one image: observe, plan, write the intent, list the shares afresh, execute, observe again, report.

use kube::ResourceExt;

use super::observe::{Desired, Seen, Site, list_shares_afresh, observe_image, observe_recipients, observe_site};
use super::report::{Report, Reporter};
use crate::api::CloudImage;
use crate::api::cloud_image::ImageDeletionPolicy;
use crate::api::conditions::{READY, Reason, find};
use crate::clouds::fault::Missing;
use crate::clouds::{Fault, Lane};
use crate::cluster::guard::Guarded;
use crate::cluster::{ClusterError, finalizers};
use crate::controllers::admission::Worker;
use crate::controllers::context::Context;
use crate::controllers::convert::requested_at;
use crate::controllers::execute::execute;
use crate::controllers::jobs::{Followed, follow};
use crate::controllers::rhythm::{Asked, Passed, later};
use crate::domain::image::Ownership;
use crate::domain::share::{Consent, Share, Standing};
use crate::planning::aftermath::{learn_from_failure, learn_from_success, most_at_once, record};
use crate::planning::deletion::{Departure, Sight, held_by_replica, held_by_shares, plan_departure};
use crate::planning::exchange::{Ending, Exchange};
use crate::planning::ledger::Ledger;
use crate::planning::schedule::{Verdict, next_job_look};
use crate::planning::sharing::{Plan, Scene, confirm, plan, plan_absent, plan_unseen};
use crate::planning::trouble::Trouble;
use crate::planning::wishes::Wishes;

/// Runs one pass, once its turn to call the cloud has come.
pub(super) async fn run(
    ctx: &Context,
    image: &CloudImage,
    desired: Desired,
    (asked, worker): (Asked, Worker<Guarded<CloudImage>>),
) -> Result<Passed, ClusterError> {
    let mut reporter = Reporter::new(ctx, image, &desired);
    reporter.through(desired.account.as_ref());
    let ledger = match Ledger::parse(image.status.as_ref()) {
        Ok(ledger) => ledger,
        Err(error) => {
            let message = format!("status cannot be read ({error}): nothing is concluded from half a ledger");
            return reporter.trouble(&Ledger::default(), Trouble::blocked(Reason::Unreadable, message), true).await;
        }
    };
    reporter.announce().await?;
    if image.metadata.deletion_timestamp.is_some() {
        if let Some(passed) = leave_unseen(ctx, image, &mut reporter, &desired, &ledger).await? {
            return Ok(passed);
        }
        if asked.changed()
            && let Some(kept) = kept_by_others(ctx, image, &desired, &ledger)
        {
            let report = Report { seen: false, ..Report::seen(ledger.clone(), None, None) };
            return reporter.finish(report, &blockers(&desired.shares, &ledger), Some(kept)).await;
        }
    }
    let lane = lane(ctx, image, &desired, &ledger, asked.changed());
    let (account, region) = (&image.spec.account_ref.name, &image.spec.region);
    let Some(seat) = worker.begin(account, region, asked.with(lane)) else { return Ok(Passed::Queued) };
    seat.call(Box::pin(act(ctx, image, &mut reporter, (&desired, ledger), lane))).await
}

/// The part of a pass that may call the cloud.
async fn act(
    ctx: &Context,
    image: &CloudImage,
    reporter: &mut Reporter<'_>,
    (desired, ledger): (&Desired, Ledger),
    lane: Lane,
) -> Result<Passed, ClusterError> {
    let deleting = image.metadata.deletion_timestamp.is_some();
    let site = match observe_site(ctx, image, desired).await {
        Ok(site) => site,
        // The elder acts for the image; this one's going touches no cloud.
        Err(trouble)
            if deleting
                && trouble.reason == Reason::DuplicateImage
                && blockers(&desired.shares, &ledger).is_empty() =>
        {
            return leave(ctx, image, reporter).await;
        }
        Err(trouble) => return unseen(ctx, reporter, desired, &ledger, trouble).await,
    };
    if let Some(trouble) = site.only_to_end.clone().filter(|_| lane != Lane::Revoke && !deleting) {
        return unseen(ctx, reporter, desired, &ledger, trouble).await;
    }
    let followed = match &ledger.job {
        Some(job) => {
            let cloud = site.connection.cloud.as_ref();
            follow(ctx, cloud, &site.at.region, job, lane.max(Lane::Edit)).await.map(Some)
        }
        None => Ok(None),
    };
    let (seen, failed) = match followed {
        Ok(Some(Followed::Running(until))) => return Ok(Passed::LookAgain(Verdict::Waiting(until))),
        Ok(Some(Followed::Failed(fault))) => (pass_sight(ctx, image, &site, lane).await, Some(fault)),
        Ok(Some(Followed::Ended) | None) => (pass_sight(ctx, image, &site, lane).await, None),
        Err(fault) => (Err(fault), None),
    };
    let seen = match seen {
        Ok(seen) => seen,
        // A look around that found no room in the budget tells nothing: it comes again, and no status moves.
        Err(Fault::BudgetSpent { retry_after }) if lane == Lane::Resync => {
            return Ok(Passed::LookAgain(Verdict::Waiting(later(ctx, retry_after))));
        }
        // So does one of a process that stops: the next one makes it.
        Err(Fault::NotLeading) => return Ok(Passed::LookAgain(Verdict::Retrying { not_before: None })),
        Err(fault) => {
            note_fault(ctx, desired, &fault).await;
            return unseen(ctx, reporter, desired, &ledger, Trouble::from(&fault)).await;
        }
    };
    let pass = Pass { ctx, image, desired, site: &site, lane, deleting };
    let (ledger, trouble) = pass.learn(ledger, failed.as_ref(), &seen);
    let mut report = match &seen.image {
        None => pass.absent(&ledger, seen.at),
        Some(facts) if facts.ownership != Ownership::Own => Report::seen(ledger.clone(), None, Some(facts.clone())),
        Some(_) => pass.share(reporter, &ledger, seen, trouble.is_some()).await?,
    };
    report.trouble = report.trouble.or(trouble);
    pass.depart(reporter, report).await
}

/// What this pass sees of the image; what was read before a job still counts in the pass after it.
async fn pass_sight(ctx: &Context, image: &CloudImage, site: &Site, lane: Lane) -> Result<Seen, Fault> {
    let carried = ctx.memories.take_carried(&image.uid().unwrap_or_default(), ctx.clock.now());
    observe_image(ctx, site.connection.cloud.as_ref(), &site.at, lane, carried).await
}

/// A deleting image that nothing is left of in Kubernetes needs no cloud to go.
async fn leave_unseen(
    ctx: &Context,
    image: &CloudImage,
    reporter: &mut Reporter<'_>,
    desired: &Desired,
    ledger: &Ledger,
) -> Result<Option<Passed>, ClusterError> {
    if image.spec.deletion_policy == ImageDeletionPolicy::Delete || ledger.holds_anything() || desired.blind() {
        return Ok(None);
    }
    if desired.replica.is_some() || !blockers(&desired.shares, ledger).is_empty() {
        return Ok(None);
    }
    leave(ctx, image, reporter).await.map(Some)
}

/// Lets the object go, if the API server itself knows of no share that names it.
async fn leave(ctx: &Context, image: &CloudImage, reporter: &mut Reporter<'_>) -> Result<Passed, ClusterError> {
    let (fresh, unreadable) = list_shares_afresh(ctx, image, reporter.version()).await?;
    let holds_nothing = Ledger::parse(image.status.as_ref()).is_ok_and(|ledger| !ledger.holds_anything());
    let wanted_by_nobody = unreadable.is_empty() && blockers(&fresh, &Ledger::default()).is_empty();
    if !(holds_nothing && wanted_by_nobody) {
        return Ok(Passed::LookAgain(Verdict::Retrying { not_before: None }));
    }
    finalizers::release(&ctx.client, &reporter.current()).await?;
    Ok(Passed::Gone)
}

/// Shares that keep the image: those its owner lets in, and those it still serves.
pub(super) fn blockers(shares: &[Share], ledger: &Ledger) -> Vec<String> {
    shares
        .iter()
        .filter(|share| share.consent != Consent::Withheld || ledger.shares.contains_key(&share.uid))
        .map(Share::full_name)
        .collect()
}

async fn unseen(
    ctx: &Context,
    reporter: &mut Reporter<'_>,
    desired: &Desired,
    ledger: &Ledger,
    trouble: Trouble,
) -> Result<Passed, ClusterError> {
    let now = ctx.clock.now();
    let wishes = Wishes::gather_unjudged(&desired.shares, desired.blind(), now);
    let settled = plan_unseen(ledger, &wishes, &desired.shares, now);
    let known = trouble.reason != Reason::DuplicateImage;
    reporter.trouble(&settled, trouble, known).await
}

async fn note_fault(ctx: &Context, desired: &Desired, fault: &Fault) {
    if let Some(account) = &desired.account {
        ctx.connections.note(account, fault).await;
    }
}

/// Whether the ledger shows everything as served: a look would only tell what others changed at the cloud.
pub(super) fn asks_for_nothing(ctx: &Context, image: &CloudImage, desired: &Desired) -> bool {
    let ledger = Ledger::parse(image.status.as_ref());
    ledger.is_ok_and(|ledger| lane(ctx, image, desired, &ledger, true) == Lane::Resync) && !desired.blind()
}

/// In which lane a look travels. After a restart everything looks changed; what the ledger shows as served is not.
fn lane(ctx: &Context, image: &CloudImage, desired: &Desired, ledger: &Ledger, changed: bool) -> Lane {
    let edited =
        is_amiss(image) || image.status.as_ref().and_then(|s| s.observed_generation) != image.metadata.generation;
    if ends_access(ctx, image, desired, ledger) {
        Lane::Revoke
    } else if ledger.job.is_some() || (changed && (edited || is_unserved(ctx, desired, ledger))) {
        // A job is asked for until its end can be read: what it did is not known before.
        Lane::Edit
    } else {
        Lane::Resync
    }
}

/// Whether somebody's access is to end and may: nothing goes before that. An image that is being deleted ends nobody's
/// while others keep it, and nobody's ends while a share cannot be read.
fn ends_access(ctx: &Context, image: &CloudImage, desired: &Desired, ledger: &Ledger) -> bool {
    let now = ctx.clock.now();
    let ended = |share: &Share| share.standing(now) == Standing::Ended && ledger.shares.contains_key(&share.uid);
    let last = image.metadata.deletion_timestamp.is_some() && blockers(&desired.shares, ledger).is_empty();
    let ends = ledger.revoking().next().is_some() || desired.shares.iter().any(ended);
    !desired.blind() && (ends || (last && ledger.holds_anything()))
}

/// Whether a share wishes something that was not decided about yet.
fn is_unserved(ctx: &Context, desired: &Desired, ledger: &Ledger) -> bool {
    let now = ctx.clock.now();
    desired.shares.iter().any(|share| {
        let served = ledger.shares.get(&share.uid).map(|served| served.generation);
        share.standing(now) == Standing::Wishing && served != Some(share.generation)
    })
}

/// What changed for an image that is not as asked, such as its account's credentials, is somebody's act too: it must not
/// starve behind looks around. So is a request to look now.
fn is_amiss(image: &CloudImage) -> bool {
    let status = image.status.as_ref();
    let ready = status.and_then(|s| find(&s.conditions, READY)).is_some_and(|condition| condition.status == "True");
    !ready
        || requested_at(image).is_some_and(|at| status.and_then(|s| s.last_handled_reconcile_at.as_ref()) != Some(&at))
}

/// Who keeps a deleting image that is as asked otherwise: the cloud could say nothing about it that matters now.
fn kept_by_others(ctx: &Context, image: &CloudImage, desired: &Desired, ledger: &Ledger) -> Option<Trouble> {
    let asks = ledger.job.is_some() || ends_access(ctx, image, desired, ledger) || is_unserved(ctx, desired, ledger);
    let replica = held_by_replica(desired.replica.as_deref());
    let replica = replica.filter(|_| image.spec.deletion_policy == ImageDeletionPolicy::Retain);
    let keeps = held_by_shares(&blockers(&desired.shares, ledger)).or(replica);
    keeps.filter(|_| !asks && !is_amiss(image))
}

struct Pass<'a> {
    ctx: &'a Context,
    image: &'a CloudImage,
    desired: &'a Desired,
    site: &'a Site,
    lane: Lane,
    deleting: bool,
}

impl Pass<'_> {
    fn uid(&self) -> String {
        self.image.uid().unwrap_or_default()
    }

    /// The ledger once the job it knew of is over.
    fn learn(&self, ledger: Ledger, failed: Option<&Fault>, seen: &Seen) -> (Ledger, Option<Trouble>) {
        if ledger.job.is_none() {
            return (ledger, None);
        }
        let suspects = self.ctx.memories.suspects(&self.uid());
        let lesson = match failed {
            Some(fault) => learn_from_failure(&ledger, fault, &seen.recipients, suspects, seen.at),
            None => learn_from_success(&ledger, suspects),
        };
        self.ctx.memories.suspect(&self.uid(), lesson.suspects);
        (lesson.ledger, lesson.trouble)
    }

    fn absent(&self, ledger: &Ledger, at: jiff::Timestamp) -> Report {
        let window = self.ctx.settings.timing.absence_window;
        let (settled, look_again) = plan_absent(ledger, &self.desired.shares, window, at);
        let mut report = Report::seen(settled, None, None);
        report.look_again = look_again;
        report
    }

    /// What the shares wish is told as of the look: one may have ended by itself since the pass began.
    fn plan(&self, ledger: &Ledger, seen: &Seen) -> Option<Plan> {
        let shares = &self.desired.shares;
        let wishes = Wishes::gather(&self.site.terms, shares, self.desired.blind(), seen.at);
        let scene = Scene {
            now: seen.at,
            timing: self.ctx.settings.timing,
            others_until: self.ctx.others_until(),
            terms: &self.site.terms,
            unmanaged: self.image.spec.unmanaged_recipients,
            visibility_change: self.image.spec.visibility_change,
            deleting: self.deleting || self.site.only_to_end.is_some(),
            shares,
            wishes: &wishes,
            ledger,
            image: seen.image.as_ref()?,
            recipients: &seen.recipients,
        };
        Some(plan(&scene))
    }

    /// Brings the image's recipients into step. `pause`: a job just failed in a way that only time or a person mends, and the
    /// same call would fail again: what is seen is reported, and the calls wait for the next look.
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
            let recorded = record(&intended, ledger, &Ending::default(), seen.at);
            return Ok(Report::seen(recorded, Some(first), seen.image));
        }
        reporter.intend(&intended).await?;
        let (fresh, unreadable) = list_shares_afresh(self.ctx, self.image, reporter.version()).await?;
        let blind = !unreadable.is_empty();
        let fresh_wishes = Wishes::gather(&self.site.terms, &fresh, blind, self.ctx.clock.now());
        confirm(&mut first, ledger, &fresh_wishes);
        if !first.acts() {
            // The cache lags behind the API server: what it will show starts the next pass.
            let recorded = record(&intended, ledger, &Ending::default(), self.ctx.clock.now());
            return Ok(Report { overtaken: true, ..Report::seen(recorded, Some(first), seen.image) });
        }
        if first.open {
            return Ok(self.open(&intended, first, seen).await);
        }
        self.exchange(ledger, &intended, first, seen).await
    }

    /// Makes the private image shared: who has it then is told by the next look.
    async fn open(&self, intended: &Ledger, plan: Plan, seen: Seen) -> Report {
        let opened = self.site.connection.cloud.open_for_sharing(&self.site.at, self.lane.max(Lane::Edit)).await;
        let mut report = Report::seen(intended.clone(), Some(plan), seen.image);
        report.look_again = Some(self.ctx.clock.now());
        if let Err(fault) = opened {
            note_fault(self.ctx, self.desired, &fault).await;
            report.trouble = Some(Trouble::from(&fault));
        }
        report
    }

    /// Makes the calls and looks at what they did; where a job does it, the next looks do.
    async fn exchange(
        &self,
        ledger: &Ledger,
        intended: &Ledger,
        first: Plan,
        seen: Seen,
    ) -> Result<Report, ClusterError> {
        let cloud = self.site.connection.cloud.as_ref();
        let (mut add, remove) = (first.add.clone(), first.remove.clone());
        add.truncate(most_at_once(self.ctx.memories.suspects(&self.uid())));
        let exchange = Exchange::new(add, remove, first.free_places, cloud.call_shape());
        // What was found by a look around is still worth a call that waits for its turn.
        let lane = if first.remove.is_empty() { self.lane.max(Lane::Edit) } else { Lane::Revoke };
        let ending = execute(cloud, &self.site.at, exchange, lane).await;
        if let Some(fault) = &ending.fault {
            note_fault(self.ctx, self.desired, fault).await;
        }
        let now = self.ctx.clock.now();
        let recorded = record(intended, ledger, &ending, now);
        if let Some(job) = &recorded.job {
            let look_again = Some(next_job_look(job.since, now));
            if let Some(facts) = seen.image.clone() {
                self.ctx.memories.carry(&self.uid(), facts, seen.at);
            }
            return Ok(Report { look_again, ..Report::seen(recorded, Some(first), seen.image) });
        }
        let fault = ending.fault;
        let after = match fault.clone().filter(Fault::closes_the_account) {
            Some(closed) => Err(closed),
            None => observe_recipients(cloud, &self.site.at, lane).await,
        };
        let after = match after {
            Ok(recipients) => Seen { at: self.ctx.clock.now(), image: seen.image, recipients },
            Err(unread) => {
                let mut report = Report::seen(recorded, Some(first), seen.image);
                report.trouble = Some(Trouble::from(&fault.unwrap_or(unread)));
                return Ok(report);
            }
        };
        let second = self.plan(&recorded, &after);
        Ok(after_calls(second, recorded, after, fault))
    }

    /// Writes the report; where the object is being deleted, decides whether it may go.
    async fn depart(&self, reporter: &mut Reporter<'_>, mut report: Report) -> Result<Passed, ClusterError> {
        report.only_to_end.clone_from(&self.site.only_to_end);
        let blockers = blockers(&self.desired.shares, &report.ledger);
        if !self.deleting {
            return reporter.finish(report, &blockers, None).await;
        }
        let now = self.ctx.clock.now();
        let window = self.ctx.settings.timing.absence_window;
        let sight = match (&report.facts, report.ledger.absent_since) {
            (Some(facts), _) => Sight::Present { ownership: &facts.ownership, recipients: report.present() },
            (None, Some(since)) => Sight::Absent { since },
            (None, None) => Sight::Unseen,
        };
        let policy = self.image.spec.deletion_policy;
        match plan_departure(&blockers, self.desired.replica.as_deref(), &report.ledger, policy, sight, window, now) {
            Departure::Held(trouble) => reporter.finish(report, &blockers, Some(trouble)).await,
            Departure::Await(until) => {
                report.look_again = until.or(report.look_again);
                reporter.finish(report, &blockers, None).await
            }
            Departure::Release => {
                reporter.finish(report, &blockers, None).await?;
                leave(self.ctx, self.image, reporter).await
            }
            Departure::Delete => self.delete(reporter, report, &blockers).await,
        }
    }

    /// Deletes the image at the cloud. That it is gone is told by the next looks, not by the answer.
    async fn delete(
        &self,
        reporter: &mut Reporter<'_>,
        mut report: Report,
        blockers: &[String],
    ) -> Result<Passed, ClusterError> {
        reporter.intend(&report.ledger).await?;
        let (fresh, unreadable) = list_shares_afresh(self.ctx, self.image, reporter.version()).await?;
        if !unreadable.is_empty() || !self::blockers(&fresh, &report.ledger).is_empty() {
            return Ok(Passed::LookAgain(Verdict::Retrying { not_before: None }));
        }
        match self.site.connection.cloud.delete_image(&self.site.at).await {
            Ok(()) | Err(Fault::NotFound(Missing::Image)) => {
                tracing::info!(image.id = %self.site.at.image, "deleted the image at the cloud");
                reporter.image_deleted().await;
                report.facts = None;
                report.look_again = Some(self.ctx.clock.now());
                reporter.finish(report, blockers, None).await
            }
            Err(fault) => {
                note_fault(self.ctx, self.desired, &fault).await;
                reporter.finish(report, blockers, Some(Trouble::from(&fault))).await
            }
        }
    }
}

/// What is known after the calls: more to do comes at once, unless a fault asks for a pause.
fn after_calls(second: Option<Plan>, recorded: Ledger, after: Seen, fault: Option<Fault>) -> Report {
    let Some(second) = second else { return Report::seen(recorded, None, after.image) };
    let more = second.acts() && fault.is_none();
    let look_again = if more { Some(after.at) } else { second.look_again };
    let mut report = Report::seen(second.settled.clone(), Some(second), after.image);
    report.look_again = look_again;
    report.trouble = fault.map(|fault| Trouble::from(&fault));
    report
}
