//! Every question to a cloud, told to whoever counts: which one it was, how it ended, how long it took. Changes nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::copying::{Content, ContentFacts, Copies, CopyOrder};
use super::{Cloud, Fault, ImageRef, Lane};
use crate::domain::call::{CallShape, CopyProgress, Copying, JobProgress, RecipientChange, Submitted};
use crate::domain::identifiers::{ImageId, JobId, PartyId, RegionId};
use crate::domain::image::{ImageFacts, ReceivedImage, ReceivedList, RecipientList, Reply};
use crate::domain::provider::Provider;

/// A question that a cloud can be asked; `Debug` gives its name in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Question {
    /// Whose the credentials are.
    Identity,
    /// The regions of the account.
    Regions,
    /// One image.
    ObserveImage,
    /// The recipients of an image.
    ListRecipients,
    /// Recipients are added or removed.
    ChangeRecipients,
    /// A private image is made shareable.
    OpenForSharing,
    /// How far a job is.
    FollowJob,
    /// An image is deleted.
    DeleteImage,
    /// One image that others share with the account.
    ObserveReceived,
    /// All of them.
    ListReceived,
    /// An offer is answered.
    Answer,
    /// A copy is asked for.
    BeginCopy,
    /// A copy is looked for.
    FindCopy,
    /// How far a copy is.
    FollowCopy,
    /// A copy is ended and removed.
    CancelCopy,
    /// What an image holds.
    ContentFacts,
    /// Its content is opened.
    Download,
    /// Content is written.
    Upload,
}

/// Whoever counts calls.
pub trait CallObserver: Send + Sync {
    /// A question was answered, or failed.
    fn asked(&self, provider: Provider, question: Question, fault: Option<&Fault>, took: Duration);

    /// A call waited for its turn: for this operator's own budget, or since the vendor asked for a pause.
    fn waited(&self, provider: Provider, time: Duration);
}

/// Nobody counts.
#[derive(Debug)]
pub struct Unobserved;

impl CallObserver for Unobserved {
    fn asked(&self, _: Provider, _: Question, _: Option<&Fault>, _: Duration) {}

    fn waited(&self, _: Provider, _: Duration) {}
}

/// A cloud whose every question is told.
pub(super) struct Observed<C> {
    cloud: C,
    provider: Provider,
    observer: Arc<dyn CallObserver>,
}

impl<C: Cloud> Observed<C> {
    pub(super) fn new(cloud: C, provider: Provider, observer: Arc<dyn CallObserver>) -> Self {
        Self { cloud, provider, observer }
    }

    async fn told<T>(&self, question: Question, answer: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let begun = Instant::now();
        let answer = answer.await;
        self.observer.asked(self.provider, question, answer.as_ref().err(), begun.elapsed());
        answer
    }
}

#[async_trait]
impl<C: Cloud> Cloud for Observed<C> {
    async fn identity(&self) -> Result<PartyId, Fault> {
        self.told(Question::Identity, self.cloud.identity()).await
    }

    async fn regions(&self) -> Result<Vec<RegionId>, Fault> {
        self.told(Question::Regions, self.cloud.regions()).await
    }

    fn party(&self, region: &RegionId) -> Option<PartyId> {
        self.cloud.party(region)
    }

    async fn observe_image(&self, at: &ImageRef, lane: Lane) -> Result<Option<ImageFacts>, Fault> {
        self.told(Question::ObserveImage, self.cloud.observe_image(at, lane)).await
    }

    async fn list_recipients(&self, at: &ImageRef, lane: Lane) -> Result<RecipientList, Fault> {
        self.told(Question::ListRecipients, self.cloud.list_recipients(at, lane)).await
    }

    async fn change_recipients(&self, at: &ImageRef, change: &RecipientChange, lane: Lane) -> Result<Submitted, Fault> {
        self.told(Question::ChangeRecipients, self.cloud.change_recipients(at, change, lane)).await
    }

    async fn open_for_sharing(&self, at: &ImageRef, lane: Lane) -> Result<(), Fault> {
        self.told(Question::OpenForSharing, self.cloud.open_for_sharing(at, lane)).await
    }

    async fn follow_job(&self, region: &RegionId, job: &JobId, lane: Lane) -> Result<JobProgress, Fault> {
        self.told(Question::FollowJob, self.cloud.follow_job(region, job, lane)).await
    }

    async fn delete_image(&self, at: &ImageRef) -> Result<(), Fault> {
        self.told(Question::DeleteImage, self.cloud.delete_image(at)).await
    }

    async fn observe_received(&self, at: &ImageRef, lane: Lane) -> Result<Option<ReceivedImage>, Fault> {
        self.told(Question::ObserveReceived, self.cloud.observe_received(at, lane)).await
    }

    async fn list_received(&self, region: &RegionId, lane: Lane) -> Result<ReceivedList, Fault> {
        self.told(Question::ListReceived, self.cloud.list_received(region, lane)).await
    }

    async fn answer(&self, at: &ImageRef, reply: &Reply, lane: Lane) -> Result<Submitted, Fault> {
        self.told(Question::Answer, self.cloud.answer(at, reply, lane)).await
    }

    fn call_shape(&self) -> CallShape {
        self.cloud.call_shape()
    }
}

#[async_trait]
impl<C: Cloud> Copies for Observed<C> {
    async fn begin_copy(
        &self,
        order: &CopyOrder,
        content: Option<&ContentFacts>,
        lane: Lane,
    ) -> Result<Copying, Fault> {
        self.told(Question::BeginCopy, self.cloud.begin_copy(order, content, lane)).await
    }

    async fn find_copy(&self, order: &CopyOrder, lane: Lane) -> Result<Option<ImageId>, Fault> {
        self.told(Question::FindCopy, self.cloud.find_copy(order, lane)).await
    }

    async fn follow_copy(&self, order: &CopyOrder, copying: &Copying, lane: Lane) -> Result<CopyProgress, Fault> {
        self.told(Question::FollowCopy, self.cloud.follow_copy(order, copying, lane)).await
    }

    async fn cancel_copy(&self, order: &CopyOrder, image: &ImageId) -> Result<(), Fault> {
        self.told(Question::CancelCopy, self.cloud.cancel_copy(order, image)).await
    }

    async fn content_facts(&self, at: &ImageRef, lane: Lane) -> Result<ContentFacts, Fault> {
        self.told(Question::ContentFacts, self.cloud.content_facts(at, lane)).await
    }

    async fn download(&self, at: &ImageRef, lane: Lane) -> Result<Content, Fault> {
        self.told(Question::Download, self.cloud.download(at, lane)).await
    }

    async fn upload(&self, at: &ImageRef, content: Content, lane: Lane) -> Result<(), Fault> {
        self.told(Question::Upload, self.cloud.upload(at, content, lane)).await
    }
}
