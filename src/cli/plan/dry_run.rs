//! What the API server would store of each document of a set, and of each deletion: dry runs with the user's own rights.
//! Admission and every rule are judged as for a real write, and nothing is written.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::Status;
use serde_json::{Value, json};

use super::applying::{Application, application};
use super::set::{Accepted, Finding, Key};
use crate::api::{
    ChannelShare, CloudAccount, CloudImage, ImageChannel, ImageReplica, ImageShare, SharedImageAcceptance,
};
use crate::cli::CliError;
use crate::cli::output::safe;
use crate::cli::reader::{Missing, cluster};
use crate::cluster::{ClusterError, within_deadline};

/// Dry runs at the same time.
const AT_ONCE: usize = 8;

const FORBIDDEN: u16 = 403;
const NOT_FOUND: u16 = 404;

/// An object before and after the set was applied.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) kind: String,
    pub(crate) key: Key,
    /// As it is; `None`: it does not exist.
    pub(crate) before: Option<Value>,
    /// As it would be; `None`: it would not exist. With a deletion timestamp while finalizers keep it.
    pub(crate) after: Option<Value>,
}

impl Change {
    /// Whether applying the set does something to the object that sharing depends on.
    pub(crate) fn is_change(&self) -> bool {
        let part =
            |object: &Option<Value>, path: &str| object.as_ref().and_then(|object| object.pointer(path)).cloned();
        let differs = |path: &str| part(&self.before, path) != part(&self.after, path);
        let labels = self.kind == NAMESPACE && differs("/metadata/labels");
        self.before.is_some() != self.after.is_some()
            || differs("/spec") && self.kind != NAMESPACE
            || differs("/metadata/deletionTimestamp")
            || labels
    }

    /// Whether the object is deleted.
    pub(crate) fn is_deletion(&self) -> bool {
        let ends = |object: &Value| object.pointer("/metadata/deletionTimestamp").is_some();
        self.before.is_some() && self.after.as_ref().is_none_or(ends)
    }
}

/// What the API server says of a set.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    pub(crate) changes: Vec<Change>,
    pub(crate) refused: Vec<Finding>,
    /// Rights that were missing: the objects are in no list.
    pub(crate) missing: Vec<Missing>,
}

pub(crate) const NAMESPACE: &str = "Namespace";

/// The resource of a kind that a set may hold.
fn resource(kind: &str) -> Option<ApiResource> {
    Some(match kind {
        "CloudAccount" => ApiResource::erase::<CloudAccount>(&()),
        "CloudImage" => ApiResource::erase::<CloudImage>(&()),
        "ImageShare" => ApiResource::erase::<ImageShare>(&()),
        "ImageChannel" => ApiResource::erase::<ImageChannel>(&()),
        "ChannelShare" => ApiResource::erase::<ChannelShare>(&()),
        "SharedImageAcceptance" => ApiResource::erase::<SharedImageAcceptance>(&()),
        "ImageReplica" => ApiResource::erase::<ImageReplica>(&()),
        NAMESPACE => ApiResource::erase::<Namespace>(&()),
        _ => return None,
    })
}

/// A dry run.
enum Ran {
    Changed(Box<Change>),
    Refused(Vec<Finding>),
    Lacks(Missing),
    /// A kind that has nothing to do with sharing.
    Other,
}

/// Applies the documents and deletes the others, each by a dry run. `namespaces`: those that the set creates itself.
///
/// # Errors
///
/// An API server that does not answer.
pub(crate) async fn judge(
    client: &Client,
    applied: &[Accepted],
    deleted: &[Accepted],
    now: Timestamp,
) -> Result<Judgement, CliError> {
    let mut judgement = Judgement::default();
    let namespaces: Vec<&str> =
        applied.iter().filter(|one| one.kind == NAMESPACE).map(|one| one.key.1.as_str()).collect();
    let applications = applied.iter().map(|one| apply(client, one, &namespaces));
    let ran: Vec<Ran> = stream::iter(applications).buffered(AT_ONCE).try_collect().await?;
    let deletions = deleted.iter().map(|one| delete(client, one, now));
    let ended: Vec<Ran> = stream::iter(deletions).buffered(AT_ONCE).try_collect().await?;
    for ran in ran.into_iter().chain(ended) {
        match ran {
            Ran::Changed(change) => judgement.changes.push(*change),
            Ran::Refused(mut findings) => judgement.refused.append(&mut findings),
            Ran::Lacks(missing) if judgement.missing.contains(&missing) => {}
            Ran::Lacks(missing) => judgement.missing.push(missing),
            Ran::Other => {}
        }
    }
    Ok(judgement)
}

fn api(client: &Client, resource: &ApiResource, (namespace, _): &Key) -> Api<DynamicObject> {
    if resource.kind == NAMESPACE {
        Api::all_with(client.clone(), resource)
    } else {
        Api::namespaced_with(client.clone(), namespace, resource)
    }
}

/// The object as it is: `Err` holds the answer where there is none.
async fn read(
    api: &Api<DynamicObject>,
    one: &Accepted,
    resource: &ApiResource,
) -> Result<Result<Option<Value>, Ran>, CliError> {
    match within_deadline(api.get_opt(&one.key.1)).await {
        Ok(None) => Ok(Ok(None)),
        Ok(Some(object)) => value_of(&object).map(|value| Ok(Some(value))),
        Err(error) => refusal(one, resource, "get", error).map(Err),
    }
}

async fn apply(client: &Client, one: &Accepted, namespaces: &[&str]) -> Result<Ran, CliError> {
    let Some(resource) = resource(&one.kind) else { return Ok(Ran::Other) };
    let api = api(client, &resource, &one.key);
    let live = match read(&api, one, &resource).await? {
        Ok(live) => live,
        Err(ran) => return Ok(ran),
    };
    let changed = |before: Option<Value>, after: Value| {
        let (kind, key) = (one.kind.clone(), one.key.clone());
        Ran::Changed(Box::new(Change { kind, key, before, after: Some(after) }))
    };
    let document = one.to_apply();
    let Some(live) = live else {
        let params = PostParams { dry_run: true, ..PostParams::default() };
        let object = parsed(&document)?;
        return match within_deadline(api.create(&params, &object)).await {
            Ok(created) => Ok(changed(None, value_of(&created)?)),
            // What the set creates in a namespace that it creates too, the API server cannot judge yet.
            Err(error) if code(&error) == Some(NOT_FOUND) && namespaces.contains(&one.key.0.as_str()) => {
                Ok(changed(None, document))
            }
            Err(error) => refusal(one, &resource, "create", error),
        };
    };
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    let patched = match application(&live, &document) {
        Application::Merge(patch) if patch == json!({}) => return Ok(changed(Some(live.clone()), live)),
        Application::Merge(patch) => within_deadline(api.patch(&one.key.1, &params, &Patch::Merge(patch))).await,
        Application::Apply(manager) => {
            let params = PatchParams { force: true, field_manager: Some(manager), ..params };
            within_deadline(api.patch(&one.key.1, &params, &Patch::Apply(document))).await
        }
    };
    match patched {
        Ok(after) => Ok(changed(Some(live), value_of(&after)?)),
        Err(error) => refusal(one, &resource, "patch", error),
    }
}

async fn delete(client: &Client, one: &Accepted, now: Timestamp) -> Result<Ran, CliError> {
    let Some(resource) = resource(&one.kind).filter(|resource| resource.kind != NAMESPACE) else {
        return Ok(Ran::Other);
    };
    let api = api(client, &resource, &one.key);
    let live = match read(&api, one, &resource).await? {
        Ok(Some(live)) => live,
        Ok(None) => return Ok(Ran::Other),
        Err(ran) => return Ok(ran),
    };
    let params = DeleteParams { dry_run: true, ..DeleteParams::default() };
    if let Err(error) = within_deadline(api.delete(&one.key.1, &params)).await {
        return refusal(one, &resource, "delete", error);
    }
    let is_kept = live.pointer("/metadata/finalizers").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
    let mut after = live.clone();
    if let Some(metadata) = after.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.entry("deletionTimestamp").or_insert_with(|| now.to_string().into());
    }
    let (kind, key) = (one.kind.clone(), one.key.clone());
    Ok(Ran::Changed(Box::new(Change { kind, key, before: Some(live), after: is_kept.then_some(after) })))
}

fn parsed(document: &Value) -> Result<DynamicObject, CliError> {
    serde_json::from_value(document.clone()).map_err(|error| CliError::Output(error.to_string()))
}

fn value_of(object: &DynamicObject) -> Result<Value, CliError> {
    serde_json::to_value(object).map_err(|error| CliError::Output(error.to_string()))
}

fn code(error: &ClusterError) -> Option<u16> {
    status(error).map(|status| status.code)
}

fn status(error: &ClusterError) -> Option<&Status> {
    match error {
        ClusterError::Api(kube::Error::Api(status)) => Some(status),
        _ => None,
    }
}

/// What an error means for a plan. Fails where the API server did not judge the object.
fn refusal(one: &Accepted, resource: &ApiResource, verb: &'static str, error: ClusterError) -> Result<Ran, CliError> {
    let named = format!("{}.{}", resource.plural, resource.group);
    let what = format!("judging {} {}/{}", one.kind, one.key.0, one.key.1);
    let Some(status) = status(&error) else {
        return match error {
            ClusterError::Conflict => {
                Ok(Ran::Refused(vec![one.finding("", "the object changed meanwhile: run the plan again")]))
            }
            error => Err(cluster(what, error)),
        };
    };
    let (message, plural) = (safe(&status.message), resource.plural.as_str());
    match status.code {
        // Admission may forbid too; of a missing right the API server names the verb.
        FORBIDDEN if status.message.contains(&format!("cannot {verb} resource")) => {
            let is_cluster_wide = resource.kind == NAMESPACE;
            let namespace = Some(one.key.0.clone()).filter(|_| !is_cluster_wide);
            let resource = if resource.group.is_empty() { plural.to_owned() } else { named };
            Ok(Ran::Lacks(Missing { verb, resource, namespace }))
        }
        NOT_FOUND if verb == "get" => Err(CliError::Refused(format!(
            "the cluster has no {named}: imageshare-operator is not installed there, or an older version"
        ))),
        400..500 => {
            let causes = status.details.iter().flat_map(|details| &details.causes);
            let of_cause = |cause: &kube::core::response::StatusCause| {
                one.finding(cause.field.trim_start_matches('.'), safe(&cause.message))
            };
            let findings: Vec<Finding> = causes.filter(|cause| !cause.field.is_empty()).map(of_cause).collect();
            let whole = || vec![one.finding("", format!("the API server refuses it: {message}"))];
            Ok(Ran::Refused(if findings.is_empty() { whole() } else { findings }))
        }
        _ => Err(cluster(what, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(before: Option<Value>, after: Option<Value>) -> Change {
        Change { kind: "ImageShare".into(), key: ("n".into(), "x".into()), before, after }
    }

    #[test]
    fn only_what_sharing_depends_on_counts_as_a_change() {
        let object = |spec: &str, label: &str| json!({"metadata": {"labels": {"l": label}}, "spec": spec});
        assert!(!change(Some(object("a", "1")), Some(object("a", "2"))).is_change());
        assert!(change(Some(object("a", "1")), Some(object("b", "1"))).is_change());
        assert!(change(None, Some(object("a", "1"))).is_change());
        let deleted = change(Some(object("a", "1")), None);
        assert!(deleted.is_change() && deleted.is_deletion());
        let of_namespace = Change { kind: NAMESPACE.into(), ..change(Some(object("a", "1")), Some(object("b", "2"))) };
        assert!(of_namespace.is_change() && !of_namespace.is_deletion(), "its labels give consent");
    }

    #[test]
    fn every_kind_that_a_set_may_hold_is_judged() {
        let unjudged: Vec<String> = crate::api::all_crds()
            .into_iter()
            .map(|crd| crd.spec.names.kind)
            .filter(|kind| resource(kind).is_none())
            .collect();
        assert_eq!(unjudged, ["SharedImage"], "which only the operator writes");
    }
}
