//! The kinds of rotating images.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Place, with};

/// What `kubectl explain` says of them, for people.
pub(super) const EXPLAINED: &[(&str, &[&str])] = &[
    ("imagechannel", &["Deleting or suspending it changes no access"]),
    ("imagechannel.spec", &["no access ends by itself", "once their recipients have newer ones", "a rollback"]),
    ("imagechannel.spec.exclude", &["also for recipients who have no other version"]),
    ("imagechannel.spec.retire", &["before it counts", "an unanswered offer is enough", "who has one keeps it"]),
    ("imagechannel.spec.select", &["with a group named `version`", "tags without values"]),
    ("imagechannel.status", &["what consumers should use", "newest first"]),
    ("channelshare", &["Deleting it deletes those ImageShares, and so ends their access"]),
    ("channelshare.spec", &["nobody new gets it and who has it keeps it"]),
];

pub(super) fn channel() -> Value {
    json!({"accountRef": {"name": "golden"}, "region": "cn-hangzhou",
        "select": {"namePattern": "golden-(?P<version>[0-9]+)"}})
}

pub(super) fn channel_share() -> Value {
    json!({"channelRef": {"name": "golden"}, "recipients": [{"type": "Account", "id": "1000000000000001"}]})
}

#[tokio::test]
async fn a_channel_that_cannot_mean_anything_is_refused_with_the_remedy() -> Result<()> {
    let place = Place::new().await?;
    let select = |select: Value| json!({"accountRef": {"name": "golden"}, "region": "cn-hangzhou", "select": select});
    let extra = |extra: Value| with(channel(), &extra);
    let cases = [
        (select(json!({})), "select needs at least one of namePattern, family, tags and imageIDs"),
        (select(json!({"namePattern": "a".repeat(257)})), "may not be more than 256"),
        (select(json!({"namePattern": "a\nb"})), "in body should match"),
        (select(json!({"tags": {}})), "should have at least 1 properties"),
        (select(json!({"tags": {"": "x"}})), "a key of tags has 1 to 255 characters"),
        (select(json!({"imageIDs": ["../x"]})), "in body should match"),
        (select(json!({"imageIDs": []})), "should have at least 1 items"),
        (extra(json!({"soak": "1d"})), "in body should match"),
        (extra(json!({"soak": "-1h"})), "in body should match"),
        (extra(json!({"soak": ""})), "should be at least 2 chars long"),
        (extra(json!({"retire": {"keep": 0}})), "should be greater than or equal to 1"),
        (extra(json!({"retire": {"keep": 51}})), "should be less than or equal to 50"),
        (extra(json!({"mode": "Retire"})), "Unsupported value: \"Retire\""),
        (
            extra(json!({"retire": {"grace": "59m"}})),
            "retire.grace is at least 1h: to end access to one version at once",
        ),
        (extra(json!({"retire": {"grace": "30d"}})), "in body should match"),
        (extra(json!({"retire": {"require": "Nothing"}})), "Unsupported value: \"Nothing\""),
        (extra(json!({"exclude": [{"version": "1", "revoke": "Never"}]})), "Unsupported value: \"Never\""),
        (extra(json!({"order": {"by": "Version"}})), "format goes with by: Version, and only with it"),
        (extra(json!({"order": {"format": "Numeric"}})), "format goes with by: Version, and only with it"),
        (extra(json!({"region": "cn hangzhou"})), "region is a region id such as cn-hangzhou"),
        (extra(json!({"accountRef": {"name": "Golden"}})), "in body should match"),
        (extra(json!({"exclude": [{"version": "1"}, {"version": "1"}]})), "Duplicate value"),
        (extra(json!({"shareableFrom": {"namespaces": {"from": "Selector"}}})), "selector goes with from: Selector"),
    ];
    for (spec, sentence) in cases {
        let said = place.refusal("ImageChannel", &spec).await?;
        assert!(said.contains(sentence), "{spec}\nwas to say: {sentence}\nbut said: {said}");
    }
    place.create("ImageChannel", "golden", &channel()).await?;
    for (change, sentence) in [
        (json!({"region": "cn-beijing"}), "region cannot be changed: make another ImageChannel"),
        (json!({"accountRef": {"name": "other"}}), "accountRef cannot be changed: make another ImageChannel"),
    ] {
        let said = place.refusal_of_change("ImageChannel", "golden", &change).await?;
        assert!(said.contains(sentence), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_share_of_a_channel_that_cannot_mean_anything_is_refused_with_the_remedy() -> Result<()> {
    let place = Place::new().await?;
    let extra = |extra: Value| with(channel_share(), &extra);
    let cases = [
        (extra(json!({"recipients": []})), "should have at least 1 items"),
        (extra(json!({"channelRef": {"name": "Golden"}})), "in body should match"),
        (extra(json!({"channelRef": {"namespace": "a.b"}})), "in body should match"),
        (extra(json!({"stages": []})), "should have at least 1 items"),
        (extra(json!({"stages": ["Retired"]})), "supported values: \"Candidate\", \"Current\", \"Supported\""),
        (extra(json!({"stages": ["Current", "Current"]})), "Duplicate value"),
        (extra(json!({"expirationTime": "9999-12-31T23:59:59Z"})), "leave it out for a share that never expires"),
        (extra(json!({"recipients": [{"type": "Account", "id": "0"}]})), "an Account is 5 to 20 digits"),
    ];
    for (spec, sentence) in cases {
        let said = place.refusal("ChannelShare", &spec).await?;
        assert!(said.contains(sentence), "{spec}\nwas to say: {sentence}\nbut said: {said}");
    }
    place.create("ChannelShare", "golden", &channel_share()).await?;
    let other = json!({"channelRef": {"name": "other"}});
    let said = place.refusal_of_change("ChannelShare", "golden", &other).await?;
    assert!(said.contains("channelRef cannot be changed: make another ChannelShare"), "{said}");
    Ok(())
}

#[tokio::test]
async fn what_is_left_out_of_a_channel_is_shown_as_it_will_be_taken() -> Result<()> {
    let place = Place::new().await?;
    let made = place.create("ImageChannel", "plain", &channel()).await?;
    assert_eq!(made["spec"]["mode"], "Share");
    assert_eq!(made["spec"]["retire"], json!({"keep": 3, "grace": "336h", "require": "Accepted"}));
    assert_eq!((&made["spec"]["order"]["by"], &made["spec"]["suspend"]), (&json!("CreationTime"), &json!(false)));
    let made = place.create("ChannelShare", "plain", &channel_share()).await?;
    assert_eq!(made["spec"]["stages"], json!(["Current", "Supported"]));
    assert_eq!(made["spec"]["deletionPolicy"], "Revoke");
    Ok(())
}
