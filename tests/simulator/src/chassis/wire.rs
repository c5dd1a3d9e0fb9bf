//! Requests as they come over the wire, and what the front ends of all clouds share below their protocols: reading within
//! bounds, the encoding of queries, answers that break off.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use futures::{StreamExt, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use std::io;

/// A request as it came over the wire; header names in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Wire {
    /// Reads a request; `None` where its body has more than `max_body` bytes or breaks off.
    pub(crate) async fn read(request: Request, scheme: &'static str, max_body: usize) -> Option<Self> {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, max_body).await.ok()?;
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())));
        Some(Self {
            scheme,
            method: head.method.as_str().to_owned(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: headers.collect(),
            body: body.to_vec(),
        })
    }

    /// Where the client believes the server to be.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.header("host").unwrap_or("localhost"))
    }

    /// The first header of this name, trimmed.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim())
    }
}

/// Half of the body, then an error; the pause between lets the half reach the wire first.
pub(crate) fn half_of(body: String) -> Body {
    let mut half = Bytes::from(body);
    half.truncate(half.len() / 2);
    let broken = stream::once(async {
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    Body::from_stream(stream::iter([Ok(half)]).chain(broken))
}

/// What RFC 3986 leaves as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Encodes as the signature's canonical form does.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Decodes pairs by the form rules: `+` is a space. A pair without `=` has an empty value.
pub(crate) fn decode_pairs(text: &str) -> Vec<(String, String)> {
    let decode = |part: &str| percent_decode(part.replace('+', " ").as_bytes()).decode_utf8_lossy().into_owned();
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plus_is_a_space_and_escapes_are_bytes() {
        let pairs = decode_pairs("ImageName=%E6%B5%8B+%2A~%2B%27&Tag.2.Value=&bare");
        let expected = [("ImageName", "测 *~+'"), ("Tag.2.Value", ""), ("bare", "")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(encode("镜像 a*b~c/d+e"), "%E9%95%9C%E5%83%8F%20a%2Ab~c%2Fd%2Be");
    }
}
