//! One request as the proxy saw it, and which requests a rule means.

use http::Method;
use http::request::Parts;
use jiff::Timestamp;

/// Most characters of a body kept in a summary.
const SUMMARY: usize = 400;

/// Paths of the API server where a mutating verb changes nothing that counts.
const TALK: [&str; 4] = [
    "/apis/events.k8s.io/",
    "/apis/coordination.k8s.io/",
    "/apis/authorization.k8s.io/",
    "/apis/authentication.k8s.io/",
];

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    /// The API server.
    Kubernetes,
    /// The cloud.
    Cloud,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Number over both upstreams, from 1.
    pub seq: u64,
    /// Number among the writes over both upstreams, from 1; `None` for what changes nothing.
    pub write: Option<u64>,
    /// Where it goes.
    pub upstream: Upstream,
    /// How.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// `x-acs-action`, or the `Action` that the form of a call to AWS begins with; empty where there is none.
    pub action: String,
    /// The beginning of a write's body; empty for reads, whose answers may be secret but not their questions.
    pub summary: String,
    /// When it arrived here.
    pub asked_at: Timestamp,
    /// When its answer arrived here; `None` while there is none.
    pub answered_at: Option<Timestamp>,
    /// The upstream's answer.
    pub status: Option<u16>,
    /// The `resourceVersion` a write to the API server led to.
    pub version: Option<u64>,
}

impl Call {
    pub(super) fn read(upstream: Upstream, parts: &Parts, body: &[u8]) -> Self {
        let path = parts.uri.path_and_query().map_or_else(|| parts.uri.path().to_owned(), ToString::to_string);
        let named = parts.headers.get("x-acs-action").and_then(|v| v.to_str().ok());
        let action = named.or_else(|| action_of(body)).unwrap_or_default().to_owned();
        let write = is_write(upstream, &parts.method, parts.uri.path(), &action);
        let summary: String =
            if write { String::from_utf8_lossy(body).chars().take(SUMMARY).collect() } else { String::new() };
        Self {
            seq: 0,
            write: write.then_some(0),
            upstream,
            method: parts.method.to_string(),
            path,
            action,
            summary,
            asked_at: Timestamp::now(),
            answered_at: None,
            status: None,
            version: None,
        }
    }

    /// One line for people: `#12 w3 PATCH /apis/…/golden/status → 200`.
    pub fn line(&self) -> String {
        let write = self.write.map(|n| format!(" w{n}")).unwrap_or_default();
        let status = self.status.map_or_else(|| "unanswered".to_owned(), |s| s.to_string());
        format!("#{}{write} {} {} {} → {status}", self.seq, self.method, self.path, self.action)
    }
}

fn action_of(form: &[u8]) -> Option<&str> {
    let action = form.strip_prefix(b"Action=")?.split(|byte| *byte == b'&').next()?;
    std::str::from_utf8(action).ok()
}

/// Whether a request may change something that lasts. Events, leases and questions about rights do not count.
fn is_write(upstream: Upstream, method: &Method, path: &str, action: &str) -> bool {
    let mutating = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method);
    match upstream {
        Upstream::Kubernetes => {
            mutating && !path.ends_with("/events") && !TALK.iter().any(|talk| path.starts_with(talk))
        }
        Upstream::Cloud if action.is_empty() => mutating && !path.ends_with("/auth/tokens"),
        Upstream::Cloud => !["Describe", "Get", "List"].iter().any(|verb| action.starts_with(verb)),
    }
}

/// Which requests are meant: all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct Which {
    upstream: Option<Upstream>,
    write: Option<bool>,
    method: Option<String>,
    path: Vec<String>,
    action: Option<String>,
    body: Vec<String>,
}

impl Which {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Every request that changes something.
    pub fn write() -> Self {
        Self { write: Some(true), ..Self::default() }
    }

    /// Every request that only looks.
    pub fn read() -> Self {
        Self { write: Some(false), ..Self::default() }
    }

    /// Those to one upstream.
    #[must_use]
    pub fn to(mut self, upstream: Upstream) -> Self {
        self.upstream = Some(upstream);
        self
    }

    /// Those with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Those whose path and query contain this text; may be given often.
    #[must_use]
    pub fn path(mut self, text: &str) -> Self {
        self.path.push(text.to_owned());
        self
    }

    /// Those whose `x-acs-action` starts with this.
    #[must_use]
    pub fn action(mut self, prefix: &str) -> Self {
        self.action = Some(prefix.to_owned());
        self
    }

    /// Those whose body contains this text; may be given often.
    #[must_use]
    pub fn body(mut self, text: &str) -> Self {
        self.body.push(text.to_owned());
        self
    }

    pub(super) fn means(&self, call: &Call, body: &[u8]) -> bool {
        self.upstream.is_none_or(|upstream| upstream == call.upstream)
            && self.write.is_none_or(|write| write == call.write.is_some())
            && self.method.as_ref().is_none_or(|method| *method == call.method)
            && self.path.iter().all(|text| call.path.contains(text))
            && self.action.as_ref().is_none_or(|prefix| call.action.starts_with(prefix.as_str()))
            && (self.body.is_empty() || {
                let body = String::from_utf8_lossy(body);
                self.body.iter().all(|text| body.contains(text))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(upstream: Upstream, method: &str, path: &str, action: &str) -> Call {
        let request =
            http::Request::builder().method(method).uri(path).header("x-acs-action", action).body(()).unwrap();
        Call::read(upstream, &request.into_parts().0, b"{\"a\":1}")
    }

    #[test]
    fn events_leases_and_reviews_are_no_writes() {
        let write = |method, path| call(Upstream::Kubernetes, method, path, "").write.is_some();
        assert!(write("PATCH", "/apis/imageshare.dev/v1alpha1/namespaces/n/cloudimages/golden/status"));
        assert!(write("DELETE", "/api/v1/namespaces/n/secrets/s"));
        assert!(!write("GET", "/apis/imageshare.dev/v1alpha1/cloudimages?watch=1"));
        assert!(!write("POST", "/apis/events.k8s.io/v1/namespaces/n/events"));
        assert!(!write("POST", "/api/v1/namespaces/n/events"));
        assert!(!write("PUT", "/apis/coordination.k8s.io/v1/namespaces/n/leases/l"));
        assert!(!write("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"));
    }

    #[test]
    fn a_cloud_call_is_a_write_by_its_action_and_else_by_its_method() {
        let write = |method, path, action| call(Upstream::Cloud, method, path, action).write.is_some();
        assert!(write("POST", "/", "ModifyImageSharePermission"));
        assert!(write("POST", "/", "DeleteImage"));
        assert!(!write("POST", "/", "DescribeImages"));
        assert!(write("POST", "/v1/cloudimages/members", ""));
        assert!(!write("POST", "/v3/auth/tokens", ""));
        assert!(!write("GET", "/v2/images", ""));
    }

    #[test]
    fn a_call_to_aws_is_a_write_by_the_action_in_its_form() {
        let write = |form: &str| {
            let request = http::Request::builder().method("POST").uri("/").body(()).unwrap();
            let call = Call::read(Upstream::Cloud, &request.into_parts().0, form.as_bytes());
            (call.write.is_some(), call.action)
        };
        assert_eq!(write("Action=ModifyImageAttribute&Version=2016-11-15"), (true, "ModifyImageAttribute".into()));
        assert_eq!(write("Action=DescribeImages&Version=2016-11-15"), (false, "DescribeImages".into()));
        assert_eq!(write("Action=GetCallerIdentity"), (false, "GetCallerIdentity".into()));
    }

    #[test]
    fn every_condition_of_a_predicate_counts() {
        let patch = call(Upstream::Kubernetes, "PATCH", "/apis/x/cloudimages/golden/status?force=true", "");
        let means = |which: Which| which.means(&patch, b"{\"state\":\"Intended\"}");
        assert!(means(Which::write().to(Upstream::Kubernetes).method("PATCH").path("golden").path("status")));
        assert!(means(Which::any().body("Intended")));
        assert!(!means(Which::any().body("Revoking")));
        assert!(!means(Which::read()));
        assert!(!means(Which::write().to(Upstream::Cloud)));
        assert!(!means(Which::write().method("PUT")));
        assert!(!means(Which::write().path("imageshares")));
        assert!(!means(Which::write().action("Modify")));
    }
}
