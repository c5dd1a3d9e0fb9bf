//! The servers of the demo, and calls of kubectl that are shown.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use imageshare_harness::{ControlPlane, Operator, Simulator, assets, run};
use tokio::time::timeout;

/// The endpoints which the examples name, of Alibaba Cloud and of Huawei Cloud: those of the chart's simulator.
pub(crate) const ENDPOINTS: [&str; 2] = ["http://cloud-simulator:8480", "http://cloud-simulator:8481"];

/// How long one call of kubectl may take.
const CALL: Duration = Duration::from_secs(90);

/// How long a server may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that runs. Dropped in this order: clients of a server before the server.
pub(crate) struct Stage {
    operator: Operator,
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
        let run = run::folder("demo")?;
        let control_plane = step("etcd and kube-apiserver", ControlPlane::start(&run)).await?;
        let definitions = assets::workspace().join("crds");
        step("custom resource definitions, from crds/", control_plane.install(&definitions)).await?;
        let control_plane = step("kube-controller-manager", control_plane.with_controller_manager()).await?;
        let world = assets::workspace().join("examples/simulator/world.yaml");
        let cloud =
            step("cloud simulator, with examples/simulator/world.yaml", Simulator::start_from(&run, &world)).await?;
        // With the rights that the chart gives it, and no others.
        let rights = step("the chart's ServiceAccount and roles", control_plane.operator_kubeconfig()).await?;
        let launch = Operator::launch(rights)?
            .arguments(["--allowed-endpoint", cloud.cloud(), "--allowed-endpoint", cloud.huawei()])
            // So that the story need not wait for looks that come every minute, or five.
            .arguments(["--blocked-interval", "3s", "--inventory-interval", "3s"]);
        let operator = step("imageshare-operator", async { Operator::start(launch, &run) }).await?;
        println!("  logs are in {}", run.display());
        Ok(Self { operator, cloud, control_plane })
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

    /// Fails, with the end of its log, if a server has ended.
    pub(crate) fn ensure_running(&mut self) -> Result<()> {
        self.operator.process.ensure_running()?;
        self.cloud.process.ensure_running()
    }

    /// The ends of the logs.
    pub(crate) fn tails(&self) -> String {
        let (operator, cloud) = (&self.operator.process, &self.cloud.process);
        let shown = [operator, cloud].map(|process| format!("{}:\n{}", process.log_path().display(), process.tail()));
        shown.join("\n")
    }

    /// Ends everything in order; gives the operator's exit status.
    pub(crate) async fn end(mut self) -> Result<i32> {
        let status = self.operator.stop(PATIENCE).await?;
        self.cloud.process.stop(PATIENCE).await?;
        Ok(status)
    }
}

/// An argument as it would be typed into a shell.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,:/".contains(c);
    if argument.chars().all(plain) { argument.to_owned() } else { format!("'{argument}'") }
}
