use serde_json::{Value, json};

use super::*;

fn image(name: &str, status: &Value) -> Guarded<CloudImage> {
    serde_json::from_value(json!({
        "apiVersion": "imageshare.dev/v1alpha1", "kind": "CloudImage",
        "metadata": {"name": name, "namespace": "golden-images"},
        "spec": {"accountRef": {"name": "golden"}, "region": "cn-hangzhou", "imageID": format!("m-{name}")},
        "status": status,
    }))
    .unwrap()
}

fn share(name: &str, expiration: &Value) -> Guarded<ImageShare> {
    serde_json::from_value(json!({
        "apiVersion": "imageshare.dev/v1alpha1", "kind": "ImageShare",
        "metadata": {"name": name, "namespace": "team"},
        "spec": {"imageRef": {"name": "ubuntu", "namespace": "golden-images"}, "expirationTime": expiration,
            "recipients": [{"type": "Account", "id": "1000000000000001", "name": "payments"}]},
    }))
    .unwrap()
}

fn ready(truth: &str, reason: &str) -> Value {
    json!([{"type": "Ready", "status": truth, "reason": reason, "message": "m",
        "lastTransitionTime": "2026-01-01T00:00:00Z"}])
}

/// Two recipients by two shares, and one by nobody here.
fn ubuntu() -> Guarded<CloudImage> {
    let served = |uid: &str, name: &str| json!({"uid": uid, "namespace": "team", "name": name, "generation": 1});
    image(
        "ubuntu",
        &json!({
            "conditions": ready("True", "Available"),
            "shares": [served("1", "first"), served("2", "second")],
            "grants": [
                {"type": "Account", "id": "1000000000000001", "state": "Granted", "since": "2026-01-02T00:00:00Z",
                    "answer": "Accepted", "shares": [0, 1]},
                {"type": "Account", "id": "1000000000000002", "state": "Intended", "since": "2026-01-02T00:00:00Z",
                    "refusal": "RecipientFull", "shares": [1]},
            ],
            "unmanaged": [{"type": "Account", "id": "1000000000000009"}],
        }),
    )
}

fn ask(query: &Query, images: &[Guarded<CloudImage>], shares: &[Guarded<ImageShare>]) -> Holdings {
    holdings(query, images, shares, Vec::new()).unwrap()
}

#[test]
fn every_recipient_is_shown_with_who_asked_for_it_and_until_when() {
    let shares = [share("first", &json!("2027-01-01T00:00:00Z")), share("second", &json!("2028-01-01T00:00:00Z"))];
    let query = Query::Image("ubuntu".into());
    let found = ask(&query, &[ubuntu()], &shares);
    assert!(found.complete);
    assert_eq!(
        shown(&query, &found),
        "\
IMAGE                  TYPE      RECIPIENT          NAME       STATE                      ANSWER     SINCE                  IMAGESHARES              EXPIRES
golden-images/ubuntu   Account   1000000000000001   payments   Granted                    Accepted   2026-01-02T00:00:00Z   team/first,team/second   2028-01-01T00:00:00Z
golden-images/ubuntu   Account   1000000000000002   -          Intended (RecipientFull)   -          2026-01-02T00:00:00Z   team/second              2028-01-01T00:00:00Z
golden-images/ubuntu   Account   1000000000000009   -          Unmanaged                  -          -                      -                        -
"
    );
}

#[test]
fn access_that_one_share_never_ends_does_not_expire_and_a_hidden_share_is_unknown() {
    let query = Query::Recipient("1000000000000001".into());
    let expiry = |shares: &[Guarded<ImageShare>]| ask(&query, &[ubuntu()], shares).recipients[0].expires;
    let [first, second] = ["first", "second"].map(|name| share(name, &json!("2027-01-01T00:00:00Z")));
    assert_eq!(expiry(&[first.clone(), share("second", &Value::Null)]), Some(Expires::Otherwise(Otherwise::Never)));
    assert_eq!(expiry(std::slice::from_ref(&first)), Some(Expires::Otherwise(Otherwise::Unknown)));
    assert_eq!(expiry(&[first, second]), Some(Expires::At("2027-01-01T00:00:00Z".parse().unwrap())));
}

#[test]
fn an_image_is_found_by_its_name_its_namespace_and_its_id_at_the_cloud() {
    for name in ["ubuntu", "golden-images/ubuntu", "m-ubuntu"] {
        let found = ask(&Query::Image(name.into()), &[ubuntu(), image("debian", &json!({}))], &[]);
        assert_eq!(found.recipients.len(), 3, "{name}");
    }
    for name in ["debina", "other/ubuntu"] {
        let error = holdings(&Query::Image(name.into()), &[ubuntu()], &[], Vec::new()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("kubectl get cloudimages -A"), "{error}");
    }
}

#[test]
fn what_an_account_has_is_found_in_every_ledger_also_where_nobody_here_asked_for_it() {
    let found = ask(&Query::Recipient("1000000000000009".into()), &[ubuntu()], &[]);
    assert_eq!(found.recipients.len(), 1);
    assert_eq!(found.recipients[0].state, State::Outside(Outside::Unmanaged));
    assert!(ask(&Query::Recipient("1000000000000003".into()), &[ubuntu()], &[]).recipients.is_empty());
}

#[test]
fn a_ledger_that_may_not_be_all_there_is_makes_the_answer_incomplete() {
    let many: Vec<Value> = (0..200).map(|n| json!({"type": "Account", "id": format!("10000{n}")})).collect();
    for (image, doubt) in [
        (image("ubuntu", &json!({"observedGeneration": -1})), "was not reconciled yet"),
        (image("ubuntu", &json!({"conditions": ready("False", "CredentialsRejected")})), "CredentialsRejected"),
        (image("ubuntu", &json!({"conditions": ready("True", "Available"), "unmanaged": many})), "counts the others"),
        (image("ubuntu", &json!({"grants": "none"})), "cannot be read"),
    ] {
        let found = ask(&Query::Image("ubuntu".into()), &[image], &[]);
        assert!(!found.complete && found.unknown.len() == 1, "{found:?}");
        assert!(found.unknown[0].contains(doubt) && found.unknown[0].contains("golden-images/ubuntu"), "{found:?}");
    }
    let missing = vec![Missing { verb: "list", resource: "cloudimages.imageshare.dev".into(), namespace: None }];
    let query = Query::Image("ubuntu".into());
    let found = holdings(&query, &[], &[], missing).unwrap();
    assert!(!found.complete && found.recipients.is_empty());
    assert!(!shown(&query, &found).contains("Nobody"), "what was not read is nobody's");
}

#[test]
fn programs_read_the_same_as_people() {
    let found = ask(&Query::Image("ubuntu".into()), &[ubuntu()], &[share("first", &Value::Null)]);
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["complete"], true);
    assert_eq!(json["recipients"][0]["image"]["imageID"], "m-ubuntu");
    assert_eq!(json["recipients"][0]["imageShares"], json!(["team/first", "team/second"]));
    assert_eq!(json["recipients"][0]["expires"], "never");
    assert_eq!(json["recipients"][1]["expires"], "unknown");
    assert_eq!(json["recipients"][2]["state"], "Unmanaged");
}
