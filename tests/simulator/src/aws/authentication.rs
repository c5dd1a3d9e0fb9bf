//! Who asks: checks a request's key, region, token, signature and date. EC2 and STS word the same refusals differently.

use super::hosts::{Host, Service};
use super::rules;
use super::signature::Claim;
use super::sts::Sessions;
use super::world::{Asker, World};
use super::world_file::Partition;
use crate::chassis::names::RegionId;
use crate::chassis::refusal::Refusal;
use crate::chassis::wire::Wire;
use jiff::{SignedDuration, Timestamp};

/// An authenticated caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Its account, and the region it asks.
    pub(super) asker: Asker,
    /// The key it used; empty where it needed none.
    pub(super) key_id: String,
    pub(super) arn: String,
    pub(super) user_id: String,
    /// Whether its credentials are a role's.
    pub(super) is_role: bool,
}

impl Caller {
    /// Who needs no key: whoever has a web identity.
    pub(super) fn nobody(wire: &Wire) -> Self {
        let host = Host::read(wire.header("host").unwrap_or_default());
        let region = host.map_or_else(|| RegionId::from("us-east-1"), |host| host.region);
        Self {
            asker: Asker { account: "anonymous".into(), region },
            key_id: String::new(),
            arn: String::new(),
            user_id: String::new(),
            is_role: false,
        }
    }
}

/// A key, whether it is the world's or a session's.
pub(super) struct Credentials {
    pub(super) account: crate::chassis::names::AccountId,
    pub(super) secret: String,
    pub(super) token: Option<String>,
    pub(super) expired: bool,
    pub(super) arn: String,
    pub(super) user_id: String,
    pub(super) is_role: bool,
    /// Whether they are by the STS without a region, whose tokens are not for opt-in regions (aws-vault issue 512).
    pub(super) global: bool,
}

/// Why a request is not taken for its key's.
enum Fault {
    /// The key, its token, its region.
    Key,
    /// The signature.
    Signature,
    /// The token is past its time.
    Expired,
    /// The date is too far off.
    Date,
}

impl Fault {
    fn refuse(&self, service: Service, claim: &Claim) -> Refusal {
        match (service, self) {
            (Service::Ec2, Self::Key | Self::Signature) => rules::AUTH_FAILURE.refuse(),
            (Service::Ec2, Self::Expired | Self::Date) => rules::REQUEST_EXPIRED.refuse(),
            (Service::Quotas, Self::Key) => rules::UNRECOGNIZED_CLIENT.refuse(),
            (Service::Quotas, Self::Signature | Self::Date) => rules::INVALID_SIGNATURE.refuse(),
            (Service::Quotas, Self::Expired) => rules::EXPIRED_TOKEN_JSON.refuse(),
            (Service::Sts, Self::Key) => rules::INVALID_CLIENT_TOKEN_ID.refuse(),
            (Service::Sts, Self::Signature) => rules::SIGNATURE_MISMATCH.refuse(),
            (Service::Sts, Self::Expired) => rules::EXPIRED_TOKEN.refuse(),
            (Service::Sts, Self::Date) => {
                rules::SIGNATURE_MISMATCH.saying(format!("Signature expired: {} is too far off", claim.date))
            }
        }
    }
}

/// Authenticates a request.
///
/// # Errors
/// The vendor's refusal, by the first check that fails.
pub(super) fn authenticate(wire: &Wire, world: &World, sessions: &Sessions, now: Timestamp) -> Result<Caller, Refusal> {
    let claim = Claim::read(wire)?;
    let service = Service::of(&claim.scope.service)
        .ok_or_else(|| rules::INCOMPLETE_SIGNATURE.about("Credential should be scoped to ec2, sts or servicequotas"))?;
    let credentials =
        check(wire, &claim, service, world, sessions, now).map_err(|fault| fault.refuse(service, &claim))?;
    Ok(Caller {
        asker: Asker { account: credentials.account, region: claim.scope.region },
        key_id: claim.key_id,
        arn: credentials.arn,
        user_id: credentials.user_id,
        is_role: credentials.is_role,
    })
}

fn check(
    wire: &Wire,
    claim: &Claim,
    service: Service,
    world: &World,
    sessions: &Sessions,
    now: Timestamp,
) -> Result<Credentials, Fault> {
    let credentials = of_world(world, &claim.key_id).or_else(|| sessions.find(&claim.key_id, now)).ok_or(Fault::Key)?;
    let region = &claim.scope.region;
    let host = Host::read(wire.header("host").unwrap_or_default());
    if host.is_some_and(|host| host.service != service || host.region != *region) {
        return Err(Fault::Signature);
    }
    // STS serves a region to whoever asks; EC2 only to accounts that have it.
    let known = world.regions(&credentials.account).into_iter().find(|(one, _)| *one == region);
    let opted = known.and_then(|(_, opted_in)| opted_in);
    if known.is_none() || (service == Service::Ec2 && (opted == Some(false) || (opted.is_some() && credentials.global)))
    {
        return Err(Fault::Key);
    }
    match (&credentials.token, claim.token.as_deref().filter(|token| !token.is_empty())) {
        (None, None) => {}
        (Some(own), Some(given)) if own == given => {}
        _ => return Err(Fault::Key),
    }
    if !claim.is_signed_with(&credentials.secret) {
        return Err(Fault::Signature);
    }
    if credentials.expired {
        // A lasting key has no time to be past; the world's `expired` then stands for a key that was withdrawn.
        return Err(if credentials.token.is_some() { Fault::Expired } else { Fault::Key });
    }
    let date = parse_date(&claim.date).ok_or(Fault::Signature)?;
    if now.duration_since(date).abs() > SignedDuration::from_secs(rules::TIME_SKEW_SECONDS) {
        return Err(Fault::Date);
    }
    Ok(credentials)
}

/// A key of the world. A lasting one is a user's, a temporary one a role's.
fn of_world(world: &World, key_id: &str) -> Option<Credentials> {
    let (account, key) = world.key(key_id).filter(|(_, key)| !key.disabled)?;
    let (id, partition) = (&account.id, account.partition);
    let is_role = key.session_token.is_some();
    let (arn, user_id) = if is_role {
        let arn = format!("arn:{}:sts::{id}:assumed-role/simulated/session", partition.word());
        (arn, format!("AROASIMULATED{id}:session"))
    } else {
        (format!("arn:{}:iam::{id}:user/simulated", partition.word()), format!("AIDASIMULATED{id}"))
    };
    Some(Credentials {
        account: id.clone(),
        secret: key.secret.clone(),
        token: key.session_token.clone(),
        expired: key.expired,
        arn,
        user_id,
        is_role,
        global: false,
    })
}

/// The partition of a region that an account asks in.
pub(super) fn partition(asker: &Asker) -> Partition {
    Partition::of(&asker.region)
}

/// `yyyyMMddTHHmmssZ`, and nothing else.
fn parse_date(text: &str) -> Option<Timestamp> {
    let date = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    let date = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    (date.strftime("%Y%m%dT%H%M%SZ").to_string() == text).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_one_form() {
        assert_eq!(
            parse_date("20240506T070809Z").map(|date| date.to_string()).as_deref(),
            Some("2024-05-06T07:08:09Z")
        );
        for bad in
            ["", "2024-05-06T07:08:09Z", "20240506T070809", "20240506T0708Z", "20241306T070809Z", "20240506 070809Z"]
        {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }
}
