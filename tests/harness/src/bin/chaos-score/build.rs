//! The operator and its tests with the known bugs built in, of which the environment chooses one.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::assets;
use imageshare_harness::planted::{Bug, Test, VARIABLE};

/// The operator's package and binary.
const OPERATOR: &str = "imageshare-operator";

/// The package of its tests.
const TESTS: &str = "operator-tests";

/// The cloud that tests start, from the same folder.
const SIMULATOR: &str = "cloud-simulator";

/// Most lines shown of what a build says.
const TAIL: usize = 40;

/// What was built, in a target folder of its own.
pub(crate) struct Build {
    target: PathBuf,
}

impl Build {
    /// Builds the operator and the tests that are to find these bugs.
    pub(crate) fn make(bugs: &[Bug]) -> Result<Self> {
        let this = Self { target: assets::workspace().join("target/planted") };
        // With a test in any case: dependencies get the features that tests need, and are built once for both.
        let wanted: BTreeSet<Vec<String>> = bugs.iter().filter_map(|bug| bug.test.as_ref()).map(chosen).collect();
        let some_test = ["--test", "layering"].map(ToOwned::to_owned);
        let output = this.cargo("build").arg("--bins").args(some_test).args(wanted.into_iter().flatten()).output();
        let output = output.context("starting cargo")?;
        ensure!(output.status.success(), "the sources with the bugs do not compile:\n{}", tail(&output));
        // It has no bugs to be built with.
        fs::copy(assets::built(SIMULATOR)?, this.target.join("debug").join(SIMULATOR))
            .context("keeping the simulator")?;
        Ok(this)
    }

    /// The operator.
    pub(crate) fn operator(&self) -> PathBuf {
        self.target.join("debug").join(OPERATOR)
    }

    /// Whether a test fails with this bug. Fails where it does so without the bug too: it finds nothing then.
    pub(crate) fn test_fails(&self, bug: &Bug, test: &Test) -> Result<bool> {
        ensure!(!self.fails("", test)?, "{} fails without {} too", test.name, bug.name);
        self.fails(&bug.name, test)
    }

    fn fails(&self, bug: &str, test: &Test) -> Result<bool> {
        let mut command = self.cargo("test");
        command.env(VARIABLE, bug).args(chosen(test)).args(["--", "--exact", &test.name]);
        let run = command.output().context("starting cargo")?;
        let told = String::from_utf8_lossy(&run.stdout);
        ensure!(told.contains("running 1 test"), "no test {} in {}:\n{}", test.name, test.target, tail(&run));
        Ok(!run.status.success() && told.contains(&format!("test {} ... FAILED", test.name)))
    }

    fn cargo(&self, what: &str) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(assets::workspace()).env_remove("CARGO_TARGET_DIR");
        if let Ok(servers) = assets::servers() {
            command.env("KUBEBUILDER_ASSETS", servers);
        }
        command.args([what, "--locked", "--package", OPERATOR, "--package", TESTS]);
        command.args(["--features", &format!("{OPERATOR}/planted"), "--target-dir"]);
        command.arg(&self.target);
        command
    }
}

/// What chooses a test's binary.
fn chosen(test: &Test) -> Vec<String> {
    if test.target == "lib" { vec!["--lib".to_owned()] } else { vec!["--test".to_owned(), test.target.clone()] }
}

/// The last lines of what a build says.
fn tail(built: &Output) -> String {
    let told = String::from_utf8_lossy(&built.stderr);
    let lines: Vec<&str> = told.lines().collect();
    lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default().join("\n")
}
