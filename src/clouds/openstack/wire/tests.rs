//! Answers recorded from Keystone 30 and Glance 33.

use super::*;

const IMAGE: &str = "8a64453f-71c1-4448-8994-264aae537a42";
const PROJECT: &str = "0d91420605f84fd1b3cae49ba9b42f1f";

const ROW: &str = r#"{"name": "golden 镜像", "disk_format": "raw", "container_format": "bare", "visibility": "shared",
    "size": 4, "virtual_size": null, "status": "active", "checksum": null, "protected": false, "min_ram": 0, "min_disk": 0,
    "owner": "0d91420605f84fd1b3cae49ba9b42f1f", "os_hidden": false, "id": "8a64453f-71c1-4448-8994-264aae537a42",
    "tags": [], "self": "/v2/images/8a64453f-71c1-4448-8994-264aae537a42", "schema": "/v2/schemas/image"}"#;

fn image() -> ImageId {
    ImageId::parse(IMAGE).unwrap()
}

fn principal(id: &str) -> PrincipalId {
    PrincipalId::parse(id).unwrap()
}

fn seen(body: &str) -> Result<Option<ImageSeen>, Fault> {
    read_image(body.as_bytes(), &image(), &principal(PROJECT))
}

/// The row with one text replaced.
fn with(from: &str, to: &str) -> Result<Option<ImageFacts>, Fault> {
    assert!(ROW.contains(from), "{from}");
    seen(&ROW.replace(from, to)).map(|seen| seen.map(|seen| seen.facts))
}

#[test]
fn an_image_is_read_as_glance_shows_it() {
    let facts = ImageFacts {
        ownership: Ownership::Own,
        state: ImageState::Available,
        kind: ImageKind::SystemDisk,
        name: "golden 镜像".to_owned(),
        encrypted: false,
        keys: BTreeSet::new(),
        snapshots: BTreeSet::new(),
        from_marketplace: false,
        visibility: Visibility::Shared,
        size: Some(4),
    };
    assert_eq!(seen(ROW), Ok(Some(ImageSeen { id: image(), facts, protected: false })));
    assert!(seen(&ROW.replace(r#""protected": false"#, r#""protected": true"#)).unwrap().unwrap().protected);
}

#[test]
fn the_owner_decides_whose_an_image_is() {
    let received = |owner| Ownership::Received { owner };
    for (owner, wanted) in [
        (r#""0d91420605f84fd1b3cae49ba9b42f1f""#, Ownership::Own),
        (r#""another""#, received(Some(principal("another")))),
        ("null", received(None)),
        (r#""""#, received(None)),
    ] {
        let facts = with(r#""0d91420605f84fd1b3cae49ba9b42f1f""#, owner).unwrap().unwrap();
        assert_eq!(facts.ownership, wanted, "{owner}");
    }
}

#[test]
fn every_status_and_visibility_of_glance_is_known() {
    for (status, wanted) in [
        ("active", Ok(Some(ImageState::Available))),
        ("queued", Ok(Some(ImageState::Creating))),
        ("saving", Ok(Some(ImageState::Creating))),
        ("uploading", Ok(Some(ImageState::Creating))),
        ("importing", Ok(Some(ImageState::Creating))),
        ("killed", Ok(Some(ImageState::Failed))),
        ("deactivated", Ok(Some(ImageState::Deprecated))),
        ("deleted", Ok(None)),
        ("pending_delete", Ok(None)),
        ("Active", Err(Fault::Unintelligible)),
    ] {
        let state = with(r#""active""#, &format!(r#""{status}""#)).map(|facts| facts.map(|facts| facts.state));
        assert_eq!(state, wanted, "{status}");
    }
    for (visibility, wanted) in [
        ("shared", Ok(Visibility::Shared)),
        ("private", Ok(Visibility::Private)),
        ("public", Ok(Visibility::Public)),
        ("community", Ok(Visibility::Public)),
        ("", Err(Fault::Unintelligible)),
    ] {
        let read = with(r#""visibility": "shared""#, &format!(r#""visibility": "{visibility}""#));
        assert_eq!(read.map(|facts| facts.unwrap().visibility), wanted, "{visibility}");
    }
}

#[test]
fn a_key_among_the_properties_means_encrypted() {
    for key in ["cinder_encryption_key_id", "os_encrypt_key_id"] {
        assert!(with(r#""tags": []"#, &format!(r#""{key}": "k""#)).unwrap().unwrap().encrypted, "{key}");
    }
}

#[test]
fn an_image_that_was_not_asked_for_or_lacks_what_is_needed_proves_nothing() {
    for (from, to) in [
        ("\"8a64453f-71c1-4448-8994-264aae537a42\",", "\"8a64453f-71c1-4448-8994-264aae537a43\","),
        (r#""status": "active","#, ""),
        (r#""visibility": "shared","#, ""),
        (r#""0d91420605f84fd1b3cae49ba9b42f1f""#, "7"),
    ] {
        assert_eq!(with(from, to), Err(Fault::Unintelligible), "{to}");
    }
    let long = with("golden 镜像", &"x".repeat(5000)).unwrap().unwrap().name;
    assert_eq!(long.len(), NAME_CHARS_MAX);
}

#[test]
fn of_the_link_to_the_next_page_only_the_marker_is_taken() {
    let page = |next: &str| {
        let body = format!(r#"{{"images": [{ROW}], "next": {next}, "first": "/v2/images"}}"#);
        read_images(body.as_bytes(), &principal(PROJECT)).map(|page| page.marker)
    };
    let marker = ImageId::parse("a-b").unwrap();
    assert_eq!(page(r#""/v2/images?limit=1&marker=a-b&visibility=shared""#), Ok(Some(marker.clone())));
    assert_eq!(page(r#""http://evil.io/v2/images?marker=a-b""#), Ok(Some(marker)));
    assert_eq!(page("null"), Ok(None));
    for bad in [r#""/v2/images""#, r#""/v2/images?marker=""#, r#""/v2/images?marker=..%2Fx""#, r#""""#] {
        assert_eq!(page(bad), Err(Fault::Unintelligible), "{bad}");
    }
}

fn members(rows: &[(&str, &str)]) -> Result<RecipientList, Fault> {
    let row = |(member, status): &(&str, &str)| serde_json::json!({"member_id": member, "image_id": IMAGE, "status": status, "schema": "/v2/schemas/member"});
    let body =
        serde_json::json!({"members": rows.iter().map(row).collect::<Vec<_>>(), "schema": "/v2/schemas/members"});
    read_members(body.to_string().as_bytes(), &image())
}

fn project(id: &str) -> Recipient {
    Recipient { kind: RecipientKind::Project, id: principal(id) }
}

#[test]
fn members_are_read_with_their_answers() {
    let list = members(&[("a", "pending"), ("b", "accepted"), ("c", "rejected")]).unwrap();
    let wanted = [("a", Answer::Pending), ("b", Answer::Accepted), ("c", Answer::Rejected)];
    assert_eq!(list.recipients, wanted.map(|(id, answer)| (project(id), Some(answer))).into());
    assert!(list.complete);
    assert_eq!(members(&[("a", "perhaps")]), Err(Fault::Unintelligible));
    let other = format!(r#"{{"members": [{{"member_id": "a", "image_id": "{PROJECT}", "status": "pending"}}]}}"#);
    assert_eq!(read_members(other.as_bytes(), &image()), Err(Fault::Unintelligible));
    assert_eq!(read_members(b"{}", &image()), Err(Fault::Unintelligible));
}

#[test]
fn of_a_member_listed_twice_the_answer_that_shows_the_image_counts() {
    for (first, second, wanted) in [
        ("pending", "accepted", Answer::Accepted),
        ("accepted", "pending", Answer::Accepted),
        ("accepted", "rejected", Answer::Accepted),
        ("rejected", "pending", Answer::Pending),
        ("pending", "rejected", Answer::Pending),
    ] {
        let list = members(&[("a", first), ("a", second)]).unwrap();
        assert_eq!(list.recipients, [(project("a"), Some(wanted))].into(), "{first} {second}");
        assert!(list.complete);
    }
}

#[test]
fn a_member_that_is_no_identifier_makes_the_list_incomplete() {
    let list = members(&[("a b", "pending"), ("c", "pending")]).unwrap();
    assert_eq!((list.recipients.len(), list.complete), (1, false));
}

fn token(endpoints: &str) -> Result<TokenFacts, Fault> {
    token_for(endpoints, None)
}

fn token_for(endpoints: &str, image: Option<&ServiceEndpoint>) -> Result<TokenFacts, Fault> {
    let body = format!(
        r#"{{"token": {{"issued_at": "2026-11-22T05:10:07.000000Z", "expires_at": "2026-11-22T06:10:07.000000Z",
        "project": {{"id": "{PROJECT}", "name": "p"}}, "catalog": [{{"type": "compute", "endpoints": [{{"interface": "public",
        "region_id": "Other", "url": "http://127.0.0.1:80"}}]}}, {{"type": "image", "endpoints": [{endpoints}]}}]}}}}"#
    );
    let allowed = AllowedEndpoints::parse(&["http://127.0.0.1:9292"]).unwrap();
    read_token(body.as_bytes(), Interface::Public, image, &allowed)
}

#[test]
fn image_services_are_read_by_region_and_interface_without_the_version() {
    let facts = token(
        r#"{"interface": "internal", "region_id": "One", "url": "http://127.0.0.1:9292/internal"},
           {"interface": "public", "region_id": "One", "region": "One", "url": "http://127.0.0.1:9292/v2/"},
           {"interface": "public", "region": "Two", "url": "http://127.0.0.1:9292/image/v2"},
           {"interface": "public", "region_id": "Three", "url": "https://evil.io/v2"},
           {"interface": "public", "region_id": "Fo ur", "url": "http://127.0.0.1:9292/"},
           {"interface": "public", "region_id": "Five", "url": "http://127.0.0.1:9292/"}"#,
    )
    .unwrap();
    assert_eq!((facts.project, facts.lifetime.as_secs()), (principal(PROJECT), 3600));
    let services: Vec<_> = facts
        .image_services
        .iter()
        .map(|(region, endpoint)| {
            (region.as_str(), endpoint.as_ref().map(|e| e.url().as_str()).map_err(Option::as_deref))
        })
        .collect();
    let wanted = [
        ("Five", Ok("http://127.0.0.1:9292/")),
        ("One", Ok("http://127.0.0.1:9292/")),
        ("Three", Err(Some("https://evil.io:443"))),
        ("Two", Ok("http://127.0.0.1:9292/image")),
    ];
    assert_eq!(services, wanted);
}

#[test]
fn an_image_service_that_the_account_names_is_that_of_every_region_of_the_catalogue() {
    let allowed = AllowedEndpoints::parse(&["https://glance.{region}.example.com:9292"]).unwrap();
    let named =
        allowed.check_regional_service(Provider::OpenStack, "https://glance.{region}.example.com:9292").unwrap();
    let facts = token_for(
        r#"{"interface": "internal", "region_id": "One", "url": "http://10.0.0.1:9292"},
           {"interface": "public", "region_id": "Two", "url": "http://10.0.0.2:9292"},
           {"interface": "public", "region_id": "T_3", "url": "http://10.0.0.2:9292"}"#,
        Some(&named),
    )
    .unwrap();
    let url = |region: &str| {
        let found = facts.image_services.get(&RegionId::parse(region).unwrap()).unwrap();
        found.as_ref().map(|endpoint| endpoint.url().to_string()).map_err(Option::clone)
    };
    assert_eq!(url("One"), Ok("https://glance.one.example.com:9292/".to_owned()));
    assert_eq!(url("Two"), Ok("https://glance.two.example.com:9292/".to_owned()));
    assert_eq!(url("T_3"), Err(None), "no host has such a name");
}

#[test]
fn a_catalogue_tells_which_interfaces_its_image_services_have() {
    let facts = token(
        r#"{"interface": "internalURL", "region_id": "One", "url": "http://127.0.0.1:9292"},
           {"interface": "admin", "region_id": "One", "url": "http://127.0.0.1:9292"},
           {"interface": "special", "region_id": "One", "url": "http://127.0.0.1:9292"}"#,
    )
    .unwrap();
    assert!(facts.image_services.is_empty());
    assert_eq!(facts.other_interfaces.into_iter().collect::<Vec<_>>(), [Interface::Internal, Interface::Admin]);
}

#[test]
fn a_token_without_a_project_or_times_is_no_token() {
    for body in [
        "{}",
        r#"{"token": {}}"#,
        r#"{"token": {"issued_at": "2026-11-22T05:10:07Z", "expires_at": "2026-11-22T06:10:07Z", "catalog": []}}"#,
        r#"{"token": {"issued_at": "now", "expires_at": "later", "project": {"id": "p"}}}"#,
        r#"{"token": {"issued_at": "2026-11-22T05:10:07Z", "expires_at": "2026-11-22T06:10:07Z", "project": {"id": "p q"}}}"#,
    ] {
        let read = read_token(body.as_bytes(), Interface::Public, None, &AllowedEndpoints::default());
        assert_eq!(read.unwrap_err(), Fault::Unintelligible, "{body}");
    }
}
