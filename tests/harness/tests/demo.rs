//! The demo, as a person runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use imageshare_harness::Release;

fn demo(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn interrupt(process: u32) {
    assert!(Command::new("sh").arg("-c").arg(format!("kill -INT {process}")).status().unwrap().success());
}

fn processes_named(name: &str) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name))
        .collect()
}

/// The operator that a demo has started: a grandchild, since its parent is its keeper.
fn operator_of(demo: u32) -> u32 {
    let parent = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse::<u32>().ok())
    };
    let operators = processes_named("imageshare-oper");
    *operators.iter().find(|pid| parent(**pid).and_then(parent) == Some(demo)).expect("the demo's operator")
}

#[test]
fn demo_says_where_the_log_is_of_an_operator_that_ended_and_prints_no_log() {
    let mut demo = demo(&[]);
    let id = demo.id();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains("Every step held.")).unwrap().unwrap();
    let operator = operator_of(id);
    assert!(Command::new("kill").args(["-KILL", &operator.to_string()]).status().unwrap().success());
    lines.for_each(drop);
    let mut errors = String::new();
    demo.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(!demo.wait().unwrap().success());
    let lines: Vec<&str> = errors.trim().lines().collect();
    assert!(lines.len() <= 3 && errors.contains("imageshare-operator ended with status 137"), "{errors}");
    let log = lines.last().unwrap().strip_prefix("Its log is ").expect(&errors);
    assert!(Path::new(log).is_file(), "{errors}");
}

#[tokio::test]
async fn demo_gives_the_operator_the_rights_of_the_chart() {
    let rendered = Release::default().rights().await.unwrap();
    assert!(rendered == include_str!("../src/bin/demo/rights.yaml"), "the chart has others now: run `make rights`");
}

#[test]
fn demo_once_tells_the_story_and_ends_well() {
    let output = demo(&["--once"]).wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}\n{told}\n{errors}", output.status);
    let mut rest = told.as_str();
    for line in [
        "The share becomes Ready",
        "imageshare.imageshare.dev/app-teams   golden-ubuntu   3/3",
        "account 1000000000000001: m-bp1goldenubuntu2404",
        "account 1000000000000003: m-bp1goldenubuntu2404",
        "kubectl delete cloudimage golden-ubuntu",
        "delete these ImageShares first, each still names this image: golden-images/app-teams",
        "kubectl delete imageshare app-teams",
        "account 1000000000000001: nothing",
        "account 1000000000000003: nothing",
        "kubectl wait --for=delete cloudimage/golden-ubuntu",
        "examples/huawei/01-owner.yaml",
        "partners   golden-euler   1/1          0/1",
        "examples/huawei/02-receiver.yaml",
        "d164b5df-1bc3-4c3f-893e-3e471fd16e64",
        "Pending",
        "examples/huawei/03-accept.yaml",
        "partners   golden-euler   1/1          1/1",
        "kubectl delete imageshare partners",
        "Revoked",
        "Every step held.",
    ] {
        let (_, after) =
            rest.split_once(line).unwrap_or_else(|| panic!("{line:?} is missing, or not in order:\n{told}"));
        rest = after;
    }
}

#[test]
fn demo_stays_up_until_it_is_told_to_end() {
    let mut demo = demo(&[]);
    let id = demo.id();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut told = Vec::new();
    let mut until = |wanted: &str| {
        for line in lines.by_ref() {
            let line = line.unwrap();
            told.push(line.clone());
            if line.contains(wanted) {
                return line;
            }
            // Its last line: from here on it says nothing until it is told to end.
            if line.contains("curl http://127.0.0.1:") {
                interrupt(id);
                break;
            }
        }
        panic!("{wanted:?} was never told:\n{}", told.join("\n"));
    };
    until("Every step held.");
    let kubeconfig = until("export KUBECONFIG=").split_once('=').unwrap().1.to_owned();
    let data = Path::new(&kubeconfig).ancestors().nth(2).unwrap().join("etcd-data");
    until("curl http://127.0.0.1:");
    assert!(data.exists());
    interrupt(id);
    until("Ending the servers");
    let status = demo.wait().unwrap();
    let mut errors = String::new();
    demo.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(status.success(), "{status:?}: {errors}");
    assert!(!data.exists(), "etcd's data is left behind");
}
