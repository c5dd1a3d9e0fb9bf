//! The images of the project itself.

use super::*;

fn page(rows: &[Value], next: Option<&str>) -> Scripted {
    says(200, json!({"images": rows, "next": next}).to_string())
}

fn own(id: &str) -> Value {
    row(id, PROJECT, "private", false)
}

async fn list(setting: &Setting) -> Result<OwnList, Fault> {
    setting.cloud.list_own(&here().region, Priority::Resync).await
}

#[tokio::test]
async fn all_pages_of_own_images_make_one_complete_list_hidden_ones_too() {
    let answers = [page(&[own("a")], Some("/v2/images?marker=a")), page(&[own("b")], None), page(&[own("c")], None)];
    let setting = Setting::new(answers).await;
    let found = list(&setting).await.unwrap();
    let ids: Vec<_> = found.images.iter().map(|image| image.image.as_str()).collect();
    assert_eq!((ids, found.complete), (vec!["a", "b", "c"], true));
    let query = |hidden: &str| format!("GET /image/v2/images?owner={PROJECT}&os_hidden={hidden}&limit=200");
    let second = format!("{}&marker=a", query("false"));
    assert_eq!(setting.calls(), [query("false"), second, query("true")]);
}

#[tokio::test]
async fn a_list_of_own_images_that_fails_turns_or_has_others_is_not_believed() {
    let setting = Setting::new([page(&[own("a")], None), says(503, "")]).await;
    assert_eq!(list(&setting).await, Err(Fault::Unavailable));
    let turning = || page(&[], Some("/v2/images?marker=m"));
    let setting = Setting::new([turning(), turning()]).await;
    assert_eq!(list(&setting).await, Err(Fault::Unintelligible));
    let setting = Setting::new([page(&[row("x", OTHER, "shared", false)], None)]).await;
    assert_eq!(list(&setting).await, Err(Fault::Unintelligible));
    let rows: Vec<Value> = (0..=PAGE_SIZE).map(|number| own(&format!("x{number}"))).collect();
    let setting = Setting::new([page(&rows, None)]).await;
    assert_eq!(list(&setting).await, Err(Fault::Unintelligible));
}
