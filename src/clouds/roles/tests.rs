//! A vendor that answers as scripted, and a clock that tests move.

use std::sync::atomic::AtomicI64;

use futures::future::join_all;

use super::*;

/// The vendor: gives keys named after the number of the request, for an hour.
#[derive(Default)]
struct Vendor {
    seconds: AtomicI64,
    asked: AtomicU64,
    fault: Mutex<Option<Fault>>,
}

impl Clock for Vendor {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(self.seconds.load(Ordering::SeqCst))
    }
}

impl Vendor {
    async fn answer(&self, given: &str) -> Result<Granted<String>, Fault> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::task::yield_now().await;
        match self.fault.lock().unwrap().clone() {
            Some(fault) => Err(fault),
            None => Granted::until(format!("{given}-{number}"), self.now() + SignedDuration::from_hours(1), self.now()),
        }
    }

    fn fails(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap() = fault;
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Exchange<String> for Vendor {
    async fn by_keys(&self, keys: &String, _: &Role) -> Result<Granted<String>, Fault> {
        self.answer(keys).await
    }

    async fn by_token(&self, _: &TokenRole, token: &SecretString) -> Result<Granted<String>, Fault> {
        use secrecy::ExposeSecret;
        self.answer(token.expose_secret()).await
    }

    async fn identity_of(&self, keys: &String) -> Option<String> {
        Some(format!("arn of {keys}"))
    }
}

struct Tokens(Option<Fault>);

#[async_trait]
impl IdentityTokens for Tokens {
    async fn token(&self) -> Result<SecretString, Fault> {
        self.0.clone().map_or_else(|| Ok(SecretString::from("token")), Err)
    }
}

fn role() -> Role {
    Role { arn: "role".to_owned(), session: "session".to_owned(), external_id: Some("id".to_owned()) }
}

fn of_token(fault: Option<Fault>) -> KeySource<String> {
    let [arn, session, subject, audience] = ["first", "session", "subject", "audience"].map(str::to_owned);
    let tokens = Arc::new(Tokens(fault));
    KeySource::of_token(TokenRole { arn, session, oidc_provider: None, subject, audience, tokens })
}

struct Setting {
    vendor: Vendor,
    ring: KeyRing<String>,
}

impl Setting {
    fn of(source: KeySource<String>) -> Self {
        Self { vendor: Vendor::default(), ring: KeyRing::new(source) }
    }

    fn assuming() -> Self {
        Self::of(KeySource::from("lasting".to_owned()).assuming(Some(role())))
    }

    fn at(&self, seconds: i64) {
        self.vendor.seconds.store(seconds, Ordering::SeqCst);
    }

    async fn keys(&self) -> Result<String, Fault> {
        Ok(self.ring.keys(&self.vendor, &self.vendor).await?.credentials.clone())
    }
}

fn forbidden() -> Fault {
    Fault::Forbidden { code: "AccessDenied".to_owned() }
}

#[tokio::test]
async fn lasting_keys_are_never_asked_for_and_a_refusal_gives_no_others() {
    let here = Setting::of("lasting".to_owned().into());
    here.at(1_000_000_000);
    let keys = here.ring.keys(&here.vendor, &here.vendor).await.unwrap();
    assert_eq!((keys.credentials.as_str(), here.vendor.asked()), ("lasting", 0));
    assert!(!here.ring.withdraw(&keys));
    assert_eq!(here.keys().await.unwrap(), "lasting");
}

#[tokio::test]
async fn many_callers_share_one_request_and_one_renewal_at_four_fifths_of_the_life() {
    let here = Setting::assuming();
    let all = join_all((0..64).map(|_| here.keys())).await;
    assert!(all.into_iter().all(|keys| keys.unwrap() == "lasting-1"));
    for (second, asked) in [(2699, 1), (2880, 2), (2880 + 2699, 2), (2880 + 2880, 3)] {
        here.at(second);
        let all = join_all((0..64).map(|_| here.keys())).await;
        assert!(all.iter().all(Result::is_ok), "nobody waits in vain");
        assert_eq!(here.vendor.asked(), asked, "second {second}");
    }
}

#[tokio::test]
async fn renewals_of_accounts_that_began_together_are_spread() {
    let mut renewed = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let here = Setting::assuming();
        renewed.insert(here.ring.keys(&here.vendor, &here.vendor).await.unwrap().renewed_at);
    }
    assert!(renewed.len() > 10, "{renewed:?}");
    let seconds = renewed.iter().map(|at| at.as_second());
    assert!(seconds.into_iter().all(|second| (2699..=2880).contains(&second)), "{renewed:?}");
}

#[tokio::test]
async fn keys_that_cannot_be_renewed_stay_in_force_until_they_expire_and_are_asked_for_with_pauses() {
    let here = Setting::assuming();
    assert_eq!(here.keys().await.unwrap(), "lasting-1");
    for fault in [Fault::Unavailable, forbidden()] {
        here.vendor.fails(Some(fault));
        for second in [2880, 2885, 2890, 3000, 3400] {
            here.at(second);
            assert_eq!(here.keys().await.unwrap(), "lasting-1", "second {second}");
        }
    }
    // At least 30 seconds apart: at 2880, 3000 and 3400.
    assert_eq!(here.vendor.asked(), 4);
    here.at(3500);
    let refused = here.keys().await.unwrap_err();
    assert!(matches!(&refused, Fault::RoleRefused(refused) if refused.code == "AccessDenied"), "{refused:?}");
    here.vendor.fails(None);
    here.at(3600);
    assert!(here.keys().await.is_ok(), "the trust is back");
}

#[tokio::test]
async fn a_fault_is_shared_by_all_who_waited_and_for_a_moment_after() {
    let here = Setting::assuming();
    here.vendor.fails(Some(Fault::Unavailable));
    let all = join_all((0..64).map(|_| here.keys())).await;
    assert!(all.into_iter().all(|keys| keys.unwrap_err() == Fault::Unavailable));
    assert_eq!(here.vendor.asked(), 1);
    here.at(1);
    assert_eq!((here.keys().await.unwrap_err(), here.vendor.asked()), (Fault::Unavailable, 1));
    here.at(2);
    here.vendor.fails(None);
    assert_eq!(here.keys().await.unwrap(), "lasting-2");
}

#[tokio::test]
async fn refused_temporary_keys_give_way_to_others_once_for_all_callers() {
    let here = Setting::assuming();
    let first = here.ring.keys(&here.vendor, &here.vendor).await.unwrap();
    assert!(here.ring.withdraw(&first));
    assert_eq!(here.keys().await.unwrap(), "lasting-2");
    assert!(here.ring.withdraw(&first), "another caller of the first keys may call again");
    assert_eq!(here.keys().await.unwrap(), "lasting-2", "and takes the keys that there are");
}

#[tokio::test]
async fn a_refused_role_names_who_asked_and_what_was_told() {
    let here = Setting::assuming();
    here.vendor.fails(Some(forbidden()));
    let asked_by = AskedBy::Keys { identity: Some("arn of lasting".to_owned()), external_id: Some("id".to_owned()) };
    let wanted = RoleRefused { role: "role".to_owned(), code: "AccessDenied".to_owned(), asked_by };
    assert_eq!(here.keys().await.unwrap_err(), Fault::RoleRefused(Box::new(wanted)));
    // That the lasting key itself is wrong is another matter.
    let here = Setting::assuming();
    let wrong = Fault::Unauthenticated { code: "InvalidClientTokenId".to_owned() };
    here.vendor.fails(Some(wrong.clone()));
    assert_eq!(here.keys().await.unwrap_err(), wrong);
}

#[tokio::test]
async fn a_token_gives_keys_which_may_assume_a_further_role() {
    let here = Setting::of(of_token(None));
    assert_eq!(here.keys().await.unwrap(), "token-1");
    let here = Setting::of(of_token(None).assuming(Some(role())));
    assert_eq!(here.keys().await.unwrap(), "token-1-2");
    for fault in [forbidden(), Fault::Unauthenticated { code: "ExpiredToken".to_owned() }] {
        let here = Setting::of(of_token(None).assuming(Some(role())));
        here.vendor.fails(Some(fault));
        let Fault::RoleRefused(refused) = here.keys().await.unwrap_err() else { panic!("another fault") };
        let asked_by = AskedBy::ServiceAccount { subject: "subject".to_owned(), audience: "audience".to_owned() };
        assert_eq!((refused.role.as_str(), refused.asked_by), ("first", asked_by));
    }
    let none = Setting::of(of_token(Some(Fault::Unavailable)));
    assert_eq!((none.keys().await.unwrap_err(), none.vendor.asked()), (Fault::Unavailable, 0));
}

#[test]
fn no_keys_live_longer_than_they_were_asked_for_and_none_that_have_expired() {
    let now = Timestamp::UNIX_EPOCH;
    let life =
        |seconds: i64| Granted::until((), now + SignedDuration::from_secs(seconds), now).map(|g| g.life.as_secs());
    assert_eq!([life(3600), life(4500), life(60)], [Ok(3600), Ok(3600), Ok(60)]);
    assert_eq!([life(0), life(-900)], [Err(Fault::Unintelligible), Err(Fault::Unintelligible)]);
}
