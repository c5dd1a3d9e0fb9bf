//! Reports a reconcile of one channel: its status, its events, and the next requeue.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::children::Children;
use crate::api::ImageChannel;
use crate::api::conditions::{DISCOVERED, Decision, READY, RECONCILING, ROTATED, Reason, STALLED, Truth, find};
use crate::api::image_channel::{ChannelMode, ImageChannelStatus, LatestVersion, Stage};
use crate::cluster::ClusterError;
use crate::cluster::events::EventReason;
use crate::domain::fault::Recovery;
use crate::domain::identifiers::ImageId;
use crate::planning::channel::{ChannelPlan, Former, Latest, Version, wants_image};
use crate::planning::grace::grace_left;
use crate::planning::problem::Problem;
use crate::reconcile::Outcome;
use crate::reconcile::context::Context;
use crate::reconcile::convert::created_at;
use crate::reconcile::discoveries::Discovery;
use crate::reconcile::reporter::Reporter;
use crate::reconcile::requeue::{Next, SOON};
use crate::reconcile::status::conditions_of;

/// How soon images are listed again that could not be asked for.
const RETRY: Duration = Duration::from_secs(2);

/// What an earlier reconcile recorded.
pub(super) struct Recorded {
    versions: Vec<Version>,
    latest: Option<Latest>,
}

impl Recorded {
    pub(super) fn as_planned(&self) -> Former<'_> {
        Former { versions: &self.versions, latest: self.latest.as_ref() }
    }
}

/// Reports the reconcile of a channel.
pub(super) struct ChannelReporter<'a> {
    pub(super) base: Reporter<'a, ImageChannel>,
}

impl<'a> ChannelReporter<'a> {
    pub(super) fn new(ctx: &'a Context, channel: &'a ImageChannel) -> Self {
        Self { base: Reporter::new(ctx, channel) }
    }

    /// The recorded versions.
    pub(super) fn former(&self) -> Recorded {
        let status = self.base.written();
        let versions = status.versions.iter().filter_map(Version::recorded).collect();
        let latest = status.latest.iter().find(|latest| latest.region == self.base.object.spec.region);
        let latest = latest.and_then(|latest| {
            let image = ImageId::parse(&latest.image_id).ok()?;
            Some(Latest { version: latest.version.clone(), image, since: latest.since.0 })
        });
        Recorded { versions, latest }
    }

    /// Reports that the channel is suspended. Everything recorded stays.
    pub(super) async fn suspended(&mut self) -> Result<Next, ClusterError> {
        let message =
            "spec.suspend: no image is listed and the latest version does not move; all access stays".to_owned();
        let decide = |kind| Decision { kind, truth: Truth::False, reason: Reason::Suspended, message: message.clone() };
        let status = self.base.written().clone();
        self.base.report(status, Some([READY, DISCOVERED].map(decide).to_vec())).await?;
        Ok(Next::After(Outcome::Blocked, self.base.ctx.settings.intervals.drift))
    }

    /// Reports a reconcile that could not plan. Everything recorded stays.
    pub(super) async fn problem(&mut self, problem: Problem) -> Result<Next, ClusterError> {
        let decisions = self.hindered(&problem);
        let status = self.base.written().clone();
        self.base.report(status, Some(decisions)).await?;
        let intervals = self.base.ctx.settings.intervals;
        Ok(match problem.recovery {
            Recovery::Blocked => Next::After(Outcome::Blocked, intervals.blocked),
            Recovery::Retry { .. } => Next::Requeue((&problem).into()),
        })
    }

    fn hindered(&self, problem: &Problem) -> Vec<Decision> {
        let waits = grace_left(problem.reason, created_at(self.base.object), self.base.ctx.clock.now()).is_some();
        let moving = problem.recovery != Recovery::Blocked || waits;
        let mut decisions = vec![problem.decide(READY, problem.truth()), problem.decide(DISCOVERED, problem.truth())];
        if problem.reason != Reason::Suspended {
            decisions.push(problem.decide(if moving { RECONCILING } else { STALLED }, Truth::True));
        }
        decisions
    }

    /// Reports a plan. `known`: what was known of the images, and what keeps that from being up to date. `hindered`: what keeps a
    /// `CloudImage` from being made.
    pub(super) async fn rotated(
        &mut self,
        plan: ChannelPlan,
        children: &Children<'_>,
        (known, fault): (&Discovery, Option<Problem>),
        hindered: Option<Problem>,
    ) -> Result<Next, ClusterError> {
        let old = self.base.written().clone();
        let former = &old.latest;
        let mut decisions = conditions_of_plan(&plan, children, fault.as_ref(), hindered.as_ref());
        decisions.extend((self.base.object.spec.mode == ChannelMode::Rotate).then(|| rotated(&plan, &old)));
        let status = self.status(&plan, children);
        let moved =
            status.latest.iter().find(|latest| former.iter().all(|old| old.image_id != latest.image_id)).cloned();
        let gone = former.first().filter(|_| status.latest.is_empty()).cloned();
        self.base.report(status, Some(decisions)).await?;
        if let Some(latest) = moved {
            let from = former.first().map(|old| format!(", after {}", old.version)).unwrap_or_default();
            let note =
                format!("the latest version is {} ({} in {}){from}", latest.version, latest.image_id, latest.region);
            self.base.event(EventReason::LatestMoved, note);
        } else if let Some(old) = gone {
            let note = format!("version {} is not the latest any more, and no other can be", old.version);
            self.base.event(EventReason::LatestMoved, note);
        }
        self.tell(&old, &plan);
        Ok(self.next(&plan, known, fault.as_ref()))
    }

    /// Publishes what happened to old versions.
    fn tell(&self, old: &ImageChannelStatus, plan: &ChannelPlan) {
        if self.base.object.spec.mode == ChannelMode::Observe {
            return;
        }
        let was = |version: &Version| {
            let found = old.versions.iter().find(|old| old.image_id == version.image.as_str());
            found.map(|old| (old.stage, old.next.as_ref().map(|next| next.not_before.0)))
        };
        for version in &plan.versions {
            let (stage, told) = was(version).unzip();
            let named = format!("version {} ({})", version.version, version.image);
            let is_new = stage != Some(version.stage);
            match (version.stage, version.not_before) {
                (Stage::Deprecated, Some(end)) if told.flatten() != Some(end) => {
                    let note = format!("{named} is Deprecated: nobody new gets it, and access to it ends after {end}");
                    self.base.event(EventReason::VersionDeprecated, note);
                }
                (Stage::Deprecated, None) if is_new && stage.is_some() => {
                    let note = format!("{named} is Deprecated: nobody new gets it");
                    self.base.event(EventReason::VersionDeprecated, note);
                }
                (Stage::Revoking, _) if is_new => {
                    self.base.event(EventReason::VersionRevoking, format!("access to {named} is being ended"));
                }
                (Stage::Retired, _) if is_new && stage.is_some() => {
                    let note = format!("nobody has {named} through this channel any more");
                    self.base.event(EventReason::VersionRetired, note);
                }
                _ => {}
            }
        }
        let before = find(&old.conditions, ROTATED).filter(|before| before.status == "False");
        if let Some(held_back) = &plan.held_back
            && before.is_none_or(|before| before.message != held_back.message)
        {
            self.base.event(EventReason::RotationBlocked, held_back.message.clone());
        }
    }

    fn next(&self, plan: &ChannelPlan, known: &Discovery, fault: Option<&Problem>) -> Next {
        let (now, intervals) = (self.base.ctx.clock.now(), self.base.ctx.settings.intervals);
        let planned = plan.next.map(|time| time.duration_since(now).unsigned_abs());
        let due = known.left(now).unwrap_or_else(|| match fault.map(|fault| fault.recovery) {
            Some(Recovery::Blocked) => intervals.blocked,
            Some(Recovery::Retry { not_before }) => not_before.unwrap_or(RETRY),
            None => SOON,
        });
        let wait = planned.into_iter().fold(due, Duration::min) + Duration::from_millis(10);
        let outcome = if fault.is_some() { Outcome::Retrying } else { Outcome::Settled };
        Next::After(outcome, wait.min(intervals.drift))
    }

    fn status(&self, plan: &ChannelPlan, children: &Children<'_>) -> ImageChannelStatus {
        let shares = self.base.object.spec.mode != ChannelMode::Observe;
        let cloud_image = |image: &ImageId, stage: Option<Stage>| {
            let made = || stage.is_some_and(wants_image).then(|| children.name_of(image));
            shares.then(|| children.image_of(image).map(|found| found.name_any()).or_else(made)).flatten()
        };
        let version = |version: &Version| version.record(cloud_image(&version.image, Some(version.stage)));
        let latest = plan.latest.as_ref().map(|latest| LatestVersion {
            region: self.base.object.spec.region.clone(),
            version: latest.version.clone(),
            image_id: latest.image.to_string(),
            cloud_image: cloud_image(&latest.image, None),
            since: Time(latest.since),
        });
        let old = self.base.written();
        ImageChannelStatus {
            latest: latest.into_iter().collect(),
            versions: plan.versions.iter().map(version).collect(),
            discovered: plan
                .discovered
                .map(|(matched, all)| format!("{matched}/{all}"))
                .or_else(|| old.discovered.clone()),
            ..old.clone()
        }
    }
}

/// All conditions after a plan.
fn conditions_of_plan(
    plan: &ChannelPlan,
    children: &Children<'_>,
    fault: Option<&Problem>,
    hindered: Option<&Problem>,
) -> Vec<Decision> {
    let discovered = discovered(plan, fault);
    let ready = ready_of(plan, children, fault, hindered);
    let passing = fault.filter(|fault| fault.recovery != Recovery::Blocked);
    let current = plan.versions.iter().find(|version| version.stage == Stage::Current);
    let moves = current.filter(|current| plan.latest.as_ref().is_none_or(|latest| latest.image != current.image));
    let mut decisions = vec![ready.clone(), discovered];
    if let Some(current) = moves {
        let message = format!("version {} is being shared, and becomes the latest then", current.version);
        decisions.push(Decision { kind: RECONCILING, truth: Truth::True, reason: Reason::Pending, message });
    } else if let Some(fault) = passing {
        decisions.push(fault.decide(RECONCILING, Truth::True));
    } else if ready.truth != Truth::True {
        let waits = ready.truth == Truth::Unknown || ready.reason == Reason::NoVersion;
        let kind = if waits { RECONCILING } else { STALLED };
        decisions.push(Decision { kind, truth: Truth::True, ..ready });
    }
    decisions
}

/// The condition `Ready`.
fn ready_of(
    plan: &ChannelPlan,
    children: &Children<'_>,
    fault: Option<&Problem>,
    hindered: Option<&Problem>,
) -> Decision {
    let decide = |truth, reason, message| Decision { kind: READY, truth, reason, message };
    let blocked = fault.filter(|fault| fault.recovery == Recovery::Blocked);
    if let Some(problem) = hindered.or(blocked) {
        return problem.decide(READY, Truth::False);
    }
    if let Some(unknown) = &plan.unknown {
        return decide(Truth::False, unknown.reason, unknown.message.clone());
    }
    match (&plan.latest, fault) {
        (Some(latest), _) => {
            let message = format!("the latest version is {}: image {}", latest.version, latest.image);
            decide(Truth::True, Reason::Available, message)
        }
        (None, Some(fault)) => fault.decide(READY, fault.truth()),
        (None, None) => match plan.remarks.iter().find(|remark| remark.reason == Reason::NoImageMatches) {
            Some(none) => decide(Truth::False, none.reason, none.message.clone()),
            None => decide(Truth::False, Reason::NoVersion, why_none(plan, children)),
        },
    }
}

/// Why no version is the latest: the newest one soaks, or its `CloudImage` is not Ready.
fn why_none(plan: &ChannelPlan, children: &Children<'_>) -> String {
    let newest = plan.versions.iter().find(|version| wants_image(version.stage));
    let Some(newest) = newest else {
        return "no version of the channel can be the latest: all are excluded".to_owned();
    };
    let named = &newest.version;
    if newest.not_before.is_some() {
        return format!("no version is the latest yet: {named} waits for the end of spec.soak, see status.versions");
    }
    let image = children.image_of(&newest.image);
    let ready = image.as_ref().and_then(|image| Some((image.name_any(), find(conditions_of(image), READY)?)));
    match ready.filter(|(_, ready)| ready.status == "False") {
        Some((name, ready)) => {
            format!("no version is the latest yet: CloudImage {name} of {named} is not Ready: {}", ready.message)
        }
        None => format!("no version is the latest yet: {named} is being made ready"),
    }
}

/// The condition `Rotated`.
fn rotated(plan: &ChannelPlan, old: &ImageChannelStatus) -> Decision {
    let decide = |truth, reason, message| Decision { kind: ROTATED, truth, reason, message };
    // Until this process has listed the images, what was told stays.
    let known = plan.discovered.is_some() || plan.versions.iter().all(|version| version.blocked.is_empty());
    let told = find(&old.conditions, ROTATED).filter(|told| !known && told.status == "False");
    if let Some((told, reason)) = told.and_then(|told| Some((told, Reason::named(&told.reason)?))) {
        return decide(Truth::False, reason, told.message.clone());
    }
    match &plan.held_back {
        Some(held_back) => decide(Truth::False, held_back.reason, held_back.message.clone()),
        None => decide(Truth::True, Reason::Rotated, "no old version is held back".to_owned()),
    }
}

fn discovered(plan: &ChannelPlan, fault: Option<&Problem>) -> Decision {
    let decide = |truth, reason, message| Decision { kind: DISCOVERED, truth, reason, message };
    if let Some(fault) = fault {
        let mut decision = fault.decide(DISCOVERED, fault.truth());
        decision.message =
            format!("the images cannot be listed, and what was found before stays: {}", decision.message);
        return decision;
    }
    match plan.remarks.first() {
        Some(remark) => decide(Truth::False, remark.reason, remark.message.clone()),
        None => decide(Truth::True, Reason::Discovered, "the account's own images are listed".to_owned()),
    }
}
