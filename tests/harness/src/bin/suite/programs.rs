//! The test programs: what cargo has built, and the documentation's tests, which only cargo can run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::assets;
use serde::Deserialize;

/// One program to run.
#[derive(Debug)]
pub(crate) struct Program {
    /// Its source, relative to the workspace.
    pub(crate) name: String,
    pub(crate) command: Command,
}

/// The message of cargo about something that it built. Its other messages lack these fields.
#[derive(Debug, Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    target: Target,
    profile: Profile,
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    src_path: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Profile {
    test: bool,
}

/// Builds all test programs of the workspace.
pub(crate) fn all(threads: u32) -> Result<Vec<Program>> {
    let mut build = cargo();
    build
        .args(["test", "--workspace", "--no-run", "--message-format=json-render-diagnostics"])
        .stderr(Stdio::inherit());
    let output = build.output().context("starting cargo")?;
    ensure!(output.status.success(), "the tests do not compile");
    let messages = String::from_utf8(output.stdout).context("what cargo built")?;
    let mut programs: Vec<Program> =
        messages.lines().filter_map(|message| program(message, &assets::workspace())).collect();
    ensure!(!programs.is_empty(), "cargo built no test program");
    let mut documentation = cargo();
    documentation.args(["test", "--workspace", "--doc"]);
    programs.push(Program { name: "documentation".to_owned(), command: documentation });
    for program in &mut programs {
        program.command.env("RUST_TEST_THREADS", threads.to_string());
    }
    Ok(programs)
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(assets::workspace());
    command
}

/// The test program of a message of cargo, if it is about one. It is started as cargo does.
fn program(message: &str, workspace: &Path) -> Option<Program> {
    let artifact: Artifact = serde_json::from_str(message).ok()?;
    let executable = artifact.executable.filter(|_| artifact.profile.test)?;
    let package = artifact.manifest_path.parent()?;
    let source = &artifact.target.src_path;
    let name = source.strip_prefix(workspace).unwrap_or(source).display().to_string();
    let mut command = Command::new(executable);
    command.current_dir(package).env("CARGO_MANIFEST_DIR", package).env("CARGO_MANIFEST_PATH", &artifact.manifest_path);
    Some(Program { name, command })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// As cargo writes it, shortened.
    fn message(test: bool, executable: &str) -> String {
        format!(
            r#"{{"reason":"compiler-artifact","package_id":"path+file:///w/tests/harness#0.1.0",
                "manifest_path":"/w/tests/harness/Cargo.toml","target":{{"kind":["test"],"name":"demo",
                "src_path":"/w/tests/harness/tests/demo.rs"}},"profile":{{"opt_level":"0","test":{test}}},
                "features":[],"filenames":[],"executable":{executable},"fresh":true}}"#
        )
    }

    #[test]
    fn a_test_program_is_run_in_the_folder_of_its_package() {
        let program = program(&message(true, r#""/w/target/debug/deps/demo-12""#), Path::new("/w")).unwrap();
        assert_eq!(program.name, "tests/harness/tests/demo.rs");
        assert_eq!(program.command.get_program(), "/w/target/debug/deps/demo-12");
        assert_eq!(program.command.get_current_dir(), Some(Path::new("/w/tests/harness")));
        let mut environment = program.command.get_envs();
        assert_eq!(environment.next(), Some(("CARGO_MANIFEST_DIR".as_ref(), Some("/w/tests/harness".as_ref()))));
    }

    #[test]
    fn libraries_binaries_and_other_messages_are_no_test_programs() {
        for message in [message(true, "null"), message(false, r#""/w/target/debug/demo""#)] {
            assert!(program(&message, Path::new("/w")).is_none(), "{message}");
        }
        assert!(program(r#"{"reason":"build-finished","success":true}"#, Path::new("/w")).is_none());
        assert!(program("not JSON", Path::new("/w")).is_none());
    }
}
