//! Several objects for one cloud image, as the caches show them. `planning::duplicates` chooses the active one.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};

use crate::api::cloud_image::GrantState;
use crate::api::conditions::{ACTIVE, Decision, find};
use crate::api::{CloudAccount, CloudImage, SharedImageAcceptance};
use crate::cluster::guard::Guarded;
use crate::domain::identifiers::Recipient;
use crate::planning::duplicates::{ACCEPTANCES, Contender, IMAGES, Kind, Owner, Role, concerns, must_claim, role};
use crate::planning::ledger::Ledger;
use crate::planning::problem::Problem;
use crate::reconcile::access::account_of;
use crate::reconcile::context::{Context, Stores};
use crate::reconcile::convert::{identity_key, is_proven, offer_key, owner};
use crate::reconcile::index::Index;

/// A kind of which several objects may name one cloud image.
pub(crate) trait Duplicable: Resource<DynamicType = ()> + Sized + 'static {
    /// The kind's words in messages.
    const KIND: Kind;
    /// Region and id of the image at the cloud, without its owner.
    fn place(&self) -> String;
    /// The account that it uses.
    fn account_name(&self) -> &str;
    /// The owner that it recorded.
    fn recorded(&self) -> Option<&String>;
    /// Its conditions.
    fn conditions(&self) -> &[Condition];
    /// The recipients that it granted the image to and is not revoking.
    fn grants(&self) -> BTreeSet<Recipient>;
    /// The index and the cache of the kind.
    fn found_in(stores: &Stores) -> (&Index<Guarded<Self>>, &Store<Guarded<Self>>);
}

impl Duplicable for CloudImage {
    const KIND: Kind = IMAGES;

    /// One that acted stands for the image that it acted on, whatever its spec says by now.
    fn place(&self) -> String {
        let acted = self.status.as_ref().filter(|status| status.owner.is_some());
        acted.and_then(|status| status.image.clone()).unwrap_or_else(|| identity_key(self))
    }

    fn account_name(&self) -> &str {
        &self.spec.account_ref.name
    }

    fn recorded(&self) -> Option<&String> {
        self.status.as_ref()?.owner.as_ref()
    }

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    fn grants(&self) -> BTreeSet<Recipient> {
        // The ledger's own object reports an unreadable ledger in a condition.
        let ledger = Ledger::parse(self.status.as_ref()).unwrap_or_default();
        let stays = ledger.grants.into_iter().filter(|(_, entry)| entry.state != GrantState::Revoking);
        stays.map(|(recipient, _)| recipient).collect()
    }

    fn found_in(stores: &Stores) -> (&Index<Guarded<Self>>, &Store<Guarded<Self>>) {
        (&stores.images_by_identity, &stores.images)
    }
}

impl Duplicable for SharedImageAcceptance {
    const KIND: Kind = ACCEPTANCES;

    fn place(&self) -> String {
        offer_key(self)
    }

    fn account_name(&self) -> &str {
        &self.spec.account_ref.name
    }

    fn recorded(&self) -> Option<&String> {
        self.status.as_ref()?.account.as_ref()
    }

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    fn grants(&self) -> BTreeSet<Recipient> {
        BTreeSet::new()
    }

    fn found_in(stores: &Stores) -> (&Index<Guarded<Self>>, &Store<Guarded<Self>>) {
        (&stores.acceptances_by_identity, &stores.acceptances)
    }
}

/// How long an object waits after it recorded its owner, until its cache shows what others recorded at the same time. With a
/// fifth of it, on a busy machine two objects both acted.
pub(crate) const CLAIM_SETTLES: Duration = Duration::from_secs(1);

/// The objects for one image: the reconciled one and the others.
#[derive(Debug)]
pub(crate) struct Duplicates {
    kind: Kind,
    own: Contender,
    others: Vec<Contender>,
    owner: OnceLock<Owner>,
}

impl Duplicates {
    /// Reads the other objects for an object's image from the caches.
    pub(crate) fn observe<K: Duplicable>(ctx: &Context, object: &K) -> Self
    where
        Guarded<K>: Clone,
    {
        let own = contender(ctx, object);
        let others = others(object, &ctx.stores);
        let others = others.iter().filter_map(|other| other.readable());
        let others = others.map(|other| Contender { grants: other.grants(), ..contender(ctx, other) });
        let mut others: Vec<Contender> = others.filter(|other| concerns(other, &own)).collect();
        others.sort_by(|a, b| a.uid.cmp(&b.uid));
        Self { kind: K::KIND, own, others, owner: OnceLock::new() }
    }

    /// Records that the cloud accepted the credentials as this owner's.
    pub(crate) fn connected(&self, owner: &Owner) {
        self.owner.get_or_init(|| owner.clone());
    }

    /// The owner to record once the image is observed as its own.
    pub(crate) fn owner(&self) -> Option<String> {
        self.owner.get().map(ToString::to_string)
    }

    /// Whether the object must record its owner and reconcile again before it acts.
    pub(crate) fn must_claim(&self) -> bool {
        must_claim(&self.own, &self.others)
    }

    fn decide<T>(&self, what: impl FnOnce(&Role<'_>) -> Option<T>) -> Option<T> {
        let recorded = || self.own.owner.as_deref().map(Owner::parse);
        let owner = self.owner.get().cloned().or_else(recorded)?;
        what(&role(&self.own, &owner, &self.others))
    }

    /// What keeps the object from acting.
    pub(crate) fn obstacle(&self) -> Option<Problem> {
        self.decide(|role| self.kind.obstacle(role))
    }

    /// The recipients that the active object granted the image to, if that is another object.
    pub(crate) fn granted_by_active(&self) -> BTreeSet<Recipient> {
        let granted = self.decide(|role| match role {
            Role::Duplicate(active) => Some(active.grants.clone()),
            Role::Sole | Role::Active(_) | Role::Unproven => None,
        });
        granted.unwrap_or_default()
    }

    /// Whether another object granted the image to anyone.
    pub(crate) fn others_granted(&self) -> bool {
        self.others.iter().any(|other| !other.grants.is_empty())
    }

    /// The condition that reports the other objects.
    pub(crate) fn decision(&self) -> Option<Decision> {
        self.decide(|role| self.kind.decision(role, &self.own.namespace))
    }

    /// The duplicates' part of the input fingerprint.
    pub(crate) fn input(&self) -> String {
        if self.others.is_empty() { String::new() } else { format!("{:?} {:?}", self.own, self.others) }
    }
}

fn contender<K: Duplicable>(ctx: &Context, object: &K) -> Contender {
    let namespace = object.namespace().unwrap_or_default();
    let account = account_of(ctx, &namespace, object.account_name());
    let recorded = object.recorded();
    let is_owner = |account: &CloudAccount| recorded.is_none_or(|r| Owner::parse(r).account() == owner(account));
    Contender {
        uid: object.uid().unwrap_or_default(),
        name: object.name_any(),
        created: object.meta().creation_timestamp.as_ref().map(|t| t.0),
        owner: planted!(
            "unproven-object-acts",
            recorded.cloned(),
            recorded.cloned().or_else(|| account.as_ref().map(owner))
        ),
        proven: account.as_ref().is_some_and(|account| {
            planted!(
                "unproven-object-acts",
                is_proven(account) && is_owner(account),
                is_proven(account) || is_owner(account)
            )
        }),
        account: account.as_ref().map(owner),
        grants: BTreeSet::new(),
        is_told: find(object.conditions(), ACTIVE).is_some_and(|condition| condition.status == "False"),
        namespace,
    }
}

/// The other objects that name the same image id in the same region, regardless of owner.
fn others<K: Duplicable>(object: &K, stores: &Stores) -> Vec<Arc<Guarded<K>>>
where
    Guarded<K>: Clone,
{
    let (index, store) = K::found_in(stores);
    let here = object.place();
    let mut found = index.find(&here, store);
    let is_other = |other: &K| other.place() == here && other.uid() != object.uid();
    found.retain(|other| other.readable().is_some_and(is_other));
    found
}

/// References to the other objects that name the same image. An object that never recorded an owner triggers none of them: many
/// such objects could otherwise keep all of them busy.
pub(crate) fn duplicates_of<K: Duplicable>(object: &Guarded<K>, stores: &Stores) -> Vec<ObjectRef<Guarded<K>>>
where
    Guarded<K>: Clone,
{
    let object = object.readable().filter(|object| object.recorded().is_some());
    let others = object.map(|object| others(object, stores)).unwrap_or_default();
    others.iter().map(|other| ObjectRef::from_obj(other.as_ref())).collect()
}
