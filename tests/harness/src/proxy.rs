//! A proxy between the operator and both servers it talks to, the API server and the cloud: it counts, records, holds,
//! cuts, delays and answers in place of requests, by rule.
//!
//! One [`FaultProxy`] owns both listeners, so that "the nth outgoing write" has one order over both. The operator speaks
//! plain HTTP/1 to it; what it sends goes on as it came, `Authorization` and `Host` included: a cloud's signature covers
//! the host, and the proxy holds no credentials of its own. Answers, also endless ones, are passed on as they come.

mod call;
mod relay;
mod rule;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use kube::config::Kubeconfig;
use tokio::net::TcpListener;

use crate::background::Background;
use crate::credentials;
use relay::{Relay, Route};

pub use call::{Call, Upstream, Which};
pub use rule::{Deed, Moment, Rule, Trigger};

/// The running proxy; it ends when this is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    relay: Arc<Relay>,
    kubernetes: SocketAddr,
    cloud: SocketAddr,
    kubeconfig: PathBuf,
    _background: Background,
}

impl FaultProxy {
    /// Starts it between whoever uses it and the API server of `kubeconfig` and the cloud at `http://HOST:PORT`.
    ///
    /// The kubeconfig's user must authenticate by token: it is the caller that sends it.
    pub async fn start(run_dir: &Path, kubeconfig: &Path, cloud: &str) -> Result<Self> {
        let background = Background::start("fault-proxy")?;
        let config = credentials::read(kubeconfig).await?;
        let kubernetes_route = Route::new(&config.cluster_url.to_string(), config.root_cert.as_deref())?;
        let relay = Arc::new(Relay::new(kubernetes_route, Route::new(cloud, None)?));
        let kubernetes = listen(&background, &relay, Upstream::Kubernetes).await?;
        let cloud = listen(&background, &relay, Upstream::Cloud).await?;
        let path = run_dir.join(format!("proxy-{}.kubeconfig", kubernetes.port()));
        redirect(kubeconfig, kubernetes, &path)?;
        Ok(Self { relay, kubernetes, cloud, kubeconfig: path, _background: background })
    }

    /// A kubeconfig that leads through the proxy, with the user of the one it was started with.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The API server's address through the proxy, `http://127.0.0.1:PORT`.
    pub fn kubernetes(&self) -> String {
        format!("http://{}", self.kubernetes)
    }

    /// The cloud's address through the proxy, `http://127.0.0.1:PORT`.
    pub fn cloud(&self) -> String {
        format!("http://{}", self.cloud)
    }

    /// Puts a rule in force, for as long as the returned trigger lives. Where several apply, the eldest acts.
    pub fn add(&self, rule: Rule) -> Trigger {
        self.relay.rules.add(rule)
    }

    /// Holds the nth write from now on, counted over both upstreams from 1, at `moment`.
    pub fn on_nth_write(&self, n: u64, moment: Moment) -> Trigger {
        self.add(Rule::new(Which::write(), Deed::Hold(moment)).nth(n).times(1))
    }

    /// All requests so far, in the order of their arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.relay.calls()
    }

    /// The writes after request number `since` (0: all), in the order of their arrival.
    pub fn writes(&self, since: u64) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.seq > since && call.write.is_some()).collect()
    }

    /// The number of the latest request, 0 before the first.
    pub fn last(&self) -> u64 {
        self.relay.last()
    }

    /// Closes every connection to one upstream, watches included; new ones are accepted.
    pub fn disconnect(&self, upstream: Upstream) {
        self.relay.disconnect(upstream);
    }
}

async fn listen(background: &Background, relay: &Arc<Relay>, upstream: Upstream) -> Result<SocketAddr> {
    // Bound inside the runtime that serves it: a socket belongs to the reactor it was made with.
    let bound = background.handle().spawn(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let listener = bound.await?.context("listening")?;
    let address = listener.local_addr()?;
    background.handle().spawn(relay::serve(relay.clone(), upstream, listener));
    Ok(address)
}

fn redirect(kubeconfig: &Path, to: SocketAddr, path: &Path) -> Result<()> {
    let mut config = Kubeconfig::read_from(kubeconfig)?;
    for cluster in config.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        cluster.server = Some(format!("http://{to}"));
        (cluster.certificate_authority, cluster.certificate_authority_data) = (None, None);
    }
    // JSON is YAML.
    fs::write(path, serde_json::to_string(&config)?).with_context(|| format!("writing {}", path.display()))
}
