//! Whom a change concerns: which objects of other kinds are looked at when one comes, changes or goes.

use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::context::Stores;
use super::convert::{identity_key, image_key, image_named_by, offer_key, shares_naming};
use crate::api::cloud_image::NamespacesFrom;
use crate::api::{CloudAccount, CloudImage, ImageShare, SharedImage, SharedImageAcceptance};
use crate::cluster::guard::Guarded;

/// One queue for each controller, of objects to look at. Unbounded, but drained at once into the controller's scheduler,
/// which keeps each object once.
#[derive(Clone)]
pub(super) struct Bells {
    pub(super) accounts: UnboundedSender<ObjectRef<Guarded<CloudAccount>>>,
    pub(super) images: UnboundedSender<ObjectRef<Guarded<CloudImage>>>,
    pub(super) shares: UnboundedSender<ObjectRef<Guarded<ImageShare>>>,
    pub(super) acceptances: UnboundedSender<ObjectRef<Guarded<SharedImageAcceptance>>>,
}

/// The other ends of the queues.
pub(super) struct Told {
    pub(super) accounts: UnboundedReceiver<ObjectRef<Guarded<CloudAccount>>>,
    pub(super) images: UnboundedReceiver<ObjectRef<Guarded<CloudImage>>>,
    pub(super) shares: UnboundedReceiver<ObjectRef<Guarded<ImageShare>>>,
    pub(super) acceptances: UnboundedReceiver<ObjectRef<Guarded<SharedImageAcceptance>>>,
}

/// Makes the queues.
pub(super) fn bells() -> (Bells, Told) {
    let (tell_accounts, accounts) = unbounded_channel();
    let (tell_images, images) = unbounded_channel();
    let (tell_shares, shares) = unbounded_channel();
    let (tell_acceptances, acceptances) = unbounded_channel();
    let bells =
        Bells { accounts: tell_accounts, images: tell_images, shares: tell_shares, acceptances: tell_acceptances };
    (bells, Told { accounts, images, shares, acceptances })
}

impl Bells {
    /// Binds what one of the methods below does to these queues and caches.
    pub(super) fn hear<K: 'static>(
        &self,
        stores: &Stores,
        concern: fn(&Self, &Stores, &K, bool),
    ) -> impl Fn(&K, bool) + Send + use<K> + 'static {
        let (bells, stores) = (self.clone(), stores.clone());
        move |object: &K, gone| concern(&bells, &stores, object, gone)
    }

    pub(super) fn account(&self, stores: &Stores, account: &Guarded<CloudAccount>, _gone: bool) {
        send_all(&self.images, images_of(account, stores));
        send_all(&self.acceptances, acceptances_of(account, stores));
    }

    pub(super) fn image(&self, stores: &Stores, image: &Guarded<CloudImage>, gone: bool) {
        if let Some(key) = image.readable().map(identity_key) {
            stores.images_by_identity.note(key, image, gone);
        }
        send_all(&self.shares, shares_of(image, stores));
        if gone {
            send_all(&self.images, namesakes(image, stores));
            send_all(&self.accounts, account_named(image, |image| &image.spec.account_ref.name));
        }
    }

    pub(super) fn share(&self, stores: &Stores, share: &Guarded<ImageShare>, gone: bool) {
        let Some(image) = image_named_by(share) else { return };
        stores.shares_by_image.note(image_key(&image), share, gone);
        send_all(&self.images, [ObjectRef::new(&image.1).within(&image.0)]);
    }

    pub(super) fn acceptance(&self, stores: &Stores, acceptance: &Guarded<SharedImageAcceptance>, gone: bool) {
        let Some(readable) = acceptance.readable() else { return };
        stores.acceptances_by_identity.note(offer_key(readable), acceptance, gone);
        if gone {
            send_all(&self.acceptances, same_offer(&offer_key(readable), stores));
            send_all(&self.accounts, account_named(acceptance, |acceptance| &acceptance.spec.account_ref.name));
        }
    }

    pub(super) fn shared_image(&self, stores: &Stores, image: &Guarded<SharedImage>, _gone: bool) {
        let Some(image) = image.readable() else { return };
        send_all(&self.acceptances, same_offer(&format!("{}/{}", image.spec.region, image.spec.image_id), stores));
    }

    pub(super) fn namespace(&self, stores: &Stores, _namespace: &PartialObjectMeta<Namespace>, _gone: bool) {
        send_all(&self.images, images_with_selectors(stores));
    }
}

pub(super) fn send_all<K: Resource<DynamicType = ()>>(
    to: &UnboundedSender<ObjectRef<K>>,
    objects: impl IntoIterator<Item = ObjectRef<K>>,
) {
    for object in objects {
        if to.send(object).is_err() {
            return; // Its controller has stopped: so will this one.
        }
    }
}

fn images_of(account: &Guarded<CloudAccount>, stores: &Stores) -> Vec<ObjectRef<Guarded<CloudImage>>> {
    let (namespace, name) = (account.namespace(), account.name_any());
    let of = |image: &Guarded<CloudImage>| {
        image.namespace() == namespace && image.readable().is_some_and(|i| i.spec.account_ref.name == name)
    };
    stores.images.state_filter(of).iter().map(|image| ObjectRef::from_obj(image.as_ref())).collect()
}

fn shares_of(image: &Guarded<CloudImage>, stores: &Stores) -> Vec<ObjectRef<Guarded<ImageShare>>> {
    let naming = shares_naming(&image.namespace().unwrap_or_default(), &image.name_any(), stores);
    naming.iter().map(|share| ObjectRef::from_obj(share.as_ref())).collect()
}

fn namesakes(gone: &Guarded<CloudImage>, stores: &Stores) -> Vec<ObjectRef<Guarded<CloudImage>>> {
    let Some(gone) = gone.readable() else { return Vec::new() };
    let same = stores.images_by_identity.find(&identity_key(gone), &stores.images);
    same.iter().map(|image| ObjectRef::from_obj(image.as_ref())).collect()
}

fn acceptances_of(account: &Guarded<CloudAccount>, stores: &Stores) -> Vec<ObjectRef<Guarded<SharedImageAcceptance>>> {
    let (namespace, name) = (account.namespace(), account.name_any());
    let of = |acceptance: &Guarded<SharedImageAcceptance>| {
        acceptance.namespace() == namespace && acceptance.readable().is_some_and(|a| a.spec.account_ref.name == name)
    };
    stores.acceptances.state_filter(of).iter().map(|found| ObjectRef::from_obj(found.as_ref())).collect()
}

fn same_offer(key: &str, stores: &Stores) -> Vec<ObjectRef<Guarded<SharedImageAcceptance>>> {
    let same = stores.acceptances_by_identity.find(key, &stores.acceptances);
    same.iter().map(|acceptance| ObjectRef::from_obj(acceptance.as_ref())).collect()
}

/// The account that an object of the same namespace names.
fn account_named<K: Resource<DynamicType = ()>>(
    object: &Guarded<K>,
    name: impl Fn(&K) -> &String,
) -> Option<ObjectRef<Guarded<CloudAccount>>> {
    Some(ObjectRef::new(name(object.readable()?)).within(&object.meta().namespace.clone()?))
}

fn images_with_selectors(stores: &Stores) -> Vec<ObjectRef<Guarded<CloudImage>>> {
    let choosy = stores.images.state_filter(|image| {
        image.readable().is_some_and(|i| i.spec.shareable_from.namespaces.from == NamespacesFrom::Selector)
    });
    choosy.iter().map(|image| ObjectRef::from_obj(image.as_ref())).collect()
}
