//! Every version of the custom resources of a group that was ever in etcd, in order, as etcd's own watch tells them: an API
//! server that ends and comes back forgets what was before, etcd does not.
//!
//! A version is not missed silently: where the watch has a gap, [`History::versions`] fails.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::background::Background;
use crate::control_plane::ControlPlane;
use crate::wait::eventually;

/// How long the recorder may lag behind etcd.
const LAG: Duration = Duration::from_secs(30);

/// A key beside those of the API server, by which the recorder proves that it has seen all before.
const MARK: &str = "~harness";

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was created.
    Added,
    /// It was written.
    Modified,
    /// It left etcd; the version is its last one.
    Deleted,
}

/// One version of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// What led to it.
    pub change: Change,
    /// Its place in etcd's order, which all kinds share.
    pub revision: u64,
    /// When the watch told it: after it was written, by a few milliseconds.
    pub seen_at: Timestamp,
    /// The object itself.
    pub object: Value,
}

impl Version {
    /// The object's kind.
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// The object's namespace; empty where it has none.
    pub fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    /// The object's name.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// The object's uid.
    pub fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }

    /// A text inside the object by JSON pointer; empty where there is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct Recorded {
    versions: Vec<Version>,
    gaps: Vec<String>,
    /// All up to this revision is known.
    until: u64,
}

/// etcd's interface in JSON, for the keys of one group of custom resources.
#[derive(Debug, Clone)]
struct Keys {
    http: reqwest::Client,
    address: String,
    prefix: String,
}

impl Keys {
    async fn call(&self, path: &str, body: &Value) -> Result<reqwest::Response> {
        let request = self.http.post(format!("{}{path}", self.address)).body(body.to_string());
        Ok(request.send().await?.error_for_status()?)
    }

    async fn ask(&self, path: &str, body: &Value) -> Result<Value> {
        Ok(serde_json::from_str(&self.call(path, body).await?.text().await?)?)
    }

    /// A question about all keys with the prefix, and more of it.
    fn range(&self, more: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
        // The prefix ends with a slash; the next character is a zero.
        let end = format!("{}0", self.prefix.trim_end_matches('/'));
        let range = [("key", encoded(&self.prefix)), ("range_end", encoded(&end))];
        range.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    async fn count(&self) -> Result<(u64, u64)> {
        let answer = self.ask("/v3/kv/range", &self.range([("count_only", json!(true))])).await?;
        Ok((number(&answer, "/count").unwrap_or_default(), revision_of(&answer)?))
    }

    /// Writes the mark; gives its revision.
    async fn mark(&self) -> Result<u64> {
        let key = encoded(&format!("{}{MARK}", self.prefix));
        revision_of(&self.ask("/v3/kv/put", &json!({"key": key, "value": encoded("")})).await?)
    }
}

/// The recorder; it ends when this is dropped.
#[derive(Debug)]
pub struct History {
    recorded: Arc<Mutex<Recorded>>,
    keys: Keys,
    _background: Background,
}

impl History {
    /// Records all custom resources of a group from now on. Fails if there is one already: its earlier versions could not
    /// be told.
    pub async fn start(control_plane: &ControlPlane, group: &str) -> Result<Self> {
        let background = Background::start("history")?;
        // No idle connections: each would be driven by the runtime of the test that opened it, and die with it.
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build()?;
        let address = control_plane.etcd_address().to_owned();
        let keys = Keys { http, address, prefix: format!("/registry/{group}/") };
        let (count, revision) = keys.count().await?;
        ensure!(count == 0, "there are {count} objects of {group} already");
        let recorded = Arc::new(Mutex::new(Recorded { until: revision, ..Recorded::default() }));
        background.handle().spawn(record(keys.clone(), recorded.clone()));
        Ok(Self { recorded, keys, _background: background })
    }

    /// The same for the kinds of this operator.
    pub async fn of_sharing(control_plane: &ControlPlane) -> Result<Self> {
        Self::start(control_plane, "imageshare.dev").await
    }

    /// Every version until now, in etcd's order. Waits until the recorder knows all that is in etcd now; fails if it does
    /// not, or if a version was missed.
    pub async fn versions(&self) -> Result<Vec<Version>> {
        let mark = self.keys.mark().await?;
        eventually(LAG, "the recorder to catch up", async || {
            let recorded = lock(&self.recorded);
            ensure!(recorded.gaps.is_empty(), "the history has gaps: {}", recorded.gaps.join("; "));
            ensure!(recorded.until >= mark, "all is known until {} of {mark}", recorded.until);
            Ok(Some(recorded.versions.clone()))
        })
        .await
    }
}

fn lock(recorded: &Mutex<Recorded>) -> MutexGuard<'_, Recorded> {
    recorded.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watches for ever; after a break it goes on from the last revision it knows.
async fn record(keys: Keys, into: Arc<Mutex<Recorded>>) {
    loop {
        if let Err(error) = watch_once(&keys, &into).await {
            lock(&into).gaps.push(format!("{error:#}"));
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Until the connection ends. Fails only where something is missed.
async fn watch_once(keys: &Keys, into: &Mutex<Recorded>) -> Result<()> {
    let from = lock(into).until + 1;
    let range = keys.range([("start_revision", json!(from)), ("prev_kv", json!(true))]);
    let Ok(mut answer) = keys.call("/v3/watch", &json!({"create_request": range})).await else { return Ok(()) };
    let mut text = Vec::new();
    while let Ok(Some(more)) = answer.chunk().await {
        text.extend_from_slice(&more);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            take(keys, &serde_json::from_slice(&line)?, into)?;
        }
    }
    Ok(())
}

/// One answer of the watch: the events of one or more revisions, all of each.
fn take(keys: &Keys, answer: &Value, into: &Mutex<Recorded>) -> Result<()> {
    ensure!(answer.pointer("/result/canceled") != Some(&json!(true)), "etcd ended the watch: {answer}");
    let events = answer.pointer("/result/events").and_then(Value::as_array).into_iter().flatten();
    let mut recorded = lock(into);
    for event in events {
        let revision = number(event, "/kv/mod_revision").context("an event has a revision")?;
        if decoded(event, "/kv/key")? != format!("{}{MARK}", keys.prefix).as_bytes() {
            recorded.versions.push(version(event, revision)?);
        }
        recorded.until = recorded.until.max(revision);
    }
    Ok(())
}

fn version(event: &Value, revision: u64) -> Result<Version> {
    let created = event.pointer("/kv/create_revision") == event.pointer("/kv/mod_revision");
    let (change, text) = match event.get("type").and_then(Value::as_str) {
        // What is gone has no value any more; its last one was the one before.
        Some("DELETE") => (Change::Deleted, decoded(event, "/prev_kv/value")?),
        None | Some("PUT") if created => (Change::Added, decoded(event, "/kv/value")?),
        None | Some("PUT") => (Change::Modified, decoded(event, "/kv/value")?),
        Some(other) => bail!("an event of type {other}"),
    };
    let mut object: Value = serde_json::from_slice(&text).context("a custom resource is stored as JSON")?;
    // It is not stored: it is the revision.
    let metadata = object.pointer_mut("/metadata").and_then(Value::as_object_mut).context("an object has metadata")?;
    metadata.insert("resourceVersion".to_owned(), json!(revision.to_string()));
    Ok(Version { change, revision, seen_at: Timestamp::now(), object })
}

fn encoded(text: &str) -> Value {
    json!(ByteString(text.as_bytes().to_vec()))
}

fn decoded(value: &Value, pointer: &str) -> Result<Vec<u8>> {
    let text = value.pointer(pointer).with_context(|| format!("no {pointer} in {value}"))?;
    Ok(serde_json::from_value::<ByteString>(text.clone())?.0)
}

/// etcd tells 64-bit numbers as strings.
fn number(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer)?.as_str()?.parse().ok()
}

fn revision_of(answer: &Value) -> Result<u64> {
    number(answer, "/header/revision").with_context(|| format!("no revision in {answer}"))
}
