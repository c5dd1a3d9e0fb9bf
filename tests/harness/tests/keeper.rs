//! Servers end with their owner, in whatever way that ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};
use imageshare_harness::process::{Child, Launch};
use imageshare_harness::{eventually, run};

const LIMIT: Duration = Duration::from_secs(20);
const PATIENT: Duration = Duration::from_secs(20);

fn shell(script: &str) -> (Launch, PathBuf) {
    let run = run::folder("keeper").unwrap();
    (Launch::new("server", "/bin/sh").arguments(["-c", script]), run)
}

fn runs(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// The state of a process as the kernel tells it: `S` sleeping, `T` stopped, …
fn state(pid: u32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1[..1].to_owned()
}

async fn says(child: &Child, line: &str) {
    eventually(LIMIT, line, async || {
        ensure!(child.log().contains(line), "{:?}", child.log());
        Ok(Some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn dropping_a_server_leaves_no_process() {
    let (launch, run) = shell("exec sleep 600");
    let child = launch.start(&run).unwrap();
    let pids = [child.pid(), child.keeper_pid()];
    assert!(pids.iter().all(|pid| runs(*pid)));
    drop(child);
    assert!(!pids.iter().any(|pid| runs(*pid)));
}

#[tokio::test]
async fn killing_the_owner_ends_its_server_even_a_frozen_one() {
    let script = include_str!("../src/keeper.sh");
    let mut owner = Command::new("sh")
        // The owner's pipe to the keeper is its own: here cat's, which lasts until that is killed.
        .args(["-c", "cat | sh -c \"$0\" keeper /dev/null '' /bin/sleep 600", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(owner.stdout.take().unwrap()), &mut line).unwrap();
    let server: u32 = line.trim().parse().unwrap();
    std::io::Write::write_all(owner.stdin.as_mut().unwrap(), b"STOP\n").unwrap();
    let stopped = async || Ok((state(server) == "T").then_some(()));
    eventually(LIMIT, "the server to freeze", stopped).await.unwrap();
    drop(owner.stdin.take());
    owner.wait().unwrap();
    assert!(!runs(server));
}

#[tokio::test]
async fn stop_asks_first() {
    let (launch, run) = shell("trap 'echo asked; exit 7' TERM; echo ready; while :; do sleep 0.01; done");
    let mut child = launch.start(&run).unwrap();
    says(&child, "ready").await;
    assert_eq!(child.stop(PATIENT).await.unwrap(), 7);
    assert!(child.log().ends_with("asked\n"));
}

#[tokio::test]
async fn stop_kills_one_that_does_not_listen() {
    let (launch, run) = shell("trap '' TERM; echo ready; while :; do sleep 0.01; done");
    let mut child = launch.start(&run).unwrap();
    says(&child, "ready").await;
    assert_eq!(child.stop(Duration::from_millis(100)).await.unwrap(), 128 + 9);
}

#[tokio::test]
async fn frozen_server_does_nothing_until_thawed() {
    let (launch, run) = shell("exec sleep 600");
    let mut child = launch.start(&run).unwrap();
    let pid = child.pid();
    child.freeze().unwrap();
    let stopped = async || Ok((state(pid) == "T").then_some(()));
    eventually(LIMIT, "the server to freeze", stopped).await.unwrap();
    child.thaw().unwrap();
    let awake = async || Ok((state(pid) == "S").then_some(()));
    eventually(LIMIT, "the server to thaw", awake).await.unwrap();
}

#[tokio::test]
async fn server_that_ends_by_itself_is_told_with_its_log() -> Result<()> {
    let (launch, run) = shell("echo the reason >&2; exit 3");
    let mut child = launch.start(&run)?;
    let status = eventually(LIMIT, "the server to end", async || child.ended()).await?;
    assert_eq!(status, 3);
    let error = child.ensure_running().unwrap_err().to_string();
    assert!(error.contains("status 3") && error.contains("the reason"), "{error}");
    assert!(child.signal("CONT").is_err());
    child.kill9();
    Ok(())
}

#[tokio::test]
async fn each_start_has_its_own_log_and_removes_its_folder() {
    let (launch, run) = shell("echo once; exec sleep 600");
    let folder = run.join("data");
    std::fs::create_dir(&folder).unwrap();
    let launch = launch.removes(&folder);
    let first = launch.start(&run).unwrap();
    says(&first, "once").await;
    drop(first);
    assert!(!folder.exists());
    let second = launch.start(&run).unwrap();
    says(&second, "once").await;
    assert_eq!(second.log(), "once\n");
    assert!(second.log_path().ends_with("server-2.log"));
}

#[tokio::test]
async fn waiting_looks_until_there_is_a_value() {
    let mut looks = 0;
    let waited = eventually(LIMIT, "the third look", async || {
        looks += 1;
        ensure!(looks > 1, "an error is not the end");
        Ok((looks == 3).then_some("seen"))
    });
    assert_eq!(waited.await.unwrap(), "seen");
    assert_eq!(looks, 3);
}

#[tokio::test]
async fn waiting_in_vain_tells_the_last_state_seen() {
    let mut looks = 0;
    let waited = eventually(Duration::from_millis(120), "the moon", async || -> Result<Option<()>> {
        looks += 1;
        anyhow::bail!("cloud number {looks}")
    });
    let error = waited.await.unwrap_err().to_string();
    assert!(error.contains("the moon") && error.ends_with(&format!("cloud number {looks}")), "{error}");
}
