//! Objects may be applied in any order: what an object refers to may still come. Until it is some minutes old, an object that
//! waits for another one is `Reconciling`, and only then `Stalled`.

use jiff::{SignedDuration, Timestamp};

use crate::api::conditions::Reason;

/// How long after its creation an object waits for others before it needs user action.
const GRACE: SignedDuration = SignedDuration::from_mins(5);

/// How much longer a problem of this reason may resolve by itself; `None` if it needs user action now. `created`: when the
/// object was created.
pub fn grace_left(reason: Reason, created: Option<Timestamp>, now: Timestamp) -> Option<SignedDuration> {
    let may_come = matches!(
        reason,
        Reason::ImageRefUnresolved | Reason::AccountNotFound | Reason::SecretNotFound | Reason::ServiceAccountNotFound
    );
    if !may_come {
        return None;
    }
    let left = created?.saturating_add(GRACE).unwrap_or(Timestamp::MAX).duration_since(now);
    // A clock that was set back makes no grace longer.
    (SignedDuration::ZERO < left).then(|| left.min(GRACE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(reason: Reason, age: i64) -> Option<i64> {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
        grace_left(reason, Some(now - SignedDuration::from_secs(age)), now).map(|left| left.as_secs())
    }

    #[test]
    fn what_may_still_be_applied_is_waited_for_some_minutes_and_nothing_else() {
        for reason in [Reason::ImageRefUnresolved, Reason::AccountNotFound, Reason::SecretNotFound] {
            assert_eq!([0, 299, 300, 9_000].map(|age| left(reason, age)), [Some(300), Some(1), None, None]);
            assert_eq!(left(reason, -60), Some(300), "the clock was set back");
            assert_eq!(grace_left(reason, None, Timestamp::UNIX_EPOCH), None);
        }
        for reason in [Reason::CredentialsRejected, Reason::ImageNotFound, Reason::InvalidRecipient] {
            assert_eq!(left(reason, 0), None);
        }
    }
}
