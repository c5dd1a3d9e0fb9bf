//! A forward proxy with Basic authentication, as companies run one: it opens tunnels (CONNECT), and passes plain requests on.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// The proxy's user and password, as a URL holds them. The password is a canary.
pub const ADMITTED: &str = "golden:CanaryOfTheProxy%401";

/// The same, as a request carries them.
const HEADER: &str = "Basic Z29sZGVuOkNhbmFyeU9mVGhlUHJveHlAMQ==";

/// What no message may show.
pub const PASSWORD: &str = "CanaryOfTheProxy@1";

type Route = dyn Fn(&str) -> SocketAddr + Send + Sync;

pub struct ForwardProxy {
    pub address: SocketAddr,
    /// Method and target of each request that was let through.
    passed: Arc<Mutex<Vec<String>>>,
    refused: Arc<Mutex<usize>>,
}

impl ForwardProxy {
    /// Opens one. `cloud`: where tunnels to port 443 of a host lead; all others lead where they ask.
    pub async fn open(cloud: impl Fn(&str) -> SocketAddr + Send + Sync + 'static) -> Result<Self> {
        let cloud: Arc<Route> = Arc::new(cloud);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let proxy = Self { address: listener.local_addr()?, passed: Arc::default(), refused: Arc::default() };
        let (passed, refused) = (Arc::clone(&proxy.passed), Arc::clone(&proxy.refused));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (passed, refused, cloud) = (Arc::clone(&passed), Arc::clone(&refused), Arc::clone(&cloud));
                // Whose connection breaks learns it there.
                tokio::spawn(async move { drop(serve(stream, &*cloud, &passed, &refused).await) });
            }
        });
        Ok(proxy)
    }

    /// Its URL with these credentials.
    pub fn url(&self, credentials: &str) -> String {
        format!("http://{credentials}@{}", self.address)
    }

    /// The requests that were let through, as `CONNECT host:port` or `GET http://host:port/path`.
    pub fn passed(&self) -> Vec<String> {
        self.passed.lock().unwrap().clone()
    }

    /// The same, to one host.
    pub fn passed_to(&self, host: &str) -> usize {
        self.passed().iter().filter(|request| request.contains(host)).count()
    }

    /// How many requests had no credentials, or wrong ones.
    pub fn refused(&self) -> usize {
        *self.refused.lock().unwrap()
    }
}

async fn serve(
    mut client: TcpStream,
    cloud: &Route,
    passed: &Mutex<Vec<String>>,
    refused: &Mutex<usize>,
) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 64 * 1024 {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    let (line, headers) = head.split_once("\r\n").unwrap_or_default();
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let admitted = headers.lines().any(|header| {
        let (name, value) = header.split_once(": ").unwrap_or_default();
        name.eq_ignore_ascii_case("proxy-authorization") && value == HEADER
    });
    if !admitted {
        *refused.lock().unwrap() += 1;
        client.write_all(b"HTTP/1.1 407 Who are you\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n").await?;
        return Ok(());
    }
    passed.lock().unwrap().push(format!("{method} {target}"));
    if method == "CONNECT" {
        let mut server = match target.strip_suffix(":443") {
            Some(host) => TcpStream::connect(cloud(host)).await?,
            None => TcpStream::connect(target).await?,
        };
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    // One request for each connection: what follows would have to be told apart from this one's body.
    let (host, path) = target.trim_start_matches("http://").split_once('/').unwrap_or_default();
    let mut server = TcpStream::connect(host).await?;
    let kept = headers.lines().filter(|header| !header.to_lowercase().starts_with("proxy-") && !header.is_empty());
    let kept: String = kept.flat_map(|header| [header, "\r\n"]).collect();
    server.write_all(format!("{method} /{path} HTTP/1.1\r\nconnection: close\r\n{kept}\r\n").as_bytes()).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
