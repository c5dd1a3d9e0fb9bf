//! Walking a deed: without a kill, and then with one after each of its writes.

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::proxy::{Call, Deed as Fault, Moment, Rule, Upstream, Which};

use crate::crash_walk::deed::Deed;
use crate::crash_walk::stage::{self, Plan, Stage};
use crate::crash_walk::world::World;

/// Plans that stand side by side, where a cloud has room: they are prepared and leave together.
const TOGETHER: usize = 6;

/// Without a kill; gives the writes it took.
async fn walk_unharmed<W: World>(stage: &Stage<W>, deed: Deed) -> Result<Vec<Call>> {
    let plan = deed.prepare(stage).await?;
    deed.begin(&plan).await?;
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
    deed.begin(plan).await?;
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
        ended = ended => ended.map(|_| None).with_context(|| stage.silence())?,
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

/// Those that came to their end stay there, whatever befell the others; then they leave, or each start would look at all
/// that went before.
async fn leave<W: World>(stage: &Stage<W>, deed: Deed, ended: &mut Vec<Plan<W>>) -> Result<()> {
    let end = deed.end(stage.world.as_ref());
    for plan in ended.iter() {
        plan.until_end(&end).await.context("what had ended moved again")?;
    }
    futures::future::try_join_all(ended.iter().map(Plan::leave)).await?;
    ended.clear();
    Ok(())
}

/// On a stage of its own, so that the deeds are walked side by side: a walk mostly waits.
pub async fn walk<W: World>(mut stage: Stage<W>, deed: Deed) -> Result<()> {
    let stage = &mut stage;
    let began = std::time::Instant::now();
    let reference: Vec<Kind> = walk_unharmed(stage, deed).await?.iter().map(Kind::of).collect();
    let first = |n: usize, kind: &Kind| !reference[..n].contains(kind);
    let kinds: Vec<Kind> =
        reference.iter().enumerate().filter(|(n, kind)| first(*n, kind)).map(|(_, kind)| kind.clone()).collect();
    println!("{deed:?}: {} writes of {} kinds, as {kinds:?}", reference.len(), kinds.len());
    let batch = if stage.world.is_roomy() { TOGETHER } else { 1 };
    let (mut plans, mut ended) = (Vec::new(), Vec::new());
    let mut killed = 0;
    for kind in &kinds {
        let usual = reference.iter().filter(|other| *other == kind).count();
        let mut met = 0;
        // One more than there were: how many there are depends on timing, a little.
        for n in 1..=usual + 1 {
            if plans.is_empty() {
                plans = futures::future::try_join_all((0..batch).map(|_| deed.prepare(stage))).await?;
            }
            let plan = plans.pop().context("a plan")?;
            let rule = kind.nth(n, Moment::AfterApply)?;
            let context = || format!("{deed:?}, number {n} of {kind:?}");
            let call = walk_killed(stage, deed, &plan, rule).await.with_context(context)?;
            ended.push(plan);
            if ended.len() == batch {
                leave(stage, deed, &mut ended).await?;
            }
            if call.is_none() {
                break;
            }
            met += 1;
        }
        ensure!(met > 0, "{deed:?}: never met {kind:?}");
        killed += met;
    }
    leave(stage, deed, &mut ended).await?;
    futures::future::try_join_all(plans.iter().map(Plan::leave)).await?;
    println!("{deed:?}: killed at {killed} writes, {:?}", began.elapsed());
    stage.audit().await.with_context(|| format!("after {deed:?}"))
}

/// Walks deeds over a cloud, each test its own ones side by side.
#[macro_export]
macro_rules! walks {
    ($cloud:ident, $world:ident: $($test:ident => [$($deed:ident),*]),* $(,)?) => {
        mod $cloud {
            $(#[tokio::test]
            async fn $test() -> anyhow::Result<()> {
                let walk = async |deed| {
                    let run = $crate::crash_walk::stage::folder()?;
                    let world = super::$world::start(&run).await?;
                    $crate::crash_walk::walk::walk($crate::crash_walk::stage::Stage::start(run, world).await?, deed).await
                };
                futures::future::try_join_all([$($crate::crash_walk::deed::Deed::$deed),*].map(walk)).await.map(drop)
            })*
        }
    };
}
