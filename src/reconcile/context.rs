//! Handles and settings of a reconcile. Nothing here makes decisions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::Store;
use tokio_util::sync::CancellationToken;

use crate::accounts::connections::Connections;
use crate::api::{
    ChannelShare, CloudAccount, CloudImage, ImageChannel, ImageReplica, ImageShare, SharedImage, SharedImageAcceptance,
};
use crate::clouds::clock::Clock;
use crate::cluster::definitions::Definitions;
use crate::cluster::events::Events;
use crate::cluster::guard::Guarded;
use crate::cluster::scope::Scope;
use crate::planning::schedule::{Debounce, Intervals};
use crate::planning::secret::SecretRule;
use crate::planning::sharing::Timing;
use crate::reconcile::discoveries::Discoveries;
use crate::reconcile::index::Index;
use crate::reconcile::leader::Leading;
use crate::reconcile::metrics::LatencyTimers;
use crate::reconcile::object_state::ObjectStates;
use crate::reconcile::relisting::Relistings;
use crate::reconcile::transfers::Transfers;
use crate::telemetry::metrics::Metrics;

/// Durations and limits; all of them can be set at startup.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Windows and grace periods of the planner.
    pub timing: Timing,
    /// Debounce of changes to the desired recipients.
    pub debounce: Debounce,
    /// Requeue intervals.
    pub intervals: Intervals,
    /// How often the operator reads a Secret, and retries a rejected key.
    pub credentials_interval: Duration,
    /// How often the operator lists the images that others share with an account.
    pub inventory_interval: Duration,
    /// How long to look for a copy whose request got no answer, before another one is asked for.
    pub lost_copy_window: Duration,
    /// How often the operator lists an account's own images for its channels.
    pub discovery_interval: Duration,
    /// How long the last known good credentials may finish deletions after their Secret vanished.
    pub last_known_good: Duration,
    /// How many reconciles of one account, region and priority may call at the same time.
    pub seats: usize,
    /// How long credentials may be refused before another object for the same image takes over.
    pub takeover_after: Duration,
    /// Whether the operator protects Secrets from deletion.
    pub secrets: SecretRule,
    /// Which images have metrics.
    pub image_metrics: ImageMetrics,
}

/// Which images have metrics: two for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ImageMetrics {
    /// Of all.
    All,
    /// Of those at which four of five places are taken.
    NearLimit,
    /// Of none.
    Off,
}

/// The caches that every controller reads.
#[derive(Clone)]
pub struct Stores {
    /// Accounts.
    pub accounts: Store<Guarded<CloudAccount>>,
    /// Images.
    pub images: Store<Guarded<CloudImage>>,
    /// Shares.
    pub shares: Store<Guarded<ImageShare>>,
    /// Shares by the image that they name.
    pub shares_by_image: Index<Guarded<ImageShare>>,
    /// Images by the cloud image that they name.
    pub images_by_identity: Index<Guarded<CloudImage>>,
    /// Acceptances.
    pub acceptances: Store<Guarded<SharedImageAcceptance>>,
    /// Acceptances by the cloud image that they name.
    pub acceptances_by_identity: Index<Guarded<SharedImageAcceptance>>,
    /// Replicas.
    pub replicas: Store<Guarded<ImageReplica>>,
    /// Replicas by their related images.
    pub replicas_by_image: Index<Guarded<ImageReplica>>,
    /// Channels.
    pub channels: Store<Guarded<ImageChannel>>,
    /// Shares of channels.
    pub channel_shares: Store<Guarded<ChannelShare>>,
    /// Inventory entries.
    pub shared_images: Store<Guarded<SharedImage>>,
    /// Inventory entries by cloud image.
    pub shared_images_by_place: Index<Guarded<SharedImage>>,
    /// Namespaces: their labels only.
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
}

/// Everything a reconcile may use; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The API server.
    pub client: kube::Client,
    /// The caches.
    pub stores: Stores,
    /// Cloud clients by account.
    pub connections: Arc<Connections>,
    /// Publishes Kubernetes events.
    pub events: Arc<Events>,
    /// The current time.
    pub clock: Arc<dyn Clock>,
    /// Per-object state between reconciles; losing it at a restart is harmless.
    pub states: Arc<ObjectStates>,
    /// Latency of shares.
    pub stopwatches: Arc<LatencyTimers>,
    /// Metrics.
    pub metrics: Metrics,
    /// Transfers of image content between clouds.
    pub transfers: Arc<Transfers>,
    /// Listings of inventories between their intervals.
    pub relistings: Arc<Relistings>,
    /// Lists of accounts' own images.
    pub discoveries: Arc<Discoveries>,
    /// The namespaces that the operator manages.
    pub scope: Scope,
    /// Whether the API server serves every field that is needed.
    pub definitions: Arc<Definitions>,
    /// When this process began to reconcile.
    pub begun_at: Timestamp,
    /// Cancelled once all caches are synced.
    pub filled: CancellationToken,
    /// Whether this process leads.
    pub leading: Leading,
    /// Durations and limits.
    pub settings: Settings,
}

impl Context {
    /// The same context with empty per-object state.
    pub(crate) fn without_memory(mut self) -> Self {
        (self.states, self.stopwatches, self.filled) = (Arc::default(), Arc::default(), CancellationToken::new());
        (self.relistings, self.discoveries) = (Arc::default(), Arc::default());
        self
    }

    /// Forgets a deleted object.
    pub(crate) fn forget(&self, uid: &str) {
        self.states.forget(uid);
        self.transfers.stop(uid);
        self.relistings.forget(uid);
        self.discoveries.forget(uid);
    }

    /// Until when calls of a former leader may still take effect; the epoch if there was none.
    pub fn others_until(&self) -> Timestamp {
        let left = self.leading.others_until.get().and_then(|until| until.checked_duration_since(Instant::now()));
        let until = left.and_then(|left| self.clock.now().checked_add(left).ok());
        until.unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// A random number in 0..1, for jitter.
    pub fn chance(&self) -> f64 {
        rand::random()
    }
}
