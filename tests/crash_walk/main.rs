//! The crash walk: the operator is killed (SIGKILL) after each of its outgoing writes, to the API server or to the cloud,
//! was applied but before its answer; then it is started again. Each time, the end is the same as without the kill, and the
//! auditor finds nothing on the way. A write that never arrived leaves the servers as the one before it did: the same walk.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod stage;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::proxy::{Call, Deed as Fault, Moment, Rule, Upstream, Which};
use imageshare_operator::api::{CloudImage, ImageShare};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use stage::{Plan, Stage};

/// What a person does, starting from an image that is ready, and from a share that is ready where it is about one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Share,
    ChangeRecipients,
    Unshare,
    DeleteImage,
}

impl Deed {
    async fn prepare(self, stage: &Stage) -> Result<Plan> {
        let policy = if self == Self::DeleteImage { "Delete" } else { "Retain" };
        let plan = stage.plan(policy).await?;
        if self != Self::Share {
            plan.share([1, 2, 3]).await?;
            plan.until("the share to be ready", |state| state["share"]["ready"] == "True Shared").await?;
        }
        Ok(plan)
    }

    async fn happen(self, plan: &Plan) -> Result<()> {
        let (images, shares) = (plan.api::<CloudImage>(), plan.api::<ImageShare>());
        let delete = DeleteParams::default();
        match self {
            Self::Share => plan.share([1, 2, 3]).await?,
            Self::ChangeRecipients => {
                let change = json!({"spec": {"recipients": plan.recipients([2, 3, 4])}});
                shares.patch("team", &PatchParams::default(), &Patch::Merge(change)).await?;
            }
            Self::Unshare => drop(shares.delete("team", &delete).await?),
            Self::DeleteImage => {
                images.delete("golden", &delete).await?;
                shares.delete("team", &delete).await?;
            }
        }
        Ok(())
    }

    /// What must be so in the end, said independently of any run.
    fn end(self) -> Value {
        let share = |ready: &str| json!({"ready": ready, "summary": "3/3"});
        let image = json!({"ready": "True Available", "ledger": [], "shares": 0});
        let sharing = |numbers: [u32; 3]| {
            let ledger: Vec<String> = numbers.iter().map(|n| format!("{n} Granted")).collect();
            json!({"ready": "True Available", "ledger": ledger, "shares": 1})
        };
        match self {
            Self::Share => json!({"cloud": [1, 2, 3], "share": share("True Shared"), "image": sharing([1, 2, 3])}),
            Self::ChangeRecipients => {
                json!({"cloud": [2, 3, 4], "share": share("True Shared"), "image": sharing([2, 3, 4])})
            }
            Self::Unshare => json!({"cloud": [], "share": null, "image": image}),
            Self::DeleteImage => json!({"cloud": null, "share": null, "image": null}),
        }
    }
}

/// Without a kill; gives the writes it took.
async fn walk_unharmed(stage: &Stage, deed: Deed) -> Result<Vec<Call>> {
    let plan = deed.prepare(stage).await?;
    let since = stage.rest().await?;
    deed.happen(&plan).await?;
    plan.until_end(&deed.end()).await?;
    stage.rest().await?;
    let writes = stage.proxy.writes(since);
    plan.until_end(&deed.end()).await?;
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
async fn walk_killed(stage: &mut Stage, deed: Deed, plan: &Plan, rule: Rule) -> Result<Option<Call>> {
    stage.rest().await?;
    let trigger = stage.proxy.add(rule);
    deed.happen(plan).await?;
    let end = deed.end();
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
        plan.until_end(&end).await.with_context(|| format!("killed at {}", call.line()))?;
    }
    Ok(call)
}

/// On a stage of its own, so that the deeds are walked side by side: a walk mostly waits.
async fn walk(deed: Deed) -> Result<()> {
    let stage = &mut Stage::start().await?;
    let began = std::time::Instant::now();
    let reference: Vec<Kind> = walk_unharmed(stage, deed).await?.iter().map(Kind::of).collect();
    let first = |n: usize, kind: &Kind| !reference[..n].contains(kind);
    let kinds: Vec<Kind> =
        reference.iter().enumerate().filter(|(n, kind)| first(*n, kind)).map(|(_, kind)| kind.clone()).collect();
    println!("{deed:?}: {} writes of {} kinds, as {kinds:?}", reference.len(), kinds.len());
    // One more for each kind than there were: how many there are depends on timing, a little.
    let count = reference.len() + kinds.len();
    let mut plans = futures::future::try_join_all((0..count).map(|_| deed.prepare(stage))).await?;
    let mut ended = Vec::new();
    let mut killed = 0;
    for kind in &kinds {
        let usual = reference.iter().filter(|other| *other == kind).count();
        let mut met = 0;
        for n in 1..=usual + 1 {
            let plan = plans.pop().context("there is a plan for each")?;
            let rule = kind.nth(n, Moment::AfterApply)?;
            let context = || format!("{deed:?}, number {n} of {kind:?}");
            let call = walk_killed(stage, deed, &plan, rule).await.with_context(context)?;
            ended.push(plan);
            if call.is_none() {
                break;
            }
            met += 1;
        }
        ensure!(met > 0, "{deed:?}: never met {kind:?}");
        killed += met;
    }
    // Those that came to their end stay there, whatever befell the others.
    for plan in &ended {
        plan.until_end(&deed.end()).await.context("what had ended moved again")?;
    }
    // Otherwise each start would look at all that went before.
    futures::future::try_join_all(ended.iter().chain(&plans).map(Plan::leave)).await?;
    println!("{deed:?}: killed at {killed} writes, {:?}", began.elapsed());
    stage.audit().await.with_context(|| format!("after {deed:?}"))
}

#[tokio::test]
async fn killed_at_any_write_of_a_share_the_end_is_the_same_and_nothing_is_left_over() -> Result<()> {
    walk(Deed::Share).await
}

#[tokio::test]
async fn killed_at_any_write_of_a_change_of_recipients_the_end_is_the_same_and_nothing_is_left_over() -> Result<()> {
    walk(Deed::ChangeRecipients).await
}

#[tokio::test]
async fn killed_at_any_write_of_an_end_the_end_is_the_same_and_nothing_is_left_over() -> Result<()> {
    walk(Deed::Unshare).await
}

#[tokio::test]
async fn killed_at_any_write_of_deleting_the_image_the_end_is_the_same_and_nothing_is_left_over() -> Result<()> {
    walk(Deed::DeleteImage).await
}
