//! A stage whose operator sits behind the fault proxy, with the API's history recorded for the auditor.

use anyhow::{Result, ensure};
use imageshare_harness::auditor::Invariant;
use imageshare_harness::proxy::Call;
use imageshare_harness::{Auditor, ControlPlane, FaultProxy, History, Operator, Simulator, assets, run};
use imageshare_operator::api::CloudImage;
use imageshare_operator::api::cloud_account::CloudAccountSpec;
use serde_json::Value;
use tokio::sync::Mutex;

use super::{Player, Stage, players_of};

/// The stage, and what stands around it.
pub struct Behind {
    pub stage: &'static Stage,
    pub proxy: FaultProxy,
    history: History,
    world: Value,
}

impl Behind {
    /// Starts everything, the operator with `arguments`. Lives as long as its process.
    pub async fn start(world: Value, arguments: &[&str]) -> Result<Self> {
        Self::start_on(ControlPlane::shared().await?, world, arguments).await
    }

    async fn start_on(control_plane: &'static ControlPlane, world: Value, arguments: &[&str]) -> Result<Self> {
        let run = run::folder_of_this_binary()?;
        let cloud = Simulator::start(&run, &world).await?;
        let kubeconfig = control_plane.operator_kubeconfig().await?;
        let history = History::of_sharing(control_plane).await?;
        let proxy = FaultProxy::start(&run, kubeconfig, cloud.cloud()).await?;
        let launch = Operator::launch(proxy.kubeconfig())?
            .arguments(["--allowed-endpoint", &proxy.cloud()])
            .arguments(arguments.iter().copied());
        let operator = Mutex::new(Operator::start(launch, &run)?);
        let stage: &'static Stage =
            Box::leak(Box::new(Stage { control_plane, cloud, operator, players: players_of(&world) }));
        Ok(Self { stage, proxy, history, world })
    }

    /// The same with an API server of its own, which a test may stop; no controller manager looks after it.
    pub async fn start_apart(world: Value, arguments: &[&str]) -> Result<Self> {
        let control_plane = ControlPlane::start(&run::folder_of_this_binary()?).await?;
        control_plane.install(&assets::workspace().join("crds")).await?;
        Self::start_on(Box::leak(Box::new(control_plane)), world, arguments).await
    }

    /// A player whose account `golden` is called through the proxy; it has no image yet.
    pub async fn player_with(&self, edit: impl FnOnce(&mut CloudAccountSpec)) -> Result<Player> {
        let player = Player::enter_on(self.stage).await?;
        let endpoint = self.proxy.cloud();
        player
            .account(|account| {
                account.alibaba.as_mut().unwrap().endpoint = Some(endpoint);
                edit(account);
            })
            .await?;
        Ok(player)
    }

    /// The same with an image `golden`, ready.
    pub async fn player(&self) -> Result<Player> {
        let player = self.player_with(|_| {}).await?;
        player.image("golden", |_| {}).await?;
        player.ready::<CloudImage>("golden").await?;
        Ok(player)
    }

    /// Judges all that happened to a player's images, with all that was written in these namespaces. `unavoidable`: what
    /// the test itself made happen behind the operator's back.
    pub async fn audit(&self, players: &[&Player], unavoidable: &[Invariant]) -> Result<()> {
        let journal = self.stage.cloud.journal(0).await?;
        let of_players =
            |entry: &&Value| players.iter().any(|p| [1, 2].iter().any(|n| entry["image"] == p.image_id(*n).as_str()));
        let journal: Vec<Value> = journal.iter().filter(of_players).cloned().collect();
        let mut versions = self.history.versions().await?;
        versions.retain(|version| players.iter().any(|player| player.namespace.name() == version.namespace()));
        ensure!(!journal.is_empty() && !versions.is_empty(), "nothing to judge");
        let inside = |path: &str| {
            players.iter().any(|player| path.contains(&format!("/namespaces/{}/", player.namespace.name())))
        };
        let calls: Vec<Call> = self.proxy.calls().into_iter().filter(|call| inside(&call.path)).collect();
        let auditor = Auditor::new(&journal, versions).owners_of(&self.world).carried(&calls);
        let mut found = auditor.audit();
        found.retain(|violation| !unavoidable.contains(&violation.invariant));
        let all: Vec<String> = found.iter().map(ToString::to_string).collect();
        ensure!(all.is_empty(), "{} violations:\n{}", all.len(), all.join("\n"));
        Ok(())
    }
}
