//! Parts that the signatures of several clouds share: escaping, the canonical query, HMAC, SHA-256; and the parser of credential
//! parts. Contains no vendor's algorithm.

use aws_lc_rs::{digest, hmac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;

/// All characters except the unreserved ones of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Escapes one segment of a path, one name or one value of a query, for sending and signing.
pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// The sorted, escaped query, for sending and signing.
pub(super) fn canonical_query(pairs: &[(String, String)]) -> String {
    let mut pairs: Vec<&(String, String)> = pairs.iter().collect();
    pairs.sort();
    pairs.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value))).collect::<Vec<_>>().join("&")
}

/// HMAC-SHA256 in hexadecimal digits.
pub(super) fn hmac_hex(key: &[u8], message: &[u8]) -> String {
    hex::encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message))
}

/// SHA-256 in hexadecimal digits.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// Why credentials are invalid; names the part, never its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {part} must be 1 to {most} {characters}")]
pub struct InvalidCredentials {
    part: &'static str,
    most: usize,
    characters: &'static str,
}

/// Parses one part of a key, at most `most` bytes. Drops white space around it, since secrets read from files often end in
/// a line feed.
pub(super) fn part(part: &'static str, text: &str, most: usize) -> Result<SecretString, InvalidCredentials> {
    let text = text.trim_ascii();
    let fits = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    let refused = InvalidCredentials { part, most, characters: "visible ASCII characters" };
    if fits { Ok(SecretString::from(text)) } else { Err(refused) }
}

/// Parses a part that a person chose, such as a password: in UTF-8, which may contain spaces.
pub(super) fn phrase(part: &'static str, text: &str, most: usize) -> Result<SecretString, InvalidCredentials> {
    let text = text.trim_ascii();
    let fits = (1..=most).contains(&text.len()) && !text.contains(char::is_control);
    let refused = InvalidCredentials { part, most, characters: "bytes of text in UTF-8, without control characters" };
    if fits { Ok(SecretString::from(text)) } else { Err(refused) }
}
