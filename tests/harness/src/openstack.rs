//! Real Keystone and Glance on 127.0.0.1, with `SQLite`, and what tests need of them: projects, images, and a look at what
//! truly holds. All of it is plain HTTP (or, where no request can do it, SQL) and knows nothing of the operator's client.

mod images;
mod projects;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

pub use images::NewImage;
pub use projects::Project;

use crate::assets::workspace;
use crate::process::{Child, Launch};
use crate::wait::eventually;

/// They start in about 4 s; a busy machine of two cores may take far longer.
const START: Duration = Duration::from_secs(90);

/// How long one call may take.
const CALL: Duration = Duration::from_secs(30);

/// The only region.
pub const REGION: &str = "RegionOne";

/// What the calls of this harness say they come from, to tell them from those of others.
const AGENT: &str = "imageshare-harness";

/// How the servers are set.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Members an image may have; less than 0 means no limit.
    pub image_member_quota: i32,
    /// Rows of the largest page of a list of images, whatever is asked for.
    pub page_limit: u32,
    /// How long a token holds, in seconds.
    pub token_seconds: u32,
    /// Calls Glance answers at the same time. One who reads from it what he writes to it needs two, unless the content is
    /// so small that the connections hold it.
    pub image_threads: u32,
}

impl Default for Settings {
    /// As the servers are set where nobody sets them.
    fn default() -> Self {
        Self { image_member_quota: 128, page_limit: 1000, token_seconds: 3600, image_threads: 1 }
    }
}

/// One call that a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// As `GET`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The HTTP status.
    pub status: u16,
    /// Who asked, as it calls itself.
    pub agent: String,
}

/// Running servers; they end when this is dropped, and when the process ends in whatever way.
#[derive(Debug)]
pub struct OpenStack {
    // Dropped in this order: Glance asks Keystone.
    glance: Child,
    keystone: Child,
    image_url: String,
    identity_url: String,
    folder: PathBuf,
    http: reqwest::Client,
    tokens: projects::Tokens,
    tokens_kept: Duration,
}

/// What came back, whole.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("{}: no JSON: {}", self.status, String::from_utf8_lossy(&self.body)))
    }

    /// Fails on any status but these.
    fn expect(self, what: &str, statuses: &[u16]) -> Result<Self> {
        let said = String::from_utf8_lossy(&self.body);
        ensure!(statuses.contains(&self.status), "{what}: {}: {said}", self.status);
        Ok(self)
    }
}

impl OpenStack {
    /// Starts both, and waits until they serve; all files are in `run_dir`.
    pub async fn start(run_dir: &Path) -> Result<Self> {
        Self::start_with(run_dir, Settings::default()).await
    }

    /// Starts both with these settings.
    pub async fn start_with(run_dir: &Path, settings: Settings) -> Result<Self> {
        let folder = run_dir.join(format!("openstack-{:08x}", rand::random::<u32>()));
        copy(&built()?.join("seed"), &folder)?;
        for store in ["images", "staging", "tasks", "locks"] {
            fs::create_dir(folder.join(store))?;
        }
        configure("keystone.conf", &folder, &[("token_seconds", settings.token_seconds.to_string())])?;
        let mut keystone = server("keystone", 1, &folder)?.start(&folder)?;
        let identity_url = address(&mut keystone).await?;
        let paste = built()?.join("venv/etc/glance/glance-api-paste.ini");
        let values = [
            ("auth_url", format!("{identity_url}/v3")),
            ("image_member_quota", settings.image_member_quota.to_string()),
            ("page_limit", settings.page_limit.to_string()),
            ("paste", paste.display().to_string()),
        ];
        configure("glance-api.conf", &folder, &values)?;
        let mut glance = server("glance", settings.image_threads, &folder)?.start(&folder)?;
        let image_url = address(&mut glance).await?;
        // No idle connections: each would be driven by the runtime of the test that opened it, and die with it.
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(CALL).user_agent(AGENT);
        let (http, tokens) = (http.build()?, projects::Tokens::default());
        let tokens_kept = Duration::from_secs(settings.token_seconds.into()) / 4;
        let mut here = Self { glance, keystone, image_url, identity_url, folder, http, tokens, tokens_kept };
        here.wait_until_ready().await?;
        here.make_catalogue().await?;
        Ok(here)
    }

    /// Keystone as accounts name it, `http://127.0.0.1:PORT/v3`.
    pub fn auth_url(&self) -> String {
        format!("{}/v3", self.identity_url)
    }

    /// Scheme, host and port of Keystone.
    pub fn identity_url(&self) -> &str {
        &self.identity_url
    }

    /// Glance, as in the catalogue: `http://127.0.0.1:PORT`.
    pub fn image_url(&self) -> &str {
        &self.image_url
    }

    /// Keystone's process, to freeze or kill it.
    pub fn keystone(&mut self) -> &mut Child {
        &mut self.keystone
    }

    /// Glance's process, to freeze or kill it. It serves in a child of its own: freezing holds that one too only when it
    /// has nothing to say; killing ends both.
    pub fn glance(&mut self) -> &mut Child {
        &mut self.glance
    }

    /// Makes the catalogue's entry `internal` of the image service lead elsewhere, as to a proxy; `public` stays.
    pub async fn lead_internal_to(&self, url: &str) -> Result<()> {
        let admin = self.admin().await?;
        let services = self.identity(&admin, Method::GET, "/services?type=image", &Value::Null).await?;
        let path = format!("/endpoints?interface=internal&service_id={}", text(&services, "/services/0/id")?);
        let endpoints = self.identity(&admin, Method::GET, &path, &Value::Null).await?;
        let path = format!("/endpoints/{}", text(&endpoints, "/endpoints/0/id")?);
        self.identity(&admin, Method::PATCH, &path, &json!({"endpoint": {"url": url}})).await.map(drop)
    }

    /// The process ids of the servers and of their keepers.
    pub fn pids(&self) -> Vec<u32> {
        [&self.keystone, &self.glance].iter().flat_map(|server| [server.pid(), server.keeper_pid()]).collect()
    }

    /// The calls Keystone answered to others than this harness, in order. Glance's questions about tokens are among them.
    pub async fn identity_calls(&self) -> Result<Vec<Call>> {
        // One thread serves: once this is answered, all before it is logged.
        self.call(Method::GET, &format!("{}/v3", self.identity_url), None, None).await?;
        Ok(calls(&self.keystone.log()))
    }

    /// The calls Glance answered to others than this harness, in order; with several threads, the latest may be missing.
    pub async fn image_calls(&self) -> Result<Vec<Call>> {
        self.call(Method::GET, &self.image_url, None, None).await?;
        Ok(calls(&self.glance.log()))
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        for (url, status) in [(format!("{}/v3", self.identity_url), 200), (self.image_url.clone(), 300)] {
            eventually(START, &url.clone(), async || {
                self.keystone.ensure_running()?;
                self.glance.ensure_running()?;
                self.call(Method::GET, &url, None, None).await?.expect("GET", &[status]).map(|_| Some(()))
            })
            .await?;
        }
        Ok(())
    }

    async fn make_catalogue(&self) -> Result<()> {
        let admin = self.admin().await?;
        self.identity(&admin, Method::POST, "/regions", &json!({"region": {"id": REGION}})).await?;
        for (kind, url) in [("identity", self.auth_url()), ("image", self.image_url.clone())] {
            let service = json!({"service": {"type": kind, "name": kind}});
            let service = self.identity(&admin, Method::POST, "/services", &service).await?;
            for interface in ["public", "internal"] {
                let id = text(&service, "/service/id")?;
                let endpoint = json!({"interface": interface, "region_id": REGION, "service_id": id, "url": url});
                self.identity(&admin, Method::POST, "/endpoints", &json!({"endpoint": endpoint})).await?;
            }
        }
        Ok(())
    }

    /// One call with a token and a body, as JSON unless another type is given.
    async fn call(
        &self,
        method: Method,
        url: &str,
        token: Option<&str>,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Reply> {
        let mut request = self.http.request(method, url).header("accept", "application/json");
        if let Some(token) = token {
            request = request.header("x-auth-token", token);
        }
        if let Some((content_type, body)) = body {
            request = request.header("content-type", content_type).body(body);
        }
        let response = request.send().await.with_context(|| url.to_owned())?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Reply { status, headers, body: response.bytes().await?.to_vec() })
    }
}

fn built() -> Result<PathBuf> {
    let built = workspace().join("target/openstack");
    ensure!(built.join(".stamp").is_file(), "{} is not complete: run `make assets`", built.display());
    Ok(built)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to).with_context(|| format!("making {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &place)?;
        } else {
            fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}

/// Writes a server's configuration into the folder of the run.
fn configure(file: &str, folder: &Path, values: &[(&str, String)]) -> Result<()> {
    let template = workspace().join("tests/openstack").join(file);
    let mut filled = fs::read_to_string(&template).with_context(|| format!("reading {}", template.display()))?;
    for (name, value) in values.iter().cloned().chain([("run", folder.display().to_string())]) {
        filled = filled.replace(&format!("{{{name}}}"), &value);
    }
    fs::write(folder.join(file), filled)?;
    Ok(())
}

fn server(name: &str, threads: u32, folder: &Path) -> Result<Launch> {
    let sources = workspace().join("tests/openstack");
    Ok(Launch::new(name, built()?.join("venv/bin/gunicorn"))
        .arguments(["--config".to_owned(), sources.join("gunicorn.conf.py").display().to_string()])
        .arguments(["--threads".to_owned(), threads.to_string()])
        .arguments(["--chdir".to_owned(), sources.display().to_string(), format!("{name}_wsgi:application")])
        .environment(&format!("OS_{}_CONFIG_DIR", name.to_uppercase()), folder.display().to_string())
        .environment("PYTHONDONTWRITEBYTECODE", "1")
        .environment("PYTHONWARNINGS", "ignore"))
}

/// Where a server listens, as its log tells before it serves.
async fn address(server: &mut Child) -> Result<String> {
    eventually(START, "a server's address", async || {
        server.ensure_running()?;
        let log = server.log();
        let address = log.split_once("Listening at: ").and_then(|(_, rest)| rest.split_whitespace().next());
        Ok(address.map(str::to_owned))
    })
    .await
}

/// Reads the lines `call METHOD PATH STATUS AGENT` of a server's log.
fn calls(log: &str) -> Vec<Call> {
    let call = |line: &str| {
        let mut words = line.strip_prefix("call ")?.splitn(4, ' ');
        let (method, path, status) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
        let agent = words.next().unwrap_or_default().to_owned();
        (agent != AGENT).then(|| Call { method: method.to_owned(), path: path.to_owned(), status, agent })
    };
    log.lines().filter_map(call).collect()
}

/// A text in an answer.
fn text(answer: &Value, pointer: &str) -> Result<String> {
    match answer.pointer(pointer).and_then(Value::as_str) {
        Some(text) => Ok(text.to_owned()),
        None => bail!("no {pointer} in {answer}"),
    }
}
