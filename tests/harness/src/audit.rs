//! What the API server's audit log says of one user: each request once, when it was answered.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// What is written down: requests of service accounts outside the cluster's own namespace, without their bodies. A
/// watch is written when it begins, everything else when it is answered.
pub(crate) const POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: [admin]
- level: None
  userGroups: [\"system:serviceaccounts:kube-system\", \"system:nodes\"]
- level: Metadata
  userGroups: [\"system:serviceaccounts\"]
";

/// One request.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// Path and query.
    #[serde(rename = "requestURI")]
    pub uri: String,
    /// What it was about; nothing for what is no object.
    #[serde(default)]
    pub object_ref: Object,
    user: User,
    response_status: Option<Status>,
}

/// The object or list of a request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Object {
    /// Empty for the core group.
    pub api_group: String,
    /// In the plural.
    pub resource: String,
    /// As `status`; empty for the object itself.
    pub subresource: String,
    /// Empty for what is asked of all namespaces, or is in none.
    pub namespace: String,
    /// Empty for a list.
    pub name: String,
}

#[derive(Debug, Clone, Deserialize)]
struct User {
    username: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Status {
    code: Option<u16>,
}

impl Request {
    /// The answer's HTTP status.
    pub fn code(&self) -> Option<u16> {
        self.response_status.as_ref()?.code
    }
}

/// All requests of a user so far.
pub(crate) fn read(log: &Path, user: &str) -> Result<Vec<Request>> {
    let text = std::fs::read_to_string(log).with_context(|| format!("reading {}", log.display()))?;
    // The last line may be half written.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let requests = whole.lines().map(serde_json::from_str::<Request>);
    let requests: Vec<Request> = requests.collect::<Result<_, _>>().context("the audit log")?;
    Ok(requests.into_iter().filter(|request| request.user.username == user).collect())
}
