//! Throttling: how many calls of an API an account has in a minute.

use super::journal::Provider;
use super::names::AccountId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most limits at a time.
const MAX_LIMITS: usize = 100;

/// A limit on the calls of an API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallLimit {
    /// At which cloud. Default all.
    #[serde(default)]
    pub provider: Option<Provider>,
    /// Of which action. Default each by itself.
    #[serde(default)]
    pub action: Option<String>,
    /// Most calls of an account in a minute of the simulator's clock.
    pub calls_per_minute: u32,
    /// Whether the answer past that tells how long to wait. Default false.
    #[serde(default)]
    pub tells_wait: bool,
}

/// A call past its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded {
    /// How long to wait, in milliseconds; 0 where that is not told.
    pub(crate) wait_millis: u64,
}

/// The limits in force, and the calls of this minute.
#[derive(Debug, Default)]
pub(crate) struct CallLimits {
    limits: Vec<CallLimit>,
    minute: i64,
    calls: BTreeMap<(Provider, AccountId, String), u32>,
}

impl CallLimits {
    /// Replaces the limits, and starts the count anew.
    ///
    /// # Errors
    /// When there are too many; then they stay as they were.
    pub(crate) fn set(&mut self, limits: Vec<CallLimit>) -> Result<(), String> {
        if limits.len() > MAX_LIMITS {
            return Err(format!("more than {MAX_LIMITS} limits"));
        }
        *self = Self { limits, ..Self::default() };
        Ok(())
    }

    /// The limits in force.
    pub(crate) fn all(&self) -> &[CallLimit] {
        &self.limits
    }

    /// Counts a call.
    ///
    /// # Errors
    /// When it is one too many of its minute.
    pub(crate) fn count(
        &mut self,
        provider: Provider,
        account: &AccountId,
        action: &str,
        now: Timestamp,
    ) -> Result<(), Exceeded> {
        let holds = |limit: &&CallLimit| {
            limit.provider.is_none_or(|one| one == provider) && limit.action.as_deref().is_none_or(|one| one == action)
        };
        let Some(limit) = self.limits.iter().find(holds) else { return Ok(()) };
        let millis = now.as_millisecond();
        if self.minute != millis.div_euclid(60_000) {
            self.minute = millis.div_euclid(60_000);
            self.calls.clear();
        }
        let calls = self.calls.entry((provider, account.clone(), action.to_owned())).or_default();
        *calls = calls.saturating_add(1);
        if *calls <= limit.calls_per_minute {
            return Ok(());
        }
        let wait = u64::try_from(60_000 - millis.rem_euclid(60_000)).unwrap_or_default();
        Err(Exceeded { wait_millis: if limit.tells_wait { wait } else { 0 } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_has_its_calls_of_each_api_in_each_minute() {
        let mut limits = CallLimits::default();
        let limit = |json: &str| serde_json::from_str::<CallLimit>(json).unwrap();
        let share = limit(r#"{"action": "Share", "callsPerMinute": 2, "tellsWait": true}"#);
        let rest = limit(r#"{"provider": "huawei", "callsPerMinute": 1}"#);
        limits.set(vec![share, rest]).unwrap();
        let mut call = |provider, account: &str, action: &str, seconds| {
            let now = Timestamp::from_second(seconds).unwrap();
            limits.count(provider, &account.into(), action, now).map_err(|exceeded| exceeded.wait_millis)
        };
        let alibaba = Provider::Alibaba;
        assert_eq!([(); 3].map(|()| call(alibaba, "1", "Share", 20)), [Ok(()), Ok(()), Err(40_000)]);
        assert_eq!(call(alibaba, "2", "Share", 20), Ok(()));
        assert_eq!([(); 2].map(|()| call(Provider::Huawei, "1", "List", 20)), [Ok(()), Err(0)]);
        assert_eq!([(); 3].map(|()| call(alibaba, "1", "List", 20)), [Ok(()), Ok(()), Ok(())]);
        assert_eq!(call(alibaba, "1", "Share", 60), Ok(()));
    }
}
