//! The cloud simulator as a process, and its control interface as plain JSON calls.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::assets;
use crate::process::{Child, Launch};
use crate::wait::eventually;

/// How long the simulator may take to listen.
const START: Duration = Duration::from_secs(30);

/// How long one control call may take.
const CALL: Duration = Duration::from_secs(30);

/// A running simulator; it ends when this is dropped.
#[derive(Debug)]
pub struct Simulator {
    /// Its process, to freeze or kill it.
    pub process: Child,
    cloud: String,
    huawei: String,
    aws: String,
    control: String,
    http: reqwest::Client,
}

impl Simulator {
    /// Starts the workspace's simulator with this world.
    pub async fn start(run_dir: &Path, world: &Value) -> Result<Self> {
        Self::start_binary(assets::built("cloud-simulator")?, run_dir, world).await
    }

    /// Starts a given simulator binary with this world, and waits until it listens.
    pub async fn start_binary(binary: PathBuf, run_dir: &Path, world: &Value) -> Result<Self> {
        let file = run_dir.join(format!("world-{:08x}.json", rand::random::<u32>()));
        fs::write(&file, world.to_string()).with_context(|| format!("writing {}", file.display()))?;
        Self::launch(binary, run_dir, &file).await
    }

    /// Starts the workspace's simulator with the world of a file (YAML or JSON).
    pub async fn start_from(run_dir: &Path, world: &Path) -> Result<Self> {
        Self::launch(assets::built("cloud-simulator")?, run_dir, world).await
    }

    async fn launch(binary: PathBuf, run_dir: &Path, world: &Path) -> Result<Self> {
        let mut process = Launch::new("cloud-simulator", binary)
            // Free ports of this machine, which it picks by itself.
            .arguments(["--world".to_owned(), world.display().to_string()])
            // The journal says more than the log.
            .arguments(["--print-addresses", "--log", "start"])
            .start(run_dir)?;
        let [cloud, huawei, aws, control] = eventually(START, "the simulator's addresses", async || {
            process.ensure_running()?;
            Ok(process.log().lines().find_map(bound_to))
        })
        .await?;
        // No idle connections: each would be driven by the runtime of the test that opened it, and die with it.
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(CALL).build()?;
        Ok(Self { process, cloud, huawei, aws, control, http })
    }

    /// The address of the simulated Alibaba Cloud, `http://127.0.0.1:PORT`.
    pub fn cloud(&self) -> &str {
        &self.cloud
    }

    /// The address of the simulated Huawei Cloud, its IAM and the IMS of all regions, `http://127.0.0.1:PORT`.
    pub fn huawei(&self) -> &str {
        &self.huawei
    }

    /// The address of the simulated AWS, all its services in all regions, `http://127.0.0.1:PORT`.
    pub fn aws(&self) -> &str {
        &self.aws
    }

    /// The address of the control interface, `http://127.0.0.1:PORT`.
    pub fn control(&self) -> &str {
        &self.control
    }

    /// Replaces the world.
    pub async fn put_world(&self, world: &Value) -> Result<Value> {
        self.put("/world", world).await
    }

    /// What truly happened: the journal's entries after number `since` (0: all).
    pub async fn journal(&self, since: u64) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        // One reading is bounded; its `last` tells whether there are more. Entries are numbered from 1 without gaps.
        loop {
            let reading = self.get(&format!("/journal?since={}", since + u64::try_from(all.len())?)).await?;
            let Some(Value::Array(entries)) = reading.get("entries") else { bail!("no entries in {reading}") };
            let last = reading.get("last").and_then(Value::as_u64).with_context(|| format!("no last in {reading}"))?;
            all.extend_from_slice(entries);
            if entries.is_empty() || since + u64::try_from(all.len())? >= last {
                return Ok(all);
            }
        }
    }

    /// One image of Alibaba Cloud as it is; `None` when there is no such image.
    pub async fn image(&self, id: &str) -> Result<Option<Value>> {
        self.image_at(&format!("/images/{id}")).await
    }

    /// One image of Huawei Cloud as it is; `None` when there is no such image.
    pub async fn huawei_image(&self, id: &str) -> Result<Option<Value>> {
        self.image_at(&format!("/huawei/images/{id}")).await
    }

    /// One image of AWS as it is; `None` when there is no such image.
    pub async fn aws_image(&self, id: &str) -> Result<Option<Value>> {
        self.image_at(&format!("/aws/images/{id}")).await
    }

    /// One snapshot of AWS as it is; `None` when there is no such snapshot.
    pub async fn aws_snapshot(&self, id: &str) -> Result<Option<Value>> {
        self.image_at(&format!("/aws/snapshots/{id}")).await
    }

    async fn image_at(&self, path: &str) -> Result<Option<Value>> {
        let (status, image) = self.answer(Method::GET, path, None).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        ensure!(status.is_success(), "{path}: {status}: {image}");
        Ok(Some(image))
    }

    /// Adds a scripted fault to those in force.
    pub async fn post_fault(&self, fault: &Value) -> Result<Value> {
        self.post("/faults", &json!({"faults": [fault]})).await
    }

    /// Removes all scripted faults.
    pub async fn clear_faults(&self) -> Result<Value> {
        self.delete("/faults").await
    }

    /// Sets the simulated clock to this many seconds from its base.
    pub async fn set_clock_offset(&self, seconds: i64) -> Result<Value> {
        self.put("/clock", &json!({"offsetSeconds": seconds})).await
    }

    /// Reads from the control interface.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await
    }

    /// Puts to the control interface.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// Posts to the control interface.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Patches at the control interface.
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// Deletes at the control interface.
    pub async fn delete(&self, path: &str) -> Result<Value> {
        self.call(Method::DELETE, path, None).await
    }

    /// One call; the answer's JSON, `null` if it has no body. Fails on any status other than 2xx.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let what = format!("{method} {path}");
        let (status, answer) = self.answer(method, path, body).await?;
        ensure!(status.is_success(), "{what}: {status}: {answer}");
        Ok(answer)
    }

    async fn answer(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, Value)> {
        let what = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}{path}", self.control));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.with_context(|| what.clone())?;
        let status = response.status();
        let text = response.text().await.with_context(|| what.clone())?;
        if text.is_empty() {
            return Ok((status, Value::Null));
        }
        match serde_json::from_str(&text) {
            Ok(answer) => Ok((status, answer)),
            // A refusal may be plain words.
            Err(_) if !status.is_success() => Ok((status, Value::String(text))),
            Err(error) => Err(error).with_context(|| format!("{what} answered no JSON: {text}")),
        }
    }
}

fn bound_to(line: &str) -> Option<[String; 4]> {
    let line: Value = serde_json::from_str(line).ok()?;
    let address = |of: &str| Some(line.get(of)?.as_str()?.to_owned());
    Some([address("cloud")?, address("huawei")?, address("aws")?, address("control")?])
}
