//! Attempts: requests that the API server may refuse, for they come from tenants who mean harm and from owners who err.
//! A refusal is as good as an answer: nothing about an attempt is insisted on but that it reached the API server.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::clouds::Seat;
use super::wish::{Object, text};
use super::wishing::{Answer, FIELD_MANAGER, People, RECONCILE_REQUESTED_AT, collection, path};

/// How long an object that is created and deleted in haste is there: about as long as the operator takes to put its
/// finalizer on it.
const FLEETING: Duration = Duration::from_millis(90);

/// How long its departure is waited for before the next one is created.
const DEPARTURE: Duration = Duration::from_millis(1_500);

/// Who restores what a backup holds.
const RESTORER: &str = "backup-restore";

/// An id that no recipient has and that no operator can parse, as a newer version might write.
const ODD_ID: &str = "10000 0";

/// What somebody tries.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Attempt {
    Create {
        object: Object,
        spec: Value,
    },
    Edit {
        object: Object,
        change: Value,
    },
    Delete {
        object: Object,
    },
    /// Creates an object and deletes it a moment later, so many times.
    Haste {
        object: Object,
        spec: Value,
        times: u32,
    },
    /// Asks for a reconcile so many times in a row.
    Annotate {
        object: Object,
        times: u32,
    },
    /// A backup's status is written over an image's: conditions that held once, a share that is gone.
    Restore {
        image: Object,
    },
    /// An entry that cannot be parsed is written into an image's ledger, as the operator writes.
    Spoil {
        image: Object,
    },
    /// That entry is taken out.
    Clean {
        image: Object,
    },
    /// The Secret of an account gets somebody else's key, or its own again.
    Key {
        namespace: String,
        seat: Seat,
        of: Seat,
    },
}

impl Attempt {
    /// By which attempts that must come in their order are told from others.
    pub(super) fn about(&self) -> String {
        match self {
            Self::Create { object, .. }
            | Self::Edit { object, .. }
            | Self::Delete { object }
            | Self::Haste { object, .. }
            | Self::Annotate { object, .. }
            | Self::Restore { image: object }
            | Self::Spoil { image: object }
            | Self::Clean { image: object } => path(object),
            Self::Key { namespace, .. } => namespace.clone(),
        }
    }
}

impl People {
    pub(super) async fn attempt(&self, attempt: &Attempt) -> Result<()> {
        match attempt {
            Attempt::Create { object, spec } => self.try_create(object, spec).await.map(drop),
            Attempt::Edit { object, change } => {
                self.try_call(Method::PATCH, &path(object), &json!({"spec": change})).await.map(drop)
            }
            Attempt::Delete { object } => self.try_call(Method::DELETE, &path(object), &Value::Null).await.map(drop),
            Attempt::Haste { object, spec, times } => self.hasten(object, spec, *times).await,
            Attempt::Annotate { object, times } => {
                for number in 0..*times {
                    let when = format!("{}-{number}", Timestamp::now());
                    let body = json!({"metadata": {"annotations": {RECONCILE_REQUESTED_AT: when}}});
                    self.try_call(Method::PATCH, &path(object), &body).await?;
                }
                Ok(())
            }
            Attempt::Restore { image } => self.restore(image).await,
            Attempt::Spoil { image } => self.change_ledger(image, spoil).await,
            Attempt::Clean { image } => self.change_ledger(image, clean).await,
            Attempt::Key { namespace, seat, of } => self.put_key(namespace, *seat, *of).await,
        }
    }

    /// Whether it was taken. Fails only where it has to be tried again.
    async fn try_call(&self, method: Method, path: &str, body: &Value) -> Result<bool> {
        let body = Some(body).filter(|body| !body.is_null());
        match self.api.call(method, path, body).await? {
            Answer::Done(_) => Ok(true),
            Answer::Refused(code, why) if code == 429 || code >= 500 => bail!("{path}: {code} {why}"),
            Answer::Refused(..) => Ok(false),
        }
    }

    async fn try_create(&self, object: &Object, spec: &Value) -> Result<bool> {
        let body = json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": object.kind.name(),
            "metadata": {"name": object.name}, "spec": self.with_endpoint(spec.clone())});
        self.try_call(Method::POST, &collection(object), &body).await
    }

    async fn hasten(&self, object: &Object, spec: &Value, times: u32) -> Result<()> {
        for _ in 0..times {
            if !self.try_create(object, spec).await? {
                return Ok(());
            }
            sleep(FLEETING).await;
            self.try_call(Method::DELETE, &path(object), &Value::Null).await?;
            let pause = Duration::from_millis(30);
            let mut left = DEPARTURE.as_millis() / pause.as_millis();
            while left > 0 && self.api.get(&path(object)).await?.is_some() {
                left -= 1;
                sleep(pause).await;
            }
        }
        Ok(())
    }

    async fn restore(&self, image: &Object) -> Result<()> {
        let Some(mut object) = self.api.get(&path(image)).await? else { return Ok(()) };
        let Some(status) = object.pointer_mut("/status").and_then(Value::as_object_mut) else { return Ok(()) };
        let long_ago = (Timestamp::now() - SignedDuration::from_hours(1)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let stalled = json!({"type": "Stalled", "status": "True", "reason": "AccountNotFound",
            "message": "there is no CloudAccount of this name", "lastTransitionTime": long_ago, "observedGeneration": 1});
        let push = |list: &mut Value, item: Value| {
            if let Some(items) = list.as_array_mut() {
                items.push(item);
            }
        };
        let conditions = status.entry("conditions").or_insert_with(|| json!([]));
        if conditions.as_array().is_some_and(|all| !all.iter().any(|one| text(one, "/type") == "Stalled")) {
            push(conditions, stalled);
        }
        let gone = json!({"uid": "00000000-0000-4000-8000-00000000dead", "generation": 1,
            "namespace": image.namespace, "name": "gone-since-the-backup"});
        push(status.entry("shares").or_insert_with(|| json!([])), gone);
        status.insert("absentSince".to_owned(), json!(long_ago));
        let at = format!("{}/status?fieldManager={RESTORER}", path(image));
        match self.api.call(Method::PUT, &at, Some(&object)).await? {
            // The image went meanwhile.
            Answer::Done(_) | Answer::Refused(404, _) => Ok(()),
            // Somebody wrote meanwhile. What a backup holds is valid.
            Answer::Refused(code, why) => bail!("{at}: {code} {why}"),
        }
    }

    async fn change_ledger(&self, image: &Object, change: impl Fn(&mut Vec<Value>) -> bool) -> Result<()> {
        let Some(object) = self.api.get(&path(image)).await? else { return Ok(()) };
        let mut status = object.get("status").cloned().unwrap_or_default();
        let Some(grants) = status.pointer_mut("/grants").and_then(Value::as_array_mut) else { return Ok(()) };
        if !change(grants) {
            return Ok(());
        }
        let version = object.pointer("/metadata/resourceVersion").context("an object has a version")?;
        let body = json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": image.kind.name(),
            "metadata": {"name": image.name, "resourceVersion": version}, "status": status});
        let at = format!("{}/status?fieldManager={FIELD_MANAGER}&force=true", path(image));
        match self.api.apply(&at, &body).await? {
            Answer::Refused(code, why) if code == 409 || code >= 500 => bail!("{at}: {code} {why}"),
            _ => Ok(()),
        }
    }
}

fn spoil(grants: &mut Vec<Value>) -> bool {
    let Some(mut odd) = grants.first().cloned() else { return false };
    if let Some(id) = odd.pointer_mut("/id") {
        *id = json!(ODD_ID);
    }
    grants.push(odd);
    true
}

fn clean(grants: &mut Vec<Value>) -> bool {
    let before = grants.len();
    grants.retain(|grant| text(grant, "/id") != ODD_ID);
    grants.len() < before
}
