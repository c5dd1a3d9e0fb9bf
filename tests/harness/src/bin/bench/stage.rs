//! The servers of one measurement, with a fleet in place, and the operators that are measured on it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use imageshare_harness::{ControlPlane, Operator, Simulator, assets, control_plane, run};
use serde_json::json;

use crate::fleet::{Fleet, account};
use crate::objects::create_all;
use crate::requests::{Writes, writes};

/// The token bucket opened so wide that no call waits.
pub(crate) const UNPACED: [&str; 4] = ["--calls-per-second", "100000", "--calls-burst", "100000"];

/// How long nothing is written before it counts as quiet.
const QUIET: Duration = Duration::from_secs(1);

/// How long an operator may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// Servers with a fleet. Dropped in this order: clients of a server before the server.
pub(crate) struct Stage {
    operator: Option<Operator>,
    pub(crate) cloud: Simulator,
    /// A cluster administrator.
    pub(crate) client: kube::Client,
    control_plane: ControlPlane,
    kubeconfig: PathBuf,
    run: PathBuf,
    pub(crate) fleet: Fleet,
}

impl Stage {
    /// Starts the servers and puts the fleet in place. Each answer of the cloud comes `latency` late. No operator runs yet.
    pub(crate) async fn start(fleet: Fleet, latency: Duration) -> Result<Self> {
        let run = run::folder("bench")?;
        let control_plane = ControlPlane::start(&run).await?;
        control_plane.install(&assets::workspace().join("crds")).await?;
        let cloud = Simulator::start(&run, &fleet.world()).await?;
        if !latency.is_zero() {
            let millis = u64::try_from(latency.as_millis())?;
            cloud.post_fault(&json!({"then": {"kind": "slow", "millis": millis}})).await?;
        }
        let kubeconfig = control_plane.operator_kubeconfig().await?.to_path_buf();
        let client = control_plane.client().await?;
        let accounts: Vec<_> = (0..fleet.owners).map(|owner| account(owner, cloud.cloud())).collect();
        // One after the other: namespaces, Secrets, accounts.
        for kind in 0..3 {
            create_all(&client, accounts.iter().filter_map(|objects| objects.get(kind).cloned())).await?;
        }
        create_all(&client, (0..fleet.images).map(|n| fleet.image(n))).await?;
        create_all(&client, (0..fleet.images).map(|n| fleet.share(n))).await?;
        Ok(Self { operator: None, cloud, client, control_plane, kubeconfig, run, fleet })
    }

    /// Starts an operator with these arguments, the way it is deployed but for its lease; one that runs is killed first.
    pub(crate) fn start_operator(&mut self, arguments: &[&str]) -> Result<()> {
        self.operator = None;
        self.operator = Some(self.operator(arguments)?);
        Ok(())
    }

    /// One more operator, beside the one that runs.
    pub(crate) fn operator(&self, arguments: &[&str]) -> Result<Operator> {
        let launch = Operator::launch(&self.kubeconfig)?
            .arguments(["--allowed-endpoint", self.cloud.cloud()])
            .arguments(arguments.iter().copied());
        Operator::start(launch, &self.run)
    }

    /// Tells the operator to stop, and waits for its end; `next` is the operator from then on. Gives the exit status.
    pub(crate) async fn hand_over(&mut self, next: Operator) -> Result<i32> {
        self.operator.replace(next).context("no operator runs")?.stop(PATIENCE).await
    }

    /// Ends the operator, if one runs.
    pub(crate) async fn stop_operator(&mut self) -> Result<()> {
        if let Some(mut operator) = self.operator.take() {
            operator.stop(PATIENCE).await?;
        }
        Ok(())
    }

    /// The operator's process id; fails if it has ended.
    pub(crate) fn operator_pid(&mut self) -> Result<u32> {
        let operator = self.operator.as_mut().context("no operator runs")?;
        operator.process.ensure_running()?;
        Ok(operator.process.pid())
    }

    /// The process ids of the Kubernetes servers.
    pub(crate) fn server_pids(&self) -> Vec<u32> {
        self.control_plane.pids()
    }

    /// A client with the operator's rights.
    pub(crate) async fn client_as_operator(&self) -> Result<kube::Client> {
        control_plane::client_of(&self.kubeconfig).await
    }

    /// The folder with all logs.
    pub(crate) fn logs(&self) -> &Path {
        &self.run
    }

    /// Waits until nothing is written any more; gives all writes so far.
    pub(crate) async fn until_quiet(&self) -> Result<Writes> {
        let mut last = writes(&self.client).await?;
        loop {
            tokio::time::sleep(QUIET).await;
            let now = writes(&self.client).await?;
            if now == last {
                return Ok(now);
            }
            last = now;
        }
    }
}
