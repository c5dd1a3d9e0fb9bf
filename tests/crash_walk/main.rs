//! The crash walk: the operator is killed (SIGKILL) after each of its outgoing writes, to the API server or to the cloud,
//! was applied but before its answer; then it is started again. Each time, the end is the same as without the kill, and the
//! auditor finds nothing on the way. A write that never arrived leaves the servers as the one before it did: the same walk.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod alibaba;
mod deed;
mod huawei;
mod openstack;
mod stage;
mod world;

use alibaba::Alibaba;
use anyhow::{Context as _, Result, ensure};
use deed::Deed;
use huawei::Huawei;
use imageshare_harness::proxy::{Call, Deed as Fault, Moment, Rule, Upstream, Which};
use openstack::Glance;
use stage::{Plan, Stage};
use world::World;

/// Without a kill; gives the writes it took.
async fn walk_unharmed<W: World>(stage: &Stage<W>, deed: Deed) -> Result<Vec<Call>> {
    let plan = deed.prepare(stage).await?;
    let since = stage.rest().await?;
    deed.happen(&plan).await?;
    let end = deed.end(stage.world.as_ref());
    plan.until_end(&end).await?;
    stage.rest().await?;
    let writes = stage.proxy.writes(since);
    plan.until_end(&end).await?;
    Ok(writes)
}

/// A kind of write. Writes of one kind come one after the other, while those of two kinds may come in either order:
/// so a place to die is "the nth of its kind", or some would be met twice and others never.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kind {
    upstream: Upstream,
    method: String,
    path: String,
    action: String,
}

impl Kind {
    fn of(call: &Call) -> Self {
        let inside = call.path.split_once("/namespaces/").and_then(|(_, rest)| rest.split_once('/'));
        let path = inside.map_or("/", |(_, path)| path).split_inclusive('?').next().unwrap_or_default().to_owned();
        let (method, action) = (call.method.clone(), call.action.clone());
        Self { upstream: call.upstream, method, path, action }
    }

    fn nth(&self, n: usize, moment: Moment) -> Result<Rule> {
        let which = Which::write().to(self.upstream).method(&self.method).path(&self.path).action(&self.action);
        Ok(Rule::new(which, Fault::Hold(moment)).nth(u64::try_from(n)?).times(1))
    }
}

/// With a kill where `rule` says; gives the write that was met, or `None` if it never came.
async fn walk_killed<W: World>(stage: &mut Stage<W>, deed: Deed, plan: &Plan<W>, rule: Rule) -> Result<Option<Call>> {
    stage.rest().await?;
    let trigger = stage.proxy.add(rule);
    deed.happen(plan).await?;
    let end = deed.end(stage.world.as_ref());
    let ended = async {
        plan.until_end(&end).await?;
        stage.rest().await
    };
    let call = tokio::select! {
        biased;
        call = trigger.reached(stage::PATIENCE) => Some(call?),
        ended = ended => ended.map(|_| None)?,
    };
    if let Some(call) = &call {
        stage.operator.kill9();
        trigger.cut();
        stage.operator.restart()?;
        let ended = plan.until_end(&end).await;
        ended.with_context(|| format!("killed at {}, {}", call.line(), stage.silence()))?;
    }
    Ok(call)
}

/// On a stage of its own, so that the deeds are walked side by side: a walk mostly waits.
async fn walk<W: World>(mut stage: Stage<W>, deed: Deed) -> Result<()> {
    let stage = &mut stage;
    let began = std::time::Instant::now();
    let reference: Vec<Kind> = walk_unharmed(stage, deed).await?.iter().map(Kind::of).collect();
    let first = |n: usize, kind: &Kind| !reference[..n].contains(kind);
    let kinds: Vec<Kind> =
        reference.iter().enumerate().filter(|(n, kind)| first(*n, kind)).map(|(_, kind)| kind.clone()).collect();
    println!("{deed:?}: {} writes of {} kinds, as {kinds:?}", reference.len(), kinds.len());
    // One more for each kind than there were: how many there are depends on timing, a little.
    let count = reference.len() + kinds.len();
    let prepared = if stage.world.is_roomy() { count } else { 0 };
    let mut plans = futures::future::try_join_all((0..prepared).map(|_| deed.prepare(stage))).await?;
    let mut ended = Vec::new();
    let mut killed = 0;
    for kind in &kinds {
        let usual = reference.iter().filter(|other| *other == kind).count();
        let mut met = 0;
        for n in 1..=usual + 1 {
            let plan = match plans.pop() {
                Some(plan) => plan,
                None => deed.prepare(stage).await?,
            };
            let rule = kind.nth(n, Moment::AfterApply)?;
            let context = || format!("{deed:?}, number {n} of {kind:?}");
            let call = walk_killed(stage, deed, &plan, rule).await.with_context(context)?;
            if stage.world.is_roomy() {
                ended.push(plan);
            } else {
                plan.leave().await?;
            }
            if call.is_none() {
                break;
            }
            met += 1;
        }
        ensure!(met > 0, "{deed:?}: never met {kind:?}");
        killed += met;
    }
    // Those that came to their end stay there, whatever befell the others.
    let end = deed.end(stage.world.as_ref());
    for plan in &ended {
        plan.until_end(&end).await.context("what had ended moved again")?;
    }
    // Otherwise each start would look at all that went before.
    futures::future::try_join_all(ended.iter().chain(&plans).map(Plan::leave)).await?;
    println!("{deed:?}: killed at {killed} writes, {:?}", began.elapsed());
    stage.audit().await.with_context(|| format!("after {deed:?}"))
}

/// The operator is killed when the cloud has taken the job and nobody knows its id; the share goes meanwhile.
#[tokio::test]
async fn a_job_that_was_lost_in_a_crash_and_adds_late_leaks_nothing() -> Result<()> {
    let run = stage::folder()?;
    let world = Huawei::start(&run).await?;
    let mut stage = Stage::start(run, world).await?;
    let plan = stage.plan("Retain").await?;
    stage.world.slow_addition(&plan.place, 2_500).await?;
    let which = Which::write().to(Upstream::Cloud).method("POST");
    let trigger = stage.proxy.add(Rule::new(which, Fault::Hold(Moment::AfterApply)).times(1));
    plan.share([1, 2, 3]).await?;
    trigger.reached(stage::PATIENCE).await?;
    stage.operator.kill9();
    trigger.cut();
    Deed::Unshare.happen(&plan).await?;
    stage.operator.restart()?;
    plan.until_end(&Deed::Unshare.end(stage.world.as_ref())).await?;
    // It did add them; that is when one who does not wait has gone already.
    let added = stage.world.added(&plan.place).await?;
    ensure!(added == 3, "{added} were added");
    plan.until_end(&Deed::Unshare.end(stage.world.as_ref())).await?;
    stage.audit().await
}

/// Walks deeds over a cloud, each test its own ones side by side.
macro_rules! walks {
    ($cloud:ident, $world:ident: $($test:ident => [$($deed:ident),*]),* $(,)?) => {
        mod $cloud {
            $(#[tokio::test]
            async fn $test() -> anyhow::Result<()> {
                let walk = async |deed| {
                    let run = crate::stage::folder()?;
                    let world = crate::$world::start(&run).await?;
                    crate::walk(crate::Stage::start(run, world).await?, deed).await
                };
                futures::future::try_join_all([$(crate::Deed::$deed),*].map(walk)).await.map(drop)
            })*
        }
    };
}

walks!(
    at_alibaba, Alibaba:
    killed_at_any_write_of_a_share_the_end_is_the_same_and_nothing_is_left_over => [Share],
    killed_at_any_write_of_a_change_of_recipients_the_end_is_the_same_and_nothing_is_left_over => [ChangeRecipients],
    killed_at_any_write_of_an_end_the_end_is_the_same_and_nothing_is_left_over => [Unshare],
    killed_at_any_write_of_deleting_the_image_the_end_is_the_same_and_nothing_is_left_over => [DeleteImage],
);

walks!(
    at_huawei, Huawei:
    killed_at_any_write_of_a_share_or_its_end_the_end_is_the_same_and_nothing_is_left_over =>
        [Share, ChangeRecipients, Unshare],
    killed_at_any_write_of_an_answer_or_the_images_end_the_end_is_the_same_and_nothing_is_left_over =>
        [Accept, Reject, DeleteImage],
);

walks!(
    at_openstack, Glance:
    killed_at_any_write_of_a_share_or_its_end_the_end_is_the_same_and_nothing_is_left_over => [Share, Unshare],
    killed_at_any_write_of_an_answer_the_end_is_the_same_and_nothing_is_left_over => [Accept, Reject],
);
