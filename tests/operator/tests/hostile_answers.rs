//! Whatever a cloud answers, nobody panics and every question ends: real answers, broken in a thousand ways. Each run is
//! told by its seed, and the same seed breaks the same answers.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cloud_simulator::{Simulator, WorldFile};
use imageshare_operator::clouds::budget::{BudgetSettings, Budgets};
use imageshare_operator::clouds::clock::SystemClock;
use imageshare_operator::clouds::connect::{
    self, AlibabaAccess, AwsAccess, ClientContext, HuaweiAccess, OpenStackAccess,
};
use imageshare_operator::clouds::endpoint_rule::AllowedEndpoints;
use imageshare_operator::clouds::transport::TransportSettings;
use imageshare_operator::clouds::{
    Cloud, CopyMark, CopyOrder, Copying, Fault, ImageRef, Priority, RecipientChange, alibaba, aws, huawei, openstack,
};
use imageshare_operator::domain::aws::Partition;
use imageshare_operator::domain::identifiers::{
    ImageId, ImageName, JobId, ObjectUid, PrincipalId, Recipient, RecipientKind, RegionId, SnapshotId,
};
use imageshare_operator::domain::image::Reply;
use imageshare_operator::domain::provider::{Provider, Site};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Rounds for each cloud; each asks every question once. More by the variable `HOSTILE_ROUNDS`.
const ROUNDS: u64 = 150;

fn rounds() -> u64 {
    std::env::var("HOSTILE_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

/// The longest a question may take: the deadline of a few calls.
const LIMIT: Duration = Duration::from_secs(60);

/// What breaks a reader that believes too much.
const POISONS: [&[u8]; 16] = [
    b"null",
    b"-1",
    b"99999999999999999999999999",
    b"1e999",
    b"\"\"",
    b"{}",
    b"[]",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"\"\\ud800\"",
    b"\\u0000",
    b"\x1b[2J\x1b[31m",
    "\u{202e}\u{200b}".as_bytes(),
    b"\xff\xfe",
    b"\"../../v3/auth\"",
    b"2026-13-45T99:99:99Z",
    b"<!DOCTYPE x [<!ENTITY a \"aaaa\">]>",
];

/// Chance that can be thrown again: splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.below(length + 1);
        from..(from + self.below(24)).min(length)
    }
}

/// Breaks an answer's body.
fn break_body(dice: &mut Dice, body: &mut Vec<u8>) {
    for _ in 0..=dice.below(3) {
        let poison = POISONS[dice.below(POISONS.len())];
        match dice.below(8) {
            0 => body.truncate(dice.below(body.len() + 1)),
            1 => drop(body.drain(dice.range(body.len()))),
            2 => {
                let part = body[dice.range(body.len())].to_vec();
                body.splice(0..0, part);
            }
            3 if !body.is_empty() => {
                let at = dice.below(body.len());
                body[at] ^= 1 << dice.below(8);
            }
            4 => drop(body.splice(dice.range(body.len()), poison.iter().copied())),
            5 => replace_a_value(dice, body, poison),
            6 => *body = poison.repeat(1 + dice.below(4000)),
            _ => body.clear(),
        }
    }
}

/// Puts something else where a value of JSON was, so that the rest can still be read.
fn replace_a_value(dice: &mut Dice, body: &mut Vec<u8>, poison: &[u8]) {
    let colons: Vec<usize> = (0..body.len()).filter(|at| body[*at] == b':').collect();
    if colons.is_empty() {
        return;
    }
    let from = colons[dice.below(colons.len())] + 1;
    let to = body[from..].iter().position(|byte| b",}]".contains(byte)).map_or(body.len(), |end| from + end);
    body.splice(from..to, poison.iter().copied());
}

/// Where an answer comes from before it is broken.
#[derive(Clone)]
enum Source {
    /// A server, asked anew for each answer.
    Server(String),
    /// Texts that the cloud could have said, and its own address in them, with the status of an answer to a POST.
    Said(u16, Arc<Vec<String>>),
}

/// Stands between a client and its cloud, and breaks what comes back.
struct Breaker {
    address: String,
    seed: Arc<AtomicU64>,
    answered: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for Breaker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Breaker {
    async fn start(source: impl FnOnce(&str) -> Source) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (seed, answered) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (seeds, counts, source) = (Arc::clone(&seed), Arc::clone(&answered), source(&address));
        let task = tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                counts.fetch_add(1, Ordering::SeqCst);
                let dice = Dice(seeds.fetch_add(1, Ordering::SeqCst));
                tokio::spawn(pass(caller, source.clone(), dice));
            }
        });
        Self { address, seed, answered, task }
    }
}

/// One request: the head and the body as its head says it is long.
async fn read_message(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 4096];
    loop {
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            let body = &bytes[end + 4..];
            if body.len() >= length.unwrap_or(0) {
                return Some((head, body[..length.unwrap_or(0)].to_vec()));
            }
        }
        match stream.read(&mut buffer).await {
            Ok(read @ 1..) => bytes.extend_from_slice(&buffer[..read]),
            _ => return None,
        }
    }
}

async fn pass(mut caller: TcpStream, source: Source, mut dice: Dice) {
    let Some((head, sent)) = read_message(&mut caller).await else { return };
    let (status, mut body) = match &source {
        Source::Said(posted, texts) => {
            let status = if head.starts_with("POST") { *posted } else { 200 };
            (status, texts[dice.below(texts.len())].clone().into())
        }
        Source::Server(address) => {
            let mut server = TcpStream::connect(address.trim_start_matches("http://")).await.unwrap();
            server.write_all(&[head.as_bytes(), b"\r\n\r\n", &sent].concat()).await.unwrap();
            let Some((answer, body)) = read_message(&mut server).await else { return };
            (answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(200), body)
        }
    };
    // Every fourth is as it should be, so that what follows on it is reached.
    if dice.below(4) != 0 {
        break_body(&mut dice, &mut body);
    }
    let statuses = [status, status, status, status, 200, 202, 204, 302, 400, 401, 403, 404, 409, 429, 500, 503];
    let status = statuses[dice.below(statuses.len())];
    let hint = ["0", "1", "-1", "99999999999999999999", "soon", ""][dice.below(6)];
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nretry-after: {hint}\r\nx-acs-retry-after: {hint}\r\n\
         x-subject-token: {hint}\r\nlocation: http://127.0.0.1:1/\r\nconnection: close\r\n\r\n"
    );
    // The caller may have gone.
    let _written = caller.write_all(&[head.as_bytes(), &body].concat()).await;
}

fn edge() -> ClientContext {
    // What waits for an answer in vain waits for seconds, not for minutes.
    let settings = TransportSettings { deadline: Duration::from_secs(5), ..TransportSettings::default() };
    ClientContext::new(settings, BudgetSettings::default(), Arc::new(SystemClock)).unwrap()
}

/// The same connections, and a budget of its own: a hint to wait would hold back everything that follows.
fn fresh(edge: &ClientContext) -> ClientContext {
    let many = NonZeroU32::new(10_000).unwrap();
    let settings = BudgetSettings {
        per_second: many,
        burst: many,
        longest_wait: Duration::from_secs(1),
        ..BudgetSettings::default()
    };
    let budgets = || Arc::new(Budgets::new(settings));
    ClientContext { budgets: budgets(), changes: budgets(), copies: budgets(), ..edge.clone() }
}

struct Names {
    region: &'static str,
    image: &'static str,
    recipient: Recipient,
}

fn names(provider: Provider) -> Names {
    let (region, image, kind, id) = match provider {
        Provider::Alibaba => ("cn-hangzhou", "m-bp1goldenubuntu2404", RecipientKind::Account, "1000000000000001"),
        Provider::Huawei => (
            "cn-north-4",
            "d164b5df-1bc3-4c3f-893e-3e471fd16e64",
            RecipientKind::Project,
            "a0000000000000000000000000000002",
        ),
        Provider::Aws => ("us-east-1", "ami-0123456789abcdef0", RecipientKind::Account, "123456789013"),
        Provider::OpenStack => {
            ("Here", "d164b5df-1bc3-4c3f-893e-3e471fd16e64", RecipientKind::Project, "a0000000000000000000000000000002")
        }
    };
    Names { region, image, recipient: Recipient { kind, id: PrincipalId::parse(id).unwrap() } }
}

/// Asks every question once, and gives what went wrong with each.
async fn ask_everything(cloud: Arc<dyn Cloud>, provider: Provider) -> [Option<Fault>; 21] {
    let Names { region, image, recipient } = names(provider);
    let at = ImageRef { region: RegionId::parse(region).unwrap(), image: ImageId::parse(image).unwrap() };
    let order = CopyOrder {
        source: at.clone(),
        region: at.region.clone(),
        name: provider.parse_image_name("copy").unwrap_or_else(|_| -> ImageName { unreachable!() }),
        mark: CopyMark { uid: ObjectUid::parse("0c6f0e0e-7f0a-4a58-8f1f-3a1a3d0f5e11").unwrap(), attempt: 1 },
        agency: None,
        project: None,
        vault: None,
        key: None,
    };
    let job = JobId::parse("ff8080828f9a8a8e018f9b0c0d0e0f10").unwrap();
    let lane = Priority::Edit;
    let change = |add: bool| {
        let list = vec![recipient.clone()];
        if add {
            RecipientChange { add: list, remove: Vec::new() }
        } else {
            RecipientChange { add: Vec::new(), remove: list }
        }
    };
    let image_copied = Copying::Image(at.image.clone());
    let snapshot = SnapshotId::parse("snap-1").unwrap();
    [
        cloud.identity().await.err(),
        cloud.regions().await.err(),
        cloud.observe_image(&at, lane).await.err(),
        cloud.list_recipients(&at, lane).await.err(),
        cloud.change_recipients(&at, &change(true), lane).await.err(),
        cloud.change_recipients(&at, &change(false), lane).await.err(),
        cloud.list_copy_permissions(&at.region, &snapshot, lane).await.err(),
        cloud.change_copy_permissions(&at.region, &snapshot, &change(true), lane).await.err(),
        cloud.open_for_sharing(&at, lane).await.err(),
        cloud.follow_job(&at.region, &job, lane).await.err(),
        cloud.observe_received(&at, lane).await.err(),
        cloud.list_received(&at.region, lane).await.err(),
        cloud.list_own(&at.region, lane).await.err(),
        cloud.answer(&at, &Reply::Reject, lane).await.err(),
        cloud.begin_copy(&order, None, lane).await.err(),
        cloud.find_copy(&order, lane).await.err(),
        cloud.follow_copy(&order, &image_copied, lane).await.err(),
        cloud.follow_copy(&order, &Copying::Job(job.clone()), lane).await.err(),
        cloud.content_facts(&at, lane).await.err(),
        cloud.cancel_copy(&order, &at.image).await.err(),
        cloud.delete_image(&at).await.err(),
    ]
}

/// What goes to people and into status: one line, nothing that moves a terminal, bounded.
fn is_plain(text: &str) -> bool {
    let hidden = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}');
    text.len() < 1024 && !text.chars().any(|c| c.is_control() || hidden(c))
}

async fn survive(
    provider: Provider,
    breaker: &Breaker,
    client: impl Fn(&ClientContext, &AllowedEndpoints) -> Arc<dyn Cloud>,
) {
    let allowed = AllowedEndpoints::parse(std::slice::from_ref(&breaker.address)).unwrap();
    let edge = edge();
    let mut failed = Vec::new();
    for round in 0..rounds() {
        breaker.seed.store(round << 16, Ordering::SeqCst);
        let asking = tokio::spawn(ask_everything(client(&fresh(&edge), &allowed), provider));
        let asked = tokio::time::timeout(LIMIT, asking).await;
        let faults =
            asked.unwrap_or_else(|_| panic!("round {round} does not end")).unwrap_or_else(|e| panic!("{round}: {e}"));
        for fault in faults.iter().flatten() {
            assert!(is_plain(&fault.to_string()), "round {round}: {:?}", fault.to_string());
        }
        failed.extend(faults.iter().map(|fault| fault.as_ref().map_or("None", Fault::name)));
    }
    let answered = breaker.answered.load(Ordering::SeqCst);
    assert!(answered > rounds() * 5, "only {answered} answers: nothing was tried");
    // Most answers are broken, and some are not.
    let asked = u64::try_from(failed.len()).unwrap();
    assert!(failed.iter().filter(|fault| **fault == "None").count() > 0 && asked == rounds() * 21, "{asked}");
    let kinds: std::collections::BTreeSet<_> = failed.iter().collect();
    assert!(kinds.len() > 4, "all ends alike: {kinds:?}");
}

async fn simulator() -> Simulator {
    let world =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/simulator/world.yaml")).unwrap();
    Simulator::start_on_loopback(WorldFile::parse(&world).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_alibaba_cloud_answers_nobody_panics_and_every_question_ends() {
    let simulator = simulator().await;
    let address = simulator.cloud_address().to_string();
    let breaker = Breaker::start(|_| Source::Server(address)).await;
    survive(Provider::Alibaba, &breaker, |edge, allowed| {
        let access = AlibabaAccess {
            account: PrincipalId::parse("2000000000000001").unwrap(),
            endpoints: alibaba::Endpoints::all_at(allowed.check(Provider::Alibaba, &breaker.address).unwrap()),
            credentials: alibaba::Credentials::parse("LTAIdemo", "only-the-simulator-knows-this-secret", None)
                .unwrap()
                .into(),
        };
        connect::alibaba(access, edge)
    })
    .await;
    drop(breaker);
    simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_huawei_cloud_answers_nobody_panics_and_every_question_ends() {
    let simulator = simulator().await;
    let address = simulator.huawei_address().to_string();
    let breaker = Breaker::start(|_| Source::Server(address)).await;
    survive(Provider::Huawei, &breaker, |edge, allowed| {
        let secret = "only-the-simulator-knows-this-secret";
        let access = HuaweiAccess {
            domain: PrincipalId::parse("d0000000000000000000000000000001").unwrap(),
            site: Site::China,
            projects: Vec::new(),
            endpoints: huawei::Endpoints::all_at(allowed.check(Provider::Huawei, &breaker.address).unwrap()),
            credentials: huawei::Credentials::access_key("HWDEMOBUILDERS", secret, None).unwrap(),
        };
        connect::huawei(access, edge)
    })
    .await;
    drop(breaker);
    simulator.stop().await;
}

/// What Keystone and Glance could have said, each in answer to anything.
fn said(address: &str) -> Vec<String> {
    let endpoint = json!({"interface": "public", "region_id": "Here", "url": format!("{address}/image/v2")});
    let token = json!({"token": {"issued_at": "2026-11-22T05:10:07.000000Z", "expires_at": "2036-11-22T06:10:07.000000Z",
        "project": {"id": "a0000000000000000000000000000001"},
        "catalog": [{"type": "image", "endpoints": [endpoint]}]}});
    let image = json!({"id": "d164b5df-1bc3-4c3f-893e-3e471fd16e64", "owner": "a0000000000000000000000000000001",
        "name": "golden", "status": "active", "visibility": "shared", "protected": false, "size": 7, "min_disk": 1,
        "min_ram": 0, "disk_format": "qcow2", "container_format": "bare", "os_hash_algo": "sha512", "os_hash_value": "ab"});
    let member = json!({"member_id": "a0000000000000000000000000000002", "status": "pending",
        "image_id": "d164b5df-1bc3-4c3f-893e-3e471fd16e64"});
    let members = json!({"members": [member.clone(), member.clone()], "schema": "/v2/schemas/members"});
    let images = json!({"images": [image.clone(), image.clone()], "next": "/v2/images?marker=x"});
    [&token, &token, &token, &image, &image, &member, &members, &images].map(ToString::to_string).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_openstack_answers_nobody_panics_and_every_question_ends() {
    let breaker = Breaker::start(|address| Source::Said(201, Arc::new(said(address)))).await;
    survive(Provider::OpenStack, &breaker, |edge, allowed| {
        let access = OpenStackAccess {
            project: PrincipalId::parse("a0000000000000000000000000000001").unwrap(),
            auth_url: allowed.check_service(Provider::OpenStack, &format!("{}/v3", breaker.address)).unwrap(),
            interface: openstack::Interface::Public,
            image: None,
            allowed: allowed.clone(),
            credentials: openstack::Credentials::application("c", "s").unwrap(),
        };
        connect::openstack(access, edge)
    })
    .await;
}

/// What EC2 and STS could have said, each in answer to anything.
fn said_by_aws() -> Vec<String> {
    let whole =
        |action: &str, content: &str| format!("<{action}Response><requestId>r</requestId>{content}</{action}Response>");
    let image = "<item><imageId>ami-0123456789abcdef0</imageId><imageOwnerId>123456789012</imageOwnerId>\
        <imageState>available</imageState><name>golden</name><blockDeviceMapping><item><ebs><volumeSize>8</volumeSize>\
        <encrypted>false</encrypted></ebs></item></blockDeviceMapping></item>";
    let encrypted = image.replace("<encrypted>false", "<snapshotId>snap-1</snapshotId><encrypted>true");
    let list = "<item><userId>123456789013</userId></item><item><group>all</group></item>";
    vec![
        whole("DescribeImages", &format!("<imagesSet>{image}</imagesSet>")),
        whole("DescribeImages", &format!("<imagesSet>{encrypted}</imagesSet>")),
        whole(
            "DescribeSnapshots",
            "<snapshotSet><item><snapshotId>snap-1</snapshotId><kmsKeyId>arn:aws:kms:us-east-1:1:key/1</kmsKeyId></item></snapshotSet>",
        ),
        whole("DescribeImages", &format!("<imagesSet>{image}</imagesSet><nextToken>t</nextToken>")),
        whole(
            "DescribeImageAttribute",
            &format!("<imageId>ami-0123456789abcdef0</imageId><launchPermission>{list}</launchPermission>"),
        ),
        whole("ModifyImageAttribute", "<return>true</return>"),
        whole(
            "DescribeSnapshotAttribute",
            &format!("<snapshotId>snap-1</snapshotId><createVolumePermission>{list}</createVolumePermission>"),
        ),
        whole("ModifySnapshotAttribute", "<return>true</return>"),
        whole("DeregisterImage", "<return>true</return>"),
        whole("CopyImage", "<imageId>ami-0123456789abcdef0</imageId>"),
        whole("DescribeRegions", "<regionInfo><item><regionName>us-east-1</regionName></item></regionInfo>"),
        whole(
            "GetCallerIdentity",
            "<GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult>",
        ),
        "<Response><Errors><Error><Code>AuthFailure</Code><Message>m</Message></Error></Errors></Response>".to_owned(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_aws_answers_nobody_panics_and_every_question_ends() {
    let breaker = Breaker::start(|_| Source::Said(200, Arc::new(said_by_aws()))).await;
    survive(Provider::Aws, &breaker, |edge, allowed| {
        let access = AwsAccess {
            account: PrincipalId::parse("123456789012").unwrap(),
            partition: Partition::Commercial,
            home_region: RegionId::parse("us-east-1").unwrap(),
            fips: false,
            dual_stack: false,
            endpoint: Some(allowed.check(Provider::Aws, &breaker.address).unwrap()),
            credentials: aws::Credentials::parse("AKIADEMO", "only-the-simulator-knows-this-secret", None)
                .unwrap()
                .into(),
        };
        connect::aws(access, edge)
    })
    .await;
}
