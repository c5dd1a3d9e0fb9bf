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
