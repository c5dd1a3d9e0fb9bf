//! The edge towards the clouds: one trait, one fault, one client a provider. Knows `domain`; knows nothing of Kubernetes,
//! of planning or of the simulator.

pub mod alibaba;
pub mod budget;
pub mod clock;
pub mod connect;
pub mod endpoint_rule;
pub mod fault;
pub mod transport;

use async_trait::async_trait;

use crate::domain::identifiers::{ImageId, PartyId, Recipient, RegionId};
use crate::domain::image::{ImageFacts, RecipientList};
pub use fault::Fault;

/// Which calls go first when a budget is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Looking again at what should be at rest: uses at most half of the budget and never waits for it.
    Resync,
    /// Somebody answers an offer.
    Acceptance,
    /// Somebody changed a wish.
    Edit,
    /// Access must end.
    Revoke,
}

/// What one call changes. At most `Cloud::recipients_per_call` of each; both lists may be given together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecipientChange {
    /// To be added.
    pub add: Vec<Recipient>,
    /// To be removed.
    pub remove: Vec<Recipient>,
}

/// One image at one cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRef {
    /// Where it lives.
    pub region: RegionId,
    /// Which one it is.
    pub image: ImageId,
}

/// One account at one cloud, ready to be called. Every call has a deadline of its own and passes the account's budget.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// The account these credentials belong to.
    async fn identity(&self) -> Result<PartyId, Fault>;

    /// The regions open to this account.
    async fn regions(&self) -> Result<Vec<RegionId>, Fault>;

    /// One image in any state, or `None` where the account does not see it.
    async fn observe_image(&self, at: &ImageRef, lane: Lane) -> Result<Option<ImageFacts>, Fault>;

    /// Everybody an own image is shared with: all pages.
    async fn list_recipients(&self, at: &ImageRef, lane: Lane) -> Result<RecipientList, Fault>;

    /// Adds and removes recipients in one call. An error means that nothing is known about any of them, unless the fault
    /// says that the vendor refuses such calls as a whole.
    async fn change_recipients(&self, at: &ImageRef, change: &RecipientChange, lane: Lane) -> Result<(), Fault>;

    /// Deletes an own image; never by force.
    async fn delete_image(&self, at: &ImageRef) -> Result<(), Fault>;

    /// How many recipients one call may add, and as many again remove.
    fn recipients_per_call(&self) -> usize;
}
