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

/// The fault of a call that a deadline ended after it was sent.
pub(super) fn too_late(host: &str) -> Fault {
    Fault::Unreachable(Unreachable { host: host.to_owned(), cause: Cause::Timeout, sent: true })
}

/// The fault of a call without a complete answer. Only a request that certainly never left this machine counts as not sent.
pub(super) fn fault_of(error: &reqwest::Error, host: &str) -> Fault {
    let sent = !error.is_connect() && !error.is_builder();
    // The client does not export the type of a proxy's refusal, which it wraps around other causes.
    let by_proxy = chain(error).any(|error| error.to_string().starts_with("tunnel error"));
    let cause = match chain(error).find_map(cause_of) {
        _ if by_proxy => Cause::Proxy,
        _ if error.is_dns() => Cause::NameLookup,
        Some(cause) => cause,
        None if error.is_timeout() => Cause::Timeout,
        None => Cause::Closed,
    };
    Fault::Unreachable(Unreachable { host: host.to_owned(), cause, sent })
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
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => Cause::UnknownAuthority,
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
            (certificate(CertificateError::Expired), Cause::CertificateExpired),
            (certificate(CertificateError::NotValidForName), Cause::Tls),
        ] {
            let wrapped = io::Error::other(io::Error::other(error));
            assert_eq!(chain(&wrapped).find_map(cause_of), Some(cause));
        }
        assert_eq!(chain(&io::Error::other("text")).find_map(cause_of), None);
    }
}
