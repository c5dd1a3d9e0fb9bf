//! Metrics in the `OpenMetrics` text format. This module defines their names, which `docs/metrics.md` explains; other modules
//! supply the values.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::object_metrics::{NotReady, ObjectCounts, ObjectMetrics};

type Name = &'static str;
type Seconds = Counter<f64, AtomicU64>;

/// Upper bounds of the buckets of a reconcile or a request, in seconds: up to a request's deadline and the longest budget wait.
const SHORT: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
/// The same for the time from a change to its completion.
const LONG: [f64; 12] = [0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileOutcome {
    kind: Name,
    outcome: Name,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: Name,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    provider: Name,
    operation: String,
    fault: Name,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Provider {
    provider: Name,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct What {
    what: Name,
}

/// How an image at the cloud differs from its expected state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// A recipient that was granted the image no longer has it.
    Missing,
    /// A recipient that no object requested has the image.
    Unmanaged,
}

/// The metrics of the process; cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    reconciles: Family<ReconcileOutcome, Histogram>,
    queues: Family<Kind, Gauge>,
    calls: Family<Call, Counter>,
    call_times: Family<Provider, Histogram>,
    throttled: Family<Provider, Seconds>,
    drift: Family<What, Counter>,
    grant_latency: Histogram,
    revoke_latency: Histogram,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let short = || Histogram::new(SHORT);
        let drift = Family::<What, Counter>::default();
        for what in ["missing", "unmanaged"] {
            // Created at the start, so that the first drift shows as an increase.
            drop(drift.get_or_create(&What { what }));
        }
        Self {
            reconciles: Family::new_with_constructor(short),
            queues: Family::default(),
            calls: Family::default(),
            call_times: Family::new_with_constructor(short),
            throttled: Family::default(),
            drift,
            grant_latency: Histogram::new(LONG),
            revoke_latency: Histogram::new(LONG),
            leader: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Records a reconcile of an object of this kind.
    pub fn reconciled(&self, kind: Name, outcome: Name, took: Duration) {
        self.reconciles.get_or_create(&ReconcileOutcome { kind, outcome }).observe(took.as_secs_f64());
    }

    /// Sets how many objects of this kind wait for a reconcile.
    pub fn queued(&self, kind: Name, objects: usize) {
        self.queues.get_or_create(&Kind { kind }).set(i64::try_from(objects).unwrap_or(i64::MAX));
    }

    /// Records a request to a cloud. `fault`: why it failed.
    pub fn called(&self, provider: Name, operation: String, fault: Option<Name>, took: Duration) {
        self.calls.get_or_create(&Call { provider, operation, fault: fault.unwrap_or("None") }).inc();
        self.call_times.get_or_create(&Provider { provider }).observe(took.as_secs_f64());
    }

    /// Records how long a call waited for its budget.
    pub fn throttled(&self, provider: Name, time: Duration) {
        self.throttled.get_or_create(&Provider { provider }).inc_by(time.as_secs_f64());
    }

    /// Records recipients that drifted from their expected state.
    pub fn drifted(&self, drift: Drift, recipients: usize) {
        let what = match drift {
            Drift::Missing => "missing",
            Drift::Unmanaged => "unmanaged",
        };
        self.drift.get_or_create(&What { what }).inc_by(u64::try_from(recipients).unwrap_or(u64::MAX));
    }

    /// Records the time from seeing a share's change until its recipients are granted.
    pub fn granted(&self, after: Duration) {
        self.grant_latency.observe(after.as_secs_f64());
    }

    /// Records the time from seeing a share's deletion until the share and all access it gave are gone.
    pub fn revoked(&self, after: Duration) {
        self.revoke_latency.observe(after.as_secs_f64());
    }

    /// Sets whether this process leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// All metrics, ready to be served; each scrape counts the objects through `object_metrics`.
    pub fn registry(&self, object_metrics: Arc<dyn ObjectMetrics>) -> Registry {
        let mut all = Registry::with_prefix("imageshare");
        let seconds = || Unit::Seconds;
        let all_of = &mut all;
        all_of.register_with_unit("reconcile_duration", "Reconcile duration", seconds(), self.reconciles.clone());
        all_of.register("queue_depth", "Objects that wait for a reconcile", self.queues.clone());
        all_of.register("cloud_calls", "HTTP requests to clouds, by operation and fault", self.calls.clone());
        all_of.register_with_unit(
            "cloud_call_duration",
            "Duration of HTTP requests to clouds, without the wait for the rate limit",
            seconds(),
            self.call_times.clone(),
        );
        all_of.register_with_unit(
            "cloud_throttled",
            "Time that calls waited for the rate limit",
            seconds(),
            self.throttled.clone(),
        );
        all_of.register("drift_found", "Recipients that differed from the ledger", self.drift.clone());
        let help = "From a change of an ImageShare to the grants";
        all_of.register_with_unit("grant_latency", help, seconds(), self.grant_latency.clone());
        let help = "From the deletion of an ImageShare to the end of its access";
        all_of.register_with_unit("revoke_latency", help, seconds(), self.revoke_latency.clone());
        all_of.register("leader", "Whether this process leads", self.leader.clone());
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        all_of.register("build", "The version that runs", build);
        all.register_collector(Box::new(Counted(object_metrics)));
        all
    }
}

/// The served text.
pub fn text(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    Ok(text)
}

/// The media type of the served text.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

struct Counted(Arc<dyn ObjectMetrics>);

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counted")
    }
}

impl Collector for Counted {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let ObjectCounts { objects, not_ready, grants, images, missing_fields, offers } = self.0.take();
        let objects = objects.into_iter().map(|(counted, number)| {
            let labels = [("kind", counted.kind.to_owned()), ("ready", counted.ready), ("reason", counted.reason)];
            (labels, number)
        });
        gauges(&mut to, "objects", "Objects, by what their Ready condition says", objects)?;
        let help = "Objects that are not ready, by name; not all of them if there are many";
        let not_ready = not_ready.into_iter().map(|NotReady { namespace, kind, name, reason }| {
            ([("kind", kind.to_owned()), ("namespace", namespace), ("name", name), ("reason", reason)], 1)
        });
        gauges(&mut to, "object_not_ready", help, not_ready)?;
        let states = [
            ("wanted", grants.wanted),
            ("granted", grants.granted),
            ("pending", grants.pending),
            ("retained", grants.retained),
            ("refused", grants.refused),
            ("unmanaged", grants.unmanaged),
        ];
        let states = states.into_iter().map(|(state, number)| ([("state", state.to_owned())], number));
        gauges(&mut to, "grants", "Recipients of images, by how far they are", states)?;
        let of = |image: &super::object_metrics::Image| {
            [("namespace", image.namespace.clone()), ("name", image.name.clone())]
        };
        let used = images.iter().map(|image| (of(image), image.recipients));
        gauges(&mut to, "image_recipients", "Places that recipients take at an image", used)?;
        let limits = images.iter().filter_map(|image| Some((of(image), image.limit?)));
        gauges(&mut to, "image_recipients_limit", "Places that an image has", limits)?;
        let missing = missing_fields.into_iter().map(|(kind, number)| ([("kind", kind)], number));
        let help = "Fields that the API server's definitions lack; nobody acts while there are any";
        gauges(&mut to, "definition_missing_fields", help, missing)?;
        let offers = offers
            .into_iter()
            .map(|((namespace, account), number)| ([("namespace", namespace), ("account", account)], number));
        gauges(&mut to, "offers_pending", "Images that others offer and nobody answered", offers)
    }
}

fn gauges<const LABELS: usize>(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    all: impl Iterator<Item = ([(Name, String); LABELS], u64)>,
) -> Result<(), fmt::Error> {
    let kind = prometheus_client::metrics::MetricType::Gauge;
    let mut metric = to.encode_descriptor(name, help, None, kind)?;
    for (labels, number) in all {
        let gauge = ConstGauge::new(number);
        gauge.encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}
