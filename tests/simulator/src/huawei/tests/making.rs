//! Images made of servers and disks.

use super::*;

/// The world, with a server and a disk in the owner's first project.
fn furnished() -> State {
    let bare = "- {id: 0a1b2c3d4e5f60718293a4b5c6d7e8f9, region: cn-north-4}";
    let with = "- {id: 0a1b2c3d4e5f60718293a4b5c6d7e8f9, region: cn-north-4, servers: [server-1], volumes: [volume-1]}";
    State::new(WorldFile::parse(&WORLD.replace("TOKEN", "").replace(bare, with)).unwrap()).unwrap()
}

fn make(state: &mut State, key: (&str, &str), body: &Value) -> Value {
    call(state, key, "POST", "/v2/cloudimages/action", body).1
}

#[test]
fn an_image_is_made_of_a_server_or_a_disk_by_a_job() {
    let mut state = furnished();
    let tags = json!([{"key": "team", "value": "core"}]);
    let server = json!({"name": "silver", "instance_id": "server-1", "description": "of a server", "image_tags": tags});
    let disk = json!({"name": "bronze", "volume_id": "volume-1", "os_version": answers::SYSTEM, "type": "ECS", "min_ram": 1024});
    for (body, origin) in [(server, "instance,server-1"), (disk, "volume,volume-1")] {
        let job = make(&mut state, OWNER_KEY, &body)["job_id"].as_str().unwrap().to_owned();
        let name = body["name"].as_str().unwrap();
        let path = format!("/v2/cloudimages?name={name}");
        assert_eq!(get(&mut state, OWNER_KEY, &path)["images"], json!([]), "not before the job ends");
        wait(&mut state);
        let shown = get(&mut state, OWNER_KEY, &format!("/v1/{OWNER}/jobs/{job}"));
        let row = get(&mut state, OWNER_KEY, &path)["images"][0].clone();
        assert_eq!((&shown["status"], &shown["entities"]["image_id"]), (&json!("SUCCESS"), &row["id"]));
        assert_eq!((&row["status"], &row["__data_origin"]), (&json!("active"), &json!(origin)));
        let id = row["id"].as_str().unwrap();
        let made = state.journal.entries().iter().filter_map(|entry| entry.effect.as_ref()?.created.as_ref());
        assert!(made.into_iter().any(|made| made.as_str() == id), "the journal knows it");
    }
    let tagged = get(&mut state, OWNER_KEY, "/v2/cloudimages?tag=team%3Dcore");
    assert_eq!(tagged["images"][0]["name"], "silver");
}

#[test]
fn what_an_image_cannot_be_made_of_or_be_is_refused() {
    let mut state = furnished();
    let named = |body: Value| {
        let mut all = json!({"name": "silver"});
        all.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        all
    };
    for (key, body, wanted) in [
        (OWNER_KEY, json!({"instance_id": "server-2"}), "IMG.0001"),
        (RECIPIENT_KEY, json!({"instance_id": "server-1"}), "IMG.0001"),
        (OWNER_KEY, json!({"volume_id": "volume-1"}), "IMG.0001"),
        (OWNER_KEY, json!({"volume_id": "volume-1", "instance_id": "server-1"}), "IMG.0001"),
        (OWNER_KEY, json!({"instance_id": "server-1", "type": "BMS"}), "IMG.0001"),
        (OWNER_KEY, json!({"instance_id": "server-1", "hw_firmware_type": "uefi"}), "IMG.0001"),
        (OWNER_KEY, json!({"instance_id": "server-1", "name": "a/b"}), "IMG.0003"),
        (OWNER_KEY, json!({"instance_id": "server-1", "description": "a<b"}), "IMG.0054"),
    ] {
        let body = named(body);
        assert_eq!(code(&make(&mut state, key, &body)), wanted, "{body}");
    }
    assert_eq!(code(&make(&mut state, OWNER_KEY, &Value::Null)), "IMG.0007");
}
