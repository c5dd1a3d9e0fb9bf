//! What a reconcile may use: handles and settings, nothing that decides.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::Store;
use tokio_util::sync::CancellationToken;

use crate::accounts::connections::Connections;
use crate::api::{CloudAccount, CloudImage, ImageReplica, ImageShare, SharedImage, SharedImageAcceptance};
use crate::clouds::clock::Clock;
use crate::cluster::definitions::Definitions;
use crate::cluster::events::Events;
use crate::cluster::guard::Guarded;
use crate::cluster::scope::Scope;
use crate::planning::schedule::{Debounce, Intervals};
use crate::planning::secret::SecretRule;
use crate::planning::sharing::Timing;
use crate::reconcile::index::Index;
use crate::reconcile::leader::Leading;
use crate::reconcile::metrics::LatencyTimers;
use crate::reconcile::object_state::ObjectStates;
use crate::reconcile::transfers::Transfers;
use crate::telemetry::metrics::Metrics;

/// How long things take and are given; all of it can be set at the start.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Windows and graces of the planner.
    pub timing: Timing,
    /// How wishes are gathered.
    pub debounce: Debounce,
    /// Pauses between looks.
    pub intervals: Intervals,
    /// How often a Secret is looked at, and a rejected key tried again.
    pub credentials_interval: Duration,
    /// How often what others share with an account is listed.
    pub inventory_interval: Duration,
    /// How long credentials last known good may finish deletions after their Secret vanished.
    pub last_known_good: Duration,
    /// How many reconciles of one account, region and lane may call at the same time.
    pub seats: usize,
    /// How long credentials may be refused before another object for the same image takes over.
    pub takeover_after: Duration,
    /// Whether Secrets are kept from going.
    pub secrets: SecretRule,
    /// Of which images there are metrics.
    pub image_metrics: ImageMetrics,
}

/// Of which images there are metrics: two for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ImageMetrics {
    /// Of all.
    All,
    /// Of those at which four of five places are taken.
    NearLimit,
    /// Of none.
    Off,
}

/// The caches every controller reads.
#[derive(Clone)]
pub struct Stores {
    /// Accounts.
    pub accounts: Store<Guarded<CloudAccount>>,
    /// Images.
    pub images: Store<Guarded<CloudImage>>,
    /// Shares.
    pub shares: Store<Guarded<ImageShare>>,
    /// Shares by the image they name.
    pub shares_by_image: Index<Guarded<ImageShare>>,
    /// Images by the image of the cloud they name.
    pub images_by_identity: Index<Guarded<CloudImage>>,
    /// Acceptances.
    pub acceptances: Store<Guarded<SharedImageAcceptance>>,
    /// Acceptances by the image of the cloud they name.
    pub acceptances_by_identity: Index<Guarded<SharedImageAcceptance>>,
    /// Copies.
    pub replicas: Store<Guarded<ImageReplica>>,
    /// Copies by the images that concern them.
    pub replicas_by_image: Index<Guarded<ImageReplica>>,
    /// The inventories.
    pub shared_images: Store<Guarded<SharedImage>>,
    /// What the inventories list, by the image of the cloud.
    pub shared_images_by_place: Index<Guarded<SharedImage>>,
    /// Namespaces: their labels only.
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
}

/// What a reconcile may use; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The API server.
    pub client: kube::Client,
    /// The caches.
    pub stores: Stores,
    /// The clouds, by account.
    pub connections: Arc<Connections>,
    /// What was done, for people.
    pub events: Arc<Events>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What is known of each image between passes; lost at a restart without harm.
    pub states: Arc<ObjectStates>,
    /// How long shares have been waited for.
    pub stopwatches: Arc<LatencyTimers>,
    /// What is counted.
    pub metrics: Metrics,
    /// Content on its way between clouds.
    pub transfers: Arc<Transfers>,
    /// Where it acts.
    pub scope: Scope,
    /// Whether the API server serves every field that is needed.
    pub definitions: Arc<Definitions>,
    /// When this process began to act.
    pub begun_at: Timestamp,
    /// Cancelled when every cache has been filled once.
    pub filled: CancellationToken,
    /// Whether this process leads.
    pub leading: Leading,
    /// How long things take.
    pub settings: Settings,
}

impl Context {
    /// The same for a process that knows of no object yet.
    pub(crate) fn without_memory(mut self) -> Self {
        (self.states, self.stopwatches, self.filled) = (Arc::default(), Arc::default(), CancellationToken::new());
        self
    }

    /// Until when calls of a former leader may still take effect; long past where there was none.
    pub fn others_until(&self) -> Timestamp {
        let left = self.leading.others_until.get().and_then(|until| until.checked_duration_since(Instant::now()));
        let until = left.and_then(|left| self.clock.now().checked_add(left).ok());
        until.unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// A random number in 0..1, to spread looks apart.
    pub fn chance(&self) -> f64 {
        rand::random()
    }
}
