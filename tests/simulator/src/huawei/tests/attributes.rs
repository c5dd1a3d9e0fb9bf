//! Changes of an image's name and the like, and its tags.

use super::*;

fn update(state: &mut State, key: (&str, &str), id: &str, changes: &Value) -> (u16, Value) {
    call(state, key, "PATCH", &format!("/v2/cloudimages/{id}"), changes)
}

fn replace(path: &str, value: &str) -> Value {
    json!({"op": "replace", "path": path, "value": value})
}

#[test]
fn an_owner_changes_name_description_and_memory() {
    let mut state = plain();
    state.move_clock(ClockMove { offset_seconds: Some(60), advance_seconds: None }).unwrap();
    let changes = json!([
        replace("/name", "silver"), replace("/__description", "of silver"),
        replace("/min_ram", "1024"), {"op": "add", "path": "/max_ram", "value": 4096},
    ]);
    let (status, row) = update(&mut state, OWNER_KEY, GOLDEN, &changes);
    assert_eq!(status, 200, "{row}");
    assert_eq!(
        [&row["name"], &row["__description"], &row["min_ram"], &row["max_ram"]],
        [&json!("silver"), &json!("of silver"), &json!(1024), &json!("4096")]
    );
    assert_eq!(
        (&row["created_at"], &row["updated_at"]),
        (&json!("2026-11-21T23:43:45Z"), &json!("2026-11-21T23:44:45Z"))
    );
    assert_eq!(last(&state).effect.as_ref().unwrap().updated, ["name", "description", "minRam", "maxRam"]);
    assert_eq!((last(&state).action.as_str(), last(&state).image.as_ref().unwrap().as_str()), ("UpdateImage", GOLDEN));
    let (_, row) = update(&mut state, OWNER_KEY, GOLDEN, &json!([{"op": "remove", "path": "/max_ram"}]));
    assert_eq!(row["max_ram"], "");
    let native = json!([replace("/name", "gold")]);
    let (status, row) = call(&mut state, OWNER_KEY, "PATCH", &format!("/v2/images/{GOLDEN}"), &native);
    assert_eq!((status, &row["name"]), (200, &json!("gold")));
}

#[test]
fn only_the_owner_changes_an_image_and_only_what_the_simulator_keeps() {
    let mut state = plain();
    share(&mut state, &[RECIPIENT]);
    wait(&mut state);
    let name = json!([replace("/name", "mine")]);
    assert_eq!(code(&update(&mut state, RECIPIENT_KEY, GOLDEN, &name).1), "IMG.0047");
    assert_eq!(code(&update(&mut state, RECIPIENT_KEY, SECOND, &name).1), "IMG.0144");
    assert_eq!(code(&update(&mut state, OWNER_KEY, "m-1", &name).1), "IMG.0066");
    assert_eq!(code(&update(&mut state, OWNER_KEY, GOLDEN, &json!([replace("/owner", "x")])).1), "IMG.0001");
    assert_eq!(code(&update(&mut state, OWNER_KEY, GOLDEN, &Value::Null).1), "IMG.0007");
}

#[test]
fn tags_are_added_listed_filtered_by_and_removed() {
    let mut state = plain();
    let path = format!("/v2/{OWNER}/images/{GOLDEN}/tags");
    let tag = |key: &str, value: &str| json!({"key": key, "value": value});
    assert_eq!(call(&mut state, OWNER_KEY, "POST", &path, &json!({"tag": tag("team", "core")})).0, 204);
    assert_eq!(last(&state).effect.as_ref().unwrap().updated, ["tags"]);
    let more = json!({"action": "create", "tags": [tag("tier", "2"), tag("env", "")]});
    assert_eq!(call(&mut state, OWNER_KEY, "POST", &format!("{path}/action"), &more).0, 204);
    assert_eq!(
        get(&mut state, OWNER_KEY, &path),
        json!({"tags": [tag("env", ""), tag("team", "core"), tag("tier", "2")]})
    );
    let all = get(&mut state, OWNER_KEY, &format!("/v2/{OWNER}/images/tags"));
    assert_eq!(all["tags"][1], json!({"key": "team", "values": ["core"]}));
    for (query, found) in [("tag=team%3Dcore", 1), ("tag=team.core", 1), ("tag=team%3Dweb", 0)] {
        let list = get(&mut state, OWNER_KEY, &format!("/v2/cloudimages?{query}"));
        assert_eq!(list["images"].as_array().unwrap().len(), found, "{query}");
    }
    let list = get(&mut state, OWNER_KEY, &format!("/v2/cloudimages?id={GOLDEN}"));
    assert_eq!(list["images"][0]["tags"], json!(["env=", "team=core", "tier=2"]));
    assert_eq!(call(&mut state, OWNER_KEY, "DELETE", &format!("{path}/tier"), &Value::Null).0, 204);
    assert_eq!(call(&mut state, OWNER_KEY, "DELETE", &format!("{path}/tier"), &Value::Null).0, 404);
    let gone = json!({"action": "delete", "tags": [tag("env", ""), tag("team", "core")]});
    assert_eq!(call(&mut state, OWNER_KEY, "POST", &format!("{path}/action"), &gone).0, 204);
    assert_eq!(get(&mut state, OWNER_KEY, &path), json!({"tags": []}));
}

#[test]
fn tags_have_the_vendors_form_and_an_image_has_twenty() {
    let mut state = plain();
    let path = format!("/v2/{OWNER}/images/{GOLDEN}/tags");
    let bad = json!({"tag": {"key": "_sys_x", "value": ""}});
    assert_eq!(code(&call(&mut state, OWNER_KEY, "POST", &path, &bad).1), "IMG.0001");
    let tags: Vec<_> = (0..21).map(|n| json!({"key": format!("k{n}"), "value": ""})).collect();
    let many = json!({"action": "create", "tags": tags});
    assert_eq!(code(&call(&mut state, OWNER_KEY, "POST", &format!("{path}/action"), &many).1), "IMG.0001");
    let other = format!("/v2/{RECIPIENT}/images/{GOLDEN}/tags");
    assert_eq!(code(&get(&mut state, OWNER_KEY, &other)), "IMG.0030");
}

#[test]
fn images_are_found_and_counted_by_their_tags() {
    let mut state = plain();
    let tag = |key: &str, value: &str| json!({"key": key, "value": value});
    for (image, tags) in [(GOLDEN, vec![tag("team", "core"), tag("tier", "2")]), (SECOND, vec![tag("team", "edge")])] {
        let body = json!({"action": "create", "tags": tags});
        let path = format!("/v2/{OWNER}/images/{image}/tags/action");
        assert_eq!(call(&mut state, OWNER_KEY, "POST", &path, &body).0, 204);
    }
    let path = format!("/v2/{OWNER}/images/resource_instances/action");
    let of = |key: &str, values: &[&str]| json!([{"key": key, "values": values}]);
    let team = |values: &[&str]| of("team", values);
    let both = json!([{"key": "team", "values": ["core"]}, {"key": "tier", "values": []}]);
    for (filter, value, found) in [
        ("tags", team(&["core"]), vec![GOLDEN]),
        ("tags", team(&["core", "edge"]), vec![GOLDEN, SECOND]),
        ("tags", both.clone(), vec![GOLDEN]),
        ("tags_any", json!([{"key": "team", "values": ["edge"]}, {"key": "tier"}]), vec![GOLDEN, SECOND]),
        ("not_tags", both, vec![SECOND]),
        ("not_tags_any", of("tier", &[]), vec![SECOND]),
        ("matches", json!([{"key": "resource_name", "value": "golden"}]), vec![GOLDEN]),
        ("without_any_tag", json!(true), vec![]),
        ("offset", json!("1"), vec![SECOND]),
        ("limit", json!("1"), vec![GOLDEN]),
    ] {
        let mut body = json!({"action": "filter"});
        body[filter] = value;
        let answer = call(&mut state, OWNER_KEY, "POST", &path, &body).1;
        let rows = answer["resources"].as_array().unwrap();
        assert_eq!(rows.iter().map(|row| row["resource_id"].as_str().unwrap()).collect::<Vec<_>>(), found, "{body}");
    }
    let count = json!({"action": "count", "tags": team(&["core"])});
    assert_eq!(call(&mut state, OWNER_KEY, "POST", &path, &count), (200, json!({"total_count": 1})));
    for bad in [
        json!({"action": "list"}),
        json!({"action": "filter", "limit": "0"}),
        json!({"action": "filter", "tags": []}),
        json!({"action": "filter", "matches": [{"key": "size", "value": "1"}]}),
        json!({"action": "filter", "other": 1}),
    ] {
        assert_eq!(code(&call(&mut state, OWNER_KEY, "POST", &path, &bad).1), "IMG.0001", "{bad}");
    }
}

#[test]
fn the_systems_an_image_may_have_are_listed_by_what_they_run_on() {
    let mut state = plain();
    let all = get(&mut state, OWNER_KEY, "/v1/cloudimages/os_version?tag=x86");
    assert_eq!((&all[0]["platform"], &all[0]["version_list"][0]["os_bit"]), (&json!("EulerOS"), &json!(64)));
    assert_eq!(get(&mut state, OWNER_KEY, "/v1/cloudimages/os_version?tag=x86&tag=arm"), json!([]));
    assert_eq!(code(&get(&mut state, OWNER_KEY, "/v1/cloudimages/os_version?tag=tape")), "IMG.0001");
}
