//! When the client requests a token, and where it sends it.

use futures::future::join_all;

use super::*;

#[tokio::test]
async fn one_token_serves_all_calls_until_shortly_before_it_ends() {
    let setting = Setting::new((0..4).map(|_| members(&[]))).await;
    let list = || async { setting.cloud.list_recipients(&here(), Priority::Edit).await.unwrap() };
    join_all([list(), list()]).await;
    setting.clock.0.store(53, Ordering::SeqCst);
    list().await;
    assert_eq!(setting.tokens_asked(), 1);
    setting.clock.0.store(54, Ordering::SeqCst);
    list().await;
    assert_eq!(setting.tokens_asked(), 2);
    let asked = setting.script.asked.lock().unwrap();
    let used: Vec<&str> = asked.iter().map(|(_, _, token, _)| token.as_str()).collect();
    assert_eq!(used, ["token-1", "token-1", "token-1", "token-2"]);
}

#[tokio::test]
async fn the_question_for_a_token_goes_below_the_version() {
    for path in ["/identity/v3", "/identity"] {
        let setting = Setting::at(path, [members(&[])]).await;
        setting.cloud.list_recipients(&here(), Priority::Edit).await.unwrap();
        let (path, body) = setting.script.tokens.lock().unwrap()[0].clone();
        assert_eq!(path, "/identity/v3/auth/tokens");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["auth"]["identity"]["application_credential"]["secret"], "s3cr3t");
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_the_call_made_again() {
    let setting = Setting::new([error(401), members(&[]), members(&[])]).await;
    setting.cloud.list_recipients(&here(), Priority::Edit).await.unwrap();
    setting.cloud.list_recipients(&here(), Priority::Edit).await.unwrap();
    assert_eq!((setting.tokens_asked(), setting.asked().len()), (2, 3));

    let setting = Setting::new([error(401), error(401), members(&[])]).await;
    let fault = setting.cloud.list_recipients(&here(), Priority::Edit).await.unwrap_err();
    // Keystone has just accepted the credentials: the account stays open for all other calls.
    assert_eq!(fault, Fault::Forbidden { code: "access_rules".to_owned() });
    assert!(!fault.closes_the_account());
    assert_eq!((setting.tokens_asked(), setting.asked().len()), (2, 2));
}

#[tokio::test]
async fn callers_refused_together_renew_once() {
    let setting = Setting::new((0..4).map(|_| members(&[]))).await;
    let at = here();
    let list = || setting.cloud.list_recipients(&at, Priority::Edit);
    list().await.unwrap();
    "token-1".clone_into(&mut setting.script.refused.lock().unwrap());
    for listed in join_all([list(), list(), list()]).await {
        assert!(listed.is_ok(), "{listed:?}");
    }
    assert_eq!(setting.tokens_asked(), 2);
}

#[tokio::test]
async fn a_wrong_secret_is_sent_once_for_all_who_wait() {
    let setting = Setting::new([]).await;
    let refusal = json!({"error": {"code": 401, "message": "text", "title": "Unauthorized"}}).to_string();
    setting.script.keystone.lock().unwrap().push_back(says(401, refusal));
    let at = here();
    let list = || setting.cloud.list_recipients(&at, Priority::Edit);
    let wanted = Fault::Unauthenticated { code: "Unauthorized".to_owned() };
    for listed in join_all((0..5).map(|_| list())).await {
        assert_eq!(listed, Err(wanted.clone()));
    }
    assert_eq!((setting.tokens_asked(), setting.asked().len()), (1, 0));
    assert!(list().await.is_err());
    assert_eq!(setting.tokens_asked(), 1, "the secret is not sent again before the pause ends");
    setting.clock.0.store(2, Ordering::SeqCst);
    setting.script.glance.lock().unwrap().push_back(members(&[]));
    assert!(list().await.is_ok());
}

#[tokio::test]
async fn identity_is_proven_anew_and_regions_come_with_it() {
    let setting = Setting::new([]).await;
    for number in 1..=2 {
        assert_eq!(setting.cloud.identity().await, Ok(PrincipalId::parse(PROJECT).unwrap()));
        assert_eq!(setting.tokens_asked(), number);
    }
    let regions = setting.cloud.regions().await.unwrap();
    assert_eq!(regions.iter().map(RegionId::as_str).collect::<Vec<_>>(), ["Here", "There"]);
    assert_eq!(setting.cloud.principal(&here().region), Some(PrincipalId::parse(PROJECT).unwrap()));
    assert_eq!((setting.tokens_asked(), setting.asked().len()), (2, 0));
}

#[tokio::test]
async fn no_token_goes_to_an_endpoint_that_is_not_allowed() {
    let setting = Setting::new([]).await;
    let at = |region: &str| ImageRef { region: RegionId::parse(region).unwrap(), ..here() };
    let not_allowed = Fault::EndpointNotAllowed { origin: Some("https://evil.io:443".to_owned()) };
    assert_eq!(setting.cloud.observe_image(&at("There"), Priority::Edit).await, Err(not_allowed.clone()));
    let unknown = setting.cloud.observe_image(&at("Nowhere"), Priority::Edit).await;
    assert_eq!(unknown, Err(Fault::NotFound(Missing::Region)));

    let foreign = token("https://evil.io", 1);
    setting.script.keystone.lock().unwrap().push_back(foreign);
    setting.cloud.identity().await.unwrap();
    assert_eq!(setting.cloud.regions().await, Err(not_allowed), "none may be called");
}

#[tokio::test]
async fn hints_hold_back_glance_and_keystone_each() {
    let mut busy = says(503, "");
    busy.headers.push(("retry-after", "60".to_owned()));
    let setting = Setting::new([busy.clone()]).await;
    let throttled = |fault: &Fault| matches!(fault, Fault::Throttled { retry_after: Some(_) });
    for _ in 0..2 {
        assert!(throttled(&setting.cloud.list_recipients(&here(), Priority::Revoke).await.unwrap_err()));
    }
    assert_eq!(setting.asked().len(), 1, "nothing is sent before the hint is over");

    setting.script.keystone.lock().unwrap().push_back(busy);
    for _ in 0..2 {
        assert!(throttled(&setting.cloud.identity().await.unwrap_err()));
    }
    assert_eq!(setting.tokens_asked(), 2);
}

#[tokio::test]
async fn secrets_and_tokens_stay_out_of_debug() {
    let setting = Setting::new([]).await;
    setting.cloud.identity().await.unwrap();
    let token = setting.cloud.keystone.token(Wanted::Valid, Priority::Edit).await.unwrap();
    let shown = format!("{:?} {token:?}", setting.cloud);
    for text in ["s3cr3t", "credential-id", "token-1"] {
        assert!(!shown.contains(text), "{shown}");
    }
}
