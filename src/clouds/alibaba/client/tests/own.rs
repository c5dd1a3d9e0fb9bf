//! The images of the account itself.

use super::*;

fn rows(number: u32, total: usize, images: std::ops::Range<usize>) -> Scripted {
    let row = |image| {
        serde_json::json!({"ImageId": format!("m-{image:04}"), "ImageOwnerAlias": "self", "Status": "Available",
            "ImageName": format!("golden-{image}"), "CreationTime": "2026-11-18T09:12:00Z"})
    };
    let rows: Vec<_> = images.map(row).collect();
    let body =
        serde_json::json!({"RequestId": "R", "TotalCount": total, "PageNumber": number, "Images": {"Image": rows}});
    says(200, body.to_string())
}

async fn list(here: &Setting) -> Result<OwnList, Fault> {
    here.cloud.list_own(&image().region, Priority::Resync).await
}

#[tokio::test]
async fn all_pages_of_own_images_in_any_state_make_one_complete_list() {
    let here = Setting::new([rows(1, 130, 0..100), rows(2, 130, 100..130)]).await;
    let own = list(&here).await.unwrap();
    assert_eq!((own.images.len(), own.complete, here.calls()), (130, true, 2));
    assert_eq!(own.images[7].name, "golden-7");
    let wanted = [
        ("ImageOwnerAlias", "self"),
        ("PageNumber", "2"),
        ("PageSize", "100"),
        ("RegionId", "cn-beijing"),
        ("Status", "ALL"),
    ];
    assert_eq!(here.asked(1), ("DescribeImages".to_owned(), pairs(&wanted)));
    let here = Setting::new([rows(1, 0, 0..0)]).await;
    assert_eq!(list(&here).await, Ok(OwnList { images: Vec::new(), complete: true }));
}

#[tokio::test]
async fn a_list_of_own_images_that_may_lack_one_is_incomplete_and_a_failing_page_fails_it() {
    for script in [
        vec![rows(1, 3, 0..2), rows(2, 3, 0..0)],
        // An image was deleted between the pages, or made.
        vec![rows(1, 130, 0..100), rows(2, 129, 101..130)],
        vec![rows(1, 130, 0..100), rows(2, 130, 99..129)],
    ] {
        let here = Setting::new(script).await;
        assert!(!list(&here).await.unwrap().complete);
    }
    let here = Setting::new([rows(1, 130, 0..100), error(503, "ServiceUnavailable")]).await;
    assert_eq!(list(&here).await, Err(Fault::Unavailable));
    let here = Setting::new([rows(1, 101, 0..101)]).await;
    assert_eq!(list(&here).await, Err(Fault::Unintelligible), "a longer page than was asked for");
}
