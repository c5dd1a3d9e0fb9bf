//! Whether to hold the Secret of an account, so that its key can still end access. A namespace being deleted admits no
//! new objects: if the Secret went first, its grants would stay behind forever.

use jiff::{SignedDuration, Timestamp};

/// How the operator was started to treat Secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretRule {
    /// Holds the Secrets that accounts name.
    Hold,
    /// Releases held Secrets, before the operator runs without the permission to.
    Release,
    /// Never writes a Secret.
    Off,
}

/// The observed state of a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObservedSecret {
    /// It carries our finalizer.
    pub held: bool,
    /// When its deletion was first observed.
    pub deleting_since: Option<Timestamp>,
    /// Its namespace, or an account that names it, is being deleted: its key is needed to the end and cannot be
    /// restored.
    pub going_with_others: bool,
}

/// What to do about the Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretStep {
    /// Nothing.
    Leave,
    /// Add our finalizer.
    Hold,
    /// Remove our finalizer.
    Release,
    /// Nothing before this time: the deletion of other objects shows a little later than the Secret's.
    Await(Timestamp),
}

/// Decides. `grace`: how much later than the Secret's deletion that of its namespace or account may be observed.
///
/// A Secret deleted alone is released: a user replaces the key by deleting and creating it, and a tool that prunes it
/// creates it again.
pub fn decide(rule: SecretRule, observed: ObservedSecret, grace: SignedDuration, now: Timestamp) -> SecretStep {
    match (rule, observed.held, observed.deleting_since) {
        (SecretRule::Hold, false, None) => SecretStep::Hold,
        (SecretRule::Hold, true, Some(_)) if observed.going_with_others => SecretStep::Leave,
        (SecretRule::Hold, true, Some(since)) => match since.saturating_add(grace) {
            Ok(until) if since <= now && now < until => SecretStep::Await(until),
            _ => SecretStep::Release,
        },
        (SecretRule::Release, true, _) => SecretStep::Release,
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
        assert_eq!(step(SecretRule::Hold, true, Some(10), false, 15), SecretStep::Release);
        assert_eq!(step(SecretRule::Hold, true, Some(10), false, 3), SecretStep::Release, "the clock was set back");
    }

    #[test]
    fn who_may_not_write_secrets_first_lets_go_of_all() {
        assert_eq!(step(SecretRule::Release, true, None, false, 0), SecretStep::Release);
        assert_eq!(step(SecretRule::Release, true, Some(0), true, 0), SecretStep::Release);
        assert_eq!(step(SecretRule::Release, false, None, false, 0), SecretStep::Leave);
        assert_eq!(step(SecretRule::Off, true, Some(0), false, 100), SecretStep::Leave);
    }
}
