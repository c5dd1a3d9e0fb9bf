//! The inventory of an account: creates, updates and deletes one `SharedImage` for each image that others share with it, as
//! the cloud lists them.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Api, Resource, ResourceExt};

use crate::accounts::connections::Connection;
use crate::api::conditions::{Decision, LISTED, Reason, Truth};
use crate::api::shared_image::{SharedImageSpec, SharedImageStatus};
use crate::api::{CloudAccount, SharedImage};
use crate::clouds::{Fault, Priority};
use crate::cluster::ClusterError;
use crate::cluster::creation::create_unless_named;
use crate::cluster::deletion::delete_exactly;
use crate::cluster::events::EventReason;
use crate::cluster::status::apply_status;
use crate::domain::fault::Missing;
use crate::domain::foreign_text::plain;
use crate::domain::identifiers::RegionId;
use crate::domain::image::ReceivedList;
use crate::planning::inventory::{Changes, Entry, INVENTORY_MAX, plan_inventory};
use crate::planning::problem::{Problem, name_some};
use crate::reconcile::context::Context;
use crate::reconcile::object_state::Listing;
use crate::reconcile::relisting::Relist;

/// Concurrent writes to the API server for one account.
const WRITES_AT_ONCE: usize = 8;

/// Longest part of a region that a condition repeats, in characters.
const REGION_CHARS_MAX: usize = 63;

/// A listing takes several calls, and half of one is useless: its calls wait for tokens, which this priority gets rarely.
const PRIORITY: Priority = Priority::Acceptance;

/// Lists what others share with the account if that is due, and updates its `SharedImage`s to match.
pub(super) async fn take_stock(
    ctx: &Context,
    account: &CloudAccount,
    connection: &Connection,
    requested: bool,
) -> Listing {
    let uid = account.uid().unwrap_or_default();
    let now = ctx.clock.now();
    let generation = account.metadata.generation;
    if let Some(last) = ctx.states.last_listing(&uid, generation, now).filter(|_| !requested) {
        return match ctx.relistings.due(&uid, now) {
            Relist::Now(regions) => relist(ctx, account, connection, regions, last).await,
            Relist::In(sooner) => Listing { next_reconcile: last.next_reconcile.map(|wait| wait.min(sooner)), ..last },
            Relist::No => last,
        };
    }
    ctx.relistings.forget(&uid);
    let existing = existing(ctx, account);
    if account.spec.inventory.is_none() && existing.is_empty() {
        let next = SignedDuration::try_from(ctx.settings.inventory_interval).unwrap_or(SignedDuration::MAX);
        let next = now.saturating_add(next).unwrap_or(jiff::Timestamp::MAX);
        ctx.states.listed(&uid, generation, next, now, Listing::default());
        return Listing::default();
    }
    let (listed, fault) = list(ctx, account, connection, |_| true).await;
    let changes = plan_inventory(&account.name_any(), &existing, &listed);
    let written = apply(ctx, account, &changes).await;
    let failed = fault.is_some() || written.is_err();
    let interval = ctx.settings.inventory_interval;
    let spread = 0.9 + 0.2 * ctx.chance();
    let wait = if failed { ctx.settings.intervals.blocked.min(interval) } else { interval }.mul_f64(spread);
    let next = now.saturating_add(SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX));
    if let Err(error) = written {
        tracing::warn!(object.name = %account.name_any(), %error, "the inventory could not be written and is tried again");
    }
    let listing = Listing {
        counts: (!failed).then(|| (figure(account, changes.received), changes.pending)),
        decision: Some(decision(fault.as_ref(), &odd_regions(account), &changes)),
        next_reconcile: Some(wait),
    };
    ctx.states.listed(&uid, generation, next.unwrap_or(jiff::Timestamp::MAX), now, listing.clone());
    listing
}

/// Lists these regions alone, in which something happened that this operator knows of. `last`: the last listing of all.
async fn relist(
    ctx: &Context,
    account: &CloudAccount,
    connection: &Connection,
    regions: BTreeSet<String>,
    last: Listing,
) -> Listing {
    let uid = account.uid().unwrap_or_default();
    let existing = existing(ctx, account);
    let (listed, fault) = list(ctx, account, connection, |region| regions.contains(region.as_str())).await;
    let changes = plan_inventory(&account.name_any(), &existing, &listed);
    let written = apply(ctx, account, &changes).await;
    let failed = fault.is_some() || written.is_err();
    if let Err(error) = written {
        tracing::warn!(object.name = %account.name_any(), %error, "the inventory could not be written and is tried again");
    }
    let found = !(changes.create.is_empty() && changes.update.is_empty() && changes.delete.is_empty());
    ctx.relistings.listed(&uid, found && !failed, if failed { regions } else { BTreeSet::new() });
    // Where the inventory is cut, only a listing of everything counts right.
    let cut = account.status.iter().flat_map(|status| &status.conditions);
    let cut = cut.into_iter().any(|listed| listed.type_ == LISTED && listed.reason == Reason::InventoryCut.as_str());
    let counts = (!failed && !cut).then(|| {
        let (received, pending) = changes.counted_over(&existing);
        (figure(account, received), pending)
    });
    let sooner = ctx.relistings.wait(&uid, ctx.clock.now());
    let next_reconcile = last.next_reconcile.into_iter().chain(sooner).min();
    let listing = Listing { counts: counts.or(last.counts), next_reconcile, ..last };
    ctx.states.relisted(&uid, listing.clone());
    listing
}

fn existing(ctx: &Context, account: &CloudAccount) -> BTreeMap<String, (SharedImageSpec, Option<SharedImageStatus>)> {
    let (namespace, name) = (account.namespace(), account.name_any());
    let ours = ctx.stores.shared_images.state_filter(|image| {
        image.namespace() == namespace && image.readable().is_some_and(|image| image.spec.account_ref.name == name)
    });
    let entry = |image: &SharedImage| (image.name_any(), (image.spec.clone(), image.status.clone()));
    ours.iter().filter_map(|image| image.readable()).map(entry).collect()
}

/// Lists every region of the inventory. A region that cannot be listed maps to `None`; returns the first fault.
async fn list(
    ctx: &Context,
    account: &CloudAccount,
    connection: &Connection,
    wanted: impl Fn(&RegionId) -> bool,
) -> (BTreeMap<RegionId, Option<ReceivedList>>, Option<(RegionId, Fault)>) {
    let mut listed = BTreeMap::new();
    let mut first_fault: Option<(RegionId, Fault)> = None;
    for region in account.spec.inventory.iter().flat_map(|inventory| &inventory.regions) {
        let Ok(region) = RegionId::parse(region) else { continue };
        let list = match &first_fault {
            _ if !wanted(&region) => None,
            // The fault that one region met would meet the next one, unless that region alone is unknown: skip it.
            Some((_, fault)) if *fault != Fault::NotFound(Missing::Region) => None,
            _ => match connection.cloud.list_received(&region, PRIORITY).await {
                Ok(list) if list.complete => Some(list),
                Ok(list) => {
                    first_fault = Some((region.clone(), Fault::Unintelligible));
                    Some(list)
                }
                Err(fault) => {
                    ctx.connections.note(account, &fault).await;
                    first_fault.get_or_insert((region.clone(), fault));
                    None
                }
            },
        };
        listed.insert(region, list);
    }
    (listed, first_fault)
}

fn figure(account: &CloudAccount, received: usize) -> String {
    let own = account.spec.limits.as_ref().and_then(|limits| limits.received_images);
    let limit = own.or_else(|| Some(account.spec.tenancy()?.provider().rules().received_images)).unwrap_or_default();
    if limit == 0 { received.to_string() } else { format!("{received}/{limit}") }
}

/// Regions of the inventory that no cloud can have: an older definition admitted them.
fn odd_regions(account: &CloudAccount) -> Vec<String> {
    let named = account.spec.inventory.iter().flat_map(|inventory| &inventory.regions);
    named.filter(|region| RegionId::parse(region).is_err()).map(|region| plain(region, REGION_CHARS_MAX)).collect()
}

fn decision(fault: Option<&(RegionId, Fault)>, odd_regions: &[String], changes: &Changes) -> Decision {
    let decide = |truth, reason, message: String| Decision { kind: LISTED, truth, reason, message };
    match fault {
        Some((region, fault)) => {
            let problem = Problem::from(fault);
            decide(problem.truth(), problem.reason, format!("spec.inventory.regions, {region}: {}", problem.message))
        }
        None if !odd_regions.is_empty() => {
            let message = format!(
                "spec.inventory.regions: these are no region ids, and nothing is listed of them: {}",
                name_some(odd_regions)
            );
            decide(Truth::False, Reason::RegionUnknown, message)
        }
        None if changes.cut => {
            let message = format!("only the first {INVENTORY_MAX} images shared with this account are listed");
            decide(Truth::False, Reason::InventoryCut, message)
        }
        None => {
            decide(Truth::True, Reason::Listed, "every image shared with this account has a SharedImage".to_owned())
        }
    }
}

/// Applies the changes, several at a time, and publishes one event for all new offers.
async fn apply(ctx: &Context, account: &CloudAccount, changes: &Changes) -> Result<(), ClusterError> {
    let images: Api<SharedImage> = Api::namespaced(ctx.client.clone(), &account.namespace().unwrap_or_default());
    let create = stream::iter(changes.create.clone()).map(|(name, entry)| create(ctx, &images, account, name, entry));
    create.buffer_unordered(WRITES_AT_ONCE).try_collect::<Vec<()>>().await?;
    let update = stream::iter(changes.update.clone()).map(|(name, entry)| update(ctx, account, name, entry));
    update.buffer_unordered(WRITES_AT_ONCE).try_collect::<Vec<()>>().await?;
    let delete = stream::iter(changes.delete.clone()).map(|name| delete(ctx, &images, account, name));
    delete.buffer_unordered(WRITES_AT_ONCE).try_collect::<Vec<()>>().await?;
    let offers: Vec<String> =
        changes.create.iter().chain(&changes.update).filter_map(|(_, entry)| offer(entry)).collect();
    if !offers.is_empty() {
        let note = format!("offered, and waiting for an answer by a SharedImageAcceptance: {}", name_some(offers));
        ctx.events.publish(account, EventReason::OfferReceived, note);
    }
    Ok(())
}

fn offer(entry: &Entry) -> Option<String> {
    let pending = entry.status.state == Some(crate::api::shared_image::SharedImageState::Pending);
    let owner = entry.status.owner.as_deref().unwrap_or("somebody");
    pending.then(|| format!("image {} of {owner} in {}", entry.spec.image_id, entry.spec.region))
}

async fn create(
    ctx: &Context,
    images: &Api<SharedImage>,
    account: &CloudAccount,
    name: String,
    entry: Entry,
) -> Result<(), ClusterError> {
    let mut image = SharedImage::new(&name, entry.spec);
    let owner = account.controller_owner_ref(&());
    image.metadata.owner_references = owner.map(|owner| vec![OwnerReference { block_owner_deletion: None, ..owner }]);
    // The last listing created one of this name; the cache will show it soon, and the next listing updates it.
    let Some(made) = create_unless_named(images, &image).await? else { return Ok(()) };
    apply_status(&ctx.client, &made, &made.resource_version().unwrap_or_default(), &entry.status).await.map(drop)
}

async fn update(ctx: &Context, account: &CloudAccount, name: String, entry: Entry) -> Result<(), ClusterError> {
    let Some(image) = cached(ctx, account, &name) else { return Ok(()) };
    apply_status(&ctx.client, &image, &image.resource_version().unwrap_or_default(), &entry.status).await.map(drop)
}

async fn delete(
    ctx: &Context,
    images: &Api<SharedImage>,
    account: &CloudAccount,
    name: String,
) -> Result<(), ClusterError> {
    let Some(image) = cached(ctx, account, &name) else { return Ok(()) };
    delete_exactly(images, &name, image.uid()).await.map(drop)
}

fn cached(ctx: &Context, account: &CloudAccount, name: &str) -> Option<SharedImage> {
    let key = kube::runtime::reflector::ObjectRef::new(name).within(&account.namespace().unwrap_or_default());
    ctx.stores.shared_images.get(&key)?.readable().cloned()
}
