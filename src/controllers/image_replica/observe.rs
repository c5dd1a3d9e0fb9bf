//! What a reconcile of one copy observes in Kubernetes, and whether it may call the clouds.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use kube::ResourceExt;

use crate::api::cloud_account::Tenancy;
use crate::api::conditions::Reason;
use crate::api::image_replica::{CopySource, ReplicaDestination};
use crate::api::{CloudAccount, CloudImage, ImageReplica};
use crate::clouds::{Cloud, CopyMark, CopyOrder, ImageRef};
use crate::domain::identifiers::{
    AgencyName, ImageId, InvalidIdentifier, KeyId, ObjectUid, ProjectName, RegionId, VaultId,
};
use crate::domain::provider::{CopyMeans, Provider};
use crate::planning::problem::Problem;
use crate::planning::replica::{Attempt, Extra, Patience, Route, judge_route};
use crate::reconcile::access::{Access, NoAccount, check_account, connect};
use crate::reconcile::caches::Caches;
use crate::reconcile::context::Context;
use crate::reconcile::convert::{accounts_named, owner};
use crate::reconcile::transfers::End;

/// The desired state in Kubernetes, from the caches.
pub(crate) struct Desired {
    /// The source that the spec names now.
    pub(super) source: Result<CopySource, Problem>,
    /// The accounts that the copy uses, or used, by name.
    pub(super) accounts: BTreeMap<String, Result<CloudAccount, NoAccount>>,
    /// The `CloudImage` with the replica's name.
    pub(super) other_image: Option<CloudImage>,
    /// The last recorded attempt.
    pub(super) last: Result<Option<Attempt>, InvalidIdentifier>,
}

/// A copy for which the operator may call the clouds.
pub(super) struct CopyAccess {
    order: CopyOrder,
    pub(super) route: Route,
    pub(super) source: CopySource,
    pub(super) from: Access,
    pub(super) to: Access,
    pub(super) from_account: CloudAccount,
    pub(super) to_account: CloudAccount,
}

pub(super) fn observe_desired(caches: &Caches<'_>, replica: &ImageReplica) -> Desired {
    let namespace = replica.namespace().unwrap_or_default();
    let source = observe_source(caches, replica);
    if let Some(received) = &replica.spec.source.received {
        let (account, region, image) = (&received.account_ref.name, &received.region, &received.image_id);
        caches.acceptances(&namespace, region, image);
        caches.inventory((&namespace, account), region, image);
    }
    let from = source.as_ref().ok().map(|source| source.region.as_str());
    let regions: Vec<&str> = from.into_iter().chain([replica.spec.destination.region.as_str()]).collect();
    let names = accounts_named(replica, source.as_ref().ok());
    let accounts: BTreeMap<_, _> =
        names.into_iter().map(|name| (name.clone(), caches.account(&namespace, &name, &regions))).collect();
    if let Some(received) = &replica.spec.source.received
        && let Some(Ok(account)) = accounts.get(&received.account_ref.name)
    {
        caches.grants_to(account, (&received.region, &received.image_id), &BTreeSet::new());
    }
    let other_image = caches.image_of_own_name(&namespace, &replica.name_any());
    let copy = replica.status.as_ref().and_then(|status| status.copy.as_ref());
    let last = copy.map(Attempt::parse).transpose();
    last.as_ref().err().into_iter().for_each(|error| caches.unparsed(error));
    Desired { source, accounts, other_image, last }
}

fn observe_source(caches: &Caches<'_>, replica: &ImageReplica) -> Result<CopySource, Problem> {
    let source = &replica.spec.source;
    if let Some(received) = &source.received {
        let account = received.account_ref.name.clone();
        return Ok(CopySource { account, region: received.region.clone(), image_id: received.image_id.clone() });
    }
    let name = source.image_ref.as_ref().map(|reference| reference.name.as_str()).unwrap_or_default();
    let not_ready = |message: String| {
        Problem::blocked(Reason::SourceNotReady, format!("spec.source.imageRef: {message}; waiting for it"))
    };
    match caches.image(&replica.namespace().unwrap_or_default(), name) {
        None => Err(not_ready(format!("there is no CloudImage {name:?} here"))),
        Some(image) if image.metadata.deletion_timestamp.is_some() => {
            Err(not_ready(format!("CloudImage {name:?} is being deleted")))
        }
        Some(image) => {
            let spec = image.spec;
            Ok(CopySource { account: spec.account_ref.name, region: spec.region, image_id: spec.image_id })
        }
    }
}

/// Whether and how the operator may call the clouds: all checks before any call. `under_way`: the unfinished attempt, which
/// continues with the source it started with.
pub(super) async fn observe_access(
    ctx: &Context,
    replica: &ImageReplica,
    desired: &Desired,
    under_way: Option<&Attempt>,
) -> Result<CopyAccess, Problem> {
    let spec = &replica.spec;
    // Of a failed attempt nothing is left that binds the next one to its accounts.
    let status = replica.status.as_ref().filter(|_| under_way.is_some());
    let recorded = under_way.and_then(|attempt| attempt.destination.as_ref());
    let wanted = recorded.unwrap_or(&spec.destination);
    let source = match under_way {
        Some(attempt) => attempt.source.clone(),
        None => desired.source.clone()?,
    };
    let by = if spec.source.received.is_some() { "spec.source.received.accountRef" } else { "spec.source.imageRef" };
    let find = |field, name: &str| {
        let found = desired.accounts.get(name).cloned().unwrap_or(Err(NoAccount::Missing));
        found.map_err(|missing| missing.problem(field, name))
    };
    let from_account = find(by, &source.account)?;
    let to = if wanted.account_ref.is_some() { "spec.destination.accountRef" } else { by };
    let destination = wanted.account_ref.as_ref().map_or(&source.account, |account| &account.name);
    let to_account = find(to, destination)?;
    let from_recorded = status.and_then(|status| status.source_account.as_ref());
    let to_recorded = status.and_then(|status| status.account.as_ref());
    check_account(&from_account, from_recorded)?;
    check_account(&to_account, to_recorded)?;
    let (provider, to_provider) = (provider_of(&from_account)?, provider_of(&to_account)?);
    let order = parse_order(replica, (&source, wanted), provider, under_way.map_or(1, |attempt| attempt.number))?;
    let trusted = spec.source.received.as_ref().and_then(|received| received.owner.as_deref());
    let trusted = trusted.map(|owner| provider.parse_principal(owner)).transpose();
    let trusted = trusted.map_err(|e| unreadable("spec.source.received.owner", &e))?;
    if provider != to_provider {
        let message = "spec.destination.accountRef: an image cannot be copied to another kind of cloud";
        return Err(Problem::blocked(Reason::DestinationRefused, message));
    }
    let route = Route {
        provider,
        received: spec.source.received.is_some(),
        trusted,
        from: order.source.region.clone(),
        to: order.region.clone(),
        same_account: owner(&from_account) == owner(&to_account),
        given: given(wanted),
    };
    judge_route(&route)?;
    let from = connect(ctx, &from_account, (&order.source.region, "spec.source"), from_recorded).await?;
    let to = connect(ctx, &to_account, (&order.region, "spec.destination.region"), to_recorded).await?;
    Ok(CopyAccess { order, route, source, from, to, from_account, to_account })
}

fn provider_of(account: &CloudAccount) -> Result<Provider, Problem> {
    let none = || Problem::blocked(Reason::Unreadable, "the CloudAccount names no provider");
    account.spec.tenancy().map(Tenancy::provider).ok_or_else(none)
}

fn given(destination: &ReplicaDestination) -> BTreeSet<Extra> {
    let all = [
        (Extra::Agency, destination.agency_name.is_some()),
        (Extra::Project, destination.project_name.is_some()),
        (Extra::Vault, destination.vault_id.is_some()),
        (Extra::Encryption, destination.encryption.is_some()),
    ];
    all.into_iter().filter(|(_, given)| *given).map(|(extra, _)| extra).collect()
}

fn unreadable(field: &str, error: &InvalidIdentifier) -> Problem {
    Problem::blocked(Reason::Unreadable, format!("{field}: {error}"))
}

/// Parses an optional field of the destination.
fn field<T>(
    text: Option<&str>,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, InvalidIdentifier>,
) -> Result<Option<T>, Problem> {
    text.map(parse).transpose().map_err(|error| unreadable(&format!("spec.destination.{name}"), &error))
}

fn parse_order(
    replica: &ImageReplica,
    (source, to): (&CopySource, &ReplicaDestination),
    provider: Provider,
    attempt: u32,
) -> Result<CopyOrder, Problem> {
    let name = provider.parse_image_name(&to.name);
    let key = to.encryption.as_ref().map(|encryption| encryption.key_id.as_str());
    Ok(CopyOrder {
        source: ImageRef {
            region: RegionId::parse(&source.region).map_err(|e| unreadable("spec.source", &e))?,
            image: ImageId::parse(&source.image_id).map_err(|e| unreadable("spec.source", &e))?,
        },
        region: RegionId::parse(&to.region).map_err(|e| unreadable("spec.destination.region", &e))?,
        name: name.map_err(|e| Problem::blocked(Reason::NameInvalid, format!("spec.destination.name: {e}")))?,
        mark: CopyMark {
            uid: ObjectUid::parse(&replica.uid().unwrap_or_default()).map_err(|e| unreadable("metadata.uid", &e))?,
            attempt,
        },
        agency: field(to.agency_name.as_deref(), "agencyName", AgencyName::parse)?,
        project: field(to.project_name.as_deref(), "projectName", ProjectName::parse)?,
        vault: field(to.vault_id.as_deref(), "vaultID", VaultId::parse)?,
        key: field(key, "encryption.keyID", KeyId::parse)?,
    })
}

impl CopyAccess {
    pub(super) fn means(&self) -> CopyMeans {
        self.route.provider.copies_by()
    }

    /// The client to ask for the copy: that of the account that has the source, or, where this process streams the content,
    /// that of the account that will own the copy.
    pub(super) fn copier(&self) -> &dyn Cloud {
        let access = if self.means() == CopyMeans::Stream { &self.to } else { &self.from };
        access.connection.cloud.as_ref()
    }

    /// The account of the copier.
    pub(super) fn copying_account(&self) -> &CloudAccount {
        if self.means() == CopyMeans::Stream { &self.to_account } else { &self.from_account }
    }

    /// The order of one attempt.
    pub(super) fn order(&self, attempt: &Attempt) -> CopyOrder {
        let mut order = self.order.clone();
        order.mark.attempt = attempt.number;
        order
    }

    /// Whether the source is a received image at a cloud that requires an answer to offers.
    pub(super) fn by_offer(&self) -> bool {
        self.route.received && self.route.provider.rules().handshake
    }

    pub(super) fn origin(&self) -> &ImageRef {
        &self.order.source
    }

    pub(super) fn patience(&self, ctx: &Context) -> Patience {
        let timing = ctx.settings.timing.of(self.route.provider);
        let lost = match self.means() {
            CopyMeans::Job => timing.lost_job_window,
            CopyMeans::Token | CopyMeans::Stream => timing.absence_window,
        };
        let [retry, unanswered] = [ctx.settings.intervals.blocked, ctx.settings.lost_copy_window]
            .map(|time| SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX));
        Patience { lost, unanswered, lag: timing.absence_window, others_until: ctx.others_until(), retry }
    }

    /// Both ends of a transfer into the empty image.
    pub(super) fn ends(&self, image: &ImageId) -> (End, End) {
        let into = self.order.place_of(image);
        (
            End { cloud: self.from.connection.cloud.clone(), at: self.order.source.clone() },
            End { cloud: self.to.connection.cloud.clone(), at: into },
        )
    }
}
