//! The fault proxy and the history, between real servers and clients that do not know of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::TryStreamExt as _;
use imageshare_harness::control_plane::client_of;
use imageshare_harness::history::Change;
use imageshare_harness::proxy::{Deed, Moment, Rule, Upstream, Which};
use imageshare_harness::{ControlPlane, FaultProxy, History, Namespace, Simulator, assets, run};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ObjectMeta, Patch, PatchParams};
use kube::api::{PostParams, WatchEvent, WatchParams};
use serde_json::json;
use tokio::sync::OnceCell;

const LIMIT: Duration = Duration::from_secs(20);

struct Servers {
    control_plane: ControlPlane,
    cloud: Simulator,
}

async fn servers() -> &'static Servers {
    static SERVERS: OnceCell<Servers> = OnceCell::const_new();
    let start = async || {
        let run = run::folder_of_this_binary()?;
        let world = json!({"regions": ["cn-hangzhou"], "accounts": [], "images": []});
        let cloud = Simulator::start(&run, &world).await?;
        anyhow::Ok(Servers { control_plane: ControlPlane::start(&run).await?, cloud })
    };
    SERVERS.get_or_try_init(start).await.unwrap()
}

/// A proxy of the test's own, and the same namespace through it and past it.
struct Scene {
    proxy: FaultProxy,
    through: Api<ConfigMap>,
    past: Api<ConfigMap>,
}

impl Scene {
    async fn set() -> Result<Self> {
        let servers = servers().await;
        let kubeconfig = servers.control_plane.kubeconfig_path();
        let proxy = FaultProxy::start(&run::folder_of_this_binary()?, &kubeconfig, servers.cloud.cloud()).await?;
        let namespace = Namespace::create(&servers.control_plane.client().await?, "scene").await?;
        let through = Api::namespaced(client_of(proxy.kubeconfig()).await?, namespace.name());
        Ok(Self { proxy, through, past: namespace.api() })
    }

    fn create(&self, name: &str) -> tokio::task::JoinHandle<kube::Result<ConfigMap>> {
        let (api, map) = (self.through.clone(), config_map(name));
        tokio::spawn(async move { api.create(&PostParams::default(), &map).await })
    }

    async fn exists(&self, name: &str) -> Result<bool> {
        Ok(self.past.get_opt(name).await?.is_some())
    }

    async fn call_cloud(&self, action: &str) -> Result<u16> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let request = client.post(format!("{}/?ImageId=m-1", self.proxy.cloud())).header("x-acs-action", action);
        Ok(request.send().await?.status().as_u16())
    }
}

fn config_map(name: &str) -> ConfigMap {
    let metadata = ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() };
    ConfigMap { metadata, data: Some(BTreeMap::new()), ..ConfigMap::default() }
}

#[tokio::test]
async fn a_write_held_before_forwarding_never_happens_once_cut() -> Result<()> {
    let scene = Scene::set().await?;
    let trigger = scene.proxy.on_nth_write(1, Moment::BeforeForward);
    let create = scene.create("a");
    let call = trigger.reached(LIMIT).await?;
    assert_eq!((call.upstream, call.method.as_str(), call.write), (Upstream::Kubernetes, "POST", Some(1)));
    assert!(!scene.exists("a").await?);
    trigger.cut();
    assert!(create.await?.is_err());
    assert!(!scene.exists("a").await?);
    scene.create("b").await??;
    assert!(scene.exists("b").await?, "one write was meant, and no other");
    Ok(())
}

#[tokio::test]
async fn a_write_held_after_it_was_applied_has_happened() -> Result<()> {
    let scene = Scene::set().await?;
    let trigger = scene.proxy.on_nth_write(2, Moment::AfterApply);
    scene.create("a").await??;
    let create = scene.create("b");
    let call = trigger.reached(LIMIT).await?;
    assert_eq!(call.status, Some(201));
    assert!(call.version.is_some());
    assert!(scene.exists("b").await?);
    assert!(!create.is_finished());
    trigger.cut();
    assert!(create.await?.is_err());
    Ok(())
}

#[tokio::test]
async fn a_held_write_goes_on_when_released_or_when_its_trigger_is_dropped() -> Result<()> {
    let scene = Scene::set().await?;
    let trigger = scene.proxy.on_nth_write(1, Moment::BeforeForward);
    let create = scene.create("a");
    trigger.reached(LIMIT).await?;
    trigger.release();
    create.await??;
    let trigger = scene.proxy.on_nth_write(1, Moment::AfterApply);
    let create = scene.create("b");
    trigger.reached(LIMIT).await?;
    drop(trigger);
    create.await??;
    let trigger = scene.proxy.on_nth_write(1, Moment::AfterAnswer);
    scene.create("c").await??;
    assert_eq!(trigger.reached(LIMIT).await?.status, Some(201));
    Ok(())
}

#[tokio::test]
async fn writes_are_counted_in_one_order_over_both_upstreams() -> Result<()> {
    let scene = Scene::set().await?;
    scene.create("a").await??;
    scene.call_cloud("DescribeImages").await?;
    scene.call_cloud("ModifyImageSharePermission").await?;
    let third = scene.proxy.on_nth_write(1, Moment::AfterAnswer);
    scene.through.delete("a", &DeleteParams::default()).await?;
    assert_eq!(third.reached(LIMIT).await?.method, "DELETE");
    let writes = scene.proxy.writes(0);
    let told: Vec<_> = writes.iter().map(|call| (call.write, call.upstream, call.action.as_str())).collect();
    let (kubernetes, cloud) = (Upstream::Kubernetes, Upstream::Cloud);
    let modify = "ModifyImageSharePermission";
    assert_eq!(told, [(Some(1), kubernetes, ""), (Some(2), cloud, modify), (Some(3), kubernetes, "")]);
    assert_eq!(scene.proxy.calls().len(), 4);
    Ok(())
}

#[tokio::test]
async fn the_cloud_sees_the_host_that_was_called() -> Result<()> {
    let scene = Scene::set().await?;
    scene.call_cloud("DescribeTheHostOfThisTest").await?;
    let host = scene.proxy.cloud().replace("http://", "");
    let journal = servers().await.cloud.journal(0).await?;
    assert!(journal.iter().any(|entry| entry["host"] == host.as_str()), "{journal:?}");
    Ok(())
}

#[tokio::test]
async fn rules_cut_answer_and_delay_what_they_mean_as_often_as_they_say() -> Result<()> {
    let scene = Scene::set().await?;
    let before = scene.proxy.add(Rule::new(Which::write().path("configmaps").body("\"cut-me\""), Deed::CutBefore));
    assert!(scene.create("cut-me").await?.is_err());
    assert!(!scene.exists("cut-me").await?);
    drop(before);
    scene.create("cut-me").await??;
    let after = scene.proxy.add(Rule::new(Which::write(), Deed::CutAfter).nth(2).times(1));
    scene.create("first").await??;
    assert!(scene.create("second").await?.is_err());
    assert!(scene.exists("second").await?);
    scene.create("third").await??;
    assert_eq!(after.hits().len(), 1);
    drop(after);
    let refusal = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 409, "reason": "Conflict"});
    let answer = scene.proxy.add(Rule::new(Which::write(), Deed::Answer(409, refusal.to_string())));
    assert!(matches!(scene.create("fourth").await?, Err(kube::Error::Api(status)) if status.code == 409));
    assert!(!scene.exists("fourth").await?);
    drop(answer);
    let pause = Duration::from_millis(300);
    let slow = scene.proxy.add(Rule::new(Which::read().to(Upstream::Kubernetes).method("GET"), Deed::Delay(pause)));
    let began = Instant::now();
    scene.through.get("third").await?;
    assert!(began.elapsed() >= pause);
    assert_eq!(slow.hits().len(), 1);
    Ok(())
}

#[tokio::test]
async fn watches_pass_as_they_come_and_can_be_cut() -> Result<()> {
    let scene = Scene::set().await?;
    let version = scene.past.list(&kube::api::ListParams::default()).await?.metadata.resource_version.unwrap();
    let mut events = Box::pin(scene.through.watch(&WatchParams::default(), &version).await?);
    for name in ["a", "b"] {
        scene.past.create(&PostParams::default(), &config_map(name)).await?;
        let event = tokio::time::timeout(LIMIT, events.try_next()).await??;
        assert!(matches!(event, Some(WatchEvent::Added(map)) if map.metadata.name.as_deref() == Some(name)));
    }
    scene.proxy.disconnect(Upstream::Kubernetes);
    let end = tokio::time::timeout(LIMIT, events.try_next()).await?;
    assert!(
        !matches!(end, Ok(Some(WatchEvent::Added(_) | WatchEvent::Modified(_) | WatchEvent::Deleted(_)))),
        "{end:?}"
    );
    assert!(scene.through.get_opt("a").await?.is_some(), "new connections are taken");
    Ok(())
}

#[tokio::test]
async fn every_version_of_an_object_is_in_the_history() -> Result<()> {
    let control_plane = &servers().await.control_plane;
    control_plane.install(&assets::workspace().join("crds")).await?;
    let history = History::of_sharing(control_plane).await?;
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("imageshare.dev", "v1alpha1", "ImageShare"));
    let shares: Api<DynamicObject> = Api::namespaced_with(control_plane.client().await?, "default", &kind);
    let recipients = json!([{"type": "Account", "id": "1000000000000001"}]);
    let spec = json!({"spec": {"imageRef": {"name": "golden"}, "recipients": recipients}});
    shares.create(&PostParams::default(), &DynamicObject::new("a", &kind).data(spec)).await?;
    let mut told = Vec::new();
    for n in 0..20 {
        let change = Patch::Merge(json!({"metadata": {"labels": {"n": format!("{n}")}}}));
        told.push(shares.patch("a", &PatchParams::default(), &change).await?.metadata.resource_version.unwrap());
    }
    shares.delete("a", &DeleteParams::default()).await?;
    let versions = history.versions().await?;
    assert_eq!(versions.len(), 22);
    assert_eq!((versions[0].change, versions[21].change), (Change::Added, Change::Deleted));
    assert!(versions[1..21].iter().all(|version| version.change == Change::Modified));
    assert!(versions.windows(2).all(|pair| pair[0].revision < pair[1].revision));
    assert!(versions.iter().all(|version| version.kind() == "ImageShare" && version.name() == "a"));
    let numbers: Vec<String> = versions[1..21].iter().map(|version| version.revision.to_string()).collect();
    assert_eq!(numbers, told, "the API server's numbers");
    assert_eq!(versions[21].text("/metadata/labels/n"), "19");
    assert_eq!(history.versions().await?.len(), 22, "nothing is told twice");
    Ok(())
}
