//! Whether the Secret of an account is kept from going, so that access can still be ended with its key. Where a namespace is
//! deleted, nothing can be made in it again: a Secret that went first would leave its grants behind for ever.

use jiff::{SignedDuration, Timestamp};

/// What the operator was started to do about Secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretRule {
    /// Holds those that accounts name.
    Hold,
    /// Lets go of those it held, before it is run without the right to.
    Release,
    /// Never writes a Secret.
    Off,
}

/// What is known of a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObservedSecret {
    /// Our finalizer is on it.
    pub held: bool,
    /// Since when it is seen being deleted.
    pub deleting_since: Option<Timestamp>,
    /// Its namespace, or an account that names it, is being deleted: its key is needed to the end, and cannot be had again.
    pub going_with_others: bool,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretStep {
    /// Nothing.
    Leave,
    /// Put our finalizer on.
    Hold,
    /// Take our finalizer off.
    LetGo,
    /// Nothing before then: what is deleted with the Secret shows a little later.
    Await(Timestamp),
}

/// Decides. `grace`: how much later than a Secret what goes with it may be seen going.
///
/// A Secret that goes alone is let go: somebody replaces the key by deleting and making it, and whoever prunes it makes it again.
pub fn decide(rule: SecretRule, observed: ObservedSecret, grace: SignedDuration, now: Timestamp) -> SecretStep {
    match (rule, observed.held, observed.deleting_since) {
        (SecretRule::Hold, false, None) => SecretStep::Hold,
        (SecretRule::Hold, true, Some(_)) if observed.going_with_others => SecretStep::Leave,
        (SecretRule::Hold, true, Some(since)) => match since.saturating_add(grace) {
            Ok(until) if since <= now && now < until => SecretStep::Await(until),
            _ => SecretStep::LetGo,
        },
        (SecretRule::Release, true, _) => SecretStep::LetGo,
        (SecretRule::Hold | SecretRule::Off, ..) | (SecretRule::Release, false, _) => SecretStep::Leave,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: SignedDuration = SignedDuration::from_secs(5);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn step(
        rule: SecretRule,
        held: bool,
        deleting_since: Option<i64>,
        going_with_others: bool,
        now: i64,
    ) -> SecretStep {
        let observed = ObservedSecret { held, deleting_since: deleting_since.map(at), going_with_others };
        decide(rule, observed, GRACE, at(now))
    }

    #[test]
    fn a_secret_is_held_as_long_as_it_lives_and_once() {
        assert_eq!(step(SecretRule::Hold, false, None, false, 0), SecretStep::Hold);
        assert_eq!(step(SecretRule::Hold, true, None, false, 0), SecretStep::Leave);
        assert_eq!(step(SecretRule::Hold, false, Some(0), true, 0), SecretStep::Leave, "one that goes gets none");
    }

    #[test]
    fn a_secret_that_goes_with_its_namespace_or_account_is_held_to_the_end() {
        assert_eq!(step(SecretRule::Hold, true, Some(0), true, 100_000), SecretStep::Leave);
    }

    #[test]
    fn a_secret_that_goes_alone_is_let_go_after_a_moment() {
        assert_eq!(step(SecretRule::Hold, true, Some(10), false, 12), SecretStep::Await(at(15)));
        assert_eq!(step(SecretRule::Hold, true, Some(10), false, 15), SecretStep::LetGo);
        assert_eq!(step(SecretRule::Hold, true, Some(10), false, 3), SecretStep::LetGo, "the clock was set back");
    }

    #[test]
    fn who_may_not_write_secrets_first_lets_go_of_all() {
        assert_eq!(step(SecretRule::Release, true, None, false, 0), SecretStep::LetGo);
        assert_eq!(step(SecretRule::Release, true, Some(0), true, 0), SecretStep::LetGo);
        assert_eq!(step(SecretRule::Release, false, None, false, 0), SecretStep::Leave);
        assert_eq!(step(SecretRule::Off, true, Some(0), false, 100), SecretStep::Leave);
    }
}
