//! Instruments a cloud client: tells each HTTP request which operation it belongs to, for the observer of requests. Changes
//! nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;

use super::copying::{Content, ContentFacts, Copies, CopyOrder};
use super::{Cloud, Fault, ImageRef, Priority};
use crate::domain::call::{CallShape, CopyProgress, Copying, JobProgress, RecipientChange, Submitted};
use crate::domain::identifiers::{ImageId, JobId, PrincipalId, Recipient, RegionId, SnapshotId};
use crate::domain::image::{ImageFacts, OwnList, ReceivedImage, ReceivedList, RecipientList, Reply};
use crate::domain::provider::Provider;

/// A cloud operation; `Debug` gives its name in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Reads the account of the credentials.
    Identity,
    /// Lists the regions of the account.
    Regions,
    /// Obtains the temporary keys of a role.
    AssumeRole,
    /// Reads one image.
    ObserveImage,
    /// Lists the recipients of an image.
    ListRecipients,
    /// Adds or removes recipients.
    ChangeRecipients,
    /// Makes a private image shareable.
    OpenForSharing,
    /// Reads the progress of a job.
    FollowJob,
    /// Deletes an image.
    DeleteImage,
    /// Lists all images of this account.
    ListOwn,
    /// Reads one image that another account shares with this one.
    ObserveReceived,
    /// Lists all images that other accounts share with this one.
    ListReceived,
    /// Answers an offer.
    Answer,
    /// Requests a copy.
    BeginCopy,
    /// Finds a copy.
    FindCopy,
    /// Reads the progress of a copy.
    FollowCopy,
    /// Cancels and removes a copy.
    CancelCopy,
    /// Reads the properties of an image's content.
    ContentFacts,
    /// Opens the content of an image.
    Download,
    /// Writes content into an image.
    Upload,
}

impl Operation {
    /// Whether its requests may change something at the cloud.
    pub(super) fn changes(self) -> bool {
        match self {
            Self::ChangeRecipients
            | Self::OpenForSharing
            | Self::DeleteImage
            | Self::Answer
            | Self::BeginCopy
            | Self::CancelCopy
            | Self::Upload => true,
            Self::Identity
            | Self::Regions
            | Self::AssumeRole
            | Self::ObserveImage
            | Self::ListRecipients
            | Self::ListOwn
            | Self::FollowJob
            | Self::ObserveReceived
            | Self::ListReceived
            | Self::FindCopy
            | Self::FollowCopy
            | Self::ContentFacts
            | Self::Download => false,
        }
    }
}

tokio::task_local! {
    /// The operation that the current task's requests belong to.
    static OPERATION: Operation;
}

/// The operation that the current task's requests belong to; `None` for a client that is not instrumented.
pub(super) fn current_operation() -> Option<Operation> {
    OPERATION.try_with(|operation| *operation).ok()
}

/// Runs a call as another operation than the one that needs it. The requests of a client that is not instrumented have none.
pub(super) async fn within<T>(operation: Operation, call: impl Future<Output = T>) -> T {
    match current_operation() {
        Some(_) => OPERATION.scope(operation, call).await,
        None => call.await,
    }
}

/// One HTTP request that ended.
#[derive(Debug)]
pub struct Requested<'a> {
    /// The cloud.
    pub provider: Provider,
    /// The operation that it belongs to.
    pub operation: Operation,
    /// Where it went.
    pub host: &'a str,
    /// Why it failed.
    pub fault: Option<&'a Fault>,
    /// How long it took.
    pub took: Duration,
}

/// An observer of requests, such as metrics.
pub trait CallObserver: Send + Sync {
    /// Records a request.
    fn requested(&self, request: &Requested<'_>);

    /// Records how long a call waited for this operator's own budget, or because the vendor asked for a pause.
    fn waited(&self, provider: Provider, time: Duration);
}

/// An observer that ignores all requests.
#[derive(Debug)]
pub struct Unobserved;

impl CallObserver for Unobserved {
    fn requested(&self, _: &Requested<'_>) {}

    fn waited(&self, _: Provider, _: Duration) {}
}

/// A cloud client whose requests know their operation.
pub(super) struct Instrumented<C> {
    cloud: C,
}

impl<C: Cloud> Instrumented<C> {
    pub(super) fn new(cloud: C) -> Self {
        Self { cloud }
    }
}

#[async_trait]
impl<C: Cloud> Cloud for Instrumented<C> {
    async fn identity(&self) -> Result<PrincipalId, Fault> {
        OPERATION.scope(Operation::Identity, self.cloud.identity()).await
    }

    async fn regions(&self) -> Result<Vec<RegionId>, Fault> {
        OPERATION.scope(Operation::Regions, self.cloud.regions()).await
    }

    fn principal(&self, region: &RegionId) -> Option<PrincipalId> {
        self.cloud.principal(region)
    }

    async fn observe_image(&self, at: &ImageRef, priority: Priority) -> Result<Option<ImageFacts>, Fault> {
        OPERATION.scope(Operation::ObserveImage, self.cloud.observe_image(at, priority)).await
    }

    async fn list_recipients(&self, at: &ImageRef, priority: Priority) -> Result<RecipientList, Fault> {
        OPERATION.scope(Operation::ListRecipients, self.cloud.list_recipients(at, priority)).await
    }

    async fn change_recipients(
        &self,
        at: &ImageRef,
        change: &RecipientChange,
        priority: Priority,
    ) -> Result<Submitted, Fault> {
        OPERATION.scope(Operation::ChangeRecipients, self.cloud.change_recipients(at, change, priority)).await
    }

    async fn list_copy_permissions(
        &self,
        region: &RegionId,
        snapshot: &SnapshotId,
        priority: Priority,
    ) -> Result<BTreeSet<Recipient>, Fault> {
        let listed = self.cloud.list_copy_permissions(region, snapshot, priority);
        OPERATION.scope(Operation::ListRecipients, listed).await
    }

    async fn change_copy_permissions(
        &self,
        region: &RegionId,
        snapshot: &SnapshotId,
        change: &RecipientChange,
        priority: Priority,
    ) -> Result<Submitted, Fault> {
        let changed = self.cloud.change_copy_permissions(region, snapshot, change, priority);
        OPERATION.scope(Operation::ChangeRecipients, changed).await
    }

    async fn open_for_sharing(&self, at: &ImageRef, priority: Priority) -> Result<(), Fault> {
        OPERATION.scope(Operation::OpenForSharing, self.cloud.open_for_sharing(at, priority)).await
    }

    async fn follow_job(&self, region: &RegionId, job: &JobId, priority: Priority) -> Result<JobProgress, Fault> {
        OPERATION.scope(Operation::FollowJob, self.cloud.follow_job(region, job, priority)).await
    }

    async fn delete_image(&self, at: &ImageRef) -> Result<(), Fault> {
        OPERATION.scope(Operation::DeleteImage, self.cloud.delete_image(at)).await
    }

    async fn list_own(&self, region: &RegionId, priority: Priority) -> Result<OwnList, Fault> {
        OPERATION.scope(Operation::ListOwn, self.cloud.list_own(region, priority)).await
    }

    async fn observe_received(&self, at: &ImageRef, priority: Priority) -> Result<Option<ReceivedImage>, Fault> {
        OPERATION.scope(Operation::ObserveReceived, self.cloud.observe_received(at, priority)).await
    }

    async fn list_received(&self, region: &RegionId, priority: Priority) -> Result<ReceivedList, Fault> {
        OPERATION.scope(Operation::ListReceived, self.cloud.list_received(region, priority)).await
    }

    async fn answer(&self, at: &ImageRef, reply: &Reply, priority: Priority) -> Result<Submitted, Fault> {
        OPERATION.scope(Operation::Answer, self.cloud.answer(at, reply, priority)).await
    }

    fn call_shape(&self) -> CallShape {
        self.cloud.call_shape()
    }

    fn copy_call_shape(&self) -> CallShape {
        self.cloud.copy_call_shape()
    }
}

#[async_trait]
impl<C: Cloud> Copies for Instrumented<C> {
    async fn begin_copy(
        &self,
        order: &CopyOrder,
        content: Option<&ContentFacts>,
        priority: Priority,
    ) -> Result<Copying, Fault> {
        OPERATION.scope(Operation::BeginCopy, self.cloud.begin_copy(order, content, priority)).await
    }

    async fn find_copy(&self, order: &CopyOrder, priority: Priority) -> Result<Option<ImageId>, Fault> {
        OPERATION.scope(Operation::FindCopy, self.cloud.find_copy(order, priority)).await
    }

    async fn follow_copy(
        &self,
        order: &CopyOrder,
        copying: &Copying,
        priority: Priority,
    ) -> Result<CopyProgress, Fault> {
        OPERATION.scope(Operation::FollowCopy, self.cloud.follow_copy(order, copying, priority)).await
    }

    async fn cancel_copy(&self, order: &CopyOrder, image: &ImageId) -> Result<(), Fault> {
        OPERATION.scope(Operation::CancelCopy, self.cloud.cancel_copy(order, image)).await
    }

    async fn content_facts(&self, at: &ImageRef, priority: Priority) -> Result<ContentFacts, Fault> {
        OPERATION.scope(Operation::ContentFacts, self.cloud.content_facts(at, priority)).await
    }

    async fn download(&self, at: &ImageRef, priority: Priority) -> Result<Content, Fault> {
        OPERATION.scope(Operation::Download, self.cloud.download(at, priority)).await
    }

    async fn upload(&self, at: &ImageRef, content: Content, priority: Priority) -> Result<(), Fault> {
        OPERATION.scope(Operation::Upload, self.cloud.upload(at, content, priority)).await
    }
}
