//! What a reconcile of one image observes: its account, its shares, its duplicates, and the image at the cloud. Observing
//! never fails: each fact is there, or the problem that hides it.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use kube::api::ListParams;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};

use crate::accounts::connections::Connection;
use crate::api::cloud_image::NamespacesFrom;
use crate::api::conditions::{READY, Reason, find};
use crate::api::image_replica::ReplicaDeletionPolicy;
use crate::api::{CloudAccount, CloudImage, ImageShare};
use crate::clouds::{Cloud, Fault, ImageRef, Priority};
use crate::cluster::guard::Guarded;
use crate::cluster::managed::Managed;
use crate::cluster::{ClusterError, within_deadline};
use crate::domain::fault::Missing;
use crate::domain::identifiers::{ImageId, RecipientKind};
use crate::domain::image::{ImageFacts, Ownership, RecipientList, Visibility};
use crate::domain::share::Share;
use crate::planning::desired::Terms;
use crate::planning::ledger::Ledger;
use crate::planning::problem::Problem;
use crate::reconcile::access::{Access, account_of, check_account, connect, no_account};
use crate::reconcile::context::Context;
use crate::reconcile::convert::{account_input, is_unseen, requested_at, shares_naming, shares_of, terms};
use crate::reconcile::duplicates::Duplicates;
use crate::reconcile::object_state::Inputs;

/// The desired state in Kubernetes, from the caches.
pub(super) struct Desired {
    pub(super) account: Option<CloudAccount>,
    /// The other objects for the same image, one of which may be active instead.
    pub(super) duplicates: Duplicates,
    pub(super) shares: Vec<Share>,
    /// The `ImageReplica` that made this copy and removes it on its own deletion.
    pub(super) replica: Option<String>,
    pub(super) inputs: Inputs,
    /// The account, or a share that names the image, waits for its first reconcile.
    pub(super) expecting: bool,
}

/// The observed state of an image at the cloud.
pub(super) struct Seen {
    pub(super) at: Timestamp,
    /// `None`: read as absent.
    pub(super) image: Option<ImageFacts>,
    /// Complete; empty for an image that is not ours.
    pub(super) recipients: RecipientList,
}

/// An image for which the operator may call the cloud.
pub(super) struct Site {
    pub(super) at: ImageRef,
    pub(super) terms: Terms,
    pub(super) connection: Connection,
    /// The Secret is gone, or another object is active: this object may only end access.
    pub(super) only_to_end: Option<Problem>,
}

pub(super) fn observe_desired(ctx: &Context, image: &CloudImage) -> Desired {
    let account = account_of(ctx, &image.namespace().unwrap_or_default(), &image.spec.account_ref.name);
    let named = shares_naming(&image.namespace().unwrap_or_default(), &image.name_any(), &ctx.stores);
    let shares = shares_of(image, named.iter().map(AsRef::as_ref), &ctx.stores);
    let mut inputs = vec![format!(
        "image {:?} {} {:?}",
        image.metadata.generation,
        image.metadata.deletion_timestamp.is_some(),
        requested_at(image)
    )];
    inputs.extend(account.as_ref().map(account_input));
    let now = ctx.clock.now();
    for share in shares.iter().filter(|share| !share.lacks_finalizer() || names_somebody_granted(share, image)) {
        let standing = share.activity(now);
        inputs.push(format!("{} {} {} {standing:?}", share.uid, share.generation, share.deleting));
    }
    inputs.extend(named.iter().filter_map(|s| requested_at(s.as_ref())));
    let duplicates = Duplicates::observe(ctx, image);
    let replica = kept_for(ctx, image);
    inputs.extend(unreadable_ledger(image));
    inputs.push(format!("duplicates {} replica {replica:?}", duplicates.input()));
    let expecting = account.as_ref().is_some_and(is_unseen) || shares.iter().any(Share::lacks_finalizer);
    Desired { account, duplicates, shares, replica, inputs: Inputs(inputs), expecting }
}

/// The parse error of a ledger, once the status reports it: a user corrects the ledger in the status. No other part of the
/// status is an input, or each of our own writes would start a reconcile.
fn unreadable_ledger(image: &CloudImage) -> Option<String> {
    let status = image.status.as_ref();
    let ready = find(&status?.conditions, READY)?;
    let told = ready.reason == Reason::Unreadable.as_str();
    told.then(|| Ledger::parse(status).err())?.map(|error| format!("ledger {error}"))
}

/// Whether a share names a recipient in the ledger: a share without our finalizer yet gets no grants, but keeps existing ones.
fn names_somebody_granted(share: &Share, image: &CloudImage) -> bool {
    let granted = image.status.iter().flat_map(|status| &status.grants);
    let granted: BTreeSet<(RecipientKind, &str)> = granted.map(|grant| (grant.kind, grant.id.as_str())).collect();
    share.recipients.iter().any(|asked| granted.contains(&(asked.kind, asked.id.as_str())))
}

/// The replica for whose copy this object was created, if it removes the copy on its own deletion.
fn kept_for(ctx: &Context, image: &CloudImage) -> Option<String> {
    let name = image.name_any();
    let found = ctx.stores.replicas.get(&ObjectRef::new(&name).within(&image.namespace()?))?;
    let replica = found.readable()?;
    let stands = replica.status.as_ref()?.cloud_image_uid == image.uid();
    (stands && replica.spec.deletion_policy == ReplicaDeletionPolicy::Delete).then_some(name)
}

/// Whether and how the operator may call the cloud for the image: all checks before any call.
pub(super) async fn observe_site(ctx: &Context, image: &CloudImage, desired: &Desired) -> Result<Site, Problem> {
    let namespace = image.namespace().unwrap_or_default();
    let missing = || no_account(ctx, &namespace, "spec.accountRef", &image.spec.account_ref.name);
    let account = desired.account.as_ref().ok_or_else(missing)?;
    let recorded = image.status.as_ref().and_then(|s| s.owner.as_ref());
    check_account(account, recorded)?;
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
    let only_to_end = match desired.duplicates.obstacle() {
        // A duplicate still ends the grants that it made itself.
        Some(obstacle) if obstacle.reason == Reason::DuplicateImage && has_grants(image) => Some(obstacle),
        Some(obstacle) => return Err(obstacle),
        None => only_to_end,
    };
    terms.ourselves.extend(connection.cloud.principal(&at.region));
    Ok(Site { at, terms, connection, only_to_end })
}

fn has_grants(image: &CloudImage) -> bool {
    image.status.as_ref().is_some_and(|status| !status.grants.is_empty())
}

/// Reads the image, unless `carried` holds it from before a job, and then its recipients, unless its visibility hides them.
/// An incomplete list counts as a failed read. `granted`: somebody may have the image through us; its absence then needs a
/// second witness, since a list without it may be a list without anything.
pub(super) async fn observe_image(
    ctx: &Context,
    cloud: &dyn Cloud,
    at: &ImageRef,
    (priority, granted): (Priority, bool),
    carried: Option<ImageFacts>,
) -> Result<Seen, Fault> {
    let nobody = RecipientList { recipients: BTreeMap::new(), complete: true };
    let image = match carried {
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
    Ok(Seen { at: ctx.clock.now(), image, recipients })
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
    Ok(shares_of(image, listed.iter().map(|share| &share.object), &ctx.stores))
}
