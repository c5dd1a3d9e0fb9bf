//! The composition root: builds the controllers from the arguments, runs them, and stops them in order.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::accounts::connections::Connections;
use crate::clouds::budget::BudgetSettings;
use crate::clouds::clock::{Clock as _, SystemClock};
use crate::clouds::connect::ClientContext;
use crate::clouds::endpoint_rule::{AllowedEndpoints, EndpointRefused};
use crate::clouds::transport::{Proxies, ProxyInvalid, TransportSettings, TransportUnusable};
use crate::cluster::api_server::{ApiServer, REFUSED_MAX};
use crate::cluster::connect::{NoConfig, connect, find_config};
use crate::cluster::definitions::{Definitions, Served};
use crate::cluster::events::Events;
use crate::cluster::lease::LeaseRecord;
use crate::cluster::scope::Scope;
use crate::controllers::outdated::Controllers;
use crate::controllers::run;
use crate::planning::lease;
use crate::planning::schedule::{Debounce, Intervals};
use crate::planning::secret::SecretRule;
use crate::planning::sharing::Timing;
use crate::reconcile::context::{Context, ImageMetrics, Settings};
use crate::reconcile::leader::{KeepEnd, Leadership, Leading, LeaseLost};
use crate::reconcile::metrics::LatencyTimers;
use crate::reconcile::object_state::ObjectStates;
use crate::reconcile::transfers::Transfers;
use crate::telemetry::logging::{LogFormat, LoggingError, start};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::serve::{Sources, serve};

/// How `imageshare-operator run` is to run. Durations are written as `10m`, `5s`, `100ms`.
#[derive(Debug, Clone, Args)]
pub struct RunArguments {
    /// Kubeconfig to use; without it the one of the environment or of the cluster this runs in.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// A namespace to act in; may be given often. Without any it is the whole cluster, and the operator needs a `ClusterRole`;
    /// with some, no call leaves them, `shareableFrom` of `All` means these, and consent by `Selector` cannot be read. Before
    /// one is taken off the list, delete what is in it.
    #[arg(long = "watch-namespace", value_name = "NAMESPACE")]
    namespaces: Vec<String>,
    /// An endpoint that `CloudAccounts` may name besides the vendors' own, as `https://host:port`, or with `{region}` in the host for
    /// every region; may be given often.
    /// Plain `http://` is possible and only fit for a simulator on the same machine.
    #[arg(long = "allowed-endpoint", value_name = "ORIGIN")]
    allowed_endpoints: Vec<String>,
    /// Interval of the drift check: how often a settled object is compared with the cloud.
    #[arg(long, default_value = "10m", value_parser = duration)]
    drift_interval: Duration,
    /// Requeue interval for objects that need user action; doubled up to the drift interval while nothing changes.
    #[arg(long, default_value = "1m", value_parser = duration)]
    blocked_interval: Duration,
    /// The longest pause between tries after a failure; the first is 1s.
    #[arg(long, default_value = "20s", value_parser = duration)]
    longest_retry: Duration,
    /// How often the Secret of an account is read, and a refused key tried again.
    #[arg(long, default_value = "1m", value_parser = duration)]
    credentials_interval: Duration,
    /// How often the images that others share with an account are listed.
    #[arg(long, default_value = "5m", value_parser = duration)]
    inventory_interval: Duration,
    /// How often the own images of an account with channels are listed.
    #[arg(long, default_value = "10m", value_parser = duration)]
    discovery_interval: Duration,
    /// How long credentials last known good may finish deletions after their Secret vanished.
    #[arg(long, default_value = "1h", value_parser = duration)]
    last_known_good: Duration,
    /// How long a `CloudAccount`'s credentials may be refused or missing before another object for the same image takes over.
    #[arg(long, default_value = "1h", value_parser = duration)]
    takeover_after: Duration,
    /// Whether the Secrets that `CloudAccounts` name are kept from going while access is to be ended with their keys. Needs
    /// the right to patch Secrets; run it with `release` before that right is taken away.
    #[arg(long, value_enum, default_value = "hold")]
    secret_finalizer: SecretFinalizer,
    /// An absence at the cloud counts only if read this long after the last call that may have added the recipient.
    #[arg(long, default_value = "5s", value_parser = duration)]
    absence_window: Duration,
    /// The same at clouds that promise no bound for how long a read may lag (AWS), if it is longer.
    #[arg(long, default_value = "60s", value_parser = duration)]
    lagging_absence_window: Duration,
    /// Where jobs at the cloud change recipients: how long one whose id was lost may still add somebody. No absence counts
    /// earlier after a call that adds.
    #[arg(long, default_value = "30s", value_parser = duration)]
    lost_job_window: Duration,
    /// Where jobs at the cloud make copies: how long to look for one whose id was lost before another one is asked for.
    #[arg(long, default_value = "1h", value_parser = duration)]
    lost_copy_window: Duration,
    /// How long `unmanagedRecipients: Revoke` waits before it acts on a recipient nobody asked for.
    #[arg(long, default_value = "10m", value_parser = duration)]
    unmanaged_grace: Duration,
    /// How long the operator waits before it retries a recipient that the cloud refused.
    #[arg(long, default_value = "1h", value_parser = duration)]
    refusal_retry: Duration,
    /// Calls a second for each account and region.
    #[arg(long, default_value = "5")]
    calls_per_second: NonZeroU32,
    /// Calls that may be made at once after a pause, for each account and region.
    #[arg(long, default_value = "10")]
    calls_burst: NonZeroU32,
    /// The lease by which several operators agree who acts, as `namespace/name`; without it, run only one.
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = lease_name)]
    lease: Option<(String, String)>,
    /// Duration of the lease: another process takes it over that long after its holder renewed it; the holder stops acting at two
    /// thirds of it.
    #[arg(long, default_value = "15s", value_parser = duration)]
    lease_duration: Duration,
    /// Where to serve `/metrics`, `/livez` and `/readyz`, as `0.0.0.0:8080`; without it they are not served.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Of which images there are metrics: each has two. With `off`, no metric names an object that is not ready either.
    #[arg(long, value_enum, default_value = "all")]
    image_metrics: ImageMetrics,
    /// What is logged, as `info` or `info,imageshare_operator=debug`.
    #[arg(long, default_value = "info", env = "IMAGESHARE_LOG")]
    log: String,
    /// How log lines look.
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
}

/// How the operator treats the Secrets of accounts.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SecretFinalizer {
    /// They get a finalizer.
    Hold,
    /// It is taken off again.
    Release,
    /// They are never written.
    Off,
}

/// Why the operator cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Logging cannot start.
    #[error(transparent)]
    Logging(#[from] LoggingError),
    /// No configuration for the API server.
    #[error(transparent)]
    Config(#[from] NoConfig),
    /// A variable of the process names no usable proxy.
    #[error(transparent)]
    Proxy(#[from] ProxyInvalid),
    /// The API server's client cannot be built.
    #[error("the API server's client: {0}")]
    Client(#[from] kube::Error),
    /// An allowed endpoint does not parse.
    #[error("--allowed-endpoint {0:?}: {1}")]
    Endpoint(String, EndpointRefused),
    /// The cloud's client cannot be built.
    #[error("the clouds' client: {0}")]
    Transport(#[from] TransportUnusable),
    /// Metrics and health cannot be served.
    #[error("--listen: {0}")]
    Listen(std::io::Error),
    /// Signal handlers cannot be installed.
    #[error("signals: {0}")]
    Signals(std::io::Error),
    /// The API server refuses the credentials: only a new process surely reads fresh ones.
    #[error(
        "the API server {0} has refused the operator's credentials for {max} s: ending, so that a new process reads fresh ones",
        max = REFUSED_MAX.as_secs()
    )]
    Refused(String),
    /// Another process leads now: only a new process may try again.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
}

fn duration(text: &str) -> Result<Duration, String> {
    let signed: SignedDuration = text.parse().map_err(|e: jiff::Error| e.to_string())?;
    Duration::try_from(signed).map_err(|_| "a duration cannot be negative".to_owned())
}

fn lease_name(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => Ok((namespace.into(), name.into())),
        _ => Err("a lease is named as namespace/name".to_owned()),
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// How soon after it was given an image again a recipient that vanishes again counts as having left: longer than the pause of any
/// job that gives back what it receives, once a day.
const LEFT_WITHIN: SignedDuration = SignedDuration::from_hours(25);

/// How many reconciles of an account may call at the same time: each makes one call after the other, so that together they
/// use the whole rate where a call takes up to a second.
fn seats(calls_per_second: NonZeroU32) -> usize {
    usize::try_from(calls_per_second.get()).unwrap_or(usize::MAX).clamp(2, 64)
}

impl RunArguments {
    fn settings(&self) -> Settings {
        Settings {
            timing: Timing {
                absence_window: signed(self.absence_window),
                lagging_absence_window: signed(self.lagging_absence_window),
                lost_job_window: signed(self.lost_job_window),
                unmanaged_grace: signed(self.unmanaged_grace),
                refusal_retry: signed(self.refusal_retry),
                answer_poll: signed(self.blocked_interval),
                left_within: LEFT_WITHIN,
            },
            debounce: Debounce { quiet: SignedDuration::from_millis(100), at_most: SignedDuration::from_secs(1) },
            intervals: Intervals {
                drift: self.drift_interval,
                blocked: self.blocked_interval,
                retry_first: Duration::from_secs(1),
                retry_longest: self.longest_retry,
            },
            credentials_interval: self.credentials_interval,
            inventory_interval: self.inventory_interval,
            lost_copy_window: self.lost_copy_window,
            discovery_interval: self.discovery_interval,
            last_known_good: self.last_known_good,
            seats: seats(self.calls_per_second),
            takeover_after: self.takeover_after,
            secrets: match self.secret_finalizer {
                SecretFinalizer::Hold => SecretRule::Hold,
                SecretFinalizer::Release => SecretRule::Release,
                SecretFinalizer::Off => SecretRule::Off,
            },
            image_metrics: self.image_metrics,
        }
    }

    /// The endpoints besides the vendors' own; an error names the one that is none.
    fn allowed(&self) -> Result<AllowedEndpoints, RunError> {
        for endpoint in &self.allowed_endpoints {
            AllowedEndpoints::parse(&[endpoint]).map_err(|refused| RunError::Endpoint(endpoint.clone(), refused))?;
        }
        AllowedEndpoints::parse(&self.allowed_endpoints).map_err(|refused| RunError::Endpoint(String::new(), refused))
    }

    /// The context that all cloud clients share.
    fn client_context(&self, clock: Arc<SystemClock>, proxies: Proxies) -> Result<ClientContext, TransportUnusable> {
        let (per_second, burst) = (self.calls_per_second, self.calls_burst);
        ClientContext::new(
            TransportSettings { proxies, ..TransportSettings::default() },
            BudgetSettings { per_second, burst, ..BudgetSettings::default() },
            clock,
        )
    }

    /// The leader state of this process, and the keeper of its lease, if it is one of several.
    fn leadership(
        &self,
        client: &kube::Client,
        api_server: &Arc<ApiServer>,
        clock: &Arc<SystemClock>,
    ) -> (Leading, Option<Leadership>) {
        let Some((namespace, name)) = &self.lease else { return (Leading::alone(), None) };
        let (leading, duration) = (Leading::one_of_several(), self.lease_duration);
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "imageshare-operator".to_owned());
        // Pod names are unique; the number tells processes on one host apart.
        let me = format!("{host}_{:08x}", rand::random::<u32>());
        let record = LeaseRecord::new((client.clone(), Arc::clone(api_server)), (namespace, name), me, duration);
        let terms = lease::Intervals { duration, deadline: duration * 2 / 3, period: duration * 2 / 15 };
        let leadership = Leadership::new(record, terms, leading.clone(), Arc::<SystemClock>::clone(clock));
        (leading, Some(leadership))
    }

    /// The client of the API server, and what is known of it. The API server of the cluster that this process runs in is reached
    /// directly: who sets a proxy for the clouds must not lose it.
    async fn client(&self, proxies: &Proxies) -> Result<(kube::Client, Arc<ApiServer>), RunError> {
        let mut found = find_config(self.kubeconfig.as_deref()).await?;
        let mut address = found.config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let own = found.proxy.map(|proxy| Proxies::only("proxy-url of the kubeconfig", &proxy)).transpose()?;
        let proxies = own.unwrap_or_else(|| if found.from_file { proxies.clone() } else { Proxies::default() });
        found.config.proxy_url = proxies.url_for(&address).and_then(|proxy| proxy.parse().ok());
        if let Some(proxy) = proxies.host_for(&address) {
            address = format!("{address} through the proxy {proxy}");
        }
        Ok((connect(found.config)?, Arc::new(ApiServer::new(address))))
    }

    /// Logs what this process runs with.
    fn log_settings(&self, api_server: &ApiServer, proxies: &Proxies) {
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            api_server = api_server.address(),
            namespaces = if self.namespaces.is_empty() { "all".to_owned() } else { self.namespaces.join(",") },
            lease = self.lease.as_ref().map(|(namespace, name)| format!("{namespace}/{name}")),
            drift_interval = ?self.drift_interval,
            blocked_interval = ?self.blocked_interval,
            credentials_interval = ?self.credentials_interval,
            inventory_interval = ?self.inventory_interval,
            calls_per_second = self.calls_per_second,
            allowed_endpoints = self.allowed_endpoints.join(","),
            proxies = %proxies,
            "running"
        );
    }
}

/// Runs the operator until the process receives a stop signal.
pub async fn run(arguments: RunArguments) -> Result<(), RunError> {
    let _logging = start(&arguments.log, arguments.log_format)?;
    let proxies = Proxies::from_environment()?;
    let (client, api_server) = arguments.client(&proxies).await?;
    arguments.log_settings(&api_server, &proxies);
    let clock = Arc::new(SystemClock);
    let (leading, leadership) = arguments.leadership(&client, &api_server, &clock);
    let (stop, metrics) = (stop_on_signal()?, Metrics::default());
    let client_context =
        arguments.client_context(clock.clone(), proxies)?.with_fence(leading.fence.clone()).until(stop.clone());
    let client_context = client_context.with_observer(Arc::new(metrics.clone()));
    let allowed = arguments.allowed()?;
    let settings = arguments.settings();
    let definitions = Arc::new(Definitions::new(client.clone(), Arc::clone(&api_server)));
    let keeping = Arc::clone(&definitions);
    tokio::spawn(async move { keeping.keep().await });
    let controllers = Controllers::new(Context {
        connections: Arc::new(Connections::new(
            client.clone(),
            client_context,
            allowed,
            [settings.credentials_interval, settings.last_known_good, settings.intervals.drift],
        )),
        events: Arc::new(Events::new(client.clone(), "imageshare.dev/operator", std::env::var("HOSTNAME").ok())),
        client,
        stores: run::stores().0,
        begun_at: clock.now(),
        clock,
        states: Arc::<ObjectStates>::default(),
        stopwatches: Arc::<LatencyTimers>::default(),
        metrics: metrics.clone(),
        transfers: Arc::<Transfers>::default(),
        relistings: Arc::default(),
        discoveries: Arc::default(),
        scope: Scope::of(&arguments.namespaces),
        filled: CancellationToken::new(),
        definitions: Arc::clone(&definitions),
        leading: leading.clone(),
        settings,
    });
    if let Some(at) = arguments.listen {
        let (counted, ready) = (controllers.clone(), controllers.clone());
        let registry = Arc::new(metrics.registry(Arc::new(counted)));
        let not_ready = Arc::new(move || ready.not_ready());
        serve(at, Sources { registry, not_ready }).await.map_err(RunError::Listen)?;
    }
    let leads = leading.begun.clone();
    tokio::spawn(async move {
        leads.cancelled().await;
        metrics.leads(true);
    });
    tokio::select! {
        ended = lead_and_act(leadership, &definitions, &controllers, stop) => ended,
        () = api_server.refused_for_good() => Err(RunError::Refused(api_server.address().to_owned())),
    }
}

/// Runs the controllers, as one of several processes if there is a lease, until `stop` is cancelled.
async fn lead_and_act(
    leadership: Option<Leadership>,
    definitions: &Arc<Definitions>,
    controllers: &Controllers,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let mut running = Box::pin(controllers.run(stop.clone()));
    let Some(leadership) = leadership else {
        running.await;
        return Ok(());
    };
    let able = Arc::clone(definitions);
    let mut leadership = leadership.while_able(move || able.served() == Served::Whole).until(stop);
    let leads = async {
        definitions.until_known().await;
        leadership.keep().await
    };
    tokio::select! {
        // Drop running reconciles: another process does them now.
        end = leads => return match end {
            KeepEnd::Lost => Err(LeaseLost.into()),
            KeepEnd::Dismissed => Ok(()),
        },
        () = &mut running => {}
    }
    leadership.give_back().await;
    Ok(())
}

/// A token that is cancelled when the process receives a stop signal.
fn stop_on_signal() -> Result<CancellationToken, RunError> {
    let stop = CancellationToken::new();
    let stopper = stop.clone();
    let mut terminate =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(RunError::Signals)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping");
        stopper.cancel();
    });
    Ok(stop)
}
