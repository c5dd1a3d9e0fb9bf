//! Feeds every parser of Keystone's and Glance's answers, and every builder of requests, with arbitrary input.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use reqwest::Url;
use serde_json::json;

use super::Interface;
use super::client::below;
use super::credentials::Credentials;
use super::faults::{Operation, glance_fault, keystone_fault};
use super::wire;
use crate::clouds::adversarial::{bodies, headers, is_decent, or_decent, text};
use crate::clouds::endpoint_rule::AllowedEndpoints;
use crate::clouds::transport::Answer;
use crate::clouds::{CopyProgress, Fault};
use crate::domain::identifiers::{ImageId, PrincipalId};
use crate::domain::image::{OwnImage, TAGS_MAX};

const PROJECT: &str = "0d91420605f84fd1b3cae49ba9b42f1f";
const IMAGE: &str = "8a64453f-71c1-4448-8994-264aae537a42";
const MARK: &str = "Made by imageshare-operator for ImageReplica 7f3c (1)";
const GLANCE: &str = "http://127.0.0.1:9292";

const ANSWERS: &[&str] = &[
    r#"{"token":{"issued_at":"2026-11-22T05:10:07.000000Z","expires_at":"2026-11-22T06:10:07.000000Z",
        "project":{"id":"0d91420605f84fd1b3cae49ba9b42f1f"},"catalog":[{"type":"identity","endpoints":[]},
        {"type":"image","endpoints":[{"interface":"public","region_id":"RegionOne","url":"http://127.0.0.1:9292/v2"},
        {"interface":"internal","region":"RegionOne","url":"http://127.0.0.1:9292/image"}]}]}}"#,
    r#"{"id":"8a64453f-71c1-4448-8994-264aae537a42","owner":"0d91420605f84fd1b3cae49ba9b42f1f","name":"golden",
        "status":"active","visibility":"shared","protected":false,"size":7,"min_disk":1,"min_ram":0,"disk_format":"qcow2",
        "container_format":"bare","os_hash_algo":"sha512","os_hash_value":"ab","checksum":"cd","hw_disk_bus":"scsi",
        "imageshare_mark":"Made by imageshare-operator for ImageReplica 7f3c (1)","imageshare_source_hash":"sha512:ab"}"#,
    r#"{"images":[{"id":"8a64453f-71c1-4448-8994-264aae537a42","owner":"x","status":"active","visibility":"shared"}],
        "next":"/v2/images?limit=200&marker=8a64453f-71c1-4448-8994-264aae537a42"}"#,
    r#"{"images":[{"id":"8a64453f-71c1-4448-8994-264aae537a42","owner":"0d91420605f84fd1b3cae49ba9b42f1f",
        "created_at":"2026-11-18T09:12:00Z","tags":["k=v","k"],"status":"active","visibility":"private"}]}"#,
    r#"{"members":[{"member_id":"m1","image_id":"8a64453f-71c1-4448-8994-264aae537a42","status":"pending"},
        {"member_id":"m2","image_id":"8a64453f-71c1-4448-8994-264aae537a42","status":"accepted"}]}"#,
    r#"{"member_id":"0d91420605f84fd1b3cae49ba9b42f1f","image_id":"8a64453f-71c1-4448-8994-264aae537a42",
        "status":"rejected"}"#,
    r#"{"code":"404 Not Found","title":"Not Found","message":"m"}"#,
    r#"{"error":{"code":401,"title":"Unauthorized","message":"m"}}"#,
];

fn project() -> PrincipalId {
    PrincipalId::parse(PROJECT).unwrap()
}

fn image() -> ImageId {
    ImageId::parse(IMAGE).unwrap()
}

proptest! {
    #[test]
    fn no_answer_makes_a_reader_panic_or_believe_without_bounds(body in bodies(ANSWERS)) {
        if let Some(Some(seen)) = or_decent(wire::read_image(&body, &image(), &project()))? {
            prop_assert!(seen.facts.name.chars().count() <= 256);
        }
        if let Some(page) = or_decent(wire::read_images(&body, &project()))? {
            prop_assert!(page.rows.iter().all(|seen| seen.facts.name.chars().count() <= 256));
        }
        if let Some(page) = or_decent(wire::own::read_own(&body, &project()))? {
            let bounded = |image: &OwnImage| image.name.chars().count() <= 256 && image.tags.len() <= TAGS_MAX;
            prop_assert!(page.rows.iter().all(bounded));
        }
        or_decent(wire::read_members(&body, &image()))?;
        or_decent(wire::read_member(&body, &image(), &project()))?;
        if let Some(facts) = or_decent(wire::read_content(&body, &image()))? {
            prop_assert!(facts.size > 0 && facts.properties.len() <= 101);
            prop_assert!(facts.properties.iter().all(|(name, value)| name.len() <= 255 && value.len() <= 4096));
        }
        if let Some(CopyProgress::Failed(fault)) = or_decent(wire::read_copy(&body, &image(), &project(), MARK))? {
            is_decent(&fault)?;
        }
    }

    #[test]
    fn whatever_a_catalogue_names_only_what_is_allowed_is_called(body in bodies(ANSWERS), urls in vec(text(), 0..4)) {
        let allowed = AllowedEndpoints::parse(&[GLANCE]).unwrap();
        let endpoint = |(number, url): (usize, &String)| {
            json!({"interface": "public", "region": format!("R{number}"), "url": url})
        };
        let endpoints: Vec<_> = urls.iter().enumerate().map(endpoint).collect();
        let token = json!({"issued_at": "2026-11-22T05:10:07Z", "expires_at": "2026-11-22T06:10:07Z",
            "project": {"id": PROJECT}, "catalog": [{"type": "image", "endpoints": endpoints}]});
        for body in [body, json!({"token": token}).to_string().into_bytes()] {
            for interface in [Interface::Public, Interface::Internal] {
                let Some(facts) = or_decent(wire::read_token(&body, interface, None, &allowed))? else { continue };
                for endpoint in facts.image_services.values().flatten() {
                    let url = endpoint.url();
                    prop_assert_eq!((url.scheme(), url.host_str(), url.port()), ("http", Some("127.0.0.1"), Some(9292)));
                }
            }
        }
    }

    #[test]
    fn members_are_read_as_they_were_written(ids in proptest::collection::btree_set(text(), 0..20)) {
        let row = |id: &String| json!({"member_id": id, "image_id": IMAGE, "status": "accepted"});
        let body = json!({"members": ids.iter().map(row).collect::<Vec<_>>()}).to_string();
        let list = wire::read_members(body.as_bytes(), &image()).unwrap();
        let named: Vec<&str> = ids.iter().map(String::as_str).filter(|id| PrincipalId::parse(id).is_ok()).collect();
        prop_assert_eq!(list.recipients.keys().map(|recipient| recipient.id.as_str()).collect::<Vec<_>>(), named.clone());
        prop_assert_eq!(list.complete, named.len() == ids.len());
    }

    /// Every id is exactly one path segment, and every URL stays below the service.
    #[test]
    fn every_id_is_one_segment_of_its_path(image in text(), member in "[a-zA-Z0-9_.:/@-]{1,20}|[./]{1,4}", marker in text()) {
        let Ok(member) = PrincipalId::parse(&member) else { return Ok(()) };
        let image = ImageId::parse(&image).unwrap_or_else(|_| ImageId::parse(IMAGE).unwrap());
        let service = Url::parse("http://127.0.0.1:9292/image").unwrap();
        let path = [image.as_str(), "members", member.as_str()];
        let url = below(&service, &path, &[("marker", &marker)]).unwrap();
        let segments: Vec<String> = url
            .path_segments()
            .unwrap()
            .map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8().unwrap().into_owned())
            .collect();
        prop_assert_eq!(segments, ["image", "v2", "images", image.as_str(), "members", member.as_str()]);
        prop_assert_eq!((url.host_str(), url.port()), (Some("127.0.0.1"), Some(9292)));
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        prop_assert_eq!(query, [("marker".to_owned(), marker)]);
    }

    #[test]
    fn no_error_is_told_but_in_plain_words_and_no_hint_heeded_beyond_reason(
        status in any::<u16>(), headers in headers(&["retry-after", "date"]), body in bodies(ANSWERS),
    ) {
        let answer = Answer { status, headers, body };
        for operation in [
            Operation::Read,
            Operation::AddMember,
            Operation::Change,
            Operation::DeleteImage,
            Operation::MakeImage,
            Operation::Upload,
        ] {
            is_decent(&glance_fault(operation, &answer))?;
        }
        is_decent(&keystone_fault(&answer))?;
    }

    #[test]
    fn every_key_that_is_taken_is_asked_with_as_it_is_and_no_refusal_repeats_one(
        id in text(), secret in text(), domain in of(text()),
    ) {
        let taken = match &domain {
            None => Credentials::application(&id, &secret),
            Some(domain) => Credentials::password(&id, &secret, domain),
        };
        match taken {
            Ok(credentials) => {
                let identity = &credentials.question(&project())["auth"]["identity"];
                let asked = identity.pointer("/application_credential/secret").or(identity.pointer("/password/user/password"));
                prop_assert_eq!(asked.and_then(serde_json::Value::as_str), Some(secret.trim_ascii()));
            }
            Err(refused) => {
                let refused = refused.to_string();
                prop_assert!(secret.trim().len() < 20 || !refused.contains(secret.trim()), "{}", refused);
            }
        }
    }

    #[test]
    fn of_a_link_to_the_next_page_only_the_marker_is_heeded(before in text(), marker in text()) {
        let mut link = Url::parse("http://evil.example/").unwrap();
        link.query_pairs_mut().append_pair("limit", &before).append_pair("marker", &marker);
        for link in [link.to_string(), format!("{before}?{}", link.query().unwrap())] {
            let body = json!({"images": [], "next": link}).to_string();
            match (wire::read_images(body.as_bytes(), &project()), ImageId::parse(&marker)) {
                (Ok(page), Ok(marker)) => prop_assert_eq!(page.marker, Some(marker)),
                (read, marker) => {
                    // A question mark in the text before ends the path there.
                    prop_assert!(read.is_err_and(|fault| fault == Fault::Unintelligible));
                    prop_assert!(marker.is_err() || before.contains(['?', '#']));
                }
            }
        }
    }
}
