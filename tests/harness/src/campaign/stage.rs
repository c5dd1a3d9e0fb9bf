//! The stage of a campaign: a control plane, both clouds, and the operator behind a fault proxy on every way; and how a plan
//! is played on it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

use super::Finding;
use super::clouds::{self, Cloud};
use super::faults::{self, Shared, Victims};
use super::lean::Lean;
use super::plan::{Deed, Plan};
use super::wishing::{Api, Lanes, People};
use crate::control_plane::ControlPlane;
use crate::history::History;
use crate::operator::Operator;
use crate::proxy::{FaultProxy, Upstream};
use crate::simulator::Simulator;
use crate::{assets, proxy};

/// Waits are short and looks frequent: a campaign has minutes for what a cluster has days for. The window within which an
/// absence proves nothing is longer than any read of the simulator may lag.
const QUICK: [&str; 16] = [
    "--absence-window",
    "2s",
    "--lost-job-window",
    "6s",
    "--lost-copy-window",
    "6s",
    "--credentials-interval",
    "2s",
    "--drift-interval",
    "4s",
    "--inventory-interval",
    "3s",
    "--last-known-good",
    "1h",
    "--log",
    "info,imageshare_operator=debug",
];

/// How long whom somebody added by hand is left alone.
pub(super) const GRACE: SignedDuration = SignedDuration::from_secs(4);

/// How often somebody looks after what nobody wished: ended processes, Secrets that nothing needs any more.
const ROUND: Duration = Duration::from_millis(400);

/// The running servers.
pub(super) struct Stage {
    pub(super) people: Arc<People>,
    pub(super) victims: Shared,
    pub(super) history: History,
    /// Calls a second of each account in each region, and at once.
    pub(super) pace: (u32, u32),
    pub(super) run: PathBuf,
    /// When the plan began.
    began: OnceLock<Timestamp>,
}

impl Stage {
    /// What it leans on says how often accounts may be called in each region, and how long the operator's pauses are.
    pub(super) async fn start(run: &Path, operator: Option<&Path>, lean: &Lean) -> Result<Self> {
        let pace = lean.budget();
        let control_plane = ControlPlane::start(run).await?;
        control_plane.install(&definitions(run, lean)?).await?;
        let control_plane = control_plane.with_controller_manager().await?;
        let kubeconfig = control_plane.operator_kubeconfig().await?.to_path_buf();
        let history = History::of_sharing(&control_plane).await?;
        let cloud = Simulator::start(run, &clouds::world()).await?;
        let proxy = FaultProxy::start(run, &kubeconfig, cloud.cloud()).await?;
        let huawei = FaultProxy::start(run, &kubeconfig, cloud.huawei()).await?;
        let binary = operator.map_or_else(|| assets::built("imageshare-operator"), |path| Ok(path.to_path_buf()))?;
        let doors = BTreeMap::from([(Cloud::Alibaba, proxy.cloud()), (Cloud::Huawei, huawei.cloud())]);
        let launch = Operator::launch_binary(binary, proxy.kubeconfig()).arguments(QUICK);
        let launch = launch.arguments(["--unmanaged-grace".to_owned(), format!("{}s", GRACE.as_secs())]);
        let budget = [("--calls-per-second", pace.0), ("--calls-burst", pace.1)];
        let launch = budget.iter().fold(launch, |launch, (flag, calls)| launch.arguments([format!("{flag}={calls}")]));
        let [retry, refusal, blocked] = lean.pauses();
        let pauses = [("--longest-retry", retry), ("--refusal-retry", refusal), ("--blocked-interval", blocked)];
        let launch = pauses.iter().fold(launch, |launch, (flag, pause)| launch.arguments([format!("{flag}={pause}s")]));
        let launch = doors.values().fold(launch, |launch, door| launch.arguments(["--allowed-endpoint", door]));
        let operator = Mutex::new(Operator::start(launch, run)?);
        let people = Arc::new(People::new(Api(control_plane.client().await?), cloud, doors));
        let (outages, restarting, weather) = (std::sync::Mutex::default(), Mutex::default(), Mutex::default());
        let standing = Mutex::default();
        let victims =
            Arc::new(Victims { operator, outages, control_plane, restarting, proxy, huawei, weather, standing });
        Ok(Self { people, victims, history, pace, run: run.to_path_buf(), began: OnceLock::new() })
    }

    /// Carries a plan out to its end: all wishes were taken, all faults are over, and the operator runs. Gives the wish that
    /// nobody could make, since what was there before of its name does not go.
    pub(super) async fn play(&self, plan: &Plan) -> Result<Option<Finding>> {
        let began = Instant::now();
        self.began.get_or_init(Timestamp::now);
        let mut lanes =
            Lanes::until(began + plan.steps.last().map_or(Duration::ZERO, |last| Duration::from_millis(last.at)));
        let mut befalling: FuturesUnordered<LocalBoxFuture<'_, Result<()>>> = FuturesUnordered::new();
        let watching = tokio::spawn(look_after(Arc::clone(&self.people), Arc::clone(&self.victims)));
        for step in &plan.steps {
            let time = pin!(sleep_until(began + Duration::from_millis(step.at)));
            let mut time = time.fuse();
            loop {
                futures::select! {
                    () = time => break,
                    over = befalling.select_next_some() => over.context("a fault could not be carried out")?,
                }
            }
            match &step.deed {
                Deed::Wish(wish) => lanes.send(&self.people, wish),
                Deed::ByHand(change) => faults::change_by_hand(&self.people.cloud, change).await?,
                Deed::Fault(fault) => befalling.push(self.victims.befall(fault, &self.people.cloud).boxed_local()),
            }
        }
        while let Some(over) = befalling.next().await {
            over.context("a fault could not be carried out")?;
        }
        self.people.cloud.clear_faults().await?;
        let stuck = lanes.end().await.err();
        watching.abort();
        self.victims.revive().await?;
        Ok(stuck.map(|error| Finding { check: "Convergence".to_owned(), what: format!("{error:#}") }))
    }

    /// When the plan began.
    pub(super) fn began(&self) -> Timestamp {
        self.began.get().copied().unwrap_or(Timestamp::MAX)
    }

    /// What happened, for the summary.
    pub(super) async fn told(&self) -> Result<String> {
        let acts = self.people.cloud.journal(0).await?;
        let changes = acts.iter().filter(|act| act.get("effect").is_some_and(|effect| !effect.is_null())).count();
        let versions = self.history.versions().await?.len();
        let calls = self.calls().len();
        let kills = self.victims.kills().len();
        Ok(format!(
            "{} acts at the clouds, {changes} with effect, {versions} versions, {calls} calls, {kills} kills",
            acts.len()
        ))
    }

    /// Every request of the operator's.
    pub(super) fn calls(&self) -> Vec<proxy::Call> {
        let huawei = self.victims.huawei.calls().into_iter().filter(|call| call.upstream == Upstream::Cloud);
        self.victims.proxy.calls().into_iter().chain(huawei).collect()
    }

    /// Whether the operator asked anybody to change anything after that.
    pub(super) fn wrote_after(&self, time: Timestamp) -> Option<proxy::Call> {
        self.calls().into_iter().find(|call| call.write.is_some() && call.asked_at > time)
    }
}

/// The operator's own definitions, or such as an older version had: without patterns and rules for strings.
fn definitions(run: &Path, lean: &Lean) -> Result<PathBuf> {
    let own = assets::workspace().join("crds");
    if !lean.has_loose_definitions() {
        return Ok(own);
    }
    let loose = run.join("crds");
    fs::create_dir_all(&loose).with_context(|| format!("making {}", loose.display()))?;
    for entry in fs::read_dir(&own).with_context(|| format!("reading {}", own.display()))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let mut definition: Value = serde_yaml::from_str(&text)?;
        loosen(&mut definition);
        let to = loose.join(path.file_name().unwrap_or_default());
        fs::write(&to, serde_yaml::to_string(&definition)?).with_context(|| format!("writing {}", to.display()))?;
    }
    Ok(loose)
}

fn loosen(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            // A property may be called so, but is an object then.
            fields.retain(|name, value| {
                !(name == "pattern" && value.is_string() || name == "x-kubernetes-validations" && value.is_array())
            });
            fields.values_mut().for_each(loosen);
        }
        Value::Array(items) => items.iter_mut().for_each(loosen),
        _ => {}
    }
}

/// Starts what ended by itself, and lets Secrets go.
async fn look_after(people: Arc<People>, victims: Shared) -> Result<()> {
    loop {
        sleep(ROUND).await;
        victims.revive().await?;
        // The API server may be away.
        people.release_secrets().await.ok();
    }
}
