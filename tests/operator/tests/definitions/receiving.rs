//! The kinds of the receiving side, and the accounts of the clouds where sharing is an offer.

use anyhow::Result;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{Place, account, image, with};

const DOMAIN: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
const PROJECT: &str = "7c6b5a49382716050f0e0d0c0b0a0908";

/// What `kubectl explain` says of them, for people.
pub(super) const EXPLAINED: &[(&str, &[&str])] = &[
    ("sharedimageacceptance", &["Take images only from owners you trust: whoever made an image can have put anything"]),
    (
        "sharedimageacceptance.spec",
        &["The owner we trust", "does not take away the access that the owner gave", "backup vault"],
    ),
    ("sharedimageacceptance.status.via", &["rejecting as a project does not end what the account"]),
    ("sharedimage", &["Written by the operator; to answer an offer, write a SharedImageAcceptance"]),
    ("cloudaccount.spec.huawei", &["32 hexadecimal digits", "--allowed-endpoint", "The first one of a region owns"]),
    ("cloudaccount.spec.openstack", &["Keystone, as", "those of the image service"]),
    ("cloudaccount.spec.openstack.credentials", &["applicationCredentialID", "userDomainName"]),
    ("cloudaccount.status", &["how many it may receive, as", "How many of them wait for an answer"]),
    ("cloudimage.spec.visibilityChange", &["it revives those that it had before", "ENUM: Forbid Allow"]),
];

pub(super) fn acceptance() -> Value {
    json!({"accountRef": {"name": "golden"}, "region": "cn-north-4",
        "imageID": "d164b5df-1bc3-4c3f-893e-3e471fd16e64", "owner": PROJECT, "decision": "Accept"})
}

pub(super) fn shared_image() -> Value {
    json!({"accountRef": {"name": "golden"}, "region": "cn-north-4",
        "imageID": "d164b5df-1bc3-4c3f-893e-3e471fd16e64", "recipient": PROJECT})
}

fn huawei() -> Value {
    let credentials = json!({"secretRef": {"name": "golden"}});
    json!({"huawei": {"domainID": DOMAIN, "site": "International", "credentials": credentials,
        "projects": [{"region": "cn-north-4", "projectID": PROJECT}]}})
}

fn openstack() -> Value {
    let credentials = json!({"secretRef": {"name": "golden"}});
    json!({"openstack": {"authURL": "https://keystone.example:5000/v3", "projectID": "team_a-1",
        "credentials": credentials}})
}

async fn assert_refused(cases: &[(&str, Value, &str)]) -> Result<()> {
    let place = Place::new().await?;
    for (kind, spec, sentence) in cases {
        let said = place.refusal(kind, spec).await?;
        assert!(said.contains(sentence), "{kind} {spec}\nwas to say: {sentence}\nbut said: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn whose_account_it_is_stands_in_a_column_before_anybody_proved_it() -> Result<()> {
    let place = Place::new().await?;
    let aws = json!({"aws": {"accountID": "123456789012", "credentials": {"secretRef": {"name": "golden"}}}});
    let cases = [(account(), "2000000000000001"), (huawei(), DOMAIN), (openstack(), "team_a-1"), (aws, "123456789012")];
    for (n, (spec, id)) in cases.iter().enumerate() {
        let name = format!("account-{n}");
        place.create("CloudAccount", &name, spec).await?;
        let row = place.kubectl(&["get", "cla", &name, "--no-headers"]).await?;
        assert!(row.split_whitespace().any(|cell| cell == *id), "{id} is not in: {row}");
    }
    Ok(())
}

#[tokio::test]
async fn an_account_names_exactly_one_cloud_and_names_it_as_that_cloud_does() -> Result<()> {
    let one = "give exactly one provider: alibaba, huawei, openstack or aws";
    let of_huawei = |change: Value| with(huawei(), &json!({"huawei": change}));
    let of_openstack = |change: Value| with(openstack(), &json!({"openstack": change}));
    let domain = "domainID is the account's id: 32 hexadecimal digits in lower case";
    let project = "projectID is a project's id: 32 hexadecimal digits in lower case";
    let projects = |id: &str| of_huawei(json!({"projects": [{"region": "cn-north-4", "projectID": id}]}));
    assert_refused(&[
        ("CloudAccount", with(account(), &huawei()), one),
        ("CloudAccount", with(account(), &openstack()), one),
        ("CloudAccount", with(huawei(), &openstack()), one),
        ("CloudAccount", with(with(account(), &huawei()), &openstack()), one),
        (
            "CloudAccount",
            with(account(), &json!({"alibaba": {"site": "Europe"}})),
            "Alibaba Cloud has the sites China and International",
        ),
        ("CloudAccount", of_huawei(json!({"domainID": DOMAIN.to_uppercase()})), domain),
        ("CloudAccount", of_huawei(json!({"domainID": "g".repeat(32)})), domain),
        ("CloudAccount", of_huawei(json!({"domainID": "0a1b"})), "should be at least 32 chars long"),
        (
            "CloudAccount",
            of_huawei(json!({"site": "Mars"})),
            "supported values: \"China\", \"International\", \"Europe\"",
        ),
        ("CloudAccount", projects(&PROJECT.to_uppercase()), project),
        ("CloudAccount", projects(&"a".repeat(33)), "may not be more than 32"),
        (
            "CloudAccount",
            of_openstack(json!({"projectID": "team/a"})),
            "projectID is a project's id: up to 64 letters, digits, '-' and '_'",
        ),
        ("CloudAccount", of_openstack(json!({"projectID": "p".repeat(65)})), "may not be more than 64"),
        ("CloudAccount", of_openstack(json!({"authURL": "x"})), "should be at least 8 chars long"),
        (
            "CloudAccount",
            of_openstack(json!({"interface": "Private"})),
            "supported values: \"Public\", \"Internal\", \"Admin\"",
        ),
        ("CloudAccount", with(huawei(), &json!({"inventory": {"regions": []}})), "should have at least 1 items"),
    ])
    .await
}

#[tokio::test]
async fn an_acceptance_that_cannot_mean_anything_is_refused_with_the_remedy() -> Result<()> {
    let but = |change: Value| ("SharedImageAcceptance", with(acceptance(), &change));
    let cases = [
        (but(json!({"region": "cn north 4"})), "region is a region id such as cn-north-4"),
        (but(json!({"region": "r".repeat(64)})), "may not be more than 63"),
        (but(json!({"imageID": "../x"})), "imageID is the image's id in the cloud: letters, digits, '-', '_' and '.'"),
        (but(json!({"imageID": ""})), "should be at least 1 chars long"),
        (
            but(json!({"owner": "friend@example"})),
            "owner is the id of the owner's account (Alibaba Cloud, AWS) or project",
        ),
        (but(json!({"owner": "o".repeat(65)})), "may not be more than 64"),
        (but(json!({"owner": null})), "spec.owner: Required value"),
        (but(json!({"decision": null})), "spec.decision: Required value"),
        (but(json!({"decision": "Maybe"})), "supported values: \"Accept\", \"Reject\""),
        (but(json!({"vaultID": "my vault"})), "vaultID is a vault's id: letters, digits and '-'"),
        (but(json!({"deletionPolicy": "Revoke"})), "supported values: \"Retain\", \"Reject\""),
        (but(json!({"accountRef": {"name": ""}})), "should be at least 1 chars long"),
    ];
    assert_refused(&cases.map(|((kind, spec), sentence)| (kind, spec, sentence))).await
}

#[tokio::test]
async fn a_shared_image_is_as_bounded_as_what_people_write() -> Result<()> {
    let but = |change: Value| with(shared_image(), &change);
    assert_refused(&[
        ("SharedImage", but(json!({"recipient": null})), "spec.recipient: Required value"),
        ("SharedImage", but(json!({"imageID": "i".repeat(129)})), "may not be more than 128"),
    ])
    .await
}

#[tokio::test]
async fn who_an_account_is_and_where_stays_once_it_was_verified() -> Result<()> {
    let place = Place::new().await?;
    place.create("CloudAccount", "alibaba", &account()).await?;
    place.create("CloudAccount", "huawei", &huawei()).await?;
    place.create("CloudAccount", "openstack", &openstack()).await?;
    // Before, a mistyped one is corrected.
    for (name, wrong, right) in [
        ("huawei", json!({"huawei": {"domainID": PROJECT, "site": "Europe"}}), huawei()),
        (
            "openstack",
            json!({"openstack": {"authURL": "https://other.example/v3", "projectID": "team_b"}}),
            openstack(),
        ),
        ("alibaba", with(huawei(), &json!({"alibaba": null})), with(account(), &json!({"huawei": null}))),
    ] {
        place.correct("CloudAccount", name, &wrong).await?;
        place.correct("CloudAccount", name, &right).await?;
        place.contact("CloudAccount", name, &json!({"account": "whoever"})).await?;
    }
    let another = "the provider cannot be changed once the account was verified: make another CloudAccount";
    let cases = [
        ("alibaba", with(huawei(), &json!({"alibaba": null})), another),
        ("huawei", with(openstack(), &json!({"huawei": null})), another),
        ("openstack", with(account(), &json!({"openstack": null})), another),
        (
            "huawei",
            json!({"huawei": {"domainID": PROJECT}}),
            "domainID cannot be changed once the account was verified: make another CloudAccount",
        ),
        (
            "huawei",
            json!({"huawei": {"site": "China"}}),
            "site cannot be changed once the account was verified: make another CloudAccount",
        ),
        (
            "openstack",
            json!({"openstack": {"authURL": "https://other.example/v3"}}),
            "authURL cannot be changed once the account was verified: make another CloudAccount",
        ),
        (
            "openstack",
            json!({"openstack": {"projectID": "team_b"}}),
            "projectID cannot be changed once the account was verified: make another CloudAccount",
        ),
    ];
    for (name, change, sentence) in cases {
        let said = place.refusal_of_change("CloudAccount", name, &change).await?;
        assert!(said.contains(sentence), "{name} {change}\nwas to say: {sentence}\nbut said: {said}");
    }
    // Projects may be added, credentials and interface be others.
    let projects =
        json!([{"region": "cn-north-4", "projectID": PROJECT}, {"region": "cn-south-1", "projectID": DOMAIN}]);
    for (name, change) in [
        ("huawei", json!({"huawei": {"projects": projects, "credentials": {"secretRef": {"name": "other"}}}})),
        ("openstack", json!({"openstack": {"interface": "Internal"}})),
    ] {
        let change = json!({"spec": change});
        place.api("CloudAccount").patch(name, &PatchParams::default(), &Patch::Merge(&change)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_an_acceptance_answers_stays_and_its_decision_may_change() -> Result<()> {
    let place = Place::new().await?;
    place.create("SharedImageAcceptance", "golden", &acceptance()).await?;
    let corrections = [
        (json!({"accountRef": {"name": "other"}}), "accountRef"),
        (json!({"region": "cn-south-1"}), "region"),
        (json!({"imageID": "other"}), "imageID"),
    ];
    // Nobody offers a mistyped image, and the offer of a corrected one is waited for.
    place.contact("SharedImageAcceptance", "golden", &json!({"state": "NotOffered"})).await?;
    for (change, _) in &corrections {
        place.correct("SharedImageAcceptance", "golden", change).await?;
    }
    place.correct("SharedImageAcceptance", "golden", &acceptance()).await?;
    place.contact("SharedImageAcceptance", "golden", &json!({"account": "Huawei Cloud account x"})).await?;
    for (change, field) in corrections {
        let said = place.refusal_of_change("SharedImageAcceptance", "golden", &change).await?;
        let sentence =
            format!("{field} cannot be changed once the offer was found: make another SharedImageAcceptance");
        assert!(said.contains(&sentence), "{change}\nwas to say: {sentence}\nbut said: {said}");
    }
    let open = json!({"decision": "Reject", "owner": DOMAIN, "vaultID": "vault-1", "deletionPolicy": "Reject",
        "suspend": true});
    let changed = place
        .api("SharedImageAcceptance")
        .patch("golden", &PatchParams::default(), &Patch::Merge(&json!({"spec": open})))
        .await?;
    assert_eq!(changed.data["spec"], with(acceptance(), &open));
    Ok(())
}

#[tokio::test]
async fn what_is_left_out_of_the_receiving_side_is_shown_as_it_will_be_taken() -> Result<()> {
    let place = Place::new().await?;
    let made = place.create("SharedImageAcceptance", "plain", &acceptance()).await?;
    assert_eq!(made["spec"]["deletionPolicy"], "Retain");
    assert_eq!(made["spec"]["suspend"], false);
    let made = place.create("CloudAccount", "plain", &openstack()).await?;
    assert_eq!(made["spec"]["openstack"]["interface"], "Public");
    assert_eq!(made["spec"]["suspend"], false);
    let made = place.create("CloudImage", "allowed", &with(image(), &json!({"visibilityChange": "Allow"}))).await?;
    assert_eq!(made["spec"]["visibilityChange"], "Allow");
    Ok(())
}

#[tokio::test]
async fn what_the_inventory_found_is_told_in_status_alone() -> Result<()> {
    let place = Place::new().await?;
    // Known fields of the status were once fields of spec too.
    for at in ["sites", "inventory"] {
        let spec = match at {
            "sites" => json!({"sites": [{"site": "China", "regions": [], "received": "1/30"}]}),
            _ => json!({"inventory": {"regions": ["cn-north-4"], "received": "1/30"}}),
        };
        let object = json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": "CloudAccount",
            "metadata": {"name": "strict", "namespace": place.namespace.name()}, "spec": with(huawei(), &spec)});
        let args = ["apply", "--validate=strict", "-f", "-"];
        let said = place.control_plane.kubectl_with(&args, &object.to_string()).await.unwrap_err().to_string();
        assert!(said.contains("unknown field") && said.contains("received"), "{said}");
    }
    Ok(())
}
