//! The client of the API server, built from kube's own parts for one setting that kube lacks.

use std::path::Path;

use http::header::USER_AGENT;
use http::{HeaderValue, Request};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder};

const NAME_AND_VERSION: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// A configuration, and the proxy that belongs to it.
#[derive(Debug)]
pub struct Found {
    /// The configuration; the caller sets its proxy.
    pub config: Config,
    /// It comes from a kubeconfig, not from the cluster that this process runs in.
    pub from_file: bool,
    /// The `proxy-url` of the kubeconfig's cluster, with its credentials.
    pub proxy: Option<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum NoConfig {
    /// The kubeconfig that was named is not usable.
    #[error("kubeconfig: {0}")]
    Kubeconfig(#[from] KubeconfigError),
    /// No kubeconfig, and no cluster around this process.
    #[error("no kubeconfig and no cluster: {0}")]
    Config(#[from] kube::config::InferConfigError),
}

/// Finds the configuration: that of this kubeconfig, else of the environment's, else of the cluster that this process runs in.
pub async fn find_config(kubeconfig: Option<&Path>) -> Result<Found, NoConfig> {
    let file = match kubeconfig {
        Some(path) => Some(Kubeconfig::read_from(path)?),
        None => Kubeconfig::read().ok(),
    };
    let proxy = file.as_ref().and_then(proxy_of);
    let mut config = match (file, kubeconfig) {
        (Some(file), Some(_)) => Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?,
        _ => Config::infer().await?,
    };
    // A configuration of the cluster names a file with its authority; one of a kubeconfig has none.
    let from_file = kubeconfig.is_some() || config.root_cert_file.is_none();
    config.proxy_url = None;
    Ok(Found { proxy: proxy.filter(|_| from_file), from_file, config })
}

/// The proxy of the current context's cluster.
fn proxy_of(kubeconfig: &Kubeconfig) -> Option<String> {
    let current = kubeconfig.current_context.as_ref()?;
    let context = kubeconfig.contexts.iter().find(|context| context.name == *current)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster)?.cluster.as_ref()?;
    cluster.proxy_url.clone().filter(|proxy| !proxy.is_empty())
}

/// Creates a client from this configuration. It sets `TCP_NODELAY`: otherwise the first request of each connection waits some
/// 40 ms for the acknowledgement of the handshake (kube-rs/kube#2056). The client never retries: callers know what a call does
/// and retry under their own deadlines.
pub fn connect(mut config: Config) -> kube::Result<Client> {
    config.default_retry = false;
    // The API server derives the field manager of writes without one from it.
    if !config.headers.iter().any(|(name, _)| name == USER_AGENT) {
        config.headers.push((USER_AGENT, HeaderValue::from_static(NAME_AND_VERSION)));
    }
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .map_request(log_request)
        .service(Http::builder(TokioExecutor::new()).build::<_, Body>(connector));
    Ok(Client::new(service, config.default_namespace))
}

fn log_request(request: Request<Body>) -> Request<Body> {
    tracing::debug!(method = %request.method(), path = %request.uri().path(), "requesting");
    request
}
