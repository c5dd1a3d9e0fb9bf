//! The filters of `DescribeImages`.

use super::*;

const FAMILY: &str = "
clock: 2026-11-21T23:42:00Z
regions: [cn-hangzhou]
accounts: [{id: '2000000000000000', keys: [{id: LTAI5tFakeAccessKeyId01, secret: fakeAlibabaSecretForCapture0001}]}]
images:
  - {id: m-1, region: cn-hangzhou, owner: '2000000000000000', name: golden-1, family: golden, tags: {team: core}}
  - {id: m-2, region: cn-hangzhou, owner: '2000000000000000', name: golden-2, inUse: true, resourceGroup: rg-1}
  - {id: m-3, region: cn-hangzhou, owner: '2000000000000000', name: silver-golden, tags: {team: web, tier: '2'}}
  - {id: m-4, region: cn-hangzhou, owner: '2000000000000000', name: bronze, created: 2026-01-01T00:00:00Z}
";

fn found(query: &str) -> Vec<String> {
    let mut state = State::new(WorldFile::parse(FAMILY).unwrap()).unwrap();
    let answer = ask(&mut state, OWNER_KEY, "DescribeImages", &format!("RegionId=cn-hangzhou&{query}"));
    assert!(answer["Code"].is_null(), "{query}: {answer}");
    image_ids(&answer).into_iter().map(|id| id.trim_start_matches("m-").to_owned()).collect()
}

#[test]
fn a_name_is_searched_for_so_that_images_of_others_names_come_with_it() {
    assert_eq!(found("ImageName=golden"), ["1", "2", "3"]);
    assert_eq!(found("ImageName=golden-*"), ["1", "2"]);
    assert_eq!(found("ImageName=golden-1"), ["1"]);
    assert_eq!(found("ImageName=gold*1"), ["1"]);
    assert!(found("ImageName=platinum").is_empty());
}

#[test]
fn every_filter_keeps_what_it_says() {
    let none: &[&str] = &[];
    let all: &[&str] = &["1", "2", "3", "4"];
    for (query, expected) in [
        ("ImageFamily=golden", &["1"][..]),
        ("Usage=instance", &["2"]),
        ("Usage=none", &["1", "3", "4"]),
        ("OSType=linux", all),
        ("OSType=windows", none),
        ("Architecture=x86_64", all),
        ("Architecture=arm64", none),
        ("IsSupportCloudinit=true&IsSupportIoOptimized=True", all),
        ("IsSupportCloudinit=false", none),
        ("ShowExpired=true", all),
        ("ResourceGroupId=rg-1", &["2"]),
        ("SnapshotId=s-3a", &["3"]),
        ("Tag.1.Key=team", &["1", "3"]),
        ("Tag.1.Key=team&Tag.1.Value=web", &["3"]),
        ("Tag.1.Key=team&Tag.1.Value=core&Tag.2.Key=tier", none),
        ("Filter.1.Key=CreationEndTime&Filter.1.Value=2026-06-01T00:00Z", &["4"]),
        ("Filter.1.Key=CreationStartTime&Filter.1.Value=2026-06-01T00:00:00Z", &["1", "2", "3"]),
    ] {
        assert_eq!(found(query), expected, "{query}");
    }
}

#[test]
fn values_that_are_none_of_the_vendors_are_refused_and_a_dry_run_is_one() {
    let mut state = State::new(WorldFile::parse(FAMILY).unwrap()).unwrap();
    for (query, code) in [
        ("OSType=beos", "InvalidParameter"),
        ("Usage=some", "InvalidParameter"),
        ("Filter.1.Key=CreationEndTime&Filter.1.Value=soon", "InvalidParameter"),
        ("DryRun=true", "DryRunOperation"),
    ] {
        let answer = ask(&mut state, OWNER_KEY, "DescribeImages", &format!("RegionId=cn-hangzhou&{query}"));
        assert_eq!(answer["Code"], code, "{query}");
    }
}
