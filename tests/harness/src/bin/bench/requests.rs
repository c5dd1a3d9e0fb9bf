//! How many writes the API server was asked for, as its own metrics count them: also those that were refused or changed
//! nothing.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

/// The verbs of writes.
const WRITES: [&str; 6] = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"];

/// One kind of write.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Write {
    /// In the plural, as `imageshares`.
    pub(crate) resource: String,
    /// As `status`; empty for the object itself.
    pub(crate) subresource: String,
    /// In capitals; a server-side apply is `APPLY`.
    pub(crate) verb: String,
}

/// Writes of each kind.
pub(crate) type Writes = BTreeMap<Write, u64>;

/// All writes to our kinds, and all events, since the API server started.
pub(crate) async fn writes(client: &kube::Client) -> Result<Writes> {
    let metrics = client.request_text(http::Request::get("/metrics").body(Vec::new())?).await?;
    let counted = read(&metrics);
    ensure!(!counted.is_empty(), "the API server counts no writes at all");
    Ok(counted)
}

/// What came to be between two countings.
pub(crate) fn between(before: &Writes, after: &Writes) -> Writes {
    let more = |(write, count): (&Write, &u64)| {
        let grown = count.saturating_sub(before.get(write).copied().unwrap_or_default());
        (grown > 0).then(|| (write.clone(), grown))
    };
    after.iter().filter_map(more).collect()
}

fn read(metrics: &str) -> Writes {
    let mut counted = Writes::new();
    for line in metrics.lines() {
        let Some((labels, count)) = line.strip_prefix("apiserver_request_total{").and_then(|l| l.split_once("} "))
        else {
            continue;
        };
        let label = |name: &str| {
            let found = labels.split(',').find_map(|label| label.strip_prefix(name)?.strip_prefix("=\""));
            found.map(|value| value.trim_end_matches('"')).unwrap_or_default()
        };
        let ours = label("group") == "imageshare.dev" || label("resource") == "events";
        if !ours || !WRITES.contains(&label("verb")) {
            continue;
        }
        let owned = |name| label(name).to_owned();
        let write = Write { resource: owned("resource"), subresource: owned("subresource"), verb: owned("verb") };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters are whole and small")]
        let count = count.parse::<f64>().unwrap_or_default() as u64;
        *counted.entry(write).or_default() += count;
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = r#"# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",dry_run="",group="imageshare.dev",resource="imageshares",scope="resource",subresource="status",verb="APPLY",version="v1alpha1"} 12
apiserver_request_total{code="409",component="apiserver",dry_run="",group="imageshare.dev",resource="imageshares",scope="resource",subresource="status",verb="APPLY",version="v1alpha1"} 3
apiserver_request_total{code="200",component="apiserver",dry_run="",group="imageshare.dev",resource="imageshares",scope="cluster",subresource="",verb="LIST",version="v1alpha1"} 7
apiserver_request_total{code="201",component="apiserver",dry_run="",group="events.k8s.io",resource="events",scope="resource",subresource="",verb="POST",version="v1"} 2e+06
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="secrets",scope="resource",subresource="",verb="PUT",version="v1"} 5
"#;

    #[test]
    fn writes_to_our_kinds_and_events_are_counted_whatever_their_answer() {
        let counted: Vec<(String, u64)> = read(METRICS)
            .into_iter()
            .map(|(w, count)| (format!("{} {}/{}", w.verb, w.resource, w.subresource), count))
            .collect();
        assert_eq!(counted, [("POST events/".to_owned(), 2_000_000), ("APPLY imageshares/status".to_owned(), 15)]);
    }

    #[test]
    fn only_what_is_new_is_between_two_countings() {
        let (before, mut after) = (read(METRICS), read(METRICS));
        assert!(between(&before, &after).is_empty());
        *after.values_mut().next().unwrap() += 4;
        assert_eq!(between(&before, &after).into_values().collect::<Vec<_>>(), [4]);
    }
}
