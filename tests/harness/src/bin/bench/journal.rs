//! What the simulated cloud was asked, as its journal tells.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use imageshare_harness::Simulator;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// The reads of one look at an image.
pub(crate) const LOOK: &str = "DescribeImages";

/// Time between two readings.
const PAUSE: Duration = Duration::from_millis(10);

/// Reads the journal on from where it was.
#[derive(Debug)]
pub(crate) struct Tail {
    read: u64,
}

impl Tail {
    /// From now on.
    pub(crate) async fn begin(cloud: &Simulator) -> Result<Self> {
        let reading = cloud.get(&format!("/journal?since={}", u64::MAX)).await?;
        let read = reading.get("last").and_then(Value::as_u64).context("the journal has a last entry")?;
        Ok(Self { read })
    }

    /// What is new since the last reading.
    pub(crate) async fn read(&mut self, cloud: &Simulator) -> Result<Vec<Call>> {
        let entries = cloud.journal(self.read).await?;
        self.read += u64::try_from(entries.len())?;
        entries.iter().map(Call::parse).collect()
    }

    /// Reads on until `wanted` says so of what is new; gives all of it.
    pub(crate) async fn until(
        &mut self,
        cloud: &Simulator,
        limit: Duration,
        what: &str,
        mut wanted: impl FnMut(&[Call]) -> bool,
    ) -> Result<Vec<Call>> {
        let deadline = Instant::now() + limit;
        let mut all = Vec::new();
        loop {
            let more = self.read(cloud).await?;
            let enough = wanted(&more);
            all.extend(more);
            if enough {
                return Ok(all);
            }
            if Instant::now() > deadline {
                bail!("waited {limit:?} in vain for {what}: the cloud saw {} calls", all.len());
            }
            sleep(PAUSE).await;
        }
    }
}

/// One call of the journal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) action: String,
    pub(crate) account: String,
    pub(crate) image: String,
    pub(crate) at: Timestamp,
    pub(crate) added: Vec<String>,
    pub(crate) removed: Vec<String>,
}

impl Call {
    fn parse(entry: &Value) -> Result<Self> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let accounts = |pointer: &str| -> Vec<String> {
            let all = entry.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
            all.filter_map(|account| account.as_str().map(ToOwned::to_owned)).collect()
        };
        Ok(Self {
            action: text("action"),
            account: text("principal"),
            image: text("image"),
            at: text("time").parse().with_context(|| format!("the time of {entry}"))?,
            added: accounts("/effect/added"),
            removed: accounts("/effect/removed"),
        })
    }
}

/// Calls of each action.
pub(crate) fn by_action(calls: &[Call]) -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    for call in calls {
        *counted.entry(call.action.clone()).or_default() += 1;
    }
    counted
}

/// How many recipients came to have an image.
pub(crate) fn granted(calls: &[Call]) -> usize {
    calls.iter().map(|call| call.added.len()).sum()
}

/// The images that were looked at, and how often the one that was looked at most.
pub(crate) fn looks(calls: &[Call]) -> (usize, u64) {
    let mut by_image = BTreeMap::<&str, u64>::new();
    for call in calls.iter().filter(|call| call.action == LOOK) {
        *by_image.entry(&call.image).or_default() += 1;
    }
    (by_image.len(), by_image.into_values().max().unwrap_or_default())
}

/// The images that were looked at, collected reading by reading.
#[derive(Debug, Default)]
pub(crate) struct LookedAt(BTreeSet<String>);

impl LookedAt {
    /// Adds what was looked at; how many that is.
    pub(crate) fn add(&mut self, calls: &[Call]) -> usize {
        let looks = calls.iter().filter(|call| call.action == LOOK);
        self.0.extend(looks.map(|call| call.image.clone()));
        self.0.len()
    }
}

/// By how many calls the account that had most exceeded a bucket of `burst`, filled with `per_second`. Identity and regions
/// are asked elsewhere, of buckets of their own.
#[allow(clippy::cast_precision_loss, reason = "small counts")]
pub(crate) fn excess(calls: &[Call], per_second: f64, burst: f64) -> f64 {
    let mut buckets = BTreeMap::<&str, (f64, Timestamp)>::new();
    let mut worst = 0.0_f64;
    for call in calls.iter().filter(|call| !call.image.is_empty()) {
        let (left, at) = buckets.entry(&call.account).or_insert((burst, call.at));
        let passed = call.at.duration_since(*at).max(SignedDuration::ZERO).as_secs_f64();
        // What was taken too much stays taken: it is counted once.
        *left = (*left + passed * per_second).min(burst) - 1.0;
        *at = call.at.max(*at);
        worst = worst.max(-*left);
    }
    worst.max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(action: &str, image: &str, millisecond: i64) -> Call {
        let at = Timestamp::from_millisecond(millisecond).unwrap();
        Call { action: action.into(), account: "1".into(), image: image.into(), at, added: vec![], removed: vec![] }
    }

    #[test]
    fn a_bucket_is_exceeded_by_what_it_had_no_token_for() {
        let steady: Vec<Call> = (0..100).map(|n| call(LOOK, "m", n * 200)).collect();
        assert!(excess(&steady, 5.0, 10.0) < 0.01);
        let burst: Vec<Call> = (0..10).map(|_| call(LOOK, "m", 0)).collect();
        assert!(excess(&burst, 5.0, 10.0) < 0.01);
        let too_many: Vec<Call> = (0..13).map(|_| call(LOOK, "m", 0)).collect();
        assert!((excess(&too_many, 5.0, 10.0) - 3.0).abs() < 0.01);
    }

    #[test]
    fn looks_are_counted_by_image() {
        let calls =
            [call(LOOK, "a", 0), call(LOOK, "b", 0), call("DescribeImageSharePermission", "a", 0), call(LOOK, "a", 1)];
        assert_eq!(looks(&calls), (2, 2));
        assert_eq!(
            by_action(&calls).into_iter().collect::<Vec<_>>(),
            [("DescribeImageSharePermission".to_owned(), 1), (LOOK.to_owned(), 3)]
        );
    }

    #[test]
    fn an_entry_tells_who_came_and_who_went() {
        let entry = serde_json::json!({"action": "ModifyImageSharePermission", "principal": "1", "image": "m",
            "time": "2026-01-01T00:00:00Z", "effect": {"added": ["2", "3"], "removed": ["4"]}});
        let call = Call::parse(&entry).unwrap();
        assert_eq!((call.added, call.removed), (vec!["2".to_owned(), "3".to_owned()], vec!["4".to_owned()]));
        assert!(Call::parse(&serde_json::json!({"action": "x"})).is_err());
    }
}
