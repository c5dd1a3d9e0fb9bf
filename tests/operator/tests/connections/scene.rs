//! A namespace, an operator for it alone, and clouds whose hosts are on loopback.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, ensure};
use cloud_simulator::{Ports, Simulator, WorldFile};
use imageshare_harness::canaries::{Shown, objects};
use imageshare_harness::process::Launch;
use imageshare_harness::{Canaries, ControlPlane, Namespace, Operator, eventually, run};
use imageshare_operator::api::{CloudAccount, CloudImage};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ApiResource, DynamicObject, ObjectMeta, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use support::{PATIENCE, condition, key, owner_id, quick, world_of};

use crate::forward_proxy::ForwardProxy;

/// A domain of the simulated Huawei Cloud, with the same key as the first account of the simulated Alibaba Cloud.
const HUAWEI_DOMAIN: &str = "d0000000000000000000000000000001";

/// The vendors' hosts, with TLS of an authority of their own.
pub struct Clouds {
    pub simulator: Simulator,
}

impl Clouds {
    pub async fn start() -> Result<Self> {
        let mut world = world_of(2, 1);
        let (alibaba, regions) = (key(0), ["cn-north-4"]);
        let keys = json!([{"ak": alibaba["id"], "sk": alibaba["secret"]}]);
        let projects = json!([{"id": "a0000000000000000000000000000001", "region": "cn-north-4"}]);
        world["huawei"] = json!({"sites": {"China": regions, "International": regions},
            "domains": [{"id": HUAWEI_DOMAIN, "site": "International", "keys": keys, "projects": projects}]});
        let world = WorldFile::parse(&world.to_string()).map_err(anyhow::Error::msg)?;
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let ports = Ports { cloud: free, huawei: free, aws: free, control: free, tls: Some(free) };
        Ok(Self { simulator: Simulator::start(world, ports).await? })
    }

    /// Where their hosts are.
    pub fn address(&self) -> SocketAddr {
        self.simulator.stand_in().unwrap().address
    }

    /// A proxy by which they are reached.
    pub async fn proxy(&self) -> Result<ForwardProxy> {
        let address = self.address();
        ForwardProxy::open(move |_| address).await
    }

    /// The certificate of their authority, in PEM.
    pub fn authority(&self) -> &str {
        &self.simulator.stand_in().unwrap().certificate
    }

    /// A file with it, and with nothing else.
    pub fn authority_file(&self) -> Result<PathBuf> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let file =
            run::folder_of_this_binary()?.join(format!("authority-{}.pem", NEXT.fetch_add(1, Ordering::Relaxed)));
        std::fs::write(&file, self.authority())?;
        Ok(file)
    }
}

/// A namespace, with an operator that serves it alone.
pub struct Scene {
    pub namespace: Namespace,
    pub operator: Operator,
    client: Client,
}

impl Scene {
    /// Starts an operator with these arguments; `edit` gives it variables.
    pub async fn open(arguments: &[&str], edit: impl FnOnce(Launch) -> Launch) -> Result<Self> {
        let control_plane = ControlPlane::shared().await?;
        let client = control_plane.client().await?;
        let namespace = Namespace::create(&client, "connected").await?;
        let launch = Operator::launch(control_plane.operator_kubeconfig().await?)?
            .arguments(["--watch-namespace", namespace.name()])
            .arguments(quick(&["--blocked-interval", "2s", "--credentials-interval", "2s"]))
            .arguments(arguments.iter().copied());
        let operator = Operator::start(edit(launch), &run::folder_of_this_binary()?)?;
        Ok(Self { namespace, operator, client })
    }

    /// Applies a Secret with the key of the first account of the simulated Alibaba Cloud, and more in it.
    pub async fn secret(&self, name: &str, more: &[(&str, &str)]) -> Result<()> {
        let key = key(0);
        let text = |part: &str| key[part].as_str().unwrap_or_default().to_owned();
        let own = [("accessKeyID".to_owned(), text("id")), ("accessKeySecret".to_owned(), text("secret"))];
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let secret = Secret {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            string_data: Some(own.into_iter().chain(more).collect()),
            ..Secret::default()
        };
        let api: Api<Secret> = self.namespace.api();
        api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(secret)).await?;
        Ok(())
    }

    /// Applies an account with a Secret of its name. `of_cloud` and `of_account` add to the provider's member and to the spec.
    pub async fn account(&self, name: &str, of_cloud: Value, of_account: Value) -> Result<()> {
        let own =
            json!({"accountID": owner_id(0), "site": "International", "credentials": {"secretRef": {"name": name}}});
        self.apply_account(name, "alibaba", with(own, of_cloud), of_account).await
    }

    /// The same at Huawei Cloud.
    pub async fn huawei_account(&self, name: &str, of_cloud: Value, of_account: Value) -> Result<()> {
        let own =
            json!({"domainID": HUAWEI_DOMAIN, "site": "International", "credentials": {"secretRef": {"name": name}}});
        self.apply_account(name, "huawei", with(own, of_cloud), of_account).await
    }

    async fn apply_account(&self, name: &str, cloud: &str, of_cloud: Value, of_account: Value) -> Result<()> {
        let spec = with(json!({cloud: of_cloud}), of_account);
        let account = json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": "CloudAccount", "metadata": {"name": name},
            "spec": spec});
        self.accounts().patch(name, &PatchParams::apply("test").force(), &Patch::Apply(account)).await?;
        Ok(())
    }

    /// Applies a `CloudImage` of an account, with its name.
    pub async fn image(&self, account: &str, region: &str) -> Result<()> {
        let id = if region.starts_with("cn-north-4") {
            "d164b5df-1bc3-4c3f-893e-3e471fd16e64"
        } else {
            "m-bp1player0000image01"
        };
        let image = json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": "CloudImage", "metadata": {"name": account},
            "spec": {"accountRef": {"name": account}, "region": region, "imageID": id}});
        let kind = ApiResource::erase::<CloudImage>(&());
        let images: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), self.namespace.name(), &kind);
        images.patch(account, &PatchParams::apply("test").force(), &Patch::Apply(image)).await?;
        Ok(())
    }

    pub fn accounts(&self) -> Api<DynamicObject> {
        let kind = ApiResource::erase::<CloudAccount>(&());
        Api::namespaced_with(self.client.clone(), self.namespace.name(), &kind)
    }

    /// Waits until an account is `Ready` or not for this reason; gives the message.
    pub async fn until(&mut self, name: &str, reason: &str) -> Result<String> {
        let (accounts, process) = (self.accounts(), &mut self.operator.process);
        eventually(PATIENCE, &format!("{name}: {reason}"), async || {
            process.ensure_running()?;
            let account = serde_json::to_value(accounts.get(name).await?)?;
            let ready = condition(&account, "Ready").context("no condition yet")?;
            let fresh = ready.observed_generation == account["metadata"]["generation"].as_i64();
            ensure!(fresh && ready.reason == reason, "{}: {}", ready.reason, ready.message);
            Ok(Some(ready.message))
        })
        .await
    }

    /// Fails if a secret is shown in the operator's log, or in any object.
    pub async fn ensure_hidden(&self, secrets: &[&str]) -> Result<()> {
        let log = Shown { place: "the operator's log".to_owned(), text: self.operator.process.log() };
        ensure!(!log.text.is_empty(), "there is no log");
        let mut shown = objects(&self.client).await?;
        shown.push(log);
        Canaries::of(secrets)?.ensure_hidden(&shown)
    }
}

fn with(mut object: Value, more: Value) -> Value {
    if let Value::Object(more) = more {
        for (field, value) in more {
            object[field] = value;
        }
    }
    object
}
