//! Carries wishes out. Wishes about one object are made in their order, each tried until it is taken; nobody waits for
//! another's object.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::clouds::{Cloud, KEYS, Seat};
use super::wish::{Kind, Object, Wish, text};
use crate::simulator::Simulator;

/// How long a wish is tried after the end of the plan: the API server may be away, and an elder object of the name may have
/// to go, which it cannot while its account is suspended.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(150);
const CALL: Duration = Duration::from_secs(5);

/// Keeps a Secret until nothing needs it any more.
const HELD: &str = "campaign.test/held";

/// Who the operator is as a writer.
pub(super) const FIELD_MANAGER: &str = "imageshare-operator";

/// Asks for a look.
pub(super) const RECONCILE_REQUESTED_AT: &str = "imageshare.dev/reconcile-requested-at";

/// What the API server said.
pub(super) enum Answer {
    Done(Value),
    Refused(u16, String),
}

/// Asks the API server as a cluster administrator, past the proxy.
#[derive(Clone)]
pub(super) struct Api(pub(super) kube::Client);

impl Api {
    pub(super) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        self.send(method, path, kind, body).await
    }

    /// Server-side apply.
    pub(super) async fn apply(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::PATCH, path, "application/apply-patch+yaml", Some(body)).await
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: Option<&Value>) -> Result<Answer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = http::Request::builder().method(method).uri(path).header("content-type", kind);
        match timeout(CALL, self.0.request::<Value>(request.body(body.into_bytes())?)).await? {
            Ok(answer) => Ok(Answer::Done(answer)),
            Err(kube::Error::Api(status)) => Ok(Answer::Refused(status.code, status.message.clone())),
            Err(other) => Err(other.into()),
        }
    }

    pub(super) async fn get(&self, path: &str) -> Result<Option<Value>> {
        match self.call(Method::GET, path, None).await? {
            Answer::Done(object) => Ok(Some(object)),
            Answer::Refused(404, _) => Ok(None),
            Answer::Refused(code, why) => bail!("{path}: {code} {why}"),
        }
    }

    /// Every object of our kinds.
    pub(super) async fn all(&self) -> Result<BTreeMap<Object, Value>> {
        let mut all = BTreeMap::new();
        for kind in Kind::ALL {
            let list = self.get(&format!("{GROUP}/{}", kind.plural())).await?.context("a kind is served")?;
            for object in list.pointer("/items").and_then(Value::as_array).into_iter().flatten() {
                let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
                all.insert(Object::new(kind, namespace, name), object.clone());
            }
        }
        Ok(all)
    }
}

const GROUP: &str = "/apis/imageshare.dev/v1alpha1";

pub(super) fn collection(object: &Object) -> String {
    format!("{GROUP}/namespaces/{}/{}", object.namespace, object.kind.plural())
}

pub(super) fn path(object: &Object) -> String {
    format!("{}/{}", collection(object), object.name)
}

/// What everybody who carries out wishes knows.
pub(super) struct People {
    pub(super) api: Api,
    pub(super) cloud: Simulator,
    /// Where accounts of each cloud are called.
    pub(super) doors: BTreeMap<Cloud, String>,
    /// The key in use of each account.
    keys: Mutex<BTreeMap<Seat, usize>>,
    ended: Mutex<BTreeSet<String>>,
}

impl People {
    pub(super) fn new(api: Api, cloud: Simulator, doors: BTreeMap<Cloud, String>) -> Self {
        Self { api, cloud, doors, keys: Mutex::default(), ended: Mutex::default() }
    }

    fn has_ended(&self, namespace: &str) -> bool {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).contains(namespace)
    }

    /// Breaks off where the object can never be made, so that no later wish about it means anything.
    async fn carry_out(&self, wish: &Wish) -> Result<ControlFlow<()>> {
        match wish {
            Wish::Namespace { name, seats } => {
                let object = json!({"metadata": {"name": name}});
                let made = self.create("/api/v1/namespaces", name, &object, name).await?;
                for seat in seats {
                    self.write_secret(name, *seat).await?;
                }
                return Ok(made);
            }
            Wish::EndNamespace { name } => {
                self.delete(&format!("/api/v1/namespaces/{name}")).await?;
                self.ended.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
            }
            Wish::Create { object, spec } => {
                let body = json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": object.kind.name(),
                    "metadata": {"name": object.name}, "spec": self.with_endpoint(spec.clone())});
                return self.create(&collection(object), &object.name, &body, &object.namespace).await;
            }
            Wish::Edit { object, change } => self.edit(object, &json!({"spec": change})).await?,
            Wish::Look { object } => {
                let now = json!({RECONCILE_REQUESTED_AT: Timestamp::now().to_string()});
                self.edit(object, &json!({"metadata": {"annotations": now}})).await?;
            }
            Wish::Expire { object, millis } => {
                let after = SignedDuration::from_millis(i64::try_from(*millis)?);
                // Whole seconds, as the API writes them.
                let end = (Timestamp::now() + after).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                self.edit(object, &json!({"spec": {"expirationTime": end}})).await?;
            }
            Wish::Delete { object } => self.delete(&path(object)).await?,
            Wish::Rotate { namespace, seat, to, overlap } => self.rotate(namespace, *seat, *to, *overlap).await?,
            Wish::Attempt(attempt) => self.attempt(attempt).await?,
        }
        Ok(ControlFlow::Continue(()))
    }

    pub(super) fn with_endpoint(&self, mut spec: Value) -> Value {
        for (cloud, door) in &self.doors {
            if let Some(account) = spec.get_mut(cloud.word()).and_then(Value::as_object_mut) {
                account.insert("endpoint".to_owned(), json!(door));
            }
        }
        spec
    }

    /// An elder object of the name goes first, if it is going. Breaks off where the namespace has ended: an elder object
    /// may still be going there, and is not meant.
    async fn create(&self, collection: &str, name: &str, body: &Value, namespace: &str) -> Result<ControlFlow<()>> {
        match self.api.call(Method::POST, collection, Some(body)).await? {
            Answer::Done(_) => Ok(ControlFlow::Continue(())),
            Answer::Refused(409, why) => {
                let there = self.api.get(&format!("{collection}/{name}")).await?;
                let stays = there.is_some_and(|object| object.pointer("/metadata/deletionTimestamp").is_none());
                // An earlier try was taken and its answer lost.
                if stays { Ok(ControlFlow::Continue(())) } else { bail!("{name} is still going: {why}") }
            }
            Answer::Refused(403 | 404, _) if self.has_ended(namespace) => Ok(ControlFlow::Break(())),
            Answer::Refused(code, why) => bail!("creating {name} in {collection}: {code} {why}"),
        }
    }

    async fn edit(&self, object: &Object, change: &Value) -> Result<()> {
        match self.api.call(Method::PATCH, &path(object), Some(change)).await? {
            Answer::Done(_) => Ok(()),
            Answer::Refused(404, _) if self.has_ended(&object.namespace) => Ok(()),
            Answer::Refused(code, why) => bail!("editing {}: {code} {why}", path(object)),
        }
    }

    async fn delete(&self, path: &str) -> Result<()> {
        match self.api.call(Method::DELETE, path, None).await? {
            Answer::Done(_) | Answer::Refused(404, _) => Ok(()),
            // It is going already.
            Answer::Refused(409, _) if path.starts_with("/api/v1/namespaces/") => Ok(()),
            Answer::Refused(code, why) => bail!("deleting {path}: {code} {why}"),
        }
    }

    fn key_of(&self, seat: Seat) -> usize {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(&seat).copied().unwrap_or_default()
    }

    async fn write_secret(&self, namespace: &str, seat: Seat) -> Result<()> {
        let (id, secret) = seat.key(self.key_of(seat));
        let data = json!({"accessKeyID": id, "accessKeySecret": secret});
        let collection = format!("/api/v1/namespaces/{namespace}/secrets");
        let object = json!({"metadata": {"name": seat.name(), "finalizers": [HELD]}, "stringData": data});
        if self.create(&collection, &seat.name(), &object, namespace).await?.is_break() {
            return Ok(());
        }
        let path = format!("{collection}/{}", seat.name());
        match self.api.call(Method::PATCH, &path, Some(&json!({"stringData": data}))).await? {
            Answer::Done(_) => Ok(()),
            Answer::Refused(404, _) if self.has_ended(namespace) => Ok(()),
            Answer::Refused(code, why) => bail!("the Secret of {}: {code} {why}", seat.name()),
        }
    }

    /// Puts a key into an account's Secret: its own, or another one's.
    pub(super) async fn put_key(&self, namespace: &str, seat: Seat, of: Seat) -> Result<()> {
        let (id, secret) = of.key(self.key_of(of));
        let data = json!({"accessKeyID": id, "accessKeySecret": secret});
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{}", seat.name());
        match self.api.call(Method::PATCH, &path, Some(&json!({"stringData": data}))).await? {
            Answer::Done(_) => Ok(()),
            Answer::Refused(code, why) => bail!("the Secret of {}: {code} {why}", seat.name()),
        }
    }

    async fn rotate(&self, namespace: &str, seat: Seat, to: usize, overlap: Option<u64>) -> Result<()> {
        self.switch(seat, to, true).await?;
        let others = || (0..KEYS).filter(move |n| *n != to);
        if overlap.is_none() {
            for old in others() {
                self.switch(seat, old, false).await?;
            }
        }
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(seat, to);
        self.write_secret(namespace, seat).await?;
        if let Some(millis) = overlap {
            sleep(Duration::from_millis(millis)).await;
            for old in others() {
                self.switch(seat, old, false).await?;
            }
        }
        Ok(())
    }

    async fn switch(&self, seat: Seat, key: usize, on: bool) -> Result<()> {
        let prefix = if seat.cloud == Cloud::Huawei { "/huawei" } else { "" };
        let change = json!({"disabled": !on});
        self.cloud.patch(&format!("{prefix}/keys/{}", seat.key(key).0), &change).await.map(drop)
    }

    /// Lets the Secrets go of ended namespaces in which nothing needs them any more.
    pub(super) async fn release_secrets(&self) -> Result<()> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if ended.is_empty() {
            return Ok(());
        }
        let all = self.api.all().await?;
        for namespace in ended.iter().filter(|namespace| !all.keys().any(|object| object.namespace == **namespace)) {
            let collection = format!("/api/v1/namespaces/{namespace}/secrets");
            let list = self.api.get(&collection).await?.unwrap_or_default();
            for secret in list.pointer("/items").and_then(Value::as_array).into_iter().flatten() {
                let path = format!("{collection}/{}", text(secret, "/metadata/name"));
                self.api.call(Method::PATCH, &path, Some(&json!({"metadata": {"finalizers": null}}))).await?;
            }
        }
        Ok(())
    }

    /// Tries until it is taken.
    async fn insist(&self, wish: &Wish, deadline: Instant) -> Result<ControlFlow<()>> {
        loop {
            match timeout_at(deadline, self.carry_out(wish)).await {
                Ok(Ok(flow)) => return Ok(flow),
                Ok(Err(error)) if Instant::now() + PAUSE > deadline => {
                    return Err(error).with_context(|| format!("in vain until {PATIENCE:?} after the end: {wish:?}"));
                }
                Ok(Err(_)) => sleep(PAUSE).await,
                Err(_) => bail!("in vain until {PATIENCE:?} after the end: {wish:?}"),
            }
        }
    }
}

/// Wishes on their way.
pub(super) struct Lanes {
    deadline: Instant,
    open: BTreeMap<String, UnboundedSender<Wish>>,
    walking: Vec<JoinHandle<Result<()>>>,
}

impl Lanes {
    /// For a plan that ends then.
    pub(super) fn until(end: Instant) -> Self {
        Self { deadline: end + PATIENCE, open: BTreeMap::new(), walking: Vec::new() }
    }

    /// Puts a wish behind those about the same object.
    pub(super) fn send(&mut self, people: &Arc<People>, wish: &Wish) {
        let (walking, deadline) = (&mut self.walking, self.deadline);
        let lane = self.open.entry(about(wish)).or_insert_with(|| {
            let (sender, wishes) = mpsc::unbounded_channel();
            walking.push(tokio::spawn(walk(Arc::clone(people), wishes, deadline)));
            sender
        });
        // It takes wishes until one failed, which is told at the end, or was about what can never be made.
        lane.send(wish.clone()).ok();
    }

    /// Waits until all were taken.
    pub(super) async fn end(self) -> Result<()> {
        drop(self.open);
        for lane in self.walking {
            lane.await??;
        }
        Ok(())
    }
}

fn about(wish: &Wish) -> String {
    match wish {
        Wish::Namespace { name, .. } | Wish::EndNamespace { name } => name.clone(),
        // Behind the namespace that it writes into.
        Wish::Rotate { namespace, .. } => namespace.clone(),
        Wish::Create { object, .. }
        | Wish::Edit { object, .. }
        | Wish::Look { object }
        | Wish::Expire { object, .. }
        | Wish::Delete { object } => path(object),
        Wish::Attempt(attempt) => attempt.about(),
    }
}

async fn walk(people: Arc<People>, mut wishes: UnboundedReceiver<Wish>, deadline: Instant) -> Result<()> {
    while let Some(wish) = wishes.recv().await {
        if people.insist(&wish, deadline).await?.is_break() {
            break;
        }
    }
    Ok(())
}
