//! The stage of the crash walk: servers and an operator of its own behind the fault proxy, and plans to walk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use imageshare_harness::{Auditor, ControlPlane, FaultProxy, History, Namespace, Operator, Simulator};
use imageshare_harness::{assets, eventually, run};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, PostParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// How long anything that must happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Without a write for this long, the operator is at rest: longer than it waits for wishes to be quiet.
const REST: Duration = Duration::from_millis(250);

/// More than there are plans.
const PLANS: u32 = 200;

const REGION: &str = "cn-hangzhou";

/// Waits are short: each plan waits for several of them.
const QUICK: [&str; 12] = [
    "--absence-window",
    "300ms",
    "--blocked-interval",
    "1s",
    "--longest-retry",
    "1s",
    "--credentials-interval",
    "1m",
    "--drift-interval",
    "1h",
    "--log",
    "info,imageshare_operator=debug",
];

fn owner(plan: u32) -> String {
    format!("20000000{plan:04}0000")
}

fn recipient(plan: u32, n: u32) -> String {
    format!("10000000{plan:04}{n:04}")
}

fn image(plan: u32) -> String {
    format!("m-bp1plan{plan:04}")
}

fn key(plan: u32) -> (String, String) {
    (format!("LTAIplan{plan:04}"), format!("secret-of-plan-{plan:04}"))
}

fn world() -> Value {
    let owners = (0..PLANS).map(|plan| {
        let (id, secret) = key(plan);
        json!({"id": owner(plan), "site": "International", "keys": [{"id": id, "secret": secret}]})
    });
    let others = (0..PLANS).flat_map(|plan| (1..=4).map(move |n| json!({"id": recipient(plan, n)})));
    let images = (0..PLANS).map(|plan| json!({"id": image(plan), "region": REGION, "owner": owner(plan)}));
    json!({
        "regions": [REGION],
        "accounts": owners.chain(others).collect::<Vec<_>>(),
        "images": images.collect::<Vec<_>>(),
    })
}

pub(crate) struct Stage {
    pub(crate) operator: Operator,
    pub(crate) proxy: FaultProxy,
    history: History,
    cloud: Arc<Simulator>,
    client: kube::Client,
    _control_plane: ControlPlane,
    next: AtomicU32,
}

impl Stage {
    pub(crate) async fn start() -> Result<Self> {
        let run = run::folder_of_this_binary()?;
        let control_plane = ControlPlane::start(&run).await?;
        control_plane.install(&assets::workspace().join("crds")).await?;
        let cloud = Arc::new(Simulator::start(&run, &world()).await?);
        let kubeconfig = control_plane.kubeconfig_path();
        let history = History::of_sharing(&control_plane).await?;
        let proxy = FaultProxy::start(&run, &kubeconfig, cloud.cloud()).await?;
        let launch =
            Operator::launch(proxy.kubeconfig())?.arguments(["--allowed-endpoint", &proxy.cloud()]).arguments(QUICK);
        let operator = Operator::start(launch, &run)?;
        let client = control_plane.client().await?;
        Ok(Self { operator, proxy, history, cloud, client, _control_plane: control_plane, next: AtomicU32::new(0) })
    }

    /// A namespace with a Secret, an account, and an image that is ready.
    pub(crate) async fn plan(&self, policy: &str) -> Result<Plan> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        ensure!(number < PLANS, "too many plans for this world");
        let namespace = Namespace::create(&self.client, "plan").await?;
        let plan = Plan { namespace, number, cloud: Arc::clone(&self.cloud) };
        let (id, secret) = key(number);
        let (metadata, data) = (json!({"name": "golden"}), json!({"accessKeyID": id, "accessKeySecret": secret}));
        plan.create::<Secret>(json!({"metadata": metadata, "stringData": data})).await?;
        let account = json!({"alibaba": {
            "accountID": owner(number), "site": "International",
            "credentials": {"secretRef": {"name": "golden"}}, "endpoint": self.proxy.cloud(),
        }});
        plan.create_ours::<CloudAccount>("CloudAccount", "golden", account).await?;
        let spec = json!({
            "accountRef": {"name": "golden"}, "region": REGION, "imageID": image(number), "deletionPolicy": policy,
        });
        plan.create_ours::<CloudImage>("CloudImage", "golden", spec).await?;
        plan.until("the image to be ready", |state| state["image"]["ready"] == "True Available").await?;
        Ok(plan)
    }

    /// Waits until the operator writes no more; gives the number of the latest request.
    pub(crate) async fn rest(&self) -> Result<u64> {
        let mut last = (self.proxy.last(), std::time::Instant::now());
        eventually(PATIENCE, "the operator to rest", async || {
            if !self.proxy.writes(last.0).is_empty() {
                last = (self.proxy.last(), std::time::Instant::now());
            }
            Ok((last.1.elapsed() >= REST).then(|| self.proxy.last()))
        })
        .await
    }

    pub(crate) async fn audit(&self) -> Result<()> {
        let journal = self.cloud.journal(0).await?;
        let versions = self.history.versions().await?;
        println!("audited: {} acts at the cloud, {} versions in etcd", journal.len(), versions.len());
        Auditor::new(&journal, versions).owners_of(&world()).carried(&self.proxy.calls()).ensure_clean()
    }
}

/// One walk's own namespace, account, image and recipients.
pub(crate) struct Plan {
    namespace: Namespace,
    number: u32,
    cloud: Arc<Simulator>,
}

impl Plan {
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        self.namespace.api()
    }

    async fn create<K>(&self, object: Value) -> Result<()>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + Serialize
            + DeserializeOwned,
    {
        self.api::<K>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        Ok(())
    }

    async fn create_ours<K>(&self, kind: &str, name: &str, spec: Value) -> Result<()>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + Serialize
            + DeserializeOwned,
    {
        let version = "imageshare.dev/v1alpha1";
        self.create::<K>(json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec})).await
    }

    pub(crate) fn recipients(&self, numbers: [u32; 3]) -> Vec<Value> {
        numbers.iter().map(|n| json!({"type": "Account", "id": recipient(self.number, *n)})).collect()
    }

    pub(crate) async fn share(&self, numbers: [u32; 3]) -> Result<()> {
        let spec = json!({"imageRef": {"name": "golden"}, "recipients": self.recipients(numbers)});
        self.create_ours::<ImageShare>("ImageShare", "team", spec).await
    }

    /// What is so at the cloud and in Kubernetes, without what differs from run to run.
    async fn state(&self) -> Result<Value> {
        let cloud = self.cloud.image(&image(self.number)).await?.map(|found| {
            let shared = found["sharedWith"].as_array().cloned().unwrap_or_default();
            let mut numbers: Vec<u32> = shared.iter().map(|id| self.number_of(id)).collect();
            numbers.sort_unstable();
            numbers
        });
        let share = self.api::<ImageShare>().get_opt("team").await?.map(serde_json::to_value).transpose()?;
        let object = self.api::<CloudImage>().get_opt("golden").await?.map(serde_json::to_value).transpose()?;
        let share = share.map(|o| json!({"ready": ready(&o), "summary": o["status"]["summary"]}));
        let object = object.map(|o| {
            let grants = o["status"]["grants"].as_array().cloned().unwrap_or_default();
            let entry = |g: &Value| format!("{} {}", self.number_of(&g["id"]), g["state"].as_str().unwrap_or("?"));
            let mut ledger: Vec<String> = grants.iter().map(entry).collect();
            ledger.sort();
            let shares = o["status"]["shares"].as_array().map_or(0, Vec::len);
            json!({"ready": ready(&o), "ledger": ledger, "shares": shares})
        });
        Ok(json!({"cloud": cloud, "share": share, "image": object}))
    }

    fn number_of(&self, id: &Value) -> u32 {
        (1..=4).find(|n| *id == recipient(self.number, *n).as_str()).unwrap_or(u32::MAX)
    }

    pub(crate) async fn until(&self, what: &str, so: impl Fn(&Value) -> bool) -> Result<()> {
        let what = format!("plan {} ({}): {what}", self.number, self.namespace.name());
        eventually(PATIENCE, &what, async || {
            let state = self.state().await?;
            ensure!(so(&state), "{state}");
            Ok(Some(()))
        })
        .await
    }

    /// Deletes everything, and waits until it has gone.
    pub(crate) async fn leave(&self) -> Result<()> {
        self.delete::<ImageShare>("team").await?;
        self.delete::<CloudImage>("golden").await?;
        self.until("everything to go", |state| state["share"].is_null() && state["image"].is_null()).await?;
        self.delete::<CloudAccount>("golden").await
    }

    async fn delete<K>(&self, name: &str) -> Result<()>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        match self.api::<K>().delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }

    pub(crate) async fn until_end(&self, end: &Value) -> Result<()> {
        self.until(&format!("the end {end}"), |state| state == end).await
    }
}

/// `Ready` with its reason, where it speaks of the newest generation.
fn ready(object: &Value) -> String {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ready = conditions.iter().find(|c| c["type"] == "Ready");
    match ready.filter(|c| c["observedGeneration"] == object["metadata"]["generation"]) {
        Some(c) => format!("{} {}", c["status"].as_str().unwrap_or("?"), c["reason"].as_str().unwrap_or("?")),
        None => "not of this generation".to_owned(),
    }
}
