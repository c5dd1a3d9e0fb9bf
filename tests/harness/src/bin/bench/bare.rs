//! Bare clients of the simulated cloud and of the API server: they sign and send what they are told to, and read no more
//! than that it went well. What a look or a change costs at least is measured with them.

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::{digest, hmac};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fleet::{Fleet, REGION, image_id, key};

/// Recipients one call may add or remove.
pub(crate) const RECIPIENTS_PER_CALL: usize = 10;

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// A client of all accounts.
#[derive(Debug, Clone)]
pub(crate) struct BareCloud {
    http: reqwest::Client,
    address: String,
    host: String,
    fleet: Fleet,
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

impl BareCloud {
    pub(crate) fn new(address: &str, fleet: Fleet) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let host = address.trim_start_matches("http://").to_owned();
        Ok(Self { http, address: address.to_owned(), host, fleet })
    }

    /// Who an account is.
    pub(crate) async fn identity(&self, owner: usize) -> Result<()> {
        self.call(owner, "GetCallerIdentity", "2015-04-01", Vec::new()).await
    }

    /// The regions of an account.
    pub(crate) async fn regions(&self, owner: usize) -> Result<()> {
        self.call(owner, "DescribeRegions", "2014-05-26", Vec::new()).await
    }

    /// An image.
    pub(crate) async fn describe(&self, image: usize) -> Result<()> {
        self.of_image(image, "DescribeImages", vec![("Status".to_owned(), "ALL".to_owned())]).await
    }

    /// The recipients of an image.
    pub(crate) async fn recipients(&self, image: usize) -> Result<()> {
        let page = [("PageNumber", "1"), ("PageSize", "100")];
        let page = page.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.of_image(image, "DescribeImageSharePermission", page.into()).await
    }

    /// Adds recipients, or removes them: `AddAccount` or `RemoveAccount`.
    pub(crate) async fn change(&self, image: usize, parameter: &str, accounts: &[String]) -> Result<()> {
        let numbered = (1..).zip(accounts).map(|(n, account): (u32, _)| (format!("{parameter}.{n}"), account.clone()));
        self.of_image(image, "ModifyImageSharePermission", numbered.collect()).await
    }

    async fn of_image(&self, image: usize, action: &str, mut query: Vec<(String, String)>) -> Result<()> {
        query.extend([("RegionId".to_owned(), REGION.to_owned()), ("ImageId".to_owned(), image_id(image))]);
        self.call(self.fleet.owner_of(image), action, "2014-05-26", query).await
    }

    /// Everything that is sent here is of characters which stay as they are in a query.
    async fn call(&self, owner: usize, action: &str, version: &str, mut query: Vec<(String, String)>) -> Result<()> {
        query.sort();
        let query = query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let (key, body_hash) = (key(owner), sha256(b""));
        let headers = [
            ("host", self.host.clone()),
            ("x-acs-action", action.to_owned()),
            ("x-acs-content-sha256", body_hash.clone()),
            ("x-acs-date", Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            ("x-acs-signature-nonce", format!("{:032x}", rand::random::<u128>())),
            ("x-acs-version", version.to_owned()),
        ];
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = headers.iter().flat_map(|(name, value)| [*name, ":", value.as_str(), "\n"]).collect();
        let canonical = format!("POST\n/\n{query}\n{lines}\n{names}\n{body_hash}");
        let text = format!("{ALGORITHM}\n{}", sha256(canonical.as_bytes()));
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.secret.as_bytes()), text.as_bytes());
        let signature = hex::encode(signature);
        let authorization = format!("{ALGORITHM} Credential={},SignedHeaders={names},Signature={signature}", key.id);
        let mut request = self.http.post(format!("{}/?{query}", self.address)).header("accept", "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.header("authorization", authorization).header("content-length", "0").send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{action}: {status}: {text}");
        Ok(())
    }
}

/// Where our objects are.
const GROUP: &str = "/apis/imageshare.dev/v1alpha1";

/// Objects of one page of a list, as kube has it.
const PAGE: usize = 500;

/// What is read of a page: where the next one begins.
#[derive(Deserialize)]
struct Page {
    metadata: PageMetadata,
}

#[derive(Deserialize)]
struct PageMetadata {
    #[serde(rename = "continue")]
    go_on: Option<String>,
}

/// A bare client of the API server.
#[derive(Clone)]
pub(crate) struct BareKubernetes(kube::Client);

impl BareKubernetes {
    pub(crate) fn new(client: kube::Client) -> Self {
        Self(client)
    }

    /// Reads all objects of a kind, page after page, as a watch begins.
    pub(crate) async fn list(&self, kind: &str) -> Result<()> {
        let path = format!("{GROUP}/{}s?limit={PAGE}", kind.to_lowercase());
        let mut next = path.clone();
        loop {
            let page = self.0.request_text(http::Request::get(&next).body(Vec::new())?).await?;
            match serde_json::from_str::<Page>(&page)?.metadata.go_on.filter(|token| !token.is_empty()) {
                Some(token) => next = format!("{path}&continue={token}"),
                None => return Ok(()),
            }
        }
    }

    /// Applies a status, as the operator does.
    pub(crate) async fn apply_status(&self, kind: &str, namespace: &str, name: &str, status: &Value) -> Result<()> {
        let body = json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
            "status": status});
        let path = format!("{}/status?fieldManager=imageshare-operator&force=true", path_of(kind, namespace, name));
        self.send("PATCH", &path, "application/apply-patch+yaml", &body).await
    }

    /// Writes metadata.
    pub(crate) async fn annotate(&self, kind: &str, namespace: &str, name: &str, value: &str) -> Result<()> {
        let body = json!({"metadata": {"annotations": {"bench": value}}});
        self.send("PATCH", &path_of(kind, namespace, name), "application/merge-patch+json", &body).await
    }

    /// Makes an event about an image.
    pub(crate) async fn tell(&self, namespace: &str, image: &str) -> Result<()> {
        let body = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event",
            "metadata": {"generateName": format!("{image}-"), "namespace": namespace},
            "eventTime": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
            "action": "Grant", "reason": "Granted", "type": "Normal",
            "note": "shared the image with so many accounts: data on it is theirs now",
            "reportingController": "imageshare.dev/operator", "reportingInstance": "bench",
            "regarding": {"apiVersion": "imageshare.dev/v1alpha1", "kind": "CloudImage", "namespace": namespace,
                "name": image},
        });
        let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        self.send("POST", &path, "application/json", &body).await
    }

    async fn send(&self, method: &str, path: &str, content_type: &str, body: &Value) -> Result<()> {
        let request = http::Request::builder().method(method).uri(path).header("content-type", content_type);
        let sent = self.0.request_text(request.body(serde_json::to_vec(body)?)?).await;
        sent.with_context(|| format!("{method} {path}")).map(drop)
    }
}

fn path_of(kind: &str, namespace: &str, name: &str) -> String {
    format!("{GROUP}/namespaces/{namespace}/{}s/{name}", kind.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_in_hexadecimal_digits() {
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
