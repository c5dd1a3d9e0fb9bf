//! Copies to other regions.

use super::*;

/// A well-formed wish, with what is to be otherwise.
fn away_with(state: &mut State, key: (&str, &str), image: &str, other: &Value) -> Result<String, String> {
    let mut body = json!({"name": "copy", "region": "cn-south-1", "project_name": "cn-south-1",
        "agency_name": "ims-copies"});
    for (field, value) in other.as_object().unwrap() {
        body[field] = value.clone();
    }
    let answer = call(state, key, "POST", &format!("/v1/cloudimages/{image}/cross_region_copy"), &body).1;
    answer["job_id"].as_str().map(str::to_owned).ok_or_else(|| code(&answer).to_owned())
}

fn away(state: &mut State, image: &str) -> Result<String, String> {
    away_with(state, OWNER_KEY, image, &json!({}))
}

/// The images of the owner's project in the south, by name and state.
fn southern(state: &mut State) -> Vec<(String, String)> {
    let mut wire = wire(state, "GET", "/v2/cloudimages", "", &[("x-project-id", SOUTH)]);
    signature::sign(&mut wire, OWNER_KEY.0, OWNER_KEY.1);
    let list: Value = serde_json::from_str(&send(state, &wire).body).unwrap();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    list["images"].as_array().unwrap().iter().map(|row| (text(row, "name"), text(row, "status"))).collect()
}

#[test]
fn a_copy_to_another_region_is_the_projects_there_and_its_job_is_the_askers() {
    let mut state = world();
    let job = away(&mut state, GOLDEN).unwrap();
    let replica = last(&state).copy.clone().unwrap();
    assert_eq!((replica.owner.as_str(), replica.region.as_str()), (SOUTH, "cn-south-1"));
    assert_eq!(
        (last(&state).action.as_str(), last(&state).region.as_ref().unwrap().as_str()),
        ("CopyImageCrossRegion", "cn-north-4")
    );
    assert_eq!(southern(&mut state), []);
    for (seconds, status) in [(1, "queued"), (2, "saving"), (7, "active")] {
        pass(&mut state, seconds);
        assert_eq!(southern(&mut state), [("copy".to_owned(), status.to_owned())]);
    }
    assert_eq!(states(&mut state).len(), 0, "nothing new where it came from");
    let done = shown(&mut state, &job);
    assert_eq!((&done["status"], &done["job_type"]), (&json!("SUCCESS"), &json!("imsCopyImageCrossRegionJob")));
    assert_eq!(done["entities"]["image_id"], json!(replica.image));
    let spec = state.huawei.world.dump_image(&replica.image).unwrap();
    assert_eq!((spec.project.as_str(), spec.size_gib, spec.parent.unwrap().as_str()), (SOUTH, 40, GOLDEN));
    let other = json!({"project_name": "cn-south-1_two"});
    assert!(away_with(&mut state, OWNER_KEY, GOLDEN, &other).is_ok(), "any project of the account there will do");
}

#[test]
fn each_refusal_of_a_copy_to_another_region_has_its_code() {
    let mut state = world();
    offer(&mut state, &[GOLDEN], "accepted");
    let cases = [
        (LOCKED, json!({}), "IMG.0105"),
        (DISC, json!({}), "IMG.0105"),
        (PUBLIC, json!({}), "IMG.0089"),
        (GOLDEN, json!({"region": "cn-north-4", "project_name": "cn-north-4"}), "IMG.0105"),
        (GOLDEN, json!({"region": "mars-1"}), "IMG.0001"),
        (GOLDEN, json!({"project_name": ""}), "IMG.0104"),
        (GOLDEN, json!({"project_name": "cn-north-4"}), "IMG.0145"),
        (GOLDEN, json!({"region": "cn-north-1", "project_name": "cn-north-1"}), "IMG.0145"),
        (GOLDEN, json!({"agency_name": "nobody"}), "IMG.0179"),
        (GOLDEN, json!({"agency_name": "ims-nowhere"}), "IMG.0179"),
        (GOLDEN, json!({"name": "a/b"}), "IMG.0003"),
        ("cc4f2d1e-0000-4000-8000-00000000000f", json!({}), "IMG.0144"),
    ];
    for (image, other, code) in cases {
        assert_eq!(away_with(&mut state, OWNER_KEY, image, &other), refusal(code), "{image} {other}");
    }
    assert_eq!(away_with(&mut state, RECIPIENT_KEY, GOLDEN, &json!({})), refusal("IMG.0047"));
    pass(&mut state, 10);
    assert_eq!(southern(&mut state), []);
    let domain = AccountId::from("d0000000000000000000000000000000");
    let given = json!({"agencies": [{"name": "ims-nowhere", "projects": [SOUTH]}]});
    state.patch_huawei_domain(&domain, serde_json::from_value(given).unwrap()).unwrap();
    assert!(away_with(&mut state, OWNER_KEY, GOLDEN, &json!({"agency_name": "ims-nowhere"})).is_ok());
    assert_eq!(away(&mut state, GOLDEN), refusal("IMG.0179"), "the agency it had is gone");
}

#[test]
fn a_full_server_goes_into_a_vault_of_the_destination() {
    let mut state = world();
    for (vault, code) in [
        (json!({}), "IMG.0184"),
        (json!({"vault_id": "home-vault"}), "IMG.0184"),
        (json!({"vault_id": "full-vault"}), "IMG.0182"),
    ] {
        assert_eq!(away_with(&mut state, OWNER_KEY, SECOND, &vault), refusal(code), "{vault}");
    }
    away_with(&mut state, OWNER_KEY, SECOND, &json!({"vault_id": "vault"})).unwrap();
    let id = last(&state).copy.clone().unwrap().image;
    pass(&mut state, 10);
    assert_eq!(state.huawei.world.dump_image(&id).unwrap().kind, Kind::FullServer);
}

#[test]
fn some_regions_take_larger_images_than_others() {
    let sized = |region: &str, size: u32| {
        let text = WORLD.replace("sizeGiB: 129", &format!("sizeGiB: {size}"));
        let mut state = State::new(WorldFile::parse(&text.replace("cn-north-4", region)).unwrap()).unwrap();
        away(&mut state, HUGE).err()
    };
    let too_large = Some("IMG.0059".to_owned());
    assert_eq!((sized("cn-north-4", 300), sized("cn-north-4", 301)), (None, too_large.clone()));
    assert_eq!((sized("cn-north-9", 128), sized("cn-north-9", 129)), (None, too_large));
}

#[test]
fn five_copies_to_other_regions_run_at_once_and_the_sixth_waits() {
    let mut state = world();
    let rules = serde_json::from_value::<RulesPatch>(json!({"imageQuota": 0})).unwrap();
    state.patch_huawei_rules(rules).unwrap();
    for turn in 0..5 {
        let project = if turn % 2 == 0 { "cn-south-1" } else { "cn-south-1_two" };
        away_with(&mut state, OWNER_KEY, GOLDEN, &json!({"project_name": project})).unwrap();
    }
    assert_eq!(away(&mut state, GOLDEN), refusal("IMG.0060"));
    assert!(copy(&mut state, GOLDEN).is_ok(), "copies in the region are not counted");
    pass(&mut state, 9);
    assert_eq!(away(&mut state, GOLDEN), refusal("IMG.0060"));
    pass(&mut state, 1);
    assert!(away(&mut state, GOLDEN).is_ok());
    let begun = |entry: &&Entry| entry.action == "CopyImageCrossRegion" && entry.code == "OK" && entry.copy.is_some();
    assert_eq!(state.journal.entries().iter().filter(begun).count(), 6);
}

#[test]
fn a_world_whose_agency_is_for_anothers_project_contradicts_itself() {
    let text = WORLD.replace("{name: ims-nowhere}", &format!("{{name: ims-nowhere, projects: [{RECIPIENT}]}}"));
    assert!(State::new(WorldFile::parse(&text).unwrap()).is_err());
}
