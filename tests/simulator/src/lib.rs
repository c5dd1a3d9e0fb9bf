//! A simulator of the clouds that speaks the vendors' real wire protocols. Shares no code with the operator, so
//! that a mistake on one side is not repeated on the other.
//!
//! It promises: the rules of each cloud's `rules`, each with its source; requests verified as the vendor's own SDKs sign
//! them; all-or-nothing steps under one lock; a journal that holds every change, also those whose answer was lost. What is
//! simulated and what is not is told in `docs/simulator.md`. Alibaba Cloud, Huawei Cloud and Amazon Web Services, each on a port
//! of its own; what all need is in `chassis`.

mod admin;
pub mod alibaba;
pub mod aws;
mod chassis;
pub mod huawei;
mod log;
mod state;
mod world_file;

pub use alibaba::ImageSpec;
pub use chassis::clock::{ClockFace, ClockMove};
pub use chassis::effect::{Answered, Asked, CopyRequest, CopyState, CopyStep, Effect, Replica};
pub use chassis::faults::{Action, ActiveFault, Fault, Matcher, RandomFaults};
pub use chassis::journal::{Cut, Entry, Provider};
pub use chassis::names::{AccountId, ImageId, RegionId};
pub use chassis::refusal::Refusal;
pub use chassis::throttling::CallLimit;
pub use world_file::WorldFile;

use chassis::connection::Connections;
use chassis::front_end::serve;
use chassis::tls::{self, Authority, Stand};
use state::{Shared, State};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long [`Simulator::stop`] waits for requests under way.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Where a simulator listens; port 0 picks a free one.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// Alibaba Cloud.
    pub cloud: SocketAddr,
    /// Huawei Cloud.
    pub huawei: SocketAddr,
    /// Amazon Web Services.
    pub aws: SocketAddr,
    /// The admin interface. It asks no credentials: keep it on loopback.
    pub control: SocketAddr,
    /// Where TLS stands in for the vendors' hosts, if anywhere.
    pub tls: Option<SocketAddr>,
}

/// Where TLS stands in for the vendors' hosts.
#[derive(Debug, Clone)]
pub struct StandIn {
    /// Its address.
    pub address: SocketAddr,
    /// The certificate that clients have to trust, in PEM.
    pub certificate: String,
}

/// A running simulator; dropping it ends it at once.
#[derive(Debug)]
pub struct Simulator {
    state: Shared,
    cloud: SocketAddr,
    huawei: SocketAddr,
    aws: SocketAddr,
    control: SocketAddr,
    stand_in: Option<StandIn>,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<io::Result<()>>>,
}

impl Simulator {
    /// Binds all ports (0 picks a free one) and serves `world` on the current tokio runtime.
    ///
    /// # Errors
    /// When a port cannot be bound, or the world contradicts itself ([`io::ErrorKind::InvalidData`]).
    pub async fn start(world: WorldFile, ports: Ports) -> io::Result<Self> {
        let invalid = |why| io::Error::new(io::ErrorKind::InvalidData, why);
        let state = Shared::new(State::new(world).map_err(invalid)?);
        let bind = async |what: &str, at: SocketAddr| {
            let bound = TcpListener::bind(at).await;
            bound.map_err(|error| io::Error::new(error.kind(), format!("{what} at {at}: {error}")))
        };
        let cloud_listener = bind("the simulated Alibaba Cloud", ports.cloud).await?;
        let huawei_listener = bind("the simulated Huawei Cloud", ports.huawei).await?;
        let aws_listener = bind("the simulated AWS", ports.aws).await?;
        let control_listener = bind("the control of the simulator", ports.control).await?;
        let (cloud, control) = (cloud_listener.local_addr()?, control_listener.local_addr()?);
        let (huawei, aws) = (huawei_listener.local_addr()?, aws_listener.local_addr()?);
        let (stop, stopped) = watch::channel(false);
        let until = |mut stopped: watch::Receiver<bool>| async move {
            // An error means the sender is gone, and with it the simulator: a reason to stop as well.
            drop(stopped.wait_for(|stop| *stop).await);
        };
        let (alibabas, to_alibaba) = Connections::of(cloud_listener);
        let (huaweis, to_huawei) = Connections::of(huawei_listener);
        let (awses, to_aws) = Connections::of(aws_listener);
        let alibaba = serve::<alibaba::Alibaba>(alibabas, state.clone(), until(stopped.clone()));
        let huawei_server = serve::<huawei::Huawei>(huaweis, state.clone(), until(stopped.clone()));
        let aws_server = serve::<aws::Aws>(awses, state.clone(), until(stopped.clone()));
        let control_router = admin::router(state.clone());
        let control_server =
            axum::serve(control_listener, control_router).with_graceful_shutdown(until(stopped.clone()));
        let control_server = tokio::spawn(async move { control_server.await });
        let mut servers =
            vec![tokio::spawn(alibaba), tokio::spawn(huawei_server), tokio::spawn(aws_server), control_server];
        let clouds: Vec<Stand> =
            vec![(alibaba::is_host, to_alibaba), (huawei::is_host, to_huawei), (aws::is_host, to_aws)];
        let mut stand_in = None;
        if let Some(address) = ports.tls {
            let (listener, authority) = (bind("TLS for the vendors' hosts", address).await?, Authority::new()?);
            let certificate = authority.pem().to_owned();
            stand_in = Some(StandIn { address: listener.local_addr()?, certificate });
            servers.push(tokio::spawn(async move {
                tokio::select! {
                    served = tls::serve(listener, authority, clouds) => served,
                    () = until(stopped) => Ok(()),
                }
            }));
        }
        Ok(Self { state, cloud, huawei, aws, control, stand_in, stop, servers })
    }

    /// As [`Simulator::start`], on free ports of the loopback address and without TLS.
    ///
    /// # Errors
    /// As there.
    pub async fn start_on_loopback(world: WorldFile) -> io::Result<Self> {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start(world, Ports { cloud: free, huawei: free, aws: free, control: free, tls: None }).await
    }

    /// Alibaba Cloud's address.
    pub fn cloud_address(&self) -> SocketAddr {
        self.cloud
    }

    /// Huawei Cloud's address, IAM and IMS of all regions alike.
    pub fn huawei_address(&self) -> SocketAddr {
        self.huawei
    }

    /// Amazon Web Services' address, EC2 and STS of all regions alike.
    pub fn aws_address(&self) -> SocketAddr {
        self.aws
    }

    /// The admin port's address.
    pub fn control_address(&self) -> SocketAddr {
        self.control
    }

    /// Where TLS stands in for the vendors' hosts, if anywhere.
    pub fn stand_in(&self) -> Option<&StandIn> {
        self.stand_in.as_ref()
    }

    /// Alibaba Cloud as `http://host:port`.
    pub fn cloud_url(&self) -> String {
        format!("http://{}", self.cloud)
    }

    /// Huawei Cloud as `http://host:port`.
    pub fn huawei_url(&self) -> String {
        format!("http://{}", self.huawei)
    }

    /// Amazon Web Services as `http://host:port`.
    pub fn aws_url(&self) -> String {
        format!("http://{}", self.aws)
    }

    /// The admin port as `http://host:port`.
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control)
    }

    /// Alibaba Cloud's world as it is now.
    pub fn world(&self) -> alibaba::World {
        self.state.lock().alibaba.world.clone()
    }

    /// Huawei Cloud's world as it is now.
    pub fn huawei_world(&self) -> huawei::World {
        self.state.lock().huawei.world.clone()
    }

    /// Amazon Web Services' world as it is now.
    pub fn aws_world(&self) -> aws::World {
        self.state.lock().aws.world.clone()
    }

    /// The whole journal so far.
    pub fn journal(&self) -> Vec<Entry> {
        self.state.lock().journal.entries().to_vec()
    }

    /// What listens where, and what is in the worlds, in one line.
    pub fn summary(&self) -> String {
        log::summary(self)
    }

    /// Passes a line to `write` for every request from now on, until the simulator stops. The lines hold no credentials, have a
    /// bounded length, and end with the journal, which is bounded too.
    pub fn log_requests(&self, write: impl Fn(&str) + Send + 'static) {
        let (lines, mut stopped) = (log::follow(self.state.clone(), write), self.stop.subscribe());
        tokio::spawn(async move {
            tokio::select! {
                () = lines => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
    }

    /// Lets requests under way end, for at most five seconds, and closes all ports.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let deadline = tokio::time::Instant::now() + STOP_PATIENCE;
        for server in &mut self.servers {
            if tokio::time::timeout_at(deadline, &mut *server).await.is_err() {
                server.abort();
            }
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for server in &self.servers {
            server.abort();
        }
    }
}
