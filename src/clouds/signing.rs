//! What the signatures of several clouds are made of: escaping, the query in its one order, the keyed hash; and how the
//! parts of credentials are read. No vendor's algorithm.

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use sha2::Sha256;

/// Everything but RFC 3986's unreserved characters is escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// One segment of a path, one name or one value of a query, as it is sent and signed.
pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// A query as it is sent and signed: sorted, escaped.
pub(super) fn canonical_query(pairs: &[(String, String)]) -> String {
    let mut pairs: Vec<&(String, String)> = pairs.iter().collect();
    pairs.sort();
    pairs.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value))).collect::<Vec<_>>().join("&")
}

/// HMAC-SHA256 in hexadecimal digits.
pub(super) fn hmac_hex(key: &[u8], message: &[u8]) -> String {
    // HMAC takes keys of every length; the error type only exists for other MACs.
    Hmac::<Sha256>::new_from_slice(key).map_or_else(
        |_| String::new(),
        |mut mac| {
            mac.update(message);
            hex::encode(mac.finalize().into_bytes())
        },
    )
}

/// Why credentials cannot be used; says which part, never what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {part} must be 1 to {most} visible ASCII characters")]
pub struct InvalidCredentials {
    part: &'static str,
    most: usize,
}

/// Reads one part of a key, at most `most` bytes. White space around it is dropped, since secrets read from files often end
/// in a line feed.
pub(super) fn part(part: &'static str, text: &str, most: usize) -> Result<SecretString, InvalidCredentials> {
    if text.trim_ascii().contains(' ') { Err(InvalidCredentials { part, most }) } else { phrase(part, text, most) }
}

/// The same for what a person chose, as a password: it may hold spaces.
pub(super) fn phrase(part: &'static str, text: &str, most: usize) -> Result<SecretString, InvalidCredentials> {
    let text = text.trim_ascii();
    let fits = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if fits { Ok(SecretString::from(text)) } else { Err(InvalidCredentials { part, most }) }
}
