//! Who owns what of a list when several apply one object, and that an update of the definitions takes nobody's part away.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use imageshare_harness::{ControlPlane, Namespace, assets, eventually, run};
use imageshare_operator::api;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Value, json};

use crate::{PATIENCE, Place, share_with};

const OF_BOTH: &str = "1000000000000001";
const OF_PLATFORM: &str = "1000000000000002";
const OF_PARTNERS: &str = "1000000000000003";

/// Applies a share with just these recipients, as one of several who do; gives the share.
async fn apply(shares: &Api<DynamicObject>, manager: &str, recipients: &[&str]) -> Result<Value> {
    let recipients: Value = recipients.iter().map(|id| json!({"type": "Account", "id": id})).collect();
    let share = json!({"apiVersion": format!("{}/v1alpha1", api::GROUP), "kind": "ImageShare",
        "metadata": {"name": "golden"}, "spec": share_with(&recipients)});
    let applied = shares.patch("golden", &PatchParams::apply(manager), &Patch::Apply(&share)).await?;
    Ok(serde_json::to_value(applied)?)
}

fn recipients(share: &Value) -> BTreeSet<&str> {
    let all = share["spec"]["recipients"].as_array().into_iter().flatten();
    all.filter_map(|recipient| recipient["id"].as_str()).collect()
}

/// What one who applies owns of the entries of a share's recipients.
fn owned(share: &Value, manager: &str) -> Vec<Value> {
    let all = share["metadata"]["managedFields"].as_array().into_iter().flatten();
    let own = all.filter(|fields| fields["manager"] == manager);
    own.filter_map(|fields| fields["fieldsV1"]["f:spec"]["f:recipients"].as_object())
        .flat_map(|entries| entries.values().cloned())
        .collect()
}

#[tokio::test]
async fn two_who_apply_one_share_own_each_recipient_as_a_whole_and_take_out_only_their_own() -> Result<()> {
    let place = Place::new().await?;
    let shares = place.api("ImageShare");
    apply(&shares, "platform", &[OF_BOTH, OF_PLATFORM]).await?;
    let share = apply(&shares, "partners", &[OF_BOTH, OF_PARTNERS]).await?;
    assert_eq!(recipients(&share), [OF_BOTH, OF_PLATFORM, OF_PARTNERS].into());
    // Field by field, each entry would be listed as three.
    assert_eq!(owned(&share, "platform"), [json!({}), json!({})]);
    let share = apply(&shares, "partners", &[OF_PARTNERS]).await?;
    assert_eq!(recipients(&share), [OF_BOTH, OF_PLATFORM, OF_PARTNERS].into(), "the other still wants it");
    let share = apply(&shares, "platform", &[OF_PLATFORM]).await?;
    assert_eq!(recipients(&share), [OF_PLATFORM, OF_PARTNERS].into());
    Ok(())
}

/// The definition of shares as it was when entries were owned field by field.
fn former_definition() -> Result<String> {
    let text = std::fs::read_to_string(assets::workspace().join("crds/imageshares.yaml"))?;
    let former: Vec<&str> = text.lines().filter(|line| line.trim() != "x-kubernetes-map-type: atomic").collect();
    ensure!(former.len() < text.lines().count(), "the definition does not say that entries are owned as a whole");
    Ok(former.join("\n"))
}

#[tokio::test]
async fn what_was_applied_before_the_definitions_were_updated_can_be_taken_out_after() -> Result<()> {
    let folder = run::folder("definitions-update")?;
    let control_plane = ControlPlane::start(&folder).await?;
    let former = folder.join("imageshares.yaml");
    std::fs::write(&former, former_definition()?)?;
    control_plane.install(&former).await?;
    let client = control_plane.client().await?;
    let namespace = Namespace::create(&client, "definitions").await?;
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(api::GROUP, "v1alpha1", "ImageShare"));
    let shares = Api::namespaced_with(client.clone(), namespace.name(), &kind);
    apply(&shares, "platform", &[OF_BOTH, OF_PLATFORM]).await?;
    let before = apply(&shares, "partners", &[OF_BOTH, OF_PARTNERS]).await?;
    assert!(owned(&before, "platform").iter().all(|entry| *entry != json!({})), "{before}");
    control_plane.install(&assets::workspace().join("crds")).await?;
    // The new definition is served a moment after it was taken.
    let share = eventually(PATIENCE, "entries to be owned as a whole", async || {
        let share = apply(&shares, "partners", &[OF_PARTNERS]).await?;
        Ok((owned(&share, "partners") == [json!({})]).then_some(share))
    })
    .await?;
    assert_eq!(recipients(&share), [OF_BOTH, OF_PLATFORM, OF_PARTNERS].into(), "the other still wants it");
    let share = apply(&shares, "platform", &[OF_PLATFORM]).await?;
    assert_eq!(recipients(&share), [OF_PLATFORM, OF_PARTNERS].into());
    Ok(())
}

/// The API server warns whoever applies a format that it does not know, at every installation.
#[tokio::test]
async fn the_definitions_are_applied_without_a_warning() -> Result<()> {
    let place = Place::new().await?;
    let crds = assets::workspace().join("crds");
    let crds = crds.to_str().expect("a path of UTF-8");
    let apply = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--warnings-as-errors", "-f", crds];
    place.control_plane.kubectl(&apply).await.map(drop)
}

#[test]
fn every_format_of_the_definitions_is_one_that_kubernetes_knows() {
    for (name, text) in api::crd_files().unwrap() {
        for line in text.lines() {
            let format = line.trim().strip_prefix("format: ");
            assert!(format.is_none_or(|format| ["date-time", "int32", "int64"].contains(&format)), "{name}: {line}");
        }
    }
}
