//! Cloud clients: one trait, one fault type, one client per provider. Depends on `domain`, and not on Kubernetes, planning
//! or the simulator.

#[cfg(test)]
mod adversarial;
pub mod alibaba;
pub mod aws;
pub mod budget;
mod circuit;
pub mod client_context;
pub mod clock;
pub mod connect;
pub mod copying;
pub mod endpoint_rule;
mod fair_share;
pub mod fence;
pub mod huawei;
pub mod instrumented;
pub mod openstack;
pub mod request_id;
pub mod roles;
#[cfg(test)]
mod scripted;
pub mod signing;
mod tokens;
pub mod transport;

use std::collections::BTreeSet;

use async_trait::async_trait;

pub use crate::domain::call::{CallShape, CopyProgress, Copying, JobProgress, Priority, RecipientChange, Submitted};
pub use crate::domain::fault::Fault;
use crate::domain::fault::Refusal;
use crate::domain::identifiers::{ImageId, JobId, PrincipalId, Recipient, RegionId, SnapshotId};
use crate::domain::image::{ImageFacts, OwnList, ReceivedImage, ReceivedList, RecipientList, Reply};
use crate::domain::provider::Provider;
pub use copying::{ContentFacts, Copies, CopyMark, CopyOrder};

/// One image at one cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRef {
    /// Its region.
    pub region: RegionId,
    /// Its id.
    pub image: ImageId,
}

/// The limits of one call that changes recipients, where there is no client to ask.
pub fn call_shape(provider: Provider) -> CallShape {
    match provider {
        Provider::Alibaba => alibaba::CALL_SHAPE,
        Provider::Huawei => huawei::CALL_SHAPE,
        Provider::OpenStack => openstack::CALL_SHAPE,
        Provider::Aws => aws::CALL_SHAPE,
    }
}

/// A client of one account at one cloud. Every call has its own deadline and takes a token of the account's budget.
#[async_trait]
pub trait Cloud: Copies + Send + Sync {
    /// The account these credentials belong to (Huawei: the domain; `OpenStack`: the project).
    async fn identity(&self) -> Result<PrincipalId, Fault>;

    /// The regions available to this account.
    async fn regions(&self) -> Result<Vec<RegionId>, Fault>;

    /// The principal that owns and receives images of a region: the account, or its project there. `None` if unknown; after
    /// a successful `regions` only for regions not among them.
    fn principal(&self, region: &RegionId) -> Option<PrincipalId>;

    /// One image in any state, or `None` if the account cannot see it.
    async fn observe_image(&self, at: &ImageRef, priority: Priority) -> Result<Option<ImageFacts>, Fault>;

    /// All recipients of an own image: all pages.
    async fn list_recipients(&self, at: &ImageRef, priority: Priority) -> Result<RecipientList, Fault>;

    /// Adds and removes recipients in one call, within `call_shape`. After an error the state of all of them is unknown,
    /// unless the fault means that the vendor refuses such calls as a whole.
    async fn change_recipients(
        &self,
        at: &ImageRef,
        change: &RecipientChange,
        priority: Priority,
    ) -> Result<Submitted, Fault>;

    /// Everybody who may copy what is in a snapshot of this account: all pages. Only clouds where that is a permission of its
    /// own (`Rules::copy_permissions`) have snapshots.
    async fn list_copy_permissions(
        &self,
        _region: &RegionId,
        _snapshot: &SnapshotId,
        _priority: Priority,
    ) -> Result<BTreeSet<Recipient>, Fault> {
        Err(no_snapshots())
    }

    /// Adds or removes such permissions in one call, within `copy_call_shape`. Errors as `change_recipients`.
    async fn change_copy_permissions(
        &self,
        _region: &RegionId,
        _snapshot: &SnapshotId,
        _change: &RecipientChange,
        _priority: Priority,
    ) -> Result<Submitted, Fault> {
        Err(no_snapshots())
    }

    /// Makes a private image shareable. Only clouds with `Visibility::Private` need it.
    async fn open_for_sharing(&self, at: &ImageRef, priority: Priority) -> Result<(), Fault>;

    /// Reads the progress of a job that a call in this region returned.
    async fn follow_job(&self, region: &RegionId, job: &JobId, priority: Priority) -> Result<JobProgress, Fault>;

    /// Deletes an own image; never by force.
    async fn delete_image(&self, at: &ImageRef) -> Result<(), Fault>;

    /// All custom images of this account in a region, in any state: list calls only.
    async fn list_own(&self, region: &RegionId, priority: Priority) -> Result<OwnList, Fault>;

    /// One image shared with this account, whatever the answer to its offer, with its grants; `None` if it is not shared with
    /// this account (or is its own).
    async fn observe_received(&self, at: &ImageRef, priority: Priority) -> Result<Option<ReceivedImage>, Fault>;

    /// All images shared with this account in a region, whatever the answers to their offers: list calls only.
    async fn list_received(&self, region: &RegionId, priority: Priority) -> Result<ReceivedList, Fault>;

    /// Answers an offer. Clouds without a handshake refuse it (`Refusal::Unknown`, code `NoAnswerNeeded`).
    async fn answer(&self, at: &ImageRef, reply: &Reply, priority: Priority) -> Result<Submitted, Fault>;

    /// The limits of one call of `change_recipients`.
    fn call_shape(&self) -> CallShape;

    /// The limits of one call of `change_copy_permissions`.
    fn copy_call_shape(&self) -> CallShape {
        CallShape { recipients: 1, both_ways: false }
    }
}

/// The fault of a call about snapshots at a cloud without them.
fn no_snapshots() -> Fault {
    Fault::Refused { refusal: Refusal::Unknown, code: "NoSnapshots".to_owned() }
}
