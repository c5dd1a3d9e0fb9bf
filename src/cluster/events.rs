//! The closed set of events. An event tells what was done; a state is told by conditions.

use std::sync::{Mutex, PoisonError};

use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource, ResourceExt};

use super::within_deadline;

/// Longest note the API server accepts, in bytes.
const NOTE_BYTES_MAX: usize = 1024;

/// Events after which a recorder is followed by a new one. A recorder keeps each event for six minutes, to count those that
/// come again, and goes through all of them for each: with thousands at once, that is most of what the operator holds.
const REMEMBERED_MAX: usize = 256;

/// What an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventReason {
    /// Recipients may use the image now.
    Granted,
    /// Recipients that already had the image are ours now.
    Adopted,
    /// Recipients may not use the image any more.
    Revoked,
    /// Recipients keep the image without an `ImageShare`.
    Retained,
    /// The cloud refuses to end the access of recipients.
    RevokeRefused,
    /// Recipients nobody here asked for were found.
    UnmanagedFound,
    /// Recipients had lost the image without us.
    DriftFound,
    /// The image has no room for everybody.
    RecipientLimit,
    /// The object is being deleted, and something keeps it.
    DeletionBlocked,
    /// The cloud does not take the account's credentials.
    CredentialsRejected,
    /// The Secret of the account is being deleted.
    SecretDeleting,
    /// The image was deleted at the cloud.
    ImageDeleted,
    /// Somebody offers this account an image.
    OfferReceived,
    /// An offer was accepted.
    Accepted,
    /// An offer was rejected.
    Rejected,
    /// The owner took an image back.
    RevokedByOwner,
    /// The cloud was asked for a copy.
    CopyStarted,
    /// A copy is made.
    Replicated,
    /// A copy could not be made.
    CopyFailed,
    /// The object cannot be read as its kind.
    Unreadable,
    /// The API server hides fields of the object, and nothing is done for it.
    DefinitionsOutdated,
}

impl EventReason {
    fn action(self) -> &'static str {
        match self {
            Self::Granted | Self::RecipientLimit => "Grant",
            Self::Adopted => "Adopt",
            Self::Revoked | Self::Retained | Self::RevokeRefused => "Revoke",
            Self::UnmanagedFound | Self::DriftFound | Self::OfferReceived | Self::RevokedByOwner => "Observe",
            Self::CredentialsRejected | Self::SecretDeleting | Self::DefinitionsOutdated | Self::Unreadable => "Verify",
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
    /// The recorder, and how many events it was given.
    recorder: Mutex<(Recorder, usize)>,
}

impl Events {
    /// Publishes in this reporter's name.
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

    /// Publishes one event; a failure is logged and never stops a pass.
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
