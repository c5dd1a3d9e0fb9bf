//! Definitions that let through what this version refuses or cannot read, as an older or a newer version of them might.

use anyhow::Result;
use imageshare_harness::{Kind, eventually};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageReplica, ImageShare, SharedImageAcceptance};
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use support::{PATIENCE, Player};

const SELECTOR: &str = "shareableFrom/properties/namespaces/properties/selector/properties/matchExpressions/items";

/// Loosens the definitions of this binary's API server.
pub(crate) async fn loosen(player: &Player) -> Result<()> {
    static LOOSE: OnceCell<()> = OnceCell::const_new();
    LOOSE.get_or_try_init(async || loosen_all(player).await).await.copied()
}

async fn loosen_all(player: &Player) -> Result<()> {
    let requirement = [format!("{SELECTOR}/properties/operator/enum"), format!("{SELECTOR}/x-kubernetes-validations")];
    let secret = "alibaba/properties/credentials/properties/secretRef/properties/name/pattern".to_owned();
    let of_shares = [
        "recipients/items/properties/type/enum",
        "imageRef/properties/name/pattern",
        "expirationTime/pattern",
        "expirationTime/x-kubernetes-validations",
    ];
    let [of_images, of_accounts, of_replicas] =
        ["unmanagedRecipients/enum", "sites/items/properties/site/enum", "deletionPolicy/enum"].map(ToOwned::to_owned);
    let [operator, values] = requirement;
    remove(player, "imageshares", &of_shares.map(ToOwned::to_owned)).await?;
    remove(player, "cloudimages", &[of_images, operator, values]).await?;
    remove(player, "cloudaccounts", &[of_accounts, secret]).await?;
    remove(player, "imagereplicas", &[of_replicas]).await?;
    remove(player, "sharedimageacceptances", &["decision/enum".to_owned()]).await?;
    taken::<ImageShare>(player, &share(json!({"name": "golden ubuntu"}), &to_a_planet(player, []))).await?;
    taken::<CloudImage>(player, &image(player)).await?;
    taken::<CloudAccount>(player, &account(player)).await?;
    taken::<ImageReplica>(player, &replica()).await?;
    taken::<SharedImageAcceptance>(player, &acceptance(player)).await
}

async fn remove(player: &Player, plural: &str, fields: &[String]) -> Result<()> {
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let removals: Value =
        fields.iter().map(|field| json!({"op": "remove", "path": format!("{spec}/{field}")})).collect();
    let definition = format!("{plural}.imageshare.dev");
    let arguments = ["patch", "customresourcedefinition", &definition, "--type=json", "-p", &removals.to_string()];
    player.stage.control_plane.kubectl(&arguments).await?;
    Ok(())
}

/// Waits until the API server takes such an object.
async fn taken<K: Kind>(player: &Player, spec: &Value) -> Result<()> {
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let object = object::<K>("probe", spec)?;
    eventually(PATIENCE, "the loosened definition to be served", async || {
        player.raw::<K>().create(&params, &object).await?;
        Ok(Some(()))
    })
    .await
}

fn object<K: Kind>(name: &str, spec: &Value) -> Result<kube::api::DynamicObject> {
    let object = json!({
        "apiVersion": "imageshare.dev/v1alpha1", "kind": K::kind(&()), "metadata": {"name": name}, "spec": spec,
    });
    Ok(serde_json::from_value(object)?)
}

/// Creates an object as it is written.
pub(crate) async fn create<K: Kind>(player: &Player, name: &str, spec: &Value) -> Result<()> {
    player.raw::<K>().create(&PostParams::default(), &object::<K>(name, spec)?).await?;
    Ok(())
}

/// Recipients by number, and one of a kind that no version of this operator knows.
pub(crate) fn to_a_planet(player: &Player, numbers: impl IntoIterator<Item = u32>) -> Value {
    let accounts = numbers.into_iter().map(|n| json!({"type": "Account", "id": player.recipient(n)}));
    accounts.chain([json!({"type": "Planet", "id": "Mars"})]).collect()
}

#[allow(clippy::needless_pass_by_value, reason = "it is written in place")]
pub(crate) fn share(image: Value, recipients: &Value) -> Value {
    json!({"imageRef": image, "recipients": recipients})
}

/// An image that cannot be read.
pub(crate) fn image(player: &Player) -> Value {
    json!({"accountRef": {"name": "golden"}, "region": "cn-hangzhou", "imageID": player.image_id(2),
        "unmanagedRecipients": "Tomorrow"})
}

/// An account that cannot be read.
pub(crate) fn account(player: &Player) -> Value {
    json!({
        "alibaba": {"accountID": player.owner(), "site": "International", "credentials": {"secretRef": {"name": "a b"}}},
        "sites": [{"site": "Mars", "regions": []}],
    })
}

/// A replica that cannot be read.
pub(crate) fn replica() -> Value {
    json!({"source": {"imageRef": {"name": "golden"}}, "destination": {"region": "cn-beijing", "name": "far"},
        "deletionPolicy": "Tomorrow"})
}

/// An acceptance that cannot be read.
pub(crate) fn acceptance(player: &Player) -> Value {
    json!({"accountRef": {"name": "golden"}, "region": "cn-hangzhou", "imageID": player.image_id(2), "owner": player.owner(),
        "decision": "Maybe"})
}
