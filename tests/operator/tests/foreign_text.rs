//! What a cloud says goes to people's terminals only as plain text: names, codes, messages, ids and whole answers full of
//! controls, colours, links, reordering and hidden letters, some of them very long. Nothing of it reaches an object, an
//! event, a log or a metric as it is; what is left of it shows that it was there.

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::canaries::{self, Shown};
use imageshare_harness::{eventually, ports};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare, SharedImage, SharedImageAcceptance};
use kube::api::ListParams;
use serde_json::{Value, json};
use support::{PATIENCE, Player, REGION, Stage, quick, start, world};
use tokio::sync::{Mutex, OnceCell};

/// Controls of both kinds, sequences that clear, colour and link, what reorders and what hides.
const FOUL: &str = "\u{1b}[2J\u{1b}[31m\u{9b}32m\u{1b}]8;;https://evil.example\u{7}link\u{1b}]8;;\u{7}\u{1b}P\u{90}\u{0}\u{8}\
                    \r\n\u{7f}\u{85}\u{202a}\u{202e}\u{2066}\u{2069}\u{200b}\u{200d}\u{200f}\u{2028}\u{feff}\u{ad}\u{61c}\u{e0041}";

/// Of which there is a hundred thousand, and more than a hundred are never shown.
const FILLING: char = 'Q';

fn foul(name: &str) -> String {
    format!("{name}{FOUL}end")
}

fn long(name: &str) -> String {
    format!("{name}{FOUL}{}", FILLING.to_string().repeat(100_000))
}

/// What is safe to show, told by another rule than the operator's own: letters, marks, numbers, punctuation, and nothing
/// that Unicode calls a control, a format or a separator of lines.
fn is_plain(text: &str) -> bool {
    let hidden = |c: char| {
        matches!(u32::from(c), 0xAD | 0x61C | 0x180E | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF
            | 0xFFF9..=0xFFFB | 0xE0000..=0xE007F)
    };
    !text.chars().any(|c| c.is_control() || hidden(c))
}

const BUILDERS: &str = "d0000000000000000000000000000001";
const PARTNERS: &str = "d0000000000000000000000000000002";
const OWNER: &str = "a0000000000000000000000000000001";
const RECEIVER: &str = "a0000000000000000000000000000002";
const NORTH: &str = "cn-north-4";

fn image_at_huawei(number: u32) -> String {
    format!("d164b5df-0000-4000-8000-{number:012}")
}

fn world_of_two_clouds() -> Value {
    let domain = |id: &str, project: &str| {
        json!({"id": id, "name": id, "site": "China", "keys": [{"ak": format!("AK{id}"), "sk": format!("SecretOf{id}")}],
            "projects": [{"id": project, "region": NORTH}]})
    };
    let mut world = world();
    world["huawei"] =
        json!({"sites": {"China": [NORTH]}, "domains": [domain(BUILDERS, OWNER), domain(PARTNERS, RECEIVER)]});
    world
}

/// The stage, and where the operator's metrics are served.
async fn stage() -> Result<&'static (Stage, String)> {
    static STAGE: OnceCell<(Stage, String)> = OnceCell::const_new();
    STAGE
        .get_or_try_init(async || {
            let at = format!("127.0.0.1:{}", ports::free()?);
            let arguments = quick(&["--log", "trace", "--listen", &at, "--inventory-interval", "2s"]);
            Ok((start(&world_of_two_clouds(), &arguments).await?, at))
        })
        .await
}

/// A string of a document, and where it is.
fn strings(value: &Value, here: &str, all: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => all.push((here.to_owned(), text.clone())),
        Value::Array(rows) => rows.iter().enumerate().for_each(|(n, row)| strings(row, &format!("{here}/{n}"), all)),
        Value::Object(fields) => {
            for (name, inner) in fields {
                all.push((here.to_owned(), name.clone()));
                strings(inner, &format!("{here}/{name}"), all);
            }
        }
        _ => {}
    }
}

/// Every string of what the API server shows must be plain, and so must every line of text.
fn plain(shown: &Shown) -> Result<()> {
    let mut all = Vec::new();
    match serde_json::from_str(&shown.text) {
        Ok(object @ Value::Object(_)) => strings(&object, "", &mut all),
        _ => all.extend(shown.text.lines().map(|line| (String::new(), line.to_owned()))),
    }
    for (at, text) in all {
        ensure!(is_plain(&text), "{}{at} shows {text:?}", shown.place);
        let filled = text.chars().filter(|c| *c == FILLING).count();
        ensure!(filled <= 200, "{}{at} shows {filled} letters of a long text", shown.place);
    }
    Ok(())
}

/// A judge who sees nothing acquits everybody.
#[test]
fn each_foul_letter_is_seen_in_an_object_and_in_a_log() {
    let judge = |text: String| plain(&Shown { place: "here".to_owned(), text });
    let object = |text: &str| json!({"status": {"conditions": [{"message": text}]}}).to_string();
    for letter in FOUL.chars().filter(|c| !is_plain(&c.to_string())) {
        let text = format!("before{letter}after");
        assert!(judge(object(&text)).is_err(), "{letter:?}");
        // A line feed ends a line of a log, and is no part of one.
        assert!(letter == '\n' || judge(format!("INFO {text}\n")).is_err(), "{letter:?}");
        assert!(judge(json!({"status": {text: 1}}).to_string()).is_err(), "{letter:?} in a name");
    }
    assert!(FOUL.chars().filter(|c| !is_plain(&c.to_string())).count() > 20);
    assert!(judge(object(&long(""))).is_err() && judge(FILLING.to_string().repeat(201)).is_err());
    judge(object("golden \u{FFFD} 镜像")).unwrap();
    judge("INFO one line\nDEBUG another\n".to_owned()).unwrap();
}

/// Judges everything that there is to read.
async fn everything_is_plain(player: &Player, kinds: &[&str]) -> Result<()> {
    let (stage, at) = stage().await?;
    let log = stage.operator.lock().await.process.log_path().to_owned();
    let mut shown = canaries::objects(&player.client).await?;
    let ours =
        ["CloudAccount", "CloudImage", "ImageShare", "SharedImageAcceptance", "ImageReplica", "SharedImage", "Event"];
    shown.retain(|object| ours.iter().any(|kind| object.place.starts_with(&format!("{kind} "))));
    for kind in kinds {
        ensure!(shown.iter().any(|object| object.place.starts_with(&format!("{kind} "))), "no {kind}");
    }
    let logs = canaries::logs(log.parent().context("a folder")?, "imageshare-operator")?;
    ensure!(logs.iter().any(|log| log.text.contains("TRACE")), "these are not all the logs");
    shown.extend(logs);
    shown.push(canaries::metrics(at).await?);
    shown.iter().try_for_each(plain)
}

/// Waits for the inventory to hold as many images, each with a name that shows what it lost.
async fn until_listed(player: &Player, count: usize) -> Result<()> {
    eventually(PATIENCE, &format!("{count} received images"), async || {
        let listed = player.api::<SharedImage>().list(&ListParams::default()).await?.items;
        let name =
            |one: &SharedImage| one.status.as_ref().and_then(|status| status.image_name.clone()).unwrap_or_default();
        let names: Vec<String> = listed.iter().map(name).collect();
        let fit = |name: &String| name.starts_with("name\u{FFFD}[2J") && name.chars().count() <= 128;
        ensure!(names.len() == count && names.iter().all(fit), "{names:?}");
        Ok(Some(()))
    })
    .await
}

/// Whoever makes faults: they end for both clouds at once.
static FAULTS: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn at_alibaba_no_name_code_message_or_id_is_shown_as_it_came() -> Result<()> {
    let (stage, _) = stage().await?;
    let owner = Player::enter_on(stage).await?;
    let receiver = Player::enter_on(stage).await?;
    let inventory = serde_json::from_value(json!({"regions": [REGION]}))?;
    receiver.account(|spec| spec.inventory = Some(inventory)).await?;
    owner.account(|_| {}).await?;
    let shared = json!([receiver.owner()]);
    let named = json!({"name": foul("name"), "sharedWith": shared});
    let foul_one = owner.new_image("foul", named).await?;
    let more = json!({"name": long("name"), "sharedWith": shared, "description": long("d"), "productCode": foul("p")});
    owner.new_image("long", more).await?;
    until_listed(&receiver, 2).await?;

    owner.image("golden", |spec| spec.image_id = foul_one.clone()).await?;
    owner.ready::<CloudImage>("golden").await?;
    let refused = |text: fn(&str) -> String| json!({"kind": "refuse", "status": 403, "code": text("code"), "message": text("message")});
    let faults = FAULTS.lock().await;
    for (action, then) in [
        ("ModifyImageSharePermission", refused(foul)),
        ("ModifyImageSharePermission", refused(long)),
        ("DescribeImages", refused(foul)),
        ("DescribeImageSharePermission", refused(long)),
        ("DescribeImages", json!({"kind": "wrongJson", "body": foul("body")})),
        ("DescribeImageSharePermission", json!({"kind": "wrongJson", "body": long("body")})),
    ] {
        owner.fault(json!({"action": action, "image": foul_one}), 1, then).await?;
    }
    owner.share("team", 1..=2).await?;
    // Refused, one by one; what becomes of each depends on whom the faults met.
    let told = |share: &Value| support::condition(share, "Ready").is_some_and(|ready| ready.status != "Unknown");
    owner.until_it::<ImageShare>("team", "an answer", told).await?;
    // A code that is told: all that is left of it are its letters.
    owner.fault(json!({"action": "DescribeImages", "image": foul_one}), 60, refused(foul)).await?;
    owner.looked::<CloudImage>("golden").await?;
    let refusal = |image: &Value| support::message(image, "Ready").contains("code2J31m");
    owner.until_it::<CloudImage>("golden", "a refusal", refusal).await?;
    // Somebody whose id is no id, put there by somebody else: the list is not believed.
    let change = json!({"image": foul_one, "add": [foul("id"), long("id")], "remove": []});
    stage.cloud.delete("/faults").await?;
    drop(faults);
    stage.cloud.post("/permissions", &change).await?;
    owner.nudge::<CloudImage>("golden").await?;
    owner.until::<CloudImage>("golden", "Unknown", "AnswerUnclear").await?;
    everything_is_plain(&owner, &["CloudAccount", "CloudImage", "ImageShare", "SharedImage", "Event"]).await
}

/// A namespace with the Secret and the account of a domain.
async fn seat(player: &Player, domain: &str, inventory: Option<Value>) -> Result<Player> {
    let place = player.guest().await?;
    place.secret(&json!({"id": format!("AK{domain}"), "secret": format!("SecretOf{domain}")})).await?;
    let mut spec = json!({"huawei": {"domainID": domain, "site": "China", "endpoint": player.stage.cloud.huawei(),
        "credentials": {"secretRef": {"name": "golden"}}}});
    if let Some(inventory) = inventory {
        spec["inventory"] = inventory;
    }
    place.create(CloudAccount::new("golden", serde_json::from_value(spec)?)).await?;
    place.ready::<CloudAccount>("golden").await?;
    Ok(place)
}

#[tokio::test]
async fn at_huawei_no_name_code_message_or_id_is_shown_as_it_came() -> Result<()> {
    let (stage, _) = stage().await?;
    let player = Player::enter_on(stage).await?;
    let owner = seat(&player, BUILDERS, None).await?;
    let receiver = seat(&player, PARTNERS, Some(json!({"regions": [NORTH]}))).await?;
    for (number, name) in [(1, foul("name")), (2, long("name"))] {
        let members = json!([{"type": "project", "id": RECEIVER, "status": "pending"}]);
        let image = json!({"id": image_at_huawei(number), "project": OWNER, "name": name, "members": members});
        stage.cloud.post("/huawei/images", &image).await?;
    }
    until_listed(&receiver, 2).await?;
    let spec = json!({"accountRef": {"name": "golden"}, "region": NORTH, "imageID": image_at_huawei(1), "decision": "Accept",
        "owner": PARTNERS});
    receiver.create(SharedImageAcceptance::new("offer", serde_json::from_value(spec)?)).await?;
    let named = |offer: &Value| offer["status"]["imageName"].as_str().is_some_and(|name| name.contains("\u{FFFD}[2J"));
    receiver.until_it::<SharedImageAcceptance>("offer", "its name", named).await?;

    let spec = json!({"accountRef": {"name": "golden"}, "region": NORTH, "imageID": image_at_huawei(1)});
    owner.create(CloudImage::new("golden", serde_json::from_value(spec)?)).await?;
    owner.ready::<CloudImage>("golden").await?;
    let faults = FAULTS.lock().await;
    let weather = async |action: &str, count: u64, then: Value| {
        stage.cloud.post_fault(&json!({"when": {"action": action}, "count": count, "then": then})).await
    };
    weather("BatchAddMembers", 1, json!({"kind": "jobFails", "code": foul("code")})).await?;
    weather("BatchAddMembers", 1, json!({"kind": "jobFails", "code": long("code")})).await?;
    weather("BatchAddMembers", 1, json!({"kind": "refuse", "status": 400, "code": foul("code"), "message": foul("m")}))
        .await?;
    weather("ListImageMembers", 1, json!({"kind": "wrongJson", "body": long("body")})).await?;
    weather("ListImageMembers", 1, json!({"kind": "refuse", "status": 400, "code": long("c"), "message": long("m")}))
        .await?;
    let recipients = json!([{"type": "Project", "id": "abababababababababababababababab"}]);
    let spec = json!({"imageRef": {"name": "golden"}, "recipients": recipients});
    owner.create(ImageShare::new("team", serde_json::from_value(spec)?)).await?;
    let told = |share: &Value| support::condition(share, "Ready").is_some_and(|ready| ready.status != "Unknown");
    owner.until_it::<ImageShare>("team", "an answer", told).await?;
    weather("ListImages", 60, json!({"kind": "refuse", "status": 400, "code": foul("code"), "message": long("m")}))
        .await?;
    owner.ask_for_a_look::<CloudImage>("golden", "foul").await?;
    let refusal = |image: &Value| support::message(image, "Ready").contains("code2J31m");
    owner.until_it::<CloudImage>("golden", "a refusal", refusal).await?;
    stage.cloud.delete("/faults").await?;
    drop(faults);
    everything_is_plain(&owner, &["CloudAccount", "CloudImage", "ImageShare", "SharedImageAcceptance", "SharedImage"])
        .await
}
