//! Temporary keys: what is asked, what signs afterwards, and what a refusal tells.

use async_trait::async_trait;
use secrecy::SecretString;

use super::*;
use crate::clouds::roles::{IdentityTokens, Role, TokenRole};
use crate::domain::fault::{AskedBy, RoleRefused};

const ARN: &str = "arn:aws:iam::123456789012:role/share";

struct Token;

#[async_trait]
impl IdentityTokens for Token {
    async fn token(&self) -> Result<SecretString, Fault> {
        Ok(SecretString::from("head.CanaryToken.sign"))
    }
}

fn role() -> Role {
    Role { arn: ARN.to_owned(), session: "imageshare-team-golden".to_owned(), external_id: Some("a/b".to_owned()) }
}

fn by_token() -> KeySource<Credentials> {
    KeySource::of_token(TokenRole {
        arn: ARN.to_owned(),
        session: "imageshare-team-golden".to_owned(),
        oidc_provider: None,
        subject: "system:serviceaccount:team:golden".to_owned(),
        audience: "sts.amazonaws.com".to_owned(),
        tokens: Arc::new(Token),
    })
}

fn assuming() -> KeySource<Credentials> {
    KeySource::from(Credentials::parse("AKIDEXAMPLE", "testSecretAccessKey", None).unwrap()).assuming(Some(role()))
}

/// The answer that gives keys; the clock stands at 07:08:09.
fn granted(action: &str, number: u32) -> Scripted {
    let keys = format!(
        "<AccessKeyId>ASIA{number}</AccessKeyId><SecretAccessKey>hush</SecretAccessKey><SessionToken>token{number}\
         </SessionToken><Expiration>2024-05-06T08:08:09Z</Expiration>"
    );
    answers(action, &format!("<{action}Result><Credentials>{keys}</Credentials></{action}Result>"))
}

fn nobody() -> Scripted {
    answers("DescribeImageAttribute", &format!("<imageId>{IMAGE}</imageId><launchPermission/>"))
}

async fn ask(here: &Setting) -> Result<RecipientList, Fault> {
    here.cloud.list_recipients(&image(), Priority::Edit).await
}

/// The key that a call is signed with, and its token.
fn signed_by(here: &Setting, call: usize) -> (String, Option<String>) {
    let seen = here.script.seen.lock().unwrap();
    let text = |name: &str| Some(seen[call].headers.get(name)?.to_str().unwrap().to_owned());
    let authorization = text("authorization").unwrap();
    let key = authorization.split("Credential=").nth(1).unwrap().split('/').next().unwrap().to_owned();
    (key, text("x-amz-security-token"))
}

fn form_of_sts(action: &str, pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let first = [("Action", action), ("Version", "2011-06-15")];
    first.iter().chain(pairs).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_role_is_assumed_once_and_its_keys_sign_the_calls() {
    let here = Setting::with(assuming(), [granted("AssumeRole", 1), nobody(), nobody()]).await;
    ask(&here).await.unwrap();
    ask(&here).await.unwrap();
    let wanted = [
        ("RoleArn", ARN),
        ("RoleSessionName", "imageshare-team-golden"),
        ("DurationSeconds", "3600"),
        ("ExternalId", "a/b"),
    ];
    assert_eq!((here.asked(0), here.calls()), (form_of_sts("AssumeRole", &wanted), 3));
    assert_eq!(signed_by(&here, 0), ("AKIDEXAMPLE".to_owned(), None));
    for call in [1, 2] {
        assert_eq!(signed_by(&here, call), ("ASIA1".to_owned(), Some("token1".to_owned())));
    }
}

#[tokio::test]
async fn keys_that_end_early_give_way_to_others_within_the_call_and_only_once() {
    let invalid = || error(401, "AuthFailure", "AWS was not able to validate the provided access credentials");
    let answers = [
        granted("AssumeRole", 1),
        invalid(),
        granted("AssumeRole", 2),
        nobody(),
        invalid(),
        granted("AssumeRole", 3),
        invalid(),
    ];
    let here = Setting::with(assuming(), answers).await;
    ask(&here).await.unwrap();
    assert_eq!(signed_by(&here, 3), ("ASIA2".to_owned(), Some("token2".to_owned())));
    assert_eq!(ask(&here).await.unwrap_err(), Fault::Unauthenticated { code: "AuthFailure".to_owned() });
    assert_eq!(here.calls(), 7);
}

#[tokio::test]
async fn a_refused_role_is_told_with_the_identity_that_asked() {
    let identity = "<GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/ci</Arn><Account>111122223333</Account>\
                    </GetCallerIdentityResult>";
    let answers = [error(403, "AccessDenied", "User: x is not authorized"), answers("GetCallerIdentity", identity)];
    let here = Setting::with(assuming(), answers).await;
    let asked_by = AskedBy::Keys {
        identity: Some("arn:aws:iam::111122223333:user/ci".to_owned()),
        external_id: Some("a/b".to_owned()),
    };
    let wanted = RoleRefused { role: ARN.to_owned(), code: "AccessDenied".to_owned(), asked_by };
    assert_eq!(ask(&here).await.unwrap_err(), Fault::RoleRefused(Box::new(wanted)));
}

#[tokio::test]
async fn a_token_goes_into_the_form_of_an_unsigned_call_and_nowhere_else() {
    let here = Setting::with(by_token(), [granted("AssumeRoleWithWebIdentity", 1), nobody()]).await;
    ask(&here).await.unwrap();
    assert_eq!(signed_by(&here, 1).0, "ASIA1");
    let wanted = [
        ("RoleArn", ARN),
        ("RoleSessionName", "imageshare-team-golden"),
        ("WebIdentityToken", "head.CanaryToken.sign"),
        ("DurationSeconds", "3600"),
    ];
    assert_eq!(here.asked(0), form_of_sts("AssumeRoleWithWebIdentity", &wanted));
    let seen = here.script.seen.lock().unwrap();
    assert_eq!((seen[0].target.as_str(), seen[0].headers.get("authorization")), ("/", None));
    let shown = format!("{:?} {:?}", here.cloud, by_token());
    assert!(!shown.contains("Canary"), "{shown}");
}

#[tokio::test]
async fn a_refused_token_is_told_with_its_subject_and_a_silent_provider_is_asked_again() {
    for (status, code) in [(403, "AccessDenied"), (400, "ExpiredTokenException"), (400, "InvalidIdentityToken")] {
        let here = Setting::with(by_token(), [error(status, code, "m")]).await;
        let Fault::RoleRefused(refused) = ask(&here).await.unwrap_err() else { panic!("another fault") };
        let asked_by = AskedBy::ServiceAccount {
            subject: "system:serviceaccount:team:golden".to_owned(),
            audience: "sts.amazonaws.com".to_owned(),
        };
        assert_eq!((refused.code.as_str(), refused.asked_by), (code, asked_by));
    }
    let here = Setting::with(by_token(), [error(400, "IDPCommunicationError", "m")]).await;
    assert_eq!(ask(&here).await.unwrap_err(), Fault::Unavailable);
}
