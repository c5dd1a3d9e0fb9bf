//! The only HTTP client: deadlines, no redirects, bounded answers, and faults without addresses. Independent of vendors;
//! other modules interpret the answers. `streaming` streams bodies that are too large for memory; `causes` tells why there was
//! no answer; `proxies` chooses the proxy on the way;
//! `tailored` holds the clients of accounts with own authorities or timeouts.

mod authorities;
mod causes;
mod proxies;
mod streaming;
mod tailored;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, Method, Response, Url, redirect, retry};

use super::fence::Fence;
use super::{Fault, request_id};
pub use authorities::{Authorities, NoAuthorities};
use causes::{NameLookup, Peer, fault_of, host_of};
pub use proxies::{Proxies, ProxyInvalid};
pub use streaming::{Opened, Pieces};
use tailored::Tailored;
pub use tailored::Tailoring;

/// Largest answer read from a cloud, in bytes. A full page of 100 images stays far below it.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Timeouts of calls to clouds.
#[derive(Debug, Clone)]
pub struct TransportSettings {
    /// Longest time to open a connection, name resolution and TLS included.
    pub connect_timeout: Duration,
    /// Longest time for one call, up to the last byte of the answer.
    pub deadline: Duration,
    /// Longest time without progress of a streamed body; the whole body has no deadline. Stores that receive an image in
    /// parts read nothing while they write one part.
    pub idle: Duration,
    /// Longest time from the last piece of a streamed body to the answer: the cloud may have to store the image first.
    pub stored_within: Duration,
    /// The proxies on the way to clouds.
    pub proxies: Proxies,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            deadline: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            stored_within: Duration::from_secs(600),
            proxies: Proxies::default(),
        }
    }
}

/// The HTTP client could not be built: TLS has no root certificates or no cryptography.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be built: {0}")]
pub struct TransportUnusable(reqwest::Error);

/// One request, ready to be sent.
#[derive(Debug)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// The URL, query included.
    pub url: Url,
    /// Headers; secret ones are marked sensitive, which keeps them out of `Debug`.
    pub headers: HeaderMap,
    /// The body, possibly empty.
    pub body: Vec<u8>,
}

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// All headers of the answer.
    pub headers: HeaderMap,
    /// The body, at most `ANSWER_BYTES_MAX` long.
    pub body: Vec<u8>,
}

/// The process's HTTP clients: one pool of connections for all accounts, but for those with authorities or timeouts of their own.
#[derive(Debug, Clone)]
pub struct Transport {
    clients: Arc<Clients>,
    settings: Arc<TransportSettings>,
    tailored: Arc<Tailored>,
    fence: Fence,
}

#[derive(Debug)]
struct Clients {
    whole: Client,
    /// Has no deadline for the whole call.
    streaming: Client,
    /// Of each call with `whole`.
    deadline: Duration,
}

impl Clients {
    fn new(settings: &TransportSettings, tailoring: &Tailoring) -> reqwest::Result<Self> {
        let (connect, deadline) = tailoring.timeouts(settings);
        let client = || {
            let authorities = tailoring.authorities.certificates()?;
            reqwest::Result::Ok(builder(settings, connect)?.tls_certs_merge(authorities))
        };
        let whole = client()?.pool_idle_timeout(Duration::from_secs(30)).build()?;
        // Do not reuse connections of images: a transfer may have ended in the middle of one.
        let streaming = client()?.pool_max_idle_per_host(0).build()?;
        Ok(Self { whole, streaming, deadline })
    }
}

impl Request {
    /// The host that receives it, with its port if the URL names one.
    pub fn host(&self) -> String {
        host_of(&self.url)
    }
}

impl Transport {
    /// Builds the clients, once for the process.
    pub fn new(settings: TransportSettings) -> Result<Self, TransportUnusable> {
        let clients = Clients::new(&settings, &Tailoring::default()).map_err(unusable)?;
        let (clients, settings) = (Arc::new(clients), Arc::new(settings));
        Ok(Self { clients, settings, tailored: Arc::default(), fence: Fence::always_open() })
    }

    /// Returns the transport of an account with authorities or timeouts of its own. Accounts with the same ones share its
    /// connections.
    pub fn tailored(&self, tailoring: &Tailoring) -> Result<Self, TransportUnusable> {
        if tailoring.is_none() {
            return Ok(self.clone());
        }
        let new = || Clients::new(&self.settings, tailoring).map_err(unusable);
        Ok(Self { clients: self.tailored.clients(tailoring, new)?, ..self.clone() })
    }

    /// Returns the transport with a leader fence; it sends nothing while the fence is closed.
    #[must_use]
    pub fn with_fence(self, fence: Fence) -> Self {
        Self { fence, ..self }
    }

    /// Callers check as late as possible: right before a request goes out.
    fn check_fence(&self) -> Result<(), Fault> {
        if self.fence.is_open() { Ok(()) } else { Err(Fault::NotLeading) }
    }

    /// Sends one request within the deadline of the process, and reads the whole answer, whatever its status.
    ///
    /// Errors: `Unreachable` if no complete answer arrived (with `sent` unless the request certainly never left),
    /// `Unintelligible` if the answer is larger than `ANSWER_BYTES_MAX`.
    pub async fn send(&self, request: Request) -> Result<Answer, Fault> {
        self.send_for(request, true).await
    }

    /// The same; a request that changes nothing has the account's own deadline. Calls that may change something have none: the
    /// successor of a leader that vanished waits for their end, and knows how long that takes.
    pub(super) async fn send_for(&self, request: Request, changes: bool) -> Result<Answer, Fault> {
        let peer = self.peer(&request);
        let Request { method, url, mut headers, body } = request;
        // The client omits it for an empty body, and some servers refuse a POST without it (411).
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let own = self.clients.deadline;
        let deadline = if changes { own.min(self.settings.deadline) } else { own };
        let sending = self.clients.whole.request(method, url).headers(headers).body(body).timeout(deadline).send();
        planted!("gate-ignored", self.check_fence()?, ());
        read_whole(sending.await.map_err(|error| fault_of(&error, &peer))?, &peer).await
    }

    fn peer(&self, request: &Request) -> Peer {
        Peer::new(&request.url, self.settings.proxies.host_for(request.url.as_str()))
    }
}

fn unusable(error: reqwest::Error) -> TransportUnusable {
    TransportUnusable(error.without_url())
}

/// Settings of both HTTP clients.
fn builder(settings: &TransportSettings, connect_timeout: Duration) -> reqwest::Result<ClientBuilder> {
    let builder = Client::builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        // A redirect would send a signed request to a host that is not allowed.
        .redirect(planted!("redirect-followed", redirect::Policy::none(), redirect::Policy::limited(2)))
        // A retry here would repeat the nonce. The callers decide on retries: they know the effect of the call.
        .retry(retry::never())
        .referer(false)
        .dns_resolver(Arc::new(NameLookup(connect_timeout * 4 / 5)))
        .connect_timeout(connect_timeout);
    settings.proxies.configure(builder)
}

/// Reads the answer's body, bounded.
async fn read_whole(mut response: Response, peer: &Peer) -> Result<Answer, Fault> {
    let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
    peer.check_proxy(status)?;
    request_id::note(&headers);
    if response.content_length().is_some_and(|length| length > ANSWER_BYTES_MAX as u64) {
        return Err(Fault::Unintelligible);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| fault_of(&error, peer))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Fault::Unintelligible);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body })
}

/// Marks a header value as secret; `None` if it is not a valid header value.
pub fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::domain::fault::{Cause, Unreachable};

    fn transport(deadline: Duration) -> Transport {
        Transport::new(TransportSettings { deadline, ..TransportSettings::default() }).unwrap()
    }

    fn request(address: &str) -> Request {
        Request {
            method: Method::POST,
            url: Url::parse(&format!("http://{address}/?Secret=s3cr3t")).unwrap(),
            headers: HeaderMap::from_iter([(reqwest::header::AUTHORIZATION, sensitive("s3cr3t-signature").unwrap())]),
            body: Vec::new(),
        }
    }

    /// A server that reads one request and answers these bytes; then it closes the connection if `closes`, else it hangs.
    async fn server(answer: Vec<u8>, closes: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut seen = [0_u8; 4096];
                let _read = stream.read(&mut seen).await;
                let _written = stream.write_all(&answer).await;
                if !closes {
                    held.push(stream);
                }
            }
        });
        address
    }

    fn plain(body: &[u8]) -> Vec<u8> {
        let mut bytes = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }

    #[tokio::test]
    async fn answer_arrives_whole_with_status_and_headers() {
        let address = server(b"HTTP/1.1 418 x\r\nx-thing: 7\r\ncontent-length: 2\r\n\r\nhi".to_vec(), false).await;
        let answer = transport(Duration::from_secs(10)).send(request(&address)).await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (418, b"hi".as_slice()));
        assert_eq!(answer.headers.get("x-thing").unwrap(), "7");
    }

    fn unreachable(host: &str, cause: Cause, sent: bool) -> Fault {
        Fault::Unreachable(Unreachable { host: host.to_owned(), cause, sent })
    }

    #[tokio::test]
    async fn refused_connection_names_the_host_and_was_never_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let fault = transport(Duration::from_secs(10)).send(request(&address)).await.unwrap_err();
        assert_eq!(fault, unreachable(&address, Cause::Refused, false));
        assert_eq!(fault.to_string(), format!("the operator cannot reach {address}: it refuses the connection"));
    }

    /// Also where the name server is silent instead of knowing no such name.
    #[tokio::test]
    async fn unknown_name_is_told_from_a_silent_cloud_and_was_never_sent() {
        let fault = transport(Duration::from_secs(10)).send(request("no-such-host.invalid")).await.unwrap_err();
        assert_eq!(fault, unreachable("no-such-host.invalid", Cause::NameLookup, false));
    }

    #[tokio::test]
    async fn server_that_speaks_no_tls_and_one_that_closes_are_told_apart() {
        let send = async |address: &str| {
            let url = Url::parse(&format!("https://{address}/")).unwrap();
            transport(Duration::from_secs(10)).send(Request { url, ..request(address) }).await.unwrap_err()
        };
        let address = server(b"HTTP/1.1 400 No\r\n\r\n".to_vec(), true).await;
        assert_eq!(send(&address).await, unreachable(&address, Cause::Tls, false));
        let address = server(Vec::new(), true).await;
        assert_eq!(send(&address).await, unreachable(&address, Cause::Closed, false));
    }

    #[tokio::test]
    async fn failures_of_the_proxy_are_told_from_those_of_the_cloud() {
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
        let says = async |status: &str| server(format!("HTTP/1.1 {status} No\r\n\r\n").into_bytes(), false).await;
        let (refuses, unpaid) = (says("403").await, says("407").await);
        for (proxy, address, cause) in [
            (&refuses, "https://cloud.example/", Cause::Proxy),
            (&unpaid, "https://cloud.example/", Cause::ProxyCredentials),
            (&unpaid, "http://cloud.example/", Cause::ProxyCredentials),
            (&nobody, "https://cloud.example/", Cause::ProxyUnreachable),
            (&nobody, "http://cloud.example/", Cause::ProxyUnreachable),
            (&"no-such-host.invalid:3128".to_owned(), "https://cloud.example/", Cause::ProxyUnreachable),
        ] {
            let value = format!("http://golden:s3cr3t@{proxy}");
            let proxies = Proxies::of(|name| (name == "ALL_PROXY").then(|| value.clone())).unwrap();
            let transport = Transport::new(TransportSettings { proxies, ..TransportSettings::default() }).unwrap();
            let url = Url::parse(address).unwrap();
            let fault = transport.send(Request { url, ..request("cloud.example") }).await.unwrap_err();
            let way = format!("cloud.example through the proxy {proxy}");
            assert_eq!(fault, unreachable(&way, cause, false), "{address}");
            assert!(!format!("{fault} {fault:?} {transport:?}").contains("s3cr3t"));
        }
    }

    #[tokio::test]
    async fn slow_answer_times_out_as_sent() {
        let address = server(Vec::new(), false).await;
        let fault = transport(Duration::from_millis(200)).send(request(&address)).await.unwrap_err();
        assert_eq!(fault, unreachable(&address, Cause::Timeout, true));
    }

    #[tokio::test]
    async fn slow_body_times_out_as_sent() {
        let address = server(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf".to_vec(), false).await;
        let fault = transport(Duration::from_millis(200)).send(request(&address)).await.unwrap_err();
        assert_eq!(fault, unreachable(&address, Cause::Timeout, true));
    }

    #[tokio::test]
    async fn connection_closed_after_the_request_counts_as_sent() {
        for answer in [b"".as_slice(), b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf", b"no http at all\r\n\r\n"]
        {
            let address = server(answer.to_vec(), true).await;
            let fault = transport(Duration::from_secs(10)).send(request(&address)).await.unwrap_err();
            assert_eq!(fault, unreachable(&address, Cause::Closed, true));
        }
    }

    #[tokio::test]
    async fn answer_up_to_the_limit_is_read_and_one_byte_more_is_not() {
        let address = server(plain(&vec![b'x'; ANSWER_BYTES_MAX]), false).await;
        let answer = transport(Duration::from_secs(10)).send(request(&address)).await.unwrap();
        assert_eq!(answer.body.len(), ANSWER_BYTES_MAX);

        let address = server(plain(&vec![b'x'; ANSWER_BYTES_MAX + 1]), false).await;
        let fault = transport(Duration::from_secs(10)).send(request(&address)).await.unwrap_err();
        assert_eq!(fault, Fault::Unintelligible);
    }

    #[tokio::test]
    async fn endless_answer_without_a_length_is_cut_off() {
        let mut bytes = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        bytes.resize(bytes.len() + ANSWER_BYTES_MAX + 1, b'x');
        let address = server(bytes, false).await;
        let fault = transport(Duration::from_secs(10)).send(request(&address)).await.unwrap_err();
        assert_eq!(fault, Fault::Unintelligible);
    }

    #[tokio::test]
    async fn redirects_are_answers_and_not_followed() {
        let target = server(plain(b"followed"), false).await;
        let redirect = format!("HTTP/1.1 307 x\r\nlocation: http://{target}/\r\ncontent-length: 0\r\n\r\n");
        let address = server(redirect.into_bytes(), false).await;
        let answer = transport(Duration::from_secs(10)).send(request(&address)).await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (307, 0));
    }

    #[test]
    fn sensitive_headers_stay_out_of_debug() {
        let shown = format!("{:?}", request("127.0.0.1:1").headers);
        assert!(!shown.contains("s3cr3t"), "{shown}");
        assert!(sensitive("a\nb").is_none());
    }
}
