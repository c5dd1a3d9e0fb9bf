//! Requests of the vendor's SDK: the same bodies, and the same signatures.

use super::*;
use crate::clouds::{Copies, CopyMark, CopyOrder};
use crate::domain::identifiers::{KeyId, ObjectUid};

const UID: &str = "7f3cb0a2-6a55-4a7c-9f0e-2b8d1c4e5f60";
const KEY: &str = "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const UNIT: &str = "arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678";

macro_rules! capture {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../../../tests/captures/aws/botocore/", $name, ".raw")))
    };
}

const CAPTURES: [(&str, &str); 9] = [
    capture!("ModifyImageAttribute"),
    capture!("DescribeImageAttribute"),
    capture!("DescribeImages"),
    capture!("DescribeImages-received"),
    capture!("DescribeImages-copy"),
    capture!("CopyImage-encrypted"),
    capture!("DeregisterImage"),
    capture!("DescribeRegions"),
    capture!("GetCallerIdentity"),
];

/// The body of a captured request.
fn captured(name: &str) -> &'static str {
    let (_, raw) = CAPTURES.iter().find(|(other, _)| *other == name).unwrap();
    raw.split_once("\r\n\r\n").unwrap().1
}

/// The body of a call.
fn sent(here: &Setting, call: usize) -> String {
    String::from_utf8(here.script.seen.lock().unwrap()[call].body.to_vec()).unwrap()
}

#[test]
fn requests_of_the_sdk_have_the_signatures_that_we_would_give_them() {
    for (name, raw) in CAPTURES {
        let (head, body) = raw.split_once("\r\n\r\n").unwrap();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let (host, authorization) = (header("Host").unwrap(), header("Authorization").unwrap());
        let scope: Vec<&str> = authorization.split('/').collect();
        let secret = "fakeAwsSecretKeyForCapture/000000000001";
        let credentials = Credentials::parse("AKIAFAKEACCESSKEY001", secret, header("X-Amz-Security-Token")).unwrap();
        let url = Url::parse(&format!("http://{host}/")).unwrap();
        let unsigned = Unsigned { url: &url, host, region: scope[2], service: scope[3], body: body.as_bytes() };
        let date = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", header("X-Amz-Date").unwrap()).unwrap();
        let date = date.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
        let signed = sign(&unsigned, &credentials, date).unwrap();
        let ours = &signed.iter().find(|(name, _)| *name == "authorization").unwrap().1;
        assert_eq!(ours, authorization, "{name}");
    }
}

#[tokio::test]
async fn calls_about_sharing_are_those_of_the_sdk() {
    let seen = || images(&row(IMAGE, ACCOUNT, "available", ""), "");
    let here = Setting::new([done("ModifyImageAttribute"), permissions(""), seen()]).await;
    let account = |id: &str| Recipient { kind: RecipientKind::Account, id: PrincipalId::parse(id).unwrap() };
    let change = RecipientChange {
        add: vec![account("123456789012"), organization(ORGANIZATION), organization(UNIT)],
        remove: vec![account("210987654321"), organization("all")],
    };
    here.cloud.change_recipients(&image(), &change, Priority::Edit).await.unwrap();
    here.cloud.list_recipients(&image(), Priority::Edit).await.unwrap();
    here.cloud.observe_image(&image(), Priority::Edit).await.unwrap();
    for (call, name) in ["ModifyImageAttribute", "DescribeImageAttribute", "DescribeImages"].into_iter().enumerate() {
        assert_eq!(sent(&here, call), captured(name), "{name}");
    }
}

#[tokio::test]
async fn calls_about_the_account_and_what_it_receives_are_those_of_the_sdk() {
    let identity = "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account>\
                    </GetCallerIdentityResult></GetCallerIdentityResponse>";
    let regions = answers("DescribeRegions", "<regionInfo/>");
    let here = Setting::new([says(200, identity), regions, images("", "t+1/="), images("", "")]).await;
    here.cloud.identity().await.unwrap();
    here.cloud.regions().await.unwrap();
    here.cloud.list_received(&image().region, Priority::Edit).await.unwrap();
    for (call, name) in [(0, "GetCallerIdentity"), (1, "DescribeRegions"), (3, "DescribeImages-received")] {
        assert_eq!(sent(&here, call), captured(name), "{name}");
    }
}

#[tokio::test]
async fn calls_about_copies_are_those_of_the_sdk() {
    let copy = "ami-0fedcba9876543210";
    let begun = answers("CopyImage", &format!("<imageId>{copy}</imageId>"));
    let pending = images(&row(copy, ACCOUNT, "pending", ""), "");
    let here = Setting::new([begun, images("", ""), pending, done("DeregisterImage")]).await;
    let order = CopyOrder {
        source: image(),
        region: region("us-west-2"),
        name: Provider::Aws.parse_image_name("golden copy").unwrap(),
        mark: CopyMark { uid: ObjectUid::parse(UID).unwrap(), attempt: 2 },
        agency: None,
        project: None,
        vault: None,
        key: Some(KeyId::parse(KEY).unwrap()),
    };
    here.cloud.begin_copy(&order, None, Priority::Edit).await.unwrap();
    here.cloud.find_copy(&order, Priority::Edit).await.unwrap();
    here.cloud.cancel_copy(&order, &ImageId::parse(copy).unwrap()).await.unwrap();
    for (call, name) in [(0, "CopyImage-encrypted"), (1, "DescribeImages-copy"), (3, "DeregisterImage")] {
        assert_eq!(sent(&here, call), captured(name), "{name}");
    }
}
