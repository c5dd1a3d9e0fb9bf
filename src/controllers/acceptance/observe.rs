//! What a reconcile of one offer observes in Kubernetes, and whether it may call the cloud.

use kube::ResourceExt;

use crate::api::conditions::Reason;
use crate::api::{CloudAccount, SharedImageAcceptance};
use crate::clouds::ImageRef;
use crate::domain::identifiers::{ImageId, PrincipalId, RegionId, VaultId};
use crate::domain::provider::Provider;
use crate::planning::problem::Problem;
use crate::reconcile::access::{Access, account_of, check_account, connect, no_account};
use crate::reconcile::context::Context;
use crate::reconcile::convert::{account_input, is_unseen, listed, requested_at};
use crate::reconcile::counterparts::grants_to;
use crate::reconcile::duplicates::Duplicates;
use crate::reconcile::object_state::Inputs;

/// The desired state in Kubernetes, from the caches.
pub(super) struct Desired {
    pub(super) account: Option<CloudAccount>,
    /// The other acceptances of the same offer, one of which may be active instead.
    pub(super) duplicates: Duplicates,
    pub(super) inputs: Inputs,
    /// The account waits for its first reconcile.
    pub(super) expecting: bool,
}

/// An offer for which the operator may call the cloud.
pub(super) struct Site {
    pub(super) provider: Provider,
    pub(super) at: ImageRef,
    pub(super) trusted: PrincipalId,
    pub(super) vault: Option<VaultId>,
    pub(super) access: Access,
}

pub(super) fn observe_desired(ctx: &Context, acceptance: &SharedImageAcceptance) -> Desired {
    let namespace = acceptance.namespace().unwrap_or_default();
    let account = account_of(ctx, &namespace, &acceptance.spec.account_ref.name);
    let mut inputs = vec![format!(
        "acceptance {:?} {} {:?}",
        acceptance.metadata.generation,
        acceptance.metadata.deletion_timestamp.is_some(),
        requested_at(acceptance)
    )];
    inputs.extend(account.as_ref().map(|account| account_input(account, &[&acceptance.spec.region])));
    let duplicates = Duplicates::observe(ctx, acceptance);
    // Also before this object ever observed the offer: the inventory often shows the offer first.
    let spec = &acceptance.spec;
    let listed = listed((&namespace, &spec.account_ref.name), &spec.region, &spec.image_id, &ctx.stores);
    inputs.push(format!("duplicates {} listed {listed:?}", duplicates.input()));
    let via = acceptance.status.iter().flat_map(|status| &status.via).map(|via| via.id.as_str()).collect();
    let place = (spec.region.as_str(), spec.image_id.as_str());
    inputs.extend(account.iter().flat_map(|account| grants_to(ctx, account, place, &via)));
    let expecting = account.as_ref().is_some_and(is_unseen);
    Desired { account, duplicates, inputs: Inputs(inputs), expecting }
}

/// Whether and how the operator may call the cloud for the offer: all checks before any call.
pub(super) async fn observe_site(
    ctx: &Context,
    acceptance: &SharedImageAcceptance,
    desired: &Desired,
) -> Result<Site, Problem> {
    let spec = &acceptance.spec;
    let namespace = acceptance.namespace().unwrap_or_default();
    let missing = || no_account(ctx, &namespace, "spec.accountRef", &spec.account_ref.name);
    let account = desired.account.as_ref().ok_or_else(missing)?;
    let recorded = acceptance.status.as_ref().and_then(|status| status.account.as_ref());
    check_account(account, recorded)?;
    if spec.suspend {
        return Err(Problem::blocked(Reason::Suspended, "spec.suspend: nothing is answered"));
    }
    let unreadable = |field: &str, error: crate::domain::identifiers::InvalidIdentifier| {
        Problem::blocked(Reason::Unreadable, format!("{field}: {error}"))
    };
    let Some(tenancy) = account.spec.tenancy() else {
        return Err(Problem::blocked(Reason::Unreadable, "the CloudAccount names no provider"));
    };
    let provider = tenancy.provider();
    let at = ImageRef {
        region: RegionId::parse(&spec.region).map_err(|e| unreadable("spec.region", e))?,
        image: ImageId::parse(&spec.image_id).map_err(|e| unreadable("spec.imageID", e))?,
    };
    let trusted = provider.parse_principal(&spec.owner).map_err(|e| unreadable("spec.owner", e))?;
    let vault = spec.vault_id.as_deref().map(VaultId::parse).transpose().map_err(|e| unreadable("spec.vaultID", e))?;
    let access = connect(ctx, account, (&at.region, "spec.region"), recorded).await?;
    desired.duplicates.connected(&access.owner);
    desired.duplicates.obstacle().map_or(Ok(()), Err)?;
    Ok(Site { provider, at, trusted, vault, access })
}
