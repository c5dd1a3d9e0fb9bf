//! Who may ask the console. A token opens it once and becomes a session, which only that browser has; each request must name
//! this very address as its host, so that no name of a stranger leads here (DNS rebinding), and must come from its own pages.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::PoisonError;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::rand;
use axum::http::header::{COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};

use super::CliError;

/// Random bytes of a token and of a session.
const RANDOM_BYTES: usize = 32;

/// Where a browser says which page a request comes from.
const FETCH_SITE: &str = "sec-fetch-site";

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It goes on to its page.
    Admitted,
    /// The token was right: the answer gives the browser its session.
    Opened(Response),
    /// Why it is refused.
    Refused(&'static str),
}

/// The keeper of one console.
#[derive(Debug)]
pub(super) struct Guard {
    /// As `127.0.0.1:41234`.
    host: String,
    /// `None` once a browser has used it.
    token: Mutex<Option<String>>,
    session: String,
    /// Cookies are shared by all ports of a host: the name tells consoles apart.
    cookie: String,
}

impl Guard {
    /// A new token and a new session.
    ///
    /// # Errors
    ///
    /// A system that gives no random bytes.
    pub(super) fn new(address: SocketAddr) -> Result<Self, CliError> {
        Ok(Self {
            host: address.to_string(),
            token: Mutex::new(Some(random()?)),
            session: random()?,
            cookie: format!("imageshare-console-{}", address.port()),
        })
    }

    /// The address that opens the console.
    pub(super) fn address(&self) -> String {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        format!("http://{}/?token={}", self.host, token.as_deref().unwrap_or_default())
    }

    /// What becomes of a request.
    pub(super) fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Verdict {
        let text = |name| one(headers, name);
        if text(HOST.as_str()).is_none_or(|host| host != self.host) {
            return Verdict::Refused("this console answers only at the address that was printed");
        }
        let origin = format!("http://{}", self.host);
        let is_foreign = match text(ORIGIN.as_str()) {
            Some(named) => named != origin,
            // A browser names the origin of every form that it sends.
            None => headers.contains_key(ORIGIN) || method != Method::GET,
        };
        let comes_from = text(FETCH_SITE).unwrap_or("none");
        if is_foreign || !["none", "same-origin"].contains(&comes_from) {
            return Verdict::Refused("the request comes from another page");
        }
        if method != Method::GET && method != Method::POST {
            return Verdict::Refused("the console reads with GET and writes with POST");
        }
        let query = uri.query().unwrap_or_default();
        if let Some(token) = query.strip_prefix("token=").filter(|_| method == Method::GET && uri.path() == "/") {
            return self.open(token);
        }
        if self.has_session(headers) {
            return Verdict::Admitted;
        }
        Verdict::Refused("this browser has no session: open the address that was printed, or run the command again")
    }

    fn open(&self, token: &str) -> Verdict {
        let mut kept = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.as_deref().is_some_and(|kept| is_same(kept, token)) {
            return Verdict::Refused("the token is wrong, or was used already: run the command again for a new one");
        }
        *kept = None;
        let cookie = format!("{}={}; HttpOnly; SameSite=Strict; Path=/", self.cookie, self.session);
        let headers = [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie)];
        Verdict::Opened((StatusCode::SEE_OTHER, headers).into_response())
    }

    fn has_session(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == self.cookie && is_same(&self.session, value))
    }
}

/// The value of a header that stands there once.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    if all.next().is_some() { None } else { first.to_str().ok() }
}

fn is_same(kept: &str, given: &str) -> bool {
    verify_slices_are_equal(kept.as_bytes(), given.as_bytes()).is_ok()
}

fn random() -> Result<String, CliError> {
    let mut bytes = [0; RANDOM_BYTES];
    rand::fill(&mut bytes).map_err(|_| CliError::Refused("the system gives no random bytes".to_owned()))?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST_HERE: &str = "127.0.0.1:41234";

    fn guard() -> Guard {
        Guard::new(HOST_HERE.parse().unwrap()).unwrap()
    }

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn verdict(guard: &Guard, method: &Method, uri: &str, all: &[(&'static str, &str)]) -> Verdict {
        guard.check(method, &uri.parse().unwrap(), &headers(all))
    }

    fn session(guard: &Guard) -> String {
        format!("{}={}", guard.cookie, guard.session)
    }

    #[test]
    fn a_token_opens_the_console_once_and_is_no_session() {
        let guard = guard();
        let address = guard.address();
        let uri = address.strip_prefix("http://127.0.0.1:41234").unwrap().to_owned();
        let get = |uri: &str| verdict(&guard, &Method::GET, uri, &[("host", HOST_HERE)]);
        assert!(matches!(get("/"), Verdict::Refused(_)), "without a token");
        assert!(matches!(get("/?token="), Verdict::Refused(_)));
        assert!(matches!(get(&format!("{uri}0")), Verdict::Refused(_)));
        let Verdict::Opened(response) = get(&uri) else { panic!("it was not opened") };
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        assert!(!cookie.contains(uri.strip_prefix("/?token=").unwrap()), "the address stays in histories");
        assert!(matches!(get(&uri), Verdict::Refused(_)), "a second browser");
        assert!(!guard.address().contains(uri.strip_prefix("/?token=").unwrap()));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_of_a_header_make_it_panic_or_let_anybody_in(bytes: Vec<u8>, name in 0_usize..4) {
            let guard = guard();
            let Ok(value) = axum::http::HeaderValue::from_bytes(&bytes) else { return Ok(()) };
            let mut all = headers(&[("host", HOST_HERE)]);
            all.append(["host", "cookie", "origin", FETCH_SITE][name], value);
            let verdict = guard.check(&Method::POST, &"/answer".parse().unwrap(), &all);
            proptest::prop_assert!(matches!(verdict, Verdict::Refused(_)));
        }
    }

    #[test]
    fn every_request_names_this_host_has_the_session_and_comes_from_its_own_pages() {
        let guard = guard();
        let (cookie, origin) = (session(&guard), format!("http://{HOST_HERE}"));
        let base = [("host", HOST_HERE), ("cookie", cookie.as_str())];
        let with = |more: &[(&'static str, &'static str)]| [&base[..], more].concat();
        assert!(matches!(verdict(&guard, &Method::GET, "/", &base), Verdict::Admitted));
        for (why, method, all) in [
            ("another host", Method::GET, vec![("host", "evil.example:41234"), base[1]]),
            ("another port", Method::GET, vec![("host", "127.0.0.1:80"), base[1]]),
            ("a name of this host", Method::GET, vec![("host", "localhost:41234"), base[1]]),
            ("no host", Method::GET, vec![base[1]]),
            ("two hosts", Method::GET, with(&[("host", "evil.example")])),
            ("no cookie", Method::GET, vec![base[0]]),
            ("another cookie", Method::GET, vec![base[0], ("cookie", "imageshare-console-41234=x")]),
            ("another console's", Method::GET, vec![base[0], ("cookie", "imageshare-console-1=x")]),
            ("a foreign origin", Method::GET, with(&[("origin", "http://evil.example")])),
            ("a foreign page", Method::GET, with(&[("sec-fetch-site", "cross-site")])),
            ("another port's page", Method::GET, with(&[("sec-fetch-site", "same-site")])),
            ("a form of nobody", Method::POST, with(&[])),
            ("a form of a file", Method::POST, with(&[("origin", "null")])),
            ("a form of another origin", Method::POST, with(&[("origin", "https://127.0.0.1:41234")])),
            ("another method", Method::DELETE, with(&[("origin", "http://127.0.0.1:41234")])),
        ] {
            assert!(matches!(verdict(&guard, &method, "/answer", &all), Verdict::Refused(_)), "{why}");
        }
        let own = [base[0], base[1], ("origin", origin.as_str()), ("sec-fetch-site", "same-origin")];
        assert!(matches!(verdict(&guard, &Method::POST, "/answer", &own), Verdict::Admitted));
        let several = [base[0], ("cookie", "a=b; c"), ("cookie", cookie.as_str())];
        assert!(matches!(verdict(&guard, &Method::GET, "/", &several), Verdict::Admitted));
    }
}
