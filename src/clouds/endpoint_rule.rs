//! Restricts the hosts that receive signed requests. A `CloudAccount` may name an endpoint, but only the operator's flags
//! and the exact hosts of the vendor's APIs allow it. Otherwise an object in a namespace could point the operator's requests at any
//! host that the operator can reach.
//!
//! The parser is strict: it refuses, and does not normalise, spellings that different parsers read differently.

mod template;
mod vendor_hosts;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use reqwest::Url;

use crate::domain::provider::Provider;
use template::RegionalOrigin;
pub use template::ServiceEndpoint;
use vendor_hosts::is_vendor_host;

/// Longest endpoint accepted, in bytes.
const ENDPOINT_BYTES_MAX: usize = 300;

/// Longest path of a service below its endpoint, in bytes.
const PATH_BYTES_MAX: usize = 200;

/// Why the rule refuses an endpoint. The message never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointRefused {
    /// Not a valid endpoint.
    #[error(
        "an endpoint is https://host[:port] or, where the operator's flags say so, http://host:port; without user, \
         path, query or fragment"
    )]
    Malformed,
    /// Well-formed, but the operator's flags do not name it.
    #[error("this endpoint is not allowed: leave it out, or start the operator with --allowed-endpoint for it")]
    NotAllowed,
}

/// Scheme, host and port, in their only accepted spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Origin {
    https: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// Parses `https://host[:port]` or `http://host[:port]`, a single trailing slash allowed.
    fn parse(text: &str) -> Option<Self> {
        if text.len() > ENDPOINT_BYTES_MAX || !text.is_ascii() {
            return None;
        }
        let text = text.to_ascii_lowercase();
        let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return None,
        };
        Self::of_authority(https, rest.strip_suffix('/').unwrap_or(rest))
    }

    fn of_authority(https: bool, authority: &str) -> Option<Self> {
        let after_bracket = authority.find(']').map_or(0, |at| at + 1);
        let (name, after) = authority.split_at_checked(after_bracket)?;
        let (host, port) = match after.split_once(':') {
            Some((host, port)) => (format!("{name}{host}"), parse_port(port)?),
            None => (authority.to_owned(), if https { 443 } else { 80 }),
        };
        let origin = is_host(&host).then_some(Self { https, host, port })?;
        // The client uses the URL of another parser, which must read the same parts.
        let url = origin.url()?;
        let same = url.host_str() == Some(origin.host.as_str()) && url.port_or_known_default() == Some(origin.port);
        same.then_some(origin)
    }

    fn url(&self) -> Option<Url> {
        Url::parse(&format!("{self}/")).ok()
    }

    fn is_of(&self, provider: Provider) -> bool {
        self.https && self.port == 443 && is_vendor_host(provider, &self.host)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", if self.https { "https" } else { "http" }, self.host, self.port)
    }
}

/// Decimal, 1 to 65535, no leading zero.
fn parse_port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}

/// A DNS name without a trailing dot, a dotted IPv4 address or a bracketed IPv6 address, each in its one usual spelling.
fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|text| text.parse::<Ipv6Addr>().ok());
        return address.is_some_and(|address| format!("[{address}]") == host);
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // Some parsers read a last label that starts with a digit as an address: then the host must be a plain address.
    let numeric = host.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    host.len() <= 253 && host.split('.').all(is_label) && (!numeric || host.parse::<Ipv4Addr>().is_ok())
}

/// An endpoint that passed the rule. Clients accept no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedEndpoint(Url);

impl CheckedEndpoint {
    /// The endpoint's URL, without a query. Its path is `/`, except for services below a path.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

/// Scheme, host and port of an address, for messages and flags; `None` if it has none in a plain spelling.
pub fn origin_of(address: &str) -> Option<String> {
    let begins = address.find("://")? + 3;
    let ends = address.get(begins..)?.find('/').map_or(address.len(), |at| begins + at);
    Origin::parse(address.get(..ends)?).map(|origin| origin.to_string())
}

/// The endpoints that the operator's flags allow besides the vendor's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedEndpoints {
    origins: Vec<Origin>,
    regional: Vec<RegionalOrigin>,
}

impl AllowedEndpoints {
    /// Parses the operator's flags: each `host`, `host:port` (both https) or a whole origin. Only an entry with `http://` and
    /// a port allows plain http. An https origin with `{region}` in its host allows that host in every region.
    pub fn parse(entries: &[impl AsRef<str>]) -> Result<Self, EndpointRefused> {
        let parse = |entry: &str| {
            if !entry.contains("://") {
                return Origin::parse(&format!("https://{entry}"));
            }
            let after_scheme = entry.split_once("://").map_or("", |(_, rest)| rest);
            let names_port = after_scheme.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
            Origin::parse(entry).filter(|origin| origin.https || names_port)
        };
        let mut allowed = Self::default();
        for entry in entries.iter().map(AsRef::as_ref) {
            match (RegionalOrigin::parse(entry), parse(entry)) {
                (Some(regional), _) => allowed.regional.push(regional),
                (None, Some(origin)) => allowed.origins.push(origin),
                (None, None) => return Err(EndpointRefused::Malformed),
            }
        }
        Ok(allowed)
    }

    /// Checks a requested endpoint.
    pub fn check(&self, provider: Provider, text: &str) -> Result<CheckedEndpoint, EndpointRefused> {
        let origin = Origin::parse(text).ok_or(EndpointRefused::Malformed)?;
        let by_flag =
            || self.origins.contains(&origin) || self.regional.iter().any(|regional| regional.admits(&origin));
        if !origin.is_of(provider) && !by_flag() {
            return Err(EndpointRefused::NotAllowed);
        }
        origin.url().map(CheckedEndpoint).ok_or(EndpointRefused::Malformed)
    }

    /// Checks the endpoint of a service below a path, such as `https://host:5000/v3` or an entry of a service catalogue. The
    /// path must be plain: letters, digits, `-`, `_`, `.` between single slashes.
    pub fn check_service(&self, provider: Provider, text: &str) -> Result<CheckedEndpoint, EndpointRefused> {
        let scheme_ends = text.find("://").map_or(0, |at| at + 3);
        let path_starts =
            text.get(scheme_ends..).and_then(|rest| rest.find('/')).map_or(text.len(), |at| scheme_ends + at);
        let (origin, path) = text.split_at_checked(path_starts).ok_or(EndpointRefused::Malformed)?;
        let CheckedEndpoint(mut url) = self.check(provider, origin)?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let plain = |segment: &str| {
            let chars = segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            !segment.is_empty() && chars && segment != "." && segment != ".."
        };
        if path.len() > PATH_BYTES_MAX || !path.split('/').skip(1).all(plain) {
            return Err(EndpointRefused::Malformed);
        }
        url.set_path(path);
        Ok(CheckedEndpoint(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use EndpointRefused::{Malformed, NotAllowed};

    fn allowed() -> AllowedEndpoints {
        AllowedEndpoints::parse(&[
            "ecs.example.org",
            "proxy.example.org:8443",
            "https://origin.example.org:9443",
            "http://127.0.0.1:8080",
            "http://simulator.clouds.svc:80",
            "https://[::1]:8443",
        ])
        .unwrap()
    }

    #[test]
    fn allowed_endpoints_come_out_in_one_spelling() {
        for (text, url) in [
            ("https://ecs.aliyuncs.com", "https://ecs.aliyuncs.com/"),
            ("https://ecs.aliyuncs.com/", "https://ecs.aliyuncs.com/"),
            ("https://ecs.aliyuncs.com:443", "https://ecs.aliyuncs.com/"),
            ("HTTPS://ECS.Cn-Beijing.ALIYUNCS.com", "https://ecs.cn-beijing.aliyuncs.com/"),
            ("https://ecs-vpc.cn-hangzhou.aliyuncs.com", "https://ecs-vpc.cn-hangzhou.aliyuncs.com/"),
            ("https://ecs.example.org", "https://ecs.example.org/"),
            ("https://ecs.example.org:443/", "https://ecs.example.org/"),
            ("https://proxy.example.org:8443", "https://proxy.example.org:8443/"),
            ("https://origin.example.org:9443", "https://origin.example.org:9443/"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("http://simulator.clouds.svc", "http://simulator.clouds.svc/"),
            ("https://[::1]:8443", "https://[::1]:8443/"),
        ] {
            assert_eq!(
                allowed().check(Provider::Alibaba, text).map(|e| e.url().to_string()),
                Ok(url.to_owned()),
                "{text}"
            );
        }
    }

    const TRICKY: &[(&str, EndpointRefused)] = &[
        ("", Malformed),
        (" ", Malformed),
        ("https://", Malformed),
        ("https:///", Malformed),
        ("https://:443", Malformed),
        ("https://.aliyuncs.com", Malformed),
        ("https://ecs..aliyuncs.com", Malformed),
        ("https://aliyuncs.com", NotAllowed),
        ("https://aliyuncs.com.evil.io", NotAllowed),
        ("https://ecs.aliyuncs.com.evil.io", NotAllowed),
        ("https://evilaliyuncs.com", NotAllowed),
        ("https://ecs-aliyuncs.com", NotAllowed),
        ("https://ecs.aliyuncs.com@evil.io", Malformed),
        ("https://ecs.aliyuncs.com:443@evil.io", Malformed),
        ("https://user:pass@ecs.aliyuncs.com", Malformed),
        ("https://@ecs.aliyuncs.com", Malformed),
        ("https://evil.io#.aliyuncs.com", Malformed),
        ("https://evil.io?.aliyuncs.com", Malformed),
        ("https://evil.io/.aliyuncs.com", Malformed),
        ("https://evil.io\\.aliyuncs.com", Malformed),
        ("https://evil.io%2f.aliyuncs.com", Malformed),
        ("https://evil.io%00.aliyuncs.com", Malformed),
        ("https://evil.io;.aliyuncs.com", Malformed),
        ("https://ecs.aliyuncs.com.", Malformed),
        ("https://ecs.example.org.", Malformed),
        ("https://ecs.aliyuncs.com/path", Malformed),
        ("https://ecs.aliyuncs.com//", Malformed),
        ("https://ecs.aliyuncs.com/?x=1", Malformed),
        ("https://ecs.aliyuncs.com#x", Malformed),
        ("https://ecs.aliyuncs.com:", Malformed),
        ("https://ecs.aliyuncs.com:0", Malformed),
        ("https://ecs.aliyuncs.com:0443", Malformed),
        ("https://ecs.aliyuncs.com:+443", Malformed),
        ("https://ecs.aliyuncs.com:65536", Malformed),
        ("https://ecs.aliyuncs.com:443:443", Malformed),
        ("https://ecs.aliyuncs.com:8443", NotAllowed),
        ("http://ecs.aliyuncs.com", NotAllowed),
        ("http://ecs.aliyuncs.com:443", NotAllowed),
        ("http://ecs.example.org", NotAllowed),
        ("http://ecs.example.org:443", NotAllowed),
        ("https://ecs.example.org:8443", NotAllowed),
        ("https://127.0.0.1:8080", NotAllowed),
        ("http://127.0.0.1", NotAllowed),
        ("http://2130706433:8080", Malformed),
        ("http://0x7f000001:8080", Malformed),
        ("http://0x7f.1:8080", Malformed),
        ("http://127.1:8080", Malformed),
        ("http://0177.0.0.1:8080", Malformed),
        ("http://127.0.0.1.:8080", Malformed),
        ("http://①27.0.0.1:8080", Malformed),
        ("http://[::ffff:127.0.0.1]:8080", Malformed),
        ("https://[0:0:0:0:0:0:0:1]:8443", Malformed),
        ("https://[::1%25eth0]:8443", Malformed),
        ("https://[::1]8443", Malformed),
        ("https://::1:8443", Malformed),
        ("https://[::1", Malformed),
        ("https://]:8443", Malformed),
        ("http://100.100.100.200/latest/meta-data/", Malformed),
        ("http://100.100.100.200", NotAllowed),
        (" https://ecs.aliyuncs.com", Malformed),
        ("https://ecs.aliyuncs.com ", Malformed),
        ("https://ecs.aliyuncs.com\n", Malformed),
        ("https://ecs.\taliyuncs.com", Malformed),
        ("ht\ttps://ecs.aliyuncs.com", Malformed),
        ("https:/ecs.aliyuncs.com", Malformed),
        ("https:ecs.aliyuncs.com", Malformed),
        ("https:\\\\ecs.aliyuncs.com", Malformed),
        ("//ecs.aliyuncs.com", Malformed),
        ("ecs.aliyuncs.com", Malformed),
        ("ftp://ecs.aliyuncs.com", Malformed),
        ("file:///etc/passwd", Malformed),
        ("javascript:alert(1)", Malformed),
        ("unix:///run/docker.sock", Malformed),
        ("https://ecs。aliyuncs.com", Malformed),
        ("https://еcs.aliyuncs.com", Malformed),
        ("https://-ecs.aliyuncs.com", Malformed),
        ("https://e_s.aliyuncs.com", Malformed),
        ("https://*.aliyuncs.com", Malformed),
        ("https://xn--.aliyuncs.com", Malformed),
    ];

    #[test]
    fn tricky_endpoints_are_refused() {
        for (text, why) in TRICKY {
            assert_eq!(allowed().check(Provider::Alibaba, text).map(|e| e.url().to_string()), Err(*why), "{text:?}");
        }
        for label in ["a.".repeat(150), "a".repeat(64), "a.".repeat(120)] {
            let text = format!("https://{label}.aliyuncs.com");
            assert_eq!(allowed().check(Provider::Alibaba, &text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn flags_that_are_no_exact_endpoint_are_refused() {
        for bad in ["", "*", "*.example.org", "http://example.org", "http://[::1]", "example.org/x", "a b", "ftp://x:1"]
        {
            assert_eq!(AllowedEndpoints::parse(&[bad]).unwrap_err(), Malformed, "{bad}");
        }
        assert!(AllowedEndpoints::parse(&["http://[::1]:80"]).is_ok());
    }

    #[test]
    fn without_flags_only_the_vendors_hosts_are_allowed() {
        let none = AllowedEndpoints::default();
        assert!(none.check(Provider::Alibaba, "https://sts.aliyuncs.com").is_ok());
        assert_eq!(none.check(Provider::Alibaba, "https://ecs.example.org"), Err(NotAllowed));
    }

    #[test]
    fn each_cloud_has_hosts_of_its_own() {
        let none = AllowedEndpoints::default();
        for (provider, host) in [
            (Provider::Alibaba, "https://ecs.aliyuncs.com"),
            (Provider::Huawei, "https://ims.cn-north-4.myhuaweicloud.com"),
            (Provider::Huawei, "https://ims.eu-west-101.myhuaweicloud.eu"),
            (Provider::Aws, "https://ec2.us-east-1.amazonaws.com"),
            (Provider::Aws, "https://sts-fips.us-gov-west-1.api.aws"),
        ] {
            for asker in [Provider::Alibaba, Provider::Huawei, Provider::OpenStack, Provider::Aws] {
                assert_eq!(none.check(asker, host).is_ok(), asker == provider, "{asker} at {host}");
            }
        }
    }

    #[test]
    fn hosts_of_customers_of_aws_are_refused() {
        let none = AllowedEndpoints::default();
        for host in [
            "abc123.execute-api.us-east-1.amazonaws.com",
            "bucket.s3.amazonaws.com",
            "lb-1.us-east-1.elb.amazonaws.com",
            "ec2-203-0-113-25.compute-1.amazonaws.com",
            "vpce-1-2.ec2.us-east-1.vpce.amazonaws.com",
            "ec2.us-east-1.amazonaws.com.evil.example",
        ] {
            assert_eq!(none.check(Provider::Aws, &format!("https://{host}")), Err(NotAllowed), "{host}");
        }
        assert_eq!(none.check(Provider::Aws, "http://ec2.us-east-1.amazonaws.com"), Err(NotAllowed));
        assert_eq!(none.check(Provider::Aws, "https://ec2.us-east-1.amazonaws.com:8443"), Err(NotAllowed));
        assert!(none.check(Provider::Aws, "https://EC2.us-east-1.amazonaws.com/").is_ok());
    }

    #[test]
    fn a_service_may_live_below_a_plain_path() {
        let check = |text: &str| allowed().check_service(Provider::OpenStack, text).map(|e| e.url().to_string());
        for (text, url) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/"),
            ("http://127.0.0.1:8080/v3/", "http://127.0.0.1:8080/v3"),
            ("https://ecs.example.org/identity/v3", "https://ecs.example.org/identity/v3"),
        ] {
            assert_eq!(check(text), Ok(url.to_owned()), "{text}");
        }
        for text in [
            "http://127.0.0.1:8080//v3",
            "http://127.0.0.1:8080/../v3",
            "http://127.0.0.1:8080/v3?x=1",
            "http://127.0.0.1:8080/v3#x",
            "http://127.0.0.1:8080/%2e%2e",
            "http://127.0.0.1:8080@evil.io/v3",
            "/v3",
            "",
        ] {
            assert_eq!(check(text), Err(Malformed), "{text}");
        }
        assert_eq!(check("https://evil.io/v3"), Err(NotAllowed));
    }
}
