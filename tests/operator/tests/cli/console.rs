//! The console as a browser asks it: over HTTP, against the real API server, with the operator and the simulated clouds.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::{assets, eventually};
use imageshare_operator::api::{CloudImage, ImageShare, SharedImage, SharedImageAcceptance};
use kube::ResourceExt as _;
use kube::api::ListParams;
use reqwest::header::{CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderMap, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Method, Response, StatusCode, redirect};

use crate::stage::{Ran, huawei, plugin_as, stage, user, with_image};
use support::arena::{Arena as _, image, seat, share, until_members};
use support::huawei::Huawei;
use support::{PATIENCE, Player};

/// A console, and the browser that opened it.
struct Browser {
    child: Child,
    client: Client,
    /// As `http://127.0.0.1:41234`.
    origin: String,
    /// The address that was printed, without the origin.
    entrance: String,
    cookie: String,
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a page answered.
#[derive(Debug)]
struct Page {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Page {
    async fn of(response: Response) -> Result<Self> {
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Self { status, headers, text: response.text().await? })
    }

    fn says(&self, words: &str) -> Result<()> {
        ensure!(self.status == StatusCode::OK && self.text.contains(words), "{words:?} is not in {self:?}");
        Ok(())
    }

    /// The value of a hidden field of its form.
    fn field(&self, name: &str) -> Result<String> {
        let begin = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.text.split_once(&begin).with_context(|| format!("no field {name} in {}", self.text))?;
        let (value, _) = rest.split_once('"').context("a quote")?;
        Ok(value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&"))
    }
}

impl Browser {
    /// Starts a console that nobody has opened.
    async fn start(kubeconfig: &Path, args: &[&str]) -> Result<Self> {
        let mut command = Command::new(assets::built("kubectl-imageshare")?);
        command.env_clear().env("KUBECONFIG", kubeconfig).arg("console").args(args);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("its output")?;
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).map(|_| line)
        });
        let line = line.await??;
        let address = line.trim().to_owned();
        let port = address.strip_prefix("http://127.0.0.1:").and_then(|rest| rest.split_once('/')).context(line)?.0;
        let origin = format!("http://127.0.0.1:{port}");
        let entrance = address.strip_prefix(&origin).context("an origin")?.to_owned();
        let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).build()?;
        Ok(Self { child, client, origin, entrance, cookie: String::new() })
    }

    async fn open(kubeconfig: &Path, args: &[&str]) -> Result<Self> {
        let mut browser = Self::start(kubeconfig, args).await?;
        let entered = browser.send(Method::GET, &browser.entrance, &[], None).await?;
        ensure!(entered.status == StatusCode::SEE_OTHER && entered.headers[LOCATION] == "/", "{entered:?}");
        let cookie = entered.headers[SET_COOKIE].to_str()?;
        cookie.split(';').next().context("a cookie")?.clone_into(&mut browser.cookie);
        Ok(browser)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(reqwest::header::HeaderName, &str)],
        form: Option<&[(&str, &str)]>,
    ) -> Result<Page> {
        let mut request = self.client.request(method, format!("{}{path}", self.origin));
        if !self.cookie.is_empty() {
            request = request.header(COOKIE, &self.cookie);
        }
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        if let Some(form) = form {
            let encoded = |text: &str| text.bytes().fold(String::new(), |all, byte| format!("{all}%{byte:02X}"));
            let body: Vec<String> =
                form.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
            let kind = (reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            request = request.header(kind.0, kind.1).body(body.join("&"));
        }
        Page::of(request.send().await?).await
    }

    async fn get(&self, path: &str) -> Result<Page> {
        self.send(Method::GET, path, &[], None).await
    }

    /// Sends a form as one of its own pages does.
    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Page> {
        self.send(Method::POST, path, &[(ORIGIN, &self.origin)], Some(form)).await
    }
}

/// A console of everything, opened by a browser.
async fn console(namespace: &str) -> Result<Browser> {
    Browser::open(&stage().await?.control_plane.kubeconfig_path(), &["-n", namespace]).await
}

#[tokio::test]
async fn an_image_is_shown_with_its_slots_and_whoever_has_it() -> Result<()> {
    let player = with_image().await?;
    player.share("team", [1, 2]).await?;
    player.ready::<ImageShare>("team").await?;
    let browser = console(player.namespace.name()).await?;
    eventually(PATIENCE, "the page of images", async || {
        let page = browser.get("/images").await?;
        for words in [player.image_id(1), player.recipient(1), player.recipient(2), "2 of 50 slots taken".to_owned()] {
            page.says(&words)?;
        }
        page.says(&format!("{}/team", player.namespace.name()))?;
        page.says("value=\"2\"")?;
        page.says("never")?;
        Ok(Some(()))
    })
    .await?;
    let page = browser.get(&format!("/images?account={}", player.recipient(2))).await?;
    page.says(&player.recipient(2))?;
    ensure!(!page.text.contains(&player.recipient(1)), "{page:?}");
    browser.get("/images?account=1").await?.says("has no image")?;
    browser.get("/channels").await?.says("There is no ImageChannel.")?;
    ensure!(browser.get("/nothing").await?.status == StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn a_deletion_that_waits_is_shown_as_what_it_waits_for() -> Result<()> {
    let player = with_image().await?;
    player.share("team", [1]).await?;
    player.ready::<ImageShare>("team").await?;
    let browser = console(player.namespace.name()).await?;
    browser.get("/deletions").await?.says("No deletion waits.")?;
    player.delete::<CloudImage>("golden").await?;
    eventually(PATIENCE, "the chain", async || {
        let page = browser.get("/deletions").await?;
        let namespace = player.namespace.name();
        page.says(&format!("CloudImage {namespace}/golden"))?;
        page.says("ShareExists")?;
        page.says(&format!("ImageShare {namespace}/team"))?;
        page.says("delete it first")?;
        page.says(&format!("Account {}", player.recipient(1)))?;
        Ok(Some(()))
    })
    .await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<CloudImage>("golden").await?;
    browser.get("/deletions").await?.says("No deletion waits.")
}

/// An owner's image, offered to a receiver whose inventory lists it.
async fn offer(arena: &Huawei) -> Result<(Player, String, SharedImage)> {
    let owner = seat(arena.player(), &arena.owner(), None).await?;
    let id = arena.new_image("golden").await?;
    image(&owner, arena.region(), &id, serde_json::json!({})).await?;
    owner.ready::<CloudImage>("golden").await?;
    share(&owner, "team", &[arena.receiver(0).id]).await?;
    let receiver = seat(arena.player(), &arena.receiver(0), Some(arena.region())).await?;
    let listed = eventually(PATIENCE, "the offer to be listed", async || {
        let listed = receiver.api::<SharedImage>().list(&ListParams::default()).await?.items;
        Ok(listed.into_iter().find(|image| image.spec.image_id == id))
    })
    .await?;
    Ok((receiver, id, listed))
}

#[tokio::test]
async fn an_offer_is_answered_by_the_yaml_that_was_shown() -> Result<()> {
    let arena = huawei().await?;
    for (decision, state) in [("Accept", "accepted"), ("Reject", "rejected")] {
        let (receiver, id, offered) = offer(&arena).await?;
        let (namespace, name, owner) = (receiver.namespace.name(), offered.name_any(), arena.owner().id);
        let browser = console(namespace).await?;
        let listed = browser.get("/").await?;
        listed.says("1 to answer")?;
        listed.says(&id)?;
        let link = format!("/answer?namespace={namespace}&offer={name}&decision={decision}");
        listed.says(&link.replace('&', "&amp;"))?;
        let asked = browser.get(&link).await?;
        for words in ["kind: SharedImageAcceptance", &format!("decision: {decision}"), &format!("owner: {owner}")] {
            asked.says(words)?;
        }
        let none = receiver.api::<SharedImageAcceptance>().list(&ListParams::default()).await?.items;
        ensure!(none.is_empty(), "it was only shown: {none:?}");

        let yaml = asked.field("yaml")?;
        let fields = [("namespace", namespace), ("offer", &name), ("decision", decision), ("vault", "")];
        let with =
            |trust: &'static str, yaml: &'static str| [&fields[..], &[("trust", trust), ("yaml", yaml)]].concat();
        for (why, form) in [
            ("nobody is trusted", with("", "x")),
            ("somebody else is trusted", with("b0", "x")),
            ("nothing was shown", [&fields[..], &[("trust", owner.as_str()), ("yaml", "kind: x")]].concat()),
        ] {
            let refused = browser.post("/answer", &form).await?;
            ensure!(refused.status == StatusCode::CONFLICT, "{why}: {refused:?}");
            ensure!(refused.text.contains("othing was written"), "{why}: {refused:?}");
        }
        let confirmed = [&fields[..], &[("trust", owner.as_str()), ("yaml", yaml.as_str())]].concat();
        // As browsers send line breaks.
        let sent: Vec<(&str, String)> =
            confirmed.iter().map(|(name, value)| (*name, value.replace('\n', "\r\n"))).collect();
        let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let done = browser.post("/answer", &sent).await?;
        ensure!(done.status == StatusCode::SEE_OTHER, "{done:?}");
        browser.get(done.headers[LOCATION].to_str()?).await?.says("Created the SharedImageAcceptance")?;
        let created = receiver.api::<SharedImageAcceptance>().get(&name).await?;
        let stored = serde_yaml::from_str::<serde_json::Value>(&yaml)?;
        ensure!(stored["spec"]["owner"] == created.spec.owner.as_str(), "{stored}");
        ensure!(stored["spec"]["imageID"] == created.spec.image_id.as_str(), "{stored}");
        until_members(&arena, &id, &[(arena.receiver(0).id.as_str(), state)]).await?;
        let twice = browser.post("/answer", &sent).await?;
        ensure!(twice.status == StatusCode::CONFLICT && twice.text.contains("answers this offer already"), "{twice:?}");
    }
    Ok(())
}

#[tokio::test]
async fn only_the_browser_that_opened_it_is_answered_and_only_at_its_own_address() -> Result<()> {
    let player = Player::enter_on(stage().await?).await?;
    let kubeconfig = player.stage.control_plane.kubeconfig_path();
    let mut browser = Browser::start(&kubeconfig, &["-n", player.namespace.name()]).await?;
    let is_refused = |page: &Page| page.status == StatusCode::FORBIDDEN && !page.text.contains("to answer");
    for path in ["/", "/images", "/?token=0", "/?token=", "/answer"] {
        let page = browser.get(path).await?;
        ensure!(is_refused(&page), "{path} without a session: {page:?}");
    }
    let entrance = browser.entrance.clone();
    let stolen = browser.send(Method::GET, &entrance, &[(HOST, "evil.example")], None).await?;
    ensure!(is_refused(&stolen), "another host's token opens nothing: {stolen:?}");
    let entered = browser.get(&entrance).await?;
    entered.headers[SET_COOKIE].to_str()?.split(';').next().context("a cookie")?.clone_into(&mut browser.cookie);
    let home = browser.get("/").await?;
    home.says("to answer")?;
    ensure!(home.headers[CONTENT_SECURITY_POLICY].to_str()?.starts_with("default-src 'none'"), "{home:?}");
    let cookie = std::mem::take(&mut browser.cookie);
    let again = browser.get(&entrance).await?;
    ensure!(is_refused(&again), "the token opens it once: {again:?}");
    browser.cookie = cookie;

    let port = browser.origin.rsplit(':').next().context("a port")?.to_owned();
    for host in ["evil.example".to_owned(), format!("evil.example:{port}"), format!("localhost:{port}")] {
        let page = browser.send(Method::GET, "/", &[(HOST, &host)], None).await?;
        ensure!(is_refused(&page), "{host}: {page:?}");
    }
    let form: &[(&str, &str)] = &[("namespace", "x"), ("offer", "x"), ("decision", "Accept"), ("yaml", "x")];
    for origin in ["http://evil.example", "null", "http://127.0.0.1"] {
        let page = browser.send(Method::POST, "/answer", &[(ORIGIN, origin)], Some(form)).await?;
        ensure!(is_refused(&page), "{origin}: {page:?}");
        let page = browser.send(Method::GET, "/", &[(ORIGIN, origin)], None).await?;
        ensure!(is_refused(&page), "{origin}: {page:?}");
    }
    let page = browser.send(Method::POST, "/answer", &[], Some(form)).await?;
    ensure!(is_refused(&page), "a form of no origin: {page:?}");
    // Of its own pages, the same form reaches the answer, which finds no such offer.
    let page = browser.post("/answer", form).await?;
    ensure!(page.status == StatusCode::CONFLICT, "{page:?}");
    let traversal = browser.get("/answer?namespace=..%2F..%2Fapi&offer=x&decision=Accept").await?;
    ensure!(
        traversal.status == StatusCode::CONFLICT && traversal.text.contains("no name of a namespace"),
        "{traversal:?}"
    );
    Ok(())
}

#[tokio::test]
async fn the_console_has_the_rights_of_its_user_says_what_is_missing_and_reads_no_secret() -> Result<()> {
    let player = with_image().await?;
    let namespace = player.namespace.name();
    let kubeconfig = user(&player, "looker", &[("list", "cloudimages,imageshares")]).await?;
    let browser = Browser::open(&kubeconfig, &["-n", namespace]).await?;
    let images = browser.get("/images").await?;
    images.says(&player.image_id(1))?;
    ensure!(!images.text.contains("Incomplete."), "{images:?}");
    let missing = format!("you may not list sharedimages.imageshare.dev in the namespace {namespace}");
    let offers = browser.get("/").await?;
    offers.says("Incomplete.")?;
    offers.says(&missing)?;
    let refused = browser.get(&format!("/answer?namespace={namespace}&offer=x&decision=Accept")).await?;
    ensure!(refused.status == StatusCode::CONFLICT && refused.text.contains(&missing), "{refused:?}");
    for path in ["/channels", "/deletions"] {
        browser.get(path).await?.says("Incomplete.")?;
    }
    let requests = player.stage.control_plane.requests_of(&format!("system:serviceaccount:{namespace}:looker"))?;
    ensure!(requests.len() > 5, "{requests:?}");
    for request in requests {
        ensure!(["get", "list"].contains(&request.verb.as_str()), "{request:?}");
        ensure!(request.object_ref.api_group == "imageshare.dev", "{request:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() -> Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port().to_string();
    let kubeconfig = stage().await?.control_plane.kubeconfig_path();
    let Ran { exit, err, .. } = plugin_as(Some(&kubeconfig), &["console", "--port", &port], "")?;
    ensure!(exit == 1 && err.contains(&format!("--port {port}: ")), "{err}");
    Ok(())
}
