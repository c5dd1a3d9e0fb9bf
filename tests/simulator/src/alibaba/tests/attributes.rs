//! Changes of an image's name and the like, and its tags.

use super::*;

fn image(state: &mut State) -> Value {
    let query = format!("RegionId=cn-hangzhou&ImageId={GOLDEN}&Status=ALL");
    ask(state, OWNER_KEY, "DescribeImages", &query)["Images"]["Image"][0].clone()
}

fn modify(state: &mut State, key: (&str, &str), more: &str) -> Value {
    ask(state, key, "ModifyImageAttribute", &format!("RegionId=cn-hangzhou&ImageId={GOLDEN}&{more}"))["Code"].clone()
}

#[test]
fn an_owner_changes_name_description_family_and_state() {
    let mut state = plain();
    let change = "ImageName=silver&Description=of+silver&ImageFamily=metals&Status=Deprecated";
    assert_eq!(modify(&mut state, OWNER_KEY, change), Value::Null);
    assert_eq!(last(&state).effect.as_ref().unwrap().updated, ["name", "description", "family", "status"]);
    let row = image(&mut state);
    assert_eq!(
        [&row["ImageName"], &row["Description"], &row["ImageFamily"], &row["Status"]],
        ["silver", "of silver", "metals", "Deprecated"]
    );
    assert_eq!(modify(&mut state, OWNER_KEY, change), Value::Null, "the same name again is no other image's");
    assert_eq!(last(&state).effect, None);
    assert_eq!(modify(&mut state, OWNER_KEY, "Status=Available"), Value::Null);
    assert_eq!(image(&mut state)["Status"], "Available");
}

#[test]
fn a_change_of_attributes_is_checked_as_a_copy_is() {
    let mut state = plain();
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", "RegionId=cn-hangzhou&ImageId=m-public&ImageName=taken");
    for (key, change, code) in [
        (OWNER_KEY, "ImageName=1", "InvalidImageName.Malformed"),
        (OWNER_KEY, "ImageName=taken", "InvalidImageName.Duplicated"),
        (OWNER_KEY, "Description=x", "InvalidDescription.Malformed"),
        (OWNER_KEY, "Status=Creating", "InvalidParameter"),
        (OWNER_KEY, "ImageName=fine&DryRun=true", "DryRunOperation"),
        (RECIPIENT_KEY, "ImageName=fine", "InvalidImageId.NotFound"),
    ] {
        assert_eq!(modify(&mut state, key, change), code, "{change}");
    }
    assert_eq!(image(&mut state)["ImageName"], "a<b");
}

fn tags(state: &mut State, action: &str, more: &str) -> Value {
    let query = format!("RegionId=cn-hangzhou&ResourceType=image&ResourceId.1={GOLDEN}&{more}");
    ask(state, OWNER_KEY, action, &query)
}

#[test]
fn tags_are_given_listed_and_taken() {
    let mut state = plain();
    let two = "Tag.1.Key=team&Tag.1.Value=core&Tag.2.Key=tier&Tag.2.Value=";
    assert_eq!(tags(&mut state, "TagResources", two)["Code"], Value::Null);
    assert_eq!(last(&state).effect.as_ref().unwrap().updated, ["tags"]);
    let row = |key: &str, value: &str| json!({"TagKey": key, "TagValue": value});
    assert_eq!(image(&mut state)["Tags"]["Tag"], json!([row("team", "core"), row("tier", "")]));
    let listed = tags(&mut state, "ListTagResources", "");
    let first = json!({"ResourceType": "image", "ResourceId": GOLDEN, "TagKey": "team", "TagValue": "core"});
    assert_eq!((&listed["TagResources"]["TagResource"][0], &listed["NextToken"]), (&first, &json!("")));
    let query = format!("RegionId=cn-hangzhou&ResourceType=image&ResourceId={GOLDEN}");
    let described = ask(&mut state, OWNER_KEY, "DescribeTags", &query);
    assert_eq!((&described["TotalCount"], &described["Tags"]["Tag"][1]["TagKey"]), (&json!(2), &json!("tier")));
    assert_eq!(tags(&mut state, "UntagResources", "TagKey.1=tier")["Code"], Value::Null);
    assert_eq!(image(&mut state)["Tags"]["Tag"], json!([row("team", "core")]));
    assert_eq!(tags(&mut state, "UntagResources", "All=true")["Code"], Value::Null);
    assert_eq!(image(&mut state)["Tags"]["Tag"], json!([]));
}

#[test]
fn more_rows_of_tags_than_one_answer_has_come_by_a_token() {
    let mut state = plain();
    for image in [GOLDEN, "m-old", "m-public"] {
        let pairs: Vec<_> = (1..=20).map(|n| format!("&Tag.{n}.Key=k{n}")).collect();
        let query = format!("RegionId=cn-hangzhou&ResourceType=image&ResourceId.1={image}{}", pairs.concat());
        assert_eq!(ask(&mut state, OWNER_KEY, "TagResources", &query)["Code"], Value::Null);
    }
    let mut list = |token: &str| {
        let all = format!("ResourceId.2=m-old&ResourceId.3=m-public&NextToken={token}");
        let answer = tags(&mut state, "ListTagResources", &all);
        let rows = answer["TagResources"]["TagResource"].as_array().unwrap().len();
        (rows, answer["NextToken"].as_str().unwrap().to_owned())
    };
    assert_eq!(list(""), (50, "50".to_owned()));
    assert_eq!(list("50"), (10, String::new()));
}

#[test]
fn tags_are_an_owners_of_images_and_have_the_vendors_form() {
    let mut state = plain();
    for (action, more, code) in [
        ("TagResources", "", "MissingParameter"),
        ("TagResources", "Tag.1.Key=aliyun-x", "InvalidTagKey.Malformed"),
        ("TagResources", "Tag.1.Key=a&Tag.1.Value=http://x", "InvalidTagValue.Malformed"),
        ("TagResources", "Tag.1.Key=a&Tag.2.Key=a", "Duplicate.TagKey"),
        ("TagResources", "Tag.1.Key=a&ResourceId.2=m-market", "InvalidResourceId.NotFound"),
        ("UntagResources", "", "MissingParameter"),
    ] {
        assert_eq!(tags(&mut state, action, more)["Code"], code, "{action} {more}");
    }
    let instance = "RegionId=cn-hangzhou&ResourceType=instance&ResourceId.1=i-1&Tag.1.Key=a";
    assert_eq!(ask(&mut state, OWNER_KEY, "TagResources", instance)["Code"], "InvalidResourceType.NotFound");
    let many: Vec<_> = (1..=21).map(|n| format!("&Tag.{n}.Key=k{n}")).collect();
    assert_eq!(tags(&mut state, "TagResources", &many.concat())["Code"], "NumberExceed.Tags");
    assert_eq!(image(&mut state)["Tags"]["Tag"], json!([]));
}

#[test]
fn a_copy_has_the_tags_and_the_resource_group_it_is_asked_with() {
    let mut state = plain();
    let query = format!(
        "RegionId=cn-hangzhou&ImageId={GOLDEN}&DestinationRegionId=cn-beijing&Tag.1.Key=team&Tag.1.Value=core\
         &ResourceGroupId=rg-1"
    );
    let id = ask(&mut state, OWNER_KEY, "CopyImage", &query)["ImageId"].as_str().unwrap().to_owned();
    let list = format!("RegionId=cn-beijing&ImageId={id}&Status=ALL");
    let row = ask(&mut state, OWNER_KEY, "DescribeImages", &list)["Images"]["Image"][0].clone();
    assert_eq!(row["Tags"]["Tag"], json!([{"TagKey": "team", "TagValue": "core"}]));
    assert_eq!(row["ResourceGroupId"], "rg-1");
    let bad = query.replace("Tag.1.Key=team", "Tag.1.Key=acs:team");
    assert_eq!(ask(&mut state, OWNER_KEY, "CopyImage", &bad)["Code"], "InvalidTagKey.Malformed");
}
