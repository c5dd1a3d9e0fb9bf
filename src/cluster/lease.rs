//! The leader election lease. Each write is pinned to the version that was read, so that the API server refuses one of two
//! candidates. `planning::lease` decides what to do about the lease; the caller applies the consequences.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, UserInfo};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference};
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use kube::{Api, Client, ResourceExt};

use super::api_server::ApiServer;
use super::changes::WatchBackoff;
use super::{ClusterError, within_deadline};
use crate::cluster::FIELD_MANAGER;

/// A lease as read.
#[derive(Debug, Clone)]
pub struct Held {
    /// The holder; `None` if it gave the lease back.
    pub holder: Option<String>,
    /// The duration that the holder requested.
    pub duration: Duration,
    /// Changes with every write.
    pub version: String,
    lease: Lease,
}

/// One lease.
pub struct LeaseRecord {
    api: Api<Lease>,
    namespace: String,
    name: String,
    me: String,
    duration: Duration,
    api_server: Arc<ApiServer>,
}

impl LeaseRecord {
    /// The lease `namespace/name`, for a candidate with this identity, which must be unique.
    pub fn new(
        (client, api_server): (Client, Arc<ApiServer>),
        (namespace, name): (&str, &str),
        me: String,
        duration: Duration,
    ) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, namespace: namespace.to_owned(), name: name.to_owned(), me, duration, api_server }
    }

    /// Makes a call about the lease, and reports whether it works.
    async fn call<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, ClusterError> {
        let answer = within_deadline(call).await;
        let failure = answer.as_ref().err().filter(|error| !error.is_conflict());
        self.api_server.called(&format!("Lease {}", self.name), failure);
        answer
    }

    /// The identity of this candidate.
    pub fn me(&self) -> &str {
        &self.me
    }

    /// Reads the lease; `None` if it does not exist.
    pub async fn read(&self) -> Result<Option<Held>, ClusterError> {
        let Some(lease) = self.call(self.api.get_opt(&self.name)).await? else { return Ok(None) };
        let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).map(u64::try_from);
        Ok(Some(Held {
            holder: holder_of(&lease).map(ToOwned::to_owned),
            duration: Duration::from_secs(seconds.and_then(Result::ok).unwrap_or_default()),
            version: lease.resource_version().unwrap_or_default(),
            lease,
        }))
    }

    /// Emits an item whenever the API server reports that nobody holds the lease; none where it may not be watched. Never ends.
    pub fn freed(&self) -> BoxStream<'static, ()> {
        let seen = watch_object(self.api.clone(), &self.name).backoff(WatchBackoff::default());
        let seen = seen.inspect_err(|error| tracing::debug!(%error, "the lease cannot be watched"));
        seen.filter_map(async |seen| seen.ok().filter(|lease| lease.as_ref().and_then(holder_of).is_none()).map(drop))
            .boxed()
    }

    /// Creates the lease with us as the holder. `Conflict` if another candidate created it first.
    pub async fn create(&self, now: jiff::Timestamp) -> Result<(), ClusterError> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                owner_references: self.owner().await.map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            spec: Some(self.spec(&LeaseSpec::default(), now)),
        };
        self.call(self.api.create(&params(), &lease)).await.map(drop)
    }

    /// Takes or renews the lease at exactly the version that was read. `Conflict` if the lease is newer.
    pub async fn hold(&self, read: &Held, now: jiff::Timestamp) -> Result<(), ClusterError> {
        let mut lease = read.lease.clone();
        lease.spec = Some(self.spec(&lease.spec.unwrap_or_default(), now));
        self.call(self.api.replace(&self.name, &params(), &lease)).await.map(drop)
    }

    /// Gives the lease back, if it is ours, so that the next candidate need not wait.
    pub async fn give_back(&self) -> Result<(), ClusterError> {
        let Some(read) = self.read().await?.filter(|read| read.holder.as_deref() == Some(&self.me)) else {
            return Ok(());
        };
        let mut lease = read.lease;
        lease.spec.get_or_insert_default().holder_identity = None;
        self.call(self.api.replace(&self.name, &params(), &lease)).await.map(drop)
    }

    /// The service account as which we run, if it is one of the lease's namespace: an uninstallation deletes it, and Kubernetes
    /// the lease with it. Without that, the lease of the last leader would delay the next installation. Only a new lease gets an
    /// owner: to give one to an existing object can take the right to delete it.
    async fn owner(&self) -> Option<OwnerReference> {
        let reviews: Api<SelfSubjectReview> = Api::all(self.api.clone().into_client());
        let review = within_deadline(reviews.create(&params(), &SelfSubjectReview::default())).await;
        let review = review.inspect_err(|error| tracing::debug!(%error, "the lease gets no owner")).ok()?;
        owner_of(&review.status?.user_info?, &self.namespace)
    }

    fn spec(&self, old: &LeaseSpec, now: jiff::Timestamp) -> LeaseSpec {
        let ours = old.holder_identity.as_deref() == Some(&self.me);
        let changes = old.lease_transitions.unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: i32::try_from(self.duration.as_secs()).ok(),
            // For users: no candidate reads these.
            renew_time: Some(MicroTime(now)),
            acquire_time: if ours { old.acquire_time.clone() } else { Some(MicroTime(now)) },
            lease_transitions: Some(if ours { changes } else { changes.saturating_add(1) }),
            ..old.clone()
        }
    }
}

fn holder_of(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// The service account of this namespace that a user is.
fn owner_of(user: &UserInfo, namespace: &str) -> Option<OwnerReference> {
    let account = user.username.as_deref()?.strip_prefix("system:serviceaccount:")?;
    let (_, name) = account.split_once(':').filter(|(home, _)| *home == namespace)?;
    Some(OwnerReference {
        api_version: "v1".to_owned(),
        kind: "ServiceAccount".to_owned(),
        name: name.to_owned(),
        uid: user.uid.clone().filter(|uid| !uid.is_empty())?,
        ..OwnerReference::default()
    })
}

fn params() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_service_account_of_the_leases_namespace_owns_it() {
        let user = |name: &str, uid: Option<&str>| UserInfo {
            username: Some(name.to_owned()),
            uid: uid.map(ToOwned::to_owned),
            ..UserInfo::default()
        };
        let owner = owner_of(&user("system:serviceaccount:here:operator", Some("1")), "here").unwrap();
        assert_eq!((owner.kind.as_str(), owner.name.as_str(), owner.uid.as_str()), ("ServiceAccount", "operator", "1"));
        for (name, uid) in [
            ("system:serviceaccount:elsewhere:operator", Some("1")),
            ("system:serviceaccount:here:operator", None),
            ("system:serviceaccount:here", Some("1")),
            ("jane", Some("1")),
        ] {
            assert_eq!(owner_of(&user(name, uid), "here"), None, "{name}");
        }
    }
}
