//! The operator as a process, the way it is deployed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::assets;
use crate::process::{Child, Launch};

/// An operator that runs, or has run and can be started again; it ends when this is dropped.
///
/// Its process can be frozen, thawed, asked for its log and killed through [`Self::process`].
#[derive(Debug)]
pub struct Operator {
    /// The process of the latest start.
    pub process: Child,
    launch: Launch,
    run: PathBuf,
}

impl Operator {
    /// `imageshare-operator run --kubeconfig FILE`, to which arguments and variables can be added.
    pub fn launch(kubeconfig: &Path) -> Result<Launch> {
        Ok(Self::launch_binary(assets::built("imageshare-operator")?, kubeconfig))
    }

    /// The same with a given binary.
    pub fn launch_binary(binary: PathBuf, kubeconfig: &Path) -> Launch {
        let arguments = ["run".to_owned(), "--kubeconfig".to_owned(), kubeconfig.display().to_string()];
        Launch::new("imageshare-operator", binary).arguments(arguments)
    }

    /// Starts it; it may not be ready yet.
    pub fn start(launch: Launch, run_dir: &Path) -> Result<Self> {
        Ok(Self { process: launch.start(run_dir)?, launch, run: run_dir.to_path_buf() })
    }

    /// Kills it at once (SIGKILL), as a lost node would.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Asks it to end (SIGTERM), kills it after `patience`; gives its exit status, 128 + n when by signal n.
    pub async fn stop(&mut self, patience: Duration) -> Result<i32> {
        self.process.stop(patience).await
    }

    /// Halts it (SIGSTOP), as a machine that stalls would.
    pub fn freeze(&mut self) -> Result<()> {
        self.process.freeze()
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&mut self) -> Result<()> {
        self.process.thaw()
    }

    /// Starts it again with the same arguments and a new log file; kills it first if it runs.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill9();
        self.process = self.launch.start(&self.run)?;
        Ok(())
    }
}
