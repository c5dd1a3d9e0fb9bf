//! Watch mappers: which objects to enqueue when a related object changes, and the index keys of each object.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};

use crate::api::cloud_image::NamespacesFrom;
use crate::api::{
    ChannelShare, CloudAccount, CloudImage, ImageChannel, ImageReplica, ImageShare, SharedImage, SharedImageAcceptance,
};
use crate::cluster::guard::Guarded;
use crate::planning::unreadable::names_account;
use crate::reconcile::context::Stores;
use crate::reconcile::convert::{
    account_key, accounts_named, channel_of, identity_key, image_key, image_named_by, listed_key, made_for, made_key,
    offer_key, replica_keys, shares_naming,
};
use crate::reconcile::counterparts::{is_found, owners_of, receivers_of};
use crate::reconcile::duplicates::{Duplicable, duplicates_of};
use crate::reconcile::queue::{QueueSenders, send_all};

/// What follows when an object was created, changed or deleted (`true`), once its cache holds the change.
pub(super) struct Trigger<K> {
    /// Updates the object's index keys. Returns those that it lost.
    pub(super) index: fn(&Stores, &K, bool) -> Vec<String>,
    /// Enqueues the related objects.
    pub(super) enqueue: fn(&QueueSenders, &Stores, &K, &Change),
}

/// What happened to an object besides that it may be a newer one.
#[derive(Default)]
pub(super) struct Change {
    /// It was deleted.
    pub(super) gone: bool,
    /// The index keys that it had and has no more: an edit moved it.
    pub(super) lost: Vec<String>,
}

pub(super) const ACCOUNT: Trigger<Guarded<CloudAccount>> =
    Trigger { index: |_, _, _| Vec::new(), enqueue: QueueSenders::account };

pub(super) const IMAGE: Trigger<Guarded<CloudImage>> = Trigger {
    index: |stores, image, gone| {
        let keys = |named: &CloudImage| [identity_key(named), account_key_of(image, &named.spec.account_ref.name)];
        stores.images_by_identity.update(image.readable().into_iter().flat_map(keys), image, gone)
    },
    enqueue: QueueSenders::image,
};

pub(super) const SHARE: Trigger<Guarded<ImageShare>> = Trigger {
    index: |stores, share, gone| {
        let keys = image_named_by(share).as_ref().map(image_key).into_iter().chain(made_for(share).map(made_key));
        stores.shares_by_image.update(keys, share, gone)
    },
    enqueue: QueueSenders::share,
};

pub(super) const ACCEPTANCE: Trigger<Guarded<SharedImageAcceptance>> = Trigger {
    index: |stores, found, gone| {
        let keys =
            |named: &SharedImageAcceptance| [offer_key(named), account_key_of(found, &named.spec.account_ref.name)];
        stores.acceptances_by_identity.update(found.readable().into_iter().flat_map(keys), found, gone)
    },
    enqueue: QueueSenders::acceptance,
};

pub(super) const REPLICA: Trigger<Guarded<ImageReplica>> = Trigger {
    index: |stores, replica, gone| {
        let accounts = |named: &ImageReplica| accounts_named(named, None).into_iter();
        let keys = |named: &ImageReplica| {
            replica_keys(named)
                .into_iter()
                .chain(accounts(named).map(|account| account_key_of(replica, &account)))
                .collect::<Vec<_>>()
        };
        stores.replicas_by_image.update(replica.readable().into_iter().flat_map(keys), replica, gone)
    },
    enqueue: QueueSenders::replica,
};

/// The index key of an account that an object names.
fn account_key_of(object: &impl Resource, account: &str) -> String {
    account_key(&object.namespace().unwrap_or_default(), account)
}

pub(super) const SHARED_IMAGE: Trigger<Guarded<SharedImage>> = Trigger {
    index: |stores, image, gone| stores.shared_images_by_place.update(image.readable().map(listed_key), image, gone),
    enqueue: QueueSenders::shared_image,
};

pub(super) const CHANNEL: Trigger<Guarded<ImageChannel>> =
    Trigger { index: |_, _, _| Vec::new(), enqueue: QueueSenders::channel };

pub(super) const CHANNEL_SHARE: Trigger<Guarded<ChannelShare>> =
    Trigger { index: |_, _, _| Vec::new(), enqueue: QueueSenders::channel_share };

pub(super) const NAMESPACE: Trigger<PartialObjectMeta<Namespace>> =
    Trigger { index: |_, _, _| Vec::new(), enqueue: QueueSenders::namespace };

impl QueueSenders {
    fn account(&self, stores: &Stores, account: &Guarded<CloudAccount>, _: &Change) {
        send_all(&self.images, through(account, &stores.images, stores));
        send_all(&self.acceptances, through(account, &stores.acceptances, stores));
        let replicas = naming(account, &stores.replicas, |replica, name| {
            accounts_named(replica, None).iter().any(|named| named == name) || replica.spec.source.image_ref.is_some()
        });
        send_all(&self.replicas, references(&replicas));
        let channels = naming(account, &stores.channels, |channel, name| channel.spec.account_ref.name == name);
        send_all(&self.channels, references(&channels));
    }

    fn image(&self, stores: &Stores, image: &Guarded<CloudImage>, change: &Change) {
        send_all(&self.shares, shares_of(image, stores));
        if let Some(image) = image.readable().filter(|image| is_found(image)) {
            send_all(&self.acceptances, receivers_of(image, stores));
            send_all(&self.replicas, replicas_of(&identity_key(image), stores));
        }
        let here = (image.namespace().unwrap_or_default(), image.name_any());
        send_all(&self.replicas, replicas_of(&image_key(&here), stores));
        send_all(&self.images, duplicates_of(image, stores));
        send_all(&self.accounts, accounts_left(image, change, stores));
        send_all(&self.channels, channels_of(image, stores));
    }

    fn share(&self, stores: &Stores, share: &Guarded<ImageShare>, change: &Change) {
        send_all(&self.channel_shares, makers_of(share, stores));
        let made = made_for(share).and_then(|_| image_named_by(share));
        let made = made.and_then(|(namespace, name)| stores.images.get(&ObjectRef::new(&name).within(&namespace)));
        send_all(&self.channels, made.iter().flat_map(|image| channels_of(image, stores)));
        let image = image_named_by(share).map(|(namespace, name)| ObjectRef::new(&name).within(&namespace));
        let former = change.lost.iter().filter_map(|key| key.split_once('/'));
        let former = former.map(|(namespace, name)| ObjectRef::new(name).within(namespace));
        send_all(&self.images, image.into_iter().chain(former));
    }

    fn acceptance(&self, stores: &Stores, acceptance: &Guarded<SharedImageAcceptance>, change: &Change) {
        let key = acceptance.readable().map(offer_key);
        send_all(&self.replicas, key.iter().flat_map(|key| replicas_of(key, stores)));
        send_all(&self.acceptances, duplicates_of(acceptance, stores));
        send_all(&self.images, acceptance.readable().map(|found| owners_of(found, stores)).unwrap_or_default());
        send_all(&self.accounts, accounts_left(acceptance, change, stores));
    }

    fn replica(&self, stores: &Stores, replica: &Guarded<ImageReplica>, change: &Change) {
        let made = ObjectRef::new(&replica.name_any()).within(&replica.namespace().unwrap_or_default());
        let deleting = stores.images.get(&made).filter(|image| image.meta().deletion_timestamp.is_some());
        send_all(&self.images, deleting.map(|_| made));
        // Shares of a copy that is not made yet report whether it is being made.
        send_all(&self.shares, shares_of(replica, stores));
        send_all(&self.accounts, accounts_left(replica, change, stores));
    }

    fn channel(&self, stores: &Stores, channel: &Guarded<ImageChannel>, _: &Change) {
        let here = (channel.namespace().unwrap_or_default(), channel.name_any());
        let named = stores.channel_shares.state_filter(|share| share.readable().is_some_and(|s| channel_of(s) == here));
        send_all(&self.channel_shares, references(&named));
    }

    fn channel_share(&self, _: &Stores, share: &Guarded<ChannelShare>, _: &Change) {
        let channel = share.readable().map(channel_of);
        send_all(&self.channels, channel.map(|(namespace, name)| ObjectRef::new(&name).within(&namespace)));
    }

    fn shared_image(&self, stores: &Stores, image: &Guarded<SharedImage>, _: &Change) {
        let Some(key) = image.readable().map(listed_key) else { return };
        // Only the inventory of its own namespace is an input of an object: entries elsewhere enqueue nothing.
        let namespace = image.namespace();
        send_all(&self.acceptances, same_offer(&key, stores).into_iter().filter(|found| found.namespace == namespace));
        send_all(&self.replicas, replicas_of(&key, stores).into_iter().filter(|found| found.namespace == namespace));
    }

    fn namespace(&self, stores: &Stores, namespace: &PartialObjectMeta<Namespace>, _: &Change) {
        send_all(&self.images, images_with_selectors(stores));
        let name = namespace.name_any();
        let here = stores.channel_shares.state_filter(|share| share.namespace().as_ref() == Some(&name));
        send_all(&self.channel_shares, references(&here));
    }
}

/// Objects that use an account, and the duplicates for their images: whether an account's identity is proven decides which of
/// them is active.
fn through<K: Duplicable>(
    account: &Guarded<CloudAccount>,
    store: &Store<Guarded<K>>,
    stores: &Stores,
) -> Vec<ObjectRef<Guarded<K>>>
where
    Guarded<K>: Clone,
{
    let objects = naming(account, store, |object, name| object.account_name() == name);
    let duplicates = objects.iter().flat_map(|object| duplicates_of(object, stores));
    references(&objects).into_iter().chain(duplicates).collect()
}

/// Objects in an account's namespace that name it.
fn naming<K: Resource<DynamicType = ()>>(
    account: &Guarded<CloudAccount>,
    store: &Store<Guarded<K>>,
    names: impl Fn(&K, &str) -> bool,
) -> Vec<Arc<Guarded<K>>>
where
    Guarded<K>: Clone,
{
    let (namespace, name) = (account.namespace(), account.name_any());
    let here = |object: &Guarded<K>| {
        object.namespace() == namespace && object.readable().is_some_and(|object| names(object, &name))
    };
    store.state_filter(here)
}

pub(super) fn references<K: Resource<DynamicType = ()>>(objects: &[Arc<K>]) -> Vec<ObjectRef<K>> {
    objects.iter().map(|object| ObjectRef::from_obj(object.as_ref())).collect()
}

/// The shares that name the image of this name.
fn shares_of(image: &impl Resource, stores: &Stores) -> Vec<ObjectRef<Guarded<ImageShare>>> {
    let naming = shares_naming(&image.namespace().unwrap_or_default(), &image.name_any(), stores);
    references(&naming)
}

fn replicas_of(key: &str, stores: &Stores) -> Vec<ObjectRef<Guarded<ImageReplica>>> {
    let concerned = stores.replicas_by_image.find(key, &stores.replicas);
    references(&concerned)
}

fn same_offer(key: &str, stores: &Stores) -> Vec<ObjectRef<Guarded<SharedImageAcceptance>>> {
    let same = stores.acceptances_by_identity.find(key, &stores.acceptances);
    references(&same)
}

/// The accounts of the same namespace that an object named and names no more: an account that is being deleted waits for this.
/// Unreadable objects are matched by the test that the account controller uses (`names_account`).
fn accounts_left<K: Resource<DynamicType = ()>>(
    object: &Guarded<K>,
    change: &Change,
    stores: &Stores,
) -> Vec<ObjectRef<Guarded<CloudAccount>>> {
    let namespace = object.namespace().unwrap_or_default();
    let of_an_account = account_key(&namespace, "");
    let left = change.lost.iter().filter_map(|key| key.strip_prefix(&of_an_account));
    let left = left.map(|name| ObjectRef::new(name).within(&namespace)).collect();
    match object {
        Guarded::Readable(_) => left,
        Guarded::Unreadable(_) if !change.gone => left,
        Guarded::Unreadable(left) => {
            let accounts = stores.accounts.state_filter(|account| {
                account.namespace().as_ref() == Some(&namespace)
                    && names_account(&left.spec, &left.status, &account.name_any())
            });
            references(&accounts)
        }
    }
}

/// The channels of the image's account and region: the image may be one of their versions.
fn channels_of(image: &Guarded<CloudImage>, stores: &Stores) -> Vec<ObjectRef<Guarded<ImageChannel>>> {
    let Some(image) = image.readable() else { return Vec::new() };
    let namespace = image.namespace();
    let concerned = stores.channels.state_filter(|channel| {
        let same = |channel: &ImageChannel| {
            channel.spec.account_ref == image.spec.account_ref && channel.spec.region == image.spec.region
        };
        channel.namespace() == namespace && channel.readable().is_some_and(same)
    });
    references(&concerned)
}

/// The `ChannelShare` that a share was made from.
fn makers_of(share: &Guarded<ImageShare>, stores: &Stores) -> Vec<ObjectRef<Guarded<ChannelShare>>> {
    let Some(uid) = made_for(share) else { return Vec::new() };
    let namespace = share.namespace();
    let is = |maker: &Guarded<ChannelShare>| maker.namespace() == namespace && maker.uid().as_deref() == Some(uid);
    references(&stores.channel_shares.state_filter(is))
}

fn images_with_selectors(stores: &Stores) -> Vec<ObjectRef<Guarded<CloudImage>>> {
    let choosy = stores.images.state_filter(|image| {
        image.readable().is_some_and(|i| i.spec.shareable_from.namespaces.from == NamespacesFrom::Selector)
    });
    references(&choosy)
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector::store::Writer;
    use kube::runtime::watcher::Event;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};
    use tokio::sync::mpsc::UnboundedReceiver;

    use super::*;
    use crate::controllers::run::stores;
    use crate::reconcile::convert::listed;
    use crate::reconcile::queue::queues;

    fn object<K>(name: &str, spec: &Value) -> Guarded<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        serde_json::from_value(json!({"metadata": {"namespace": "here", "name": name}, "spec": spec})).unwrap()
    }

    fn entry(account: &str) -> Guarded<SharedImage> {
        entry_in("here", account)
    }

    fn entry_in(namespace: &str, account: &str) -> Guarded<SharedImage> {
        let spec = json!({"accountRef": {"name": account}, "region": "r", "imageID": "m-1", "recipient": "we"});
        let of = json!({"metadata": {"namespace": namespace, "name": account}, "spec": spec, "status": {"state": "Pending"}});
        serde_json::from_value(of).unwrap()
    }

    fn enqueued<K: Resource<DynamicType = ()>>(mut queue: UnboundedReceiver<ObjectRef<K>>) -> Vec<String> {
        std::iter::from_fn(|| queue.try_recv().ok()).map(|object| object.name).collect()
    }

    #[test]
    fn what_an_inventory_lists_wakes_who_waits_for_it_though_it_never_saw_the_offer() {
        let (stores, _writers) = stores();
        let mut shared_images = Writer::default();
        let stores = Stores { shared_images: shared_images.as_reader(), ..stores };
        let here = |stores: &Stores| listed(("here", "partner"), "r", "m-1", stores);
        assert!(here(&stores).is_empty());
        for entry in [entry("partner"), entry("another")] {
            shared_images.apply_watcher_event(&Event::Apply(entry.clone()));
            (SHARED_IMAGE.index)(&stores, &entry, false);
        }
        assert_eq!(here(&stores), ["we Some(Pending)"]);
        shared_images.apply_watcher_event(&Event::Delete(entry("partner")));
        (SHARED_IMAGE.index)(&stores, &entry("partner"), true);
        assert!(here(&stores).is_empty());
    }

    #[test]
    fn an_entry_of_an_inventory_tells_the_acceptances_and_the_replicas_of_its_image() {
        let (stores, _writers) = stores();
        let (mut acceptances, mut replicas) = (Writer::default(), Writer::default());
        let (mine, other) = (json!({"name": "partner"}), json!({"region": "there", "name": "copy"}));
        let stores = Stores { acceptances: acceptances.as_reader(), replicas: replicas.as_reader(), ..stores };
        let received = json!({"accountRef": mine, "region": "r", "imageID": "m-1"});
        let replica: Guarded<ImageReplica> =
            object("copy", &json!({"source": {"received": received}, "destination": other}));
        let spec = json!({"accountRef": mine, "region": "r", "imageID": "m-1", "owner": "o", "decision": "Accept"});
        let acceptance: Guarded<SharedImageAcceptance> = object("answer", &spec);
        replicas.apply_watcher_event(&Event::Apply(replica.clone()));
        acceptances.apply_watcher_event(&Event::Apply(acceptance.clone()));
        (REPLICA.index)(&stores, &replica, false);
        (ACCEPTANCE.index)(&stores, &acceptance, false);
        let (senders, receivers) = queues();
        (SHARED_IMAGE.enqueue)(&senders, &stores, &entry_in("elsewhere", "partner"), &Change::default());
        (SHARED_IMAGE.enqueue)(&senders, &stores, &entry("partner"), &Change::default());
        assert_eq!(
            (enqueued(receivers.acceptances), enqueued(receivers.replicas)),
            (vec!["answer".into()], vec!["copy".into()])
        );
    }

    #[test]
    fn what_turns_to_another_object_tells_the_former_one_too() {
        let (stores, _writers) = stores();
        let (senders, receivers) = queues();
        let change = |lost| Change { gone: false, lost };
        let share = |image: &str| object("team", &json!({"imageRef": {"name": image}, "recipients": []}));
        (SHARE.index)(&stores, &share("mistyped"), false);
        let lost = (SHARE.index)(&stores, &share("golden"), false);
        (SHARE.enqueue)(&senders, &stores, &share("golden"), &change(lost));
        assert_eq!(enqueued(receivers.images), ["golden", "mistyped"]);
        let image =
            |account: &str| object("image", &json!({"accountRef": {"name": account}, "region": "r", "imageID": "i"}));
        (IMAGE.index)(&stores, &image("old"), false);
        let lost = (IMAGE.index)(&stores, &image("new"), false);
        (IMAGE.enqueue)(&senders, &stores, &image("new"), &change(lost));
        assert_eq!(enqueued(receivers.accounts), ["old"]);
    }

    #[test]
    fn an_account_is_told_of_the_end_of_what_cannot_be_read() {
        let (stores, _writers) = stores();
        let mut accounts = Writer::default();
        let stores = Stores { accounts: accounts.as_reader(), ..stores };
        for name in ["golden", "another"] {
            accounts.apply_watcher_event(&Event::Apply(object(name, &json!({"odd": true}))));
        }
        let spec = json!({"accountRef": {"name": "golden"}});
        let replica = json!({"source": {"received": {"accountRef": {"name": "golden"}}}});
        let (senders, receivers) = queues();
        let gone = Change { gone: true, lost: Vec::new() };
        (IMAGE.enqueue)(&senders, &stores, &object("image", &spec), &gone);
        (ACCEPTANCE.enqueue)(&senders, &stores, &object("acceptance", &spec), &gone);
        (REPLICA.enqueue)(&senders, &stores, &object("replica", &replica), &gone);
        (IMAGE.enqueue)(&senders, &stores, &object("changed", &spec), &Change::default());
        assert_eq!(enqueued(receivers.accounts), ["golden"; 3]);
    }
}
