//! Forward proxies, as `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name them. They get a request only after the rule
//! on endpoints has allowed its host, and see no more of an `https` request than that host.

use std::fmt;
use std::sync::Arc;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{ClientBuilder, NoProxy, Proxy, Url};

/// The proxies of the process. `Debug` and messages never show their credentials.
#[derive(Clone, Default)]
pub struct Proxies {
    https: Option<Url>,
    http: Option<Url>,
    /// Hosts that are reached directly, separated by commas.
    direct: String,
    /// Chooses as the HTTP client does, which uses the same type.
    matcher: Option<Arc<Matcher>>,
}

/// A variable that names no usable proxy. The message never repeats its value, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{variable}: a proxy is http://host:port or https://host:port, or http://user:password@host:port with every character of \
     the user and the password escaped that is not a letter or a digit (%40 for @)"
)]
pub struct ProxyInvalid {
    variable: String,
}

impl Proxies {
    /// Reads the variables of the process.
    pub fn from_environment() -> Result<Self, ProxyInvalid> {
        Self::of(|name| std::env::var(name).ok())
    }

    /// Reads variables: each in upper case, else in lower case; an empty one counts as missing. `ALL_PROXY` stands in for both of the
    /// others.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyInvalid> {
        let read = |name: &str| {
            let names = [name.to_owned(), name.to_lowercase()];
            let set = names.into_iter().filter_map(|name| variable(&name).map(|value| (name, value.trim().to_owned())));
            set.into_iter().find(|(_, value)| !value.is_empty())
        };
        let proxy = |name: &str| match read(name).or_else(|| read("ALL_PROXY")) {
            Some((variable, value)) => parse(&value).map(Some).ok_or(ProxyInvalid { variable }),
            None => Ok(None),
        };
        let direct = read("NO_PROXY").map_or_else(String::new, |(_, hosts)| hosts);
        Ok(Self::new(proxy("HTTPS_PROXY")?, proxy("HTTP_PROXY")?, direct))
    }

    /// One proxy for every address. `named`: what an error calls it.
    pub fn only(named: &str, value: &str) -> Result<Self, ProxyInvalid> {
        let proxy = parse(value).ok_or_else(|| ProxyInvalid { variable: named.to_owned() })?;
        Ok(Self::new(Some(proxy.clone()), Some(proxy), String::new()))
    }

    fn new(https: Option<Url>, http: Option<Url>, direct: String) -> Self {
        let text = |proxy: &Option<Url>| proxy.as_ref().map_or_else(String::new, Url::to_string);
        let matcher = Matcher::builder().https(text(&https)).http(text(&http)).no(direct.clone()).build();
        let matcher = (https.is_some() || http.is_some()).then(|| Arc::new(matcher));
        Self { https, http, direct, matcher }
    }

    /// The URL of the proxy for this address, with its credentials: for a client, never for messages. `None`: the address is
    /// reached directly.
    pub fn url_for(&self, address: &str) -> Option<&str> {
        let address: http::Uri = address.parse().ok()?;
        self.matcher.as_ref()?.intercept(&address)?;
        let proxy = if address.scheme_str() == Some("https") { &self.https } else { &self.http };
        proxy.as_ref().map(Url::as_str)
    }

    /// Host and port of the proxy for this address.
    pub fn host_for(&self, address: &str) -> Option<String> {
        self.url_for(address).and_then(|proxy| Url::parse(proxy).ok()).as_ref().map(host_and_port)
    }

    /// Configures a client to use them, and no others.
    pub(super) fn configure(&self, builder: ClientBuilder) -> reqwest::Result<ClientBuilder> {
        let direct = || NoProxy::from_string(&self.direct);
        // Without this call, the client reads the variables by itself.
        let mut builder = builder.no_proxy();
        if let Some(proxy) = &self.https {
            builder = builder.proxy(Proxy::https(proxy.clone())?.no_proxy(direct()));
        }
        if let Some(proxy) = &self.http {
            builder = builder.proxy(Proxy::http(proxy.clone())?.no_proxy(direct()));
        }
        Ok(builder)
    }
}

impl fmt::Display for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |proxy: &Option<Url>| proxy.as_ref().map_or_else(|| "none".to_owned(), host_and_port);
        match (&self.https, &self.http) {
            (None, None) => f.write_str("none")?,
            (https, http) if https == http => write!(f, "{}", name(https))?,
            (https, http) => write!(f, "{} for https, {} for http", name(https), name(http))?,
        }
        if self.direct.is_empty() { Ok(()) } else { write!(f, "; not for {}", self.direct) }
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxies({self})")
    }
}

/// Parses a proxy; one without a scheme is reached by `http`.
fn parse(text: &str) -> Option<Url> {
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&text).ok()?;
    // A password with an unescaped `/` or `#` would become part of a host or a path.
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    let usable = matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.is_empty());
    (bare && usable).then_some(url)
}

fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, ProxyInvalid> {
        Proxies::of(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn variables_choose_the_proxy_by_scheme_and_host() {
        let all = [("https_proxy", "proxy.example:3128"), ("NO_PROXY", "keystone.example, .svc,10.0.0.0/8")];
        let proxies = proxies(&all).unwrap();
        let host = |address: &str| proxies.host_for(address);
        assert_eq!(host("https://ecs.aliyuncs.com/?x=1").as_deref(), Some("proxy.example:3128"));
        for direct in [
            "http://ecs.aliyuncs.com/",
            "https://keystone.example:5000/v3",
            "https://glance.keystone.example/",
            "https://kubernetes.default.svc",
            "https://10.96.0.1:443/",
        ] {
            assert_eq!(host(direct), None, "{direct}");
        }
        assert_eq!(host("https://notkeystone.example/").as_deref(), Some("proxy.example:3128"));
    }

    #[test]
    fn upper_case_wins_an_empty_variable_is_missing_and_one_stands_in_for_both() {
        let found = proxies(&[("HTTPS_PROXY", "http://a:1"), ("https_proxy", "http://b:2")]).unwrap();
        assert_eq!(found.host_for("https://x/").as_deref(), Some("a:1"));
        let found =
            proxies(&[("HTTPS_PROXY", " "), ("https_proxy", "http://b:2"), ("ALL_PROXY", "http://c:3")]).unwrap();
        assert_eq!(found.host_for("https://x/").as_deref(), Some("b:2"));
        assert_eq!(found.host_for("http://x/").as_deref(), Some("c:3"));
        assert_eq!(proxies(&[("HTTPS_PROXY", "")]).unwrap().to_string(), "none");
    }

    #[test]
    fn credentials_of_a_proxy_are_never_shown() {
        let value = "http://golden:s3cr3t%40pass@proxy.example:3128";
        let found = proxies(&[("ALL_PROXY", value), ("NO_PROXY", ".svc")]).unwrap();
        let shown = format!("{found} {found:?} {:?}", found.host_for("https://x/"));
        assert!(shown.contains("proxy.example:3128") && shown.contains(".svc"), "{shown}");
        assert!(!shown.contains("s3cr3t") && !shown.contains("golden"), "{shown}");
        assert_eq!(found.url_for("https://x/"), Some("http://golden:s3cr3t%40pass@proxy.example:3128/"));
    }

    #[test]
    fn a_value_that_is_no_proxy_is_refused_by_the_name_of_its_variable_alone() {
        for value in [
            "socks5://s3cr3t@proxy:1080",
            "http://user:s3cr3t/x@proxy:3128",
            "http://user:s3cr3t#x@proxy:3128",
            "http://proxy:3128/s3cr3t",
            "http://proxy:s3cr3t",
            "http://s3 cr3t:1",
            "http://",
            "://",
        ] {
            let refused = proxies(&[("https_proxy", value)]).unwrap_err().to_string();
            assert!(refused.starts_with("https_proxy: ") && !refused.contains("s3cr3t"), "{value}: {refused}");
        }
    }
}
