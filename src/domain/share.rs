//! One `ImageShare` as the planner sees it: who asks, since when, for whom, and whether its wish stands.

use jiff::Timestamp;

use super::identifiers::RecipientKind;
use super::provider::Site;

/// Whether the image's owner lets a share's namespace use the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// It does.
    Given,
    /// It does not, and this was read successfully.
    Withheld,
    /// It could not be read.
    Unknown,
}

/// What a share's wish means at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Its recipients are wanted.
    Active,
    /// What it has stays; nothing is added or revoked for it.
    Paused,
    /// What it has is to end.
    Ended,
}

/// One recipient as written in a share: not yet judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedRecipient {
    /// Kind of recipient.
    pub kind: RecipientKind,
    /// Its id as written.
    pub id: String,
    /// The site that sold its account, if another than the owner's.
    pub site: Option<Site>,
}

/// Whether an object carries our finalizer: without it, it may go at any moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finalizer {
    /// It stays until we let it go.
    Carried,
    /// It was not seen with it yet.
    Missing,
}

/// One share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// uid of the object.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its generation.
    pub generation: i64,
    /// When it was created; the elder is served first.
    pub created: Timestamp,
    /// It is being deleted.
    pub deleting: bool,
    /// It is suspended.
    pub suspended: bool,
    /// Whether it carries our finalizer.
    pub finalizer: Finalizer,
    /// The look that its owner asked for last.
    pub requested: Option<String>,
    /// When its wish ends by itself.
    pub expires: Option<Timestamp>,
    /// Deleting it leaves its grants at the cloud: it says so, and the image's owner lets its namespace.
    pub retain: bool,
    /// The image owner's consent.
    pub consent: Consent,
    /// For whom it asks.
    pub recipients: Vec<AskedRecipient>,
}

impl Share {
    /// What its wish means now. Withdrawn consent wins over everything, since it is the owner's word; deleting over
    /// suspension; suspension over expiry, since a suspended share revokes nothing; and so does a newcomer. A share that is
    /// to leave its grants behind waits until it is known whether it may.
    pub fn activity(&self, now: Timestamp) -> Activity {
        let suspended = planted!("suspended-share-revokes", false, self.suspended);
        if suspended
            || self.consent == Consent::Withheld
            || (self.deleting && !(self.retain && self.consent == Consent::Unknown))
        {
            Activity::Ended
        } else if self.suspended
            || planted!("share-served-unheld", self.lacks_finalizer(), false)
            || self.consent == Consent::Unknown
        {
            Activity::Paused
        } else if self.expired(now) {
            Activity::Ended
        } else {
            Activity::Active
        }
    }

    /// It does not carry our finalizer yet: it is granted nothing, for its grants could outlive it; but whom it names is not
    /// taken away.
    pub fn lacks_finalizer(&self) -> bool {
        self.finalizer == Finalizer::Missing
    }

    /// Whether its grants stay at the cloud without it. Only a share that the image's owner admits can leave any behind.
    pub fn leaves_its_grants(&self) -> bool {
        self.deleting && self.retain && planted!("retain-without-consent", self.consent == Consent::Given, true)
    }

    /// Whether its time is over.
    pub fn expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    /// `namespace/name`, for people.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}
