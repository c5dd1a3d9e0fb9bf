//! Keystone and Glance of the harness are real ones, and end whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use imageshare_harness::openstack::{NewImage, Settings};
use imageshare_harness::{OpenStack, eventually, run};
use serde_json::json;

/// Work of all processes until both serve. On an idle machine it is 5 s; a busy one takes longer, but has no more to do.
const WORK: Duration = Duration::from_secs(15);

const LIMIT: Duration = Duration::from_secs(20);

fn folder() -> PathBuf {
    run::folder("openstack").unwrap()
}

/// Processes whose parent is this one.
fn children(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Processor time of a process, of 100 ticks a second (`proc(5)`, fields 14 and 15).
fn worked(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

#[tokio::test]
async fn servers_start_promptly_and_end_without_a_trace() {
    let begin = Instant::now();
    let openstack = OpenStack::start(&folder()).await.unwrap();
    println!("Keystone and Glance: ready after {:?}", begin.elapsed());
    let pids = openstack.pids();
    let all: Vec<u32> = pids.iter().flat_map(|pid| children(*pid)).chain(pids.iter().copied()).collect();
    assert!(all.len() > 4, "they serve in children of their own: {all:?}");
    let worked: Duration = all.iter().map(|pid| worked(*pid)).sum();
    println!("Keystone and Glance: {worked:?} of work");
    assert!(worked > Duration::ZERO && worked < WORK, "{worked:?}");
    drop(openstack);
    // A served child is ended by the kernel, a moment after its parent.
    let gone = async || Ok((!all.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists())).then_some(()));
    eventually(LIMIT, "the end of all", gone).await.unwrap();
}

#[tokio::test]
async fn an_image_is_offered_answered_and_taken_back() {
    let openstack = OpenStack::start(&folder()).await.unwrap();
    let (owner, member) =
        (openstack.create_project("owner").await.unwrap(), openstack.create_project("member").await.unwrap());
    let image = openstack.create_image(&owner, "golden", NewImage::default()).await.unwrap();
    assert_eq!(openstack.image(&owner, &image).await.unwrap().unwrap()["status"], "active");
    assert_eq!(openstack.image(&member, &image).await.unwrap(), None);

    openstack.add_member(&owner, &image, &member.id).await.unwrap();
    let row = |status: &str| vec![(member.id.clone(), status.to_owned())];
    assert_eq!(openstack.members(&owner, &image).await.unwrap(), row("pending"));
    assert_eq!(openstack.download(&member, &image).await.unwrap().unwrap(), b"disk");
    assert_eq!(openstack.list_as(&member, "pending").await.unwrap(), std::slice::from_ref(&image));
    openstack.answer(&member, &image, "accepted").await.unwrap();
    assert_eq!(openstack.list_as(&member, "accepted").await.unwrap(), std::slice::from_ref(&image));

    openstack.double_member(&image, &member.id).await.unwrap();
    assert_eq!(openstack.members(&owner, &image).await.unwrap(), [row("accepted"), row("accepted")].concat());
    openstack.remove_member(&owner, &image, &member.id).await.unwrap();
    assert!(openstack.image(&member, &image).await.unwrap().is_some(), "one removal is one row");
    openstack.remove_member(&owner, &image, &member.id).await.unwrap();
    assert_eq!(openstack.image(&member, &image).await.unwrap(), None);

    openstack.change_image(&owner, &image, "visibility", json!("private")).await.unwrap();
    openstack.delete_image(&owner, &image).await.unwrap();
    assert_eq!(openstack.image(&owner, &image).await.unwrap(), None);
    assert!(openstack.image_calls().await.unwrap().is_empty(), "only the harness called");
}

#[tokio::test]
async fn settings_reach_the_servers() {
    let settings = Settings { image_member_quota: 1, page_limit: 2, token_seconds: 600, ..Settings::default() };
    let openstack = OpenStack::start_with(&folder(), settings).await.unwrap();
    let owner = openstack.create_project("owner").await.unwrap();
    let mut images = Vec::new();
    for number in 0..3 {
        let queued = NewImage { bytes: None, ..NewImage::default() };
        images.push(openstack.create_image(&owner, &format!("image-{number}"), queued).await.unwrap());
    }
    openstack.add_member(&owner, &images[0], "one").await.unwrap();
    let full = openstack.add_member(&owner, &images[0], "two").await.unwrap_err().to_string();
    assert!(full.contains("413"), "{full}");

    let member = openstack.create_project("member").await.unwrap();
    for image in &images[1..] {
        openstack.add_member(&owner, image, &member.id).await.unwrap();
    }
    assert_eq!(openstack.list_as(&member, "all").await.unwrap().len(), 2);
    openstack.revoke_tokens(&member).await.unwrap();
}
