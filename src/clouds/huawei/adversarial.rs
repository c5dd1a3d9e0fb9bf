//! Feeds every parser of this cloud's answers, jobs and tokens, and every builder of requests, with arbitrary input.

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use secrecy::ExposeSecret;
use serde_json::json;

use super::credentials::Credentials;
use super::endpoints::{Endpoints, Service, url_of};
use super::faults::{fault_of, fault_of_job, of_a_copy};
use super::sign::{Unsigned, sign};
use super::tokens::{Scope, question, read_token};
use super::wire::{copies, identities, images, jobs, members, own};
use crate::clouds::adversarial::{bodies, headers, is_decent, or_decent, text};
use crate::clouds::transport::{Answer, sensitive};
use crate::clouds::{Fault, JobProgress};
use crate::domain::identifiers::{ImageId, JobId, PrincipalId, RegionId};
use crate::domain::image::{OwnImage, TAGS_MAX};
use crate::domain::provider::Site;

const PROJECT: &str = "0b1e494e2660441a957313163095fe5c";
const IMAGE: &str = "37ca2b35-6fc7-47ab-93c7-900324809c5c";
const JOB: &str = "ff8080814dbd65d7014dbe0d84db0013";
const MARK: &str = "Made by imageshare-operator for ImageReplica 7f3c (1)";

const ANSWERS: &[&str] = &[
    r#"{"images":[{"id":"37ca2b35-6fc7-47ab-93c7-900324809c5c","owner":"0b1e494e2660441a957313163095fe5c","name":"golden",
        "__imagetype":"private","virtual_env_type":"FusionCompute","status":"active","__image_size":"1073741824",
        "created_at":"2026-11-18T09:12:00Z","tags":["k=v","k"],"__whole_image":"true","__system__cmkid":"k","__productcode":"",
        "__description":"Made by imageshare-operator for ImageReplica 7f3c (1)"}],
        "page_info":{"next_marker":"bmV4dA==","current_count":1}}"#,
    r#"{"members":[{"status":"pending","image_id":"37ca2b35-6fc7-47ab-93c7-900324809c5c",
        "member_id":"7c6b5a49382716050f0e0d0c0b0a0908"},{"status":"rejected","member_type":"organization",
        "image_id":"37ca2b35-6fc7-47ab-93c7-900324809c5c","member_id":"ou-x",
        "urn":"organizations::0a1b2c3d4e5f60718293a4b5c6d7e8f9:ou:o-abc123/ou-xyz789"}],
        "page_info":{"next_marker":"bmV4dA==","current_count":2}}"#,
    r#"{"status":"SUCCESS","entities":{"image_id":"e9e91bff-14b6-4a0b-8377-4ed0813e3360","process_percent":0.20,
        "error_code":"","results":[{"status":"success","error_code":null}]},"job_id":"ff8080814dbd65d7014dbe0d84db0013",
        "error_code":null}"#,
    r#"{"status":"FAIL","job_id":"ff8080814dbd65d7014dbe0d84db0013","error_code":"IMG.0088","entities":null}"#,
    r#"{"domains":[{"id":"d78cbac186b744899480f25bd022f468","name":"n","enabled":true}],"links":{"next":null}}"#,
    r#"{"projects":[{"id":"0b1e494e2660441a957313163095fe5c","name":"cn-north-4","enabled":true},
        {"id":"x","name":"MOS"}],"links":{"next":"https://iam/v3/projects?page=2&x=%C3%A9"}}"#,
    r#"{"token":{"issued_at":"2024-05-06T06:08:09.000000Z","expires_at":"2024-05-07T06:08:09.000000Z"}}"#,
    r#"{"error":{"code":"IMG.0088","message":"m"},"error_code":"APIGW.0301","error_msg":"m"}"#,
];

fn project() -> PrincipalId {
    PrincipalId::parse(PROJECT).unwrap()
}

fn image() -> ImageId {
    ImageId::parse(IMAGE).unwrap()
}

fn job() -> JobId {
    JobId::parse(JOB).unwrap()
}

proptest! {
    #[test]
    fn no_answer_makes_a_reader_panic_or_believe_without_bounds(body in bodies(ANSWERS)) {
        if let Some(Some(facts)) = or_decent(images::read_image(&body, &image(), &project()))? {
            prop_assert!(facts.name.chars().count() <= 256);
        }
        if let Some(page) = or_decent(images::read_images(&body, &project()))? {
            prop_assert!(page.rows.len() <= 1000 && page.rows.iter().all(|(_, facts)| facts.name.chars().count() <= 256));
        }
        if let Some(page) = or_decent(own::read_own(&body, &project()))? {
            let bounded = |image: &OwnImage| image.name.chars().count() <= 256 && image.tags.len() <= TAGS_MAX;
            prop_assert!(page.rows.len() <= 1000 && page.rows.iter().all(bounded));
        }
        if let Some(page) = or_decent(members::read_members(&body, &image(), 1000))? {
            prop_assert!(page.rows.len() <= 1000 && page.next.is_none_or(|next| next.len() <= 1024));
        }
        if let Some((page, found)) = or_decent(copies::read_copies(&body, &project(), MARK))? {
            prop_assert!(found.is_none_or(|found| page.rows.iter().any(|(image, _)| *image == found)));
        }
        or_decent(identities::read_domain(&body, &project()))?;
        or_decent(identities::read_domain_of_projects(&body))?;
        or_decent(identities::read_project(&body, "cn-north-4"))?;
        if let Some(page) = or_decent(identities::read_projects(&body))? {
            prop_assert!(page.rows <= 1000 && page.own.len() <= page.rows);
        }
    }

    #[test]
    fn no_job_makes_a_reader_panic_or_fails_in_other_than_plain_words(body in bodies(ANSWERS), code in text()) {
        or_decent(jobs::read_submitted(&body))?;
        if let Some(JobProgress::Failed(fault)) = or_decent(jobs::read_job(&body, &job()))? {
            is_decent(&fault)?;
        }
        match or_decent(copies::read_copy_job(&body, &job()))? {
            Some(copies::CopyJob::Failed(fault)) => is_decent(&fault)?,
            Some(copies::CopyJob::Running { percent: Some(percent) }) => prop_assert!(percent <= 100),
            _ => {}
        }
        let coded = json!({"status": "FAIL", "job_id": JOB, "error_code": code}).to_string();
        let Ok(JobProgress::Failed(fault)) = jobs::read_job(coded.as_bytes(), &job()) else {
            return Err(TestCaseError::fail("a job that failed did not fail"));
        };
        for across in [false, true] {
            is_decent(&of_a_copy(fault.clone(), across))?;
        }
        is_decent(&fault_of_job(&code))?;
    }

    #[test]
    fn members_are_read_as_they_were_written(ids in vec("[0-9a-f]{32}", 0..60), marker in text()) {
        let row = |id: &String| json!({"status": "accepted", "image_id": IMAGE, "member_id": id, "member_type": "domain"});
        let rows: Vec<_> = ids.iter().map(row).collect();
        let info = json!({"next_marker": marker, "current_count": rows.len()});
        let body = json!({"members": rows, "page_info": info}).to_string();
        match members::read_members(body.as_bytes(), &image(), 1000) {
            Ok(page) => {
                let read: Vec<&str> = page.rows.iter().map(|(recipient, _)| recipient.id.as_str()).collect();
                prop_assert_eq!(read, ids.iter().map(String::as_str).collect::<Vec<_>>());
                prop_assert_eq!(page.next.unwrap_or_default(), marker);
            }
            Err(fault) => prop_assert!(fault == Fault::Unintelligible && marker.len() > 1024),
        }
    }

    #[test]
    fn no_error_is_told_but_in_plain_words_and_no_hint_heeded_beyond_reason(
        status in any::<u16>(), headers in headers(&["retry-after", "date", "x-request-id"]), body in bodies(ANSWERS),
        code in text(),
    ) {
        is_decent(&fault_of(status, &headers, &body))?;
        for name in ["error_code", "errorCode", "code"] {
            let coded = json!({"error": {name: code, "error_msg": code, "message": code}}).to_string();
            is_decent(&fault_of(status, &headers, coded.as_bytes()))?;
        }
    }

    #[test]
    fn no_token_is_kept_longer_than_it_lives_or_a_day(
        body in bodies(ANSWERS), headers in headers(&["x-subject-token"]), second in -377_705_000_000_i64..253_402_000_000,
    ) {
        let now = Timestamp::from_second(second).unwrap();
        let Some((token, renewed_at)) = or_decent(read_token(&Answer { status: 201, headers, body }, now))? else { return Ok(()) };
        prop_assert!(sensitive(token.expose_secret()).is_some());
        let day = SignedDuration::from_hours(24);
        prop_assert!(now < renewed_at && !now.checked_add(day).is_ok_and(|then| then < renewed_at));
    }

    #[test]
    fn every_key_that_is_taken_can_be_sent_and_no_refusal_repeats_one(
        id in text(), secret in text(), token in of(text()), path in vec(text(), 0..3),
    ) {
        let hides = |refused: String| secret.trim().len() < 20 || !refused.contains(secret.trim());
        match Credentials::access_key(&id, &secret, token.as_deref()) {
            Ok(Credentials::AccessKey { id, secret, token }) => {
                let path = format!("/{}", path.iter().map(|part| crate::clouds::signing::escape(part)).collect::<String>());
                let unsigned = Unsigned { method: "GET", path: &path, query: "", headers: &[("host", "h")], body: b"" };
                let signed = sign(&unsigned, id.expose_secret(), secret.expose_secret(), Timestamp::UNIX_EPOCH);
                prop_assert!(sensitive(&signed.authorization).is_some() && sensitive(&signed.date).is_some());
                prop_assert!(token.is_none_or(|token| sensitive(token.expose_secret()).is_some()));
            }
            Ok(Credentials::Password { .. }) => return Err(TestCaseError::fail("a key became a password")),
            Err(refused) => prop_assert!(hides(refused.to_string())),
        }
        match Credentials::password(&id, &secret, "domain") {
            Ok(_) => {
                let asked = question(&id, &secret, "domain", Scope::Domain);
                let asked: serde_json::Value = serde_json::from_slice(&asked).unwrap();
                prop_assert_eq!(asked["auth"]["identity"]["password"]["user"]["password"].as_str(), Some(secret.as_str()));
            }
            Err(refused) => prop_assert!(hides(refused.to_string())),
        }
    }

    #[test]
    fn every_region_is_called_at_a_host_of_the_vendor_or_not_at_all(region in text()) {
        let Ok(region) = RegionId::parse(&region) else { return Ok(()) };
        for service in [Service::Ims(&region), Service::Iam(&region), Service::IamCentral] {
            for site in [Site::China, Site::International, Site::Europe] {
                let Some(url) = url_of(service, site, &Endpoints::default()) else { continue };
                let host = url.host_str().unwrap();
                let vendors = host.ends_with(".myhuaweicloud.com") || host.ends_with(".myhuaweicloud.eu");
                prop_assert!(url.scheme() == "https" && vendors, "{}", url);
                prop_assert_eq!((url.path(), url.query(), url.port()), ("/", None, None));
            }
        }
    }
}
