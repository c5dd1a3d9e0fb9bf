//! Calls of a user with a password.

use jiff::SignedDuration;

use super::*;

fn user() -> Credentials {
    Credentials::password("robot", "pass word", "acme").unwrap()
}

fn token(text: &str) -> Scripted {
    let body = r#"{"token":{"issued_at":"2024-05-06T07:08:09.000000Z","expires_at":"2024-05-07T07:08:09.000000Z"}}"#;
    Scripted { headers: vec![("x-subject-token", text.to_owned())], ..says(201, body) }
}

fn expired() -> Scripted {
    let text = "Incorrect IAM authentication information: decrypt token fail";
    says(401, format!(r#"{{"error_msg":"{text}","error_code":"APIGW.0301","request_id":"r"}}"#))
}

const ASK: &str = "POST /v3/auth/tokens";

fn list() -> String {
    format!("GET /v2/cloudimages?id={IMAGE}")
}

async fn look(here: &Setting) -> Result<Option<ImageFacts>, Fault> {
    here.cloud.observe_image(&image(), Priority::Edit).await
}

#[tokio::test]
async fn token_is_asked_for_once_and_sent_instead_of_a_signature() {
    let here = Setting::with(user(), &[PROJECT], [token("t-1"), images(&[]), images(&[])]).await;
    for _ in 0..2 {
        assert_eq!(look(&here).await, Ok(None));
    }
    assert_eq!(here.asked(), [ASK, &list(), &list()]);
    let question: serde_json::Value = serde_json::from_str(&here.body(0)).unwrap();
    assert_eq!(question["auth"]["scope"], serde_json::json!({"project": {"id": PROJECT}}));
    let who = &question["auth"]["identity"]["password"]["user"];
    assert_eq!(*who, serde_json::json!({"name": "robot", "password": "pass word", "domain": {"name": "acme"}}));
    for call in 1..3 {
        assert_eq!(here.header(call, "x-auth-token").as_deref(), Some("t-1"));
        assert_eq!(here.header(call, "x-project-id").as_deref(), Some(PROJECT));
    }
    for call in 0..3 {
        assert_eq!((here.header(call, "authorization"), here.header(call, "x-sdk-date")), (None, None));
    }
}

/// Of a user of the vendor's: dozens of services in every region.
#[tokio::test]
async fn a_token_with_a_catalog_is_read_like_one_without() {
    let endpoint = |region: usize| {
        serde_json::json!({"id": format!("{region:032x}"), "interface": "public", "region": format!("cn-north-{region}"),
            "region_id": format!("cn-north-{region}"), "url": format!("https://ecs.cn-north-{region}.myhuaweicloud.com/v2/{PROJECT}")})
    };
    let endpoints: Vec<_> = (0..30).map(endpoint).collect();
    let services: Vec<_> = (0..80)
        .map(|number| serde_json::json!({"id": format!("{number:032x}"), "type": "compute", "name": "nova", "endpoints": endpoints}))
        .collect();
    let body = serde_json::json!({"token": {"issued_at": "2024-05-06T07:08:09.000000Z", "catalog": services, "roles": [],
        "expires_at": "2024-05-07T07:08:09.000000Z"}});
    let given = Scripted { headers: vec![("x-subject-token", "t-1".to_owned())], ..says(201, body.to_string()) };
    let here = Setting::with(user(), &[PROJECT], [given, images(&[])]).await;
    assert_eq!(look(&here).await, Ok(None));
    assert_eq!(here.header(1, "x-auth-token").as_deref(), Some("t-1"));
    assert_eq!(here.asked(), [ASK, &list()], "the addresses of a catalog lead nowhere");
}

#[tokio::test]
async fn identity_is_asked_with_a_token_of_the_domain() {
    let domains = says(200, format!(r#"{{"domains":[{{"id":"{DOMAIN}"}}]}}"#));
    let here = Setting::with(user(), &[PROJECT], [token("t-d"), domains, token("t-p"), images(&[])]).await;
    assert_eq!(here.cloud.identity().await.unwrap().as_str(), DOMAIN);
    assert_eq!(look(&here).await, Ok(None));
    assert_eq!(here.asked(), [ASK, "GET /v3/auth/domains", ASK, &list()]);
    assert!(here.body(0).ends_with(r#""scope":{"domain":{"name":"acme"}}}}"#));
    assert_eq!(here.header(1, "x-auth-token").as_deref(), Some("t-d"));
    assert_eq!(here.header(3, "x-auth-token").as_deref(), Some("t-p"));
}

#[tokio::test]
async fn token_is_replaced_before_it_runs_out() {
    let here =
        Setting::with(user(), &[PROJECT], [token("t-1"), images(&[]), images(&[]), token("t-2"), images(&[])]).await;
    let pass = |minutes| {
        let mut now = here.clock.0.lock().unwrap();
        *now = now.checked_add(SignedDuration::from_mins(minutes)).unwrap();
    };
    look(&here).await.unwrap();
    pass(24 * 60 - 11);
    look(&here).await.unwrap();
    pass(1);
    look(&here).await.unwrap();
    assert_eq!(here.asked(), [ASK, &list(), &list(), ASK, &list()]);
    assert_eq!(here.header(4, "x-auth-token").as_deref(), Some("t-2"));
}

#[tokio::test]
async fn refused_token_is_replaced_once() {
    let script = [token("t-1"), images(&[]), expired(), token("t-2"), images(&[]), expired(), token("t-3"), expired()];
    let here = Setting::with(user(), &[PROJECT], script).await;
    assert_eq!(look(&here).await, Ok(None));
    assert_eq!(look(&here).await, Ok(None), "a token that ran out early is not the caller's concern");
    assert_eq!(here.asked(), [ASK, &list(), &list(), ASK, &list()]);
    assert_eq!(here.header(4, "x-auth-token").as_deref(), Some("t-2"));
    let fault = look(&here).await.unwrap_err();
    assert!(matches!(fault, Fault::Unauthenticated { .. }));
    assert_eq!(here.calls(), 8);
}

#[tokio::test]
async fn token_just_asked_for_and_refused_is_not_asked_for_again() {
    let here = Setting::with(user(), &[PROJECT], [token("t-1"), expired()]).await;
    assert!(matches!(look(&here).await, Err(Fault::Unauthenticated { .. })));
    assert_eq!(here.calls(), 2);
}

#[tokio::test]
async fn wrong_password_is_told_and_tried_once() {
    let wrong = r#"{"error":{"message":"The username or password is wrong.","code":401,"title":"Unauthorized"}}"#;
    let here = Setting::with(user(), &[PROJECT], [says(401, wrong)]).await;
    assert_eq!(look(&here).await, Err(Fault::Unauthenticated { code: "401".to_owned() }));
    assert_eq!(here.asked(), [ASK]);
    let here = Setting::with(user(), &[PROJECT], [says(201, "{}")]).await;
    assert_eq!(look(&here).await, Err(Fault::Unintelligible));
}

#[tokio::test]
async fn calls_at_once_ask_for_one_token() {
    let here = Setting::with(user(), &[PROJECT], [token("t-1"), images(&[]), images(&[]), images(&[])]).await;
    let (a, b, c) = tokio::join!(look(&here), look(&here), look(&here));
    assert_eq!((a, b, c), (Ok(None), Ok(None), Ok(None)));
    assert_eq!(here.asked().iter().filter(|asked| *asked == ASK).count(), 1);
}

#[tokio::test]
async fn a_wrong_password_is_sent_once_for_all_who_wait_and_not_again_soon() {
    let wrong = || says(401, r#"{"error":{"message":"The username or password is wrong.","code":401}}"#);
    let here = Setting::with(user(), &[PROJECT], [wrong(), wrong()]).await;
    for minute in 0..3 {
        let looks = futures::future::join_all((0..64).map(|_| look(&here))).await;
        assert!(looks.into_iter().all(|seen| matches!(seen, Err(Fault::Unauthenticated { .. }))));
        assert_eq!(here.calls(), if minute == 0 { 1 } else { 2 }, "minute {minute}");
        let mut now = here.clock.0.lock().unwrap();
        *now = now.checked_add(SignedDuration::from_mins(1)).unwrap();
    }
}
