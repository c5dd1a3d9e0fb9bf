//! The `ImageChannel` controller: finds the account's images that belong to the channel, decides their stages, and makes a
//! `CloudImage` for each that is in service. It reads lists, and never calls a sharing operation.

mod children;
mod discover;
mod report;

use std::collections::BTreeSet;
use std::ops::ControlFlow::{Break, Continue};

use jiff::SignedDuration;
use kube::ResourceExt;

use crate::api::conditions::{DISCOVERED, Reason};
use crate::api::image_channel::{ChannelMode, ExcludeRevoke, ImageChannel, RetireRequire};
use crate::api::span::Span;
use crate::api::{CloudAccount, cloud_account};
use crate::clouds::Priority;
use crate::cluster::guard::{Guarded, Unreadable};
use crate::domain::identifiers::RegionId;
use crate::planning::channel::{ChannelTerms, Listed, Rotation, Selection, plan_channel};
use crate::planning::problem::Problem;
use crate::reconcile::access::{NoAccount, check_account};
use crate::reconcile::caches::Caches;
use crate::reconcile::context::Context;
use crate::reconcile::frame::{Due, LeftBehind, Reconcile, Reconciled};
use crate::reconcile::requeue::{Next, release};
use crate::reconcile::status::is_requested;
use children::Children;
use discover::{Discovered, Source, discover, known as with_problem};
use report::ChannelReporter;

/// The shortest grace, as the schema has it.
const GRACE_MIN: SignedDuration = SignedDuration::from_hours(1);

/// A list takes several calls, and half of one is useless: its calls wait for tokens, which this priority gets rarely.
const PRIORITY: Priority = Priority::Acceptance;

impl Reconcile for ImageChannel {
    type Desired = Result<CloudAccount, NoAccount>;

    const DEBOUNCED: bool = false;

    /// The channel leaves nothing behind: its `CloudImages` become ordinary objects.
    async fn left_behind(_: &Context, _: &Guarded<Self>, _: &Unreadable) -> LeftBehind {
        Ok(None)
    }

    fn observe(&self, caches: &Caches<'_>) -> Self::Desired {
        let namespace = self.namespace().unwrap_or_default();
        caches.account(&namespace, &self.spec.account_ref.name, &[&self.spec.region])
    }

    async fn run(&self, ctx: &Context, account: Self::Desired, due: Due<Self>) -> Reconciled {
        if self.metadata.deletion_timestamp.is_some() {
            release(ctx, self).await?;
            return Ok(Next::Gone);
        }
        let mut reporter = ChannelReporter::new(ctx, self);
        reporter.base.init_status(&[DISCOVERED]).await?;
        if self.spec.suspend {
            return reporter.suspended().await;
        }
        let (source, terms) = match observed(self, &account) {
            Ok(observed) => observed,
            Err(problem) => return reporter.problem(problem).await,
        };
        let known = ctx.discoveries.known(&source.key);
        if known.left(ctx.clock.now()).is_some() && !is_requested(self) {
            return rotate(ctx, self, &terms, with_problem(known), reporter).await;
        }
        let work = async {
            match discover(ctx, &source, &known).await {
                Continue(discovered) => rotate(ctx, self, &terms, discovered, reporter).await,
                Break(next) => Ok(next),
            }
        };
        due.seated(&self.spec.account_ref.name, &self.spec.region, PRIORITY, Box::pin(work)).await
    }
}

/// The account to list, and what the channel asks for.
fn observed<'a>(
    channel: &ImageChannel,
    account: &'a Result<CloudAccount, NoAccount>,
) -> Result<(Source<'a>, ChannelTerms), Problem> {
    let spec = &channel.spec;
    let account =
        account.as_ref().map_err(|missing| missing.problem("spec.accountRef.name", &spec.account_ref.name))?;
    check_account(account, None)?;
    let families =
        account.spec.tenancy().map(cloud_account::Tenancy::provider).is_some_and(|p| p.rules().image_families);
    let region = RegionId::parse(&spec.region)
        .map_err(|error| Problem::blocked(Reason::Unreadable, format!("spec.region: {error}")))?;
    let key = (account.uid().unwrap_or_default(), spec.region.clone());
    Ok((Source { account, region, key }, terms(channel, families)?))
}

fn terms(channel: &ImageChannel, families: bool) -> Result<ChannelTerms, Problem> {
    let spec = &channel.spec;
    let exclude: BTreeSet<String> = spec.exclude.iter().map(|excluded| excluded.version.clone()).collect();
    let urgent = spec.exclude.iter().filter(|excluded| excluded.revoke == ExcludeRevoke::Now);
    let retire = &spec.retire;
    let rotation = Rotation {
        min_age: retire.min_age.as_ref().map(Span::length).unwrap_or_default(),
        grace: retire.grace.length().max(GRACE_MIN),
        accepted: retire.require == RetireRequire::Accepted,
        ends: spec.mode == ChannelMode::Rotate,
    };
    Ok(ChannelTerms {
        selection: Selection::of(&spec.select, families)?,
        order: spec.order,
        soak: spec.soak.as_ref().map(Span::length).unwrap_or_default(),
        keep: usize::from(retire.keep),
        pin: spec.pin.clone(),
        exclude,
        urgent: urgent.map(|excluded| excluded.version.clone()).collect(),
        rotation: (spec.mode != ChannelMode::Share).then_some(rotation),
    })
}

/// Plans, makes what is missing, and reports.
async fn rotate(
    ctx: &Context,
    channel: &ImageChannel,
    terms: &ChannelTerms,
    (known, problem): Discovered,
    mut reporter: ChannelReporter<'_>,
) -> Reconciled {
    let now = ctx.clock.now();
    let children = Children::observe(ctx, channel, now);
    let sound = known.fault.is_none();
    let listed = known.list.as_ref().map(|(images, at)| Listed { images, at: *at, sound });
    let former = reporter.former();
    let plan = plan_channel(terms, former.as_planned(), listed, &children, now);
    let made = match channel.spec.mode {
        ChannelMode::Observe => Ok(()),
        ChannelMode::Share | ChannelMode::Rotate => children.make(&plan.versions).await?,
    };
    reporter.rotated(plan, &children, (&known, problem), made.err()).await
}
