//! What a person does on a walk, and what must be so in the end.

use anyhow::Result;
use imageshare_operator::api::{CloudImage, ImageShare, SharedImageAcceptance};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::stage::{End, Plan, Stage};
use crate::world::World;

/// Starting from an image that is ready, from a share that is ready where it is about one, and from an image that was
/// accepted where it is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Share,
    ChangeRecipients,
    Accept,
    Reject,
    Unshare,
    DeleteImage,
}

impl Deed {
    pub(crate) async fn prepare<W: World>(self, stage: &Stage<W>) -> Result<Plan<W>> {
        let policy = if self == Self::DeleteImage { "Delete" } else { "Retain" };
        let plan = stage.plan(policy).await?;
        if self != Self::Share {
            plan.share([1, 2, 3]).await?;
            plan.until("the share to be ready", |state| state["share"]["ready"] == "True Shared").await?;
        }
        if matches!(self, Self::Accept | Self::Reject) {
            plan.seat("receiver", 1).await?;
        }
        if self == Self::Reject {
            plan.accept().await?;
            plan.until_end(&Self::Accept.end(stage.world.as_ref())).await?;
        }
        Ok(plan)
    }

    pub(crate) async fn happen<W: World>(self, plan: &Plan<W>) -> Result<()> {
        let (images, shares) = (plan.api::<CloudImage>(), plan.api::<ImageShare>());
        let (edit, delete) = (PatchParams::default(), DeleteParams::default());
        match self {
            Self::Share => plan.share([1, 2, 3]).await?,
            Self::ChangeRecipients => {
                let change = json!({"spec": {"recipients": plan.recipients([2, 3, 4])}});
                shares.patch("team", &edit, &Patch::Merge(change)).await?;
            }
            Self::Accept => plan.accept().await?,
            Self::Reject => {
                let change = json!({"spec": {"decision": "Reject"}});
                plan.api::<SharedImageAcceptance>().patch("answer", &edit, &Patch::Merge(change)).await?;
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
    pub(crate) fn end(self, world: &impl World) -> End {
        let answered = !world.unheard().is_empty();
        let end = |numbers: [usize; 3], first: &str, answer: Value| {
            let ledger: Vec<String> = numbers.iter().map(|n| format!("{n} Granted")).collect();
            let accepted = answered.then(|| format!("{}/3", u32::from(first == "accepted")));
            let said = |n: usize| if n == 1 { first } else { world.unheard() };
            End {
                objects: json!({
                    "share": {"ready": "True Shared", "summary": "3/3", "accepted": accepted},
                    "image": {"ready": "True Available", "ledger": ledger, "shares": 1, "job": null},
                    "answer": answer,
                }),
                cloud: numbers.iter().map(|n| (n.to_string(), json!(said(*n)))).collect(),
            }
        };
        let reply = |word: &str| json!({"ready": format!("True {word}"), "state": word, "job": null});
        let unshared =
            |image: Value, cloud: Value| End { objects: json!({"share": null, "image": image, "answer": null}), cloud };
        match self {
            Self::Share => end([1, 2, 3], world.unheard(), Value::Null),
            Self::ChangeRecipients => end([2, 3, 4], world.unheard(), Value::Null),
            Self::Accept => end([1, 2, 3], "accepted", reply("Accepted")),
            Self::Reject => end([1, 2, 3], "rejected", reply("Rejected")),
            Self::Unshare => {
                let image = json!({"ready": "True Available", "ledger": [], "shares": 0, "job": null});
                unshared(image, json!({}))
            }
            Self::DeleteImage => unshared(Value::Null, Value::Null),
        }
    }
}
