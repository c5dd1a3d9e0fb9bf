//! The examples and the YAML of the documents: each is read by our own types to the last field, passes the rules, and is
//! taken by a real API server. The quickstart is applied for real by the demo's test.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use cloud_simulator::WorldFile;
use imageshare_harness::{ControlPlane, assets};
use imageshare_operator::api::{
    ChannelShare, CloudAccount, CloudImage, ImageChannel, ImageReplica, ImageShare, SharedImageAcceptance,
};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::core::cel::validate_cel;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn examples() -> PathBuf {
    assets::workspace().join("examples")
}

/// The YAML files of a folder, sorted as kubectl applies them.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(examples().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    files
}

/// Every file that is for kubectl.
fn for_kubectl() -> Vec<PathBuf> {
    [files("quickstart"), files("huawei"), files("aws"), files("across-regions"), files("")].concat()
}

/// What people copy: the examples, and each YAML block of the documents, by where it stands.
fn to_copy() -> Vec<(String, Vec<Value>)> {
    let examples = for_kubectl();
    let mut all: Vec<(String, Vec<Value>)> = examples
        .iter()
        .map(|file| (file.display().to_string(), documents(&fs::read_to_string(file).unwrap())))
        .collect();
    let pages = fs::read_dir(assets::workspace().join("docs")).unwrap().map(|page| page.unwrap().path());
    let pages = pages.chain([assets::workspace().join("README.md")]);
    for page in pages.filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        let text = fs::read_to_string(&page).unwrap();
        for (number, block) in text.split("```yaml\n").skip(1).enumerate() {
            let block = block.split("```").next().unwrap();
            all.push((format!("{}: YAML block {}", page.display(), number + 1), documents(block)));
        }
    }
    all
}

/// Whether a document is an object for the API server of the tests: others are for tools, or parts of an object.
fn is_object(document: &Value) -> bool {
    let version = document["apiVersion"].as_str().unwrap_or_default();
    ["v1", "imageshare.dev/v1alpha1", "admissionregistration.k8s.io/v1"].contains(&version)
}

fn documents(text: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(text);
    documents.map(|document| serde::Deserialize::deserialize(document).unwrap()).collect()
}

/// What `given` says and `kept` does not.
fn lost(given: &Value, kept: &Value, at: &str) -> Vec<String> {
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => given
            .iter()
            .flat_map(|(key, value)| lost(value, kept.get(key).unwrap_or(&Value::Null), &format!("{at}.{key}")))
            .collect(),
        (Value::Array(given), Value::Array(kept)) if given.len() == kept.len() => {
            given.iter().zip(kept).flat_map(|(given, kept)| lost(given, kept, &format!("{at}[]"))).collect()
        }
        (given, kept) if given == kept => Vec::new(),
        _ => vec![at.to_owned()],
    }
}

fn read<K: DeserializeOwned + Serialize>(document: &Value) -> (K, Vec<String>) {
    let object: K = serde_json::from_value(document.clone()).unwrap();
    let lost = lost(document, &serde_json::to_value(&object).unwrap(), "");
    (object, lost)
}

/// Reads a document with the type of its kind and by its rules; gives the fields nobody knows.
fn judge(document: &Value) -> Vec<String> {
    match document["kind"].as_str().unwrap() {
        "CloudAccount" => {
            let (object, lost) = read::<CloudAccount>(document);
            validate_cel(&object).unwrap();
            lost
        }
        "CloudImage" => {
            let (object, lost) = read::<CloudImage>(document);
            validate_cel(&object).unwrap();
            lost
        }
        "ImageShare" => {
            let (object, lost) = read::<ImageShare>(document);
            validate_cel(&object).unwrap();
            lost
        }
        "ImageChannel" => {
            let (object, lost) = read::<ImageChannel>(document);
            validate_cel(&object).unwrap();
            lost
        }
        "ChannelShare" => {
            let (object, lost) = read::<ChannelShare>(document);
            validate_cel(&object).unwrap();
            lost
        }
        "SharedImageAcceptance" => {
            let (object, lost) = read::<SharedImageAcceptance>(document);
            validate_cel(&object).unwrap();
            lost
        }
        "ImageReplica" => {
            let (object, lost) = read::<ImageReplica>(document);
            validate_cel(&object).unwrap();
            lost
        }
        "Namespace" => read::<Namespace>(document).1,
        "Secret" => read::<Secret>(document).1,
        other => {
            assert!(document["apiVersion"] != "imageshare.dev/v1alpha1", "{other}: no such kind, or nobody writes one");
            Vec::new()
        }
    }
}

#[test]
fn what_people_copy_is_understood_to_the_last_field() {
    let all = to_copy();
    let (pages, examples): (Vec<_>, Vec<_>) = all.iter().partition(|(place, _)| place.contains(".md: "));
    assert!(examples.len() >= 15 && pages.len() >= 10, "{} examples, {} blocks", examples.len(), pages.len());
    for (place, documents) in all {
        for document in documents.iter().filter(|document| is_object(document)) {
            let unknown = judge(document);
            assert!(unknown.is_empty(), "{place}: nobody knows {unknown:?}");
        }
    }
}

#[test]
fn a_field_nobody_knows_would_be_noticed() {
    let text = fs::read_to_string(examples().join("quickstart/04-share.yaml")).unwrap();
    let mut document = documents(&text).remove(0);
    document["spec"]["recipients"][0]["sight"] = "International".into();
    assert_eq!(judge(&document), [".spec.recipients[].sight"]);
}

#[tokio::test]
async fn a_real_api_server_takes_what_people_copy() -> Result<()> {
    let control_plane = ControlPlane::shared().await?;
    for (place, documents) in to_copy() {
        let objects: Vec<&Value> = documents.iter().filter(|document| is_object(document)).collect();
        // A dry run creates no namespace for what comes after it to be in.
        let namespaces: BTreeSet<&str> =
            objects.iter().filter_map(|object| object["metadata"]["namespace"].as_str()).collect();
        for name in namespaces {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            control_plane.kubectl_with(&["apply", "-f", "-"], &namespace.to_string()).await?;
        }
        if !objects.is_empty() {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
            let args = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
            control_plane.kubectl_with(&args, &list.to_string()).await.with_context(|| place)?;
        }
    }
    Ok(())
}

#[test]
fn the_simulated_world_is_the_one_the_quickstart_speaks_of() {
    let world = WorldFile::parse(&fs::read_to_string(examples().join("simulator/world.yaml")).unwrap()).unwrap();
    let quickstart: Vec<Value> =
        files("quickstart").iter().flat_map(|file| documents(&fs::read_to_string(file).unwrap())).collect();
    let of = |kind: &str| quickstart.iter().find(|document| document["kind"] == kind).unwrap();
    let account = &of("CloudAccount")["spec"]["alibaba"]["accountID"];
    let owner = world.accounts.iter().find(|a| *account == a.id.to_string()).unwrap();
    assert_eq!(of("Secret")["stringData"]["accessKeyID"], owner.keys[0].id);
    assert_eq!(of("Secret")["stringData"]["accessKeySecret"], owner.keys[0].secret);
    let image = &of("CloudImage")["spec"];
    let held = |i: &&cloud_simulator::ImageSpec| i.owner == owner.id;
    assert_eq!(world.images.iter().filter(held).count(), 2);
    assert!(
        world
            .images
            .iter()
            .filter(held)
            .any(|i| image["imageID"] == i.id.to_string() && image["region"] == i.region.to_string())
    );
    let recipients = of("ImageShare")["spec"]["recipients"].as_array().unwrap();
    assert_eq!(recipients.len(), 3);
    assert!(recipients.iter().all(|r| world.accounts.iter().any(|a| r["id"] == a.id.to_string())));
}

/// Whoever meets a reason finds what to do, and nothing is explained that nobody can meet.
#[test]
fn every_reason_is_explained_once() {
    // The schema takes any word: the closed list stands in the sources only.
    let source = fs::read_to_string(assets::workspace().join("src/api/conditions.rs")).unwrap();
    let list = source.split("pub enum Reason {").nth(1).and_then(|rest| rest.split("\n}").next()).unwrap();
    let names = list.lines().filter_map(|line| line.trim().strip_suffix(','));
    let mut wanted: Vec<String> =
        names.filter(|name| name.chars().all(char::is_alphanumeric)).map(Into::into).collect();
    assert!(wanted.len() > 60, "{wanted:?}");
    let text = fs::read_to_string(assets::workspace().join("docs/troubleshooting.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let mut explained: Vec<String> = rows.map(|(reason, _)| reason.to_owned()).collect();
    wanted.sort();
    explained.sort();
    assert_eq!(explained, wanted);
}

/// A person who copies from the README gets what the demo shows.
#[test]
fn the_readme_shows_the_quickstart_as_it_is() {
    let readme = fs::read_to_string(assets::workspace().join("README.md")).unwrap();
    let block = readme.split("```yaml\n").nth(1).expect("a YAML block").split("```").next().unwrap();
    let texts: Vec<String> = files("quickstart").iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    assert!(block == texts.join("---\n"), "README.md's first YAML block is not examples/quickstart/ in order");
}
