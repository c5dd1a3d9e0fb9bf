//! Malformed input for every parser of this cloud's answers and for the code that builds its requests.

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::json;

use super::Operation;
use super::endpoints::{Endpoints, Service, url_of};
use super::faults::fault_of;
use super::sign::{Credentials, Unsigned, sign};
use super::wire::{self, copies, roles};
use crate::clouds::adversarial::{bodies, headers, is_decent, or_decent, text};
use crate::clouds::transport::sensitive;
use crate::domain::identifiers::{ImageId, PrincipalId, RegionId};
use crate::domain::image::{OwnImage, TAGS_MAX};

const ACCOUNT: &str = "1000000000000001";
const IMAGE: &str = "m-2ze1a2b3c4d5e6f7g8h9";
const MARK: &str = "Made by imageshare-operator for ImageReplica 7f3c (1)";

const ANSWERS: &[&str] = &[
    r#"{"RequestId":"1","TotalCount":1,"PageNumber":1,"Images":{"Image":[{"ImageId":"m-2ze1a2b3c4d5e6f7g8h9",
        "ImageName":"golden","ImageOwnerAlias":"self","ImageOwnerId":1000000000000001,"Status":"Available","Progress":"100%",
        "CreationTime":"2026-11-18T09:12:00Z","ImageFamily":"g","Tags":{"Tag":[{"TagKey":"k","TagValue":"v"}]},
        "Size":40,"ProductCode":"","DiskDeviceMappings":{"DiskDeviceMapping":[{"Type":"data","Encrypted":true}]},
        "Description":"Made by imageshare-operator for ImageReplica 7f3c (1)"}]}}"#,
    r#"{"RequestId":"1","TotalCount":2,"PageNumber":1,"ImageId":"m-2ze1a2b3c4d5e6f7g8h9",
        "Accounts":{"Account":[{"AliyunId":"1000000000000002"},{"AliyunId":1000000000000003}]}}"#,
    r#"{"RequestId":"1","Regions":{"Region":[{"RegionId":"cn-hangzhou"},{"RegionId":"cn-beijing"}]}}"#,
    r#"{"RequestId":"1","AccountId":"1000000000000001","IdentityType":"Account"}"#,
    r#"{"RequestId":"1","ImageId":"m-2ze1a2b3c4d5e6f7g8h9"}"#,
    r#"{"RequestId":"1","Code":"Throttling.User","Message":"m"}"#,
    r#"{"RequestId":"1","Arn":"acs:ram::1000000000000001:user/ci","Credentials":{"AccessKeyId":"STS.id","AccessKeySecret":"secret",
        "SecurityToken":"token","Expiration":"1970-01-01T01:00:00Z"}}"#,
];

const OPERATIONS: [Operation; 10] = [
    Operation::DescribeImages,
    Operation::DescribeImageSharePermission,
    Operation::ModifyImageSharePermission,
    Operation::DeleteImage,
    Operation::CopyImage,
    Operation::CancelCopyImage,
    Operation::DescribeRegions,
    Operation::GetCallerIdentity,
    Operation::AssumeRole,
    Operation::AssumeRoleWithOidc,
];

fn image() -> ImageId {
    ImageId::parse(IMAGE).unwrap()
}

fn account() -> PrincipalId {
    PrincipalId::parse(ACCOUNT).unwrap()
}

proptest! {
    #[test]
    fn no_answer_makes_a_reader_panic_or_believe_without_bounds(body in bodies(ANSWERS), page in 0_u32..3) {
        if let Some(Some(facts)) = or_decent(wire::read_image(&body, &image(), &account()))? {
            prop_assert!(facts.name.chars().count() <= 256);
        }
        if let Some(page) = or_decent(wire::read_images(&body, &account(), page))? {
            prop_assert!(page.rows.len() <= 1000 && page.rows.iter().all(|(_, facts)| facts.name.chars().count() <= 256));
        }
        if let Some(page) = or_decent(wire::own::read_own(&body, &account(), page))? {
            let bounded = |image: &OwnImage| image.name.chars().count() <= 256 && image.tags.len() <= TAGS_MAX;
            prop_assert!(page.rows.len() <= 1000 && page.rows.iter().all(bounded));
        }
        if let Some(page) = or_decent(wire::read_recipients(&body, &image(), page))? {
            prop_assert!(page.rows.len() <= 1000);
        }
        if let Some(Some(copy)) = or_decent(copies::read_copy(&body, &image(), &account()))? {
            prop_assert!(copy.percent.is_none_or(|percent| percent <= 100));
        }
        if let Some(page) = or_decent(copies::read_copies(&body, &account(), page, MARK))? {
            prop_assert!(page.found.is_none_or(|found| page.rows.contains(&found)));
        }
        or_decent(copies::read_begun(&body))?;
        or_decent(wire::read_regions(&body))?;
        or_decent(wire::read_identity(&body))?;
        or_decent(wire::read_write(&body))?;
        if let Some(granted) = or_decent(roles::read_granted(&body, Timestamp::UNIX_EPOCH))? {
            prop_assert!(granted.life.is_positive() && granted.life.as_secs() <= 3600);
        }
        if let Some(arn) = roles::read_arn(&body) {
            prop_assert!(arn.len() <= 300 && arn.bytes().all(|byte| byte.is_ascii_graphic()), "{}", arn);
        }
    }

    #[test]
    fn recipients_are_read_as_they_were_written(
        ids in vec(("[1-9][0-9]{4,18}", any::<bool>()), 0..60), total in any::<u32>(),
    ) {
        let row = |(id, number): &(String, bool)| match id.parse::<u64>() {
            Ok(id) if *number => json!({"AliyunId": id}),
            _ => json!({"AliyunId": id}),
        };
        let rows: Vec<_> = ids.iter().map(row).collect();
        let body = json!({"TotalCount": total, "ImageId": IMAGE, "Accounts": {"Account": rows}}).to_string();
        let page = wire::read_recipients(body.as_bytes(), &image(), 1).unwrap();
        prop_assert_eq!(page.total, total);
        let read: Vec<&str> = page.rows.iter().map(|recipient| recipient.id.as_str()).collect();
        prop_assert_eq!(read, ids.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>());
    }

    #[test]
    fn no_error_is_told_but_in_plain_words_and_no_hint_heeded_beyond_reason(
        status in any::<u16>(), headers in headers(&["x-acs-retry-after", "retry-after", "date"]), body in bodies(ANSWERS),
        code in text(),
    ) {
        let coded = json!({"Code": code, "Message": code}).to_string().into_bytes();
        for operation in OPERATIONS {
            is_decent(&fault_of(operation, status, &headers, &body))?;
            is_decent(&fault_of(operation, status, &headers, &coded))?;
        }
    }

    #[test]
    fn every_key_that_is_taken_can_be_sent_and_no_refusal_repeats_one(
        id in text(), secret in text(), token in of(text()), query in vec((text(), text()), 0..4),
    ) {
        match Credentials::parse(&id, &secret, token.as_deref()) {
            Ok(credentials) => {
                let (query, headers) = (query.as_slice(), [("host", "ecs.aliyuncs.com")]);
                let unsigned = Unsigned { method: "POST", path: "/", query, headers: &headers, body: b"" };
                let signed = sign(&unsigned, &credentials, Timestamp::UNIX_EPOCH, "nonce");
                prop_assert!(signed.headers.iter().all(|(_, value)| sensitive(value).is_some()));
            }
            Err(refused) => {
                let refused = refused.to_string();
                prop_assert!(secret.trim().len() < 20 || !refused.contains(secret.trim()), "{}", refused);
            }
        }
    }

    #[test]
    fn every_region_is_called_at_a_host_of_the_vendor_or_not_at_all(region in text()) {
        let Ok(region) = RegionId::parse(&region) else { return Ok(()) };
        let Some(url) = url_of(Service::Region(&region), &Endpoints::default()) else { return Ok(()) };
        prop_assert!(url.scheme() == "https" && url.host_str().unwrap().ends_with(".aliyuncs.com"), "{}", url);
        prop_assert_eq!((url.path(), url.query(), url.port()), ("/", None, None));
    }
}
