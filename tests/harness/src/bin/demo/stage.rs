//! The servers of the demo, and calls of kubectl that are shown.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use imageshare_harness::process::Child;
use imageshare_harness::{ControlPlane, Operator, Release, Simulator, assets, run};
use tokio::time::timeout;

/// The endpoints which the examples name, of Alibaba Cloud and of Huawei Cloud: those of the chart's simulator.
pub(crate) const ENDPOINTS: [&str; 2] = ["http://cloud-simulator:8480", "http://cloud-simulator:8481"];

/// How long one call of kubectl may take.
const CALL: Duration = Duration::from_secs(90);

/// What the chart gives the operator, as helm renders it: so that the demo needs no helm. `make rights` writes it.
const RIGHTS: &str = include_str!("rights.yaml");

/// Most characters shown of the last line of a log.
const LAST_LINE_CHARS_MAX: usize = 300;

/// How an operator says that it ends since the API server has long refused its token.
const REFUSED: &str = "has refused the operator's credentials";

/// How long a server may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that runs. Dropped in this order: clients of a server before the server.
pub(crate) struct Stage {
    operator: Operator,
    release: Release,
    pub(crate) cloud: Simulator,
    control_plane: ControlPlane,
}

/// Prints what is being started, and how long it took once it has.
async fn step<T>(what: &str, starting: impl Future<Output = Result<T>>) -> Result<T> {
    print!("  {what} … ");
    std::io::stdout().flush()?;
    let begin = Instant::now();
    let started = starting.await;
    println!(
        "{}",
        if started.is_ok() { format!("{:.1} s", begin.elapsed().as_secs_f32()) } else { "failed".to_owned() }
    );
    started.with_context(|| format!("starting {what}"))
}

impl Stage {
    pub(crate) async fn start() -> Result<Self> {
        println!("Starting real servers on this machine:");
        if std::env::var_os("KUBECONFIG").is_some() {
            println!("  the cluster of your KUBECONFIG is left alone: the demo has an API server of its own");
        }
        let run = run::folder("demo")?;
        let control_plane = step("etcd and kube-apiserver", ControlPlane::start(&run)).await?;
        let definitions = assets::workspace().join("crds");
        step("custom resource definitions, from crds/", control_plane.install(&definitions)).await?;
        let control_plane = if assets::controller_manager().is_ok() {
            step("kube-controller-manager", control_plane.with_controller_manager()).await?
        } else {
            control_plane
        };
        let world = assets::workspace().join("examples/simulator/world.yaml");
        let cloud =
            step("cloud simulator, with examples/simulator/world.yaml", Simulator::start_from(&run, &world)).await?;
        // With the rights that the chart gives it, and no others.
        let release = Release::default();
        let admitting = release.admit_with(&control_plane, RIGHTS);
        let rights = step("the chart's ServiceAccount and roles", admitting).await?;
        let launch = Operator::launch(&rights)?
            .arguments(["--allowed-endpoint", cloud.cloud(), "--allowed-endpoint", cloud.huawei()])
            // The story need not wait for reconciles that come every minute, or five; and what this cloud has answered once
            // stays so.
            .arguments(["--blocked-interval", "3s", "--inventory-interval", "3s"])
            .arguments(["--absence-window", "1s", "--lost-job-window", "1s", "--lost-copy-window", "1s"]);
        let operator = step("imageshare-operator", async { Operator::start(launch, &run) }).await?;
        println!("  logs are in {}", run.display());
        Ok(Self { operator, release, cloud, control_plane })
    }

    /// Applies files of `examples/`, with the endpoints that are served here, and shows the call and its output.
    pub(crate) async fn apply(&self, path: &str) -> Result<()> {
        let served = [self.cloud.cloud(), self.cloud.huawei()];
        let at = assets::workspace().join(path);
        let mut files = if at.is_dir() {
            std::fs::read_dir(&at)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?
        } else {
            vec![at.clone()]
        };
        files.sort();
        let texts = files.iter().map(std::fs::read_to_string).collect::<Result<Vec<_>, _>>()?;
        let mut text = texts.join("---\n");
        let mut edits = String::new();
        for (named, served) in ENDPOINTS.into_iter().zip(served) {
            if text.contains(named) {
                text = text.replace(named, served);
                edits = format!("sed s,{named},{served}, ");
            }
        }
        let slash = if at.is_dir() { "/" } else { "" };
        if edits.is_empty() {
            println!("\n  $ kubectl apply -f {path}{slash}");
        } else {
            println!("\n  $ {edits}{path}{}| kubectl apply -f -", if at.is_dir() { "/*.yaml " } else { " " });
        }
        for line in self.kubectl(&["apply", "-f", "-"], &text).await?.lines() {
            println!("  {line}");
        }
        Ok(())
    }

    /// Runs kubectl and shows the call and its output.
    pub(crate) async fn show(&self, args: &[&str]) -> Result<String> {
        println!("\n  $ kubectl {}", args.iter().map(|arg| quoted(arg)).collect::<Vec<_>>().join(" "));
        let output = self.kubectl(args, "").await?;
        for line in output.lines() {
            println!("  {line}");
        }
        Ok(output)
    }

    /// Runs kubectl without showing it.
    pub(crate) async fn kubectl(&self, args: &[&str], input: &str) -> Result<String> {
        let call = timeout(CALL, self.control_plane.kubectl_with(args, input)).await;
        call.with_context(|| format!("kubectl {} took longer than {CALL:?}", args.join(" ")))?
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.control_plane.kubeconfig_path()
    }

    /// Starts the operator again with a new token if it ended because the API server refused the old one, as a kubelet would.
    /// Fails if a server has ended otherwise.
    pub(crate) async fn keep_running(&mut self) -> Result<()> {
        let ended = self.operator.process.ended()?.is_some();
        if ended && self.operator.process.tail().contains(REFUSED) {
            self.release.kubeconfig(&self.control_plane).await?;
            self.operator.restart()?;
            println!("  the operator's token had expired: the operator runs again, with a new one");
        }
        self.ensure_running()
    }

    /// Fails, and says where its log is, if a server has ended.
    pub(crate) fn ensure_running(&mut self) -> Result<()> {
        ensure_runs("imageshare-operator", &mut self.operator.process)?;
        ensure_runs("cloud-simulator", &mut self.cloud.process)
    }

    /// Where the logs are.
    pub(crate) fn logs(&self) -> String {
        let (operator, cloud) = (self.operator.process.log_path(), self.cloud.process.log_path());
        format!("The log of the operator is {}\nThe log of the simulator is {}", operator.display(), cloud.display())
    }

    /// Ends everything in order; gives the operator's exit status.
    pub(crate) async fn end(mut self) -> Result<i32> {
        let status = self.operator.stop(PATIENCE).await?;
        self.cloud.process.stop(PATIENCE).await?;
        Ok(status)
    }
}

fn ensure_runs(name: &str, process: &mut Child) -> Result<()> {
    let Some(status) = process.ended()? else { return Ok(()) };
    let tail = process.tail();
    let last: String = tail.lines().last().unwrap_or_default().chars().take(LAST_LINE_CHARS_MAX).collect();
    bail!("{name} ended with status {status}, and said at last: {last}\nIts log is {}", process.log_path().display())
}

/// An argument as it would be typed into a shell.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,:/".contains(c);
    if argument.chars().all(plain) { argument.to_owned() } else { format!("'{argument}'") }
}
