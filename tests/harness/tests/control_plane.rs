//! The control plane of the harness is a real one, and ends whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use imageshare_harness::history::Version;
use imageshare_harness::{ControlPlane, History, Namespace, assets, eventually, run};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, ObjectMeta, PostParams};

const LIMIT: Duration = Duration::from_secs(90);

fn config_map(name: &str) -> ConfigMap {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    ConfigMap { metadata, ..ConfigMap::default() }
}

fn share(namespace: &str, name: &str) -> String {
    let recipient = "{type: Account, id: \"1000000000000001\"}";
    format!(
        "apiVersion: imageshare.dev/v1alpha1\nkind: ImageShare\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{imageRef: {{name: golden}}, recipients: [{recipient}]}}\n"
    )
}

#[tokio::test]
async fn api_server_comes_back_with_its_objects_and_ends_without_a_trace() {
    let begin = Instant::now();
    let control_plane = ControlPlane::start(&run::folder("control-plane").unwrap()).await.unwrap();
    println!("without a controller manager: ready after {:?}", begin.elapsed());
    let namespace = Namespace::create(&control_plane.client().await.unwrap(), "kept").await.unwrap();
    namespace.api::<ConfigMap>().create(&PostParams::default(), &config_map("kept")).await.unwrap();
    control_plane.install(&assets::workspace().join("crds")).await.unwrap();
    let history = History::of_sharing(&control_plane).await.unwrap();
    control_plane.apply(&share(namespace.name(), "before")).await.unwrap();

    control_plane.stop_api_server().unwrap();
    assert!(control_plane.stop_api_server().is_err());
    assert!(namespace.api::<ConfigMap>().get("kept").await.is_err());
    let begin = Instant::now();
    control_plane.start_api_server().await.unwrap();
    println!("API server ready again after {:?}", begin.elapsed());
    // The same client: the address and the authority are the same as before.
    namespace.api::<ConfigMap>().get("kept").await.unwrap();
    control_plane.apply(&share(namespace.name(), "after")).await.unwrap();
    let versions = history.versions().await.unwrap();
    let names: Vec<&str> = versions.iter().map(Version::name).collect();
    assert_eq!(names, ["before", "after"], "the history goes on where the API server was away");

    let (pids, data) = (control_plane.pids(), control_plane.run_dir().join("etcd-data"));
    assert_eq!(pids.len(), 4);
    assert!(data.exists() && pids.iter().all(|pid| Path::new("/proc").join(pid.to_string()).exists()));
    drop(control_plane);
    assert!(!data.exists());
    assert!(!pids.iter().any(|pid| Path::new("/proc").join(pid.to_string()).exists()));
}

#[tokio::test]
async fn kubectl_lists_namespaces() {
    let begin = Instant::now();
    let control_plane = ControlPlane::shared().await.unwrap();
    println!("with a controller manager: ready after {:?}", begin.elapsed());
    let names = control_plane.kubectl(&["get", "namespaces", "-o", "name"]).await.unwrap();
    assert!(names.lines().any(|name| name == "namespace/kube-system"), "{names}");
    let refused = control_plane.kubectl(&["get", "unicorns"]).await.unwrap_err().to_string();
    assert!(refused.contains("unicorns"), "{refused}");
}

#[tokio::test]
async fn deleted_namespace_goes_with_its_contents() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let namespace = Namespace::create(&control_plane.client().await.unwrap(), "passing").await.unwrap();
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: passing}\n";
    let args = ["apply", "-n", namespace.name(), "-f", "-"];
    let applied = control_plane.kubectl_with(&args, manifest).await.unwrap();
    assert_eq!(applied.trim(), "configmap/passing created");
    namespace.delete().await.unwrap();
    namespace.gone(LIMIT).await.unwrap();
}

#[tokio::test]
async fn service_account_has_only_the_rights_given_to_it() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let namespace = Namespace::create(&control_plane.client().await.unwrap(), "account").await.unwrap();
    control_plane.kubectl(&["create", "serviceaccount", "reader", "-n", namespace.name()]).await.unwrap();
    let subject = format!("--serviceaccount={}:reader", namespace.name());
    let bind = ["create", "rolebinding", "reader", "--clusterrole=view", &subject, "-n", namespace.name()];
    control_plane.kubectl(&bind).await.unwrap();

    let kubeconfig = control_plane.kubeconfig_of(namespace.name(), "reader").await.unwrap();
    let client = imageshare_harness::control_plane::client_of(&kubeconfig).await.unwrap();
    let api = Api::<ConfigMap>::namespaced(client, namespace.name());
    // The API server learns of a new binding a moment later.
    let listed = async || Ok(Some(api.list(&ListParams::default()).await?));
    eventually(LIMIT, "the right to list", listed).await.unwrap();
    let refused = api.create(&PostParams::default(), &config_map("refused")).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 403));
}

#[tokio::test]
async fn token_of_an_operator_is_good_for_longer_than_anything_runs_here() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(control_plane.operator_kubeconfig().await.unwrap()).unwrap()).unwrap();
    let token = config.pointer("/users/0/user/token").and_then(|token| token.as_str()).unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    let seconds = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert!(seconds > 30 * 24 * 3600, "it expires after {seconds} s");
}
