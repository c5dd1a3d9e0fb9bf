//! What a cluster holds around a set: the images that it touches, with their accounts, all their shares and the labels of
//! namespaces, each as it would be once the set was applied.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;
use serde_json::Value;

use super::dry_run::{Change, NAMESPACE};
use super::set::Key;
use crate::api::cloud_image::{CloudImage, NamespacesFrom};
use crate::api::{CloudAccount, ImageShare};
use crate::cli::CliError;
use crate::cli::reader::{Found, Kind, Reader};
use crate::cluster::guard::Guarded;
use crate::reconcile::convert::image_named_by;

/// An image that a set touches, and what its plan depends on.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) key: Key,
    pub(crate) image: Found<CloudImage>,
    /// Of the image's spec; `Absent` where there is no image.
    pub(crate) account: Found<CloudAccount>,
    /// All that name the image.
    pub(crate) shares: Vec<Guarded<ImageShare>>,
    /// Labels of the shares' namespaces, as far as they are known.
    pub(crate) labels: BTreeMap<String, BTreeMap<String, String>>,
}

/// The objects of a set as they would be.
struct Overlay<'a> {
    changes: &'a [Change],
}

impl Overlay<'_> {
    fn of(&self, kind: &str, key: &Key) -> Option<&Change> {
        self.changes.iter().find(|change| change.kind == kind && change.key == *key)
    }

    /// The object as it would be: of the set, or else of the cluster.
    async fn get<K: Kind>(&self, reader: &mut Reader, kind: &str, key: &Key) -> Result<Found<K>, CliError> {
        match self.of(kind, key) {
            Some(change) => Ok(match &change.after {
                Some(after) => Found::There(Box::new(read(after)?)),
                None => Found::Absent,
            }),
            None => reader.get(&key.0, &key.1).await,
        }
    }
}

fn read<K: Kind>(value: &Value) -> Result<Guarded<K>, CliError> {
    serde_json::from_value(value.clone()).map_err(|error| CliError::Output(error.to_string()))
}

/// Reads everything that the plans of the touched images depend on. Rights that are missing are recorded with the reader.
///
/// # Errors
///
/// An API server that does not answer.
pub(crate) async fn observe(reader: &mut Reader, changes: &[Change]) -> Result<Vec<Subject>, CliError> {
    let overlay = Overlay { changes };
    let mut labels = BTreeMap::new();
    let mut subjects = Vec::new();
    for key in touched(reader, changes).await? {
        let image: Found<CloudImage> = overlay.get(reader, "CloudImage", &key).await?;
        let named = match &image {
            Found::There(image) => image.readable().map(|image| image.spec.account_ref.name.clone()),
            Found::Absent | Found::Hidden => None,
        };
        let account = match named {
            Some(name) => overlay.get(reader, "CloudAccount", &(key.0.clone(), name)).await?,
            None => Found::Absent,
        };
        let shares = shares_of(reader, &overlay, &key, &image).await?;
        let foreign: BTreeSet<String> = shares.iter().filter_map(ResourceExt::namespace).collect();
        let chosen = |from: NamespacesFrom| from == NamespacesFrom::Selector;
        if is_shareable(&image, chosen) {
            for namespace in foreign.iter().filter(|namespace| **namespace != key.0) {
                if !labels.contains_key(namespace) {
                    labels.insert(namespace.clone(), labels_of(reader, &overlay, namespace).await?);
                }
            }
        }
        let known = |namespace: &String| Some((namespace.clone(), labels.get(namespace).cloned()??));
        let labels = foreign.iter().filter_map(known).collect();
        subjects.push(Subject { key, image, account, shares, labels });
    }
    Ok(subjects)
}

/// The images whose plan the set may change.
async fn touched(reader: &mut Reader, changes: &[Change]) -> Result<BTreeSet<Key>, CliError> {
    let mut keys = BTreeSet::new();
    for change in changes {
        match change.kind.as_str() {
            "CloudImage" => drop(keys.insert(change.key.clone())),
            "ImageShare" => {
                for object in [&change.before, &change.after].into_iter().flatten() {
                    keys.extend(image_named_by(&read::<ImageShare>(object)?));
                }
            }
            "CloudAccount" => {
                let selector = format!("spec.accountRef.name={}", change.key.1);
                let images = reader.list_where::<CloudImage>(Some(&change.key.0), &selector).await?;
                let images = images.unwrap_or_default();
                keys.extend(images.iter().map(|image| (image.namespace().unwrap_or_default(), image.name_any())));
            }
            NAMESPACE if change.before.is_some() && change.is_change() => {
                let shares = reader.list_where::<ImageShare>(Some(&change.key.1), "").await?;
                keys.extend(shares.unwrap_or_default().iter().filter_map(image_named_by));
            }
            _ => {}
        }
    }
    Ok(keys)
}

/// Whether an image is shareable from other namespaces in a way.
fn is_shareable(image: &Found<CloudImage>, way: impl Fn(NamespacesFrom) -> bool) -> bool {
    match image {
        Found::There(image) => image.readable().is_none_or(|image| way(image.spec.shareable_from.namespaces.from)),
        Found::Absent | Found::Hidden => false,
    }
}

/// The shares that would name an image.
async fn shares_of(
    reader: &mut Reader,
    overlay: &Overlay<'_>,
    key: &Key,
    image: &Found<CloudImage>,
) -> Result<Vec<Guarded<ImageShare>>, CliError> {
    let mut shares: BTreeMap<Key, Guarded<ImageShare>> = BTreeMap::new();
    let of = |share: &Guarded<ImageShare>| (share.namespace().unwrap_or_default(), share.name_any());
    for share in listed_shares(reader, overlay, key, image).await? {
        shares.insert(of(&share), share);
    }
    for change in overlay.changes.iter().filter(|change| change.kind == "ImageShare") {
        shares.remove(&change.key);
        if let Some(after) = &change.after {
            shares.insert(change.key.clone(), read(after)?);
        }
    }
    Ok(shares.into_values().filter(|share| image_named_by(share).as_ref() == Some(key)).collect())
}

/// The shares of the cluster that name an image: of its own namespace alone where no other one can matter.
async fn listed_shares(
    reader: &mut Reader,
    overlay: &Overlay<'_>,
    key: &Key,
    image: &Found<CloudImage>,
) -> Result<Vec<Guarded<ImageShare>>, CliError> {
    let selector = format!("spec.imageRef.name={}", key.1);
    let mut namespaces = BTreeSet::from([key.0.clone()]);
    if let Found::There(image) = image
        && let Some(status) = image.readable().and_then(|image| image.status.as_ref())
    {
        namespaces.extend(status.shares.iter().map(|share| share.namespace.clone()));
    }
    let of_set = overlay.changes.iter().filter(|change| change.kind == "ImageShare");
    namespaces.extend(of_set.map(|change| change.key.0.clone()));
    let from_others = |from: NamespacesFrom| from != NamespacesFrom::Same;
    // Of an image that is not there or hidden, nothing follows but what the set itself says.
    if is_shareable(image, from_others)
        && let Some(all) = reader.list_where(None, &selector).await?
    {
        return Ok(all);
    }
    let mut shares = Vec::new();
    for namespace in namespaces {
        shares.append(&mut reader.list_where(Some(&namespace), &selector).await?.unwrap_or_default());
    }
    Ok(shares)
}

async fn labels_of(
    reader: &mut Reader,
    overlay: &Overlay<'_>,
    namespace: &str,
) -> Result<Option<BTreeMap<String, String>>, CliError> {
    let key = (String::new(), namespace.to_owned());
    let Some(after) = overlay.of(NAMESPACE, &key).and_then(|change| change.after.as_ref()) else {
        return reader.labels_of(namespace).await;
    };
    let labels = after.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    Ok(Some(labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()))
}
