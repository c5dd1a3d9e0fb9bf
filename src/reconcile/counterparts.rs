//! Owner and receiver of an image in one cluster: what the one did at the cloud is an input of the other at once, and not only
//! at its next interval. Only what a cloud confirmed counts: an image that recorded its owner, an offer that was found; and only
//! recipients that both name. So an object of another namespace can start a read of its counterpart, and nothing else.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use crate::api::cloud_account::Tenancy;
use crate::api::cloud_image::{Grant, GrantState};
use crate::api::{CloudAccount, CloudImage, SharedImageAcceptance};
use crate::cluster::guard::Guarded;
use crate::domain::identifiers::{PrincipalId, RecipientKind, RegionId};
use crate::reconcile::caches::Caches;
use crate::reconcile::context::Stores;
use crate::reconcile::convert::{identity_key, offer_key, place_key};

/// The `CloudImages` that offer the image at this place, in any namespace.
fn offering(place: &str, stores: &Stores) -> Vec<Arc<Guarded<CloudImage>>> {
    let mut found = stores.images_by_identity.find(place, &stores.images);
    found.retain(|image| image.readable().is_some_and(|image| identity_key(image) == place && is_found(image)));
    found
}

/// Whether a cloud showed the image as its account's own.
pub(crate) fn is_found(image: &CloudImage) -> bool {
    image.status.as_ref().is_some_and(|status| status.owner.is_some())
}

/// The acceptances of the image at this place, in any namespace.
fn answering(place: &str, stores: &Stores) -> Vec<Arc<Guarded<SharedImageAcceptance>>> {
    let mut found = stores.acceptances_by_identity.find(place, &stores.acceptances);
    found.retain(|acceptance| acceptance.readable().is_some_and(|acceptance| offer_key(acceptance) == place));
    found
}

/// The acceptances to enqueue after a change of an image's ledger.
pub(crate) fn receivers_of(image: &CloudImage, stores: &Stores) -> Vec<ObjectRef<Guarded<SharedImageAcceptance>>> {
    answering(&identity_key(image), stores).iter().map(|found| ObjectRef::from_obj(found.as_ref())).collect()
}

/// The images to enqueue after a change of an acceptance.
pub(crate) fn owners_of(acceptance: &SharedImageAcceptance, stores: &Stores) -> Vec<ObjectRef<Guarded<CloudImage>>> {
    let confirmed = acceptance.status.as_ref().is_some_and(|status| status.account.is_some());
    let found = if confirmed { offering(&offer_key(acceptance), stores) } else { Vec::new() };
    found.iter().map(|found| ObjectRef::from_obj(found.as_ref())).collect()
}

/// As whom an account receives images in a region, where `principal` is as whom it acts there.
pub(crate) fn ids_of(account: &CloudAccount, principal: Option<&PrincipalId>) -> BTreeSet<String> {
    let whole = account.spec.tenancy().map(Tenancy::account_id).map(ToOwned::to_owned);
    let named = account.spec.huawei.iter().flat_map(|huawei| &huawei.projects);
    let named = named.map(|project| project.project_id.clone());
    principal.map(ToString::to_string).into_iter().chain(whole).chain(named).collect()
}

impl Caches<'_> {
    /// Records what was read, if there is anything: that the owner of an image becomes known starts no reconcile by itself.
    fn record_some<T: Debug>(&self, what: &str, read: &[T]) {
        if !read.is_empty() {
            self.record(what, &read);
        }
    }

    /// Reads which grants of this cluster's images reach an account, for its part of a received image. `via`: ids through which
    /// the image came before.
    pub(crate) fn grants_to(&self, account: &CloudAccount, (region, image_id): (&str, &str), via: &BTreeSet<&str>) {
        let images = offering(&place_key(region, image_id), self.stores());
        let principal = RegionId::parse(region).ok().and_then(|region| self.principals()(account, &region));
        let ours = ids_of(account, principal.as_ref());
        // One that is being ended stays until it is read as absent: only then does the account see the end.
        let is_there = |state| matches!(state, GrantState::Granted | GrantState::Revoking);
        let reaches =
            |grant: &&Grant| is_there(grant.state) && (ours.contains(&grant.id) || via.contains(grant.id.as_str()));
        let grants = images.iter().filter_map(|image| image.readable()).flat_map(|image| {
            let grants = image.status.iter().flat_map(|status| &status.grants).filter(reaches);
            grants.map(|grant| (grant.kind, grant.id.clone(), grant.since.0)).collect::<Vec<_>>()
        });
        let mut grants: Vec<_> = grants.collect();
        grants.sort();
        self.record_some("grants", &grants);
    }

    /// Reads what this cluster's acceptances answered to the grants of an image.
    pub(crate) fn answers_to(&self, image: &CloudImage) {
        let Some(status) = image.status.as_ref().filter(|_| is_found(image)) else { return };
        let acceptances = answering(&identity_key(image), self.stores());
        let granted: BTreeSet<(RecipientKind, &str)> =
            status.grants.iter().map(|grant| (grant.kind, grant.id.as_str())).collect();
        let answers = acceptances.iter().filter_map(|found| found.readable()).flat_map(|acceptance| {
            let confirmed = acceptance.status.iter().filter(|status| status.account.is_some());
            let via = confirmed.flat_map(|status| &status.via);
            let ours = via.filter(|via| granted.contains(&(via.kind, via.id.as_str())));
            let uid = acceptance.uid();
            ours.map(|via| format!("{uid:?} {} {} {:?}", via.kind, via.id, via.answer)).collect::<Vec<_>>()
        });
        let mut answers: Vec<String> = answers.collect();
        answers.sort();
        self.record_some("answers", &answers);
    }
}
