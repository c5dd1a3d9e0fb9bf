//! Object counts as plain numbers, computed at each scrape, so that no counter must be kept in sync.

use std::collections::BTreeMap;

/// Labels of objects that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// Their kind.
    pub kind: &'static str,
    /// The status of `Ready`: True, False or Unknown.
    pub ready: String,
    /// The reason of `Ready`.
    pub reason: String,
}

/// The most objects that metrics name as not ready.
pub const MOST_NAMED: usize = 1000;

/// An object that is not ready.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotReady {
    /// Its namespace.
    pub namespace: String,
    /// Its kind.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The reason of `Ready`.
    pub reason: String,
}

/// Selects [`MOST_NAMED`] objects by turns: the first of each namespace, then the second, and so on. So the objects of one
/// namespace do not crowd out those of another, and every scrape names the same ones.
pub fn round_robin(mut all: Vec<NotReady>) -> Vec<NotReady> {
    if all.len() <= MOST_NAMED {
        return all;
    }
    all.sort_unstable();
    let mut turns = BTreeMap::<String, usize>::new();
    let with_turn = all.into_iter().map(|object| {
        let turn = turns.entry(object.namespace.clone()).or_default();
        *turn += 1;
        (*turn, object)
    });
    let mut with_turn: Vec<(usize, NotReady)> = with_turn.collect();
    // A stable sort: within a turn, namespaces stay in their order.
    with_turn.sort_by_key(|(turn, _)| *turn);
    with_turn.into_iter().take(MOST_NAMED).map(|(_, object)| object).collect()
}

/// Recipients of all images, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grants {
    /// Named by active shares, each once per image.
    pub wanted: u64,
    /// Observed at the cloud as having the image.
    pub granted: u64,
    /// Requested, or being revoked.
    pub pending: u64,
    /// Left at the cloud without an `ImageShare`.
    pub retained: u64,
    /// Requested, and refused by the cloud.
    pub refused: u64,
    /// Present at the cloud, and requested by no object.
    pub unmanaged: u64,
}

/// One image's recipient slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The namespace of its `CloudImage`.
    pub namespace: String,
    /// The name of its `CloudImage`.
    pub name: String,
    /// Used slots.
    pub recipients: u64,
    /// All slots; `None` if there is no limit.
    pub limit: Option<u64>,
}

/// All counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectCounts {
    /// Objects by kind and readiness.
    pub objects: BTreeMap<Counted, u64>,
    /// Objects that are not ready, [`MOST_NAMED`] at most.
    pub not_ready: Vec<NotReady>,
    /// Recipients.
    pub grants: Grants,
    /// Recipient slots of images.
    pub images: Vec<Image>,
    /// Fields that are missing in the API server's definitions, by kind.
    pub missing_fields: BTreeMap<String, u64>,
    /// Pending offers, by namespace and account.
    pub offers: BTreeMap<(String, String), u64>,
}

/// A source of object counts.
pub trait ObjectMetrics: Send + Sync {
    /// Counts the objects.
    fn take(&self) -> ObjectCounts;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_ready(namespace: &str, number: usize) -> NotReady {
        let (name, reason) = (format!("{number:05}"), "ImageNotFound".to_owned());
        NotReady { namespace: namespace.to_owned(), kind: "CloudImage", name, reason }
    }

    #[test]
    fn one_namespace_does_not_crowd_out_the_objects_of_another() {
        let mut all: Vec<NotReady> = (0..5000).map(|number| not_ready("crowd", number)).collect();
        all.extend((0..3).map(|number| not_ready("small", number)));
        all.reverse();
        let named = round_robin(all.clone());
        assert_eq!(named.len(), MOST_NAMED);
        assert_eq!(named.iter().filter(|object| object.namespace == "small").count(), 3);
        let first = named.iter().filter(|object| object.namespace == "crowd").map(|object| object.name.as_str()).max();
        assert_eq!(first, Some("00996"), "the same ones at every scrape");
        all.truncate(MOST_NAMED);
        assert_eq!(round_robin(all.clone()).len(), MOST_NAMED, "as many as may be are all named");
        assert!(round_robin(Vec::new()).is_empty());
    }
}
