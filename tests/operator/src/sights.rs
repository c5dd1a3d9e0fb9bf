//! What a test looks at: the cloud's effects, the events, the answers to annotations.

use anyhow::{Context as _, Result};
use imageshare_harness::eventually;
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::{Kind, PATIENCE, Player};

pub const MODIFY: &str = "ModifyImageSharePermission";
pub const LOOK: &str = "DescribeImages";
pub const LIST: &str = "DescribeImageSharePermission";

/// The strings of a JSON list, sorted.
pub fn strings(list: &Value) -> Vec<String> {
    let mut all: Vec<String> =
        list.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(ToOwned::to_owned)).collect();
    all.sort();
    all
}

/// The ids of a status list, sorted.
pub fn ids(list: &Value) -> Vec<String> {
    let mut all: Vec<String> =
        list.as_array().into_iter().flatten().filter_map(|v| v["id"].as_str().map(ToOwned::to_owned)).collect();
    all.sort();
    all
}

/// When a journal entry happened.
pub fn time_of(entry: &Value) -> Timestamp {
    entry["time"].as_str().and_then(|time| time.parse().ok()).expect("a journal entry has a time")
}

impl Player {
    /// Ids of recipients by number, sorted.
    pub fn recipients(&self, numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
        let mut all: Vec<String> = numbers.into_iter().map(|n| self.recipient(n)).collect();
        all.sort();
        all
    }

    /// An object as JSON.
    pub async fn get<K: Kind>(&self, name: &str) -> Result<Value> {
        Ok(serde_json::to_value(self.raw::<K>().get(name).await?)?)
    }

    /// Waits until an object satisfies `judge`, which fails with what is amiss.
    pub async fn until_it<K: Kind>(&self, name: &str, what: &str, judge: impl Fn(&Value) -> bool) -> Result<Value> {
        eventually(PATIENCE, &format!("{name}: {what}"), async || {
            let object = self.get::<K>(name).await?;
            anyhow::ensure!(judge(&object), "{}", object["status"]);
            Ok(Some(object))
        })
        .await
    }

    /// Asks for an immediate look at an object.
    pub async fn ask_for_a_look<K: Kind>(&self, name: &str, ask: &str) -> Result<()> {
        let annotation = json!({"imageshare.dev/reconcile-requested-at": ask});
        self.edit::<K>(name, json!({"metadata": {"annotations": annotation}})).await
    }

    /// Asks for an immediate look at an object and waits until it is answered.
    pub async fn look_now<K: Kind>(&self, name: &str, ask: &str) -> Result<Value> {
        self.ask_for_a_look::<K>(name, ask).await?;
        self.until_it::<K>(name, &format!("look {ask} answered"), |o| o["status"]["lastHandledReconcileAt"] == ask)
            .await
    }

    /// Replaces the recipients of a share.
    pub async fn reshare(&self, name: &str, numbers: impl IntoIterator<Item = u32>) -> Result<()> {
        self.reshare_with(name, numbers.into_iter().map(|n| self.recipient(n))).await
    }

    /// The same for any ids.
    pub async fn reshare_with(&self, name: &str, ids: impl IntoIterator<Item = String>) -> Result<()> {
        let recipients: Vec<Value> = ids.into_iter().map(|id| json!({"type": "Account", "id": id})).collect();
        self.edit::<imageshare_operator::api::ImageShare>(name, json!({"spec": {"recipients": recipients}})).await
    }

    /// Changes whom an image is shared with behind the operator's back.
    pub async fn share_by_hand(&self, image: u32, add: &[u32], remove: &[u32]) -> Result<()> {
        let of = |numbers: &[u32]| numbers.iter().map(|n| self.recipient(*n)).collect::<Vec<_>>();
        let change = json!({"image": self.image_id(image), "add": of(add), "remove": of(remove)});
        self.stage.cloud.post("/permissions", &change).await?;
        Ok(())
    }

    /// Whom calls to the cloud removed, in order; what was done behind the operator's back is not among them.
    pub async fn removed(&self) -> Result<Vec<String>> {
        Ok(self.calls(MODIFY).await?.iter().flat_map(|e| strings(&e["effect"]["removed"])).collect())
    }

    /// Calls that ask the cloud to change something.
    pub async fn mutations(&self) -> Result<Vec<Value>> {
        let all = self.journal().await?;
        let reads = |action: &str| action.starts_with("Describe") || action.starts_with("Get");
        let by_call = |e: &Value| e["principal"] != "out-of-band" && e["principal"] != "world";
        Ok(all.into_iter().filter(|e| by_call(e) && !reads(e["action"].as_str().unwrap_or_default())).collect())
    }

    /// Waits until the namespace has an event of this reason, whose note contains `text`; gives the note.
    pub async fn event(&self, reason: &str, text: &str) -> Result<String> {
        eventually(PATIENCE, &format!("event {reason} about {text}"), async || {
            let notes = self.notes(reason).await?;
            let found = notes.iter().find(|note| note.contains(text)).cloned();
            anyhow::ensure!(found.is_some(), "{notes:?}");
            Ok(found)
        })
        .await
    }

    /// Notes of the namespace's events of this reason.
    pub async fn notes(&self, reason: &str) -> Result<Vec<String>> {
        let events = self.api::<Event>().list(&ListParams::default()).await?;
        let of_reason = events.items.into_iter().filter(|e| e.reason.as_deref() == Some(reason));
        Ok(of_reason.filter_map(|e| e.note).collect())
    }

    /// A condition's message.
    pub fn message(object: &Value, kind: &str) -> Result<String> {
        Ok(super::condition(object, kind).context("no such condition")?.message)
    }
}
