//! Fault injection: scripted faults, matched by what a request asks, and seeded random ones. Decides only; what is decided
//! here is carried out in `exchange` and `front_end`.

use super::names::{AccountId, ImageId, RegionId};
use super::refusal::{Refusal, Rule};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most scripted faults at a time.
pub(crate) const MAX_FAULTS: usize = 1_000;
/// Longest delay or lag, in milliseconds: ten minutes.
pub(crate) const MAX_MILLIS: u64 = 600_000;

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
    /// `Retry-After` (whole seconds, rounded up) where it is. Amazon Web Services: 503 `RequestLimitExceeded`, with
    /// `x-amz-retry-after` (milliseconds) where it is.
    Throttle {
        /// The wait told, in milliseconds. Default 0: none told.
        #[serde(default)]
        retry_after_millis: u64,
    },
    /// 503 `ServiceUnavailable`; Huawei Cloud: 503 `IMG.0061`; Amazon Web Services: 503 `Unavailable`.
    Unavailable,
    /// 500 `InternalError`; Huawei Cloud: 500 `IMG.0061`.
    InternalError,
    /// The page of a gateway in front of the cloud, in HTML.
    GatewayPage {
        /// HTTP status, 500 to 599. Default 502.
        #[serde(default = "bad_gateway")]
        status: u16,
        /// Whether the request took effect nevertheless. Default false.
        #[serde(default)]
        applied: bool,
    },
    /// Any refusal.
    Refuse {
        /// HTTP status, 400 to 599.
        status: u16,
        /// Code.
        code: String,
        /// Message. Default: that fault injection did it.
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
    /// Lists of an image's recipients (`DescribeImageSharePermission`, members) show the sharing as it was, by the simulator's
    /// clock; at Amazon Web Services also what recipients see of it.
    DescribeLag {
        /// How long ago, in milliseconds.
        millis: u64,
    },
    /// 200 with a body that is neither JSON nor XML; the effect stands.
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

fn bad_gateway() -> u16 {
    502
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
            Self::GatewayPage { .. } => "gatewayPage",
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

    /// The refusal this fault answers with at a cloud, if it is one.
    pub(crate) fn refusal(&self, rules: &FaultRules) -> Option<Refusal> {
        match self {
            Self::Throttle { .. } => Some(rules.throttled.refuse()),
            Self::Unavailable | Self::GatewayPage { applied: false, .. } => Some(rules.unavailable.refuse()),
            Self::InternalError => Some(rules.internal_error.refuse()),
            Self::Refuse { status, code, message } => {
                let message =
                    message.clone().unwrap_or_else(|| "refused by the simulator's fault injection".to_owned());
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
            Self::GatewayPage { status, .. } if !(500..600).contains(status) => {
                Err(format!("a gateway's status is 500 to 599, not {status}"))
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

/// How a cloud refuses where a fault makes it.
#[derive(Debug)]
pub(crate) struct FaultRules {
    pub(crate) throttled: Rule,
    pub(crate) unavailable: Rule,
    pub(crate) internal_error: Rule,
}

/// Seeded random faults: at most one a request, drawn from these probabilities.
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
            "gatewayPage" => Action::GatewayPage { status: bad_gateway(), applied: false },
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
#[derive(Debug, Clone)]
pub(crate) struct Traits {
    /// The action.
    pub(crate) action: String,
    /// The images named.
    pub(crate) images: Vec<ImageId>,
    /// The account that asks; at Huawei Cloud by its project and by its domain.
    pub(crate) accounts: Vec<AccountId>,
    /// The accounts to be added, removed, or that answer.
    pub(crate) recipients: Vec<AccountId>,
    /// The region named.
    pub(crate) region: Option<RegionId>,
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
pub struct ActiveFault {
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
pub(crate) struct FaultInjection {
    scripted: Vec<Scripted>,
    random: RandomFaults,
    rng: Xoshiro256PlusPlus,
}

impl Default for FaultInjection {
    fn default() -> Self {
        Self { scripted: Vec::new(), random: RandomFaults::default(), rng: Xoshiro256PlusPlus::seed_from_u64(0) }
    }
}

impl FaultInjection {
    /// Adds scripted faults.
    ///
    /// # Errors
    /// When one is out of bounds or there are too many; then none is added.
    pub(crate) fn script(&mut self, faults: Vec<Fault>) -> Result<(), String> {
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
    pub(crate) fn clear_script(&mut self) {
        self.scripted.clear();
    }

    /// The scripted faults not yet used up, and how they stand.
    pub(crate) fn active(&self) -> Vec<ActiveFault> {
        let active = |s: &Scripted| ActiveFault { fault: s.fault.clone(), met: s.met, struck: s.struck };
        self.scripted.iter().map(active).collect()
    }

    /// Sets the random faults and starts their sequence anew.
    ///
    /// # Errors
    /// When a kind is unknown, a time is out of bounds, or the probabilities exceed 1000.
    pub(crate) fn set_random(&mut self, random: RandomFaults) -> Result<(), String> {
        for kind in random.per_mille.keys() {
            random.fault(kind).ok_or_else(|| format!("there is no random fault of kind {kind}"))?.check()?;
        }
        let total: u64 = random.per_mille.values().map(|share| u64::from(*share)).sum();
        if total > 1000 {
            return Err(format!("the probabilities add up to {total} of 1000"));
        }
        self.rng = Xoshiro256PlusPlus::seed_from_u64(random.seed);
        self.random = random;
        Ok(())
    }

    /// The faults that strike this request, scripted ones first. Faults used up are gone afterwards.
    pub(crate) fn strike(&mut self, request: &Traits) -> Vec<Action> {
        let mut faults = Vec::new();
        for scripted in &mut self.scripted {
            if scripted.strikes(request) {
                faults.push(scripted.fault.then.clone());
            }
        }
        self.scripted.retain(|scripted| !scripted.used_up());
        faults.extend(self.draw());
        faults
    }

    fn draw(&mut self) -> Option<Action> {
        if self.random.per_mille.is_empty() {
            return None;
        }
        let mut roll = self.rng.random_range(0..1000_u32);
        for (kind, share) in &self.random.per_mille {
            if roll < *share {
                return self.random.fault(kind);
            }
            roll -= share;
        }
        None
    }
}

impl Scripted {
    fn strikes(&mut self, request: &Traits) -> bool {
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
    fn matches(&self, request: &Traits) -> bool {
        self.action.as_deref().is_none_or(|action| action == request.action.as_str())
            && self.image.as_ref().is_none_or(|image| request.images.contains(image))
            && self.account.as_ref().is_none_or(|account| request.accounts.contains(account))
            && self.recipient.as_ref().is_none_or(|account| request.recipients.contains(account))
            && self.region.as_ref().is_none_or(|region| request.region.as_ref() == Some(region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(injection: &mut FaultInjection, action: &str, account: &str) -> Vec<&'static str> {
        let accounts = vec![AccountId::from(account)];
        let request = Traits { action: action.to_owned(), images: vec![], accounts, recipients: vec![], region: None };
        injection.strike(&request).iter().map(Action::kind).collect()
    }

    fn fault(json: &str) -> Fault {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_fault_with_nth_strikes_that_request_only() {
        let mut injection = FaultInjection::default();
        injection
            .script(vec![fault(r#"{"when":{"action":"DeleteImage","nth":2},"then":{"kind":"cutAfter"}}"#)])
            .unwrap();
        assert!(strikes(&mut injection, "DeleteImage", "1").is_empty());
        assert!(strikes(&mut injection, "DescribeImages", "1").is_empty());
        assert_eq!(strikes(&mut injection, "DeleteImage", "1"), ["cutAfter"]);
        assert!(strikes(&mut injection, "DeleteImage", "1").is_empty());
        assert!(injection.active().is_empty());
    }

    #[test]
    fn a_fault_without_count_strikes_until_cleared() {
        let mut injection = FaultInjection::default();
        injection.script(vec![fault(r#"{"when":{"account":"1"},"then":{"kind":"unavailable"}}"#)]).unwrap();
        for _ in 0..3 {
            assert_eq!(strikes(&mut injection, "DescribeImages", "1"), ["unavailable"]);
            assert!(strikes(&mut injection, "DescribeImages", "2").is_empty());
        }
        assert_eq!(injection.active()[0].struck, 3);
        injection.clear_script();
        assert!(strikes(&mut injection, "DescribeImages", "1").is_empty());
    }

    #[test]
    fn the_same_seed_brings_the_same_faults() {
        let random: RandomFaults =
            serde_json::from_str(r#"{"seed":7,"perMille":{"throttle":300,"cutAfter":300}}"#).unwrap();
        let run = || {
            let mut injection = FaultInjection::default();
            injection.set_random(random.clone()).unwrap();
            (0..50).map(|_| strikes(&mut injection, "DescribeImages", "1")).collect::<Vec<_>>()
        };
        let first = run();
        assert_eq!(first, run());
        for kinds in [vec!["throttle"], vec!["cutAfter"], vec![]] {
            assert!(first.contains(&kinds), "{kinds:?} never came");
        }
    }

    #[test]
    fn faults_out_of_bounds_are_refused_whole() {
        let mut injection = FaultInjection::default();
        let faults = vec![
            fault(r#"{"then":{"kind":"emptyList"}}"#),
            fault(r#"{"then":{"kind":"refuse","status":200,"code":"Ok"}}"#),
        ];
        assert!(injection.script(faults).is_err());
        assert!(injection.active().is_empty());
        let random = |kind: &str, share: u32| RandomFaults {
            per_mille: BTreeMap::from([(kind.to_owned(), share)]),
            ..RandomFaults::default()
        };
        assert!(injection.set_random(random("refuse", 1)).is_err());
        assert!(injection.set_random(random("throttle", 1001)).is_err());
    }

    #[test]
    fn a_fault_with_an_unknown_field_is_no_fault() {
        assert!(serde_json::from_str::<Fault>(r#"{"when":{"acton":"x"},"then":{"kind":"emptyList"}}"#).is_err());
        assert!(serde_json::from_str::<Fault>(r#"{"then":{"kind":"slow","milis":1}}"#).is_err());
    }
}
