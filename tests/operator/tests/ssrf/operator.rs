//! The operator as a process: accounts whose endpoint, or whose Keystone's catalogue, is a trick.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use imageshare_harness::{ControlPlane, Namespace, Operator, eventually, run};
use imageshare_operator::api::CloudAccount;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ListParams, ObjectMeta, PostParams};
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};

use crate::tricks;
use support::condition;
use support::door::{Door, answer};

/// Hundreds of accounts, on a busy machine.
const LONG: Duration = Duration::from_secs(240);

/// One operator for both tests, the two origins it may call, and the door where nobody must come.
struct Servers {
    operator: Mutex<Operator>,
    own: Door,
    keystone: Door,
    forbidden: Door,
}

async fn servers() -> Result<&'static Servers> {
    static SERVERS: OnceCell<Servers> = OnceCell::const_new();
    SERVERS
        .get_or_try_init(async || {
            let (own, forbidden) = (Door::open(|_| answer(404, "", "{}")), Door::forbidden());
            let port = forbidden.address.port();
            let keystone = Door::open(move |request| catalogue(request, port));
            let launch = Operator::launch(ControlPlane::shared().await?.operator_kubeconfig().await?)?
                .arguments(["--allowed-endpoint", &own.url(), "--allowed-endpoint", &keystone.url()])
                .arguments(["--log", "info,imageshare_operator=trace"]);
            let operator = Mutex::new(Operator::start(launch, &run::folder_of_this_binary()?)?);
            Ok(Servers { operator, own, keystone, forbidden })
        })
        .await
}

impl Servers {
    /// The operator still runs, and nobody came to the door, which counts.
    async fn nobody_was_called(&self) -> Result<()> {
        self.operator.lock().await.process.ensure_running()?;
        ensure!(self.forbidden.visits().is_empty(), "somebody was called: {:?}", self.forbidden.visits());
        self.forbidden.counts();
        Ok(())
    }
}

/// A namespace with a Secret that has every key there is.
struct PlanInput {
    accounts: Api<CloudAccount>,
}

impl PlanInput {
    async fn open() -> Result<Self> {
        let client = ControlPlane::shared().await?.client().await?;
        let namespace = Namespace::create(&client, "tricks").await?;
        let names = ["accessKeyID", "accessKeySecret", "applicationCredentialID", "applicationCredentialSecret"];
        let data: BTreeMap<String, String> = names.map(|name| (name.to_owned(), "CanaryOfTheDoor".to_owned())).into();
        let metadata = ObjectMeta { name: Some("golden".into()), ..ObjectMeta::default() };
        let secret = Secret { metadata, string_data: Some(data), ..Secret::default() };
        namespace.api::<Secret>().create(&PostParams::default(), &secret).await?;
        Ok(Self { accounts: namespace.api() })
    }

    /// Creates accounts with these specs; gives the specs of those that the API server takes, by name. It refuses some.
    async fn create(&self, specs: Vec<Value>) -> Result<BTreeMap<String, Value>> {
        let create = async |(number, spec): (usize, Value)| {
            let name = format!("trick-{number}");
            let object: CloudAccount = serde_json::from_value(json!({"apiVersion": "imageshare.dev/v1alpha1",
                "kind": "CloudAccount", "metadata": {"name": name}, "spec": spec}))?;
            match self.accounts.create(&PostParams::default(), &object).await {
                Ok(_) => Ok(Some((name, spec))),
                Err(kube::Error::Api(status)) if status.code == 422 => Ok(None),
                Err(error) => Err(anyhow::Error::from(error)),
            }
        };
        let made: Vec<_> =
            stream::iter(specs.into_iter().enumerate()).map(create).buffer_unordered(8).try_collect().await?;
        Ok(made.into_iter().flatten().collect())
    }

    /// Waits until each of them was looked at; every one must be refused for its endpoint.
    async fn all_refused(&self, made: &BTreeMap<String, Value>) -> Result<()> {
        eventually(LONG, "every account to be refused", async || {
            let all = self.accounts.list(&ListParams::default()).await?.items;
            let mut other = Vec::new();
            for account in all {
                let name = account.metadata.name.clone().unwrap_or_default();
                let Some(spec) = made.get(&name) else { continue };
                let account = serde_json::to_value(&account)?;
                let ready = condition(&account, "Ready").map(|c| (c.status, c.reason));
                if ready.as_ref().is_none_or(|(status, reason)| status != "False" || reason != "EndpointNotAllowed") {
                    other.push(format!("{spec}: {ready:?}"));
                }
            }
            ensure!(other.is_empty(), "{} of {}, as {}", other.len(), made.len(), other[0]);
            Ok(Some(()))
        })
        .await
    }
}

fn credentials() -> Value {
    json!({"secretRef": {"name": "golden"}})
}

fn openstack(auth_url: &str) -> Value {
    json!({"openstack": {"authURL": auth_url, "projectID": "p", "credentials": credentials()}})
}

/// A token whose catalogue names a trick: the one whose number is in the path.
fn catalogue(request: &str, port: u16) -> String {
    let own = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let number = request.split('/').nth(1).and_then(|number| number.parse::<usize>().ok()).unwrap_or_default();
    let endpoint = json!({"interface": "public", "region_id": "Here", "url": tricks::all(port, own)[number]});
    let token = json!({"issued_at": "2026-11-22T05:10:07Z", "expires_at": "2036-11-22T05:10:07Z",
        "project": {"id": "p"}, "catalog": [{"type": "image", "endpoints": [endpoint]}]});
    answer(201, "x-subject-token: t\r\n", &json!({"token": token}).to_string())
}

#[tokio::test]
async fn an_account_whose_endpoint_is_a_trick_is_refused_and_nobody_is_called() -> Result<()> {
    let (servers, scene) = (servers().await?, PlanInput::open().await?);
    let tricks = tricks::all(servers.forbidden.address.port(), &servers.own.address.to_string());
    let specs = tricks.iter().flat_map(|trick| {
        [
            json!({"alibaba": {"accountID": "2000000000000001", "site": "China", "credentials": credentials(),
                "endpoint": trick}}),
            json!({"huawei": {"domainID": "d0000000000000000000000000000001", "site": "China",
                "credentials": credentials(), "endpoint": trick}}),
            openstack(trick),
        ]
    });
    let made = scene.create(specs.collect()).await?;
    println!(
        "{} tricks, {} accounts, {} more refused by the schema",
        tricks.len(),
        made.len(),
        tricks.len() * 3 - made.len()
    );
    ensure!(made.len() > tricks.len() * 3 - 20, "only {} of {} were made", made.len(), tricks.len() * 3);
    scene.all_refused(&made).await?;
    ensure!(servers.own.visits().is_empty(), "a trick led to the allowed one: {:?}", servers.own.visits());
    servers.nobody_was_called().await
}

#[tokio::test]
async fn a_catalogue_that_names_a_trick_is_refused_and_nobody_but_keystone_is_called() -> Result<()> {
    let (servers, scene) = (servers().await?, PlanInput::open().await?);
    let keystone = &servers.keystone;
    let tricks = tricks::all(servers.forbidden.address.port(), &keystone.address.to_string());
    let specs = (0..tricks.len()).map(|number| openstack(&format!("{}/{number}/v3", keystone.url())));
    let made = scene.create(specs.collect()).await?;
    ensure!(made.len() == tricks.len(), "{} of {}", made.len(), tricks.len());
    scene.all_refused(&made).await?;
    let asked = keystone.visits();
    let token = |line: &String| line.starts_with("POST /") && line.contains("/v3/auth/tokens ");
    let other: Vec<&String> = asked.iter().filter(|line| !token(line)).collect();
    ensure!(other.is_empty(), "{other:?}");
    for (number, trick) in tricks.iter().enumerate() {
        let path = format!("POST /{number}/v3/");
        ensure!(asked.iter().any(|line| line.starts_with(&path)), "the catalogue of {trick} was not asked for");
    }
    servers.nobody_was_called().await
}
