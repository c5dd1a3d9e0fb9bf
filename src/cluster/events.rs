//! The closed set of event reasons. An event reports an action; conditions report state.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{StreamExt, stream};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, Resource};
use tokio::sync::mpsc;

use super::{ClusterError, FIELD_MANAGER, within_deadline};

/// Longest note the API server accepts, in bytes.
const NOTE_BYTES_MAX: usize = 1024;

/// Most of an object's name that the name of an event repeats: it has 253 characters at most, of which 17 make it unique.
const OBJECT_PART_MAX: usize = 236;

/// Most events that wait to be written.
const QUEUED_MAX: usize = 4096;

/// Concurrent writes of events.
const WRITES_AT_ONCE: usize = 4;

/// Events about one object: this many at once, and then one each [`REFILL`]. Kubernetes' own components allow 25 at once too.
const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(24);

/// How soon an object may have another event after a burst.
const REFILL: Duration = Duration::from_secs(10);

/// Objects whose events are counted before those with a full budget are forgotten.
const KEYS_MAX: usize = 4096;

/// The reason of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventReason {
    /// Recipients can use the image now.
    Granted,
    /// The operator adopted recipients that already had the image.
    Adopted,
    /// Recipients can no longer use the image.
    Revoked,
    /// Recipients can no longer use the image, since their `ImageShare` expired.
    Expired,
    /// Recipients keep the image without an `ImageShare`.
    Retained,
    /// The cloud refuses to end the access of recipients.
    RevokeRefused,
    /// The operator found recipients that no object requested.
    UnmanagedFound,
    /// Recipients had lost the image, and not through the operator.
    DriftFound,
    /// Recipients gave the image back, and do not get it again by themselves.
    RecipientLeft,
    /// The image has too few slots for all recipients.
    RecipientLimit,
    /// Recipients can copy the image now.
    CopyAllowed,
    /// Recipients can no longer copy the image.
    CopyEnded,
    /// Something blocks the deletion of the object.
    DeletionBlocked,
    /// The cloud rejects the account's credentials.
    CredentialsRejected,
    /// The cloud accepts a new key of the account.
    CredentialsVerified,
    /// The Secret of the account is being deleted.
    SecretDeleting,
    /// The operator cannot use the account, for another reason.
    AccountBlocked,
    /// The operator deleted the image at the cloud.
    ImageDeleted,
    /// Another account offers this account an image.
    OfferReceived,
    /// The operator accepted an offer.
    Accepted,
    /// The operator rejected an offer.
    Rejected,
    /// The owner revoked the access to an image.
    RevokedByOwner,
    /// The operator requested a copy from the cloud.
    CopyStarted,
    /// A copy is complete.
    Replicated,
    /// A copy failed.
    CopyFailed,
    /// Another version of a channel is the latest.
    LatestMoved,
    /// A version of a channel is Deprecated: nobody new gets it, and access to it ends later.
    VersionDeprecated,
    /// Access to a version of a channel is being ended.
    VersionRevoking,
    /// Nobody has a version of a channel through it any more.
    VersionRetired,
    /// Something holds back the end of access to an old version of a channel.
    RotationBlocked,
    /// The object cannot be read as its kind.
    Unreadable,
    /// The API server hides fields of the object, and the operator does not reconcile it.
    DefinitionsOutdated,
}

impl EventReason {
    fn action(self) -> &'static str {
        match self {
            Self::Granted | Self::RecipientLimit | Self::CopyAllowed => "Grant",
            Self::Adopted => "Adopt",
            Self::Revoked | Self::Expired | Self::Retained | Self::RevokeRefused | Self::CopyEnded => "Revoke",
            Self::UnmanagedFound
            | Self::DriftFound
            | Self::RecipientLeft
            | Self::OfferReceived
            | Self::RevokedByOwner => "Observe",
            Self::CredentialsVerified
            | Self::CredentialsRejected
            | Self::SecretDeleting
            | Self::AccountBlocked
            | Self::DefinitionsOutdated
            | Self::Unreadable => "Verify",
            Self::Accepted => "Accept",
            Self::Rejected => "Reject",
            Self::ImageDeleted | Self::DeletionBlocked => "Delete",
            Self::CopyStarted | Self::Replicated | Self::CopyFailed => "Copy",
            Self::LatestMoved
            | Self::VersionDeprecated
            | Self::VersionRevoking
            | Self::VersionRetired
            | Self::RotationBlocked => "Rotate",
        }
    }

    /// `Normal` or `Warning`, as the API has them.
    fn kind(self) -> &'static str {
        match self {
            Self::Granted
            | Self::Adopted
            | Self::OfferReceived
            | Self::Accepted
            | Self::Rejected
            | Self::CredentialsVerified
            | Self::CopyStarted
            | Self::CopyAllowed
            | Self::LatestMoved
            | Self::VersionDeprecated
            | Self::VersionRevoking
            | Self::VersionRetired
            | Self::Replicated => "Normal",
            Self::Revoked
            | Self::Expired
            | Self::Retained
            | Self::RevokeRefused
            | Self::CopyEnded
            | Self::UnmanagedFound
            | Self::DriftFound
            | Self::RecipientLeft
            | Self::RecipientLimit
            | Self::DeletionBlocked
            | Self::CredentialsRejected
            | Self::SecretDeleting
            | Self::AccountBlocked
            | Self::ImageDeleted
            | Self::RevokedByOwner
            | Self::CopyFailed
            | Self::DefinitionsOutdated
            | Self::RotationBlocked
            | Self::Unreadable => "Warning",
        }
    }
}

/// Publishes events: each is an object of its own, since the recorder of `kube` counts events whose notes differ as one. A
/// task writes them: no reconcile waits for it or fails with it.
pub struct Events {
    controller: String,
    instance: String,
    queue: mpsc::Sender<Event>,
    /// How many more events each object may have now, by uid.
    budgets: DefaultKeyedRateLimiter<String>,
}

impl Events {
    /// Publishes events in the name of this controller, and of this process of it.
    pub fn new(client: Client, controller: &str, instance: Option<String>) -> Self {
        let (queue, events) = mpsc::channel(QUEUED_MAX);
        tokio::spawn(write_all(client, events));
        let budgets =
            RateLimiter::keyed(Quota::with_period(REFILL).unwrap_or(Quota::per_minute(BURST)).allow_burst(BURST));
        let instance = instance.unwrap_or_else(|| controller.to_owned());
        Self { controller: controller.to_owned(), instance, queue, budgets }
    }

    /// Publishes one event about an object.
    pub fn publish<K: Resource<DynamicType = ()>>(&self, object: &K, what: EventReason, note: String) {
        self.publish_about(object.object_ref(&()), what, note);
    }

    /// Publishes one event about the object of this reference. What cannot be queued, or is too much about one object, is
    /// dropped: an event is a courtesy, and conditions and the audit log say the same.
    pub fn publish_about(&self, about: ObjectReference, what: EventReason, note: String) {
        let name = about.name.clone().unwrap_or_default();
        if self.budgets.check_key(&about.uid.clone().unwrap_or_default()).is_err() {
            tracing::debug!(object.name = name, event = ?what, "too many events about one object: this one is dropped");
            return;
        }
        if self.budgets.len() > KEYS_MAX {
            self.budgets.retain_recent();
        }
        if self.queue.try_send(self.event(about, what, note)).is_err() {
            tracing::debug!(object.name = name, event = ?what, "too many events wait to be written: this one is dropped");
        }
    }

    fn event(&self, about: ObjectReference, what: EventReason, note: String) -> Event {
        Event {
            metadata: ObjectMeta {
                name: Some(event_name(about.name.as_deref().unwrap_or_default(), rand::random())),
                namespace: about.namespace.clone(),
                ..ObjectMeta::default()
            },
            action: Some(what.action().to_owned()),
            event_time: Some(MicroTime(Timestamp::now())),
            note: Some(cut(note)),
            reason: Some(format!("{what:?}")),
            regarding: Some(about),
            reporting_controller: Some(self.controller.clone()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(what.kind().to_owned()),
            ..Event::default()
        }
    }
}

/// The name of an event, as Kubernetes' own components form it: the object's name, cut to leave room for what makes the event's
/// name unique.
fn event_name(object: &str, unique: u64) -> String {
    let base: String = object.chars().take(OBJECT_PART_MAX).collect();
    format!("{}.{unique:016x}", base.trim_end_matches(['-', '.']))
}

/// The reference to an object of a kind that is known by name.
pub fn reference<K: Resource<DynamicType = ()>>(namespace: &str, name: &str, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}

/// Writes events until nobody can publish any more. One line of the log says that events cannot be written, and one that they
/// can again.
async fn write_all(client: Client, mut events: mpsc::Receiver<Event>) {
    let failing = AtomicBool::new(false);
    let events = stream::poll_fn(|context| events.poll_recv(context));
    events.for_each_concurrent(WRITES_AT_ONCE, |event| write(&client, event, &failing)).await;
}

async fn write(client: &Client, event: Event, failing: &AtomicBool) {
    let namespace = event.metadata.namespace.as_deref().unwrap_or("default");
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let reason = event.reason.as_deref().unwrap_or_default();
    match within_deadline(events.create(&params, &event)).await {
        Ok(_) => {
            if failing.swap(false, Ordering::Relaxed) {
                tracing::info!("events are written again");
            }
        }
        Err(error) if namespace_is_going(&error) => tracing::debug!(event = reason, "the namespace is being deleted"),
        Err(error) if failing.swap(true, Ordering::Relaxed) => {
            tracing::debug!(event = reason, %error, "the event could not be written");
        }
        Err(error) => tracing::warn!(
            event = reason, %error, "events cannot be written and are lost; the audit log and the conditions are complete"
        ),
    }
}

/// Nothing can be created in a namespace that is being deleted, or is gone.
fn namespace_is_going(error: &ClusterError) -> bool {
    let ClusterError::Api(kube::Error::Api(status)) = error else { return false };
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    status.is_not_found() || causes.any(|cause| cause.reason == "NamespaceTerminating")
}

fn cut(mut note: String) -> String {
    let mut end = NOTE_BYTES_MAX.min(note.len());
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note.truncate(end);
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_named_after_its_object_within_what_a_name_may_be() {
        assert_eq!(event_name("golden", 255), "golden.00000000000000ff");
        let long = format!("{}.-b", "a".repeat(234));
        let name = event_name(&long, u64::MAX);
        assert!(name.len() <= 253 && name.ends_with("a.ffffffffffffffff"), "{name}");
    }
}
