//! Temporary keys: what is asked, what signs afterwards, and what a refusal tells.

use async_trait::async_trait;
use secrecy::SecretString;

use super::*;
use crate::clouds::roles::{IdentityTokens, Role, TokenRole};
use crate::domain::fault::{AskedBy, RoleRefused};

const ARN: &str = "acs:ram::1000000000000001:role/share";

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
        oidc_provider: Some("acs:ram::1000000000000001:oidc-provider/cluster".to_owned()),
        subject: "system:serviceaccount:team:golden".to_owned(),
        audience: "sts.aliyuncs.com".to_owned(),
        tokens: Arc::new(Token),
    })
}

fn lasting() -> KeySource<Credentials> {
    Credentials::parse("testAccessKeyId", "testAccessKeySecret", None).unwrap().into()
}

/// The answer that gives keys; the clock stands at 07:08:09.
fn granted(number: u32) -> Scripted {
    let credentials = serde_json::json!({"AccessKeyId": format!("STS.{number}"), "AccessKeySecret": "hush",
        "SecurityToken": format!("token{number}"), "Expiration": "2024-05-06T08:08:09Z"});
    says(200, serde_json::json!({"RequestId": "R", "Credentials": credentials}).to_string())
}

async fn ask(here: &Setting) -> Result<RecipientList, Fault> {
    here.cloud.list_recipients(&image(), Priority::Edit).await
}

/// The key that a call is signed with, and its token.
fn signed_by(here: &Setting, call: usize) -> (String, Option<String>) {
    let seen = here.script.seen.lock().unwrap();
    let text = |name: &str| Some(seen[call].headers.get(name)?.to_str().unwrap().to_owned());
    let authorization = text("authorization").unwrap();
    let key = authorization.split("Credential=").nth(1).unwrap().split(',').next().unwrap().to_owned();
    (key, text("x-acs-security-token"))
}

#[tokio::test]
async fn a_role_is_assumed_once_and_its_keys_sign_the_calls() {
    let here = Setting::with(lasting().assuming(Some(role())), [granted(1), page(1, 0, []), page(1, 0, [])]).await;
    ask(&here).await.unwrap();
    ask(&here).await.unwrap();
    let wanted = pairs(&[
        ("DurationSeconds", "3600"),
        ("ExternalId", "a/b"),
        ("RoleArn", ARN),
        ("RoleSessionName", "imageshare-team-golden"),
    ]);
    assert_eq!((here.asked(0), here.calls()), (("AssumeRole".to_owned(), wanted), 3));
    assert_eq!(signed_by(&here, 0), ("testAccessKeyId".to_owned(), None));
    for call in [1, 2] {
        assert_eq!(signed_by(&here, call), ("STS.1".to_owned(), Some("token1".to_owned())));
    }
}

#[tokio::test]
async fn keys_that_end_early_give_way_to_others_within_the_call_and_only_once() {
    let expired = || error(400, "InvalidSecurityToken.Expired");
    let answers = [granted(1), expired(), granted(2), page(1, 0, []), expired(), granted(3), expired()];
    let here = Setting::with(lasting().assuming(Some(role())), answers).await;
    ask(&here).await.unwrap();
    assert_eq!(signed_by(&here, 3), ("STS.2".to_owned(), Some("token2".to_owned())));
    let refused = ask(&here).await.unwrap_err();
    assert_eq!(refused, Fault::Unauthenticated { code: "InvalidSecurityToken.Expired".to_owned() });
    assert_eq!(here.calls(), 7);
    // A lasting key that is refused is asked with once.
    let here = Setting::with(lasting(), [error(404, "InvalidAccessKeyId.NotFound")]).await;
    assert!(matches!(ask(&here).await.unwrap_err(), Fault::Unauthenticated { .. }));
    assert_eq!(here.calls(), 1);
}

#[tokio::test]
async fn a_refused_role_is_told_with_the_identity_that_asked() {
    let identity = says(200, r#"{"RequestId":"R","AccountId":"1","Arn":"acs:ram::2000000000000002:user/ci"}"#);
    let here = Setting::with(lasting().assuming(Some(role())), [error(403, "NoPermission"), identity]).await;
    let asked_by = AskedBy::Keys {
        identity: Some("acs:ram::2000000000000002:user/ci".to_owned()),
        external_id: Some("a/b".to_owned()),
    };
    let wanted = RoleRefused { role: ARN.to_owned(), code: "NoPermission".to_owned(), asked_by };
    assert_eq!(ask(&here).await.unwrap_err(), Fault::RoleRefused(Box::new(wanted)));
}

#[tokio::test]
async fn a_token_goes_into_the_form_of_an_unsigned_call_and_nowhere_else() {
    let here = Setting::with(by_token(), [granted(1), page(1, 0, [])]).await;
    ask(&here).await.unwrap();
    assert_eq!(signed_by(&here, 1).0, "STS.1");
    let seen = here.script.seen.lock().unwrap();
    let first = &seen[0];
    assert_eq!(
        first.target,
        "/?Action=AssumeRoleWithOIDC&Format=JSON&Timestamp=2024-05-06T07%3A08%3A09Z&Version=2015-04-01"
    );
    assert_eq!((&first.method, first.headers.get("authorization")), (&Method::POST, None));
    assert_eq!(first.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(
        std::str::from_utf8(&first.body).unwrap(),
        "DurationSeconds=3600&OIDCProviderArn=acs%3Aram%3A%3A1000000000000001%3Aoidc-provider%2Fcluster&\
         OIDCToken=head.CanaryToken.sign&RoleArn=acs%3Aram%3A%3A1000000000000001%3Arole%2Fshare&\
         RoleSessionName=imageshare-team-golden"
    );
    let shown = format!("{:?} {:?}", here.cloud, by_token());
    assert!(!shown.contains("Canary"), "{shown}");
}

#[tokio::test]
async fn a_refused_token_is_told_with_its_subject_and_audience() {
    for (status, code) in [(403, "AuthenticationFail.NoPermission"), (400, "AuthenticationFail.OIDCToken.Expired")] {
        let here = Setting::with(by_token(), [error(status, code)]).await;
        let Fault::RoleRefused(refused) = ask(&here).await.unwrap_err() else { panic!("another fault") };
        let asked_by = AskedBy::ServiceAccount {
            subject: "system:serviceaccount:team:golden".to_owned(),
            audience: "sts.aliyuncs.com".to_owned(),
        };
        assert_eq!((refused.code.as_str(), refused.asked_by), (code, asked_by));
    }
}
