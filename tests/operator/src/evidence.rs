//! What a test accuses or acquits the operator by: the journal's entries about one image, conditions and what they say;
//! and the means to bring about the case: images, faults, a forced look.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::ImageShare;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{Kind, PATIENCE, Player, REGION, condition};

impl Player {
    /// Puts an image of this player's account into the world; `extra` adds to it or changes it. Gives its id.
    pub async fn new_image(&self, name: &str, extra: Value) -> Result<String> {
        let id = format!("m-bp1player{:04}{name}", self.number);
        let mut image = json!({"id": id, "region": REGION, "owner": self.owner(), "name": name});
        for (field, value) in extra.as_object().context("an image is an object")? {
            image[field] = value.clone();
        }
        self.stage.cloud.post("/images", &image).await?;
        Ok(id)
    }

    /// Changes an image at the cloud, out of band.
    pub async fn patch_image(&self, id: &str, change: Value) -> Result<()> {
        self.stage.cloud.patch(&format!("/images/{id}"), &change).await?;
        Ok(())
    }

    /// A fault that strikes `count` requests of this player's account; `when` narrows it further.
    pub async fn fault(&self, when: Value, count: u64, then: Value) -> Result<()> {
        let mut fault = json!({"when": when, "count": count, "then": then});
        fault["when"]["account"] = json!(self.owner());
        self.stage.cloud.post_fault(&fault).await?;
        Ok(())
    }

    /// Every request about one image since the test began.
    pub async fn about(&self, image: &str) -> Result<Vec<Value>> {
        let all = self.stage.cloud.journal(self.since).await?;
        Ok(all.into_iter().filter(|e| e["image"] == image && e["principal"] != "out-of-band").collect())
    }

    /// Every request that would change who has an image.
    pub async fn sent(&self, image: &str) -> Result<Vec<Value>> {
        let about = self.about(image).await?;
        Ok(about.into_iter().filter(|e| e["action"] == "ModifyImageSharePermission").collect())
    }

    /// Everybody any request about an image asked to add.
    pub async fn asked_to_add(&self, image: &str) -> Result<Vec<String>> {
        let sent = self.sent(image).await?;
        let add = sent.iter().filter_map(|e| e["parameters"]["add"].as_array()).flatten();
        Ok(add.filter_map(|id| id.as_str().map(ToOwned::to_owned)).collect())
    }

    /// Everybody whose access to an image truly ended by a request, in order.
    pub async fn revoked(&self, image: &str) -> Result<Vec<String>> {
        let sent = self.sent(image).await?;
        let removed = sent.iter().filter_map(|e| e["effect"]["removed"].as_array()).flatten();
        Ok(removed.filter_map(|id| id.as_str().map(ToOwned::to_owned)).collect())
    }

    /// Requests whose signature or key the cloud refused, by the key they claimed.
    pub async fn refused_signatures(&self, key_ids: &[String]) -> Result<Vec<Value>> {
        let all = self.stage.cloud.journal(self.since).await?;
        let ours = |e: &Value| key_ids.iter().any(|id| e["principal"] == id.as_str());
        Ok(all.into_iter().filter(ours).collect())
    }

    /// Whom any image is shared with, as the cloud itself says, sorted; `None` where the image is gone.
    pub async fn recipients_of(&self, image: &str) -> Result<Option<Vec<String>>> {
        Ok(self.stage.cloud.image(image).await?.map(|found| {
            let shared = found["sharedWith"].as_array().into_iter().flatten();
            let mut shared: Vec<String> = shared.filter_map(|v| v.as_str().map(ToOwned::to_owned)).collect();
            shared.sort();
            shared
        }))
    }

    /// Waits until an image is shared with exactly these accounts.
    pub async fn until_recipients(&self, image: &str, wanted: &[String]) -> Result<()> {
        let mut wanted = wanted.to_vec();
        wanted.sort();
        eventually(PATIENCE, &format!("{image} to be shared with {wanted:?}"), async || {
            let shared = self.recipients_of(image).await?;
            ensure!(shared.as_ref() == Some(&wanted), "{shared:?}");
            Ok(Some(()))
        })
        .await
    }

    /// Waits until a share is not ready for this reason and exactly these recipients wait, each for its own.
    pub async fn until_waiting(&self, share: &str, reason: &str, wanted: &[(&str, &str)]) -> Result<Value> {
        let wanted: BTreeMap<_, _> = wanted.iter().map(|(id, why)| ((*id).to_owned(), (*why).to_owned())).collect();
        eventually(PATIENCE, &format!("{share}: {reason}, waiting {wanted:?}"), async || {
            let object = serde_json::to_value(self.api::<ImageShare>().get(share).await?)?;
            let ready = condition(&object, "Ready").is_some_and(|c| c.status == "False" && c.reason == reason);
            ensure!(ready && waiting(&object) == wanted, "{}", object["status"]);
            Ok(Some(object))
        })
        .await
    }

    /// Asks for one reconcile of an object, as a user does who changed what no watch tells: the cloud itself, or a Secret. Gives
    /// what was asked. Not waited for: the object may be gone by the answer.
    pub async fn nudge<K: Kind>(&self, name: &str) -> Result<String> {
        let asked = format!("{:?}", std::time::SystemTime::now());
        let annotation = json!({"metadata": {"annotations": {"imageshare.dev/reconcile-requested-at": asked}}});
        self.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(annotation)).await?;
        Ok(asked)
    }

    /// Has the operator look at an object now, and waits until it has; gives the object.
    pub async fn looked<K: Kind>(&self, name: &str) -> Result<Value> {
        let asked = self.nudge::<K>(name).await?;
        eventually(PATIENCE, &format!("{name} to be looked at"), async || {
            let object = serde_json::to_value(self.api::<K>().get(name).await?)?;
            ensure!(object["status"]["lastHandledReconcileAt"] == asked.as_str(), "{}", object["status"]);
            Ok(Some(object))
        })
        .await
    }
}

/// What a condition of an object says to a person; empty where there is no such condition.
pub fn message(object: &Value, kind: &str) -> String {
    condition(object, kind).map(|c| c.message).unwrap_or_default()
}

/// Demands each of these words of a condition's message.
pub fn says(object: &Value, kind: &str, words: &[&str]) {
    let message = message(object, kind);
    for word in words {
        assert!(message.contains(word), "{kind} does not say {word:?}: {message:?}");
    }
}

/// The recipients of a share that are not granted, and why.
pub fn waiting(share: &Value) -> BTreeMap<String, String> {
    let all = share["status"]["waiting"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    all.map(|w| (text(&w["id"]), text(&w["reason"]))).collect()
}
