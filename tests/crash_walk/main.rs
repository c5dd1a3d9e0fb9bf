//! The crash walk: the operator is killed (SIGKILL) at its nth outgoing write, to the API server or to the cloud, once
//! before the write arrives and once after it was applied but before its answer; then it is started again. For every n,
//! the end is the same as without the kill, and the auditor finds nothing on the way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod stage;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::proxy::{Call, Moment, Upstream};
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

/// With a kill at the nth write; gives that write, or `None` if it never came.
async fn walk_killed(stage: &mut Stage, deed: Deed, plan: &Plan, n: u64, moment: Moment) -> Result<Option<Call>> {
    stage.rest().await?;
    let trigger = stage.proxy.on_nth_write(n, moment);
    deed.happen(plan).await?;
    let end = deed.end();
    let call = tokio::select! {
        call = trigger.reached(stage::PATIENCE) => Some(call?),
        ended = plan.until_end(&end) => {
            ended?;
            None
        }
    };
    if let Some(call) = &call {
        stage.operator.kill9();
        trigger.cut();
        stage.operator.restart()?;
        let what = || format!("killed {moment:?} at {}", call.line());
        plan.until_end(&end).await.with_context(what)?;
    }
    Ok(call)
}

async fn walk(stage: &mut Stage, deed: Deed) -> Result<()> {
    let began = std::time::Instant::now();
    let reference = walk_unharmed(stage, deed).await?;
    let lines: Vec<String> = reference.iter().map(Call::line).collect();
    println!("{deed:?}: {} writes\n  {}", lines.len(), lines.join("\n  "));
    for moment in [Moment::BeforeForward, Moment::AfterApply] {
        // One more than there were: timing may add one, and the walk is complete when a write never comes.
        let count = reference.len() + 1;
        let plans = futures::future::try_join_all((0..count).map(|_| deed.prepare(stage))).await?;
        let mut killed = Vec::new();
        for (n, plan) in (1..).zip(&plans) {
            match walk_killed(stage, deed, plan, n, moment).await.with_context(|| format!("{deed:?}, write {n}"))? {
                Some(call) => killed.push(call),
                None => break,
            }
        }
        // Those that came to their end stay there, whatever befell the others.
        for plan in &plans[..killed.len()] {
            plan.until_end(&deed.end()).await.context("what had ended moved again")?;
        }
        // Otherwise each start would look at all that went before.
        futures::future::try_join_all(plans.iter().map(Plan::leave)).await?;
        println!("{deed:?} {moment:?}: killed at {} writes, {:?}", killed.len(), began.elapsed());
        ensure!(killed.len() + 1 >= reference.len(), "only {} of {} writes", killed.len(), reference.len());
        ensure!(killed.iter().any(|call| call.upstream == Upstream::Cloud), "never at a write to the cloud");
        ensure!(killed.iter().any(|call| call.upstream == Upstream::Kubernetes), "never at a write to Kubernetes");
    }
    stage.audit().await.with_context(|| format!("after {deed:?}"))
}

#[tokio::test]
async fn killed_at_any_write_the_end_is_the_same_and_nothing_is_left_over() -> Result<()> {
    let mut stage = Stage::start().await?;
    for deed in [Deed::Share, Deed::ChangeRecipients, Deed::Unshare, Deed::DeleteImage] {
        walk(&mut stage, deed).await?;
    }
    Ok(())
}
