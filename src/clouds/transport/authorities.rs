//! Authorities that one account trusts in addition to the public ones: the certificates of a private cloud, or of a proxy that
//! inspects TLS.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Most certificates in one bundle: each is kept in memory, and tried for each connection.
const CERTIFICATES_MAX: usize = 100;

/// Certificates of authorities, each of which can be trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Authorities(Vec<CertificateDer<'static>>);

/// Why a text is no bundle of authorities. The message never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAuthorities {
    /// It has no certificate.
    #[error(
        "there is no certificate in it: give one or more as PEM, each from -----BEGIN CERTIFICATE----- to its END line"
    )]
    Empty,
    /// It holds a private key, which everybody who can read the object could read.
    #[error("there is a private key in it: take it out, keep only certificates, and renew that key")]
    PrivateKey,
    /// A certificate cannot be decoded.
    #[error("certificate {0} in it cannot be read: copy it again, with every line")]
    Unreadable(usize),
    /// There are more than `CERTIFICATES_MAX`.
    #[error("there are more than {CERTIFICATES_MAX} certificates in it: give only those of your own authorities")]
    TooMany,
}

impl Authorities {
    /// Parses a bundle of certificates in PEM; what stands around them does not matter.
    pub fn parse(pem: &str) -> Result<Self, NoAuthorities> {
        if pem.contains("PRIVATE KEY-----") {
            return Err(NoAuthorities::PrivateKey);
        }
        let mut found = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let number = found.len() + 1;
            let certificate = certificate.map_err(|_| NoAuthorities::Unreadable(number))?;
            // The clients of the process refuse all authorities if they cannot use one.
            RootCertStore::empty().add(certificate.clone()).map_err(|_| NoAuthorities::Unreadable(number))?;
            if number > CERTIFICATES_MAX {
                return Err(NoAuthorities::TooMany);
            }
            found.push(certificate);
        }
        if found.is_empty() { Err(NoAuthorities::Empty) } else { Ok(Self(found)) }
    }

    /// These and the others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The certificates as the HTTP client takes them.
    pub(super) fn certificates(&self) -> reqwest::Result<Vec<reqwest::Certificate>> {
        self.0.iter().map(|certificate| reqwest::Certificate::from_der(certificate)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// ISRG Root X2, as its authority publishes it.
    const ROOT: &str = "-----BEGIN CERTIFICATE-----
MIICGzCCAaGgAwIBAgIQQdKd0XLq7qeAwSxs6S+HUjAKBggqhkjOPQQDAzBPMQsw
CQYDVQQGEwJVUzEpMCcGA1UEChMgSW50ZXJuZXQgU2VjdXJpdHkgUmVzZWFyY2gg
R3JvdXAxFTATBgNVBAMTDElTUkcgUm9vdCBYMjAeFw0yMDA5MDQwMDAwMDBaFw00
MDA5MTcxNjAwMDBaME8xCzAJBgNVBAYTAlVTMSkwJwYDVQQKEyBJbnRlcm5ldCBT
ZWN1cml0eSBSZXNlYXJjaCBHcm91cDEVMBMGA1UEAxMMSVNSRyBSb290IFgyMHYw
EAYHKoZIzj0CAQYFK4EEACIDYgAEzZvVn4CDCuwJSvMWSj5cz3es3mcFDR0HttwW
+1qLFNvicWDEukWVEYmO6gbf9yoWHKS5xcUy4APgHoIYOIvXRdgKam7mAHf7AlF9
ItgKbppbd9/w+kHsOdx1ymgHDB/qo0IwQDAOBgNVHQ8BAf8EBAMCAQYwDwYDVR0T
AQH/BAUwAwEB/zAdBgNVHQ4EFgQUfEKWrt5LSDv6kviejM9ti6lyN5UwCgYIKoZI
zj0EAwMDaAAwZQIwe3lORlCEwkSHRhtFcP9Ymd70/aTSVaYgLXTWNLxBo1BfASdW
tL4ndQavEi51mI38AjEAi/V3bNTIZargCyzuFJ0nN6T5U6VR5CmD1/iQMVtCnwr1
/q4AaOeMSQ+2b1tbFfLn
-----END CERTIFICATE-----
";

    #[test]
    fn every_certificate_of_a_bundle_is_found_whatever_stands_around_it() {
        let bundle = format!("# our authorities\r\n{ROOT}\nand once more\n{}", ROOT.replace('\n', "\r\n"));
        let found = Authorities::parse(&bundle).unwrap();
        assert_eq!(found.certificates().unwrap().len(), 2);
        assert_eq!(found.and(Authorities::parse(ROOT).unwrap()).0.len(), 3);
    }

    #[test]
    fn a_text_that_is_no_bundle_is_refused_with_what_is_wrong() {
        let (head, tail) = ("-----BEGIN CERTIFICATE-----\n", "\n-----END CERTIFICATE-----\n");
        for (text, why) in [
            (String::new(), NoAuthorities::Empty),
            ("MIICGzCCAaGgAwIBAgIQQdKd0XLq7qeAwSxs6S".to_owned(), NoAuthorities::Empty),
            (format!("{ROOT}{head}AAAA{tail}"), NoAuthorities::Unreadable(2)),
            (format!("{head}%%%%{tail}"), NoAuthorities::Unreadable(1)),
            (format!("{head}{tail}"), NoAuthorities::Unreadable(1)),
            (ROOT.replace("ItgKbppbd9", "ItgKbppbd"), NoAuthorities::Unreadable(1)),
            (format!("{ROOT}-----BEGIN EC PRIVATE KEY-----\ns3cr3t\n"), NoAuthorities::PrivateKey),
            (ROOT.repeat(CERTIFICATES_MAX + 1), NoAuthorities::TooMany),
        ] {
            let refused = Authorities::parse(&text).unwrap_err();
            assert_eq!(refused, why, "{text}");
            assert!(!refused.to_string().contains("s3cr3t"));
        }
        assert!(Authorities::parse(&ROOT.repeat(CERTIFICATES_MAX)).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic_and_what_it_takes_the_client_takes(
            before in ".{0,80}", at in 0..700_usize, byte in 0_u8..128, times in 1_usize..3,
        ) {
            let mut bundle = ROOT.repeat(times).into_bytes();
            let at = at % bundle.len();
            bundle[at] = byte;
            let text = before + &String::from_utf8(bundle).unwrap();
            if let Ok(found) = Authorities::parse(&text) {
                prop_assert!((1..=CERTIFICATES_MAX).contains(&found.certificates().unwrap().len()));
            }
        }
    }
}
