//! The part of an image's reconcile that may call the cloud: observe, plan, record the intent, list the shares afresh, execute,
//! observe again, report.

use std::ops::ControlFlow::{self, Break, Continue};

use jiff::Timestamp;
use kube::ResourceExt;

use super::copies::{cached_elsewhere, concerns_copies, execute_copies, fresh_elsewhere, observe_copies};
use super::execute::{execute, open};
use super::observe::observe_recipients;
use super::observe::{Desired, ImageAccess, Observed, list_shares_afresh, observe_access, observe_image};
use super::report::{ImageReporter, Report};
use crate::api::CloudImage;
use crate::api::cloud_image::{ImageDeletionPolicy, UnmanagedRecipients};
use crate::api::conditions::Reason;
use crate::clouds::{Fault, Priority};
use crate::cluster::ClusterError;
use crate::domain::fault::Recovery;
use crate::domain::image::Ownership;
use crate::planning::copies::{CopyInput, absent_image, record_all, record_none};
use crate::planning::deletion::blockers;
use crate::planning::desired::DesiredRecipients;
use crate::planning::duplicates::hand_over;
use crate::planning::ledger::Ledger;
use crate::planning::outcome::{most_at_once, record_failure, record_success};
use crate::planning::problem::Problem;
use crate::planning::schedule::next_job_poll;
use crate::planning::sharing::{Confirmed, Plan, PlanInput, ask_anew, plan};
use crate::planning::spelling::as_named;
use crate::planning::unseen::{plan_absent, plan_absent_image, plan_unseen};
use crate::reconcile::access::note_fault;
use crate::reconcile::context::Context;
use crate::reconcile::duplicates::CLAIM_SETTLES;
use crate::reconcile::jobs::follow;
use crate::reconcile::requeue::{Next, later, unobserved};

/// How to release a `CloudImage` that has nothing left but the image itself to delete.
const RETAIN: &str = "set deletionPolicy: Retain to leave the image at the cloud and let this object go";

/// One reconcile of one image.
pub(super) struct ImageReconcile<'a> {
    pub(super) ctx: &'a Context,
    pub(super) image: &'a CloudImage,
    pub(super) desired: &'a Desired,
    pub(super) priority: Priority,
    pub(super) deleting: bool,
    /// A user requested this reconcile.
    pub(super) requested: bool,
    pub(super) reporter: ImageReporter<'a>,
}

impl ImageReconcile<'_> {
    pub(super) async fn run(mut self, ledger: Ledger) -> Result<Next, ClusterError> {
        let ledger = ask_anew(ledger, &self.desired.shares, self.ctx.clock.now());
        let access = match observe_access(self.ctx, self.image, self.desired).await {
            Ok(access) => access,
            // The active object acts for the image: the deletion of this duplicate calls no cloud.
            Err(problem) if self.deleting && problem.reason == Reason::DuplicateImage && self.is_free(&ledger) => {
                return self.reporter.leave(false).await;
            }
            Err(problem) => return self.report_unobserved(&ledger, problem).await,
        };
        if let Some(problem) = access.only_to_end.clone()
            && self.priority != Priority::Revoke
            && !self.deleting
        {
            return self.report_unobserved(&ledger, problem).await;
        }
        let (mut observed, failed) = match self.observe(&access, &ledger).await {
            Continue(Ok(observed)) => observed,
            Continue(Err(fault)) => {
                note_fault(self.ctx, &self.desired.account, &fault).await;
                return self.report_unobserved(&ledger, Problem::from(&fault)).await;
            }
            Break(next) => return Ok(next),
        };
        let is_ours = observed.image.as_ref().is_some_and(|facts| facts.ownership == Ownership::Own);
        if is_ours && !self.desired.duplicates.may_act(self.ctx, self.image) {
            return Ok(Next::at(later(self.ctx, CLAIM_SETTLES)));
        }
        let (ledger, problem) = self.record_job(ledger, failed.as_ref(), &observed);
        if concerns_copies(&access.terms, &self.desired.shares, &ledger, observed.at) {
            self.observe_copies(&access, &ledger, &mut observed).await;
        }
        let mut report = match &observed.image {
            None if ledger.copies.is_empty() => self.report_absent(&access, &ledger, observed.at),
            None => self.share(&access, &ledger, observed, false).await?,
            Some(facts) if !is_ours => Report::observed(ledger.clone(), Some(facts.clone())),
            Some(_) => self.share(&access, &ledger, observed, problem.is_some()).await?,
        };
        report.problem = report.problem.or(problem);
        report.only_to_end.clone_from(&access.only_to_end);
        if self.deleting {
            return self.finish_deletion(&access, report).await;
        }
        let blockers = blockers(&self.desired.shares, &report.ledger);
        self.reporter.finish(report, &blockers, None).await
    }

    fn uid(&self) -> String {
        self.image.uid().unwrap_or_default()
    }

    /// Whether no other object blocks the deletion of the image.
    fn is_free(&self, ledger: &Ledger) -> bool {
        blockers(&self.desired.shares, ledger).is_empty()
    }

    /// Observes the job of the last calls, if there is one, and then the image. Returns the image and how the job failed. The
    /// reconcile after a job reuses the image as read before the job.
    async fn observe(
        &self,
        access: &ImageAccess,
        ledger: &Ledger,
    ) -> ControlFlow<Next, Result<(Observed, Option<Fault>), Fault>> {
        let cloud = access.connection.cloud.as_ref();
        let (job, priority) = (ledger.job.as_ref(), self.priority.max(Priority::Edit));
        let failed = match follow(self.ctx, cloud, &access.at.region, job, priority).await? {
            Ok(failed) => failed,
            Err(fault) => return unobserved(self.ctx, fault, self.priority).map_continue(Err),
        };
        let stashed = self.ctx.states.take_stashed(&self.uid(), self.ctx.clock.now());
        let how = (self.priority, ledger.holds_anything());
        match observe_image(self.ctx, cloud, &access.at, how, stashed).await {
            Ok(observed) => Continue(Ok((observed, failed))),
            Err(fault) => unobserved(self.ctx, fault, self.priority).map_continue(Err),
        }
    }

    /// Reads who may copy the image. What hides it hides nothing else.
    async fn observe_copies(&self, access: &ImageAccess, ledger: &Ledger, observed: &mut Observed) {
        let cloud = access.connection.cloud.as_ref();
        observed.copies = observe_copies(cloud, &access.at.region, ledger, observed, self.priority).await;
        observed.at = self.ctx.clock.now();
        if let Err(fault) = &observed.copies {
            note_fault(self.ctx, &self.desired.account, fault).await;
        }
    }

    /// Reports a reconcile that could not observe the cloud.
    async fn report_unobserved(&mut self, ledger: &Ledger, problem: Problem) -> Result<Next, ClusterError> {
        let (shares, now) = (&self.desired.shares, self.ctx.clock.now());
        let wanted = DesiredRecipients::gather_unjudged(shares, ledger, now);
        let settled = plan_unseen(ledger, &wanted, shares, now);
        let known = problem.reason != Reason::DuplicateImage;
        let deletes = self.deleting && self.image.spec.deletion_policy == ImageDeletionPolicy::Delete;
        let waits_for_the_image = deletes && !settled.holds_anything();
        let problem = if waits_for_the_image { problem.or_if_closed(RETAIN) } else { problem };
        let names = if known { blockers(shares, &settled) } else { Vec::new() };
        let report = Report { problem: Some(problem), ..Report::unobserved(settled) };
        self.reporter.finish(report, &names, None).await
    }

    /// The ledger after the job it recorded has ended.
    fn record_job(&self, ledger: Ledger, failed: Option<&Fault>, observed: &Observed) -> (Ledger, Option<Problem>) {
        if ledger.job.is_none() {
            return (ledger, None);
        }
        let candidates = self.ctx.states.candidates(&self.uid());
        let recorded = match failed {
            Some(fault) => record_failure(&ledger, fault, &observed.recipients, candidates, observed.at),
            None => record_success(&ledger, candidates),
        };
        self.ctx.states.set_candidates(&self.uid(), recorded.candidates);
        (recorded.ledger, recorded.problem)
    }

    fn report_absent(&self, access: &ImageAccess, ledger: &Ledger, at: Timestamp) -> Report {
        let window = self.ctx.settings.timing.of(access.terms.provider).absence_window;
        let (settled, requeue_at) = plan_absent(ledger, &self.desired.shares, window, at);
        Report { requeue_at, ..Report::observed(settled, None) }
    }

    /// Evaluates the shares at the time of the read: one may have expired since the reconcile began.
    fn plan(&self, access: &ImageAccess, ledger: &Ledger, observed: &Observed) -> Plan {
        let shares = &self.desired.shares;
        let wanted = DesiredRecipients::gather(&access.terms, shares, ledger, observed.at);
        let duplicates = &self.desired.duplicates;
        let ledger = &hand_over(ledger, &wanted, &duplicates.granted_by_active());
        // Somebody asked for the recipients of duplicates, though not through this object.
        let asked_for_elsewhere = duplicates.others_granted();
        let unmanaged = self.image.spec.unmanaged_recipients;
        let named = wanted.wanted.keys().chain(&wanted.held).chain(&wanted.retained).chain(ledger.grants.keys());
        let recipients = &as_named(&observed.recipients, named);
        let elsewhere = concerns_copies(&access.terms, shares, ledger, observed.at)
            .then(|| cached_elsewhere(self.ctx, self.image, self.desired));
        let seen = observed.copies.as_ref().map_err(|fault| match fault.recovery() {
            Recovery::Blocked => Reason::CopyRefused,
            Recovery::Retry { .. } => Reason::Pending,
        });
        let absent = absent_image();
        let input = PlanInput {
            now: observed.at,
            timing: self.ctx.settings.timing.of(access.terms.provider),
            others_until: self.ctx.others_until(),
            terms: &access.terms,
            unmanaged: if asked_for_elsewhere { UnmanagedRecipients::Report } else { unmanaged },
            visibility_change: self.image.spec.visibility_change,
            deleting: self.deleting || access.only_to_end.is_some(),
            requested: self.requested,
            shares,
            desired: &wanted,
            ledger,
            image: observed.image.as_ref().unwrap_or(&absent),
            recipients,
            copies: elsewhere.as_ref().map(|elsewhere| CopyInput { seen, elsewhere }),
        };
        let plan = if observed.image.is_some() { plan(&input) } else { plan_absent_image(&input) };
        tracing::debug!(image.id = %access.at.image, %plan, "planned");
        plan
    }

    /// Makes the image's recipients match the plan. `pause`: a job just failed in a way that only time or a user can fix, and the
    /// same call would fail again: report the observed state, and leave the calls to the next reconcile.
    async fn share(
        &mut self,
        access: &ImageAccess,
        ledger: &Ledger,
        observed: Observed,
        pause: bool,
    ) -> Result<Report, ClusterError> {
        let plan = self.plan(access, ledger, &observed);
        if !plan.acts() {
            return Ok(Report {
                requeue_at: plan.requeue_at,
                ..Report::planned(plan.settled.clone(), &plan, observed)
            });
        }
        let intended = plan.with_intents(observed.at);
        if pause {
            let recorded = record_none(&intended, ledger, observed.at);
            return Ok(Report::planned(recorded, &plan, observed));
        }
        let recorded = self.reporter.record_intent(&intended).await?;
        let listed = list_shares_afresh(self.ctx, self.image, recorded.version()).await?;
        let fresh = planted!("list-from-cache", listed, self.desired.shares.clone());
        let wanted = DesiredRecipients::gather(&access.terms, &fresh, ledger, self.ctx.clock.now());
        let mut plan = plan.confirm(&recorded, ledger, &wanted);
        if plan.copies.removes() {
            let elsewhere = fresh_elsewhere(self.ctx, self.image, self.desired, &plan.copies).await?;
            plan.copies.hand_over(&elsewhere);
        }
        if !plan.acts() {
            // The cache lags behind the API server: its update will start the next reconcile.
            let recorded = record_none(&intended, ledger, self.ctx.clock.now());
            return Ok(Report { shares_changed: true, ..Report::planned(recorded, &plan, observed) });
        }
        if plan.open {
            return Ok(self.open(access, intended, &plan, observed).await);
        }
        Ok(self.change_recipients(access, ledger, &intended, &plan, observed).await)
    }

    /// Opens the private image for sharing; the next reconcile observes who has it then.
    async fn open(&self, access: &ImageAccess, intended: Ledger, plan: &Plan<Confirmed>, observed: Observed) -> Report {
        let cloud = access.connection.cloud.as_ref();
        let opened = open(cloud, &access.at, plan, self.priority.max(Priority::Edit)).await;
        let mut report = Report::planned(intended, plan, observed);
        report.requeue_at = Some(self.ctx.clock.now());
        if let Err(fault) = opened {
            note_fault(self.ctx, &self.desired.account, &fault).await;
            report.problem = Some(Problem::from(&fault));
        }
        report
    }

    /// Makes the calls and observes their effect; where a job carries them out, the next reconciles observe it.
    async fn change_recipients(
        &self,
        access: &ImageAccess,
        ledger: &Ledger,
        intended: &Ledger,
        plan: &Plan<Confirmed>,
        observed: Observed,
    ) -> Report {
        let cloud = access.connection.cloud.as_ref();
        let at_most = most_at_once(self.ctx.states.candidates(&self.uid()));
        // Drift that a resync found is still worth a call that waits for a token.
        let priority = if plan.remove.is_empty() { self.priority.max(Priority::Edit) } else { Priority::Revoke };
        let copied = execute_copies(cloud, &access.at, plan, intended.copies.refusal.is_some(), priority).await;
        let how = (at_most, intended.image_refusal.is_some());
        let (result, requests) = execute(cloud, &access.at, plan, how, priority).await;
        self.ctx.states.access_notes(&self.uid(), |notes| notes.note_requests(requests));
        for fault in [&copied.fault, &result.fault].into_iter().flatten() {
            note_fault(self.ctx, &self.desired.account, fault).await;
        }
        let now = self.ctx.clock.now();
        let recorded = record_all(intended, ledger, (&result, &copied), &plan.copies, now);
        if let Some(job) = &recorded.job {
            let requeue_at = Some(next_job_poll(job.since, now));
            if let Some(facts) = observed.image.clone() {
                self.ctx.states.stash(&self.uid(), facts, observed.at);
            }
            return Report { requeue_at, ..Report::planned(recorded, plan, observed) };
        }
        let fault = result.fault;
        let after = match fault.clone().filter(Fault::closes_the_account) {
            Some(closed) => Err(closed),
            None if observed.image.is_none() => Ok(observed.recipients.clone()),
            None => observe_recipients(cloud, &access.at, priority).await,
        };
        match after {
            Ok(recipients) => {
                let mut after = Observed { at: self.ctx.clock.now(), recipients, ..observed };
                if plan.copies.acts() {
                    self.observe_copies(access, &recorded, &mut after).await;
                }
                self.report_calls(access, &recorded, after, (fault, copied.fault))
            }
            Err(unread) => {
                let problem = Some(Problem::from(&fault.unwrap_or(unread)));
                Report { problem, ..Report::planned(recorded, plan, observed) }
            }
        }
    }

    /// The report after the calls: further steps follow at once, unless a fault requires a pause.
    /// `faults`: of the calls about the image, and of those about its snapshots.
    fn report_calls(
        &self,
        access: &ImageAccess,
        recorded: &Ledger,
        after: Observed,
        (fault, of_copies): (Option<Fault>, Option<Fault>),
    ) -> Report {
        let plan = self.plan(access, recorded, &after);
        let more = plan.acts() && fault.is_none() && of_copies.is_none();
        let requeue_at = if more { Some(after.at) } else { plan.requeue_at };
        let problem = fault.map(|fault| Problem::from(&fault));
        let report = Report { problem, requeue_at, ..Report::planned(plan.settled.clone(), &plan, after) };
        let copy_problem = of_copies.as_ref().map(Problem::from).or(report.copy_problem);
        Report { copy_problem, ..report }
    }
}
