//! The story: sharing an image, what the others see, the guard against deletion, and the end of access. Each step waits
//! for Kubernetes to say so and then asks the simulated cloud whether it is true.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::{assets, eventually};
use serde_json::{Value, json};

use crate::offers;
use crate::stage::{ENDPOINTS, Stage};

/// How long a step may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

const NAMESPACE: &str = "golden-images";
const OWNER: &str = "2000000000000001";
const IMAGE: &str = "m-bp1goldenubuntu2404";
const RECIPIENTS: [&str; 3] = ["1000000000000001", "1000000000000002", "1000000000000003"];

/// Tells it; an error says which step did not hold.
pub(crate) async fn tell(stage: &Stage) -> Result<()> {
    apply(stage).await.context("applying examples/quickstart/")?;
    share(stage).await.context("sharing the image")?;
    hold_back(stage).await.context("holding the CloudImage back")?;
    unshare(stage).await.context("ending the share")?;
    let_go(stage).await.context("letting the image go")?;
    offers::tell(stage).await
}

pub(crate) fn chapter(number: u32, text: &str) {
    println!("\n{number}. {text}");
}

async fn apply(stage: &Stage) -> Result<()> {
    chapter(1, "Say who may use an image: an account, one image of it, and three other accounts.");
    stage.apply("examples/quickstart").await
}

async fn share(stage: &Stage) -> Result<()> {
    eventually(LIMIT, "the ImageShare to be Ready", async || {
        let share = object(stage, "imageshare/app-teams").await?;
        let ready = condition(&share, "Ready")?;
        ensure!(at(&ready, "/status") == "True" && at(&share, "/status/summary") == "3/3", "{}", at(&share, "/status"));
        Ok(Some(()))
    })
    .await?;
    chapter(2, "The share becomes Ready: every recipient may use the image.");
    let shown = stage.show(&["get", "imageshare,cloudimage,cloudaccount", "-n", NAMESPACE]).await?;
    ensure!(shown.contains("3/3"), "kubectl shows no RECIPIENTS 3/3");
    ensure!(shared_with(stage).await? == RECIPIENTS, "the cloud shares the image with {:?}", shared_with(stage).await?);
    ensure!(
        changes(stage, "added").await? == RECIPIENTS,
        "the journal tells of others: {:?}",
        changes(stage, "added").await?
    );

    chapter(3, "The other side: what each account sees as shared with it (asked at the simulator's control port).");
    println!();
    for account in RECIPIENTS {
        let images = received(stage, account).await?;
        println!("  account {account}: {}", images.join(", "));
        ensure!(images == [IMAGE], "account {account} sees {images:?}");
    }
    Ok(())
}

async fn hold_back(stage: &Stage) -> Result<()> {
    chapter(4, "Somebody deletes the CloudImage while it is shared. It is held back, and says by whom.");
    stage.show(&["delete", "cloudimage", "golden-ubuntu", "-n", NAMESPACE, "--wait=false"]).await?;
    eventually(LIMIT, "Deletable=False ShareExists of the deleting CloudImage", async || {
        let image = object(stage, "cloudimage/golden-ubuntu").await?;
        let deletable = condition(&image, "Deletable")?;
        let current = at(&deletable, "/observedGeneration") == at(&image, "/metadata/generation");
        ensure!(current && at(&image, "/metadata/deletionTimestamp").is_string(), "{}", at(&image, "/metadata"));
        ensure!(at(&deletable, "/status") == "False" && at(&deletable, "/reason") == "ShareExists", "{deletable}");
        Ok(Some(()))
    })
    .await?;
    let message = r#"jsonpath={.status.conditions[?(@.type=="Deletable")].message}{"\n"}"#;
    let shown = stage.show(&["get", "cloudimage", "golden-ubuntu", "-n", NAMESPACE, "-o", message]).await?;
    ensure!(shown.contains("golden-images/app-teams"), "the blocker is not named");
    ensure!(shared_with(stage).await? == RECIPIENTS, "somebody lost the image");
    ensure!(changes(stage, "removed").await?.is_empty(), "somebody was revoked");
    Ok(())
}

async fn unshare(stage: &Stage) -> Result<()> {
    chapter(5, "The share is deleted: access ends at the cloud first, then the object goes.");
    stage.show(&["delete", "imageshare", "app-teams", "-n", NAMESPACE, "--timeout=60s"]).await?;
    println!();
    for account in RECIPIENTS {
        let images = received(stage, account).await?;
        println!("  account {account}: {}", if images.is_empty() { "nothing".to_owned() } else { images.join(", ") });
        ensure!(images.is_empty(), "account {account} still sees {images:?}");
    }
    ensure!(shared_with(stage).await?.is_empty(), "the cloud still shares the image");
    let removed = changes(stage, "removed").await?;
    ensure!(removed == RECIPIENTS, "the journal tells that these were revoked: {removed:?}");
    Ok(())
}

async fn let_go(stage: &Stage) -> Result<()> {
    chapter(
        6,
        "Nothing holds the image any more: the CloudImage goes. The image stays at the cloud (deletionPolicy: Retain).",
    );
    stage.show(&["wait", "--for=delete", "cloudimage/golden-ubuntu", "-n", NAMESPACE, "--timeout=60s"]).await?;
    let left = stage.show(&["get", "sharing", "-n", NAMESPACE, "-o", "name"]).await?;
    ensure!(left.trim() == "cloudaccount.imageshare.dev/golden", "these are left: {left}");
    ensure!(at(&image(stage).await?, "/owner") == OWNER, "the image is gone from the cloud");
    let journal = stage.cloud.journal(0).await?;
    ensure!(!journal.iter().any(|entry| at(entry, "/action") == "DeleteImage"), "the image was asked to be deleted");
    // Events are published after the status they tell of.
    let columns = "custom-columns=REASON:.reason,MESSAGE:.message";
    let args = ["get", "events", "-n", NAMESPACE, "-o", columns];
    eventually(LIMIT, "the event of the revoke", async || {
        Ok(stage.kubectl(&args, "").await?.contains("Revoked").then_some(()))
    })
    .await?;
    println!("\n   What was told on the way:");
    stage.show(&args).await?;
    Ok(())
}

async fn object(stage: &Stage, name: &str) -> Result<Value> {
    object_in(stage, NAMESPACE, name).await
}

pub(crate) async fn object_in(stage: &Stage, namespace: &str, name: &str) -> Result<Value> {
    Ok(serde_json::from_str(&stage.kubectl(&["get", name, "-n", namespace, "-o", "json"], "").await?)?)
}

/// A part of a JSON value, by its JSON pointer; null where there is none.
pub(crate) fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

pub(crate) fn condition(object: &Value, kind: &str) -> Result<Value> {
    let conditions = at(object, "/status/conditions").as_array().context("no conditions yet")?;
    conditions.iter().find(|c| at(c, "/type") == kind).cloned().with_context(|| format!("no condition {kind} yet"))
}

async fn image(stage: &Stage) -> Result<Value> {
    let world = stage.cloud.get("/world").await?;
    let images = at(&world, "/images").as_array().context("a world without images")?;
    images.iter().find(|image| at(image, "/id") == IMAGE).cloned().context("the image is not in the world")
}

/// With whom the cloud shares the image.
async fn shared_with(stage: &Stage) -> Result<Vec<String>> {
    Ok(sorted(at(&image(stage).await?, "/sharedWith")))
}

/// Whom the owner's successful calls have added to the image, or removed from it, since the start.
async fn changes(stage: &Stage, what: &str) -> Result<Vec<String>> {
    let journal = stage.cloud.journal(0).await?;
    let calls = journal.iter().filter(|e| {
        at(e, "/action") == "ModifyImageSharePermission"
            && at(e, "/principal") == OWNER
            && at(e, "/image") == IMAGE
            && at(e, "/code") == "OK"
    });
    let all: Vec<Value> =
        calls.filter_map(|e| at(e, &format!("/effect/{what}")).as_array().cloned()).flatten().collect();
    Ok(sorted(&json!(all)))
}

async fn received(stage: &Stage, account: &str) -> Result<Vec<String>> {
    Ok(sorted(at(&stage.cloud.get(&format!("/accounts/{account}/received")).await?, "/images")))
}

fn sorted(list: &Value) -> Vec<String> {
    let texts = list.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(ToOwned::to_owned));
    let mut texts: Vec<String> = texts.collect();
    texts.sort();
    texts
}

/// How to go on by oneself.
pub(crate) fn invite(stage: &Stage) {
    let kubectl = assets::servers()
        .map_or_else(|_| "kubectl".to_owned(), |servers| servers.join("kubectl").display().to_string());
    println!("\nAll of it stays up until Ctrl-C. In another terminal:\n");
    println!("  export KUBECONFIG={}", stage.kubeconfig().display());
    println!("  alias kubectl={kubectl}");
    let [endpoint, _] = ENDPOINTS;
    println!("  sed s,{endpoint},{}, examples/quickstart/*.yaml | kubectl apply -f -", stage.cloud.cloud());
    println!("  kubectl get sharing -A");
    if assets::controller_manager().is_err() {
        println!(
            "\nDelete objects, not namespaces: what empties a namespace, kube-controller-manager, does not run here."
        );
        println!("It does once `make assets` has built it.");
    }
    println!("\nWhat truly happened at the simulated cloud: curl {}/journal", stage.cloud.control());
}
