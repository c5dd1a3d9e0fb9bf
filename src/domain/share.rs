//! One `ImageShare` as planner input: its owner, age and recipients, and whether it is active.

use jiff::Timestamp;

use super::identifiers::{PrincipalId, Recipient, RecipientKind};
use super::provider::Site;

/// Whether the image's owner allows a share's namespace to use the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// The owner allows it.
    Given,
    /// The owner does not allow it; this was read successfully.
    Withheld,
    /// It could not be read.
    Unknown,
}

/// What a share asks for at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Its recipients are desired.
    Active,
    /// Its grants stay; the operator adds and revokes nothing for it.
    Paused,
    /// Its grants must end.
    Ended,
}

/// One recipient as written in a share, not yet validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedRecipient {
    /// Kind of recipient.
    pub kind: RecipientKind,
    /// Its id as written.
    pub id: String,
    /// The site that sold its account, if it differs from the owner's.
    pub site: Option<Site>,
    /// What people call it, made safe for a terminal. No part of its identity.
    pub name: Option<String>,
    /// It is to be able to copy the image, not only to use it.
    pub copyable: bool,
}

/// Whether an object carries our finalizer. Without it, the object may disappear at any moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finalizer {
    /// It stays until the operator releases it.
    Carried,
    /// It was not observed with the finalizer yet.
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
    /// When it was created; the older share is served first.
    pub created: Timestamp,
    /// It is being deleted.
    pub deleting: bool,
    /// It is suspended.
    pub suspended: bool,
    /// Whether it carries our finalizer.
    pub finalizer: Finalizer,
    /// The reconcile that its owner requested last.
    pub requested: Option<String>,
    /// When it expires.
    pub expires: Option<Timestamp>,
    /// Deleting it leaves its grants at the cloud: its spec asks for that, and the image's owner allows its namespace
    /// to.
    pub retain: bool,
    /// The image owner's consent.
    pub consent: Consent,
    /// The recipients it asks for.
    pub recipients: Vec<AskedRecipient>,
}

impl Share {
    /// What the share asks for now. Withdrawn consent overrides everything, since the owner decides; deletion overrides
    /// suspension; suspension overrides expiry, since a suspended share revokes nothing; so does a missing finalizer. A
    /// deleted share with `retain` stays paused until the consent is known.
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

    /// Whether it does not carry our finalizer yet: it gets no grants, since they could outlive it, but its recipients
    /// keep theirs.
    pub fn lacks_finalizer(&self) -> bool {
        self.finalizer == Finalizer::Missing
    }

    /// Whether its grants stay at the cloud without it. Requires the consent of the image's owner.
    pub fn leaves_its_grants(&self) -> bool {
        self.deleting && self.retain && planted!("retain-without-consent", self.consent == Consent::Given, true)
    }

    /// Whether it has expired.
    pub fn expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    /// The recipients that the share gives a name.
    pub fn names(&self) -> impl Iterator<Item = (Recipient, &str)> {
        self.recipients.iter().filter_map(|asked| {
            let id = PrincipalId::parse(&asked.id).ok()?;
            Some((Recipient { kind: asked.kind, id }, asked.name.as_deref()?))
        })
    }

    /// `namespace/name`, for messages.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}
