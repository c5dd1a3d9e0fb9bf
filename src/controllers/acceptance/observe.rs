//! What a reconcile of one offer observes in Kubernetes, and whether it may call the cloud.

use kube::ResourceExt;

use crate::api::conditions::Reason;
use crate::api::{CloudAccount, SharedImageAcceptance};
use crate::clouds::ImageRef;
use crate::domain::identifiers::{ImageId, PrincipalId, RegionId, VaultId};
use crate::domain::provider::Provider;
use crate::planning::problem::Problem;
use crate::reconcile::access::{Access, NoAccount, check_account, connect};
use crate::reconcile::caches::Caches;
use crate::reconcile::context::Context;
use crate::reconcile::convert::is_unseen;
use crate::reconcile::duplicates::Duplicates;

/// The desired state in Kubernetes, from the caches.
pub(crate) struct Desired {
    pub(super) account: Result<CloudAccount, NoAccount>,
    /// The other acceptances of the same offer, one of which may be active instead.
    pub(super) duplicates: Duplicates,
    /// The account waits for its first reconcile.
    pub(super) expecting: bool,
}

/// An offer for which the operator may call the cloud.
pub(super) struct OfferAccess {
    pub(super) provider: Provider,
    pub(super) at: ImageRef,
    pub(super) trusted: PrincipalId,
    pub(super) vault: Option<VaultId>,
    pub(super) access: Access,
}

pub(super) fn observe_desired(caches: &Caches<'_>, acceptance: &SharedImageAcceptance) -> Desired {
    let (spec, namespace) = (&acceptance.spec, acceptance.namespace().unwrap_or_default());
    let account = caches.account(&namespace, &spec.account_ref.name, &[&spec.region]);
    let duplicates = Duplicates::observe(caches, acceptance);
    // Also before this object ever observed the offer: the inventory often shows the offer first.
    caches.inventory((&namespace, &spec.account_ref.name), &spec.region, &spec.image_id);
    if let Ok(account) = &account {
        let via = acceptance.status.iter().flat_map(|status| &status.via).map(|via| via.id.as_str()).collect();
        caches.grants_to(account, (&spec.region, &spec.image_id), &via);
    }
    let expecting = account.as_ref().is_ok_and(is_unseen);
    Desired { account, duplicates, expecting }
}

/// Whether and how the operator may call the cloud for the offer: all checks before any call.
pub(super) async fn observe_access(
    ctx: &Context,
    acceptance: &SharedImageAcceptance,
    desired: &Desired,
) -> Result<OfferAccess, Problem> {
    let spec = &acceptance.spec;
    let account = desired.account.as_ref().map_err(|no| no.problem("spec.accountRef", &spec.account_ref.name))?;
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
    desired.duplicates.problem().map_or(Ok(()), Err)?;
    Ok(OfferAccess { provider, at, trusted, vault, access })
}
