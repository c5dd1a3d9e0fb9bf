//! The operator is halted (SIGSTOP) in the middle of a pass, at each step of it, and the world goes on without it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use imageshare_harness::auditor::Invariant;
use imageshare_harness::proxy::{Deed, Moment, Rule, Trigger, Upstream, Which};
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::json;

use crate::alone;
use support::behind::Behind;
use support::sights::{MODIFY, strings};
use support::{PATIENCE, Player};

/// Where in a pass the operator is halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    BeforeIntent,
    AfterIntent,
    BeforeList,
    BeforeCall,
}

const STEPS: [Step; 4] = [Step::BeforeIntent, Step::AfterIntent, Step::BeforeList, Step::BeforeCall];

/// What happens meanwhile. The pass grants 1 and 2 for the share `team`, except in the last: it revokes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    ShareDeleted,
    /// To 2 and 3.
    ShareEdited,
    ImageDeleted,
    ConsentWithdrawn,
    /// By the share `other`, which had 3.
    WishedByAnother,
}

const ALL: [Meanwhile; 5] = [
    Meanwhile::ShareDeleted,
    Meanwhile::ShareEdited,
    Meanwhile::ImageDeleted,
    Meanwhile::ConsentWithdrawn,
    Meanwhile::WishedByAnother,
];

struct Case {
    behind: &'static Behind,
    step: Step,
    meanwhile: Meanwhile,
    /// Owner of the image.
    host: Player,
    /// Owner of the share; in another namespace where consent is at stake.
    guest: Player,
    image: String,
    held: Trigger,
}

impl Case {
    /// Up to the held request.
    async fn reach(behind: &'static Behind, step: Step, meanwhile: Meanwhile) -> Result<Self> {
        let host = behind.player_with(|_| {}).await?;
        let image = format!("golden-{}", host.number);
        let from = if meanwhile == Meanwhile::ConsentWithdrawn { "All" } else { "Same" };
        let consent = serde_json::from_value(json!({"namespaces": {"from": from}}))?;
        host.image(&image, |spec| spec.shareable_from = consent).await?;
        host.ready::<CloudImage>(&image).await?;
        let guest = if from == "All" { host.guest().await? } else { host.clone() };
        let rule = |body| Rule::new(which(step, &host, &image, body), deed(step)).times(1);
        let held = if meanwhile == Meanwhile::WishedByAnother {
            share(&host, &guest, &image, "team", [1, 2]).await?;
            share(&host, &guest, &image, "other", [3]).await?;
            host.until_shared_with(1, 1..=3).await?;
            guest.ready::<ImageShare>("other").await?;
            host.ready::<CloudImage>(&image).await?;
            let held = behind.proxy.add(rule("\"Revoking\""));
            guest.delete::<ImageShare>("team").await?;
            held
        } else {
            let held = behind.proxy.add(rule("\"Intended\""));
            share(&host, &guest, &image, "team", [1, 2]).await?;
            held
        };
        held.reached(PATIENCE).await.with_context(|| format!("{step:?}, {meanwhile:?}"))?;
        Ok(Self { behind, step, meanwhile, host, guest, image, held })
    }

    async fn happen(&self) -> Result<()> {
        match self.meanwhile {
            Meanwhile::ShareDeleted => self.guest.delete::<ImageShare>("team").await,
            Meanwhile::ShareEdited => self.guest.reshare("team", [2, 3]).await,
            Meanwhile::ImageDeleted => self.host.delete::<CloudImage>(&self.image).await,
            Meanwhile::ConsentWithdrawn => {
                let withdrawn = json!({"spec": {"shareableFrom": {"namespaces": {"from": "Same"}}}});
                self.host.edit::<CloudImage>(&self.image, withdrawn).await
            }
            Meanwhile::WishedByAnother => self.guest.reshare("other", [1, 3]).await,
        }
    }

    /// As it must be once the operator goes on; then everything is deleted.
    async fn judge(&self) -> Result<()> {
        match self.meanwhile {
            Meanwhile::ShareDeleted => self.guest.gone::<ImageShare>("team").await?,
            Meanwhile::ShareEdited => {
                self.guest.ready::<ImageShare>("team").await?;
                self.host.until_shared_with(1, 2..=3).await?;
            }
            Meanwhile::ImageDeleted => {
                // A share with consent keeps the image, and nothing of it is taken away.
                self.host.until_condition::<CloudImage>(&self.image, "Deletable", "False", "ShareExists").await?;
                self.guest.delete::<ImageShare>("team").await?;
                self.guest.gone::<ImageShare>("team").await?;
            }
            Meanwhile::ConsentWithdrawn => {
                self.guest.until::<ImageShare>("team", "False", "ImageRefUnresolved").await?;
                self.host.until_shared_with(1, []).await?;
                self.guest.delete::<ImageShare>("team").await?;
                self.guest.gone::<ImageShare>("team").await?;
            }
            Meanwhile::WishedByAnother => {
                self.guest.gone::<ImageShare>("team").await?;
                self.guest.ready::<ImageShare>("other").await?;
                self.host.until_shared_with(1, [1, 3]).await?;
            }
        }
        self.judge_calls().await?;
        for name in ["team", "other"] {
            if self.guest.api::<ImageShare>().get_opt(name).await?.is_some() {
                self.guest.delete::<ImageShare>(name).await?;
                self.guest.gone::<ImageShare>(name).await?;
            }
        }
        assert_eq!(self.host.shared_with(1).await?, Vec::<String>::new(), "a grant is left without a share");
        if self.meanwhile != Meanwhile::ImageDeleted {
            self.host.delete::<CloudImage>(&self.image).await?;
        }
        self.host.gone::<CloudImage>(&self.image).await?;
        // The list beside which the image is read again proves consent, and nothing after it does: what lands then is mended.
        let late = self.meanwhile == Meanwhile::ConsentWithdrawn && self.step == Step::BeforeCall;
        let unavoidable: &[Invariant] = if late { &[Invariant::NoGrantWithoutWish] } else { &[] };
        self.behind.audit(&[&self.host, &self.guest], unavoidable).await
    }

    /// Whom calls may have touched: what the fresh list told before the call was never sent.
    async fn judge_calls(&self) -> Result<()> {
        if self.step == Step::BeforeCall {
            return Ok(());
        }
        let calls = self.host.calls(MODIFY).await?;
        let effects = |what: &str| -> Vec<String> { calls.iter().flat_map(|e| strings(&e["effect"][what])).collect() };
        let (added, removed) = (effects("added"), effects("removed"));
        match self.meanwhile {
            Meanwhile::ShareDeleted => assert_eq!(calls, Vec::<serde_json::Value>::new()),
            Meanwhile::ShareEdited => assert!(!added.contains(&self.host.recipient(1)), "{added:?}"),
            Meanwhile::WishedByAnother => assert!(!removed.contains(&self.host.recipient(1)), "{removed:?}"),
            // Either changes the image, and an intent upon the old one is refused.
            Meanwhile::ImageDeleted | Meanwhile::ConsentWithdrawn if self.step == Step::BeforeIntent => {
                assert!(added.is_empty(), "{added:?}");
            }
            Meanwhile::ImageDeleted | Meanwhile::ConsentWithdrawn => {}
        }
        Ok(())
    }
}

async fn share(
    host: &Player,
    guest: &Player,
    image: &str,
    name: &str,
    to: impl IntoIterator<Item = u32>,
) -> Result<()> {
    let ids: Vec<String> = to.into_iter().map(|n| host.recipient(n)).collect();
    let reference = serde_json::from_value(json!({"name": image, "namespace": host.namespace.name()}))?;
    guest.share_with(name, &ids, |spec| spec.image_ref = reference).await
}

fn which(step: Step, host: &Player, image: &str, body: &str) -> Which {
    match step {
        Step::BeforeIntent | Step::AfterIntent => {
            let path = format!("/namespaces/{}/cloudimages/{image}/status", host.namespace.name());
            Which::write().to(Upstream::Kubernetes).path(&path).body(body)
        }
        Step::BeforeList => {
            Which::read().to(Upstream::Kubernetes).path("/imageshares?").path("fieldSelector=").path(image)
        }
        Step::BeforeCall => Which::write().to(Upstream::Cloud).action(MODIFY).path(&host.image_id(1)),
    }
}

fn deed(step: Step) -> Deed {
    Deed::Hold(if step == Step::AfterIntent { Moment::AfterApply } else { Moment::BeforeForward })
}

/// All cases at once: each halted at its step, all by one halt.
async fn freeze(cases: impl IntoIterator<Item = (Step, Meanwhile)>, pause: Duration) -> Result<()> {
    let (_alone, behind) = alone().await?;
    let cases = try_join_all(cases.into_iter().map(|(step, meanwhile)| Case::reach(behind, step, meanwhile))).await?;
    let mut operator = behind.stage.operator.lock().await;
    operator.freeze()?;
    try_join_all(cases.iter().map(Case::happen)).await?;
    for case in &cases {
        case.held.release();
    }
    tokio::time::sleep(pause).await;
    operator.thaw()?;
    drop(operator);
    try_join_all(
        cases
            .iter()
            .map(async |case| case.judge().await.with_context(|| format!("{:?}, {:?}", case.step, case.meanwhile))),
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn halted_anywhere_in_a_pass_nothing_is_granted_or_revoked_against_what_was_wished_meanwhile() -> Result<()> {
    freeze(STEPS.into_iter().flat_map(|step| ALL.map(|meanwhile| (step, meanwhile))), Duration::ZERO).await
}

/// Longer than any call may take: every deadline has passed when it wakes.
#[tokio::test]
async fn halted_beyond_every_deadline_the_end_is_the_same() -> Result<()> {
    let cases = STEPS
        .into_iter()
        .flat_map(|step| [Meanwhile::ShareDeleted, Meanwhile::WishedByAnother].map(|meanwhile| (step, meanwhile)));
    freeze(cases, Duration::from_secs(11)).await
}
