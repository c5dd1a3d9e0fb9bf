//! Why a call got no complete answer: parses the error chain of the HTTP client into a `Cause`.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::iter::successors;
use std::time::Duration;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::CertificateError;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::super::Fault;
use crate::domain::fault::{Cause, Unreachable};

/// The host of a URL, with its port if the URL names one.
pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Who receives a request, as messages name it.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// The host, and the proxy on the way.
    name: String,
    proxied: bool,
    https: bool,
}

impl Peer {
    pub(super) fn new(url: &Url, proxy: Option<String>) -> Self {
        let (host, https, proxied) = (host_of(url), url.scheme() == "https", proxy.is_some());
        let name = proxy.map_or_else(|| host.clone(), |proxy| format!("{host} through the proxy {proxy}"));
        Self { name, proxied, https }
    }

    fn fault(&self, cause: Cause, sent: bool) -> Fault {
        Fault::Unreachable(Unreachable { host: self.name.clone(), cause, sent })
    }

    /// Fails if this is the status with which a proxy refuses its credentials (RFC 9110, 15.5.8): no cloud uses it.
    pub(super) fn check_proxy(&self, status: u16) -> Result<(), Fault> {
        if self.proxied && status == 407 { Err(self.fault(Cause::ProxyCredentials, false)) } else { Ok(()) }
    }

    /// The cause, if it is the proxy. The client does not export the type of a proxy's refusal, which it wraps around other causes.
    fn cause_at_proxy(&self, error: &reqwest::Error) -> Option<Cause> {
        let tunnel = chain(error).map(ToString::to_string).find(|error| error.starts_with("tunnel error"));
        match tunnel {
            Some(error) if error.contains("authorization required") => Some(Cause::ProxyCredentials),
            Some(error) if error.contains("create underlying connection") => Some(Cause::ProxyUnreachable),
            Some(_) => Some(Cause::Proxy),
            // The proxy resolves the names of clouds; and plain HTTP connects to the proxy alone.
            None if self.proxied && (error.is_dns() || error.is_connect() && !self.https) => {
                Some(Cause::ProxyUnreachable)
            }
            None => None,
        }
    }
}

/// The fault of a call that a deadline ended after it was sent.
pub(super) fn too_late(peer: &Peer) -> Fault {
    peer.fault(Cause::Timeout, true)
}

/// The fault of a call without a complete answer. Only a request that certainly never left this machine counts as not sent.
pub(super) fn fault_of(error: &reqwest::Error, peer: &Peer) -> Fault {
    let sent = !error.is_connect() && !error.is_builder();
    let cause = match (peer.cause_at_proxy(error), chain(error).find_map(cause_of)) {
        (Some(cause), _) => cause,
        _ if error.is_dns() => Cause::NameLookup,
        (None, Some(cause)) => cause,
        (None, None) if error.is_timeout() => Cause::Timeout,
        (None, None) => Cause::Closed,
    };
    peer.fault(cause, sent)
}

/// An error and all its sources. The source of an `io::Error` skips the error that it wraps.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    })
}

fn cause_of(error: &(dyn Error + 'static)) -> Option<Cause> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(match error {
            // The second: an authority of that name is known with another key, as after it was made anew.
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
                Cause::UnknownAuthority
            }
            rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                Cause::CertificateExpired
            }
            _ => Cause::Tls,
        });
    }
    match error.downcast_ref::<io::Error>()?.kind() {
        ErrorKind::ConnectionRefused => Some(Cause::Refused),
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => Some(Cause::NoRoute),
        ErrorKind::TimedOut => Some(Cause::Timeout),
        _ => None,
    }
}

/// Looks names up as the system does, within a deadline of its own: else a silent name server would end in the deadline of the
/// connection and could not be told from a silent cloud.
pub(super) struct NameLookup(pub(super) Duration);

impl Resolve for NameLookup {
    fn resolve(&self, name: Name) -> Resolving {
        let deadline = self.0;
        Box::pin(async move {
            let found: Vec<_> = timeout(deadline, lookup_host((name.as_str(), 0))).await??.collect();
            Ok::<_, Box<dyn Error + Send + Sync>>(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_found_however_deep_they_are_wrapped() {
        let certificate = |error| io::Error::new(ErrorKind::InvalidData, rustls::Error::InvalidCertificate(error));
        for (error, cause) in [
            (ErrorKind::ConnectionRefused.into(), Cause::Refused),
            (ErrorKind::HostUnreachable.into(), Cause::NoRoute),
            (ErrorKind::TimedOut.into(), Cause::Timeout),
            (certificate(CertificateError::UnknownIssuer), Cause::UnknownAuthority),
            (certificate(CertificateError::BadSignature), Cause::UnknownAuthority),
            (certificate(CertificateError::Expired), Cause::CertificateExpired),
            (certificate(CertificateError::NotValidForName), Cause::Tls),
        ] {
            let wrapped = io::Error::other(io::Error::other(error));
            assert_eq!(chain(&wrapped).find_map(cause_of), Some(cause));
        }
        assert_eq!(chain(&io::Error::other("text")).find_map(cause_of), None);
    }
}
