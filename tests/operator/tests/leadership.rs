//! Two operators, one lease: whoever leads is killed or frozen with three images under way, and the other goes on. Nobody
//! loses access, nobody keeps what was taken back, and one that wakes up late calls nobody.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::proxy::{Deed, Moment, Rule, Trigger, Upstream, Which};
use imageshare_harness::{Operator, eventually, run};
use imageshare_operator::api::ImageShare;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use support::behind::Behind;
use support::{PATIENCE, Player, world};

/// How soon somebody else acts after the leader is gone.
const HAND_OVER: Duration = Duration::from_secs(20);

/// How soon after that, what the old leader had on its way is seen and mended.
const MENDED: Duration = Duration::from_secs(30);

const ARGUMENTS: [&str; 10] = [
    "--lease",
    "imageshare-system/imageshare-operator",
    "--absence-window",
    "1s",
    "--blocked-interval",
    "2s",
    "--drift-interval",
    "1h",
    "--log",
    "info,imageshare_operator=debug",
];

/// The first operator leads, behind the proxy; the second waits.
struct Pair {
    behind: Behind,
    second: Operator,
}

impl Pair {
    async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    async fn start_with(further: &[&str]) -> Result<Self> {
        let arguments = [&ARGUMENTS[..], further].concat();
        let behind = Behind::start_apart(world(), &arguments).await?;
        holder(&behind, None).await?;
        let launch = Operator::launch(behind.stage.control_plane.operator_kubeconfig().await?)?
            .arguments(["--allowed-endpoint", &behind.proxy.cloud()])
            .arguments(arguments);
        let second = Operator::start(launch, &run::folder_of_this_binary()?)?;
        Ok(Self { behind, second })
    }

    /// A player whose share `team` has 1 and 2.
    async fn player(&self) -> Result<Player> {
        let player = self.behind.player().await?;
        player.share("team", [1, 2]).await?;
        player.ready::<ImageShare>("team").await?;
        Ok(player)
    }
}

/// Waits until somebody other than `than` holds the lease.
async fn holder(behind: &Behind, than: Option<&str>) -> Result<String> {
    let leases: Api<Lease> = Api::namespaced(behind.stage.control_plane.client().await?, "imageshare-system");
    eventually(PATIENCE, &format!("somebody other than {than:?} to lead"), async || {
        let lease = leases.get("imageshare-operator").await?;
        let holder = lease.spec.and_then(|spec| spec.holder_identity).filter(|holder| Some(holder.as_str()) != than);
        Ok(holder)
    })
    .await
}

/// The moments at which the leader is stopped, each at an image of its own: before the intent is written, after it, and
/// with the call on its way.
struct Held {
    before_intent: Trigger,
    after_intent: Trigger,
    on_its_way: Trigger,
}

impl Held {
    fn set(pair: &Pair, [first, second, third]: [&Player; 3]) -> Self {
        let intent = |player: &Player| {
            let path = format!("/namespaces/{}/cloudimages/golden/status", player.namespace.name());
            Which::write().to(Upstream::Kubernetes).path(&path).body("Intended")
        };
        let call = Which::any().to(Upstream::Cloud).action("ModifyImageSharePermission").path(&third.image_id(1));
        let hold = |which, moment| pair.behind.proxy.add(Rule::new(which, Deed::Hold(moment)).times(1));
        Self {
            before_intent: hold(intent(first), Moment::BeforeForward),
            after_intent: hold(intent(second), Moment::AfterApply),
            on_its_way: hold(call, Moment::BeforeForward),
        }
    }

    async fn reached(&self) -> Result<()> {
        for trigger in [&self.before_intent, &self.after_intent, &self.on_its_way] {
            trigger.reached(PATIENCE).await?;
        }
        Ok(())
    }
}

async fn until_has(player: &Player, recipient: u32, since: Instant) -> Result<()> {
    let wanted = player.recipient(recipient);
    eventually(PATIENCE, &format!("{wanted} to have the image"), async || {
        Ok(player.shared_with(1).await?.contains(&wanted).then_some(()))
    })
    .await?;
    println!("granted by the other {:?} after the leader was gone", since.elapsed());
    ensure!(since.elapsed() <= HAND_OVER, "it took {:?}", since.elapsed());
    Ok(())
}

/// Everybody asks for 3 instead of 1; the leader goes with each image at another moment; of the third, whose call is on its
/// way, people ask for what they had before.
async fn hand_over(freeze: bool) -> Result<()> {
    let mut pair = Pair::start().await?;
    let leader = holder(&pair.behind, None).await?;
    let players = [pair.player().await?, pair.player().await?, pair.player().await?];
    let [first, second, third] = &players;
    let held = Held::set(&pair, [first, second, third]);
    for player in &players {
        player.reshare("team", [2, 3]).await?;
    }
    held.reached().await?;
    let gone = Instant::now();
    {
        let mut operator = pair.behind.stage.operator.lock().await;
        if freeze { operator.freeze()? } else { operator.kill9() }
    }
    third.reshare("team", [1, 2]).await?;
    holder(&pair.behind, Some(&leader)).await?;
    // What the old leader had sent arrives only now.
    held.on_its_way.release();
    let late = Instant::now();
    until_has(first, 3, gone).await?;
    until_has(second, 3, gone).await?;
    first.until_shared_with(1, [2, 3]).await?;
    second.until_shared_with(1, [2, 3]).await?;
    third.until_shared_with(1, [1, 2]).await?;
    if freeze {
        let came = third.calls("ModifyImageSharePermission").await?;
        let (wanted, added) = (third.recipient(3), came.iter().map(|entry| entry["effect"]["added"].to_string()));
        ensure!(added.collect::<String>().contains(&wanted), "the late call arrived: {came:?}");
    }
    ensure!(late.elapsed() <= MENDED, "what arrived late was mended after {:?}", late.elapsed());
    for player in &players {
        player.ready::<ImageShare>("team").await?;
    }
    if freeze {
        the_one_that_wakes_up_calls_nobody(&pair, held).await?;
        let log = pair.behind.stage.operator.lock().await.process.log();
        ensure!(log.contains("the lease is lost"), "the log of the one that woke up does not tell why it ended: {log}");
    }
    for player in &players {
        player.delete::<ImageShare>("team").await?;
        player.gone::<ImageShare>("team").await?;
        player.until_shared_with(1, []).await?;
    }
    pair.second.process.ensure_running()
}

async fn the_one_that_wakes_up_calls_nobody(pair: &Pair, held: Held) -> Result<()> {
    let before = pair.behind.proxy.last();
    let mut operator = pair.behind.stage.operator.lock().await;
    drop(held);
    operator.thaw()?;
    let ended = eventually(PATIENCE, "the old leader to end", async || operator.process.ended()).await?;
    ensure!(ended != 0, "it does not end in order");
    let cloud = |call: &imageshare_harness::proxy::Call| call.seq > before && call.upstream == Upstream::Cloud;
    let calls: Vec<_> = pair.behind.proxy.calls().into_iter().filter(cloud).collect();
    ensure!(calls.is_empty(), "{calls:?}");
    Ok(())
}

#[tokio::test]
async fn a_leader_that_is_killed_is_followed_by_the_other() -> Result<()> {
    hand_over(false).await
}

#[tokio::test]
async fn a_leader_that_is_frozen_is_followed_by_the_other_and_calls_nobody_when_it_wakes() -> Result<()> {
    hand_over(true).await
}

#[tokio::test]
async fn a_leader_that_is_told_to_stop_hands_over_at_once() -> Result<()> {
    // Whoever waits looks at this lease every 16 s: it hears of its end sooner.
    let pair = Pair::start_with(&["--lease-duration", "120s"]).await?;
    let player = pair.player().await?;
    let leader = holder(&pair.behind, None).await?;
    let stopped = Instant::now();
    let status = pair.behind.stage.operator.lock().await.stop(PATIENCE).await?;
    ensure!(status == 0, "it ended with {status}");
    let next = holder(&pair.behind, Some(&leader)).await.context("the other leads")?;
    player.reshare("team", [2, 3]).await?;
    player.until_shared_with(1, [2, 3]).await?;
    println!("{next} leads; the edit after it was served {:?} after the order to stop", stopped.elapsed());
    // Nobody waits for calls of one that left in order, and the lease need not run out.
    ensure!(stopped.elapsed() < Duration::from_secs(6), "{:?}", stopped.elapsed());
    Ok(())
}

/// How soon a process that has done nothing yet is gone: a rolling update waits for it.
const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn one_that_waits_to_lead_ends_at_once_when_told_to_stop() -> Result<()> {
    let mut pair = Pair::start().await?;
    // Objects that it would look at.
    pair.player().await?;
    let leader = holder(&pair.behind, None).await?;
    // Until its caches are filled; that they are is of no matter to the promise.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let told = Instant::now();
    let status = pair.second.stop(PATIENCE).await?;
    ensure!(status == 0 && told.elapsed() < AT_ONCE, "it ended with {status} after {:?}", told.elapsed());
    ensure!(holder(&pair.behind, None).await? == leader, "the leader goes on");
    Ok(())
}

#[tokio::test]
async fn one_that_never_reached_the_api_server_ends_at_once_when_told_to_stop() -> Result<()> {
    let run = run::folder_of_this_binary()?;
    let kubeconfig = run.join("nobody.kubeconfig");
    let nobody = format!("http://127.0.0.1:{}", imageshare_harness::ports::free()?);
    let kubeconfig_of_nobody = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "nobody",
        "contexts": [{"name": "nobody", "context": {"cluster": "nobody", "user": "nobody"}}],
        "clusters": [{"name": "nobody", "cluster": {"server": nobody}}],
        "users": [{"name": "nobody", "user": {"token": "none"}}],
    });
    std::fs::write(&kubeconfig, kubeconfig_of_nobody.to_string())?;
    let mut operator = Operator::start(Operator::launch(&kubeconfig)?, &run)?;
    eventually(PATIENCE, "the operator to run", async || Ok(operator.process.log().contains("running").then_some(())))
        .await?;
    let told = Instant::now();
    let status = operator.stop(PATIENCE).await?;
    ensure!(status == 0 && told.elapsed() < AT_ONCE, "it ended with {status} after {:?}", told.elapsed());
    Ok(())
}
