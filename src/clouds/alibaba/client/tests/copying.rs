//! Copies: the requests, and the results of the answers.

use std::collections::BTreeSet;

use super::*;
use crate::clouds::{Copies, CopyMark, CopyOrder, CopyProgress, Copying};
use crate::domain::fault::Conflict;
use crate::domain::identifiers::{KeyId, ObjectUid};

const UID: &str = "7f3cb0a2-6a55-4a7c-9f0e-2b8d1c4e5f60";
const COPY: &str = "m-uf6h46wfpjsjastc0001";

fn order() -> CopyOrder {
    CopyOrder {
        source: image(),
        region: RegionId::parse("cn-shanghai").unwrap(),
        name: Provider::Alibaba.parse_image_name("golden-copy").unwrap(),
        mark: CopyMark { uid: ObjectUid::parse(UID).unwrap(), attempt: 2 },
        agency: None,
        project: None,
        vault: None,
        key: None,
    }
}

fn copy() -> ImageId {
    ImageId::parse(COPY).unwrap()
}

fn row(id: &str, description: &str, status: &str) -> serde_json::Value {
    serde_json::json!({"ImageId": id, "ImageName": "golden-copy", "Description": description, "ImageOwnerAlias": "self",
        "ImageOwnerId": 1_000_000_000_000_001_u64, "Status": status, "Progress": "40%", "IsCopied": true})
}

fn shows(number: usize, total: usize, rows: &[serde_json::Value]) -> Scripted {
    let body = serde_json::json!({"RequestId": "R", "RegionId": "cn-shanghai", "TotalCount": total,
        "PageNumber": number, "PageSize": 100, "Images": {"Image": rows}});
    says(200, body.to_string())
}

/// The answer that shows the copy in a state.
fn is(status: &str) -> Scripted {
    shows(1, 1, &[row(COPY, &order().mark.description(), status)])
}

fn nothing() -> Scripted {
    shows(1, 0, &[])
}

fn done() -> Scripted {
    says(200, r#"{"RequestId":"R"}"#)
}

fn others(numbers: std::ops::Range<usize>) -> Vec<serde_json::Value> {
    numbers.map(|number| row(&format!("m-other{number}"), "mine", "Available")).collect()
}

fn actions(here: &Setting) -> Vec<String> {
    (0..here.calls()).map(|call| here.asked(call).0).collect()
}

const COPY_IMAGE: &str = include_str!("../../../../../tests/captures/alibaba/CopyImage-encrypted.raw");
const CANCEL: &str = include_str!("../../../../../tests/captures/alibaba/CancelCopyImage.raw");

/// Action and names of the parameters that the vendor's SDK sends.
fn captured(raw: &str) -> (String, BTreeSet<String>) {
    let target = raw.split(' ').nth(1).unwrap();
    let url = Url::parse(&format!("http://localhost{target}")).unwrap();
    let action = raw.lines().find_map(|line| line.strip_prefix("x-acs-action: ")).unwrap();
    (action.trim().to_owned(), url.query_pairs().map(|(name, _)| name.into_owned()).collect())
}

#[tokio::test]
async fn a_copy_is_asked_for_at_the_source_with_its_mark() {
    let begun = format!(r#"{{"RequestId":"R","ImageId":"{COPY}"}}"#);
    let here = Setting::new([says(200, begun.clone()), says(200, begun)]).await;
    assert_eq!(here.cloud.begin_copy(&order(), None, Priority::Edit).await, Ok(Copying::Image(copy())));
    let description = format!("Made by imageshare-operator for ImageReplica {UID} (2)");
    let token = format!("{UID}-2");
    let plain = [
        ("ClientToken", token.as_str()),
        ("DestinationDescription", &description),
        ("DestinationImageName", "golden-copy"),
        ("DestinationRegionId", "cn-shanghai"),
        ("ImageId", "m-2ze1a2b3c4d5e6f7g8h9"),
        ("RegionId", "cn-beijing"),
    ];
    assert_eq!(here.asked(0), ("CopyImage".to_owned(), pairs(&plain)));

    let key = KeyId::parse("e522b26d-abf6-4e0d-b5da-04b70000003c").unwrap();
    here.cloud.begin_copy(&CopyOrder { key: Some(key), ..order() }, None, Priority::Edit).await.unwrap();
    let encrypted = [("Encrypted", "true"), ("KMSKeyId", "e522b26d-abf6-4e0d-b5da-04b70000003c")];
    let mut wanted = pairs(&[&plain[..], &encrypted].concat());
    wanted.sort();
    let (action, query) = here.asked(1);
    assert_eq!(query, wanted);
    let (theirs, names) = captured(COPY_IMAGE);
    assert_eq!(action, theirs);
    // The SDK's sample also has tags.
    assert!(query.iter().all(|(name, _)| names.contains(name)), "{names:?}");
    assert_eq!(here.script.seen.lock().unwrap()[1].headers["x-acs-version"], "2014-05-26");
}

#[tokio::test]
async fn a_refused_copy_is_told_and_an_unclear_answer_proves_nothing() {
    let here = Setting::new([
        error(403, "OperationDenied.SameRegionOnly"),
        error(404, "InvalidImageId.NotFound"),
        error(403, "QuotaExceed.Image"),
        says(200, r#"{"RequestId":"R"}"#),
        says(200, "<html>"),
        says(502, "<html>"),
    ])
    .await;
    let across = "OperationDenied.SameRegionOnly".to_owned();
    for wanted in [
        Fault::Refused { refusal: Refusal::CopyAcrossRegions, code: across },
        Fault::NotFound(Missing::Image),
        Fault::QuotaExceeded { quota: Quota::PrivateImages },
        Fault::Unintelligible,
        Fault::Unintelligible,
        Fault::Unavailable,
    ] {
        assert_eq!(here.cloud.begin_copy(&order(), None, Priority::Edit).await, Err(wanted));
    }
    assert_eq!(here.calls(), 6, "nothing is sent twice");
}

#[tokio::test]
async fn a_copy_is_found_by_its_mark_among_all_pages() {
    let marked = row(COPY, &order().mark.description(), "CreateFailed");
    let script = [shows(1, 102, &others(0..100)), shows(2, 102, &[others(100..101), vec![marked]].concat()), nothing()];
    let here = Setting::new(script).await;
    assert_eq!(here.cloud.find_copy(&order(), Priority::Edit).await, Ok(Some(copy())), "in whatever state");
    let page = |number| {
        pairs(&[
            ("ImageName", "golden-copy"),
            ("ImageOwnerAlias", "self"),
            ("PageNumber", number),
            ("PageSize", "100"),
            ("RegionId", "cn-shanghai"),
            ("Status", "ALL"),
        ])
    };
    assert_eq!(here.asked(0), ("DescribeImages".to_owned(), page("1")));
    assert_eq!(here.asked(1), ("DescribeImages".to_owned(), page("2")));
    assert_eq!(here.cloud.find_copy(&order(), Priority::Edit).await, Ok(None));
}

/// The vendor finds names by a part of them, and people put tags on images.
#[tokio::test]
async fn images_of_like_names_are_passed_over() {
    let like = |number: usize, description: &str| {
        let mut row = row(&format!("m-like{number}"), description, "Available");
        row["ImageName"] = serde_json::json!(format!("my-golden-copy-{number}"));
        row["Tags"] = serde_json::json!({"Tag": [{"TagKey": "team", "TagValue": "core"}]});
        row
    };
    let other = CopyMark { uid: ObjectUid::parse("00000000-0000-4000-8000-000000000001").unwrap(), attempt: 2 };
    let marks = [String::new(), other.description(), format!("{} (again)", order().mark.description())];
    let foreign: Vec<_> = marks.iter().enumerate().map(|(number, mark)| like(number, mark)).collect();
    let own = row(COPY, &order().mark.description(), "Available");
    let here = Setting::new([shows(1, 3, &foreign), shows(1, 4, &[foreign.clone(), vec![own]].concat())]).await;
    assert_eq!(here.cloud.find_copy(&order(), Priority::Edit).await, Ok(None));
    assert_eq!(here.cloud.find_copy(&order(), Priority::Edit).await, Ok(Some(copy())));
}

#[tokio::test]
async fn images_without_the_mark_are_no_copy_of_this_order() {
    let earlier = CopyMark { attempt: 1, ..order().mark }.description();
    let here = Setting::new([shows(1, 2, &[row("m-1", "", "Available"), row("m-2", &earlier, "Available")])]).await;
    assert_eq!(here.cloud.find_copy(&order(), Priority::Edit).await, Ok(None));
}

#[tokio::test]
async fn a_list_that_may_lack_the_copy_is_a_fault() {
    let twice = row("m-uf6h46wfpjsjastc0002", &order().mark.description(), "Available");
    for (script, wanted) in [
        (vec![shows(1, 2, &others(0..1)), shows(2, 2, &[])], Fault::Unintelligible),
        (vec![shows(1, 1, &others(0..2))], Fault::Unintelligible),
        // The second page reports another total; one row twice.
        (vec![shows(1, 2, &others(0..1)), shows(2, 3, &others(1..3))], Fault::Unintelligible),
        (vec![shows(1, 2, &others(0..1)), shows(2, 2, &others(0..1))], Fault::Unintelligible),
        (vec![shows(1, 2, &others(0..1)), shows(1, 2, &others(1..2))], Fault::Unintelligible),
        (vec![shows(1, 2, &others(0..1)), error(503, "ServiceUnavailable")], Fault::Unavailable),
        (vec![shows(1, 2, &[row(COPY, &order().mark.description(), "Available"), twice])], Fault::Unintelligible),
        (vec![error(404, "InvalidImageId.NotFound")], Fault::Unintelligible),
        (vec![says(200, "{}")], Fault::Unintelligible),
    ] {
        let here = Setting::new(script).await;
        assert_eq!(here.cloud.find_copy(&order(), Priority::Edit).await, Err(wanted));
    }
    let here = Setting::new((1..=30).map(|number| shows(number, 9999, &others(number..number + 1)))).await;
    assert_eq!(here.cloud.find_copy(&order(), Priority::Edit).await, Err(Fault::Unintelligible));
    assert_eq!(here.calls(), 20);
}

#[tokio::test]
async fn a_copy_is_followed_where_it_is_made() {
    let failed = || CopyProgress::Failed(Fault::Refused { refusal: Refusal::Unknown, code: "CreateFailed".to_owned() });
    for (answer, wanted) in [
        (is("Creating"), CopyProgress::Running { percent: Some(40) }),
        (is("Waiting"), CopyProgress::Running { percent: Some(40) }),
        (is("Available"), CopyProgress::Made(copy())),
        (is("Deprecated"), CopyProgress::Made(copy())),
        (is("CreateFailed"), failed()),
        (is("UnAvailable"), failed()),
        (nothing(), CopyProgress::Gone),
        (error(404, "InvalidImageId.NotFound"), CopyProgress::Gone),
    ] {
        let here = Setting::new([answer]).await;
        let copying = Copying::Image(copy());
        assert_eq!(here.cloud.follow_copy(&order(), &copying, Priority::Resync).await, Ok(wanted));
        let query = pairs(&[("ImageId", COPY), ("RegionId", "cn-shanghai"), ("Status", "ALL")]);
        assert_eq!(here.asked(0), ("DescribeImages".to_owned(), query));
    }
}

#[tokio::test]
async fn what_does_not_show_the_copy_does_not_end_it() {
    let theirs = |answer: Scripted| Scripted { body: answer.body.replace("\"self\"", "\"others\""), ..answer };
    for (answer, wanted) in [
        (theirs(is("Available")), Fault::Unintelligible),
        (shows(1, 1, &others(0..1)), Fault::Unintelligible),
        (shows(1, 1, &[]), Fault::Unintelligible),
        (is("Melting"), Fault::Unintelligible),
        (says(200, "<html>"), Fault::Unintelligible),
        (error(500, "InternalError"), Fault::Unavailable),
    ] {
        let here = Setting::new([answer]).await;
        let copying = Copying::Image(copy());
        assert_eq!(here.cloud.follow_copy(&order(), &copying, Priority::Edit).await, Err(wanted));
    }
    let here = Setting::new([]).await;
    let job = Copying::Job(JobId::parse("j-1").unwrap());
    let fault = here.cloud.follow_copy(&order(), &job, Priority::Edit).await.unwrap_err();
    assert!(matches!(fault, Fault::Refused { refusal: Refusal::Unknown, .. }));
    assert_eq!(here.calls(), 0);
}

#[tokio::test]
async fn a_copy_under_way_is_ended_and_one_made_is_deleted() {
    for (state, action) in [
        ("Creating", "CancelCopyImage"),
        ("Waiting", "CancelCopyImage"),
        ("Available", "DeleteImage"),
        ("Deprecated", "DeleteImage"),
        ("CreateFailed", "DeleteImage"),
    ] {
        let here = Setting::new([is(state), done()]).await;
        assert_eq!(here.cloud.cancel_copy(&order(), &copy()).await, Ok(()), "{state}");
        let query = pairs(&[("ImageId", COPY), ("RegionId", "cn-shanghai")]);
        assert_eq!(here.asked(1), (action.to_owned(), query.clone()), "{state}");
        let names = query.into_iter().map(|(name, _)| name).collect();
        assert_eq!(captured(CANCEL), ("CancelCopyImage".to_owned(), names));
        let here = Setting::new([is(state), error(404, "InvalidImageId.NotFound")]).await;
        assert_eq!(here.cloud.cancel_copy(&order(), &copy()).await, Ok(()), "gone in between");
    }
    let here = Setting::new([nothing()]).await;
    assert_eq!(here.cloud.cancel_copy(&order(), &copy()).await, Ok(()));
    assert_eq!(actions(&here), ["DescribeImages"]);
}

#[tokio::test]
async fn an_end_that_came_too_late_is_tried_again() {
    for code in ["IncorrectImageStatus", "CancelNotSupported"] {
        let here = Setting::new([is("Creating"), error(400, code), is("Available"), done()]).await;
        let busy = Err(Fault::Conflict(Conflict::ImageBusy));
        assert_eq!(here.cloud.cancel_copy(&order(), &copy()).await, busy, "{code}");
        assert_eq!(here.cloud.cancel_copy(&order(), &copy()).await, Ok(()));
        let wanted = ["DescribeImages", "CancelCopyImage", "DescribeImages", "DeleteImage"];
        assert_eq!(actions(&here), wanted);
    }
    for (second, wanted) in [
        (error(403, "ImageUseShared"), Fault::Conflict(Conflict::ImageShared)),
        (says(200, "{}"), Fault::Unintelligible),
    ] {
        let here = Setting::new([is("Available"), second]).await;
        assert_eq!(here.cloud.cancel_copy(&order(), &copy()).await, Err(wanted));
    }
    let here = Setting::new([says(200, "{}")]).await;
    assert_eq!(here.cloud.cancel_copy(&order(), &copy()).await, Err(Fault::Unintelligible));
    assert_eq!(here.calls(), 1, "what is not seen is not deleted");
}
