//! What a reconcile of one image observes: its account, its shares, its duplicates, and the image at the cloud. Observing
//! never fails: each fact is there, or the problem that hides it.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use crate::accounts::connections::Connection;
use crate::api::cloud_image::{CloudImageStatus, NamespacesFrom};
use crate::api::conditions::{READY, Reason, find};
use crate::api::{CloudAccount, CloudImage, ImageShare};
use crate::clouds::{Cloud, Fault, ImageRef, Priority};
use crate::cluster::guard::Guarded;
use crate::cluster::managed::Managed;
use crate::cluster::{ClusterError, within_deadline};
use crate::domain::fault::Missing;
use crate::domain::identifiers::{ImageId, InvalidIdentifier};
use crate::domain::image::{ImageFacts, Ownership, RecipientList, SnapshotPermissions, Visibility};
use crate::domain::share::Share;
use crate::planning::deletion::blocks_deletion_only;
use crate::planning::desired::Terms;
use crate::planning::ledger::Ledger;
use crate::planning::problem::Problem;
use crate::planning::urgency::Need;
use crate::reconcile::access::{Access, NoAccount, check_account, connect};
use crate::reconcile::caches::{Caches, listed_shares};
use crate::reconcile::context::Context;
use crate::reconcile::convert::{identity_key, is_unseen, terms};
use crate::reconcile::duplicates::Duplicates;
use crate::reconcile::status::{conditions_of, is_observed, is_ready, is_requested};

/// The desired state in Kubernetes, from the caches.
pub(crate) struct Desired {
    pub(super) account: Result<CloudAccount, NoAccount>,
    /// The ledger in the status.
    pub(super) ledger: Result<Ledger, InvalidIdentifier>,
    /// The other objects for the same image, one of which may be active instead.
    pub(super) duplicates: Duplicates,
    pub(super) shares: Vec<Share>,
    /// The `ImageReplica` that made this copy and removes it on its own deletion.
    pub(super) replica: Option<String>,
    /// The account, or a share that names the image, waits for its first reconcile.
    pub(super) expecting: bool,
}

/// The observed state of an image at the cloud.
pub(super) struct Observed {
    pub(super) at: Timestamp,
    /// `None`: read as absent.
    pub(super) image: Option<ImageFacts>,
    /// Complete; empty for an image that is not ours.
    pub(super) recipients: RecipientList,
    /// Who may copy its snapshots; empty where nobody asks for that.
    pub(super) copies: Result<SnapshotPermissions, Fault>,
}

/// An image for which the operator may call the cloud.
pub(super) struct ImageAccess {
    pub(super) at: ImageRef,
    pub(super) terms: Terms,
    pub(super) connection: Connection,
    /// The Secret is gone, or another object is active: this object may only end access.
    pub(super) only_to_end: Option<Problem>,
}

pub(super) fn observe_desired(caches: &Caches<'_>, image: &CloudImage) -> Desired {
    let (namespace, region) = (image.namespace().unwrap_or_default(), image.spec.region.as_str());
    let account = caches.account(&namespace, &image.spec.account_ref.name, &[region]);
    // What was observed of a mistyped image says nothing of the one that corrects it.
    let is_corrected = corrected_from(image).is_some() && is_of_another(image).is_none();
    let ledger = Ledger::parse(image.status.as_ref());
    let ledger = if is_corrected { ledger.map(|_| Ledger::default()) } else { ledger };
    // Once the status reports the error.
    let reported = find(conditions_of(image), READY).filter(|ready| ready.reason == Reason::Unreadable.as_str());
    if let (Some(_), Err(error)) = (reported, &ledger) {
        caches.unparsed(error);
    }
    let granted = image.status.iter().flat_map(|status| &status.grants);
    let shares = caches.shares(image, &granted.map(|grant| (grant.kind, grant.id.as_str())).collect());
    let duplicates = Duplicates::observe(caches, image);
    let replica = caches.replica_of(image);
    caches.answers_to(image);
    let expecting = account.as_ref().is_ok_and(is_unseen) || shares.iter().any(Share::lacks_finalizer);
    Desired { account, ledger, duplicates, shares, replica, expecting }
}

/// The inputs that decide how urgent the reconcile is.
pub(super) fn need<'a>(ctx: &Context, image: &CloudImage, desired: &'a Desired, ledger: &'a Ledger) -> Need<'a> {
    let deleting = image.metadata.deletion_timestamp.is_some();
    let ready = find(conditions_of(image), READY).and_then(|ready| Reason::named(&ready.reason));
    let in_order = is_ready(image) || (deleting && ready.is_some_and(blocks_deletion_only));
    Need {
        ledger,
        shares: &desired.shares,
        deleting,
        unready: !in_order || is_requested(image),
        edited: !is_observed(image),
        now: ctx.clock.now(),
    }
}

/// Whether and how the operator may call the cloud for the image: all checks before any call.
pub(super) async fn observe_access(
    ctx: &Context,
    image: &CloudImage,
    desired: &Desired,
) -> Result<ImageAccess, Problem> {
    let account = desired.account.as_ref().map_err(|no| no.problem("spec.accountRef", &image.spec.account_ref.name))?;
    let recorded = image.status.as_ref().and_then(|s| s.owner.as_ref());
    check_account(account, recorded)?;
    check_image(image)?;
    let mut terms = terms(account, &image.spec.region)?;
    if let Some(site) = terms.site.filter(|site| !terms.sold_on(*site)) {
        let message = format!("spec.region: {} is not sold on the {site} site", terms.region);
        return Err(Problem::blocked(Reason::RegionNotOnSite, message));
    }
    let at = ImageRef {
        region: terms.region.clone(),
        image: ImageId::parse(&image.spec.image_id)
            .map_err(|e| Problem::blocked(Reason::Unreadable, format!("spec.imageID: {e}")))?,
    };
    let Access { connection, owner, only_to_end } =
        connect(ctx, account, (&at.region, "spec.region"), recorded).await?;
    desired.duplicates.connected(&owner);
    let only_to_end = match desired.duplicates.problem() {
        // A duplicate still ends the grants that it made itself.
        Some(problem) if problem.reason == Reason::DuplicateImage && has_grants(image) => Some(problem),
        Some(problem) => return Err(problem),
        None => only_to_end,
    };
    terms.ourselves.extend(connection.cloud.principal(&at.region));
    Ok(ImageAccess { at, terms, connection, only_to_end })
}

/// Whether the spec still names the image that the ledger speaks of. The definitions refuse such an edit; a ledger is never
/// carried to another image, whatever an API server admits.
fn check_image(image: &CloudImage) -> Result<(), Problem> {
    let Some(recorded) = is_of_another(image) else { return Ok(()) };
    let message = format!(
        "spec.region, spec.imageID: this object was recorded as image {recorded}, and now names {}: no cloud API calls are made; \
         restore both fields, and make another CloudImage for the other image",
        identity_key(image)
    );
    Err(Problem::blocked(Reason::ImageChanged, message))
}

/// The image that the status speaks of, if the spec names another one and the status binds the object: it recorded an owner,
/// or somebody was to get the image.
fn is_of_another(image: &CloudImage) -> Option<&String> {
    let bound = |status: &CloudImageStatus| {
        status.owner.is_some() || !status.grants.is_empty() || status.job.is_some() || status.deletion.is_some()
    };
    corrected_from(image).filter(|_| image.status.as_ref().is_some_and(bound))
}

/// The image that the status speaks of, if the spec names another one.
fn corrected_from(image: &CloudImage) -> Option<&String> {
    image.status.as_ref()?.image.as_ref().filter(|recorded| **recorded != identity_key(image))
}

fn has_grants(image: &CloudImage) -> bool {
    image.status.as_ref().is_some_and(|status| !status.grants.is_empty())
}

/// Reads the image, unless `stashed` holds it from before a job, and then its recipients, unless its visibility hides them.
/// An incomplete list counts as a failed read. `granted`: somebody may have the image through us; its absence then needs a
/// second witness, since a list without it may be a list without anything.
pub(super) async fn observe_image(
    ctx: &Context,
    cloud: &dyn Cloud,
    at: &ImageRef,
    (priority, granted): (Priority, bool),
    stashed: Option<ImageFacts>,
) -> Result<Observed, Fault> {
    let nobody = RecipientList { recipients: BTreeMap::new(), complete: true };
    let image = match stashed {
        Some(facts) => Some(facts),
        None => cloud.observe_image(at, priority).await?,
    };
    let recipients = match &image {
        Some(facts) if facts.ownership == Ownership::Own && facts.visibility == Visibility::Shared => {
            observe_recipients(cloud, at, priority.escalate()).await?
        }
        None if granted => match cloud.list_recipients(at, priority.escalate()).await {
            Err(Fault::NotFound(Missing::Image)) => nobody,
            Ok(_) => return Err(Fault::Unintelligible),
            Err(fault) => return Err(fault),
        },
        Some(_) | None => nobody,
    };
    Ok(Observed { at: ctx.clock.now(), image, recipients, copies: Ok(SnapshotPermissions::new()) })
}

/// Reads the recipients of an image that this reconcile read as ours.
pub(super) async fn observe_recipients(
    cloud: &dyn Cloud,
    at: &ImageRef,
    priority: Priority,
) -> Result<RecipientList, Fault> {
    let list = cloud.list_recipients(at, priority).await?;
    if list.complete { Ok(list) } else { Err(Fault::Unintelligible) }
}

/// How many namespaces to list shares of at the same time, where the operator acts only in some.
const LISTS_AT_ONCE: usize = 8;

/// Where to list the shares that may name an image. The API server scans all objects of the requested scope, whatever they
/// name: for an image that only its own namespace may use, and that serves no other one any more, list that namespace.
fn apis_of_shares(ctx: &Context, image: &CloudImage) -> Vec<Api<Managed<ImageShare>>> {
    let namespace = image.namespace().unwrap_or_default();
    let served = image.status.iter().flat_map(|status| &status.shares);
    let only_here = image.spec.shareable_from.namespaces.from == NamespacesFrom::Same;
    if only_here && served.into_iter().all(|share| share.namespace == namespace) {
        return vec![Api::namespaced(ctx.client.clone(), &namespace)];
    }
    ctx.scope.apis(&ctx.client)
}

/// The image's shares as the API server has them now, not the cache. Fails with a conflict unless the image itself is still
/// the version written last: consent is in its spec.
pub(super) async fn list_shares_afresh(
    ctx: &Context,
    image: &CloudImage,
    version: &str,
) -> Result<Vec<Share>, ClusterError> {
    let images: Api<Guarded<CloudImage>> = Api::namespaced(ctx.client.clone(), &image.namespace().unwrap_or_default());
    let name = image.name_any();
    let selector = ListParams::default().fields(&format!("spec.imageRef.name={name}"));
    let lists = apis_of_shares(ctx, image).into_iter().map(|shares| {
        let selector = &selector;
        async move { within_deadline(shares.list(selector)).await }
    });
    let listed: Vec<_> = stream::iter(lists).buffer_unordered(LISTS_AT_ONCE).try_collect().await?;
    let listed: Vec<_> = listed.into_iter().flatten().collect();
    // After the shares: the image is the last read before a call.
    let current = within_deadline(images.get_metadata(&name)).await?;
    if current.metadata.resource_version.as_deref() != Some(version) {
        return Err(ClusterError::Conflict);
    }
    let managers = listed.iter().filter_map(|share| Some((share.uid()?, share.manager.clone()?)));
    ctx.states.access_notes(&image.uid().unwrap_or_default(), |notes| notes.note_managers(managers));
    Ok(listed_shares(ctx, image, listed.iter().map(|share| &share.object)))
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector::store::Writer;
    use kube::runtime::watcher::Event;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;
    use crate::controllers::run::stores;
    use crate::reconcile::context::Stores;
    use crate::reconcile::convert::{image_key, image_named_by};
    use crate::reconcile::object_state::Inputs;

    fn object<K: DeserializeOwned>(name: &str, change: &Value, spec: &Value, status: &Value) -> K {
        let mut metadata = json!({"namespace": "here", "name": name, "uid": name, "generation": 1});
        metadata.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status})).unwrap()
    }

    fn image<K: DeserializeOwned>(name: &str) -> K {
        let spec = json!({"accountRef": {"name": "owner"}, "region": "cn-hangzhou", "imageID": "m-1"});
        object(name, &json!({}), &spec, &json!({"owner": "Alibaba Cloud account 1000000000000001"}))
    }

    fn inputs(stores: &Stores) -> Inputs {
        let image = image("golden");
        let caches = Caches::new(stores, &|_, _| None, Timestamp::UNIX_EPOCH, &image);
        observe_desired(&caches, &image);
        caches.into_inputs()
    }

    #[test]
    fn a_change_of_each_object_that_a_reconcile_reads_changes_its_inputs() {
        let (mut accounts, mut shares, mut images) = (Writer::default(), Writer::default(), Writer::default());
        let mut replicas = Writer::default();
        let (stores, _) = stores();
        let stores = Stores { accounts: accounts.as_reader(), shares: shares.as_reader(), ..stores };
        let stores = Stores { images: images.as_reader(), replicas: replicas.as_reader(), ..stores };
        let mut before = inputs(&stores);
        assert_eq!(inputs(&stores), before, "the same reads are the same inputs");
        let mut changed = |what: &str| {
            let after = inputs(&stores);
            assert_ne!(std::mem::replace(&mut before, after), inputs(&stores), "{what}");
        };
        let credentials = json!({"secretRef": {"name": "golden"}});
        let cloud = json!({"alibaba": {"accountID": "1000000000000001", "site": "China", "credentials": credentials}});
        let ready = |reason: &str| {
            json!({"conditions": [{"type": "Ready", "status": "True", "reason": reason, "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]})
        };
        for (what, change, status) in [
            ("an account appears", json!({}), json!({})),
            ("it is verified", json!({}), ready("Verified")),
            ("its condition changes", json!({}), ready("Suspended")),
            ("it is edited", json!({"generation": 2}), ready("Suspended")),
        ] {
            accounts.apply_watcher_event(&Event::Apply(object("owner", &change, &cloud, &status)));
            changed(what);
        }
        let spec =
            json!({"imageRef": {"name": "golden"}, "recipients": [{"type": "Account", "id": "1000000000000002"}]});
        for (what, key, value) in [
            ("a share appears", "generation", json!(1)),
            ("it is edited", "generation", json!(2)),
            ("it asks for a reconcile", "annotations", json!({"imageshare.dev/reconcile-requested-at": "now"})),
            ("it is deleted", "deletionTimestamp", json!("2026-01-01T00:00:00Z")),
        ] {
            let change = json!({"finalizers": ["imageshare.dev/operator"], key: value});
            let share: Guarded<ImageShare> = object("team", &change, &spec, &json!({}));
            stores.shares_by_image.update(image_named_by(&share).as_ref().map(image_key), &share, false);
            shares.apply_watcher_event(&Event::Apply(share));
            changed(what);
        }
        let spec = json!({"source": {"imageRef": {"name": "other"}}, "deletionPolicy": "Delete",
            "destination": {"region": "cn-hangzhou", "name": "golden"}});
        let replica = object("golden", &json!({}), &spec, &json!({"cloudImageUID": "golden"}));
        replicas.apply_watcher_event(&Event::Apply(replica));
        changed("the replica that made the image appears");
        let duplicate: Guarded<CloudImage> = image("duplicate");
        stores.images_by_identity.update(duplicate.readable().map(identity_key), &duplicate, false);
        images.apply_watcher_event(&Event::Apply(duplicate));
        changed("a duplicate appears");
    }

    #[test]
    fn a_region_that_opens_concerns_the_objects_of_that_region_alone() {
        let read = |open: &[&str], regions: &[&str]| {
            let spec = json!({"openstack": {"authURL": "https://k", "projectID": "p",
                "credentials": {"secretRef": {"name": "s"}}}});
            let mut accounts = Writer::default();
            accounts.apply_watcher_event(&Event::Apply(object("owner", &json!({}), &spec, &json!({"regions": open}))));
            let stores = Stores { accounts: accounts.as_reader(), ..stores().0 };
            let image: CloudImage = image("golden");
            let caches = Caches::new(&stores, &|_, _| None, Timestamp::UNIX_EPOCH, &image);
            caches.account("here", "owner", regions).unwrap();
            caches.into_inputs()
        };
        let (before, after) = (["here"].as_slice(), ["here", "there"].as_slice());
        assert_eq!(read(before, &["here"]), read(after, &["here"]));
        assert_ne!(read(before, &["there"]), read(after, &["there"]));
        assert_ne!(read(before, &["here", "there"]), read(after, &["here", "there"]));
    }
}
