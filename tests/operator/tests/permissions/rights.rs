//! What roles grant, one verb on one resource at a time.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};
use imageshare_harness::audit::Request;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use serde::Deserialize as _;
use serde_json::Value;

/// Where a right holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    Cluster,
    Namespace(String),
}

/// One verb on one resource, perhaps of one name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Right {
    verb: String,
    group: String,
    /// With its subresource, as `cloudimages/status`.
    resource: String,
    name: Option<String>,
}

impl Right {
    fn fits(&self, request: &Request) -> bool {
        let object = &request.object_ref;
        let resource = match object.subresource.as_str() {
            "" => object.resource.clone(),
            subresource => format!("{}/{subresource}", object.resource),
        };
        self.verb == request.verb
            && self.group == object.api_group
            && self.resource == resource
            && self.name.as_ref().is_none_or(|name| *name == object.name)
    }
}

/// All rights of a release, and where each holds.
pub(crate) struct Rights(BTreeMap<Right, BTreeSet<Scope>>);

impl Rights {
    /// Reads them from rendered roles; what else is there is passed over.
    pub(crate) fn parse(documents: &str) -> Result<Self> {
        let mut rights = Self(BTreeMap::new());
        for document in serde_yaml::Deserializer::from_str(documents) {
            let document = Value::deserialize(document)?;
            match document["kind"].as_str() {
                Some("ClusterRole") => {
                    let role: ClusterRole = serde_json::from_value(document)?;
                    ensure!(role.aggregation_rule.is_none(), "an aggregated role");
                    rights.add(&Scope::Cluster, &role.rules.unwrap_or_default())?;
                }
                Some("Role") => {
                    let role: Role = serde_json::from_value(document)?;
                    let namespace = Scope::Namespace(role.metadata.namespace.unwrap_or_default());
                    rights.add(&namespace, &role.rules.unwrap_or_default())?;
                }
                _ => {}
            }
        }
        Ok(rights)
    }

    fn add(&mut self, scope: &Scope, rules: &[PolicyRule]) -> Result<()> {
        for rule in rules {
            let (groups, resources) = (rule.api_groups.iter().flatten(), rule.resources.iter().flatten());
            let names: Vec<Option<String>> = match rule.resource_names.as_deref().unwrap_or_default() {
                [] => vec![None],
                names => names.iter().cloned().map(Some).collect(),
            };
            if rule.non_resource_urls.is_some() {
                bail!("a right on what is no object: {rule:?}");
            }
            for (group, resource, verb, name) in groups
                .flat_map(|group| resources.clone().map(move |resource| (group, resource)))
                .flat_map(|(group, resource)| rule.verbs.iter().map(move |verb| (group, resource, verb)))
                .flat_map(|(group, resource, verb)| names.iter().map(move |name| (group, resource, verb, name)))
            {
                ensure!(![group, resource, verb].iter().any(|text| text.contains('*')), "a wildcard: {rule:?}");
                let (verb, group, resource) = (verb.clone(), group.clone(), resource.clone());
                let right = Right { verb, group, resource, name: name.clone() };
                self.0.entry(right).or_default().insert(scope.clone());
            }
        }
        Ok(())
    }

    /// Whether they allow a request.
    pub(crate) fn cover(&self, request: &Request) -> bool {
        let here = Scope::Namespace(request.object_ref.namespace.clone());
        self.0
            .iter()
            .any(|(right, scopes)| right.fits(request) && (scopes.contains(&Scope::Cluster) || scopes.contains(&here)))
    }

    /// Those that no request needed.
    pub(crate) fn unused(&self, requests: &[Request]) -> Vec<&Right> {
        self.0.keys().filter(|right| !requests.iter().any(|request| right.fits(request))).collect()
    }

    /// Where any of them holds.
    pub(crate) fn scopes(&self) -> BTreeSet<Scope> {
        self.0.values().flatten().cloned().collect()
    }

    /// Fails if a Secret could be listed, watched, made or deleted. What a patch of one may change is held by a policy.
    pub(crate) fn secrets_are_touched_by_name_only(&self) -> Result<()> {
        let verbs: BTreeSet<&str> =
            self.0.keys().filter(|right| right.resource == "secrets").map(|right| right.verb.as_str()).collect();
        ensure!(verbs.is_subset(&BTreeSet::from(["get", "patch"])), "Secrets: {verbs:?}");
        Ok(())
    }
}
