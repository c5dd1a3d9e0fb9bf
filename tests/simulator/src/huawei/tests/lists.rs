//! Lists of images and members: filters, pages, and who sees what.

use super::*;

fn ids(state: &mut State, key: (&str, &str), query: &str) -> Vec<String> {
    let list = get(state, key, &format!("/v2/cloudimages?{query}"));
    let rows = list["images"].as_array().unwrap_or_else(|| panic!("{query}: {list}"));
    // Images differ in their last digit.
    rows.iter().map(|row| row["id"].as_str().unwrap()[35..].to_owned()).collect()
}

#[test]
fn a_recipient_finds_an_offer_by_its_status_only_until_it_has_accepted() {
    let mut state = plain();
    share(&mut state, &[RECIPIENT]);
    wait(&mut state);
    let shared = |state: &mut State, status: &str| {
        ids(state, RECIPIENT_KEY, &format!("__imagetype=shared&visibility=shared{status}"))
    };
    let listed = |state: &mut State| {
        ["", "&member_status=accepted", "&member_status=pending", "&member_status=rejected"]
            .map(|status| shared(state, status).len())
    };
    assert_eq!(listed(&mut state), [0, 0, 1, 0]);
    answer(&mut state, "accepted");
    wait(&mut state);
    assert_eq!(listed(&mut state), [1, 1, 0, 0]);
    answer(&mut state, "rejected");
    wait(&mut state);
    assert_eq!(listed(&mut state), [0, 0, 0, 1]);
    answer(&mut state, "accepted");
    wait(&mut state);
    assert_eq!(ids(&mut state, RECIPIENT_KEY, "visibility=shared"), ["1"]);
    let list = get(&mut state, RECIPIENT_KEY, &format!("/v2/cloudimages?id={GOLDEN}"));
    let row = &list["images"][0];
    assert_eq!(
        (&row["owner"], &row["__imagetype"], &row["visibility"]),
        (&json!(OWNER), &json!("shared"), &json!("shared"))
    );
}

#[test]
fn an_image_shared_with_the_domain_or_its_organization_is_listed_at_once() {
    for recipients in [json!({"domains": [DOMAIN]}), json!({"organizations": [UNIT]})] {
        let mut state = plain();
        let mut body = recipients;
        body["images"] = json!([GOLDEN]);
        members_call(&mut state, OWNER_KEY, "POST", &body);
        wait(&mut state);
        assert_eq!(ids(&mut state, RECIPIENT_KEY, "visibility=shared&member_status=accepted"), ["1"]);
    }
}

#[test]
fn shared_images_are_those_received_and_those_shared_out() {
    let mut state = plain();
    assert!(ids(&mut state, OWNER_KEY, "__imagetype=shared").is_empty());
    share(&mut state, &[RECIPIENT]);
    wait(&mut state);
    assert_eq!(ids(&mut state, OWNER_KEY, "__imagetype=shared"), ["1"]);
    assert_eq!(ids(&mut state, OWNER_KEY, "__imagetype=private"), ["1", "2"]);
    assert!(ids(&mut state, OWNER_KEY, "visibility=shared&member_status=pending").is_empty());
}

#[test]
fn every_filter_keeps_what_it_says() {
    let mut state = plain();
    let cases = [
        ("", vec!["1", "2", "3"]),
        ("__imagetype=gold", vec!["3"]),
        ("visibility=public", vec!["3"]),
        ("visibility=private", vec!["1", "2"]),
        (&*format!("__imagetype=private&owner={OWNER}"), vec!["1", "2"]),
        (&*format!("owner={RECIPIENT}"), vec![]),
        (&*format!("id={SECOND}"), vec!["2"]),
        ("name=golden", vec!["1"]),
        ("status=saving", vec![]),
        ("status=active&virtual_env_type=FusionCompute&protected=false", vec!["1", "2", "3"]),
        ("virtual_env_type=DataImage", vec![]),
        ("__whole_image=true", vec!["2"]),
        ("flavor_id=s6.small.1&__imagetype=gold", vec!["3"]),
        ("flavor_id=kc1.large.2", vec![]),
        ("enterprise_project_id=0&limit=2", vec!["1", "2"]),
        (&*format!("limit=2&marker={SECOND}"), vec!["3"]),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(&mut state, OWNER_KEY, query), expected, "{query}");
    }
}

#[test]
fn a_filter_that_is_not_kept_or_makes_no_sense_is_refused() {
    let mut state = plain();
    let bad = [
        "colour=red",
        "sort_key=colour",
        "created_at=2026",
        "limit=0",
        "limit=1001",
        "member_status=accepted",
        "visibility=shared&member_status=gone",
        "owner=short",
        "status=ACTIVE",
        "protected=yes",
        "__imagetype=own",
        "enterprise_project_id=1",
    ];
    for query in bad {
        assert_eq!(code(&get(&mut state, OWNER_KEY, &format!("/v2/cloudimages?{query}"))), "IMG.0001", "{query}");
    }
    assert_eq!(code(&get(&mut state, OWNER_KEY, "/v2/cloudimages?marker=gone")), "IMG.0144");
    assert_eq!(
        code(&get(&mut state, OWNER_KEY, &format!("/v1/{OWNER}/cloudimages/{GOLDEN}/members?page=1"))),
        "IMG.0001"
    );
}

#[test]
fn members_come_in_pages_by_an_opaque_marker() {
    let mut state = plain();
    let body = json!({"images": [GOLDEN], "projects": [RECIPIENT, OTHER], "organizations": [UNIT]});
    members_call(&mut state, OWNER_KEY, "POST", &body);
    wait(&mut state);
    let path = format!("/v1/{OWNER}/cloudimages/{GOLDEN}/members");
    let first = get(&mut state, OWNER_KEY, &format!("{path}?limit=2"));
    assert_eq!((&first["members"][1]["member_id"], &first["page_info"]["current_count"]), (&json!(OTHER), &json!(2)));
    let marker = wire_form(first["page_info"]["next_marker"].as_str().unwrap());
    let second = get(&mut state, OWNER_KEY, &format!("{path}?limit=2&marker={marker}"));
    let row = &second["members"][0];
    assert_eq!((&row["member_id"], &row["urn"], &row["status"]), (&json!("ou-dev"), &json!(UNIT), &json!("accepted")));
    assert_eq!((second["members"].as_array().unwrap().len(), &second["page_info"]["next_marker"]), (1, &Value::Null));
    assert_eq!(code(&get(&mut state, OWNER_KEY, &format!("{path}?marker=forged"))), "IMG.0001");
    let one = get(&mut state, OWNER_KEY, &format!("{path}/ou-dev"));
    assert_eq!(one["member_type"], "organization");
    assert_eq!(code(&get(&mut state, OWNER_KEY, &format!("{path}/{DOMAIN}"))), "IMG.0114");
}

fn wire_form(text: &str) -> String {
    crate::chassis::wire::encode(text)
}

#[test]
fn a_recipients_own_list_of_members_shows_itself_alone() {
    let mut state = plain();
    share(&mut state, &[RECIPIENT, OTHER]);
    wait(&mut state);
    let list = get(&mut state, RECIPIENT_KEY, &format!("/v1/{RECIPIENT}/cloudimages/{GOLDEN}/members"));
    let members = list["members"].as_array().unwrap();
    assert_eq!((members.len(), &members[0]["member_id"]), (1, &json!(RECIPIENT)));
    let stranger = get(&mut state, RECIPIENT_KEY, &format!("/v1/{RECIPIENT}/cloudimages/{SECOND}/members"));
    assert_eq!(code(&stranger), "IMG.0144");
}
