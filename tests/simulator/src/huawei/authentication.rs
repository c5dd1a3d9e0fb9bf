//! Who asks: a request's token, or its key, date and signature; locks keys that sign wrongly too often.

use super::Cloud;
use super::iam::Sessions;
use super::recipient::is_hex_id;
use super::rules;
use super::signature::Claim;
use super::temporary::TemporaryKeys;
use super::world::Asker;
use super::world_file::{Domain, Key};
use crate::chassis::names::{AccountId, RegionId};
use crate::chassis::refusal::Refusal;
use crate::chassis::wire::Wire;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// What is remembered of those who ask: tokens and temporary keys given out, and keys that signed wrongly. Only known keys are
/// remembered, so it is bounded by those.
#[derive(Debug, Default)]
pub(super) struct Access {
    pub(super) sessions: Sessions,
    pub(super) temporary: TemporaryKeys,
    failures: BTreeMap<String, Failures>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Failures {
    in_a_row: u32,
    locked_until: Option<Timestamp>,
}

/// An authenticated caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Its domain.
    pub(super) domain: AccountId,
    /// Its project and that project's region; none where it acts for its domain.
    pub(super) place: Option<(AccountId, RegionId)>,
    /// The key or user.
    pub(super) key_id: String,
}

impl Caller {
    /// The caller of a domain, acting for one of its projects where that is given.
    pub(super) fn of(domain: &Domain, project: Option<&AccountId>, key_id: &str) -> Self {
        let project = project.and_then(|id| domain.projects.iter().find(|project| project.id == *id));
        let place = project.map(|project| (project.id.clone(), project.region.clone()));
        Self { domain: domain.id.clone(), place, key_id: key_id.to_owned() }
    }

    /// The project it acts for; IMS knows no other callers.
    pub(super) fn asker(&self) -> Result<Asker, Refusal> {
        let (project, region) = self.place.clone().ok_or_else(|| rules::PROJECT_MISMATCH.about("no project"))?;
        Ok(Asker { project, region, key_id: self.key_id.clone() })
    }

    /// Whoever asks for what needs no credentials.
    pub(super) fn nobody() -> Self {
        Self { domain: AccountId::from("anonymous"), place: None, key_id: String::new() }
    }

    /// Its names, for injected faults: project and domain.
    pub(super) fn names(&self) -> Vec<AccountId> {
        self.place.iter().map(|(project, _)| project.clone()).chain([self.domain.clone()]).collect()
    }
}

/// Authenticates a request by its token or its signature.
pub(super) fn authenticate(wire: &Wire, cloud: &mut Cloud, now: Timestamp) -> Result<Caller, Refusal> {
    let Cloud { world, access } = cloud;
    if let Some(token) = wire.header("x-auth-token").filter(|_| wire.header("authorization").is_none()) {
        let caller = access.sessions.caller(token, now);
        let known = caller.filter(|caller| world.domain(&caller.domain).is_some());
        return known.cloned().ok_or_else(|| rules::NOT_AUTHENTICATED.about("decrypt token fail"));
    }
    let claim = Claim::read(wire).ok_or_else(|| rules::NOT_AUTHENTICATED.about("no valid Authorization header"))?;
    let date = wire.header("x-sdk-date").and_then(parse_date);
    let date = date.ok_or_else(|| rules::NOT_AUTHENTICATED.about("X-Sdk-Date is malformed"))?;
    if now.duration_since(date).abs() > SignedDuration::from_secs(rules::TIME_SKEW_SECONDS) {
        return Err(rules::NOT_AUTHENTICATED.about("X-Sdk-Date is too far from the server's clock"));
    }
    let lasting = world.key(&claim.ak).filter(|(_, key)| !key.disabled && !key.expired);
    let lasting = lasting.map(|(domain, key)| (domain, key.clone()));
    let found = lasting.or_else(|| access.temporary.find(world, &claim.ak, now));
    let (domain, key) = found.ok_or_else(|| rules::NOT_AUTHENTICATED.about("Get secretKey failed, ak not exist"))?;
    access.check_lock(&key.ak, now)?;
    let given = wire.header("x-security-token").filter(|token| !token.is_empty());
    if given != key.token.as_deref() {
        return Err(rules::NOT_AUTHENTICATED.about("the security token is not the key's"));
    }
    if !claim.is_signed_with(&key.sk, wire) {
        access.count_failure(&key.ak, now);
        return Err(rules::NOT_AUTHENTICATED.about("verify aksk signature fail"));
    }
    access.failures.remove(&key.ak);
    let project = project_of(wire, domain, &key)?;
    Ok(Caller::of(domain, project.as_ref(), &key.ak))
}

/// The project a signed request is for: the one its header names, else the key's own, else the domain's first. A header
/// for the whole domain means none.
fn project_of(wire: &Wire, domain: &Domain, key: &Key) -> Result<Option<AccountId>, Refusal> {
    let Some(named) = wire.header("x-project-id").filter(|named| !named.is_empty()) else {
        let by_domain = wire.header("x-domain-id").is_some_and(|named| !named.is_empty());
        let own = key.project.clone().or_else(|| domain.projects.first().map(|project| project.id.clone()));
        return Ok(own.filter(|_| !by_domain));
    };
    if !is_hex_id(named) {
        return Err(rules::BAD_PROJECT_ID.about(named));
    }
    let project = domain.projects.iter().find(|project| project.id.as_str() == named);
    project.map(|project| Some(project.id.clone())).ok_or_else(|| rules::PROJECT_MISMATCH.about(named))
}

impl Access {
    fn check_lock(&self, ak: &str, now: Timestamp) -> Result<(), Refusal> {
        let until = self.failures.get(ak).and_then(|failures| failures.locked_until);
        match until {
            Some(until) if now < until => {
                Err(rules::NOT_AUTHENTICATED.about("AK access failed to reach the limit, forbidden"))
            }
            _ => Ok(()),
        }
    }

    fn count_failure(&mut self, ak: &str, now: Timestamp) {
        let failures = self.failures.entry(ak.to_owned()).or_default();
        failures.in_a_row += 1;
        if failures.in_a_row >= rules::LOCK_AFTER {
            let until = now.checked_add(SignedDuration::from_secs(rules::LOCK_SECONDS));
            *failures = Failures { in_a_row: 0, locked_until: until.ok() };
        }
    }
}

/// `yyyyMMddTHHmmssZ`, and nothing else.
fn parse_date(text: &str) -> Option<Timestamp> {
    let date = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    (date_text(date) == text).then_some(date)
}

/// An instant as `X-Sdk-Date` writes it.
pub(super) fn date_text(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_one_form() {
        assert_eq!(parse_date("20240506T070809Z").unwrap().to_string(), "2024-05-06T07:08:09Z");
        for bad in ["", "2024-05-06T07:08:09Z", "20240506T070809", "20240506T0708 9Z", "20241306T070809Z"] {
            assert!(parse_date(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_lock_ends_by_the_clock_and_needs_its_failures_in_a_row() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut access = Access::default();
        for _ in 0..4 {
            access.count_failure("ak", at(0));
        }
        assert!(access.check_lock("ak", at(0)).is_ok());
        access.count_failure("ak", at(0));
        assert!(access.check_lock("ak", at(299)).is_err() && access.check_lock("other", at(0)).is_ok());
        assert!(access.check_lock("ak", at(300)).is_ok());
    }
}
