//! Every code of the vendor's tables.

use super::*;
use crate::domain::fault::{Cause, Unreachable};

fn ims(code: &str) -> Vec<u8> {
    serde_json::json!({"error": {"code": code, "message": "The text is for people."}}).to_string().into_bytes()
}

fn gateway(code: &str, text: &str) -> Vec<u8> {
    serde_json::json!({"error_msg": text, "error_code": code, "request_id": "r"}).to_string().into_bytes()
}

fn fault(code: &str) -> Fault {
    fault_of(400, &HeaderMap::new(), &ims(code))
}

fn at_the_gateway(status: u16, code: &str, text: &str) -> Fault {
    fault_of(status, &HeaderMap::new(), &gateway(code, text))
}

fn wait(value: &str) -> HeaderMap {
    HeaderMap::from_iter([(reqwest::header::RETRY_AFTER, value.parse().unwrap())])
}

const MINUTE: Fault = Fault::Throttled { retry_after: Some(Duration::from_secs(60)) };

#[test]
fn codes_with_a_fault_of_their_own() {
    for (code, wanted) in [
        ("IMG.0027", Fault::NotFound(Missing::Image)),
        ("IMG.0144", Fault::NotFound(Missing::Image)),
        ("IMG.0108", Fault::NotFound(Missing::Recipient)),
        ("IMG.0028", Fault::Conflict(Conflict::ImageProtected)),
        ("IMG.0046", Fault::Conflict(Conflict::ImageBusy)),
        ("IMG.0090", Fault::Conflict(Conflict::ImageBusy)),
        ("IMG.0088", Fault::QuotaExceeded { quota: Quota::RecipientsPerImage }),
        ("IMG.0060", Fault::Throttled { retry_after: None }),
        ("IMG.0187", Fault::Throttled { retry_after: None }),
        ("IMG.0061", Fault::Unavailable),
        ("IMG.0064", Fault::Unavailable),
        ("IMG.0065", Fault::Unavailable),
        ("IMG.0112", Fault::Unavailable),
        ("IMG.0113", Fault::Unavailable),
        ("IMG.0114", Fault::Unavailable),
        ("IMG.0087", Fault::Unauthenticated { code: "IMG.0087".to_owned() }),
    ] {
        assert_eq!(fault(code), wanted, "{code}");
        assert_eq!(fault_of_job(code), wanted, "{code}");
    }
}

#[test]
fn codes_about_permissions_and_ownership() {
    for code in ["IMG.0026", "IMG.0030", "IMG.0047", "IMG.0092", "IMG.0094", "IMG.0106", "IMG.0161", "IMG.0179"] {
        assert_eq!(fault(code), Fault::Forbidden { code: code.to_owned() }, "{code}");
    }
    assert_eq!(fault_of(403, &HeaderMap::new(), &ims("IMG.0026")), Fault::Forbidden { code: "IMG.0026".to_owned() });
}

#[test]
fn codes_of_refused_requests() {
    for (refusal, codes) in [
        (
            Refusal::Image,
            &[
                "IMG.0066", "IMG.0086", "IMG.0089", "IMG.0095", "IMG.0097", "IMG.0098", "IMG.0099", "IMG.0101",
                "IMG.0102", "IMG.0103", "IMG.0130", "IMG.0135", "IMG.0196", "IMG.0197",
            ][..],
        ),
        (Refusal::Recipient, &["IMG.0076", "IMG.0177", "IMG.0178"]),
        (Refusal::Vault, &["IMG.0182", "IMG.0184", "IMG.0185", "IMG.0188", "IMG.0189", "IMG.0193"]),
        (
            Refusal::Unknown,
            &["IMG.0001", "IMG.0007", "IMG.0067", "IMG.0104", "IMG.0105", "IMG.0145", "IMG.9999", "SomethingNew"],
        ),
    ] {
        for code in codes {
            assert_eq!(fault(code), Fault::Refused { refusal, code: (*code).to_owned() }, "{code}");
            assert_eq!(fault_of_job(code), Fault::Refused { refusal, code: (*code).to_owned() }, "{code}");
        }
    }
    assert_eq!(fault_of_job(""), Fault::Refused { refusal: Refusal::Unknown, code: "JobFailed".to_owned() });
}

#[test]
fn codes_mean_another_thing_of_a_copy() {
    for (refusal, codes) in [
        (Refusal::Name, &["IMG.0002", "IMG.0003", "IMG.0013"][..]),
        (Refusal::NameTaken, &["IMG.0009"]),
        (Refusal::Agency, &["IMG.0104", "IMG.0108", "IMG.0145", "IMG.0179"]),
        (Refusal::Key, &["IMG.0095", "IMG.0097", "IMG.0099", "IMG.0101", "IMG.0102", "IMG.0103"]),
        (Refusal::NotAccepted, &["IMG.0196"]),
        (
            Refusal::Copy,
            &[
                "IMG.0066", "IMG.0076", "IMG.0086", "IMG.0089", "IMG.0098", "IMG.0105", "IMG.0130", "IMG.0135",
                "IMG.0177", "IMG.0178", "IMG.0197",
            ],
        ),
        (Refusal::Vault, &["IMG.0182", "IMG.0184", "IMG.0185", "IMG.0188", "IMG.0189", "IMG.0193"]),
        (Refusal::Unknown, &["IMG.0001", "IMG.0007", "IMG.0067", "IMG.9999"]),
    ] {
        for code in codes {
            let wanted = Fault::Refused { refusal, code: (*code).to_owned() };
            for across in [false, true] {
                assert_eq!(of_a_copy(fault(code), across), wanted, "{code}");
                assert_eq!(of_a_copy(fault_of_job(code), across), wanted, "{code}");
            }
        }
    }
    for code in ["IMG.0047", "IMG.0106"] {
        let wanted = Fault::Refused { refusal: Refusal::CopyAcrossRegions, code: code.to_owned() };
        assert_eq!(of_a_copy(fault(code), true), wanted, "{code}");
        assert_eq!(of_a_copy(fault(code), false), Fault::Forbidden { code: code.to_owned() }, "{code}");
    }
    for across in [false, true] {
        for code in ["IMG.0015", "IMG.0088"] {
            assert_eq!(of_a_copy(fault(code), across), Fault::QuotaExceeded { quota: Quota::PrivateImages }, "{code}");
        }
        // The same for copies and for sharing.
        for code in ["IMG.0026", "IMG.0030", "IMG.0161", "IMG.0027", "IMG.0144", "IMG.0046", "IMG.0060", "IMG.0061"] {
            assert_eq!(of_a_copy(fault(code), across), fault(code), "{code}");
        }
        let late = Fault::Unreachable(Unreachable { host: String::new(), cause: Cause::Timeout, sent: true });
        assert_eq!(of_a_copy(late.clone(), across), late);
        assert_eq!(of_a_copy(fault_of_job(""), across), fault_of_job(""));
    }
}

#[test]
fn gateway_is_read_by_its_own_shape() {
    let limit = "The throttling threshold has been reached: policy user over ratelimit,limit:10,time:1 minute";
    assert_eq!(at_the_gateway(429, "APIGW.0308", limit), MINUTE);
    assert_eq!(at_the_gateway(429, "APIG.0308", limit), MINUTE);
    assert_eq!(at_the_gateway(404, "APIGW.0101", "not published"), Fault::NotFound(Missing::Region));
    for code in ["APIGW.0302", "APIGW.0306", "APIGW.0304", "APIGW.0402", "APIGW.0802"] {
        assert_eq!(at_the_gateway(403, code, "x"), Fault::Forbidden { code: code.to_owned() }, "{code}");
    }
    for code in ["APIGW.0201", "APIGW.0202", "APIGW.0203", "APIGW.0601"] {
        assert_eq!(at_the_gateway(504, code, "x"), Fault::Unavailable, "{code}");
    }
}

#[test]
fn refused_signatures_and_tokens_are_told_from_a_wrong_clock() {
    for text in [
        "Incorrect IAM authentication information: verify aksk signature fail",
        "Incorrect IAM authentication information: AK access failed to reach the limit,forbidden",
        "Incorrect IAM authentication information: Get secretKey failed,ak:******,err:ak not exist",
        "Incorrect IAM authentication information: decrypt token fail",
        "Incorrect IAM authentication information: token expires, expires_at: date",
        "Incorrect IAM authentication information: cannot validate, key must be updated",
    ] {
        let wanted = Fault::Unauthenticated { code: "APIGW.0301".to_owned() };
        assert_eq!(at_the_gateway(401, "APIGW.0301", text), wanted, "{text}");
    }
    for text in [
        "Incorrect IAM authentication information: calc ak sk signature fail:signature expired",
        "Incorrect IAM authentication information: X-Sdk-Date expired",
        "Incorrect IAM authentication information: request date/time skewed",
    ] {
        assert_eq!(at_the_gateway(401, "APIGW.0301", text), Fault::ClockSkew, "{text}");
        assert_eq!(at_the_gateway(401, "APIG.0301", text), Fault::ClockSkew, "{text}");
    }
}

#[test]
fn identity_service_speaks_in_statuses_and_codes_of_its_own() {
    let wrong = br#"{"error":{"message":"The username or password is wrong.","code":401,"title":"Unauthorized"}}"#;
    assert_eq!(fault_of(401, &HeaderMap::new(), wrong), Fault::Unauthenticated { code: "401".to_owned() });
    let denied = br#"{"error":{"message":"Forbidden","code":403,"title":"Forbidden"}}"#;
    assert_eq!(fault_of(403, &HeaderMap::new(), denied), Fault::Forbidden { code: "403".to_owned() });
    for code in ["IAM.0002", "PAP5.0013"] {
        assert_eq!(at_the_gateway(403, code, "x"), Fault::Forbidden { code: code.to_owned() }, "{code}");
    }
    assert_eq!(at_the_gateway(401, "IAM.0001", "x"), Fault::Unauthenticated { code: "IAM.0001".to_owned() });
    assert_eq!(at_the_gateway(500, "IAM.0006", "x"), Fault::Unavailable);
}

#[test]
fn every_shape_the_vendors_sdk_reads_is_read() {
    for body in [
        r#"{"error":{"code":"IMG.0027","message":"m"}}"#,
        r#"{"error_code":"IMG.0027","error_msg":"m"}"#,
        r#"{"errorCode":"IMG.0027","errorMsg":"m"}"#,
        r#"{"code":"IMG.0027","message":"m"}"#,
        r#"{"request_id":"r","badRequest":{"code":"IMG.0027","message":"m"}}"#,
        r#"{"error":{"details":{"error_code":"IMG.0027"}}}"#,
        r#"{"encoded_authorization_message":"e","error_code":"IMG.0027","error_msg":null}"#,
    ] {
        assert_eq!(fault_of(400, &HeaderMap::new(), body.as_bytes()), Fault::NotFound(Missing::Image), "{body}");
    }
    let deep = br#"{"a":{"b":{"c":{"code":"IMG.0027"}}}}"#;
    assert_eq!(fault_of(400, &HeaderMap::new(), deep), Fault::Unintelligible);
}

#[test]
fn status_decides_only_without_a_known_code() {
    let unauthenticated = Fault::Unauthenticated { code: "401".to_owned() };
    for (status, body, wanted) in [
        (500, &b""[..], Fault::Unavailable),
        (502, b"<html>bad gateway</html>", Fault::Unavailable),
        (503, br#"{"error":{"code":"IMG.0061"}}"#, Fault::Unavailable),
        (500, br#"{"error":{"code":"IMG.0088"}}"#, Fault::QuotaExceeded { quota: Quota::RecipientsPerImage }),
        (429, b"", MINUTE),
        (429, br#"{"error":{"code":"New"}}"#, MINUTE),
        (401, b"Authentication required", unauthenticated),
        (404, b"<html>not here</html>", Fault::Unintelligible),
        (403, b"<html>blocked</html>", Fault::Unintelligible),
        (403, br#"{"error":{"code":"New"}}"#, Fault::Refused { refusal: Refusal::Unknown, code: "New".to_owned() }),
        (400, br#"{"error":{"code":""}}"#, Fault::Unintelligible),
        (400, br#"{"error":{"code":"IMG.00"#, Fault::Unintelligible),
        (400, br#"{"error":"IMG.0027"}"#, Fault::Unintelligible),
        (302, br#"{"error":{"code":"New"}}"#, Fault::Unintelligible),
        (409, br#"{"error":{"code":"New"}}"#, Fault::Refused { refusal: Refusal::Unknown, code: "New".to_owned() }),
    ] {
        assert_eq!(fault_of(status, &HeaderMap::new(), body), wanted, "{status} {body:?}");
    }
}

#[test]
fn wait_is_read_in_seconds_and_bounded() {
    for (value, seconds) in
        [("7", 7), ("999999", 120), ("0", 60), ("-5", 60), ("soon", 60), ("Wed, 21 Oct 2015 07:28:00 GMT", 60)]
    {
        let read = fault_of(429, &wait(value), &gateway("APIGW.0308", "x"));
        assert_eq!(read, Fault::Throttled { retry_after: Some(Duration::from_secs(seconds)) }, "{value}");
    }
    let tasks = fault_of(400, &wait("3"), &ims("IMG.0060"));
    assert_eq!(tasks, Fault::Throttled { retry_after: Some(Duration::from_secs(3)) });
    let known = fault_of(400, &wait("3"), &ims("IMG.0027"));
    assert_eq!(known, Fault::NotFound(Missing::Image), "a known code is not outweighed");
}

#[test]
fn strangers_and_lost_jobs_are_told() {
    for code in ["IMG.0027", "IMG.0144", "IMG.0047", "IMG.0106"] {
        assert!(tells_a_stranger(&fault(code)), "{code}");
    }
    for code in ["IMG.0026", "IMG.0161", "IMG.0061", "IMG.0060", "IMG.0066"] {
        assert!(!tells_a_stranger(&fault(code)), "{code}");
    }
    for code in ["IMG.0105", "IMG.0027", "IMG.9999"] {
        assert!(tells_no_such_job(&fault(code)), "{code}");
    }
    for code in ["IMG.0026", "IMG.0087", "IMG.0061", "IMG.0060"] {
        assert!(!tells_no_such_job(&fault(code)), "{code}");
    }
    assert!(!tells_no_such_job(&at_the_gateway(404, "APIGW.0101", "x")));
}

#[test]
fn codes_are_made_plain_and_short() {
    let nasty = "Bad\u{202e}\n\u{1b}[31m<b>Code</b> чужой".to_owned() + &"x".repeat(5000);
    for found in [fault(&nasty), fault_of_job(&nasty)] {
        let Fault::Refused { code, .. } = found else { panic!("not refused") };
        assert!(code.starts_with("Bad31mbCodebxxx"), "{code}");
        assert_eq!(code.len(), CODE_BYTES_MAX);
    }
}
