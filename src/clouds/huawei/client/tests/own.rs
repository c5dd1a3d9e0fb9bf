//! The images of the project itself.

use super::*;

fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn rows(numbers: std::ops::Range<usize>) -> Scripted {
    images(&numbers.map(|number| image_row(&id(number), PROJECT, "shared")).collect::<Vec<_>>())
}

async fn list(here: &Setting) -> Result<OwnList, Fault> {
    here.cloud.list_own(&region(), Priority::Resync).await
}

#[tokio::test]
async fn all_pages_of_own_images_make_one_complete_list_whatever_their_type() {
    let here = Setting::new([rows(0..100), rows(100..130), rows(0..0)]).await;
    let own = list(&here).await.unwrap();
    assert_eq!((own.images.len(), own.complete), (130, true));
    let page = |marker: &str| format!("GET /v2/cloudimages?limit=100{marker}&owner={PROJECT}");
    let after = |last: usize| page(&format!("&marker={}", id(last)));
    assert_eq!(here.asked(), [page(""), after(99), after(129)]);
}

#[tokio::test]
async fn a_list_of_own_images_that_may_lack_one_is_incomplete_and_a_failing_page_fails_it() {
    for script in [
        // The server ignores the marker and repeats the page.
        vec![rows(0..100), rows(0..100)],
        // The marker's image disappears before the next page.
        vec![rows(0..100), error("IMG.0144")],
    ] {
        let here = Setting::new(script).await;
        let own = list(&here).await.unwrap();
        assert_eq!((own.images.len(), own.complete), (100, false));
    }
    let here = Setting::new([rows(0..100), error("IMG.0061")]).await;
    assert_eq!(list(&here).await, Err(Fault::Unavailable));
    let here = Setting::new([rows(0..101)]).await;
    assert_eq!(list(&here).await, Err(Fault::Unintelligible), "a longer page than was asked for");
    let here = Setting::new([images(&[image_row(&id(1), OTHER, "shared")])]).await;
    assert_eq!(list(&here).await, Err(Fault::Unintelligible), "the vendor ignored the filter");
}
