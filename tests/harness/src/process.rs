//! Servers as child processes that cannot outlive their owner.
//!
//! Dropping a value is not enough: a static is never dropped, and a killed test runs no code. So each server is
//! the child of a small shell, its keeper, that waits for the closing of a pipe from this process. Signals go
//! through the keeper too: it alone knows that the server's pid is still the server's.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

const KEEPER: &str = include_str!("keeper.sh");

/// Variables a server inherits; all else is the developer's own and must not change a test.
const INHERITED: [&str; 5] = ["PATH", "HOME", "TMPDIR", "LLVM_PROFILE_FILE", "PLANTED_BUG"];

/// Most bytes of a log shown in an error.
const TAIL: usize = 4096;

/// What to start; it can be started any number of times.
#[derive(Debug, Clone)]
pub struct Launch {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    removed: PathBuf,
}

impl Launch {
    /// A program; `name` names its log files.
    pub fn new(name: &str, program: impl Into<PathBuf>) -> Self {
        let (arguments, environment) = (Vec::new(), Vec::new());
        Self { name: name.to_owned(), program: program.into(), arguments, environment, removed: PathBuf::new() }
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable; of this process's own only `PATH`, `HOME` and `TMPDIR` are inherited.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Removes this folder once the program has ended, in whatever way.
    #[must_use]
    pub fn removes(mut self, folder: impl Into<PathBuf>) -> Self {
        self.removed = folder.into();
        self
    }

    /// Starts the program; its output goes to a new log file in `run`: `name.log`, `name-2.log`, …
    pub fn start(&self, run: &Path) -> Result<Child> {
        ensure!(self.program.is_file(), "{} is not there", self.program.display());
        let log = new_log(run, &self.name)?;
        let mut command = process::Command::new("sh");
        command.arg("-c").arg(KEEPER).arg("keeper").arg(&log).arg(&self.removed).arg(&self.program);
        command.args(&self.arguments).current_dir(run).env_clear();
        command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // A group of its own: Ctrl-C at the terminal is for the owner, which then ends its servers in order.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut keeper = command.spawn().context("starting sh")?;
        let (input, output) = (keeper.stdin.take(), keeper.stdout.take());
        let (Some(input), Some(output)) = (input, output) else { bail!("the keeper of {} has no pipes", self.name) };
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line).context("reading the server's pid")?;
        let name = self.name.clone();
        let mut child = Child { name, pid: 0, log, keeper, input: Some(input), output };
        child.pid = line.trim().parse().with_context(|| format!("{} did not start: {}", child.name, child.tail()))?;
        Ok(child)
    }
}

fn new_log(run: &Path, name: &str) -> Result<PathBuf> {
    for count in 1..1000 {
        let file = if count == 1 { format!("{name}.log") } else { format!("{name}-{count}.log") };
        let path = run.join(file);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("making {}", path.display())),
        }
    }
    bail!("{} holds too many logs of {name}", run.display())
}

/// A running server; killed and waited for when dropped, and when this process ends in whatever way.
#[derive(Debug)]
pub struct Child {
    name: String,
    pid: u32,
    log: PathBuf,
    keeper: process::Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The process id of its keeper.
    pub fn keeper_pid(&self) -> u32 {
        self.keeper.id()
    }

    /// The log file of this start.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// All output so far; empty when it cannot be read.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The end of the log, for error messages.
    pub fn tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let (_, end) = log.split_at(log.len().saturating_sub(TAIL));
        String::from_utf8_lossy(end).into_owned()
    }

    /// The exit status if the server has ended: 128 + n when by signal n.
    pub fn ended(&mut self) -> Result<Option<i32>> {
        let status = self.keeper.try_wait().with_context(|| format!("looking at {}", self.name))?;
        Ok(status.map(|status| status.code().unwrap_or(-1)))
    }

    /// Fails, with the end of the log, if the server has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("{} ended with status {status}: {}", self.name, self.tail());
        }
        Ok(())
    }

    /// Ends the server at once (SIGKILL) and waits until it has gone; nothing happens if it has ended already.
    pub fn kill9(&mut self) {
        // The keeper takes a closed pipe as the order to kill, and ends once it has waited for the server.
        drop(self.input.take());
        self.keeper.wait().ok();
    }

    /// Asks the server to end (SIGTERM), kills it after `patience`; the exit status as [`Self::ended`] gives it.
    pub async fn stop(&mut self, patience: Duration) -> Result<i32> {
        let deadline = Instant::now() + patience;
        if self.ended()?.is_none() {
            self.signal("TERM").ok();
        }
        while Instant::now() < deadline {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.kill9();
        self.ended()?.with_context(|| format!("{} outlived its kill", self.name))
    }

    /// Halts the server without ending it (SIGSTOP).
    pub fn freeze(&mut self) -> Result<()> {
        self.signal("STOP")
    }

    /// Lets a frozen server go on (SIGCONT).
    pub fn thaw(&mut self) -> Result<()> {
        self.signal("CONT")
    }

    /// Sends a signal, by its name without `SIG`; on return it has been sent. Fails if the server has ended.
    pub fn signal(&mut self, signal: &str) -> Result<()> {
        let gone = || format!("sending {signal}: it has ended");
        let input = self.input.as_mut().with_context(gone)?;
        writeln!(input, "{signal}").with_context(gone)?;
        let mut line = String::new();
        self.output.read_line(&mut line).with_context(gone)?;
        ensure!(line.trim() == signal, "{}: {}", self.name, gone());
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill9();
    }
}
