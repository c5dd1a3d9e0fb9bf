//! Copies: the requests, and how the client interprets the answers.

use super::*;
use crate::clouds::{Copies, CopyMark, CopyOrder, CopyProgress, Copying};
use crate::domain::fault::Conflict;
use crate::domain::identifiers::{AgencyName, KeyId, ObjectUid, ProjectName};

const UID: &str = "7f3cb0a2-6a55-4a7c-9f0e-2b8d1c4e5f60";
const COPY: &str = "e9e91bff-14b6-4a0b-8377-4ed0813e3360";
const MARK: &str = "Made by imageshare-operator for ImageReplica 7f3cb0a2-6a55-4a7c-9f0e-2b8d1c4e5f60 (2)";

pub(super) fn within() -> CopyOrder {
    CopyOrder {
        source: image(),
        region: region(),
        name: Provider::Huawei.parse_image_name("golden copy").unwrap(),
        mark: CopyMark { uid: ObjectUid::parse(UID).unwrap(), attempt: 2 },
        agency: None,
        project: None,
        vault: None,
        key: None,
    }
}

pub(super) fn across() -> CopyOrder {
    let agency = Some(AgencyName::parse("ims_admin_agency").unwrap());
    CopyOrder { region: RegionId::parse("cn-east-3").unwrap(), agency, ..within() }
}

/// To a project of the other region not named like the region; the account names it as its own there.
fn to_team() -> CopyOrder {
    CopyOrder { project: Some(ProjectName::parse("cn-east-3_team").unwrap()), ..across() }
}

/// An account that names a project for the other region as well.
async fn in_two_regions(answers: impl IntoIterator<Item = Scripted>) -> Setting {
    let key = Credentials::access_key("testAccessKeyId", "testSecretKey", None).unwrap();
    let named = [(region(), PROJECT), (to_team().region, OTHER)];
    Setting::of(key, named.map(|(region, id)| (region, PrincipalId::parse(id).unwrap())).to_vec(), answers).await
}

pub(super) fn projects_called(name: &str) -> Scripted {
    says(200, format!(r#"{{"projects":[{{"id":"{OTHER}","name":"{name}","enabled":true}}],"links":{{"next":null}}}}"#))
}

fn copy() -> ImageId {
    ImageId::parse(COPY).unwrap()
}

fn row(id: &str, owner: &str, description: &str, status: &str) -> serde_json::Value {
    let mut row = image_row(id, owner, "private");
    row["status"] = status.into();
    row["__description"] = description.into();
    row
}

/// The list with the copy, in a state, in the project of the source.
fn is(status: &str) -> Scripted {
    images(&[row(COPY, PROJECT, MARK, status)])
}

fn says_job(status: &str, rest: &str) -> Scripted {
    says(200, format!(r#"{{"status":"{status}","job_id":"{JOB}","job_type":"imsCopyImageInRegionJob"{rest}}}"#))
}

fn made(image: &str) -> Scripted {
    says_job("SUCCESS", &format!(r#","entities":{{"image_id":"{image}","process_percent":1}}"#))
}

fn unknown_job() -> Scripted {
    says(404, r#"{"error":{"code":"IMG.0105","message":"no such job"}}"#)
}

const JOB_CALL: &str = "GET /v1/0a1b2c3d4e5f60718293a4b5c6d7e8f9/jobs/4010b39b5281d3590152874bfa3b1604";

fn by_id() -> String {
    format!("GET /v2/cloudimages?id={COPY}")
}

fn by_name(owner: &str, rest: &str) -> String {
    format!("GET /v2/cloudimages?__imagetype=private&limit=100{rest}&name=golden%20copy&owner={owner}")
}

async fn begin(here: &Setting, order: &CopyOrder) -> Result<Copying, Fault> {
    here.cloud.begin_copy(order, None, Priority::Edit).await
}

async fn follow(here: &Setting, order: &CopyOrder) -> Result<CopyProgress, Fault> {
    here.cloud.follow_copy(order, &Copying::Job(job()), Priority::Resync).await
}

#[tokio::test]
async fn a_copy_in_the_region_says_name_mark_and_key() {
    let here = Setting::new([submitted(), submitted()]).await;
    assert_eq!(begin(&here, &within()).await, Ok(Copying::Job(job())));
    assert_eq!(here.body(0), format!(r#"{{"name":"golden copy","description":"{MARK}"}}"#));
    let key = Some(KeyId::parse("08c33a6f-4e0a-4a1b-9f7b-7a5d1e2f3a4b").unwrap());
    begin(&here, &CopyOrder { key, ..within() }).await.unwrap();
    let wanted =
        format!(r#"{{"name":"golden copy","description":"{MARK}","cmk_id":"08c33a6f-4e0a-4a1b-9f7b-7a5d1e2f3a4b"}}"#);
    assert_eq!(here.body(1), wanted);
    let call = format!("POST /v1/cloudimages/{IMAGE}/copy");
    assert_eq!(here.asked(), [call.clone(), call]);
    assert_eq!(here.header(0, "x-project-id").as_deref(), Some(PROJECT));
}

#[tokio::test]
async fn a_copy_to_another_region_says_where_and_by_which_agency() {
    let vault = Some(VaultId::parse("2b076a25-1d5f-4b4d-a9f3-1a3b9a1b0a11").unwrap());
    let here = Setting::new([projects_called("cn-east-3"), submitted()]).await;
    assert_eq!(begin(&here, &across()).await, Ok(Copying::Job(job())));
    let there = in_two_regions([projects_called("cn-east-3_team"), submitted()]).await;
    begin(&there, &CopyOrder { vault, ..to_team() }).await.unwrap();
    let call = format!("POST /v1/cloudimages/{IMAGE}/cross_region_copy");
    assert_eq!(here.asked(), ["GET /v3/projects?name=cn-east-3", &call]);
    assert_eq!(there.asked(), ["GET /v3/projects?name=cn-east-3_team", &call]);
    let body = |project: &str, rest: &str| {
        format!(
            r#"{{"name":"golden copy","region":"cn-east-3","project_name":"{project}","agency_name":"ims_admin_agency","description":"{MARK}"{rest}}}"#
        )
    };
    assert_eq!(here.body(1), body("cn-east-3", ""));
    let vault = r#","vault_id":"2b076a25-1d5f-4b4d-a9f3-1a3b9a1b0a11""#;
    assert_eq!(there.body(1), body("cn-east-3_team", vault));
    for setting in [here, there] {
        assert_eq!(setting.header(1, "x-project-id").as_deref(), Some(PROJECT), "called by the source's project");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused_before_anything_is_made() {
    let here = Setting::new([]).await;
    let fault = begin(&here, &CopyOrder { agency: None, ..across() }).await.unwrap_err();
    assert_eq!(fault, Fault::Refused { refusal: Refusal::Agency, code: "NoAgency".to_owned() });
    let key = Some(KeyId::parse("k-1").unwrap());
    let fault = begin(&here, &CopyOrder { key, ..across() }).await.unwrap_err();
    assert_eq!(fault, Fault::Refused { refusal: Refusal::Key, code: "NoKeyAcrossRegions".to_owned() });
    assert_eq!(here.calls(), 0);

    let missing = Fault::Refused { refusal: Refusal::Agency, code: "NoSuchProject".to_owned() };
    for (order, answer, wanted) in [
        (to_team(), says(200, r#"{"projects":[]}"#), missing.clone()),
        (to_team(), projects_called("cn-east-3"), missing.clone()),
        (to_team(), says(200, "{}"), Fault::Unintelligible),
        (across(), projects_called("cn-east-3_team"), missing.clone()),
    ] {
        let here = in_two_regions([answer]).await;
        assert_eq!(begin(&here, &order).await, Err(wanted));
        assert_eq!(here.calls(), 1);
    }

    let here = Setting::new([says(200, r#"{"projects":[]}"#)]).await;
    assert_eq!(begin(&here, &across()).await, Err(Fault::NotFound(Missing::Region)));
    // The account would not see a copy in a project other than its own there.
    let elsewhere = Fault::Refused { refusal: Refusal::Agency, code: "NotTheAccountsProject".to_owned() };
    let team = format!(r#"{{"projects":[{{"id":"{PROJECT}","name":"cn-east-3_team","enabled":true}}]}}"#);
    let here = in_two_regions([says(200, team)]).await;
    assert_eq!(begin(&here, &to_team()).await, Err(elsewhere));
    assert_eq!(here.calls(), 1);
}

#[tokio::test]
async fn refusals_are_read_as_those_of_a_copy() {
    let refusal = |refusal, code: &str| Fault::Refused { refusal, code: code.to_owned() };
    let here = Setting::new([
        error("IMG.0196"),
        error("IMG.0047"),
        error("IMG.0060"),
        says(200, "{}"),
        says(502, "<html>"),
        projects_called("cn-east-3"),
        error("IMG.0047"),
        error("IMG.0179"),
    ])
    .await;
    for wanted in [
        refusal(Refusal::NotAccepted, "IMG.0196"),
        Fault::Forbidden { code: "IMG.0047".to_owned() },
        Fault::Throttled { retry_after: None },
        Fault::Unintelligible,
        Fault::Unavailable,
    ] {
        assert_eq!(begin(&here, &within()).await, Err(wanted));
    }
    for wanted in [refusal(Refusal::CopyAcrossRegions, "IMG.0047"), refusal(Refusal::Agency, "IMG.0179")] {
        assert_eq!(begin(&here, &across()).await, Err(wanted));
    }
    assert_eq!(here.calls(), 8, "nothing is sent twice");
}

#[tokio::test]
async fn a_copy_is_found_by_its_mark_among_all_pages() {
    let first = "00000000-0000-4000-8000-000000000001";
    let here = Setting::new([images(&[row(first, PROJECT, "mine", "active")]), is("killed"), images(&[])]).await;
    assert_eq!(here.cloud.find_copy(&within(), Priority::Edit).await, Ok(Some(copy())), "in whatever state");
    assert_eq!(here.cloud.find_copy(&within(), Priority::Edit).await, Ok(None));
    let page = by_name(PROJECT, "");
    assert_eq!(here.asked(), [page.clone(), by_name(PROJECT, &format!("&marker={first}")), page]);
}

#[tokio::test]
async fn a_copy_is_looked_for_in_the_project_it_went_to() {
    let seen = || images(&[row(COPY, OTHER, MARK, "active")]);
    let here = in_two_regions([seen(), seen()]).await;
    assert_eq!(here.cloud.find_copy(&to_team(), Priority::Edit).await, Ok(Some(copy())));
    let seen = here.cloud.follow_copy(&to_team(), &Copying::Image(copy()), Priority::Edit).await;
    assert_eq!(seen, Ok(CopyProgress::Made(copy())));
    assert_eq!(here.asked(), [by_name(OTHER, ""), by_id()]);
    for call in [0, 1] {
        assert_eq!(here.header(call, "x-project-id").as_deref(), Some(OTHER));
    }
}

#[tokio::test]
async fn a_copy_to_a_region_whose_project_the_account_names_must_name_it_too() {
    let unnamed = CopyOrder { project: None, ..to_team() };
    let own = format!(r#"{{"projects":[{{"id":"{PROJECT}","name":"cn-east-3","enabled":true}}]}}"#);
    let here = in_two_regions([says(200, own)]).await;
    let refused = Fault::Refused { refusal: Refusal::Agency, code: "NotTheAccountsProject".to_owned() };
    assert_eq!(begin(&here, &unnamed).await, Err(refused));
    assert_eq!(here.asked(), ["GET /v3/projects?name=cn-east-3"], "nothing is made where it would not be seen");
}

#[tokio::test]
async fn a_list_that_may_lack_the_copy_is_a_fault() {
    let id = |number: usize| format!("00000000-0000-4000-8000-{number:012}");
    let other = |number: usize| images(&[row(&id(number), PROJECT, "mine", "active")]);
    let twice = [row(COPY, PROJECT, MARK, "active"), row(&id(1), PROJECT, MARK, "active")];
    for (script, wanted) in [
        (vec![other(1), other(1)], Fault::Unintelligible),
        (vec![other(1), error("IMG.0144")], Fault::Unintelligible),
        (vec![other(1), error("IMG.0061")], Fault::Unavailable),
        (vec![images(&twice)], Fault::Unintelligible),
        (vec![images(&[row(COPY, OTHER, MARK, "active")])], Fault::Unintelligible),
        (vec![says(200, r#"{"images":[],"page_info":{"current_count":1}}"#)], Fault::Unintelligible),
        (vec![says(200, "{}")], Fault::Unintelligible),
        (vec![error("IMG.0161")], Fault::Forbidden { code: "IMG.0161".to_owned() }),
    ] {
        let here = Setting::new(script).await;
        assert_eq!(here.cloud.find_copy(&within(), Priority::Edit).await, Err(wanted));
    }
    let here = Setting::new((0..30).map(other)).await;
    assert_eq!(here.cloud.find_copy(&within(), Priority::Edit).await, Err(Fault::Unintelligible));
    assert_eq!(here.calls(), 20);
}

#[tokio::test]
async fn a_job_is_followed_at_the_source() {
    let here = Setting::new([
        says_job("INIT", ""),
        says_job("RUNNING", r#","entities":{"process_percent":0.35}"#),
        says_job("FAIL", r#","error_code":"IMG.0179","fail_reason":"x""#),
        says_job("FAIL", ""),
        says(200, r#"{"status":"RUNNING","job_id":"another"}"#),
        error("IMG.0061"),
    ])
    .await;
    let order = across();
    assert_eq!(follow(&here, &order).await, Ok(CopyProgress::Running { percent: None }));
    assert_eq!(follow(&here, &order).await, Ok(CopyProgress::Running { percent: Some(35) }));
    let agency = Fault::Refused { refusal: Refusal::Agency, code: "IMG.0179".to_owned() };
    assert_eq!(follow(&here, &order).await, Ok(CopyProgress::Failed(agency)));
    assert_eq!(follow(&here, &order).await, Ok(CopyProgress::Failed(refused("JobFailed"))));
    assert_eq!(follow(&here, &order).await, Err(Fault::Unintelligible));
    assert_eq!(follow(&here, &order).await, Err(Fault::Unavailable));
    assert!(here.asked().iter().all(|asked| asked == JOB_CALL));
}

#[tokio::test]
async fn a_job_that_ended_is_believed_only_when_its_image_is_seen() {
    for (answer, wanted) in [
        (is("active"), Ok(CopyProgress::Made(copy()))),
        (is("queued"), Ok(CopyProgress::Running { percent: None })),
        (is("saving"), Ok(CopyProgress::Running { percent: None })),
        (is("killed"), Ok(CopyProgress::Failed(refused("killed")))),
        (images(&[]), Ok(CopyProgress::Gone)),
        (error("IMG.0144"), Ok(CopyProgress::Gone)),
        (images(&[row(COPY, OTHER, MARK, "active")]), Err(Fault::Unintelligible)),
        (says(200, "{}"), Err(Fault::Unintelligible)),
        (error("IMG.0061"), Err(Fault::Unavailable)),
    ] {
        let here = Setting::new([made(COPY), answer]).await;
        assert_eq!(follow(&here, &within()).await, wanted);
        assert_eq!(here.asked(), [JOB_CALL, &by_id()]);
    }
    let elsewhere = images(&[row(COPY, OTHER, MARK, "active")]);
    let here = Setting::new([made(COPY), projects_called("cn-east-3"), elsewhere]).await;
    assert_eq!(follow(&here, &across()).await, Ok(CopyProgress::Made(copy())));
    assert_eq!(here.asked(), [JOB_CALL, "GET /v3/projects?name=cn-east-3", &by_id()]);
    assert_eq!(here.header(2, "x-project-id").as_deref(), Some(OTHER));
}

#[tokio::test]
async fn a_job_that_tells_no_copy_or_is_unknown_leaves_its_mark() {
    // The last answer names the source, which is never its own copy.
    for answer in [|| says_job("SUCCESS", ""), unknown_job, || made(IMAGE)] {
        let here = Setting::new([answer(), is("saving"), is("active")]).await;
        assert_eq!(follow(&here, &within()).await, Ok(CopyProgress::Made(copy())));
        assert_eq!(here.asked(), [JOB_CALL, &by_name(PROJECT, ""), &by_id()]);
        let here = Setting::new([answer(), images(&[])]).await;
        assert_eq!(follow(&here, &within()).await, Ok(CopyProgress::Gone));
        let here = Setting::new([answer(), says(200, "{}")]).await;
        assert_eq!(follow(&here, &within()).await, Err(Fault::Unintelligible));
    }
}

#[tokio::test]
async fn a_copy_is_deleted_once_it_has_ended() {
    let busy = Err(Fault::Conflict(Conflict::ImageBusy));
    for (state, wanted) in [("queued", &busy), ("saving", &busy), ("active", &Ok(())), ("killed", &Ok(()))] {
        let here = Setting::new([is(state), says(204, "")]).await;
        assert_eq!(here.cloud.cancel_copy(&within(), &copy()).await, *wanted, "{state}");
        let calls = [by_id(), format!("DELETE /v2/images/{COPY}")];
        assert_eq!(here.asked(), calls[..if wanted.is_ok() { 2 } else { 1 }], "{state}");
    }
    for (script, wanted) in [
        (vec![images(&[])], Ok(())),
        (vec![is("active"), error("IMG.0027")], Ok(())),
        (vec![is("active"), error("IMG.0028")], Err(Fault::Conflict(Conflict::ImageProtected))),
        (vec![says(200, "{}")], Err(Fault::Unintelligible)),
        (vec![images(&[row(COPY, OTHER, MARK, "active")])], Err(Fault::Unintelligible)),
    ] {
        let here = Setting::new(script).await;
        assert_eq!(here.cloud.cancel_copy(&within(), &copy()).await, wanted);
    }
    let seen = images(&[row(COPY, OTHER, MARK, "active")]);
    let here = in_two_regions([seen, says(204, "")]).await;
    assert_eq!(here.cloud.cancel_copy(&to_team(), &copy()).await, Ok(()));
    assert_eq!(here.header(1, "x-project-id").as_deref(), Some(OTHER));
}
