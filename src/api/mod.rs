//! The custom resources of group `imageshare.dev`, version `v1alpha1`: one file a kind. Types and their schema only;
//! what they mean is decided in `planning`.

// The schema macro repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]
// Printer columns repeat the names of their attributes.
#![allow(clippy::duplicated_attributes)]

pub mod acceptance;
pub mod channel_share;
pub mod cloud_account;
pub mod cloud_image;
pub mod conditions;
pub mod definitions;
pub mod expiration;
mod identity;
pub mod image_channel;
pub mod image_replica;
pub mod image_share;
pub mod limits;
pub mod patterns;
pub mod references;
pub mod selector;
pub mod shared_image;
pub mod span;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;
use serde::{Deserialize, Deserializer};

pub use acceptance::SharedImageAcceptance;
pub use channel_share::ChannelShare;
pub use cloud_account::CloudAccount;
pub use cloud_image::CloudImage;
pub use image_channel::ImageChannel;
pub use image_replica::ImageReplica;
pub use image_share::ImageShare;
pub use shared_image::SharedImage;

/// The API group of every kind here.
pub const GROUP: &str = "imageshare.dev";

/// The version of every kind here.
pub const VERSION: &str = "v1alpha1";

/// The finalizer this operator adds to the objects it must clean up after.
pub const FINALIZER: &str = "imageshare.dev/operator";

/// The finalizer on the Secret of an account: its key is needed as long as access is to be ended with it.
pub const SECRET_FINALIZER: &str = "imageshare.dev/credentials";

/// Asks for an immediate look; its value is echoed in `status.lastHandledReconcileAt`.
pub const RECONCILE_REQUESTED_AT: &str = "imageshare.dev/reconcile-requested-at";

/// Label on what was made for an `ImageChannel`: the channel's name.
pub const CHANNEL_LABEL: &str = "imageshare.dev/channel";

/// Label on the `ImageShares` that were made from a `ChannelShare`: its uid.
pub const CHANNEL_SHARE_LABEL: &str = "imageshare.dev/channel-share";

/// Annotation on what was made for an `ImageChannel`: the version.
pub const VERSION_ANNOTATION: &str = "imageshare.dev/version";

/// Reads a list into as much memory as its entries take. Otherwise what is cached of an object has room for up to twice its
/// recipients.
fn exact<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let mut list = Vec::deserialize(deserializer)?;
    list.shrink_to_fit();
    Ok(list)
}

/// Every custom resource definition, in the order a person would read them.
pub fn all_crds() -> Vec<CustomResourceDefinition> {
    let reconciled = [
        CloudAccount::crd(),
        CloudImage::crd(),
        ImageShare::crd(),
        ImageChannel::crd(),
        ChannelShare::crd(),
        SharedImageAcceptance::crd(),
        ImageReplica::crd(),
    ];
    let unread = reconciled.map(unobserved).into_iter().chain([SharedImage::crd()]);
    let edit = |schema: &mut JSONSchemaProps| {
        own_entries_whole(schema);
        refuse_null_in_enums(schema);
        drop_foreign_formats(schema);
    };
    unread.map(|crd| with_each_schema(crd, &edit)).collect()
}

/// An object without a status shows one that observed nothing. What reads status by the kstatus rules, as GitOps tools do,
/// takes an object without any for done.
fn unobserved(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        let properties = schema.and_then(|schema| schema.properties.as_mut());
        if let Some(status) = properties.and_then(|properties| properties.get_mut("status")) {
            status.default = Some(JSON(serde_json::json!({"observedGeneration": -1})));
        }
    }
    crd
}

/// Changes the schema of every field, each after the fields inside it.
fn with_each_schema(
    mut crd: CustomResourceDefinition,
    edit: &impl Fn(&mut JSONSchemaProps),
) -> CustomResourceDefinition {
    fn walk(schema: &mut JSONSchemaProps, edit: &impl Fn(&mut JSONSchemaProps)) {
        schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(|field| walk(field, edit));
        if let Some(JSONSchemaPropsOrArray::Schema(entry)) = &mut schema.items {
            walk(entry, edit);
        }
        edit(schema);
    }
    let schemas =
        crd.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut());
    schemas.for_each(|schema| walk(schema, edit));
    crd
}

/// Whoever applies an entry of a list that is merged by keys owns all of that entry, as with `ownerReferences`. Owned field by
/// field, the recipients of a share take more room in its `managedFields` than in its `spec`, in every list and every watch.
fn own_entries_whole(schema: &mut JSONSchemaProps) {
    let is_map = schema.x_kubernetes_list_type.as_deref() == Some("map");
    if let (true, Some(JSONSchemaPropsOrArray::Schema(entry))) = (is_map, &mut schema.items) {
        entry.x_kubernetes_map_type = Some("atomic".to_owned());
    }
}

/// The API server takes null for no field whose values are listed, whatever `nullable` says: such a field does not promise it.
fn refuse_null_in_enums(schema: &mut JSONSchemaProps) {
    if schema.enum_.is_some() {
        schema.nullable = None;
    }
}

/// Rust's unsigned integers are no formats of Kubernetes: for each, the API server sends a warning to whoever applies the
/// definition. The bounds stay.
fn drop_foreign_formats(schema: &mut JSONSchemaProps) {
    schema.format.take_if(|format| format.starts_with("uint"));
}

/// The definitions as files: name and YAML of each. The committed ones under `crds/` are these.
pub fn crd_files() -> Result<Vec<(String, String)>, serde_yaml::Error> {
    let file = |crd: CustomResourceDefinition| {
        let yaml = serde_yaml::to_string(&crd)?;
        Ok((format!("{}.yaml", crd.spec.names.plural), format!("# Written by `imageshare-operator crds`.\n{yaml}")))
    };
    all_crds().into_iter().map(file).collect()
}
