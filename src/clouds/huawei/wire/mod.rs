//! Parsers of the vendor's answers. They ignore unknown fields and are strict about required ones: an answer that lacks
//! one, or is about another object than requested, is `Unintelligible` and proves nothing.

pub(super) mod copies;
pub(super) mod identities;
pub(super) mod images;
pub(super) mod jobs;
pub(super) mod members;
pub(super) mod own;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::clouds::Fault;

/// Maximum rows read from one answer: the vendor's largest page.
const ROWS_MAX: usize = 1000;
/// Longest marker sent back, in bytes; the vendor's is an id in base64.
const MARKER_BYTES_MAX: usize = 1024;

/// The position of the next page of a list.
#[derive(Debug, Deserialize)]
struct PageInfo {
    #[serde(default)]
    next_marker: Option<String>,
    #[serde(default)]
    current_count: Option<usize>,
}

impl PageInfo {
    /// The marker of the next page, if the vendor reports one.
    fn next(self) -> Result<Option<String>, Fault> {
        match self.next_marker.filter(|marker| !marker.is_empty()) {
            Some(marker) if marker.len() > MARKER_BYTES_MAX => Err(Fault::Unintelligible),
            marker => Ok(marker),
        }
    }
}

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|_| Fault::Unintelligible)
}

fn bounded<T>(rows: Vec<T>) -> Result<Vec<T>, Fault> {
    if rows.len() > ROWS_MAX { Err(Fault::Unintelligible) } else { Ok(rows) }
}
