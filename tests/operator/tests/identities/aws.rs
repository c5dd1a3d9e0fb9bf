//! The same at AWS.

use anyhow::{Result, ensure};
use imageshare_harness::Release;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use serde_json::{Value, json};
use support::arena::{Tenant, image, seat_unready};
use support::aws::{Aws, REGION, recipients};
use support::{Player, says};

use crate::{nothing_is_shown, stage};

const ROLE: &str = "share/imageshare";

/// The owner's account with these credentials, in a place of its own with the Secret of `secret_of`.
async fn place(here: &Aws, secret_of: u32, credentials: Value) -> Result<Player> {
    let (owner, other) = (here.tenant(0), here.tenant(secret_of));
    let mut account = owner.account;
    account["aws"]["credentials"] = credentials;
    seat_unready(&here.place, &Tenant { id: owner.id, account, secret: other.secret }, None).await
}

fn role_arn(here: &Aws) -> String {
    format!("arn:aws:iam::{}:role/{ROLE}", here.account(0))
}

async fn set_role(here: &Aws, role: Value) -> Result<()> {
    let mut role = role;
    role["name"] = json!(ROLE);
    let path = format!("/aws/accounts/{}", here.account(0));
    here.place.stage.cloud.patch(&path, &json!({"roles": [role]})).await?;
    Ok(())
}

/// Shares a new image of the owner from a place, and demands that only temporary keys asked the cloud about it.
async fn shares(here: &Aws, place: &Player) -> Result<()> {
    let id = here.new_image(json!({})).await?;
    image(place, REGION, &id, json!({})).await?;
    place.ready::<CloudImage>("golden").await?;
    let spec = json!({"imageRef": {"name": "golden"}, "recipients": recipients([here.account(1)])});
    place.create(ImageShare::new("team", serde_json::from_value(spec)?)).await?;
    place.ready::<ImageShare>("team").await?;
    here.until_shared_with(&id, [here.account(1)]).await?;
    let about = here.about(&id).await?;
    let temporary = |entry: &Value| entry["keyId"].as_str().is_some_and(|key| key.starts_with("ASIA"));
    ensure!(!about.is_empty() && about.iter().all(temporary), "{about:#?}");
    nothing_is_shown(place).await
}

#[tokio::test]
async fn a_role_of_aws_is_assumed_by_the_key_that_it_trusts() -> Result<()> {
    let here = Aws::enter_on(stage().await?).await?;
    let role = json!({"roleARN": role_arn(&here), "externalID": "cluster/team"});
    let credentials = json!({"secretRef": {"name": "golden"}, "assumeRole": role});
    let place = place(&here, 1, credentials).await?;
    let refused = place.until::<CloudAccount>("golden", "False", "AssumeRoleRefused").await?;
    let identity = format!("arn:aws:iam::{}:user/simulated", here.account(1));
    says(&refused, "Ready", &[&role_arn(&here), "AccessDenied", "trust policy", &identity, "\"cluster/team\""]);
    set_role(&here, json!({"trusts": [here.account(1)], "externalId": "cluster/team"})).await?;
    place.ready::<CloudAccount>("golden").await?;
    shares(&here, &place).await
}

#[tokio::test]
async fn a_role_of_aws_is_given_for_a_token_of_the_service_account_that_it_trusts() -> Result<()> {
    let here = Aws::enter_on(stage().await?).await?;
    let identity = json!({"serviceAccountRef": {"name": "golden"}, "roleARN": role_arn(&here)});
    let place = place(&here, 0, json!({"workloadIdentity": identity})).await?;
    place.until::<CloudAccount>("golden", "False", "TokenRequestForbidden").await?;
    let (namespace, user) = (place.namespace.name(), Release::default().user());
    let rights = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "golden", "namespace": namespace}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "tokens", "namespace": namespace},
            "rules": [{"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "tokens", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tokens"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]},
    ]});
    place.stage.control_plane.apply(&rights.to_string()).await?;
    let refused = place.until::<CloudAccount>("golden", "False", "AssumeRoleRefused").await?;
    let subject = format!("system:serviceaccount:{namespace}:golden");
    says(&refused, "Ready", &[&role_arn(&here), &subject, "sts.amazonaws.com", "OIDC provider"]);
    let trusted = json!([{"subject": subject, "audience": "sts.amazonaws.com"}]);
    set_role(&here, json!({"serviceAccounts": trusted})).await?;
    place.ready::<CloudAccount>("golden").await?;
    shares(&here, &place).await
}
