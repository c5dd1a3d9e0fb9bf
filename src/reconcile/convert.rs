//! Converts objects into the planner's types: everything is parsed at the boundary, and nothing is decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::SelectorExt;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

use crate::api::channel_share::ChannelShare;
use crate::api::cloud_image::{CloudImage, NamespacesFrom, RetainPolicy, ShareableFrom, ShareableNamespaces};
use crate::api::conditions::{READY, Reason, find};
use crate::api::expiration::Expiration;
use crate::api::image_replica::{CopySource, CopyState};
use crate::api::image_share::{ImageShare, ShareDeletionPolicy, SpecRecipient};
use crate::api::limits::REQUEST_CHARS_MAX;
use crate::api::selector::parse_selector;
use crate::api::{CHANNEL_SHARE_LABEL, CloudAccount, ImageReplica, SharedImage, SharedImageAcceptance};
use crate::clouds::endpoint_rule::AllowedEndpoints;
use crate::cluster::finalizers::is_held;
use crate::cluster::guard::Guarded;
use crate::domain::identifiers::RegionId;
use crate::domain::share::{AskedRecipient, Consent, Finalizer, Share};
use crate::planning::desired::Terms;
use crate::planning::problem::Problem;
use crate::planning::unreadable;
use crate::reconcile::context::Stores;

/// The terms of an account and an image's region. The caller adds the region's principal once it is known.
pub fn terms(account: &CloudAccount, region: &str) -> Result<Terms, Problem> {
    let unreadable = |message: String| Problem::blocked(Reason::Unreadable, message);
    let tenancy = account.spec.tenancy().ok_or_else(|| unreadable("the CloudAccount names no provider".into()))?;
    let provider = tenancy.provider();
    let id = provider.parse_account(tenancy.account_id()).map_err(|e| unreadable(format!("CloudAccount: {e}")))?;
    let region = RegionId::parse(region).map_err(|e| unreadable(format!("spec.region: {e}")))?;
    let rules = provider.rules();
    let limits = account.spec.limits.clone().unwrap_or_default();
    let sites: BTreeMap<_, BTreeSet<String>> =
        account.spec.sites.iter().map(|s| (s.site, s.regions.iter().cloned().collect())).collect();
    Ok(Terms {
        provider,
        ourselves: BTreeSet::from([id]),
        site: tenancy.site(),
        region,
        sites,
        recipients_per_image: limits.recipients_per_image.unwrap_or(rules.recipients_per_image),
        recipients_per_full_server_image: limits
            .recipients_per_full_server_image
            .unwrap_or(rules.recipients_per_full_server_image),
    })
}

/// The key by which an object of a namespace is found that names an account. No place and no image has such a key.
pub(crate) fn account_key(namespace: &str, account: &str) -> String {
    format!("account:{namespace}/{account}")
}

/// When an object was created.
pub(crate) fn created_at<K: Resource>(object: &K) -> Option<Timestamp> {
    object.meta().creation_timestamp.as_ref().map(|time| time.0)
}

/// Whether an account has never been reconciled: its first reconcile determines whether the operator may call it.
pub fn is_unseen(account: &CloudAccount) -> bool {
    ready_of(account).is_none()
}

/// The `Ready` condition of an account.
pub fn ready_of(account: &CloudAccount) -> Option<&Condition> {
    find(&account.status.as_ref()?.conditions, READY)
}

/// Whether the account's credentials are proven and have not been refused for so long that another object may take over. Older
/// versions recorded this in the conditions alone.
pub fn is_proven(account: &CloudAccount) -> bool {
    let Some(status) = &account.status else { return false };
    let verified = || {
        let id = account.spec.tenancy().map(|tenancy| tenancy.account_id().to_owned());
        let of_this = status.account == id && status.observed_generation == account.metadata.generation;
        of_this && status.refused_since.is_none() && ready_of(account).is_some_and(|ready| ready.status == "True")
    };
    status.identity.as_ref().map_or_else(verified, |identity| *identity == owner(account))
}

/// The owner of an account's images, without the project that a region's images may belong to.
pub fn owner(account: &CloudAccount) -> String {
    match account.spec.tenancy() {
        Some(tenancy) => {
            // Two clouds may use one id; the vendor's own hosts are all one cloud.
            let vendors = AllowedEndpoints::default();
            let other = |at: &&str| vendors.check_regional_service(tenancy.provider(), at).is_err();
            let services = tenancy.service_endpoints().into_iter().filter(other);
            let at = tenancy.endpoint().into_iter().chain(services).flat_map(|at| [" at ", at]).collect::<String>();
            let what = tenancy.provider().owner_word();
            format!("{} {what} {}{at}", tenancy.provider(), tenancy.account_id())
        }
        None => "nobody".to_owned(),
    }
}

/// Namespace and name of the image that a share names.
pub fn image_of(share: &ImageShare) -> (String, String) {
    let reference = &share.spec.image_ref;
    (reference.namespace.clone().or_else(|| share.namespace()).unwrap_or_default(), reference.name.clone())
}

/// Namespace and name of the image that a share names, even if the share cannot be read.
pub fn image_named_by(share: &Guarded<ImageShare>) -> Option<(String, String)> {
    let own = share.namespace()?;
    match share {
        Guarded::Readable(share) => Some(image_of(share)),
        Guarded::Unreadable(left) => {
            let reference = left.spec.get("imageRef")?;
            let namespace = reference.get("namespace").and_then(|v| v.as_str()).map_or(own, ToOwned::to_owned);
            Some((namespace, reference.get("name")?.as_str()?.to_owned()))
        }
    }
}

/// Namespace and name of the channel that a share of a channel names.
pub fn channel_of(share: &ChannelShare) -> (String, String) {
    let reference = &share.spec.channel_ref;
    (reference.namespace.clone().or_else(|| share.namespace()).unwrap_or_default(), reference.name.clone())
}

/// The uid of the `ChannelShare` that a share was made from.
pub fn made_for(share: &Guarded<ImageShare>) -> Option<&str> {
    share.labels().get(CHANNEL_SHARE_LABEL).map(String::as_str)
}

/// The key by which the shares are found that were made from a `ChannelShare`. No image has such a key.
pub fn made_key(uid: &str) -> String {
    format!("made-for:{uid}")
}

/// The shares that name an image, from the cache.
pub fn shares_naming(namespace: &str, name: &str, stores: &Stores) -> Vec<Arc<Guarded<ImageShare>>> {
    let here = (namespace.to_owned(), name.to_owned());
    let mut shares = stores.shares_by_image.find(&image_key(&here), &stores.shares);
    shares.retain(|share| image_named_by(share).as_ref() == Some(&here));
    shares
}

/// Key of the index of shares.
pub fn image_key((namespace, name): &(String, String)) -> String {
    format!("{namespace}/{name}")
}

/// Region and id of an image at a cloud, without its owner.
pub fn place_key(region: &str, image_id: &str) -> String {
    format!("{region}/{image_id}")
}

/// Key of the index of images: region and id at the cloud.
pub fn identity_key(image: &CloudImage) -> String {
    place_key(&image.spec.region, &image.spec.image_id)
}

/// Key of the index of acceptances: region and id of the offered image.
pub fn offer_key(acceptance: &SharedImageAcceptance) -> String {
    place_key(&acceptance.spec.region, &acceptance.spec.image_id)
}

/// Keys of the index of replicas: the `CloudImages` of its own name and its source; region and id of a received source.
pub fn replica_keys(replica: &ImageReplica) -> Vec<String> {
    let namespace = replica.namespace().unwrap_or_default();
    let named = replica.spec.source.image_ref.iter().map(|source| source.name.clone()).chain([replica.name_any()]);
    let received = replica.spec.source.received.iter().map(|source| place_key(&source.region, &source.image_id));
    named.map(|name| image_key(&(namespace.clone(), name))).chain(received).collect()
}

/// Key of the index of inventory entries: region and id of the image.
pub fn listed_key(image: &SharedImage) -> String {
    place_key(&image.spec.region, &image.spec.image_id)
}

/// The entries for a received image in an account's inventory, if it has one: each recipient and the state of its offer.
pub fn listed(account: (&str, &str), region: &str, image_id: &str, stores: &Stores) -> Vec<String> {
    let (namespace, name) = account;
    let key = place_key(region, image_id);
    let found = stores.shared_images_by_place.find(&key, &stores.shared_images);
    let ours = found.iter().filter_map(|found| found.readable()).filter(|image| {
        image.namespace().as_deref() == Some(namespace)
            && image.spec.account_ref.name == name
            && listed_key(image) == key
    });
    let states = ours.filter_map(|image| Some(format!("{} {:?}", image.spec.recipient, image.status.as_ref()?.state)));
    states.collect()
}

/// Why it is unknown which namespaces an image's selector selects.
pub fn selector_problem(image: &CloudImage) -> Option<Problem> {
    let from = &image.spec.shareable_from.namespaces;
    let wrong = match (from.from, &from.selector) {
        (NamespacesFrom::Same | NamespacesFrom::All, _) => return None,
        (NamespacesFrom::Selector, None) => "there is none".to_owned(),
        (NamespacesFrom::Selector, Some(selector)) => parse_selector(selector).err()?,
    };
    let message = format!(
        "spec.shareableFrom.namespaces.selector: {wrong}: until it is mended nothing is granted to other namespaces and \
         nothing is taken from them"
    );
    Some(Problem::blocked(Reason::SelectorInvalid, message))
}

/// Whether the image's owner lets a namespace share it.
pub fn consent(image: &CloudImage, namespace: &str, stores: &Stores) -> Consent {
    consent_to(&image.spec.shareable_from, &image.namespace().unwrap_or_default(), namespace, stores)
}

/// Whether the owner of something in namespace `own` lets a namespace use it.
pub fn consent_to(shareable_from: &ShareableFrom, own: &str, namespace: &str, stores: &Stores) -> Consent {
    if own == namespace {
        return Consent::Given;
    }
    consent_from(&shareable_from.namespaces, || {
        let found = stores.namespaces.get(&ObjectRef::new(namespace))?;
        Some(found.metadata.labels.clone().unwrap_or_default())
    })
}

/// Whether an owner consents to another namespace than the image's; `labels` are that namespace's, `None` if they are not
/// known.
pub fn consent_from(from: &ShareableNamespaces, labels: impl FnOnce() -> Option<BTreeMap<String, String>>) -> Consent {
    match (from.from, &from.selector) {
        (NamespacesFrom::Same, _) => Consent::Withheld,
        (NamespacesFrom::All, _) => Consent::Given,
        (NamespacesFrom::Selector, None) => Consent::Unknown,
        (NamespacesFrom::Selector, Some(selector)) => {
            let Ok(selector) = parse_selector(selector) else { return Consent::Unknown };
            match labels() {
                Some(labels) if selector.matches(&labels) => Consent::Given,
                Some(_) => Consent::Withheld,
                None => Consent::Unknown,
            }
        }
    }
}

/// The shares of one image, except those that are being deleted and lack our finalizer.
pub fn shares_of<'a>(
    image: &CloudImage,
    all: impl IntoIterator<Item = &'a Guarded<ImageShare>>,
    stores: &Stores,
) -> Vec<Share> {
    let here = (image.namespace().unwrap_or_default(), image.name_any());
    let concerns = |share: &&Guarded<ImageShare>| {
        image_named_by(share).as_ref() == Some(&here) && (is_held(*share) || share.meta().deletion_timestamp.is_none())
    };
    let mut shares: Vec<Share> = all.into_iter().filter(concerns).map(|share| to_share(image, share, stores)).collect();
    shares.sort_by(|a, b| a.uid.cmp(&b.uid));
    shares
}

/// Whether the image's owner lets a share retain its access at the cloud on deletion.
pub fn may_retain(image: &CloudImage, share: &Guarded<ImageShare>) -> bool {
    image.namespace() == share.namespace() || image.spec.shareable_from.retain == RetainPolicy::Allow
}

fn to_share(image: &CloudImage, share: &Guarded<ImageShare>, stores: &Stores) -> Share {
    let consent = consent(image, &share.namespace().unwrap_or_default(), stores);
    share_under(image, share, consent)
}

/// A share of an image as planner input, under the consent that the caller read.
pub fn share_under(image: &CloudImage, share: &Guarded<ImageShare>, consent: Consent) -> Share {
    let meta = share.meta();
    let namespace = share.namespace().unwrap_or_default();
    let Asked { suspended, expires, retain, recipients } = asked(share);
    Share {
        uid: share.uid().unwrap_or_default(),
        consent,
        namespace,
        name: share.name_any(),
        generation: meta.generation.unwrap_or_default(),
        created: meta.creation_timestamp.as_ref().map_or(Timestamp::MAX, |t| t.0),
        deleting: meta.deletion_timestamp.is_some(),
        suspended,
        requested: requested_at(share).map(|at| at.chars().take(REQUEST_CHARS_MAX).collect()),
        finalizer: if is_held(share) { Finalizer::Carried } else { Finalizer::Missing },
        expires,
        retain: retain && planted!("retain-from-elsewhere", may_retain(image, share), true),
        recipients,
    }
}

/// A recipient as its share names it.
pub fn asked_recipient(recipient: &SpecRecipient) -> AskedRecipient {
    AskedRecipient {
        kind: recipient.kind,
        id: recipient.id.clone(),
        site: recipient.site,
        name: recipient.shown_name(),
        copyable: recipient.copyable,
    }
}

/// The request in a share's spec.
struct Asked {
    suspended: bool,
    expires: Option<Timestamp>,
    retain: bool,
    recipients: Vec<AskedRecipient>,
}

/// An unreadable spec suspends its share: the recipients that it names keep their access, and no others are affected.
fn asked(share: &Guarded<ImageShare>) -> Asked {
    match share {
        Guarded::Readable(share) => {
            let spec = &share.spec;
            let expiration = spec.expiration_time.as_ref();
            Asked {
                suspended: spec.suspend
                    || planted!("odd-date-counts-as-none", expiration.is_some_and(|end| end.odd().is_some()), false),
                expires: expiration.and_then(Expiration::at),
                retain: spec.deletion_policy == ShareDeletionPolicy::Retain,
                recipients: spec.recipients.iter().map(asked_recipient).collect(),
            }
        }
        Guarded::Unreadable(left) => Asked {
            suspended: true,
            expires: None,
            retain: left.spec.get("deletionPolicy").is_some_and(|policy| policy == "Retain"),
            recipients: planted!("unreadable-share-ignored", unreadable::recipients(&left.spec), Vec::new()),
        },
    }
}

/// The value of the annotation that forces a reconcile.
pub fn requested_at<K: kube::Resource>(object: &K) -> Option<String> {
    object.annotations().get(crate::api::RECONCILE_REQUESTED_AT).map(|value| value.chars().take(256).collect())
}

/// The accounts that a replica uses: those in its spec, and those of the copy that it began.
pub(crate) fn accounts_named(replica: &ImageReplica, source: Option<&CopySource>) -> Vec<String> {
    let spec = &replica.spec;
    // Nothing is left of a failed attempt, and its accounts may have been corrected.
    let copy = replica.status.as_ref().and_then(|status| status.copy.as_ref());
    let copy = copy.filter(|copy| copy.state != CopyState::Failed);
    let to = copy.and_then(|copy| copy.destination.as_ref()?.account_ref.as_ref());
    let all = [
        spec.destination.account_ref.as_ref().map(|account| account.name.clone()),
        spec.source.received.as_ref().map(|received| received.account_ref.name.clone()),
        source.map(|source| source.account.clone()),
        copy.map(|copy| copy.source.account.clone()),
        to.map(|account| account.name.clone()),
    ];
    let mut names: Vec<String> = all.into_iter().flatten().collect();
    names.sort();
    names.dedup();
    names
}
