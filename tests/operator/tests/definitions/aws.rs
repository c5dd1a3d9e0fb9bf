//! Accounts of AWS, and what may be shared with whom there.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{Place, account, share, with};

/// What `kubectl explain` says of them, for people.
pub(super) const EXPLAINED: &[(&str, &[&str])] = &[
    ("cloudaccount.spec.aws", &["Id of the account (12 digits)", "within a partition alone", "--allowed-endpoint"]),
    ("cloudaccount.spec.aws.credentials", &["secretAccessKey"]),
    (
        "imageshare.spec.recipients",
        &["Account or Organization at AWS", "12 digits in quotes (AWS)", "ARN of an organization"],
    ),
];

fn aws() -> Value {
    json!({"aws": {"accountID": "123456789012", "credentials": {"secretRef": {"name": "golden"}}}})
}

fn but(change: &Value) -> Value {
    with(aws(), &json!({"aws": change}))
}

fn share_with(kind: &str, id: &str) -> Value {
    with(share(), &json!({"recipients": [{"type": kind, "id": id}]}))
}

#[tokio::test]
async fn an_account_of_aws_that_cannot_mean_anything_is_refused_with_the_remedy() -> Result<()> {
    let place = Place::new().await?;
    let region = "homeRegion must be a region of the account's partition, such as eu-west-1 for aws";
    for (spec, sentence) in [
        (with(account(), &aws()), "give exactly one provider: alibaba, huawei, openstack or aws"),
        (but(&json!({"accountID": "12345678901a"})), "accountID is the account's id: 12 digits, in quotes"),
        (but(&json!({"accountID": "12345678901"})), "should be at least 12 chars long"),
        (but(&json!({"accountID": "1234567890123"})), "may not be more than 12"),
        (but(&json!({"partition": "aws-iso"})), "supported values: \"aws\", \"aws-cn\", \"aws-us-gov\", \"aws-eusc\""),
        (but(&json!({"homeRegion": "cn-north-1"})), region),
        (but(&json!({"homeRegion": "us-east-1a"})), region),
        (but(&json!({"partition": "aws-cn", "homeRegion": "us-east-1"})), region),
        (but(&json!({"partition": "aws-eusc", "homeRegion": "eu-west-1"})), region),
        (but(&json!({"homeRegion": "us east 1"})), "homeRegion in body should match"),
        (but(&json!({"endpoint": "x"})), "should be at least 8 chars long"),
    ] {
        let said = place.refusal("CloudAccount", &spec).await?;
        assert!(said.contains(sentence), "{spec}\nwas to say: {sentence}\nbut said: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn credentials_without_a_key_that_cannot_mean_anything_are_refused_with_the_remedy() -> Result<()> {
    let place = Place::new().await?;
    let spec = |credentials: Value| json!({"aws": {"accountID": "123456789012", "credentials": credentials}});
    let secret = json!({"secretRef": {"name": "golden"}});
    let role = |arn: &str| spec(with(secret.clone(), &json!({"assumeRole": {"roleARN": arn}})));
    let good = json!({"serviceAccountRef": {"name": "golden"}, "roleARN": "arn:aws:iam::123456789012:role/share"});
    let identity = |change: Value| json!({"workloadIdentity": with(good.clone(), &change)});
    let external = |id: &str| {
        let role = json!({"roleARN": "arn:aws:iam::123456789012:role/share", "externalID": id});
        spec(with(secret.clone(), &json!({"assumeRole": role})))
    };
    let form = "roleARN is a role's ARN: arn:aws:iam::ACCOUNT:role/NAME";
    let another = "the credentials end with a role of another account or partition than accountID and partition";
    let one_of = "give exactly one of secretRef and workloadIdentity";
    for (spec, sentence) in [
        (spec(json!({})), one_of),
        (spec(with(secret.clone(), &identity(json!({})))), one_of),
        (role("share"), form),
        (role("arn:aws:iam::123456789012:user/share"), form),
        (role("acs:ram::2000000000000001:role/share"), form),
        (role("arn:aws:iam::210987654321:role/share"), another),
        (role("arn:aws-cn:iam::123456789012:role/share"), another),
        (spec(identity(json!({"roleARN": "arn:aws:iam::210987654321:role/share"}))), another),
        (spec(identity(json!({"serviceAccountRef": {"name": "Golden"}}))), "should match"),
        (spec(identity(json!({"audience": "https://kubernetes.default.svc"}))), "and not the cluster's API server"),
        (spec(identity(json!({"audience": "a b"}))), "audience is one of those registered with the OIDC provider"),
        (external("a b"), "externalID has 2 to 1224 letters, digits and characters of _+=,.@:/-"),
        (external("x"), "should be at least 2 chars long"),
    ] {
        let said = place.refusal("CloudAccount", &spec).await?;
        assert!(said.contains(sentence), "{spec}\nwas to say: {sentence}\nbut said: {said}");
    }
    // One identity may serve many accounts, each by a role of its own.
    let mut chain = identity(json!({"roleARN": "arn:aws:iam::210987654321:role/hub", "audience": "images"}));
    chain["assumeRole"] = json!({"roleARN": "arn:aws:iam::123456789012:role/a/share", "externalID": "a/b"});
    for (name, spec) in
        [("role", external("cluster/team")), ("token", spec(identity(json!({})))), ("chain", spec(chain))]
    {
        place.create("CloudAccount", name, &spec).await.context(name)?;
    }
    Ok(())
}

#[tokio::test]
async fn credentials_of_alibaba_cloud_without_a_key_are_held_to_the_account() -> Result<()> {
    let place = Place::new().await?;
    let spec = |credentials: Value| json!({"alibaba": {"accountID": "2000000000000001", "site": "International", "credentials": credentials}});
    let identity = |role: &str, provider: &str| {
        let identity = json!({"serviceAccountRef": {"name": "golden"}, "roleARN": role, "oidcProviderARN": provider});
        spec(json!({"workloadIdentity": identity}))
    };
    let (own, provider) = ("acs:ram::2000000000000001:role/share", "acs:ram::2000000000000001:oidc-provider/cluster");
    let role = |arn: &str| spec(json!({"secretRef": {"name": "golden"}, "assumeRole": {"roleARN": arn}}));
    let another = "the credentials end with a role of another account than accountID";
    for (spec, sentence) in [
        (spec(json!({})), "give exactly one of secretRef and workloadIdentity"),
        (role("arn:aws:iam::123456789012:role/share"), "roleARN is a role's ARN: acs:ram::ACCOUNT:role/NAME"),
        (role("acs:ram::2000000000000002:role/share"), another),
        (identity("acs:ram::2000000000000002:role/share", provider), another),
        (identity(own, "cluster"), "oidcProviderARN is a provider's ARN"),
    ] {
        let said = place.refusal("CloudAccount", &spec).await?;
        assert!(said.contains(sentence), "{spec}\nwas to say: {sentence}\nbut said: {said}");
    }
    place.create("CloudAccount", "role", &role(own)).await?;
    place.create("CloudAccount", "token", &identity(own, provider)).await?;
    Ok(())
}

#[tokio::test]
async fn accounts_of_every_partition_are_taken_and_stay_what_they_are() -> Result<()> {
    let place = Place::new().await?;
    for (name, change) in [
        ("zeros", json!({"accountID": "000000000001"})),
        ("commercial", json!({"homeRegion": "mx-central-1", "fips": true, "dualStack": true})),
        ("china", json!({"partition": "aws-cn", "homeRegion": "cn-north-1"})),
        ("gov", json!({"partition": "aws-us-gov", "homeRegion": "us-gov-east-1"})),
        ("europe", json!({"partition": "aws-eusc", "homeRegion": "eusc-de-east-1"})),
        ("simulated", json!({"homeRegion": "here", "endpoint": "http://127.0.0.1:80"})),
    ] {
        let made = place.create("CloudAccount", name, &but(&change)).await.context(name)?;
        assert!(made["spec"]["aws"]["partition"].is_string(), "{made}");
    }
    // Before the account is verified, a mistyped one is corrected.
    let other = json!({"aws": {"accountID": "210987654321", "partition": "aws-cn"}});
    place.correct("CloudAccount", "zeros", &other).await?;
    place.contact("CloudAccount", "zeros", &json!({"account": "210987654321"})).await?;
    for (field, value) in [("accountID", "000000000001"), ("partition", "aws")] {
        let said = place.refusal_of_change("CloudAccount", "zeros", &json!({"aws": {field: value}})).await?;
        let sentence = format!("{field} cannot be changed once the account was verified: make another CloudAccount");
        assert!(said.contains(&sentence), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn recipients_of_aws_are_taken() -> Result<()> {
    let place = Place::new().await?;
    for (name, kind, id) in [
        ("account", "Account", "012345678901"),
        ("organization", "Organization", "arn:aws:organizations::111122223333:organization/o-abcdefghij"),
        ("unit", "Organization", "arn:aws-us-gov:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678"),
    ] {
        place.create("ImageShare", name, &share_with(kind, id)).await.context(id)?;
    }
    let said = place.refusal("ImageShare", &share_with("Account", "01234567890")).await?;
    assert!(said.contains("12 digits, in quotes (AWS account id)"), "{said}");
    Ok(())
}

#[tokio::test]
async fn only_accounts_can_be_copyable_and_the_message_says_why() -> Result<()> {
    let place = Place::new().await?;
    let copyable = |kind: &str, id: &str, copyable: bool| {
        with(share(), &json!({"recipients": [{"type": kind, "id": id, "copyable": copyable}]}))
    };
    let organization = "arn:aws:organizations::111122223333:organization/o-abcdefghij";
    for (kind, id) in [("Organization", organization), ("Project", "0a1b2c")] {
        let said = place.refusal("ImageShare", &copyable(kind, id, true)).await?;
        assert!(said.contains("copyable goes with type: Account: snapshots cannot be shared with"), "{said}");
    }
    place.create("ImageShare", "account", &copyable("Account", "012345678901", true)).await?;
    place.create("ImageShare", "organization", &copyable("Organization", organization, false)).await?;
    Ok(())
}
