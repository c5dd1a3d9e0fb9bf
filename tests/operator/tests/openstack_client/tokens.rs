//! Credentials, tokens and the catalogue.

use super::*;

async fn own_servers(token_seconds: u32) -> OpenStack {
    let settings = Settings { token_seconds, ..SETTINGS };
    OpenStack::start_with(&run::folder_of_this_binary().unwrap(), settings).await.unwrap()
}

fn password_of(project: &Project) -> Credentials {
    Credentials::password(&project.user, &project.password, "Default").unwrap()
}

#[tokio::test]
async fn both_kinds_of_credentials_prove_whose_they_are_and_where() {
    let openstack = servers().await;
    let project = openstack.create_project("owner").await.unwrap();
    for cloud in [client(&project, openstack), client_with(&project, password_of(&project), openstack)] {
        assert_eq!(cloud.identity().await.unwrap().as_str(), project.id);
        let regions = cloud.regions().await.unwrap();
        assert_eq!(regions.iter().map(RegionId::as_str).collect::<Vec<_>>(), [REGION]);
        assert_eq!(cloud.principal(&regions[0]).unwrap().as_str(), project.id);
        let elsewhere = ImageRef { region: RegionId::parse("Elsewhere").unwrap(), ..at("x") };
        assert_eq!(cloud.observe_image(&elsewhere, Priority::Edit).await, Err(Fault::NotFound(Missing::Region)));
    }
}

#[tokio::test]
async fn an_application_credential_says_which_project_it_is_of() {
    let openstack = servers().await;
    let (named, other) =
        (openstack.create_project("named").await.unwrap(), openstack.create_project("other").await.unwrap());
    let credentials = Credentials::application(&other.credential_id, &other.credential_secret).unwrap();
    let cloud = client_with(&named, credentials, openstack);
    assert_eq!(cloud.identity().await.unwrap().as_str(), other.id);
    // A password asks for the project named, which is not the user's.
    let cloud = client_with(&named, password_of(&other), openstack);
    assert!(matches!(cloud.identity().await, Err(Fault::Unauthenticated { .. })));
}

#[tokio::test]
async fn refused_credentials_are_unauthenticated() {
    let openstack = servers().await;
    let project = openstack.create_project("owner").await.unwrap();
    let wrong = [
        Credentials::password(&project.user, "wrong", "Default").unwrap(),
        Credentials::password("nobody", "wrong", "Default").unwrap(),
        Credentials::password(&project.user, &project.password, "Elsewhere").unwrap(),
        Credentials::application(&project.credential_id, "wrong").unwrap(),
        Credentials::application("unknown", &project.credential_secret).unwrap(),
    ];
    for credentials in wrong {
        let shown = format!("{credentials:?}");
        let fault = client_with(&project, credentials, openstack).identity().await.unwrap_err();
        assert!(matches!(fault, Fault::Unauthenticated { .. }), "{shown}: {fault:?}");
    }
    let cloud = client(&project, openstack);
    cloud.identity().await.unwrap();
    openstack.delete_credential(&project).await.unwrap();
    let fault = cloud.identity().await.unwrap_err();
    assert!(matches!(fault, Fault::Unauthenticated { .. }), "a deleted one: {fault:?}");
    let fault = cloud.observe_image(&at("x"), Priority::Edit).await.unwrap_err();
    assert!(matches!(fault, Fault::Unauthenticated { .. }), "{fault:?}");
}

#[tokio::test]
async fn a_wrong_path_of_the_right_host_is_told_as_such() {
    let openstack = servers().await;
    let project = openstack.create_project("owner").await.unwrap();
    let allowed = AllowedEndpoints::parse(&[openstack.identity_url(), openstack.image_url()]).unwrap();
    for path in ["v2.0", "identity/v3"] {
        let access = OpenStackAccess {
            project: PrincipalId::parse(&project.id).unwrap(),
            auth_url: allowed
                .check_service(Provider::OpenStack, &format!("{}/{path}", openstack.identity_url()))
                .unwrap(),
            interface: Interface::Public,
            image: None,
            allowed: allowed.clone(),
            credentials: Credentials::application(&project.credential_id, &project.credential_secret).unwrap(),
        };
        let fault = connect::openstack(access, &edge()).identity().await.unwrap_err();
        assert_eq!(fault, Fault::NoIdentityService { status: 404 }, "{path}");
    }
}

#[tokio::test]
async fn a_revoked_token_is_renewed_once() {
    let openstack = own_servers(3600).await;
    let project = openstack.create_project("owner").await.unwrap();
    let image = openstack.create_image(&project, "golden", NewImage::default()).await.unwrap();
    let cloud = client_with(&project, password_of(&project), &openstack);
    let asked = async || count(&openstack.identity_calls().await.unwrap(), "POST", "/auth/tokens");
    let before = asked().await;
    for _ in 0..3 {
        share(&cloud, &image, "member").await.unwrap();
    }
    assert_eq!(asked().await, before + 1, "one token serves many calls");

    openstack.revoke_tokens(&project).await.unwrap();
    let before = asked().await;
    let share = || share(&cloud, &image, "member");
    let (one, two, three) = tokio::join!(share(), share(), share());
    assert_eq!([one, two, three], [const { Ok(Submitted::Done) }; 3]);
    let refused = openstack.image_calls().await.unwrap().iter().filter(|call| call.status == 401).count();
    assert!(refused >= 1, "the old token was tried");
    assert_eq!(asked().await, before + 1);
}

#[tokio::test]
async fn calls_outlive_their_tokens() {
    let openstack = own_servers(4).await;
    let project = openstack.create_project("owner").await.unwrap();
    let cloud = client(&project, &openstack);
    let mut tokens = 0;
    while tokens < 3 {
        assert_eq!(cloud.observe_image(&at("x"), Priority::Edit).await, Ok(None));
        tokens = count(&openstack.identity_calls().await.unwrap(), "POST", "/auth/tokens");
    }
    let calls = openstack.image_calls().await.unwrap();
    assert!(count(&calls, "GET", "/v2/images/x") > tokens, "a token serves many calls");
    let refused = calls.iter().filter(|call| call.status == 401).count();
    assert!(refused < tokens, "{refused} were refused, and {tokens} tokens asked for");
}

#[tokio::test]
async fn an_image_service_that_is_not_allowed_is_not_called() {
    let openstack = servers().await;
    let project = openstack.create_project("owner").await.unwrap();
    let allowed = AllowedEndpoints::parse(&[openstack.identity_url()]).unwrap();
    let access = OpenStackAccess {
        project: PrincipalId::parse(&project.id).unwrap(),
        auth_url: allowed.check_service(Provider::OpenStack, &openstack.auth_url()).unwrap(),
        interface: Interface::Internal,
        image: None,
        allowed,
        credentials: password_of(&project),
    };
    let cloud = connect::openstack(access, &edge());
    let not_allowed = Fault::EndpointNotAllowed { origin: Some(openstack.image_url().to_owned()) };
    assert_eq!(cloud.regions().await, Err(not_allowed.clone()));
    assert_eq!(cloud.observe_image(&at("x"), Priority::Edit).await, Err(not_allowed));
}
