//! Which of two versions of a channel is newer.

use std::cmp::Ordering;

use crate::api::image_channel::{ChannelOrder, OrderBy, VersionFormat};
use crate::planning::channel::Version;

/// A version as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    /// Only the creation times count.
    None,
    /// Numbers without leading zeros: of two, the longer one is larger.
    Numbers(Vec<(usize, String)>),
    Semantic(semver::Version),
    Text(String),
}

impl Key {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Numbers(one), Self::Numbers(other)) => one.cmp(other),
            (Self::Semantic(one), Self::Semantic(other)) => one.cmp_precedence(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            _ => Ordering::Equal,
        }
    }
}

/// The key of a version; `None` if the order cannot place it.
fn key(order: ChannelOrder, version: &str) -> Option<Key> {
    if order.by == OrderBy::CreationTime {
        return Some(Key::None);
    }
    match order.format.unwrap_or(VersionFormat::Alphabetical) {
        VersionFormat::Alphabetical => Some(Key::Text(version.to_owned())),
        VersionFormat::Semver => {
            let version = version.strip_prefix('v').unwrap_or(version);
            semver::Version::parse(version).ok().map(Key::Semantic)
        }
        VersionFormat::Numeric => {
            let number = |part: &str| {
                let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                let bare = part.trim_start_matches('0');
                digits.then(|| (bare.len(), bare.to_owned()))
            };
            version.split(['.', '-', '_']).map(number).collect::<Option<Vec<_>>>().map(Key::Numbers)
        }
    }
}

/// Whether the order can place a version.
pub(super) fn is_ordered(order: ChannelOrder, version: &str) -> bool {
    key(order, version).is_some()
}

/// Sorts versions, the newest first. Equal ones go by creation time, then by the image's id, so that the order is always the
/// same. What the order cannot place, since the order was edited, comes last.
pub(super) fn sort(order: ChannelOrder, versions: &mut [Version]) {
    let rank = |version: &Version| (key(order, &version.version), version.created, version.image.clone());
    versions.sort_by_cached_key(|version| std::cmp::Reverse(Rank(rank(version))));
}

/// What versions are sorted by.
type Placed = (Option<Key>, Option<jiff::Timestamp>, crate::domain::identifiers::ImageId);

#[derive(PartialEq, Eq)]
struct Rank(Placed);

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        let keys = match (&self.0.0, &other.0.0) {
            (Some(one), Some(other)) => one.compare(other),
            (one, other) => one.is_some().cmp(&other.is_some()),
        };
        keys.then_with(|| self.0.1.cmp(&other.0.1)).then_with(|| self.0.2.cmp(&other.0.2))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
