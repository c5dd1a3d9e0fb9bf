//! kustomize: several folders add recipients to one share, by the ways that docs/gitops.md names, and none is lost; names that
//! kustomize changes are changed where other objects refer to them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::{ControlPlane, assets, run};
use imageshare_operator::api;
use serde::Deserialize as _;
use serde_json::{Value, json};

fn example() -> PathBuf {
    assets::workspace().join("examples/kustomize")
}

/// What `kubectl kustomize` makes of a folder; it asks no server.
fn kustomize(folder: &Path) -> Result<String> {
    let output = Command::new(assets::servers()?.join("kubectl")).arg("kustomize").arg(folder).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn recipients(rendered: &str) -> Result<BTreeSet<String>> {
    let objects = serde_yaml::Deserializer::from_str(rendered).map(|object| Ok(Value::deserialize(object)?));
    let objects: Vec<Value> = objects.collect::<Result<_>>()?;
    let share = objects.iter().find(|object| object["kind"] == "ImageShare").context("a share")?;
    let ids = share["spec"]["recipients"].as_array().context("recipients")?.iter();
    ids.map(|recipient| Ok(recipient["id"].as_str().context("an id is text")?.to_owned())).collect()
}

#[tokio::test]
async fn the_example_renders_the_recipients_of_all_its_folders_and_is_taken() -> Result<()> {
    let rendered = kustomize(&example())?;
    let wanted = ["1000000000000001", "1000000000000002", "1000000000000003"].map(ToOwned::to_owned);
    ensure!(recipients(&rendered)? == wanted.into(), "{rendered}");
    let control_plane = ControlPlane::shared().await?;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "golden-images"}});
    control_plane.apply(&namespace.to_string()).await?;
    let apply = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
    control_plane.kubectl_with(&apply, &rendered).await.map(drop)
}

/// A share of a platform's 11 recipients, which two teams patch; with or without the published schema.
fn thirteen(schema: bool) -> Result<BTreeSet<String>> {
    let folder = run::folder("kustomize")?;
    let write = |name: &str, file: &str, content: &Value| -> Result<()> {
        fs::create_dir_all(folder.join(name))?;
        Ok(fs::write(folder.join(name).join(file), content.to_string())?)
    };
    let share = |ids: std::ops::Range<u64>| {
        let recipients: Vec<Value> =
            ids.map(|id| json!({"type": "Account", "id": (1_000_000_000_000_000 + id).to_string()})).collect();
        json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": "ImageShare", "metadata": {"name": "golden"},
            "spec": {"imageRef": {"name": "golden"}, "recipients": recipients}})
    };
    write("platform", "share.yaml", &share(0..11))?;
    write("platform", "kustomization.yaml", &json!({"resources": ["share.yaml"]}))?;
    for (team, id) in [("team-a", 11), ("team-b", 12)] {
        let patch = share(id..id + 1).to_string();
        let component = json!({"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component",
            "patches": [{"patch": patch}]});
        write(team, "kustomization.yaml", &component)?;
    }
    let mut whole = json!({"resources": ["platform"], "components": ["team-a", "team-b"]});
    if schema {
        fs::copy(example().join("openapi.json"), folder.join("openapi.json"))?;
        whole["openapi"] = json!({"path": "openapi.json"});
    }
    write(".", "kustomization.yaml", &whole)?;
    recipients(&kustomize(&folder)?)
}

#[test]
fn patches_of_two_teams_leave_thirteen_of_thirteen_recipients() -> Result<()> {
    let with = thirteen(true)?;
    ensure!(with.len() == 13, "{with:?}");
    // What the page warns of: without the schema a patch replaces the list.
    let without = thirteen(false)?;
    ensure!(without.len() == 1, "{without:?}");
    Ok(())
}

/// The keys of every list of a `spec` that is merged by keys, by kind and path.
fn merged_lists(kind: &str, spec: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
    if spec["x-kubernetes-list-type"] == "map" {
        found.insert(format!("{kind} {path}"), spec["x-kubernetes-list-map-keys"].clone());
    }
    for (name, field) in spec["properties"].as_object().into_iter().flatten() {
        merged_lists(kind, field, &format!("{path}.{name}"), found);
    }
    if spec["items"].is_object() {
        merged_lists(kind, &spec["items"], &format!("{path}[]"), found);
    }
}

#[test]
fn the_published_schema_has_the_merge_keys_of_the_definitions_and_no_others() -> Result<()> {
    let mut wanted = BTreeMap::new();
    for crd in api::all_crds() {
        let schema = serde_json::to_value(&crd.spec.versions[0].schema)?;
        let spec = &schema["openAPIV3Schema"]["properties"]["spec"];
        merged_lists(&crd.spec.names.kind, spec, "", &mut wanted);
    }
    ensure!(wanted.contains_key("ImageShare .recipients"), "{wanted:?}");
    let published: Value = serde_json::from_str(&fs::read_to_string(example().join("openapi.json"))?)?;
    let mut found = BTreeMap::new();
    for schema in published["definitions"].as_object().context("definitions")?.values() {
        let kind = schema["x-kubernetes-group-version-kind"][0]["kind"].as_str().context("a kind")?;
        merged_lists(kind, &schema["properties"]["spec"], "", &mut found);
        for list in schema["properties"]["spec"]["properties"].as_object().context("lists")?.values() {
            ensure!(list["x-kubernetes-patch-strategy"] == "merge", "{list}");
            let keys = list["x-kubernetes-list-map-keys"].as_array().context("keys")?;
            ensure!(keys.last() == Some(&list["x-kubernetes-patch-merge-key"]), "{list}");
        }
    }
    ensure!(found == wanted, "examples/kustomize/openapi.json has {found:?}, and the definitions have {wanted:?}");
    Ok(())
}

/// An account, an image, a share of it, a copy and an acceptance, whose Secret is generated and whose names get a prefix; with
/// or without the published name references.
fn prefixed(references: bool) -> Result<Vec<Value>> {
    let folder = run::folder("prefix")?;
    let object = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let account = json!({"accountID": "2000000000000001", "site": "International",
        "credentials": {"secretRef": {"name": "key"}}});
    let named = |name: &str| json!({"name": name});
    let objects = [
        object("CloudAccount", "golden", json!({"alibaba": account})),
        object(
            "CloudImage",
            "ubuntu",
            json!({"accountRef": named("golden"), "region": "cn-hangzhou", "imageID": "m-1"}),
        ),
        object("ImageShare", "teams", json!({"imageRef": named("ubuntu"), "recipients": []})),
        // An image that is not in this kustomization.
        object(
            "ImageShare",
            "guests",
            json!({"imageRef": {"name": "debian", "namespace": "platform"}, "recipients": []}),
        ),
        object(
            "ImageReplica",
            "copy",
            json!({"source": {"imageRef": named("ubuntu")},
            "destination": {"accountRef": named("golden"), "region": "cn-beijing"}}),
        ),
        object("SharedImageAcceptance", "offer", json!({"accountRef": named("golden")})),
    ];
    fs::create_dir_all(folder.join("base"))?;
    let texts: Vec<String> = objects.iter().map(ToString::to_string).collect();
    fs::write(folder.join("base/objects.yaml"), texts.join("\n---\n"))?;
    let generator = json!([{"name": "key", "literals": ["accessKeyID=LTAIgolden", "accessKeySecret=secret"]}]);
    let base = json!({"resources": ["objects.yaml"], "secretGenerator": generator});
    fs::write(folder.join("base/kustomization.yaml"), base.to_string())?;
    let mut whole = json!({"resources": ["base"], "namePrefix": "prod-", "namespace": "golden-images"});
    if references {
        fs::copy(example().join("name-references.yaml"), folder.join("name-references.yaml"))?;
        whole["configurations"] = json!(["name-references.yaml"]);
    }
    fs::write(folder.join("kustomization.yaml"), whole.to_string())?;
    let rendered = kustomize(&folder)?;
    let objects = serde_yaml::Deserializer::from_str(&rendered).map(|object| Ok(Value::deserialize(object)?));
    objects.collect()
}

#[test]
fn a_prefix_and_a_generated_secret_reach_every_reference() -> Result<()> {
    let objects = prefixed(true)?;
    let at = |objects: &[Value], kind: &str, name: &str, pointer: &str| -> Result<String> {
        let of = |object: &&Value| {
            object["kind"] == kind && object["metadata"]["name"].as_str().is_some_and(|n| n.starts_with(name))
        };
        let object = objects.iter().find(of).with_context(|| format!("no {kind} {name}"))?;
        Ok(object.pointer(pointer).and_then(Value::as_str).with_context(|| format!("{object}"))?.to_owned())
    };
    let secret = at(&objects, "Secret", "prod-key-", "/metadata/name")?;
    for (kind, name, pointer, wanted) in [
        ("CloudAccount", "prod-golden", "/spec/alibaba/credentials/secretRef/name", secret.as_str()),
        ("CloudImage", "prod-ubuntu", "/spec/accountRef/name", "prod-golden"),
        ("ImageShare", "prod-teams", "/spec/imageRef/name", "prod-ubuntu"),
        ("ImageShare", "prod-guests", "/spec/imageRef/name", "debian"),
        ("ImageShare", "prod-guests", "/spec/imageRef/namespace", "platform"),
        ("ImageReplica", "prod-copy", "/spec/source/imageRef/name", "prod-ubuntu"),
        ("ImageReplica", "prod-copy", "/spec/destination/accountRef/name", "prod-golden"),
        ("SharedImageAcceptance", "prod-offer", "/spec/accountRef/name", "prod-golden"),
    ] {
        let found = at(&objects, kind, name, pointer)?;
        ensure!(found == wanted, "{kind} {name} {pointer}: {found}, not {wanted}");
    }
    // What the page warns of: without the file the names change, and the references do not.
    let without = prefixed(false)?;
    ensure!(at(&without, "ImageShare", "prod-teams", "/spec/imageRef/name")? == "ubuntu", "{without:?}");
    Ok(())
}

/// Every field of a `spec` that names an object of the same namespace: what it names, and where.
fn references(kind: &str, spec: &Value, path: &str, found: &mut BTreeSet<(String, String, String)>) {
    for (name, field) in spec["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        let target = match name.as_str() {
            "secretRef" => "Secret",
            "serviceAccountRef" => "ServiceAccount",
            "accountRef" => "CloudAccount",
            "imageRef" => "CloudImage",
            "channelRef" => "ImageChannel",
            other => {
                assert!(!other.ends_with("Ref"), "{kind} {path}: what does it name?");
                references(kind, field, &path, found);
                continue;
            }
        };
        found.insert((target.to_owned(), kind.to_owned(), format!("{path}/name")));
    }
}

#[test]
fn the_published_name_references_are_those_of_the_definitions_and_no_others() -> Result<()> {
    let mut wanted = BTreeSet::new();
    // The operator alone writes the inventory.
    for crd in api::all_crds().into_iter().filter(|crd| crd.spec.names.kind != "SharedImage") {
        let schema = serde_json::to_value(&crd.spec.versions[0].schema)?;
        references(&crd.spec.names.kind, &schema["openAPIV3Schema"]["properties"]["spec"], "spec", &mut wanted);
    }
    ensure!(wanted.len() > 8, "{wanted:?}");
    let published: Value = serde_yaml::from_str(&fs::read_to_string(example().join("name-references.yaml"))?)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found = BTreeSet::new();
    for target in published["nameReference"].as_array().context("references")? {
        for field in target["fieldSpecs"].as_array().context("fields")? {
            found.insert((text(&target["kind"]), text(&field["kind"]), text(&field["path"])));
        }
    }
    ensure!(
        found == wanted,
        "examples/kustomize/name-references.yaml has {found:?}, and the definitions have {wanted:?}"
    );
    Ok(())
}
