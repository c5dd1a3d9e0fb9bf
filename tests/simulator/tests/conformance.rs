//! The vendors' official SDKs against the simulator's binary: what the simulator answers, the SDKs must understand.
//! Needs `python3` with `venv`, and a package index for the first run; the environment is kept for later ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sha2::{Digest, Sha256};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// Ends the process it holds, however the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended is as good as ended now.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn conformance() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance")
}

fn run(what: &str, command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what} failed\n{out}\n{err}");
    println!("{out}");
}

/// The Python of the environment below, made once for all tests.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(python_with_sdks)
}

/// The Python of an environment with the pinned SDKs. Its folder is named after the requirements, so that other pins make
/// another environment; the marker is written last, so that a half-made one is made anew.
fn python_with_sdks() -> PathBuf {
    let requirements = conformance().join("requirements.txt");
    let digest = hex::encode(Sha256::digest(fs::read(&requirements).unwrap()));
    let build = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let venv = build.join("conformance-venv").join(digest.get(..16).unwrap());
    let python = venv.join("bin/python");
    let marker = venv.join("complete");
    if !marker.exists() {
        run("python3 -m venv", Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&requirements);
        run("pip install", &mut install);
        fs::write(&marker, digest).unwrap();
    }
    python
}

/// Programs that live the life of a client in another language, by `make conformance`.
const PROGRAMS: &str = "CONFORMANCE_PROGRAMS";

/// Runs a script against a simulator of its own, and ends that well.
fn drive(script: &str, world: &str, ports: &[&str], programs: &[String]) {
    let certificate = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("conformance-{script}.pem"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloud-simulator"));
    command.arg("--world").arg(conformance().join(world)).arg("--print-addresses");
    command.args(["--tls-address", "127.0.0.1:0", "--tls-certificate"]).arg(&certificate);
    let mut simulator = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(simulator.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addresses: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = |port: &str| addresses.get(port).and_then(|url| url.as_str()).unwrap();

    // One SDK keeps a file under HOME.
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance-home");
    fs::create_dir_all(&home).unwrap();
    let mut run_script = Command::new(python());
    run_script.arg(conformance().join(script)).args(ports.iter().map(|port| address(port))).args(programs);
    run_script.env("HOME", home).env("PYTHONDONTWRITEBYTECODE", "1");
    // For clients that know the vendors' hosts only.
    run_script.env("SIMULATOR_TLS", address("tls")).env("SIMULATOR_CERTIFICATE", certificate);
    run("the SDK's run", run_script.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1"));

    let pid = simulator.0.id().to_string();
    run("kill -TERM", Command::new("kill").args(["-TERM", &pid]));
    assert!(simulator.0.wait().unwrap().success(), "the simulator ends well on SIGTERM");
}

#[test]
fn the_official_alibaba_sdk_understands_every_answer_of_the_simulator() {
    drive("alibaba_sdk.py", "alibaba-world.yaml", &["cloud", "control"], &[]);
}

#[test]
fn the_official_huawei_sdk_understands_every_answer_of_the_simulator() {
    drive("huawei_sdk.py", "huawei-world.yaml", &["huawei", "control"], &[]);
}

#[test]
fn the_official_aws_sdk_understands_every_answer_of_the_simulator() {
    drive("aws_sdk.py", "aws-world.yaml", &["aws", "control"], &[]);
}

#[test]
fn every_client_lives_the_same_life() {
    let programs = std::env::var(PROGRAMS).unwrap_or_default();
    let programs: Vec<_> = programs.split_whitespace().map(str::to_owned).collect();
    drive("life.py", "life-world.yaml", &["cloud", "huawei", "aws", "control"], &programs);
}
