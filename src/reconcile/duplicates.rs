//! Several objects for one cloud image, as the caches show them. `planning::duplicates` chooses the active one.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kube::ResourceExt;
use kube::core::object::HasStatus;
use kube::runtime::reflector::{ObjectRef, Store};

use crate::api::cloud_image::GrantState;
use crate::api::conditions::{ACTIVE, Decision, find};
use crate::api::{CloudAccount, CloudImage, SharedImageAcceptance};
use crate::cluster::guard::Guarded;
use crate::cluster::object::Object;
use crate::domain::identifiers::Recipient;
use crate::planning::duplicates::{ACCEPTANCES, Contender, IMAGES, Kind, Owner, Role, may_affect, role};
use crate::planning::ledger::Ledger;
use crate::planning::problem::Problem;
use crate::reconcile::caches::Caches;
use crate::reconcile::context::{Context, Stores};
use crate::reconcile::convert::{identity_key, is_proven, offer_key, owner};
use crate::reconcile::index::Index;
use crate::reconcile::status::{Status, conditions_of};

/// A kind of which several objects may name one cloud image.
pub(crate) trait Duplicable: Object + HasStatus<Status: Status> + 'static {
    /// The kind's words in messages.
    const KIND: Kind;
    /// Region and id of the image at the cloud, without its owner.
    fn location(&self) -> String;
    /// The account that it uses.
    fn account_name(&self) -> &str;
    /// The owner that it recorded.
    fn recorded(&self) -> Option<&String>;
    /// The recipients that it granted the image to and is not revoking.
    fn grants(&self) -> BTreeSet<Recipient> {
        BTreeSet::new()
    }
    /// The index and the cache of the kind.
    fn found_in(stores: &Stores) -> (&Index<Guarded<Self>>, &Store<Guarded<Self>>);
}

impl Duplicable for CloudImage {
    const KIND: Kind = IMAGES;

    /// One that acted stands for the image that it acted on, whatever its spec says by now.
    fn location(&self) -> String {
        let acted = self.status.as_ref().filter(|status| status.owner.is_some());
        acted.and_then(|status| status.image.clone()).unwrap_or_else(|| identity_key(self))
    }

    fn account_name(&self) -> &str {
        &self.spec.account_ref.name
    }

    fn recorded(&self) -> Option<&String> {
        self.status.as_ref()?.owner.as_ref()
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

    fn location(&self) -> String {
        offer_key(self)
    }

    fn account_name(&self) -> &str {
        &self.spec.account_ref.name
    }

    fn recorded(&self) -> Option<&String> {
        self.status.as_ref()?.account.as_ref()
    }

    fn found_in(stores: &Stores) -> (&Index<Guarded<Self>>, &Store<Guarded<Self>>) {
        (&stores.acceptances_by_identity, &stores.acceptances)
    }
}

/// After which time an object looks again whether the one that claimed the image before it recorded its owner. The record itself
/// wakes it earlier.
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
    pub(crate) fn observe<K: Duplicable>(caches: &Caches<'_>, object: &K) -> Self
    where
        Guarded<K>: Clone,
    {
        let stores = caches.stores();
        let own = contender(stores, object);
        let mut others: Vec<Contender> = contenders(stores, &others(object, stores), &own).collect();
        others.sort_by(|a, b| a.uid.cmp(&b.uid));
        caches.record("duplicates", &(!others.is_empty()).then_some((&own, &others)));
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

    /// Whether the object may act for the image, which was just observed as its own. Until it records its owner, another object
    /// may come first: in the caches since they were observed, or in this process and not yet in the caches.
    pub(crate) fn may_act<K: Duplicable>(&self, ctx: &Context, object: &K) -> bool
    where
        Guarded<K>: Clone,
    {
        let Some(owner) = self.owner.get().filter(|_| self.own.owner.is_none()) else { return true };
        let found = others(object, &ctx.stores);
        let is_silent = |other: &&Arc<Guarded<K>>| other.readable().is_some_and(|other| other.recorded().is_none());
        let silent: Vec<String> = found.iter().filter(is_silent).filter_map(|other| other.uid()).collect();
        let found: Vec<Contender> = contenders(&ctx.stores, &found, &self.own).collect();
        matches!(role(&self.own, owner, &found), Role::Sole | Role::Active(_))
            && ctx.states.claim(&self.own.uid, &object.location(), &silent, ctx.clock.now())
    }

    fn decide<T>(&self, what: impl FnOnce(&Role<'_>) -> Option<T>) -> Option<T> {
        let recorded = || self.own.owner.as_deref().map(Owner::parse);
        let owner = self.owner.get().cloned().or_else(recorded)?;
        what(&role(&self.own, &owner, &self.others))
    }

    /// The problem that keeps the object from acting.
    pub(crate) fn problem(&self) -> Option<Problem> {
        self.decide(|role| self.kind.problem(role))
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
}

fn contender<K: Duplicable>(stores: &Stores, object: &K) -> Contender {
    let namespace = object.namespace().unwrap_or_default();
    let account = stores.accounts.get(&ObjectRef::new(object.account_name()).within(&namespace));
    let account = account.and_then(|account| account.readable().cloned());
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
        is_reported: find(conditions_of(object), ACTIVE).is_some_and(|condition| condition.status == "False"),
        namespace,
    }
}

/// The objects found that concern this one.
fn contenders<K: Duplicable>(
    stores: &Stores,
    found: &[Arc<Guarded<K>>],
    own: &Contender,
) -> impl Iterator<Item = Contender> {
    let readable = found.iter().filter_map(|other| other.readable());
    let all = readable.map(|other| Contender { grants: other.grants(), ..contender(stores, other) });
    all.filter(|other| may_affect(other, own))
}

/// The other objects that name the same image id in the same region, regardless of owner.
fn others<K: Duplicable>(object: &K, stores: &Stores) -> Vec<Arc<Guarded<K>>>
where
    Guarded<K>: Clone,
{
    let (index, store) = K::found_in(stores);
    let here = object.location();
    let mut found = index.find(&here, store);
    let is_other = |other: &K| other.location() == here && other.uid() != object.uid();
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
