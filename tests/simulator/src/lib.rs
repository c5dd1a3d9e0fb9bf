//! A simulator of the clouds that speaks the vendors' real wire protocols. Shares no code with the operator, so
//! that a mistake on one side is not repeated on the other.
//!
//! It promises: the rules of `rules`, each with its source; requests verified as the vendor's own SDK signs them;
//! all-or-nothing steps under one lock; a journal that holds every change, also those whose answer was lost. It does
//! not promise: TLS, the vendors' speed or their throttling figures, RAM policies (script a `refuse` fault),
//! importing or tagging images, resource-directory sharing. Alibaba Cloud and Huawei Cloud, each on a port of its own.

mod alibaba;
mod clock;
mod connection;
mod control;
mod faults;
pub mod huawei;
mod journal;
mod names;
mod rules;
mod state;
mod wire;
mod world;
mod world_file;

pub use clock::{ClockFace, ClockMove};
pub use faults::{Action, ActiveFaults, Fault, Matcher, RandomFaults};
pub use journal::{Asked, Cut, Entry, Provider, Replica};
pub use names::{AccountId, ImageId, RegionId};
pub use rules::{Refusal, Rules};
pub use state::{Refused, SharingOutOfBand};
pub use world::{
    AccountPatch, Answered, CopyEnd, CopyRequest, CopyState, CopyStep, Effect, Grant, Image, ImagePatch, KeyPatch,
    Relation, RulesPatch, SharingChange, World,
};
pub use world_file::{Account, CopiedFrom, Disk, Encryption, ImageSpec, Key, Origin, Site, Status, WorldFile};

use connection::CuttableListener;
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
    /// The control API. It asks no credentials: keep it on loopback.
    pub control: SocketAddr,
}

/// A running simulator; dropping it ends it at once.
#[derive(Debug)]
pub struct Simulator {
    state: Shared,
    cloud: SocketAddr,
    huawei: SocketAddr,
    control: SocketAddr,
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
        let control_listener = bind("the control of the simulator", ports.control).await?;
        let (cloud, control) = (cloud_listener.local_addr()?, control_listener.local_addr()?);
        let huawei = huawei_listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let until = |mut stopped: watch::Receiver<bool>| async move {
            // An error means the sender is gone, and with it the simulator: a reason to stop as well.
            drop(stopped.wait_for(|stop| *stop).await);
        };
        let cloud_server = alibaba::serve(CuttableListener(cloud_listener), state.clone(), until(stopped.clone()));
        let huawei_server = huawei::serve(CuttableListener(huawei_listener), state.clone(), until(stopped.clone()));
        let control_router = control::router(state.clone());
        let control_server = axum::serve(control_listener, control_router).with_graceful_shutdown(until(stopped));
        let control_server = tokio::spawn(async move { control_server.await });
        let servers = vec![tokio::spawn(cloud_server), tokio::spawn(huawei_server), control_server];
        Ok(Self { state, cloud, huawei, control, stop, servers })
    }

    /// As [`Simulator::start`], on free ports of the loopback address.
    ///
    /// # Errors
    /// As there.
    pub async fn start_on_loopback(world: WorldFile) -> io::Result<Self> {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start(world, Ports { cloud: free, huawei: free, control: free }).await
    }

    /// Alibaba Cloud's address.
    pub fn cloud_address(&self) -> SocketAddr {
        self.cloud
    }

    /// Huawei Cloud's address, IAM and IMS of all regions alike.
    pub fn huawei_address(&self) -> SocketAddr {
        self.huawei
    }

    /// The control port's address.
    pub fn control_address(&self) -> SocketAddr {
        self.control
    }

    /// Alibaba Cloud as `http://host:port`.
    pub fn cloud_url(&self) -> String {
        format!("http://{}", self.cloud)
    }

    /// Huawei Cloud as `http://host:port`.
    pub fn huawei_url(&self) -> String {
        format!("http://{}", self.huawei)
    }

    /// The control port as `http://host:port`.
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control)
    }

    /// Alibaba Cloud's world as it is now.
    pub fn world(&self) -> World {
        self.state.lock().world.clone()
    }

    /// Huawei Cloud's world as it is now.
    pub fn huawei_world(&self) -> huawei::World {
        self.state.lock().huawei.world.clone()
    }

    /// The whole journal so far.
    pub fn journal(&self) -> Vec<Entry> {
        self.state.lock().journal.entries().to_vec()
    }

    /// Replaces the world and its clock; weather, nonces, tokens and journal stay, jobs and copies under way do not.
    ///
    /// # Errors
    /// When the new world contradicts itself; then the old one stays.
    pub fn load(&self, world: WorldFile) -> Result<(), Refused> {
        self.state.lock().load(world)
    }

    /// Replaces the scripted faults.
    ///
    /// # Errors
    /// When one is out of bounds or there are too many; then none is in force.
    pub fn set_faults(&self, faults: Vec<Fault>) -> Result<(), Refused> {
        let mut state = self.state.lock();
        state.weather.clear_script();
        state.weather.script(faults).map_err(Refused::Invalid)
    }

    /// Adds scripted faults to those in force.
    ///
    /// # Errors
    /// When one is out of bounds or there are too many; then none is added.
    pub fn add_faults(&self, faults: Vec<Fault>) -> Result<(), Refused> {
        self.state.lock().weather.script(faults).map_err(Refused::Invalid)
    }

    /// The scripted faults not yet used up.
    pub fn faults(&self) -> Vec<ActiveFaults> {
        self.state.lock().weather.standing()
    }

    /// Sets the random weather.
    ///
    /// # Errors
    /// When a kind is unknown or a figure is out of bounds; then it stays as it was.
    pub fn set_weather(&self, climate: RandomFaults) -> Result<(), Refused> {
        self.state.lock().weather.set_climate(climate).map_err(Refused::Invalid)
    }

    /// Moves the clock.
    ///
    /// # Errors
    /// When the move makes no sense.
    pub fn move_clock(&self, step: ClockMove) -> Result<ClockFace, Refused> {
        self.state.lock().move_clock(step)
    }

    /// Changes sharing around the vendor's rules.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn share_out_of_band(&self, change: SharingOutOfBand) -> Result<Effect, Refused> {
        self.state.lock().share_out_of_band(change)
    }

    /// Changes members of a Huawei Cloud image, or their answers, around the vendor's rules.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn change_members_out_of_band(&self, change: huawei::MembersOutOfBand) -> Result<Effect, Refused> {
        self.state.lock().change_members(change)
    }

    /// Changes or deletes an image around the vendor's rules.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn patch_image(&self, id: &ImageId, patch: ImagePatch) -> Result<(), Refused> {
        self.state.lock().patch_image(id, patch)
    }

    /// Puts a new image into the world.
    ///
    /// # Errors
    /// When it contradicts the world.
    pub fn create_image(&self, spec: ImageSpec) -> Result<(), Refused> {
        self.state.lock().create_image(spec)
    }

    /// Changes an account.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn patch_account(&self, id: &AccountId, patch: AccountPatch) -> Result<(), Refused> {
        self.state.lock().patch_account(id, patch)
    }

    /// Changes the rules on copies.
    ///
    /// # Errors
    /// When the journal is full.
    pub fn patch_rules(&self, patch: RulesPatch) -> Result<(), Refused> {
        self.state.lock().patch_rules(patch)
    }

    /// Changes a key.
    ///
    /// # Errors
    /// When there is no such key.
    pub fn patch_key(&self, id: &str, patch: KeyPatch) -> Result<(), Refused> {
        self.state.lock().patch_key(id, patch)
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
