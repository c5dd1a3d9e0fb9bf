//! What clients of other people need: orders of lists, native reads, documents by which they find their way.

use super::*;

fn names(state: &mut State, query: &str) -> Vec<String> {
    let list = get(state, OWNER_KEY, &format!("/v2/cloudimages?{query}"));
    let rows = list["images"].as_array().unwrap_or_else(|| panic!("{query}: {list}"));
    rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn lists_are_ordered_as_asked_and_newest_first_else() {
    let mut state = plain();
    let one = |id: u32, name: &str, size: u32, created: &str| {
        let id = format!("cc4f2d1e-0000-4000-8000-00000000010{id}");
        let spec = json!({"id": id, "project": OWNER, "name": name, "sizeGiB": size, "created": created});
        serde_json::from_value::<ImageSpec>(spec).unwrap()
    };
    state.patch_huawei_image(&ImageId::from(GOLDEN), ImagePatch { delete: true, ..ImagePatch::default() }).unwrap();
    state.patch_huawei_image(&ImageId::from(SECOND), ImagePatch { delete: true, ..ImagePatch::default() }).unwrap();
    for spec in [
        one(1, "b", 30, "2026-01-02T00:00:00Z"),
        one(2, "c", 10, "2026-01-03T00:00:00Z"),
        one(3, "a", 20, "2026-01-01T00:00:00Z"),
    ] {
        state.create_huawei_image(spec).unwrap();
    }
    for (query, expected) in [
        ("", ["c", "b", "a"]),
        ("sort_key=name&sort_dir=asc", ["a", "b", "c"]),
        ("sort_key=name", ["c", "b", "a"]),
        ("sort_key=size&sort_dir=asc", ["c", "a", "b"]),
        ("sort_key=id&sort_dir=desc", ["a", "c", "b"]),
        ("sort_key=created_at&sort_dir=asc", ["a", "b", "c"]),
    ] {
        assert_eq!(names(&mut state, &format!("__imagetype=private&{query}")), expected, "{query}");
    }
    // A page goes on where the last one ended, in any order.
    let asc = "__imagetype=private&sort_key=name&sort_dir=asc&limit=1";
    assert_eq!(names(&mut state, asc), ["a"]);
    assert_eq!(names(&mut state, &format!("{asc}&marker=cc4f2d1e-0000-4000-8000-000000000103")), ["b"]);
}

#[test]
fn every_parameter_of_the_vendors_uri_has_an_effect() {
    let mut state = plain();
    let count = |state: &mut State, query: &str| names(state, &format!("__imagetype=private&{query}")).len();
    for query in [
        "__os_type=Linux",
        "__os_bit=64",
        "__platform=EulerOS",
        "__isregistered=true",
        "architecture=x86",
        "min_disk=40",
        "min_ram=0",
        "disk_format=zvhd2",
        "container_format=bare",
        "hw_firmware_type=bios",
        "__support_kvm=false",
        "created_at=lte%3A2026-11-21T23%3A43%3A45Z",
        "created_at=eq%3A2026-11-21+23%3A43%3A45",
        "updated_at=gt%3A2026-01-01T00%3A00%3A00Z",
    ] {
        assert_eq!(count(&mut state, query), 2, "{query}");
    }
    for query in [
        "__os_type=Windows",
        "__platform=Ubuntu",
        "architecture=arm",
        "min_disk=41",
        "__support_kvm=true",
        "created_at=gt%3A2026-11-21T23%3A43%3A45Z",
        "updated_at=neq%3A2026-11-21T23%3A43%3A45Z",
    ] {
        assert_eq!(count(&mut state, query), 0, "{query}");
    }
}

#[test]
fn the_native_list_has_pages_of_its_own() {
    let mut state = plain();
    for n in 0..30 {
        let spec = json!({"id": format!("cc4f2d1e-0000-4000-8000-0000000002{n:02}"), "project": OWNER});
        state.create_huawei_image(serde_json::from_value(spec).unwrap()).unwrap();
    }
    let first = get(&mut state, OWNER_KEY, "/v2/images?__imagetype=private&sort_key=id&sort_dir=asc");
    assert_eq!((first["images"].as_array().unwrap().len(), &first["schema"]), (25, &json!("/v2/schemas/images")));
    assert_eq!(first["first"], "/v2/images?__imagetype=private&sort_key=id&sort_dir=asc");
    let second = get(&mut state, OWNER_KEY, first["next"].as_str().unwrap());
    assert_eq!((second["images"].as_array().unwrap().len(), &second["next"]), (7, &Value::Null));
    let one = get(&mut state, OWNER_KEY, &format!("/v2/images/{GOLDEN}"));
    assert_eq!((&one["name"], &one["owner"], &one["visibility"]), (&json!("golden"), &json!(OWNER), &json!("private")));
    let (status, missing) = call(&mut state, RECIPIENT_KEY, "GET", &format!("/v2/images/{GOLDEN}"), &Value::Null);
    assert_eq!((status, code(&missing)), (404, "IMG.0144"));
}

#[test]
fn versions_and_schemas_are_found_at_the_address_the_client_came_by() {
    let mut state = plain();
    let open = |state: &mut State, path: &str| {
        let wire = wire(state, "GET", path, "", &[]);
        serde_json::from_str::<Value>(&send(state, &wire).body).unwrap()
    };
    let v3 = open(&mut state, "/v3");
    assert_eq!((&v3["version"]["id"], &v3["version"]["status"]), (&json!("v3.6"), &json!("stable")));
    assert_eq!(v3["version"]["links"][0]["href"], "http://ims.test/v3/");
    assert_eq!(open(&mut state, "/")["versions"][0]["links"][0]["href"], "http://ims.test/v2/");
    assert_eq!(open(&mut state, "/v2/")["version"]["status"], "CURRENT");
    for schema in ["image", "images", "member", "members"] {
        assert_eq!(get(&mut state, OWNER_KEY, &format!("/v2/schemas/{schema}"))["name"], schema);
    }
}

#[test]
fn a_token_comes_with_a_catalog_of_its_region() {
    let mut state = plain();
    let user = json!({"name": "alice", "password": "in wonderland", "domain": {"name": "owners"}});
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    let mut token = |scope: Value, query: &str| {
        let body = json!({"auth": {"identity": identity, "scope": scope}}).to_string();
        let wire = wire(&state, "POST", &format!("/v3/auth/tokens{query}"), &body, &[]);
        serde_json::from_str::<Value>(&send(&mut state, &wire).body).unwrap()["token"].clone()
    };
    let scoped = token(json!({"project": {"id": OWNER}}), "");
    let image = &scoped["catalog"][1];
    assert_eq!((&scoped["catalog"][0]["type"], &image["type"]), (&json!("identity"), &json!("image")));
    assert_eq!(
        (&image["endpoints"][0]["region"], &image["endpoints"][0]["url"]),
        (&json!("cn-north-4"), &json!("http://ims.test"))
    );
    assert_eq!(token(json!({"domain": {"name": "owners"}}), "")["catalog"].as_array().unwrap().len(), 1);
    assert_eq!(token(json!({"project": {"id": OWNER}}), "?nocatalog=true")["catalog"], Value::Null);
}

#[test]
fn the_identity_service_answers_in_its_own_words() {
    let mut state = plain();
    let rows = |answer: &Value| answer["projects"].as_array().map(Vec::len);
    assert_eq!(rows(&get(&mut state, OWNER_KEY, "/v3/projects?page=1&per_page=10")), Some(2));
    assert_eq!(rows(&get(&mut state, OWNER_KEY, "/v3/projects?page=2&per_page=1")), Some(1));
    assert_eq!(rows(&get(&mut state, OWNER_KEY, "/v3/projects?page=2&per_page=10")), Some(0));
    assert_eq!(rows(&get(&mut state, OWNER_KEY, "/v3/projects?enabled=false")), Some(0));
    assert_eq!(rows(&get(&mut state, OWNER_KEY, &format!("/v3/projects?domain_id={DOMAIN}"))), Some(0));
    assert_eq!(rows(&get(&mut state, OWNER_KEY, "/v3/auth/projects")), Some(2));
    for bad in ["colour=red", "page=0&per_page=1", "enabled=maybe"] {
        let (status, answer) = call(&mut state, OWNER_KEY, "GET", &format!("/v3/projects?{bad}"), &Value::Null);
        assert_eq!((status, &answer["error_code"]), (400, &json!("IAM.0007")), "{bad}: {answer}");
    }
    script(&mut state, json!([{"count": 1, "then": {"kind": "unavailable"}}]));
    let (status, answer) = call(&mut state, OWNER_KEY, "GET", "/v3/projects", &Value::Null);
    assert_eq!((status, &answer["error"]["code"]), (503, &json!(503)), "{answer}");
}

#[test]
fn where_an_images_data_come_from_is_told_as_what_and_which() {
    let mut state = plain();
    let origin = |state: &mut State, query: &str| {
        get(state, OWNER_KEY, &format!("/v2/cloudimages?{query}"))["images"][0]["__data_origin"].clone()
    };
    assert_eq!(origin(&mut state, &format!("id={GOLDEN}")), format!("instance,{GOLDEN}"));
    assert_eq!(origin(&mut state, "__imagetype=gold"), "");
    let volume = json!({"id": "cc4f2d1e-0000-4000-8000-000000000300", "project": OWNER, "dataOrigin": "volume,v-1"});
    state.create_huawei_image(serde_json::from_value(volume).unwrap()).unwrap();
    assert_eq!(origin(&mut state, "id=cc4f2d1e-0000-4000-8000-000000000300"), "volume,v-1");
}

#[test]
fn a_request_for_what_is_not_known_is_journalled_with_its_method_and_path() {
    let mut state = plain();
    call(&mut state, OWNER_KEY, "POST", "/v1/cloudimages/wholeimages/action", &json!({}));
    let entry = last(&state);
    assert_eq!((entry.action.as_str(), entry.code.as_str()), ("", "APIGW.0101"));
    assert_eq!(entry.unknown.as_deref(), Some("POST /v1/cloudimages/wholeimages/action"));
}

#[test]
fn an_api_is_throttled_by_the_minute_with_and_without_a_header() {
    for (tells, wait) in [(true, Some("15")), (false, None)] {
        let mut state = plain();
        let limit = json!([{"provider": "huawei", "action": "ListImages", "callsPerMinute": 1, "tellsWait": tells}]);
        state.limits.set(serde_json::from_value(limit).unwrap()).unwrap();
        let mut list = || {
            let mut wire = wire(&state, "GET", "/v2/cloudimages", "", &[]);
            signature::sign(&mut wire, OWNER_KEY.0, OWNER_KEY.1);
            let reply = send(&mut state, &wire);
            let told = reply.headers.iter().find(|(name, _)| *name == "retry-after").map(|(_, value)| value.clone());
            (reply.status, told)
        };
        assert_eq!(list(), (200, None));
        assert_eq!(list(), (429, wait.map(str::to_owned)));
    }
}

#[test]
fn the_address_of_the_safe_mode_copies_as_the_other_does() {
    let mut state = plain();
    let (status, answer) =
        call(&mut state, OWNER_KEY, "POST", &format!("/v2.1/cloudimages/{GOLDEN}/copy"), &json!({"name": "copy"}));
    assert_eq!((status, answer["job_id"].is_string()), (200, true), "{answer}");
    assert_eq!(last(&state).action, "CopyImageInRegion");
}

#[test]
fn a_parameter_without_effect_is_refused_wherever_it_stands() {
    let mut state = plain();
    for (path, wanted) in [
        ("/v3/auth/domains?name=owners", "IAM.0007"),
        ("/v3/regions?limit=1", "IAM.0007"),
        ("/v3/auth/projects?name=cn-north-4", "IAM.0007"),
        ("/v1/cloudimages/quota?type=image", "IMG.0001"),
        (&*format!("/v2/images/{GOLDEN}?fields=name"), "IMG.0001"),
        (&*format!("/v2/{OWNER}/images/tags?limit=1"), "IMG.0001"),
        (&*format!("/v2/images/{GOLDEN}/members?sort=asc"), "IMG.0001"),
    ] {
        assert_eq!(code(&get(&mut state, OWNER_KEY, path)), wanted, "{path}");
    }
}

#[test]
fn an_offer_is_answered_by_nobody_else_whichever_call_he_makes() {
    let mut state = plain();
    share(&mut state, &[RECIPIENT]);
    wait(&mut state);
    let path = format!("/v2/images/{GOLDEN}/members/{RECIPIENT}");
    let native = call(&mut state, OWNER_KEY, "PUT", &path, &json!({"status": "accepted"}));
    assert_eq!((native.0, code(&native.1)), (403, "IMG.0030"));
    let batch = json!({"images": [GOLDEN], "project_id": RECIPIENT, "status": "accepted"});
    let refused = call(&mut state, OWNER_KEY, "PUT", "/v1/cloudimages/members", &batch);
    assert_eq!((refused.0, code(&refused.1)), (400, "IMG.0030"));
}
