//! The API server ended, the cloud away, the cloud throttling: with the operator's own pace of tries. What people wish right
//! before, during and right after is fulfilled within 30 s after the end, without a storm, and nobody loses anything.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use imageshare_harness::proxy::{Call, Deed, Rule, Upstream, Which};
use imageshare_harness::{ControlPlane, eventually, ports};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use support::behind::Behind;
use support::sights::MODIFY;
use support::{PATIENCE, POLLING, Player, Stage, quick, says, start_apart, world};
use tokio::sync::OnceCell;
use tokio::time::sleep;

const OUTAGE: Duration = Duration::from_secs(30);

/// How soon all must be well after the end.
const RECOVERY: Duration = Duration::from_secs(30);

/// What was under way when the lights went out.
const UNDER_WAY: SignedDuration = SignedDuration::from_secs(1);

/// What an account may be called at once after a rest, and then each second.
const BURST: usize = 10;
const PER_SECOND: usize = 5;

/// Tries at one object during an outage: pauses double from a second to 20 s, each cut by up to a half by chance.
const TRIES: usize = 8;

/// Drift is looked for often, so that there is something to do all the time; all else is at its default.
const ARGUMENTS: [&str; 6] =
    ["--drift-interval", "5s", "--absence-window", "1s", "--log", "info,imageshare_operator=debug"];

/// 1 to 3 by the share `team`, 4 by `leaving`.
async fn enter(behind: &Behind) -> Result<Player> {
    let player = behind.player().await?;
    player.share("team", 1..=3).await?;
    player.share("leaving", [4]).await?;
    player.ready::<ImageShare>("team").await?;
    player.ready::<ImageShare>("leaving").await?;
    player.until_shared_with(1, 1..=4).await?;
    Ok(player)
}

/// Wishes that change while nothing can be done about them; and somebody takes 2 away by hand.
async fn wish_during(player: &Player) -> Result<()> {
    player.reshare("team", [2, 3, 5]).await?;
    player.share_by_hand(1, &[], &[2]).await?;
    player.delete::<ImageShare>("leaving").await
}

/// Wishes that change as soon as all is well again; then the end of it all.
async fn judge_recovery(behind: &Behind, player: &Player, ended: Timestamp) -> Result<()> {
    player.share("late", [7]).await?;
    player.until_shared_with(1, [2, 3, 5, 6, 7]).await?;
    for share in ["team", "early", "late"] {
        player.ready::<ImageShare>(share).await?;
    }
    player.gone::<ImageShare>("leaving").await?;
    let took = Timestamp::now().duration_since(ended).unsigned_abs();
    println!("{}: recovered after {took:?}", player.namespace.name());
    ensure!(took <= RECOVERY, "it took {took:?}");
    let mut removed = player.removed().await?;
    removed.sort();
    assert_eq!(removed, player.recipients([1, 4]), "exactly those nobody wished any more, each once");
    behind.audit(&[player], &[]).await
}

fn share_path(player: &Player, share: &str) -> String {
    format!("/namespaces/{}/imageshares/{share}", player.namespace.name())
}

fn between(from: Timestamp, to: Timestamp) -> impl Fn(&Call) -> bool {
    move |call| call.asked_at > from && call.asked_at <= to
}

/// Cloud calls about a player's image in a span of time.
fn about(player: &Player, calls: &[Call], from: Timestamp, to: Timestamp) -> Vec<Call> {
    let image = player.image_id(1);
    let within = between(from, to);
    calls.iter().filter(|c| c.upstream == Upstream::Cloud && c.path.contains(&image) && within(c)).cloned().collect()
}

/// No storm at the cloud: at most a call a second during, and what the bucket allows after.
fn judge_calls(player: &Player, calls: &[Call], began: Timestamp, ended: Timestamp) -> Result<()> {
    let during = about(player, calls, began, ended).len();
    let seconds = usize::try_from(ended.duration_since(began).as_secs())?;
    let now = Timestamp::now();
    let after = about(player, calls, ended, now).len();
    let seconds_after = usize::try_from(now.duration_since(ended).as_secs())? + 1;
    let name = player.namespace.name();
    println!("{name}: {during} calls in {seconds} s, then {after} in {seconds_after} s");
    ensure!(during <= seconds, "{name}: {during} calls in {seconds} s");
    ensure!(after <= BURST + PER_SECOND * seconds_after, "{name}: {after} calls in {seconds_after} s after the end");
    let first = between(ended, ended + SignedDuration::from_secs(1));
    let at_once = about(player, calls, ended, now).into_iter().filter(|call| first(call)).count();
    ensure!(at_once <= BURST + PER_SECOND, "{name}: {at_once} calls in the first second after the end");
    Ok(())
}

/// An API server of this test's own: it ends, and comes back with what is in etcd.
#[tokio::test]
async fn half_a_minute_without_the_api_server() -> Result<()> {
    let behind = Behind::start_apart(world(), &ARGUMENTS).await?;
    let control_plane = behind.stage.control_plane;
    let players = try_join_all((0..3).map(|_| enter(&behind))).await?;
    // Right before: it is heard of, and nothing more can be written about it.
    let unwritten = behind.proxy.add(Rule::new(Which::write().to(Upstream::Kubernetes), Deed::CutBefore));
    try_join_all(players.iter().map(|player| player.share("early", [6]))).await?;
    eventually(PATIENCE, "each early share to be met", async || {
        let hits = unwritten.hits();
        let met = |player: &Player| hits.iter().any(|call| call.path.contains(&share_path(player, "early")));
        Ok(players.iter().all(met).then_some(()))
    })
    .await?;
    // The last wishes nobody hears of before the end.
    let unheard = behind.proxy.add(Rule::new(Which::any().to(Upstream::Kubernetes), Deed::CutBefore));
    behind.proxy.disconnect(Upstream::Kubernetes);
    let began = Timestamp::now();
    try_join_all(players.iter().map(wish_during)).await?;
    control_plane.stop_api_server()?;
    drop((unwritten, unheard));
    sleep(OUTAGE).await;
    let back = Timestamp::now();
    control_plane.start_api_server().await?;
    let ended = Timestamp::now();
    let judged = players.iter().map(|player| judge_recovery(&behind, player, ended));
    try_join_all(judged).await.context("without the API server")?;
    let calls = behind.proxy.calls();
    let blind = between(began + UNDER_WAY, back);
    let writes: Vec<String> = calls
        .iter()
        .filter(|c| c.upstream == Upstream::Cloud && c.write.is_some() && blind(c))
        .map(Call::line)
        .collect();
    assert_eq!(writes, Vec::<String>::new(), "nothing changes at the cloud without a ledger");
    let asked = calls.iter().filter(|c| c.upstream == Upstream::Kubernetes && blind(c)).collect::<Vec<_>>();
    println!("{} requests to the API server in {OUTAGE:?}", asked.len());
    ensure!(asked.iter().all(|call| call.status.is_none()), "the API server was away");
    ensure!((1..=10 * 30).contains(&asked.len()), "{} requests to an API server that is away", asked.len());
    for player in &players {
        judge_calls(player, &calls, began, ended)?;
        let tries = asked.iter().filter(|call| call.path.contains(&share_path(player, "early"))).count();
        ensure!((1..=TRIES).contains(&tries), "{tries} tries at one share in {OUTAGE:?}");
    }
    Ok(())
}

#[tokio::test]
async fn half_a_minute_without_the_cloud_and_half_a_minute_of_throttling() -> Result<()> {
    let behind = Behind::start(world(), &ARGUMENTS).await?;
    let players = try_join_all((0..4).map(|_| enter(&behind))).await?;
    let throttled = json!({"Code": "Throttling.User", "Message": "too many", "RequestId": "0"}).to_string();
    let deeds = [
        Deed::CutBefore,
        Deed::Answer(503, json!({"Code": "ServiceUnavailable", "Message": "", "RequestId": "0"}).to_string()),
        Deed::Answer(400, throttled.clone()),
        Deed::Answer(400, throttled),
    ];
    try_join_all(players.iter().map(|player| player.share("early", [6]))).await?;
    let began = Timestamp::now();
    let mut weather = Vec::new();
    for (number, (player, deed)) in players.iter().zip(deeds).enumerate() {
        let all = Which::any().to(Upstream::Cloud).path(&player.image_id(1));
        // The last is throttled where it changes something only.
        let which = if number == 3 { all.action(MODIFY) } else { all };
        weather.push(behind.proxy.add(Rule::new(which, deed)));
    }
    try_join_all(players.iter().map(wish_during)).await?;
    sleep(OUTAGE).await;
    for player in &players {
        player
            .until_it::<CloudImage>("golden", "trouble told", |o| {
                support::condition(o, "Ready").is_some_and(|ready| ready.status == "Unknown")
            })
            .await?;
    }
    let met: Vec<usize> = weather.iter().map(|trigger| trigger.hits().len()).collect();
    drop(weather);
    let ended = Timestamp::now();
    try_join_all(players.iter().map(|player| judge_recovery(&behind, player, ended)))
        .await
        .context("without the cloud")?;
    println!("{met:?} calls met the weather");
    ensure!(met.iter().all(|count| *count > 1), "it was tried: {met:?}");
    let cut = lines_of(&players[0]).await;
    let told = |words: &str| cut.iter().filter(|line| line.contains(words)).count();
    ensure!(told("cannot reach") == 1 && told("reaches") == 1, "one line for each change of state: {cut:#?}");
    let calls = behind.proxy.calls();
    for player in &players {
        judge_calls(player, &calls, began, ended)?;
    }
    Ok(())
}

/// The log lines about a player's account.
async fn lines_of(player: &Player) -> Vec<String> {
    let log = player.stage.operator.lock().await.process.log();
    let about = format!("account=\"{}/golden\"", player.namespace.name());
    log.lines().filter(|line| line.contains(&about)).map(ToOwned::to_owned).collect()
}

/// An account, an image and a share, all of which cannot be served: each names the host and the cause, the log once.
async fn names_the_cause(player: Player, host: &str, cause: &str) -> Result<()> {
    let words = [host, cause];
    says(&player.until::<CloudAccount>("golden", "Unknown", "CloudUnavailable").await?, "Ready", &words);
    says(&player.until::<CloudImage>("golden", "Unknown", "CloudUnavailable").await?, "Ready", &words);
    says(&player.until::<ImageShare>("team", "Unknown", "CloudUnavailable").await?, "Ready", &words);
    let event = player.event("AccountBlocked", host).await?;
    ensure!(event.contains("CloudUnavailable") && event.contains(cause), "{event}");
    // It is tried again meanwhile.
    sleep(Duration::from_secs(5)).await;
    let lines = lines_of(&player).await;
    ensure!(lines.len() == 1, "one line for one state: {lines:#?}");
    ensure!(lines[0].contains("WARN") && words.iter().all(|word| lines[0].contains(word)), "{lines:?}");
    Ok(())
}

/// An operator with addresses that it may call and cannot reach; and these addresses, each with its host and the cause.
struct OutOfReach {
    stage: &'static Stage,
    causes: [(String, String, &'static str); 4],
    _silent: TcpListener,
}

async fn out_of_reach() -> Result<&'static OutOfReach> {
    static OUT_OF_REACH: OnceCell<OutOfReach> = OnceCell::const_new();
    OUT_OF_REACH
        .get_or_try_init(async || {
            let refuses = format!("127.0.0.1:{}", ports::free()?);
            let silent = TcpListener::bind("127.0.0.1:0")?;
            let hangs = silent.local_addr()?.to_string();
            // Its certificate is of an authority of its own.
            let foreign = ControlPlane::shared().await?.url().trim_start_matches("https://").to_owned();
            let unknown = "no-such-host.invalid".to_owned();
            let causes = [
                (format!("http://{refuses}"), refuses, "it refuses the connection"),
                (format!("http://{hangs}"), hangs, "it does not answer in time"),
                (format!("https://{unknown}"), unknown, "its name cannot be resolved"),
                (
                    format!("https://{foreign}"),
                    foreign,
                    "an unknown authority signed its TLS certificate: if you trust it, put its certificate into spec.caBundle",
                ),
            ];
            let mut arguments = quick(&POLLING);
            arguments.extend(causes.iter().flat_map(|(origin, ..)| ["--allowed-endpoint", origin.as_str()]));
            let stage = Box::leak(Box::new(start_apart(&world(), &arguments).await?));
            Ok(OutOfReach { stage, causes, _silent: silent })
        })
        .await
}

#[tokio::test]
async fn a_cloud_out_of_reach_is_told_with_host_and_cause_by_every_object_and_once_in_the_log() -> Result<()> {
    let OutOfReach { stage, causes, .. } = out_of_reach().await?;
    let told = causes.iter().map(|(origin, host, cause)| async move {
        let player = Player::enter_on(stage).await?;
        player.account(|spec| spec.alibaba.as_mut().unwrap().endpoint = Some(origin.clone())).await?;
        player.image("golden", |_| {}).await?;
        player.share("team", 1..=2).await?;
        names_the_cause(player, host, cause).await.with_context(|| origin.clone())
    });
    try_join_all(told).await?;
    Ok(())
}

#[tokio::test]
async fn accounts_that_nobody_can_use_are_told_by_an_event_and_a_log_line_each() -> Result<()> {
    let stage = out_of_reach().await?.stage;
    let without_secret = Player::enter_on(stage).await?;
    without_secret.account(|_| {}).await?;
    without_secret.ready::<CloudAccount>("golden").await?;
    without_secret.edit::<Secret>("golden", json!({"data": {"accessKeySecret": null}})).await?;
    let elsewhere = Player::enter_on(stage).await?;
    elsewhere.account(|spec| spec.alibaba.as_mut().unwrap().endpoint = Some("https://evil.io".to_owned())).await?;
    for (player, reason, words) in
        [(without_secret, "SecretNotFound", "golden"), (elsewhere, "EndpointNotAllowed", "spec.alibaba.endpoint")]
    {
        player.until::<CloudAccount>("golden", "False", reason).await?;
        let event = player.event("AccountBlocked", reason).await?;
        ensure!(event.contains(words), "{event}");
        let lines = lines_of(&player).await;
        ensure!(lines.len() == 1 && lines[0].contains("WARN") && lines[0].contains(reason), "{lines:#?}");
    }
    Ok(())
}
