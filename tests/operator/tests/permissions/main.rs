//! The chart's rights are exact: an operator lives a short life with them, and what the API server wrote down of it is held
//! against them. Nothing was refused, and nothing is granted that it did not use.

mod life;
mod rights;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use imageshare_harness::audit::Request;
use imageshare_harness::{ControlPlane, Release, assets, run};

use life::Life;
use rights::{Rights, Scope};

/// Where the operator's objects are, and those of nobody.
const FIRST: &str = "owners";
const SECOND: &str = "receivers";
const THIRD: &str = "strangers";

async fn control_plane() -> Result<ControlPlane> {
    let control_plane = ControlPlane::start(&run::folder_of_this_binary()?).await?;
    control_plane.install(&assets::workspace().join("crds")).await?;
    for namespace in [FIRST, SECOND, THIRD] {
        control_plane.kubectl(&["create", "namespace", namespace]).await?;
    }
    Ok(control_plane)
}

/// Everything that the rights allow was done, and nothing was refused.
fn judge(rights: &Rights, requests: &[Request]) -> Result<()> {
    ensure!(!requests.is_empty(), "nothing was written down");
    let refused: BTreeSet<String> = requests.iter().filter(|r| r.code() == Some(403)).map(line).collect();
    ensure!(refused.is_empty(), "refused, since the chart does not grant it: {refused:#?}");
    let beside = requests.iter().filter(|r| !rights.cover(r) && !is_everybodys(r));
    let beside: BTreeSet<String> = beside.map(line).collect();
    ensure!(beside.is_empty(), "done by other rights than the chart's: {beside:#?}");
    let unused = rights.unused(requests);
    ensure!(unused.is_empty(), "granted by the chart, and never used: {unused:#?}");
    Ok(())
}

/// What the API server tells every authenticated client: of the kinds it serves (`system:discovery`), and who the client is
/// (`system:basic-user`).
fn is_everybodys(request: &Request) -> bool {
    let who_am_i = request.uri.starts_with("/apis/authentication.k8s.io/v1/selfsubjectreviews");
    request.verb == "get" && request.uri == "/openapi/v3/apis/imageshare.dev/v1alpha1"
        || request.verb == "create" && who_am_i
}

fn line(request: &Request) -> String {
    format!("{} {} -> {:?}", request.verb, request.uri, request.code())
}

#[tokio::test]
async fn everything_granted_is_used_and_everything_used_is_granted() -> Result<()> {
    let control_plane = control_plane().await?;
    let release = Release::default();
    Life::begin(&control_plane, &release, &[]).await?.live().await?;
    let rights = Rights::parse(&release.rights().await?)?;
    rights.secrets_are_touched_by_name_only()?;
    judge(&rights, &control_plane.requests_of(&release.user())?)
}

#[tokio::test]
async fn in_namespaced_mode_roles_are_enough_and_other_namespaces_stay_untouched() -> Result<()> {
    let control_plane = control_plane().await?;
    let release = Release::watching("imageshare-narrow", &[FIRST, SECOND]);
    let arguments = ["--watch-namespace", FIRST, "--watch-namespace", SECOND];
    let life = Life::begin(&control_plane, &release, &arguments).await?;
    life.apply_to(THIRD, "quickstart").await?;
    life.live().await?;

    let rights = Rights::parse(&release.rights().await?)?;
    rights.secrets_are_touched_by_name_only()?;
    let places = [FIRST, SECOND, "imageshare-narrow"].map(|name| Scope::Namespace(name.to_owned()));
    ensure!(rights.scopes() == BTreeSet::from(places), "{:?}", rights.scopes());
    judge(&rights, &control_plane.requests_of(&release.user())?)?;

    let strangers = ["get", "cloudaccount,cloudimage,imageshare", "-n", THIRD, "-o", "json"];
    let strangers: serde_json::Value = serde_json::from_str(&control_plane.kubectl(&strangers).await?)?;
    let strangers = strangers["items"].as_array().unwrap();
    ensure!(strangers.len() == 3);
    for object in strangers {
        let (status, finalizers) = (&object["status"], &object["metadata"]["finalizers"]);
        ensure!(status["conditions"].is_null() && finalizers.is_null(), "touched: {object}");
    }
    Ok(())
}

#[test]
fn a_right_that_is_missing_or_not_used_is_told() -> Result<()> {
    let rights = Rights::parse(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: a, namespace: first}\n\
         rules: [{apiGroups: [\"\"], resources: [secrets], verbs: [get, list]}]\n",
    )?;
    let request = |verb: &str, namespace: &str| {
        let object = serde_json::json!({"resource": "secrets", "namespace": namespace, "name": "key"});
        let request = serde_json::json!({"verb": verb, "requestURI": "/", "objectRef": object,
            "user": {"username": "operator"}, "responseStatus": {"code": 200}});
        serde_json::from_value::<Request>(request).unwrap()
    };
    let told = |requests: &[Request]| judge(&rights, requests).unwrap_err().to_string();
    assert!(told(&[request("get", "first")]).contains("never used"));
    assert!(told(&[request("get", "first"), request("list", "second")]).contains("other rights"));
    assert!(judge(&rights, &[request("get", "first"), request("list", "first")]).is_ok());
    assert!(rights.secrets_are_touched_by_name_only().is_err());
    Ok(())
}
