//! The edge towards the clouds: one trait, one fault, one client a provider. Knows `domain`; knows nothing of Kubernetes,
//! of planning or of the simulator.

#[cfg(test)]
mod adversarial;
pub mod alibaba;
pub mod budget;
mod circuit;
pub mod clock;
pub mod connect;
pub mod copying;
pub mod endpoint_rule;
mod fair_share;
pub mod fence;
pub mod huawei;
pub mod instrumented;
pub mod openstack;
pub mod signing;
pub mod transport;

use async_trait::async_trait;

pub use crate::domain::call::{CallShape, CopyProgress, Copying, JobProgress, Priority, RecipientChange, Submitted};
pub use crate::domain::fault::Fault;
use crate::domain::identifiers::{ImageId, JobId, PrincipalId, RegionId};
use crate::domain::image::{ImageFacts, ReceivedImage, ReceivedList, RecipientList, Reply};
pub use copying::{ContentFacts, Copies, CopyMark, CopyOrder};

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
pub trait Cloud: Copies + Send + Sync {
    /// The account these credentials belong to (Huawei: the domain; `OpenStack`: the project).
    async fn identity(&self) -> Result<PrincipalId, Fault>;

    /// The regions open to this account.
    async fn regions(&self) -> Result<Vec<RegionId>, Fault>;

    /// As whom images of a region are owned and received: the account, or its project there. `None` where that is not
    /// known, which after a successful `regions` only happens for regions not among them.
    fn principal(&self, region: &RegionId) -> Option<PrincipalId>;

    /// One image in any state, or `None` where the account does not see it.
    async fn observe_image(&self, at: &ImageRef, priority: Priority) -> Result<Option<ImageFacts>, Fault>;

    /// Everybody an own image is shared with: all pages.
    async fn list_recipients(&self, at: &ImageRef, priority: Priority) -> Result<RecipientList, Fault>;

    /// Adds and removes recipients in one call, within `call_shape`. An error means that nothing is known about any of
    /// them, unless the fault says that the vendor refuses such calls as a whole.
    async fn change_recipients(
        &self,
        at: &ImageRef,
        change: &RecipientChange,
        priority: Priority,
    ) -> Result<Submitted, Fault>;

    /// Makes a private image one that may have recipients. Only clouds that show `Visibility::Private` need it.
    async fn open_for_sharing(&self, at: &ImageRef, priority: Priority) -> Result<(), Fault>;

    /// How far a job is that a call in this region was answered with.
    async fn follow_job(&self, region: &RegionId, job: &JobId, priority: Priority) -> Result<JobProgress, Fault>;

    /// Deletes an own image; never by force.
    async fn delete_image(&self, at: &ImageRef) -> Result<(), Fault>;

    /// One image shared with this account, whatever was answered to it, with the grants it comes by; `None` where it is
    /// not shared with this account (or is its own).
    async fn observe_received(&self, at: &ImageRef, priority: Priority) -> Result<Option<ReceivedImage>, Fault>;

    /// All images shared with this account in a region, whatever was answered to them: list calls only.
    async fn list_received(&self, region: &RegionId, priority: Priority) -> Result<ReceivedList, Fault>;

    /// Answers an offer. Clouds without a handshake refuse it (`Refusal::Unknown`, code `NoAnswerNeeded`).
    async fn answer(&self, at: &ImageRef, reply: &Reply, priority: Priority) -> Result<Submitted, Fault>;

    /// What one call of `change_recipients` may carry.
    fn call_shape(&self) -> CallShape;
}
