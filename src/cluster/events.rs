//! The closed set of event reasons. An event reports an action; conditions report state.

use std::sync::{Mutex, PoisonError};

use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource, ResourceExt};

use super::within_deadline;

/// Longest note the API server accepts, in bytes.
const NOTE_BYTES_MAX: usize = 1024;

/// Events after which a new recorder replaces the old one. A recorder keeps each event for six minutes, to count repetitions,
/// and scans all of them for each event: with thousands at once, they take most of the operator's memory.
const REMEMBERED_MAX: usize = 256;

/// The reason of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventReason {
    /// Recipients can use the image now.
    Granted,
    /// The operator adopted recipients that already had the image.
    Adopted,
    /// Recipients can no longer use the image.
    Revoked,
    /// Recipients keep the image without an `ImageShare`.
    Retained,
    /// The cloud refuses to end the access of recipients.
    RevokeRefused,
    /// The operator found recipients that no object requested.
    UnmanagedFound,
    /// Recipients had lost the image, and not through the operator.
    DriftFound,
    /// The image has too few slots for all recipients.
    RecipientLimit,
    /// Something blocks the deletion of the object.
    DeletionBlocked,
    /// The cloud rejects the account's credentials.
    CredentialsRejected,
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
    /// The object cannot be read as its kind.
    Unreadable,
    /// The API server hides fields of the object, and the operator does not reconcile it.
    DefinitionsOutdated,
}

impl EventReason {
    fn action(self) -> &'static str {
        match self {
            Self::Granted | Self::RecipientLimit => "Grant",
            Self::Adopted => "Adopt",
            Self::Revoked | Self::Retained | Self::RevokeRefused => "Revoke",
            Self::UnmanagedFound | Self::DriftFound | Self::OfferReceived | Self::RevokedByOwner => "Observe",
            Self::CredentialsRejected
            | Self::SecretDeleting
            | Self::AccountBlocked
            | Self::DefinitionsOutdated
            | Self::Unreadable => "Verify",
            Self::Accepted => "Accept",
            Self::Rejected => "Reject",
            Self::ImageDeleted | Self::DeletionBlocked => "Delete",
            Self::CopyStarted | Self::Replicated | Self::CopyFailed => "Copy",
        }
    }

    fn kind(self) -> EventType {
        match self {
            Self::Granted
            | Self::Adopted
            | Self::OfferReceived
            | Self::Accepted
            | Self::Rejected
            | Self::CopyStarted
            | Self::Replicated => EventType::Normal,
            Self::Revoked
            | Self::Retained
            | Self::RevokeRefused
            | Self::UnmanagedFound
            | Self::DriftFound
            | Self::RecipientLimit
            | Self::DeletionBlocked
            | Self::CredentialsRejected
            | Self::SecretDeleting
            | Self::AccountBlocked
            | Self::ImageDeleted
            | Self::RevokedByOwner
            | Self::CopyFailed
            | Self::DefinitionsOutdated
            | Self::Unreadable => EventType::Warning,
        }
    }
}

/// Publishes events.
pub struct Events {
    client: Client,
    reporter: Reporter,
    /// The recorder, and how many events it has received.
    recorder: Mutex<(Recorder, usize)>,
}

impl Events {
    /// Publishes events under this reporter.
    pub fn new(client: Client, reporter: Reporter) -> Self {
        let recorder = Recorder::new(client.clone(), reporter.clone());
        Self { client, reporter, recorder: Mutex::new((recorder, 0)) }
    }

    fn recorder(&self) -> Recorder {
        let mut current = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        if current.1 >= REMEMBERED_MAX {
            *current = (Recorder::new(self.client.clone(), self.reporter.clone()), 0);
        }
        current.1 += 1;
        current.0.clone()
    }

    /// Publishes one event; a failure is logged and never stops a reconcile.
    pub async fn publish<K: Resource<DynamicType = ()>>(&self, object: &K, what: EventReason, note: String) {
        let event = Event {
            type_: what.kind(),
            reason: format!("{what:?}"),
            note: Some(cut(note)),
            action: what.action().to_owned(),
            secondary: None,
        };
        let recorder = self.recorder();
        if let Err(error) = within_deadline(recorder.publish(&event, &object.object_ref(&()))).await {
            tracing::warn!(object.name = %object.name_any(), event = ?what, %error, "the event could not be published");
        }
    }
}

fn cut(mut note: String) -> String {
    let mut end = NOTE_BYTES_MAX.min(note.len());
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note.truncate(end);
    note
}
