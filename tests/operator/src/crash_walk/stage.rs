//! The stage of the crash walk: servers and an operator of its own behind the fault proxy, and plans to walk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::proxy::{Call, Trigger};
use imageshare_harness::{Auditor, ControlPlane, FaultProxy, History, Kind, Namespace, Operator};
use imageshare_harness::{assets, eventually, run};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageReplica, ImageShare, SharedImageAcceptance};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};

use crate::crash_walk::world::{PLANS, Place, Tenant, World};

/// How long anything that must happen may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Without a write for this long, the operator is at rest: longer than it waits for wishes to be quiet.
const REST: Duration = Duration::from_millis(250);

/// Waits are short: each plan waits for several of them.
const QUICK: [&str; 18] = [
    "--absence-window",
    "300ms",
    "--lagging-absence-window",
    "300ms",
    "--lost-job-window",
    "6s",
    "--lost-copy-window",
    "6s",
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

/// The folder of a stage, with all files of its servers.
pub fn folder() -> Result<PathBuf> {
    run::folder_of_this_binary()
}

pub struct Stage<W> {
    pub operator: Operator,
    pub proxy: FaultProxy,
    pub world: Arc<W>,
    history: History,
    client: kube::Client,
    _control_plane: ControlPlane,
    next: AtomicU32,
}

impl<W: World> Stage<W> {
    pub async fn start(run: PathBuf, world: W) -> Result<Self> {
        let control_plane = ControlPlane::start(&run).await?;
        control_plane.install(&assets::workspace().join("crds")).await?;
        let kubeconfig = control_plane.operator_kubeconfig().await?;
        let history = History::of_sharing(&control_plane).await?;
        let proxy = FaultProxy::start(&run, kubeconfig, &world.address()).await?;
        let mut launch = Operator::launch(proxy.kubeconfig())?.arguments(QUICK);
        for endpoint in world.besides().into_iter().chain([proxy.cloud()]) {
            launch = launch.arguments(["--allowed-endpoint".to_owned(), endpoint]);
        }
        let operator = Operator::start(launch, &run)?;
        let (client, next) = (control_plane.client().await?, AtomicU32::new(0));
        Ok(Self { operator, proxy, world: Arc::new(world), history, client, _control_plane: control_plane, next })
    }

    /// A namespace with the owner's Secret and account, and an image that is ready.
    pub async fn plan(&self, policy: &str) -> Result<Plan<W>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        ensure!(number < PLANS, "too many plans for this world");
        let namespace = Namespace::create(&self.client, "plan").await?;
        let place = self.world.open(number, &self.proxy.cloud()).await?;
        let plan = Plan { namespace, number, world: Arc::clone(&self.world), place, halt: None };
        plan.seat("golden", 0).await.with_context(|| self.silence())?;
        let spec = json!({
            "accountRef": {"name": "golden"}, "region": plan.world.region(), "imageID": plan.place.image,
            "deletionPolicy": policy,
        });
        plan.create_ours::<CloudImage>("CloudImage", "golden", spec).await?;
        plan.until("the image to be ready", |state| state["image"]["ready"] == "True Available").await?;
        Ok(plan)
    }

    /// Waits until the operator writes no more; gives the number of the latest request.
    pub async fn rest(&self) -> Result<u64> {
        let mut last = (self.proxy.last(), std::time::Instant::now());
        eventually(PATIENCE, "the operator to rest", async || {
            if !self.proxy.writes(last.0).is_empty() {
                last = (self.proxy.last(), std::time::Instant::now());
            }
            Ok((last.1.elapsed() >= REST).then(|| self.proxy.last()))
        })
        .await
    }

    /// The operator's latest requests: what one that does nothing waits for.
    pub fn silence(&self) -> String {
        let calls = self.proxy.calls();
        let latest: Vec<String> = calls.iter().skip(calls.len().saturating_sub(40)).map(Call::line).collect();
        format!("the latest requests were\n{}", latest.join("\n"))
    }

    pub async fn audit(&self) -> Result<()> {
        let Some(told) = self.world.testimony().await? else { return Ok(()) };
        let versions = self.history.versions().await?;
        println!("audited: {} acts at the cloud, {} versions in etcd", told.journal.len(), versions.len());
        let auditor = Auditor::new(&told.journal, versions).owners_of(&told.owners);
        auditor.carried(&self.proxy.calls()).ensure_clean()
    }
}

/// One walk's own namespace, accounts, image and recipients.
pub struct Plan<W> {
    namespace: Namespace,
    number: u32,
    pub world: Arc<W>,
    pub place: Place,
    /// What keeps copies under way, while it lives.
    pub halt: Option<Trigger>,
}

impl<W: World> Plan<W> {
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        self.namespace.api()
    }

    async fn create<K: Kind>(&self, object: Value) -> Result<()> {
        self.api::<K>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        Ok(())
    }

    async fn create_ours<K: Kind>(&self, kind: &str, name: &str, spec: Value) -> Result<()> {
        let version = "imageshare.dev/v1alpha1";
        self.create::<K>(json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec})).await
    }

    /// A tenant's Secret and account of this name, ready.
    pub async fn seat(&self, name: &str, tenant: usize) -> Result<()> {
        let tenant = &self.place.tenants[tenant];
        self.create::<Secret>(json!({"metadata": {"name": name}, "stringData": tenant.secret})).await?;
        let mut account = tenant.account.clone();
        for provider in account.as_object_mut().into_iter().flat_map(|spec| spec.values_mut()) {
            provider["credentials"] = json!({"secretRef": {"name": name}});
        }
        self.create_ours::<CloudAccount>("CloudAccount", name, account).await?;
        eventually(PATIENCE, &format!("the account {name} of plan {}", self.number), async || {
            let account = serde_json::to_value(self.api::<CloudAccount>().get(name).await?)?;
            ensure!(ready(&account).starts_with("True"), "{}", account["status"]);
            Ok(Some(()))
        })
        .await
    }

    /// Recipients of an image: `golden`, or its copy `far`.
    pub fn recipients(&self, image: &str, numbers: [usize; 3]) -> Vec<Value> {
        let (kind, tenants) = (self.world.kind(), &self.place.tenants);
        let id = |tenant: &Tenant| if image == "far" { tenant.id_elsewhere.clone() } else { tenant.id.clone() };
        numbers.iter().map(|n| json!({"type": kind, "id": id(&tenants[*n])})).collect()
    }

    pub async fn share(&self, image: &str, numbers: [usize; 3]) -> Result<()> {
        let spec = json!({"imageRef": {"name": image}, "recipients": self.recipients(image, numbers)});
        self.create_ours::<ImageShare>("ImageShare", "team", spec).await
    }

    /// A copy `far` of an own image, in another region.
    pub async fn copy(&self, image: &str, policy: &str) -> Result<()> {
        let mut destination = self.world.across();
        destination["region"] = json!(self.world.elsewhere());
        destination["name"] = json!("far");
        let spec = json!({"source": {"imageRef": {"name": image}}, "destination": destination,
            "deletionPolicy": policy});
        self.create_ours::<ImageReplica>("ImageReplica", "far", spec).await
    }

    /// A copy `near` of the image as recipient 1 receives it, by its account `receiver`.
    pub async fn replicate(&self) -> Result<()> {
        let (region, image, owner) = (self.world.region(), &self.place.image, &self.place.tenants[0].id);
        let received = json!({"accountRef": {"name": "receiver"}, "region": region, "imageID": image, "owner": owner});
        let spec = json!({"source": {"received": received}, "destination": {"region": region, "name": "near"}});
        self.create_ours::<ImageReplica>("ImageReplica", "near", spec).await
    }

    /// The answer of recipient 1, by its account `receiver`.
    pub async fn accept(&self) -> Result<()> {
        let (region, image, owner) = (self.world.region(), &self.place.image, &self.place.tenants[0].id);
        let spec = json!({"accountRef": {"name": "receiver"}, "region": region, "imageID": image, "owner": owner,
            "decision": "Accept"});
        self.create_ours::<SharedImageAcceptance>("SharedImageAcceptance", "answer", spec).await
    }

    async fn list<K: Kind>(&self) -> Result<BTreeMap<String, Value>> {
        let found = self.api::<K>().list(&ListParams::default()).await?;
        found.into_iter().map(|object| Ok((object.name_any(), serde_json::to_value(object)?))).collect()
    }

    async fn read<K: Kind>(&self, name: &str) -> Result<Option<Value>> {
        Ok(self.api::<K>().get_opt(name).await?.map(serde_json::to_value).transpose()?)
    }

    /// What is so in Kubernetes, without what differs from run to run.
    async fn state(&self) -> Result<Value> {
        let (mut images, replicas, share, answer) = futures::try_join!(
            self.list::<CloudImage>(),
            self.list::<ImageReplica>(),
            self.read::<ImageShare>("team"),
            self.read::<SharedImageAcceptance>("answer"),
        )?;
        let share = share.map(
            |o| json!({"ready": ready(&o), "summary": o["status"]["summary"], "accepted": o["status"]["accepted"]}),
        );
        let answer =
            answer.map(|o| json!({"ready": ready(&o), "state": o["status"]["state"], "job": o["status"]["job"]}));
        let standing = |o: Value| {
            let grants = o["status"]["grants"].as_array().cloned().unwrap_or_default();
            let entry = |g: &Value| format!("{} {}", self.number_of(&g["id"]), g["state"].as_str().unwrap_or("?"));
            let mut ledger: Vec<String> = grants.iter().map(entry).collect();
            ledger.sort();
            let shares = o["status"]["shares"].as_array().map_or(0, Vec::len);
            json!({"ready": ready(&o), "ledger": ledger, "shares": shares, "job": o["status"]["job"]})
        };
        let image = images.remove("golden").map(standing);
        let mut copies: BTreeMap<String, Value> =
            images.into_iter().map(|(name, o)| (name, json!({"image": standing(o)}))).collect();
        for (name, o) in replicas {
            let copy = copies.entry(name).or_insert_with(|| json!({"image": null}));
            (copy["ready"], copy["state"]) = (json!(ready(&o)), o["status"]["copy"]["state"].clone());
        }
        Ok(json!({"share": share, "image": image, "answer": answer, "copies": copies}))
    }

    /// Who has the image at the cloud, by number, and what they answered.
    async fn at_cloud(&self) -> Result<Value> {
        let members = self.world.members(&self.place).await?;
        Ok(json!(members.map(|members| {
            let numbered = members.into_iter().map(|(id, said)| (self.number_of(&json!(id)).to_string(), said));
            numbered.collect::<BTreeMap<_, _>>()
        })))
    }

    fn number_of(&self, id: &Value) -> usize {
        let is = |tenant: &Tenant| *id == tenant.id.as_str() || *id == tenant.id_elsewhere.as_str();
        self.place.tenants.iter().position(is).unwrap_or(usize::MAX)
    }

    pub async fn until(&self, what: &str, so: impl Fn(&Value) -> bool) -> Result<()> {
        let what = format!("plan {} ({}): {what}", self.number, self.namespace.name());
        eventually(PATIENCE, &what, async || {
            let state = self.state().await?;
            ensure!(so(&state), "{state}");
            Ok(Some(()))
        })
        .await
    }

    /// Waits until Kubernetes shows the end, and then the cloud: the operator may not say so before it is so.
    pub async fn until_end(&self, end: &End) -> Result<()> {
        self.until(&format!("the end {}", end.objects), |state| *state == end.objects).await?;
        let (state, found) = (self.state().await?, self.at_cloud().await?);
        ensure!(found == end.cloud, "plan {}: {state} while the cloud has {found} and not {}", self.number, end.cloud);
        if end.copies.is_null() {
            return Ok(());
        }
        let copies = self.world.copies(&self.place).await?;
        ensure!(copies == end.copies, "plan {}: {state} while there are {copies} and not {}", self.number, end.copies);
        Ok(())
    }

    /// Deletes everything, and waits until it has gone.
    pub async fn leave(&self) -> Result<()> {
        for copy in ["far", "near"] {
            self.delete::<ImageReplica>(copy).await?;
            self.delete::<CloudImage>(copy).await?;
        }
        self.delete::<SharedImageAcceptance>("answer").await?;
        self.delete::<ImageShare>("team").await?;
        self.delete::<CloudImage>("golden").await?;
        let none = json!({"share": null, "image": null, "answer": null, "copies": {}});
        self.until("everything to go", |state| *state == none).await?;
        self.delete::<CloudAccount>("receiver").await?;
        self.delete::<CloudAccount>("golden").await
    }

    async fn delete<K: Kind>(&self, name: &str) -> Result<()> {
        match self.api::<K>().delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }
}

/// What must be so in the end.
#[derive(Debug, Clone)]
pub struct End {
    /// In Kubernetes.
    pub objects: Value,
    /// Who has the image, and what each answered; null when it is gone.
    pub cloud: Value,
    /// What copies were made, and what is there of them; null where none was asked for.
    pub copies: Value,
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
