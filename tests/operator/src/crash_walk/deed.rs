//! What a person does on a walk, and what must be so in the end.

use anyhow::Result;
use imageshare_operator::api::{CloudImage, ImageReplica, ImageShare, SharedImageAcceptance};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::crash_walk::stage::{End, Plan, Stage};
use crate::crash_walk::world::World;

/// Starting from an image that is ready, from a share that is ready where it is about one, and from an image that was
/// accepted where it is rejected or replicated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Share,
    ChangeRecipients,
    Accept,
    Reject,
    Unshare,
    DeleteImage,
    /// A copy of an own image in another region, which is shared at once.
    Copy,
    /// The end of a copy under way.
    StopCopy,
    /// The end of one that is shared.
    DeleteCopy,
    /// A copy of a received image in its own region.
    Replicate,
    /// A copy of that one in another region.
    CopyOn,
}

impl Deed {
    fn is_about_a_share(self) -> bool {
        !matches!(self, Self::Share | Self::Copy | Self::StopCopy | Self::DeleteCopy)
    }

    fn is_about_an_answer(self) -> bool {
        matches!(self, Self::Accept | Self::Reject | Self::Replicate | Self::CopyOn)
    }
}

impl Deed {
    pub async fn prepare<W: World>(self, stage: &Stage<W>) -> Result<Plan<W>> {
        let policy = if self == Self::DeleteImage { "Delete" } else { "Retain" };
        let mut plan = stage.plan(policy).await?;
        if self.is_about_a_share() {
            plan.share("golden", [1, 2, 3]).await?;
            plan.until("the share to be ready", |state| state["share"]["ready"] == "True Shared").await?;
        }
        if self.is_about_an_answer() {
            plan.seat("receiver", 1).await?;
        }
        if self.is_about_an_answer() && self != Self::Accept {
            plan.accept().await?;
            plan.until_end(&Self::Accept.end(stage.world.as_ref())).await?;
        }
        match self {
            Self::StopCopy => {
                plan.world.slow_copies(&plan.place).await?;
                plan.halt = plan.world.halt_of_copies(&plan.place).map(|rule| stage.proxy.add(rule));
            }
            Self::DeleteCopy => {
                plan.copy("golden", "Delete").await?;
                plan.share("far", [1, 2, 3]).await?;
                plan.until_end(&Self::Copy.end(stage.world.as_ref())).await?;
            }
            Self::CopyOn => {
                plan.replicate().await?;
                plan.until_end(&Self::Replicate.end(stage.world.as_ref())).await?;
            }
            _ => {}
        }
        Ok(plan)
    }

    /// What goes before and would not stay so for long.
    pub async fn begin<W: World>(self, plan: &Plan<W>) -> Result<()> {
        if self == Self::StopCopy {
            plan.copy("golden", "Retain").await?;
            let under_way = |state: &Value| state["copies"]["far"]["state"] == "Copying";
            plan.until("the copy to be under way", under_way).await?;
        }
        Ok(())
    }

    pub async fn happen<W: World>(self, plan: &Plan<W>) -> Result<()> {
        let (images, shares) = (plan.api::<CloudImage>(), plan.api::<ImageShare>());
        let (edit, delete) = (PatchParams::default(), DeleteParams::default());
        match self {
            Self::Share => plan.share("golden", [1, 2, 3]).await?,
            Self::ChangeRecipients => {
                let change = json!({"spec": {"recipients": plan.recipients("golden", [2, 3, 4])}});
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
            Self::Copy => {
                plan.share("far", [1, 2, 3]).await?;
                plan.copy("golden", "Retain").await?;
            }
            Self::StopCopy => drop(plan.api::<ImageReplica>().delete("far", &delete).await?),
            Self::DeleteCopy => {
                plan.api::<ImageReplica>().delete("far", &delete).await?;
                shares.delete("team", &delete).await?;
            }
            Self::Replicate => plan.replicate().await?,
            Self::CopyOn => plan.copy("near", "Retain").await?,
        }
        Ok(())
    }

    /// What must be so in the end, said independently of any run.
    pub fn end(self, world: &impl World) -> End {
        let answered = !world.unheard().is_empty();
        let ledger = |numbers: [usize; 3]| numbers.map(|n| format!("{n} Granted"));
        let share = |accepted: u32| {
            let accepted = answered.then(|| format!("{accepted}/3"));
            json!({"ready": "True Shared", "summary": "3/3", "accepted": accepted})
        };
        let end = |numbers: [usize; 3], first: &str, answer: Value| {
            let image = json!({"ready": "True Available", "ledger": ledger(numbers), "shares": 1, "job": null});
            let said = |n: usize| if n == 1 { first } else { world.unheard() };
            let accepted = u32::from(first == "accepted");
            End {
                objects: json!({"share": share(accepted), "image": image, "answer": answer, "copies": {}}),
                cloud: numbers.iter().map(|n| (n.to_string(), json!(said(*n)))).collect(),
                copies: Value::Null,
            }
        };
        let reply = |word: &str| json!({"ready": format!("True {word}"), "state": word, "job": null});
        // Nothing is asked there: to accept is to see it, and it cannot be rejected.
        let unasked = |truth: &str| json!({"ready": format!("{truth} NoAnswerNeeded"), "state": "Shared", "job": null});
        let image = || json!({"ready": "True Available", "ledger": [], "shares": 0, "job": null});
        let unshared = |image: Value, cloud: Value| End {
            objects: json!({"share": null, "image": image, "answer": null, "copies": {}}),
            cloud,
            copies: Value::Null,
        };
        let copied = |mut end: End, name: &str, image: Value, left: Value| {
            end.objects["copies"][name] = json!({"ready": "True Replicated", "state": "Made", "image": image});
            end.copies[name] = json!({"begun": 1, "left": [left]});
            end
        };
        match self {
            Self::Share => end([1, 2, 3], world.unheard(), Value::Null),
            Self::ChangeRecipients => end([2, 3, 4], world.unheard(), Value::Null),
            Self::Accept if !answered => end([1, 2, 3], "", unasked("True")),
            Self::Reject if !answered => end([1, 2, 3], "", unasked("False")),
            Self::Accept => end([1, 2, 3], "accepted", reply("Accepted")),
            Self::Reject => end([1, 2, 3], "rejected", reply("Rejected")),
            Self::Unshare => unshared(image(), json!({})),
            Self::DeleteImage => unshared(Value::Null, Value::Null),
            Self::Copy => {
                let shared = json!({"ready": "True Available", "ledger": ledger([1, 2, 3]), "shares": 1, "job": null});
                let mut end = copied(unshared(image(), json!({})), "far", shared, world.made(world.elsewhere(), 3));
                end.objects["share"] = share(0);
                end
            }
            Self::StopCopy | Self::DeleteCopy => {
                let mut end = unshared(image(), json!({}));
                end.copies = world.made_and_gone().map_or_else(|| json!({}), |gone| json!({"far": gone}));
                end
            }
            Self::Replicate => copied(Self::Accept.end(world), "near", image(), world.made(world.region(), 0)),
            Self::CopyOn => copied(Self::Replicate.end(world), "far", image(), world.made(world.elsewhere(), 0)),
        }
    }
}
