//! TLS for any host name, with a certificate authority of the simulator's own: the port that stands in for the vendors'
//! hosts. A client comes to it directly (its name service says so) or through `CONNECT`, as to a proxy; the name it asks for
//! decides which cloud answers.

use super::connection::Handed;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

/// The host of a client that names none.
const NAMELESS: &str = "localhost";
/// Most certificates kept; past that they are made anew.
const MAX_CERTIFICATES: usize = 1_000;
/// Longest head of a `CONNECT`, in bytes.
const MAX_HEAD: usize = 8 * 1024;
/// How long a client has for its `CONNECT` and its handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// An authority that certifies whatever name is asked for.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    provider: Arc<CryptoProvider>,
    made: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Authority").finish_non_exhaustive()
    }
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl Authority {
    /// A new authority with a key of its own.
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "cloud-simulator");
        let key = KeyPair::generate().map_err(invalid)?;
        let pem = params.self_signed(&key).map_err(invalid)?.pem();
        let provider = Arc::new(aws_lc_rs::default_provider());
        Ok(Arc::new(Self { issuer: Issuer::new(params, key), pem, provider, made: Mutex::default() }))
    }

    /// Its certificate, which clients have to trust.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    fn acceptor(self: &Arc<Self>) -> io::Result<TlsAcceptor> {
        let config = ServerConfig::builder_with_provider(self.provider.clone());
        let config = config.with_safe_default_protocol_versions().map_err(invalid)?;
        let config = config.with_no_client_auth().with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn certify(&self, host: &str) -> Result<CertifiedKey, Box<dyn std::error::Error>> {
        let names = [host, NAMELESS, "127.0.0.1"].map(str::to_owned);
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "cloud-simulator host");
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = self.provider.key_provider.load_private_key(key)?;
        Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
    }
}

impl ResolvesServerCert for Authority {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name().unwrap_or(NAMELESS);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = made.get(host) {
            return Some(key.clone());
        }
        let key = Arc::new(self.certify(host).ok()?);
        if made.len() >= MAX_CERTIFICATES {
            made.clear();
        }
        made.insert(host.to_owned(), key.clone());
        Some(key)
    }
}

/// A cloud: whether a host is one of its own, and where its connections go.
pub(crate) type Stand = (fn(&str) -> bool, mpsc::Sender<Handed>);

/// Stands in for the clouds' hosts; a host of none of them is turned away.
///
/// # Errors
/// When the authority cannot serve.
pub(crate) async fn serve(listener: TcpListener, authority: Arc<Authority>, clouds: Vec<Stand>) -> io::Result<()> {
    let acceptor = authority.acceptor()?;
    loop {
        let Ok((stream, address)) = listener.accept().await else {
            // Out of file descriptors, say; the connections there are may end meanwhile.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (acceptor, clouds) = (acceptor.clone(), clouds.clone());
        tokio::spawn(async move {
            // A client that fails at its handshake learns it there; nobody else needs to.
            drop(tokio::time::timeout(PATIENCE, take_in(stream, address, &acceptor, &clouds)).await);
        });
    }
}

async fn take_in(
    mut stream: TcpStream,
    address: SocketAddr,
    acceptor: &TlsAcceptor,
    clouds: &[Stand],
) -> io::Result<()> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    if first == *b"C" {
        read_connect(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    }
    let stream = acceptor.accept(stream).await?;
    let host = stream.get_ref().1.server_name().unwrap_or(NAMELESS).to_owned();
    if let Some((_, cloud)) = clouds.iter().find(|(is_its, _)| is_its(&host)) {
        // No receiver: the simulator ends.
        drop(cloud.send((Box::new(stream), address)).await);
    }
    Ok(())
}

/// Reads a `CONNECT` to the end of its head, byte by byte so that the handshake behind it stays unread. Its target is not
/// needed: the handshake names the host.
async fn read_connect(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
        if head.len() > MAX_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    if head.starts_with(b"CONNECT ") { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_head_makes_the_proxy_panic_and_only_a_connect_is_taken(rest in any::<Vec<u8>>(), connect: bool) {
            let head: &[u8] = if connect { b"CONNECT cloud:443 HTTP/1.1\r\n\r\n" } else { b"\0" };
            let bytes = [head, &rest].concat();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let read = runtime.block_on(read_connect(&mut bytes.as_slice()));
            prop_assert_eq!(read.is_ok(), connect);
        }
    }
}
