//! The vendor's own throttling: a bucket for each API, account and region. Figures of the throttling page.

use super::rules;
use super::world::Asker;
use crate::chassis::refusal::Refusal;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A bucket: how much it holds, and how much flows in each second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Size {
    holds: f64,
    per_second: f64,
}

impl Size {
    /// What the bucket of an action is like.
    pub(super) fn of(action: &str, is_scoped: bool) -> Self {
        let (holds, per_second) = match action {
            "DescribeSnapshots" if !is_scoped => (50.0, 10.0),
            "ModifyImageAttribute" | "ModifySnapshotAttribute" | "DeregisterImage" => (100.0, 5.0),
            "CopyImage" => (100.0, 1.0),
            "CreateTags" | "DeleteTags" => (100.0, 10.0),
            "EnableImageBlockPublicAccess" | "DisableImageBlockPublicAccess" => (1.0, 0.1),
            action if ["Describe", "Get", "List"].iter().any(|start| action.starts_with(start)) => (100.0, 20.0),
            _ => (50.0, 5.0),
        };
        Self { holds, per_second }
    }
}

/// The buckets as they were last used.
#[derive(Debug, Clone, Default)]
pub(super) struct Buckets(BTreeMap<(Asker, String), (f64, Timestamp)>);

impl Buckets {
    /// Takes a call out of its bucket.
    ///
    /// # Errors
    /// The bucket is empty.
    pub(super) fn take(&mut self, asker: &Asker, action: &str, size: Size, now: Timestamp) -> Result<(), Refusal> {
        let (left, since) = self.0.entry((asker.clone(), action.to_owned())).or_insert((size.holds, now));
        let elapsed = now.duration_since(*since).as_secs_f64().max(0.0);
        *left = (*left + elapsed * size.per_second).min(size.holds);
        *since = now;
        if *left < 1.0 {
            return Err(rules::THROTTLED.refuse());
        }
        *left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(account: &str, region: &str) -> Asker {
        Asker { account: account.into(), region: region.into() }
    }

    #[test]
    fn each_api_of_an_account_in_a_region_has_its_bucket() {
        let mut buckets = Buckets::default();
        let size = Size::of("CopyImage", false);
        let mut take = |who: &Asker, action: &str, millis: i64| {
            buckets.take(who, action, size, Timestamp::from_millisecond(millis).unwrap()).is_ok()
        };
        let one = asker("1", "a");
        assert!((0..100).all(|_| take(&one, "CopyImage", 0)));
        assert!(!take(&one, "CopyImage", 0) && !take(&one, "CopyImage", 900));
        for other in [asker("2", "a"), asker("1", "b")] {
            assert!(take(&other, "CopyImage", 900));
        }
        assert!(take(&one, "DeregisterImage", 900));
        assert!(take(&one, "CopyImage", 1_000) && !take(&one, "CopyImage", 1_000));
        assert!((0..100).all(|_| take(&one, "CopyImage", 1_000_000)) && !take(&one, "CopyImage", 1_000_000));
    }

    #[test]
    fn buckets_are_as_large_as_the_vendor_says() {
        let of = |action, scoped| {
            let size = Size::of(action, scoped);
            (size.holds.to_string(), size.per_second.to_string())
        };
        let pair = |holds: &str, rate: &str| (holds.to_owned(), rate.to_owned());
        assert_eq!(of("DescribeImages", false), pair("100", "20"));
        assert_eq!(of("DescribeSnapshots", false), pair("50", "10"));
        assert_eq!(of("DescribeSnapshots", true), pair("100", "20"));
        assert_eq!(of("ModifyImageAttribute", false), pair("100", "5"));
        assert_eq!(of("DisableImage", false), pair("50", "5"));
    }
}
