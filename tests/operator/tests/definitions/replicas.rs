//! The kind of copies.

use anyhow::Result;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{Place, with};

/// What `kubectl explain` says of it, for people.
pub(super) const EXPLAINED: &[(&str, &[&str])] = &[
    ("imagereplica", &["When the copy is made, a CloudImage of the same name stands for it"]),
    ("imagereplica.spec", &["Retain (default) keeps the copy", "A copy still being made is ended"]),
    ("imagereplica.spec.source", &["It is waited for while it does not exist", "somebody else shares with an account"]),
    ("imagereplica.spec.destination", &["the agency that lets IMS write", "a full-server image goes into"]),
    ("imagereplica.status", &["it was written once and is not touched again", "in hundredths"]),
];

pub(super) fn replica() -> Value {
    json!({"source": {"imageRef": {"name": "golden"}},
        "destination": {"region": "cn-hongkong", "name": "golden"}})
}

fn received() -> Value {
    json!({"source": {"received": {"accountRef": {"name": "golden"}, "region": "cn-hangzhou", "imageID": "m-1"}},
        "destination": {"region": "cn-hangzhou", "name": "golden"}})
}

#[tokio::test]
async fn a_replica_that_cannot_mean_anything_is_refused_with_the_remedy() -> Result<()> {
    let place = Place::new().await?;
    let one = "give exactly one of imageRef and received";
    let from = |change: Value| with(received(), &json!({"source": {"received": change}}));
    let to = |change: Value| with(replica(), &json!({"destination": change}));
    let cases = [
        (with(replica(), &received()), one),
        (json!({"source": {}, "destination": {"region": "r", "name": "n"}}), one),
        (json!({"source": {"imageRef": {"name": "golden"}}}), "spec.destination: Required value"),
        (from(json!({"region": "cn hangzhou"})), "region is a region id such as"),
        (from(json!({"imageID": "../x"})), "imageID is the image's id in the cloud"),
        (from(json!({"owner": "friend@example"})), "owner is the id of the owner's account"),
        (to(json!({"region": ""})), "should be at least 1 chars long"),
        (to(json!({"region": "cn/hongkong"})), "region is a region id such as cn-hangzhou"),
        (to(json!({"name": ""})), "should be at least 1 chars long"),
        (to(json!({"name": "n".repeat(256)})), "may not be more than 255"),
        (to(json!({"agencyName": "a".repeat(65)})), "may not be more than 64"),
        (to(json!({"encryption": {}})), "spec.destination.encryption.keyID: Required value"),
        (with(replica(), &json!({"deletionPolicy": "Revoke"})), "supported values: \"Retain\", \"Delete\""),
        (
            with(replica(), &json!({"shareableFrom": {"namespaces": {"from": "Selector"}}})),
            "selector goes with from: Selector",
        ),
    ];
    for (spec, sentence) in cases {
        let said = place.refusal("ImageReplica", &spec).await?;
        assert!(said.contains(sentence), "{spec}\nwas to say: {sentence}\nbut said: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_replica_copies_and_where_to_stays_once_the_copy_was_begun_and_did_not_fail() -> Result<()> {
    let place = Place::new().await?;
    let made = place.create("ImageReplica", "golden", &replica()).await?;
    assert_eq!(made["spec"]["deletionPolicy"], "Retain");
    assert_eq!(made["spec"]["suspend"], false);
    assert_eq!(made["spec"]["shareableFrom"]["namespaces"]["from"], "Same");
    let changes = [
        (json!({"source": {"imageRef": {"name": "other"}}}), "source"),
        (json!({"destination": {"region": "cn-beijing"}}), "destination"),
        (json!({"destination": {"agencyName": "other"}}), "destination"),
    ];
    let source = json!({"account": "golden", "region": "cn-hangzhou", "imageID": "m-1"});
    let copy =
        |state: &str| json!({"copy": {"number": 1, "since": "2026-01-01T00:00:00Z", "state": state, "source": source}});
    for status in [json!({"observedGeneration": 1}), copy("Failed")] {
        place.contact("ImageReplica", "golden", &status).await?;
        for (change, _) in &changes {
            place.correct("ImageReplica", "golden", change).await?;
        }
        place
            .correct("ImageReplica", "golden", &with(replica(), &json!({"destination": {"agencyName": null}})))
            .await?;
    }
    place.contact("ImageReplica", "golden", &copy("Asked")).await?;
    for (change, field) in changes {
        let said = place.refusal_of_change("ImageReplica", "golden", &change).await?;
        let sentence =
            format!("{field} cannot be changed once the copy was begun, unless it failed: make another ImageReplica");
        assert!(said.contains(&sentence), "{change}\nwas to say: {sentence}\nbut said: {said}");
    }
    let open = json!({"spec": {"deletionPolicy": "Delete", "suspend": true}});
    place.api("ImageReplica").patch("golden", &PatchParams::default(), &Patch::Merge(&open)).await?;
    Ok(())
}
