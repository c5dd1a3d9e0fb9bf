//! Requests for copies. Tests against a real Glance cover its behaviour.

use futures::{StreamExt as _, stream};

use super::*;
use crate::clouds::copying::{Content, ContentFacts, Copies as _, CopyMark, CopyOrder};
use crate::clouds::{CopyProgress, Copying};
use crate::domain::identifiers::{ImageName, ObjectUid};

const COPY: &str = "d88a1d6e-5283-8fb7-9c31-3dfc7c8c3a29";
const MARK: &str = "Made by imageshare-operator for ImageReplica 7f3c2a10-5b1e-4c55-9d0a-2f6f0a4b1c9d (1)";

fn order(name: &str) -> CopyOrder {
    CopyOrder {
        source: here(),
        region: here().region,
        name: name_of(name),
        mark: CopyMark { uid: ObjectUid::parse("7f3c2a10-5b1e-4c55-9d0a-2f6f0a4b1c9d").unwrap(), attempt: 1 },
        agency: None,
        project: None,
        vault: None,
        key: None,
    }
}

fn name_of(text: &str) -> ImageName {
    Provider::OpenStack.parse_image_name(text).unwrap()
}

fn facts() -> ContentFacts {
    ContentFacts {
        disk_format: "qcow2".to_owned(),
        container_format: "bare".to_owned(),
        min_disk: 10,
        min_ram: 512,
        size: 4,
        hash: Some(("sha512".to_owned(), "0f0f".to_owned())),
        // A property named like a field has no effect.
        properties: [("hw_disk_bus", "virtio"), ("name", "x")].map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
    }
}

fn copy(status: u16, mark: &str) -> Scripted {
    let mut row = row(COPY, PROJECT, "shared", false);
    row["status"] = "queued".into();
    row["imageshare_mark"] = mark.into();
    says(status, row.to_string())
}

fn refused(refusal: Refusal, code: &str) -> Fault {
    Fault::Refused { refusal, code: code.to_owned() }
}

async fn begin(setting: &Setting, name: &str) -> Result<Copying, Fault> {
    setting.cloud.begin_copy(&order(name), Some(&facts()), Priority::Edit).await
}

fn made() -> Copying {
    Copying::Image(ImageId::parse(COPY).unwrap())
}

#[tokio::test]
async fn the_copy_is_made_empty_under_the_one_id_of_its_mark() {
    let setting = Setting::new([copy(201, MARK)]).await;
    assert_eq!(begin(&setting, "golden 镜像").await, Ok(made()));
    let [(method, path, body)] = setting.asked().try_into().unwrap();
    assert_eq!((method.as_str(), path.as_str()), ("POST", "/image/v2/images"));
    let body: Value = serde_json::from_str(&body).unwrap();
    let wanted = json!({
        "id": COPY, "name": "golden 镜像", "disk_format": "qcow2", "container_format": "bare", "min_disk": 10,
        "min_ram": 512, "visibility": "shared", "hw_disk_bus": "virtio",
        "imageshare_mark": MARK, "imageshare_source_hash": "sha512:0f0f",
    });
    assert_eq!(body, wanted);
}

#[tokio::test]
async fn an_id_that_is_taken_is_ours_or_can_never_be() {
    for (answers, wanted) in [
        (vec![error(409), copy(200, MARK)], Ok(made())),
        (vec![error(409), copy(200, "another's")], Err(refused(Refusal::Unknown, "IdUsed"))),
        (vec![error(409), error(404), lists(&[])], Err(refused(Refusal::Unknown, "IdUsed"))),
        (vec![error(409), error(500)], Err(Fault::Unavailable)),
        // Glance created another image than the requested one.
        (vec![copy(201, "another's")], Err(Fault::Unintelligible)),
        (vec![image(PROJECT, "shared", false)], Err(Fault::Unintelligible)),
    ] {
        let setting = Setting::new(answers).await;
        assert_eq!(begin(&setting, "copy").await, wanted);
    }
}

#[tokio::test]
async fn why_a_copy_is_not_begun_is_told() {
    let full = Fault::QuotaExceeded { quota: Quota::PrivateImages };
    for (status, name, wanted) in [
        (403, "copy", forbidden()),
        (413, "copy", full),
        (400, "copy", refused(Refusal::Copy, "Http400")),
        (400, "copy 𠀀", refused(Refusal::Name, "Http400")),
        (503, "copy", Fault::Unavailable),
    ] {
        let setting = Setting::new([error(status)]).await;
        assert_eq!(begin(&setting, name).await, Err(wanted), "{status}");
    }
    let setting = Setting::new([]).await;
    let fault = setting.cloud.begin_copy(&order("copy"), None, Priority::Edit).await.unwrap_err();
    assert_eq!((fault, setting.asked().len()), (refused(Refusal::Copy, "NoContentFacts"), 0));
}

#[tokio::test]
async fn a_copy_is_found_by_the_id_of_its_mark() {
    let id = ImageId::parse(COPY).unwrap();
    for (answer, wanted) in [
        (vec![copy(200, MARK)], Ok(Some(id))),
        (vec![error(404), lists(&[])], Ok(None)),
        // The image may exist, but the policy hides it.
        (vec![error(404), error(403)], Err(Fault::Forbidden { code: "get_images".to_owned() })),
        (vec![copy(200, "x")], Ok(None)),
        (vec![error(403)], Err(forbidden())),
    ] {
        let setting = Setting::new(answer).await;
        assert_eq!(setting.cloud.find_copy(&order("copy"), Priority::Edit).await, wanted);
        assert_eq!(setting.asked()[0].1, format!("/image/v2/images/{COPY}"));
    }
    let setting = Setting::new([copy(200, MARK)]).await;
    let progress = setting.cloud.follow_copy(&order("copy"), &made(), Priority::Edit).await;
    assert_eq!(progress, Ok(CopyProgress::Empty));
}

#[tokio::test]
async fn only_the_copy_itself_is_removed() {
    let id = ImageId::parse(COPY).unwrap();
    let mut protected = row(COPY, PROJECT, "shared", true);
    protected["imageshare_mark"] = MARK.into();
    let protected = says(200, protected.to_string());
    for (answers, wanted) in [
        (vec![copy(200, MARK), says(204, "")], Ok(())),
        (vec![copy(200, MARK), error(404), error(404), lists(&[])], Ok(())),
        (vec![error(404), lists(&[])], Ok(())),
        (vec![copy(200, "another's")], Ok(())),
        (vec![copy(200, MARK), error(409)], Err(Fault::Conflict(Conflict::ImageInUse))),
        (vec![protected.clone(), error(403), protected], Err(Fault::Conflict(Conflict::ImageProtected))),
    ] {
        let number = answers.len();
        let setting = Setting::new(answers).await;
        assert_eq!(setting.cloud.cancel_copy(&order("copy"), &id).await, wanted);
        assert_eq!(setting.asked().len(), number);
    }
}

#[tokio::test]
async fn content_is_opened_with_another_token_if_its_own_is_refused() {
    let setting = Setting::new([error(401), says(200, "disk")]).await;
    let content = setting.cloud.download(&here(), Priority::Edit).await.unwrap();
    let pieces: Vec<_> = content.pieces.map(Result::unwrap).collect().await;
    assert_eq!((content.size, pieces.concat().as_slice()), (4, b"disk".as_slice()));
    assert_eq!((setting.calls(), setting.tokens_asked()), (vec!["GET /file".to_owned(); 2], 2));

    for (answers, wanted) in [
        (vec![error(401), error(401)], Fault::Forbidden { code: "access_rules".to_owned() }),
        (vec![says(204, "")], refused(Refusal::Copy, "NoContent")),
        (vec![says(200, "")], refused(Refusal::Copy, "NoContent")),
        (vec![error(404)], Fault::NotFound(Missing::Image)),
        (vec![error(403)], forbidden()),
        (vec![says(502, "<html>")], Fault::Unavailable),
    ] {
        let setting = Setting::new(answers.clone()).await;
        assert_eq!(setting.cloud.download(&here(), Priority::Edit).await.err(), Some(wanted));
        assert_eq!(setting.asked().len(), answers.len());
    }
}

#[tokio::test]
async fn content_is_written_once_with_a_token_of_its_own() {
    let disk = || Content { size: 4, pieces: stream::iter(["di", "sk"]).map(|piece| Ok(piece.into())).boxed() };
    let setting = Setting::new([says(204, "")]).await;
    setting.cloud.identity().await.unwrap();
    assert_eq!(setting.cloud.upload(&here(), disk(), Priority::Edit).await, Ok(()));
    let asked = setting.script.asked.lock().unwrap().clone();
    let put = |token: &str| {
        let path = format!("/image/v2/images/{IMAGE}/file");
        vec![("PUT".to_owned(), path, token.to_owned(), "disk".to_owned())]
    };
    assert_eq!(asked, put("token-2"));

    for (status, wanted) in [
        (401, Fault::Forbidden { code: "access_rules".to_owned() }),
        (409, Fault::Conflict(Conflict::ImageBusy)),
        (410, Fault::NotFound(Missing::Image)),
        (413, refused(Refusal::Size, "Http413")),
        (200, Fault::Unintelligible),
    ] {
        let setting = Setting::new([error(status)]).await;
        assert_eq!(setting.cloud.upload(&here(), disk(), Priority::Edit).await, Err(wanted), "{status}");
        assert_eq!(setting.script.asked.lock().unwrap().clone(), put("token-1"));
    }
}
