//! What objects of a set name: whether it is there, whether its owner consents, and whether something else names the same.

use std::collections::BTreeMap;

use kube::{Resource, ResourceExt};

use super::set::{Finding, Key, Placed, Set};
use crate::api::cloud_image::{CloudImage, ShareableFrom};
use crate::api::image_share::ImageShare;
use crate::api::references::AccountRef;
use crate::api::selector::parse_selector;
use crate::domain::share::Consent;
use crate::reconcile::convert::{consent_from, image_of, owner, place_key};

/// What is wrong with the references of a set, and what cannot be known from it.
#[derive(Debug, Default)]
pub(crate) struct References {
    pub(crate) refused: Vec<Finding>,
    pub(crate) unknown: Vec<Finding>,
}

/// What a set shows to be wrong whatever else there is: selectors, and several objects for one thing.
pub(crate) fn check_alone(set: &Set) -> Vec<Finding> {
    let mut found = References::default();
    found.selectors(set);
    found.duplicates(set);
    found.refused
}

/// Checks all references.
pub(crate) fn check(set: &Set) -> References {
    let mut found = References::default();
    found.selectors(set);
    for image in &set.images {
        found.account(set, image, "spec.accountRef.name", &image.object.spec.account_ref);
    }
    for acceptance in &set.acceptances {
        found.account(set, acceptance, "spec.accountRef.name", &acceptance.object.spec.account_ref);
    }
    for replica in &set.replicas {
        let spec = &replica.object.spec;
        if let Some(received) = &spec.source.received {
            found.account(set, replica, "spec.source.received.accountRef.name", &received.account_ref);
        }
        if let Some(account) = &spec.destination.account_ref {
            found.account(set, replica, "spec.destination.accountRef.name", account);
        }
        if let Some(source) = &spec.source.image_ref {
            let key = (replica.object.namespace().unwrap_or_default(), source.name.clone());
            found.image(set, replica, "spec.source.imageRef.name", &key);
        }
    }
    for share in &set.shares {
        let key = image_of(&share.object);
        if found.image(set, share, "spec.imageRef.name", &key) {
            found.consent(set, share, &key);
        }
    }
    found.duplicates(set);
    found
}

/// What a set knows of an image's consent to a share.
pub(crate) fn consent(set: &Set, share: &Placed<ImageShare>) -> Consent {
    let key = image_of(&share.object);
    let namespace = share.object.namespace().unwrap_or_default();
    if key.0 == namespace {
        return Consent::Given;
    }
    match shareable_from(set, &key) {
        Some(from) => consent_from(&from.namespaces, || set.namespaces.get(&namespace).cloned()),
        None => Consent::Unknown,
    }
}

fn shareable_from<'a>(set: &'a Set, key: &Key) -> Option<&'a ShareableFrom> {
    let image = set.image(key).map(|image| &image.object.spec.shareable_from);
    image.or_else(|| set.replica(key).map(|replica| &replica.object.spec.shareable_from))
}

impl References {
    fn selectors(&mut self, set: &Set) {
        for image in &set.images {
            let selector = image.object.spec.shareable_from.namespaces.selector.as_ref();
            if let Some(Err(wrong)) = selector.map(parse_selector) {
                self.refused.push(image.finding("spec.shareableFrom.namespaces.selector", wrong));
            }
        }
    }

    fn account<K: Resource<DynamicType = ()>>(
        &mut self,
        set: &Set,
        from: &Placed<K>,
        field: &str,
        account: &AccountRef,
    ) {
        let key = (from.object.namespace().unwrap_or_default(), account.name.clone());
        if !set.accounts.contains_key(&key) && !set.refuses("CloudAccount", &key) {
            let message = format!("the CloudAccount {}/{} is not in the set", key.0, key.1);
            self.unknown.push(from.finding(field, message));
        }
    }

    /// Whether the image is in the set.
    fn image<K: Resource<DynamicType = ()>>(&mut self, set: &Set, from: &Placed<K>, field: &str, key: &Key) -> bool {
        let is_there = set.image(key).is_some() || set.replica(key).is_some();
        let is_refused = || set.refuses("CloudImage", key) || set.refuses("ImageReplica", key);
        if !is_there && !is_refused() {
            let message = format!("the CloudImage {}/{} is not in the set", key.0, key.1);
            self.unknown.push(from.finding(field, message));
        }
        is_there
    }

    fn consent(&mut self, set: &Set, share: &Placed<ImageShare>, (namespace, name): &Key) {
        let own = share.object.namespace().unwrap_or_default();
        let field = "spec.imageRef.namespace";
        match consent(set, share) {
            Consent::Given => {}
            Consent::Withheld => {
                let message = format!(
                    "the CloudImage {namespace}/{name} does not admit the namespace {own}: its spec.shareableFrom must, or \
                     the ImageShare belongs into {namespace}"
                );
                self.refused.push(share.finding(field, message));
            }
            Consent::Unknown => {
                let message = format!(
                    "the CloudImage {namespace}/{name} admits namespaces by their labels, and those of {own} are not in \
                     the set"
                );
                self.unknown.push(share.finding(field, message));
            }
        }
    }

    /// Several objects for one image of a cloud, or for one offer: only one of them acts.
    fn duplicates(&mut self, set: &Set) {
        let mut images = BTreeMap::new();
        for image in &set.images {
            let identity = (identity(set, image), place_key(&image.object.spec.region, &image.object.spec.image_id));
            self.once(&mut images, identity, image, "spec.imageID", "names the same image of the cloud");
        }
        let mut offers = BTreeMap::new();
        for acceptance in &set.acceptances {
            let spec = &acceptance.object.spec;
            let account = (acceptance.object.namespace(), spec.account_ref.name.clone());
            let identity = (account, place_key(&spec.region, &spec.image_id));
            self.once(&mut offers, identity, acceptance, "spec.imageID", "answers the same offer");
        }
    }

    fn once<I: Ord, K: Resource<DynamicType = ()>>(
        &mut self,
        seen: &mut BTreeMap<I, String>,
        identity: I,
        object: &Placed<K>,
        field: &str,
        does: &str,
    ) {
        if let Some(first) = seen.get(&identity) {
            let message = format!("{first} {does}, and only one of them acts: remove one");
            self.refused.push(object.finding(field, message));
            return;
        }
        let (namespace, name) = object.key();
        seen.insert(identity, format!("the {} {namespace}/{name}", K::kind(&())));
    }
}

/// Whose image it is: as the account says, or else which account is named.
fn identity(set: &Set, image: &Placed<CloudImage>) -> String {
    let key = (image.object.namespace().unwrap_or_default(), image.object.spec.account_ref.name.clone());
    set.accounts.get(&key).map_or_else(|| format!("{}/{}", key.0, key.1), |account| owner(&account.object))
}
