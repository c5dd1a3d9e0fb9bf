//! The caches, as one reconcile reads them. Each read becomes a part of the input fingerprint, so that a reconcile cannot depend
//! on an object whose change starts none: `Reconcile::observe` has no other way to the caches.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

use crate::api::conditions::{DELETABLE, STALLED, find};
use crate::api::image_replica::ReplicaDeletionPolicy;
use crate::api::{CloudAccount, CloudImage, ImageChannel, ImageReplica, ImageShare};
use crate::cluster::guard::Guarded;
use crate::domain::identifiers::{PrincipalId, RecipientKind, RegionId};
use crate::domain::share::Share;
use crate::reconcile::access::NoAccount;
use crate::reconcile::context::{Context, Stores};
use crate::reconcile::convert::{listed, offer_key, place_key, ready_of, requested_at, shares_naming, shares_of};
use crate::reconcile::object_state::Inputs;
use crate::reconcile::status::conditions_of;

/// What an object that depends on another one depends on: its identity, the generation of its spec, and its deletion.
fn version_of<K: Resource>(object: &K) -> (Option<String>, Option<i64>, bool) {
    let meta = object.meta();
    (meta.uid.clone(), meta.generation, meta.deletion_timestamp.is_some())
}

/// As whom an account acts in a region, as far as its proven credentials show.
pub(crate) type Principals<'a> = &'a dyn Fn(&CloudAccount, &RegionId) -> Option<PrincipalId>;

/// The caches of one reconcile, and what it read from them so far.
pub(crate) struct Caches<'a> {
    stores: &'a Stores,
    principals: Principals<'a>,
    now: Timestamp,
    read: RefCell<Vec<String>>,
}

impl<'a> Caches<'a> {
    /// Begins with the reconciled object itself, at this time.
    pub(crate) fn new<K: Resource>(stores: &'a Stores, principals: Principals<'a>, now: Timestamp, object: &K) -> Self {
        let caches = Self { stores, principals, now, read: RefCell::default() };
        caches.record("self", &(version_of(object), requested_at(object)));
        caches
    }

    /// The input fingerprint: all that was read.
    pub(crate) fn into_inputs(self) -> Inputs {
        Inputs(self.read.into_inner())
    }

    /// The caches themselves, for reads that record themselves.
    pub(super) fn stores(&self) -> &'a Stores {
        self.stores
    }

    /// As whom accounts act.
    pub(super) fn principals(&self) -> Principals<'a> {
        self.principals
    }

    /// Records what was read.
    pub(super) fn record(&self, what: &str, read: &impl Debug) {
        self.read.borrow_mut().push(format!("{what} {read:?}"));
    }

    /// Records that a part of the object's own status does not parse: a user corrects it there. Otherwise the status is no
    /// input, or each of our own writes would start a reconcile.
    pub(crate) fn unparsed(&self, error: &impl Debug) {
        self.record("unparsed", error);
    }

    /// The account that the object names. A region that opens or closes is an input only if it is one of `regions`.
    pub(crate) fn account(&self, namespace: &str, name: &str, regions: &[&str]) -> Result<CloudAccount, NoAccount> {
        let found = self.stores.accounts.get(&ObjectRef::new(name).within(namespace)).ok_or(NoAccount::Missing);
        let account = found.and_then(|found| found.readable().cloned().ok_or(NoAccount::Unreadable));
        let ready =
            |account: &CloudAccount| ready_of(account).map(|ready| (ready.status.clone(), ready.reason.clone()));
        let open = |account: &CloudAccount| {
            let open = account.status.iter().flat_map(|status| status.regions.clone());
            open.filter(|open| regions.contains(&open.as_str())).collect::<Vec<_>>()
        };
        let read = account.as_ref().map(|account| (version_of(account), ready(account), open(account)));
        self.record("account", &(name, read));
        account
    }

    /// The image that the object names.
    pub(crate) fn image(&self, namespace: &str, name: &str) -> Option<CloudImage> {
        let found = self.stores.images.get(&ObjectRef::new(name).within(namespace));
        let image = found.and_then(|found| found.readable().cloned());
        self.record("image", &(name, image.as_ref().map(version_of)));
        image
    }

    /// The image of the object's own name; while it is being deleted, also what blocks its deletion.
    pub(crate) fn image_of_own_name(&self, namespace: &str, name: &str) -> Option<CloudImage> {
        let image = self.image(namespace, name)?;
        let blocked = find(conditions_of(&image), DELETABLE).filter(|_| image.metadata.deletion_timestamp.is_some());
        self.record("deletable", &blocked.map(|c| (&c.status, &c.reason, &c.message)));
        Some(image)
    }

    /// The shares that name an image. One without our finalizer is an input only if it names a recipient in `granted`: it gets
    /// no grants, but keeps existing ones.
    pub(crate) fn shares(&self, image: &CloudImage, granted: &BTreeSet<(RecipientKind, &str)>) -> Vec<Share> {
        let named = shares_naming(&image.namespace().unwrap_or_default(), &image.name_any(), self.stores);
        let shares = shares_of(image, named.iter().map(AsRef::as_ref), self.stores);
        let keeps =
            |share: &Share| share.recipients.iter().any(|asked| granted.contains(&(asked.kind, asked.id.as_str())));
        for share in shares.iter().filter(|share| !share.lacks_finalizer() || keeps(share)) {
            // No `..`: whoever adds a field to `Share` decides here whether it is an input, or follows from these.
            let Share {
                uid,
                generation,
                deleting,
                suspended: _,
                finalizer: _,
                expires: _,
                consent: _,
                retain: _,
                recipients: _,
                requested: _,
                namespace: _,
                name: _,
                created: _,
            } = share;
            self.record("share", &(uid, generation, deleting, share.activity(self.now)));
        }
        self.record("requested", &named.iter().filter_map(|share| requested_at(share.as_ref())).collect::<Vec<_>>());
        shares
    }

    /// The replica for whose copy an image was created, if it removes the copy on its own deletion.
    pub(crate) fn replica_of(&self, image: &CloudImage) -> Option<String> {
        let name = image.name_any();
        let found = self.stores.replicas.get(&ObjectRef::new(&name).within(&image.namespace().unwrap_or_default()));
        let removes = |replica: &ImageReplica| {
            let created = replica.status.as_ref().is_some_and(|status| status.cloud_image_uid == image.uid());
            created && replica.spec.deletion_policy == ReplicaDeletionPolicy::Delete
        };
        let replica = found.is_some_and(|found| found.readable().is_some_and(removes)).then_some(name);
        self.record("replica", &replica);
        replica
    }

    /// Whether a replica makes the image of this name, which does not exist yet.
    pub(crate) fn is_being_made(&self, namespace: &str, name: &str) -> bool {
        let replica = self.stores.replicas.get(&ObjectRef::new(name).within(namespace));
        let makes = |replica: &ImageReplica| {
            let stalled = find(conditions_of(replica), STALLED).is_some_and(|stalled| stalled.status == "True");
            replica.metadata.deletion_timestamp.is_none() && !stalled
        };
        let makes = replica.is_some_and(|replica| replica.readable().is_some_and(makes));
        self.record("being made", &makes);
        makes
    }

    /// Reads what the inventory of an account lists of an offered image: the inventory often shows an offer first.
    pub(crate) fn inventory(&self, account: (&str, &str), region: &str, image_id: &str) {
        self.record("listed", &listed(account, region, image_id, self.stores));
    }

    /// Reads what the acceptances of an offered image in a namespace report.
    pub(crate) fn acceptances(&self, namespace: &str, region: &str, image_id: &str) {
        let key = place_key(region, image_id);
        let same = self.stores.acceptances_by_identity.find(&key, &self.stores.acceptances);
        let here = same.iter().filter_map(|found| found.readable());
        let ours = here.filter(|found| found.namespace().as_deref() == Some(namespace) && offer_key(found) == key);
        let states: Vec<_> = ours.map(|found| found.status.as_ref().map(|status| status.state)).collect();
        self.record("acceptances", &states);
    }

    /// The image that a share names, as the cache holds it.
    pub(crate) fn guarded_image(&self, (namespace, name): &(String, String)) -> Option<Arc<Guarded<CloudImage>>> {
        let image = self.stores.images.get(&ObjectRef::new(name).within(namespace));
        self.record("image", &image.as_ref().and_then(|image| image.resource_version()));
        image
    }

    /// The channel that a share of a channel names, as the cache holds it.
    pub(crate) fn channel(&self, (namespace, name): &(String, String)) -> Option<Arc<Guarded<ImageChannel>>> {
        let channel = self.stores.channels.get(&ObjectRef::new(name).within(namespace));
        self.record("channel", &channel.as_ref().and_then(|channel| channel.resource_version()));
        channel
    }
}

/// The shares of an image as the API server listed them now. The consent of its owner goes by the cached labels of namespaces.
pub(crate) fn listed_shares<'a>(
    ctx: &Context,
    image: &CloudImage,
    listed: impl IntoIterator<Item = &'a Guarded<ImageShare>>,
) -> Vec<Share> {
    shares_of(image, listed, &ctx.stores)
}
