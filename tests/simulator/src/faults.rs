//! Faults that befall requests: scripted ones, matched by what a request asks, and seeded random ones. Decides only;
//! the front door carries out what is decided here.

use super::names::{AccountId, ImageId, RegionId};
use super::rules::{self, Refusal};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most scripted faults at a time.
pub(super) const MAX_FAULTS: usize = 1_000;
/// Longest delay or lag, in milliseconds: ten minutes.
pub(super) const MAX_MILLIS: u64 = 600_000;

/// A scripted fault.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Which requests it is for. Default all.
    #[serde(default)]
    pub when: Matcher,
    /// How often it strikes. Default until cleared, or once where `when.nth` is set.
    #[serde(default)]
    pub count: Option<u64>,
    /// What it does.
    pub then: Action,
}

/// Which requests a fault is for: all that is named must be so.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Matcher {
    /// The action.
    pub action: Option<String>,
    /// The image named.
    pub image: Option<ImageId>,
    /// The account that asks.
    pub account: Option<AccountId>,
    /// An account to be added or removed.
    pub recipient: Option<AccountId>,
    /// The region named.
    pub region: Option<RegionId>,
    /// It strikes from the nth such request on, counting from 1.
    pub nth: Option<u64>,
}

/// What a fault does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields, tag = "kind")]
pub enum Action {
    /// 400 `Throttling.User`, with `x-acs-retry-after` where the wait is above 0. Huawei Cloud: 429 `APIGW.0308`, with
    /// `Retry-After` (whole seconds, rounded up) where it is.
    Throttle {
        /// The wait told, in milliseconds. Default 0: none told.
        #[serde(default)]
        retry_after_millis: u64,
    },
    /// 503 `ServiceUnavailable`; Huawei Cloud: 503 `IMG.0061`.
    Unavailable,
    /// 500 `InternalError`; Huawei Cloud: 500 `IMG.0061`.
    InternalError,
    /// Any refusal.
    Refuse {
        /// HTTP status, 400 to 599.
        status: u16,
        /// Code.
        code: String,
        /// Message. Default: that the weather did it.
        #[serde(default)]
        message: Option<String>,
    },
    /// The connection closes without effect and without an answer.
    CutBefore,
    /// The connection closes without an answer; the effect stands.
    CutAfter,
    /// The answer is late; the effect is not.
    Slow {
        /// How late, in milliseconds.
        millis: u64,
    },
    /// Lists of an image's recipients (`DescribeImageSharePermission`, members) show the sharing as it was, by the simulator's clock.
    DescribeLag {
        /// How long ago, in milliseconds.
        millis: u64,
    },
    /// 200 with a body that is no JSON; the effect stands.
    WrongJson {
        /// The body. Default an HTML page.
        #[serde(default)]
        body: Option<String>,
    },
    /// Rows missing from a page, the total still counting them.
    TruncatedPage {
        /// How many rows are missing, from the end. Default 1.
        #[serde(default = "one")]
        drop: usize,
    },
    /// A page without rows and with a total of 0.
    EmptyList,
    /// The connection closes half way through the answer's body; the effect stands.
    TruncatedBody,
    /// Huawei Cloud: the job that the request starts fails. No fault elsewhere.
    JobFails {
        /// The job's error code.
        code: String,
        /// How many members, in the order of the request, it applies first. Default 0.
        #[serde(default)]
        partial: usize,
    },
    /// Huawei Cloud: the job that the request starts, or the deletion, takes longer. No fault elsewhere.
    JobSlow {
        /// How much longer, in milliseconds.
        millis: u64,
    },
}

fn one() -> usize {
    1
}

impl Action {
    /// The kind's name, as in a fault's JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Throttle { .. } => "throttle",
            Self::Unavailable => "unavailable",
            Self::InternalError => "internalError",
            Self::Refuse { .. } => "refuse",
            Self::CutBefore => "cutBefore",
            Self::CutAfter => "cutAfter",
            Self::Slow { .. } => "slow",
            Self::DescribeLag { .. } => "describeLag",
            Self::WrongJson { .. } => "wrongJson",
            Self::TruncatedPage { .. } => "truncatedPage",
            Self::EmptyList => "emptyList",
            Self::TruncatedBody => "truncatedBody",
            Self::JobFails { .. } => "jobFails",
            Self::JobSlow { .. } => "jobSlow",
        }
    }

    /// The refusal this fault answers with at Alibaba Cloud, if it is one.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Throttle { .. } => Some(rules::THROTTLED.refuse()),
            Self::Unavailable => Some(rules::UNAVAILABLE.refuse()),
            Self::InternalError => Some(rules::INTERNAL_ERROR.refuse()),
            Self::Refuse { status, code, message } => {
                let message = message.clone().unwrap_or_else(|| "refused by the simulator's weather".to_owned());
                Some(Refusal { status: *status, code: code.clone(), message })
            }
            _ => None,
        }
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Self::Refuse { status, .. } if !(400..600).contains(status) => {
                Err(format!("a refusal's status is 400 to 599, not {status}"))
            }
            Self::Throttle { retry_after_millis: millis }
            | Self::Slow { millis }
            | Self::DescribeLag { millis }
            | Self::JobSlow { millis }
                if *millis > MAX_MILLIS =>
            {
                Err(format!("{millis} ms is more than {MAX_MILLIS}"))
            }
            _ => Ok(()),
        }
    }
}

/// Seeded random weather: at most one fault a request, drawn from these probabilities.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RandomFaults {
    /// The seed; the same requests in the same order meet the same faults.
    pub seed: u64,
    /// Probability of each kind in thousandths; together at most 1000. All kinds but `refuse`.
    pub per_mille: BTreeMap<String, u32>,
    /// Wait told by a random `throttle`, in milliseconds.
    pub retry_after_millis: u64,
    /// Delay of a random `slow` or `jobSlow`, in milliseconds.
    pub slow_millis: u64,
    /// Lag of a random `describeLag`, in milliseconds.
    pub lag_millis: u64,
}

impl RandomFaults {
    fn fault(&self, kind: &str) -> Option<Action> {
        Some(match kind {
            "throttle" => Action::Throttle { retry_after_millis: self.retry_after_millis },
            "unavailable" => Action::Unavailable,
            "internalError" => Action::InternalError,
            "cutBefore" => Action::CutBefore,
            "cutAfter" => Action::CutAfter,
            "slow" => Action::Slow { millis: self.slow_millis },
            "describeLag" => Action::DescribeLag { millis: self.lag_millis },
            "wrongJson" => Action::WrongJson { body: None },
            "truncatedPage" => Action::TruncatedPage { drop: 1 },
            "emptyList" => Action::EmptyList,
            "truncatedBody" => Action::TruncatedBody,
            "jobFails" => Action::JobFails { code: "IMG.0061".to_owned(), partial: 1 },
            "jobSlow" => Action::JobSlow { millis: self.slow_millis },
            _ => return None,
        })
    }
}

/// What of a request a fault can be matched on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traits<'a> {
    /// The action.
    pub action: &'a str,
    /// The images named.
    pub images: &'a [ImageId],
    /// The account that asks; at Huawei Cloud by its project and by its domain.
    pub accounts: &'a [AccountId],
    /// The accounts to be added, removed, or that answer.
    pub recipients: &'a [AccountId],
    /// The region named.
    pub region: Option<&'a RegionId>,
}

#[derive(Debug)]
struct Scripted {
    fault: Fault,
    met: u64,
    struck: u64,
}

/// A scripted fault and how it stands.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveFaults {
    /// The fault.
    #[serde(flatten)]
    pub fault: Fault,
    /// Requests that matched so far.
    pub met: u64,
    /// Times it struck.
    pub struck: u64,
}

/// The faults in force.
#[derive(Debug)]
pub(super) struct FaultInjection {
    scripted: Vec<Scripted>,
    climate: RandomFaults,
    chance: Xoshiro256PlusPlus,
}

impl Default for FaultInjection {
    fn default() -> Self {
        Self { scripted: Vec::new(), climate: RandomFaults::default(), chance: Xoshiro256PlusPlus::seed_from_u64(0) }
    }
}

impl FaultInjection {
    /// Adds scripted faults.
    ///
    /// # Errors
    /// When one is out of bounds or there are too many; then none is added.
    pub(super) fn script(&mut self, faults: Vec<Fault>) -> Result<(), String> {
        if self.scripted.len() + faults.len() > MAX_FAULTS {
            return Err(format!("more than {MAX_FAULTS} faults"));
        }
        for fault in &faults {
            fault.then.check()?;
        }
        self.scripted.extend(faults.into_iter().map(|fault| Scripted { fault, met: 0, struck: 0 }));
        Ok(())
    }

    /// Ends all scripted faults.
    pub(super) fn clear_script(&mut self) {
        self.scripted.clear();
    }

    /// The scripted faults not yet used up, and how they stand.
    pub(super) fn standing(&self) -> Vec<ActiveFaults> {
        let standing = |s: &Scripted| ActiveFaults { fault: s.fault.clone(), met: s.met, struck: s.struck };
        self.scripted.iter().map(standing).collect()
    }

    /// Sets the random weather and starts its chance anew.
    ///
    /// # Errors
    /// When a kind is unknown, a time is out of bounds, or the probabilities exceed 1000.
    pub(super) fn set_climate(&mut self, climate: RandomFaults) -> Result<(), String> {
        for kind in climate.per_mille.keys() {
            climate.fault(kind).ok_or_else(|| format!("there is no random fault of kind {kind}"))?.check()?;
        }
        let total: u64 = climate.per_mille.values().map(|share| u64::from(*share)).sum();
        if total > 1000 {
            return Err(format!("the probabilities add up to {total} of 1000"));
        }
        self.chance = Xoshiro256PlusPlus::seed_from_u64(climate.seed);
        self.climate = climate;
        Ok(())
    }

    /// The faults that befall this request, scripted ones first. Faults used up are gone afterwards.
    pub(super) fn befall(&mut self, request: &Traits<'_>) -> Vec<Action> {
        let mut faults = Vec::new();
        for scripted in &mut self.scripted {
            if scripted.strikes(request) {
                faults.push(scripted.fault.then.clone());
            }
        }
        self.scripted.retain(|scripted| !scripted.used_up());
        faults.extend(self.random());
        faults
    }

    fn random(&mut self) -> Option<Action> {
        if self.climate.per_mille.is_empty() {
            return None;
        }
        let mut roll = self.chance.random_range(0..1000_u32);
        for (kind, share) in &self.climate.per_mille {
            if roll < *share {
                return self.climate.fault(kind);
            }
            roll -= share;
        }
        None
    }
}

impl Scripted {
    fn strikes(&mut self, request: &Traits<'_>) -> bool {
        if !self.fault.when.matches(request) {
            return false;
        }
        self.met += 1;
        let strikes = self.met >= self.fault.when.nth.unwrap_or(1) && !self.used_up();
        self.struck += u64::from(strikes);
        strikes
    }

    fn used_up(&self) -> bool {
        let count = self.fault.count.or(self.fault.when.nth.map(|_| 1));
        count.is_some_and(|count| self.struck >= count)
    }
}

impl Matcher {
    fn matches(&self, request: &Traits<'_>) -> bool {
        self.action.as_deref().is_none_or(|action| action == request.action)
            && self.image.as_ref().is_none_or(|image| request.images.contains(image))
            && self.account.as_ref().is_none_or(|account| request.accounts.contains(account))
            && self.recipient.as_ref().is_none_or(|account| request.recipients.contains(account))
            && self.region.as_ref().is_none_or(|region| request.region == Some(region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(weather: &mut FaultInjection, action: &str, account: &str) -> Vec<&'static str> {
        let account = AccountId::from(account);
        let request = Traits { action, images: &[], accounts: &[account], recipients: &[], region: None };
        weather.befall(&request).iter().map(Action::kind).collect()
    }

    fn fault(json: &str) -> Fault {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_fault_with_nth_strikes_that_request_only() {
        let mut weather = FaultInjection::default();
        weather.script(vec![fault(r#"{"when":{"action":"DeleteImage","nth":2},"then":{"kind":"cutAfter"}}"#)]).unwrap();
        assert!(strikes(&mut weather, "DeleteImage", "1").is_empty());
        assert!(strikes(&mut weather, "DescribeImages", "1").is_empty());
        assert_eq!(strikes(&mut weather, "DeleteImage", "1"), ["cutAfter"]);
        assert!(strikes(&mut weather, "DeleteImage", "1").is_empty());
        assert!(weather.standing().is_empty());
    }

    #[test]
    fn a_fault_without_count_strikes_until_cleared() {
        let mut weather = FaultInjection::default();
        weather.script(vec![fault(r#"{"when":{"account":"1"},"then":{"kind":"unavailable"}}"#)]).unwrap();
        for _ in 0..3 {
            assert_eq!(strikes(&mut weather, "DescribeImages", "1"), ["unavailable"]);
            assert!(strikes(&mut weather, "DescribeImages", "2").is_empty());
        }
        assert_eq!(weather.standing()[0].struck, 3);
        weather.clear_script();
        assert!(strikes(&mut weather, "DescribeImages", "1").is_empty());
    }

    #[test]
    fn the_same_seed_brings_the_same_weather() {
        let climate: RandomFaults =
            serde_json::from_str(r#"{"seed":7,"perMille":{"throttle":300,"cutAfter":300}}"#).unwrap();
        let run = || {
            let mut weather = FaultInjection::default();
            weather.set_climate(climate.clone()).unwrap();
            (0..50).map(|_| strikes(&mut weather, "DescribeImages", "1")).collect::<Vec<_>>()
        };
        let first = run();
        assert_eq!(first, run());
        for kinds in [vec!["throttle"], vec!["cutAfter"], vec![]] {
            assert!(first.contains(&kinds), "{kinds:?} never came");
        }
    }

    #[test]
    fn weather_out_of_bounds_is_refused_whole() {
        let mut weather = FaultInjection::default();
        let faults = vec![
            fault(r#"{"then":{"kind":"emptyList"}}"#),
            fault(r#"{"then":{"kind":"refuse","status":200,"code":"Ok"}}"#),
        ];
        assert!(weather.script(faults).is_err());
        assert!(weather.standing().is_empty());
        let climate = |kind: &str, share: u32| RandomFaults {
            per_mille: BTreeMap::from([(kind.to_owned(), share)]),
            ..RandomFaults::default()
        };
        assert!(weather.set_climate(climate("refuse", 1)).is_err());
        assert!(weather.set_climate(climate("throttle", 1001)).is_err());
    }

    #[test]
    fn a_fault_with_an_unknown_field_is_no_fault() {
        assert!(serde_json::from_str::<Fault>(r#"{"when":{"acton":"x"},"then":{"kind":"emptyList"}}"#).is_err());
        assert!(serde_json::from_str::<Fault>(r#"{"then":{"kind":"slow","milis":1}}"#).is_err());
    }
}
