//! Lists the account's own images, for all channels of the account and region.

use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::time::Duration;

use super::PRIORITY;
use crate::api::CloudAccount;
use crate::clouds::Fault;
use crate::domain::identifiers::RegionId;
use crate::planning::problem::Problem;
use crate::reconcile::access::{Access, connect};
use crate::reconcile::context::Context;
use crate::reconcile::discoveries::{AccountRegion, Discovery};
use crate::reconcile::requeue::{Next, later, unobserved};

/// The account of a channel, and the region to list.
pub(super) struct Source<'a> {
    pub(super) account: &'a CloudAccount,
    pub(super) region: RegionId,
    pub(super) key: AccountRegion,
}

/// What is known of the images, and what keeps it from being up to date.
pub(super) type Discovered = (Discovery, Option<Problem>);

/// Lists the images, unless another channel does right now or has since `seen`. A list that fails or is incomplete leaves the last
/// complete one.
pub(super) async fn discover(ctx: &Context, source: &Source<'_>, seen: &Discovery) -> ControlFlow<Next, Discovered> {
    let Some(listing) = ctx.discoveries.begin(&source.key, seen) else {
        return Break(Next::at(later(ctx, Duration::ZERO)));
    };
    let access = match connect(ctx, source.account, (&source.region, "spec.region"), None).await {
        Ok(Access { only_to_end: None, connection, .. }) => connection,
        Ok(Access { only_to_end: Some(problem), .. }) | Err(problem) => {
            return Continue((ctx.discoveries.known(&source.key), Some(problem)));
        }
    };
    let asked = ctx.clock.now();
    let result = match access.cloud.list_own(&source.region, PRIORITY).await {
        Ok(list) if list.complete => Ok(Arc::from(list.images)),
        Ok(_) => Err(Fault::Unintelligible),
        Err(fault) => {
            ctx.connections.note(source.account, &fault).await;
            Err(unobserved(ctx, fault, PRIORITY)?)
        }
    };
    let interval = ctx.settings.discovery_interval;
    let holds = if result.is_ok() { interval } else { ctx.settings.intervals.blocked.min(interval) };
    Continue(known(listing.record(result, asked, holds.mul_f64(0.9 + 0.2 * ctx.chance()))))
}

/// With the problem that the last list met.
pub(super) fn known(discovery: Discovery) -> Discovered {
    let problem = discovery.fault.as_ref().map(Problem::from);
    (discovery, problem)
}
