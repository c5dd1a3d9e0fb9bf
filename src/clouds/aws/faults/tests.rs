//! The vendor's codes and messages, each with its fault.

use Operation::{
    CopyImage as Copy, DeregisterImage as Delete, DescribeImageAttribute as List, DescribeImages as Describe,
    GetCallerIdentity as Identity, ModifyImageAttribute as Share,
};

use super::*;

const AT: &str = "2024-05-06T07:08:09Z";

fn asked(operation: Operation) -> Asked {
    Asked { operation, temporary: false, at: AT.parse().unwrap() }
}

fn body(code: &str, message: &str) -> Vec<u8> {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message>\
         </Error></Errors><RequestID>ea966190-f9aa-478e-9ede-example</RequestID></Response>"
    )
    .into_bytes()
}

fn told(operation: Operation, status: u16, code: &str, message: &str) -> Fault {
    fault_of(asked(operation), status, &HeaderMap::new(), &body(code, message))
}

fn fault(operation: Operation, status: u16, code: &str) -> Fault {
    told(operation, status, code, "The text is for people.")
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

const THROTTLED: Fault = Fault::Throttled { retry_after: None };

#[test]
fn documented_codes_with_a_fault_of_their_own() {
    for (operation, status, code, wanted) in [
        (Share, 503, "RequestLimitExceeded", THROTTLED),
        (Share, 400, "RequestLimitExceeded", THROTTLED),
        (Share, 400, "Throttling", THROTTLED),
        (Share, 429, "EC2ThrottledException", THROTTLED),
        (Share, 503, "SlowDown", THROTTLED),
        (Share, 500, "InternalError", Fault::Unavailable),
        (Share, 500, "InternalFailure", Fault::Unavailable),
        (Share, 503, "ServiceUnavailable", Fault::Unavailable),
        (Share, 503, "Unavailable", Fault::Unavailable),
        (Share, 400, "RequestExpired", Fault::ClockSkew),
        (Share, 403, "RequestTimeTooSkewed", Fault::ClockSkew),
        (Describe, 400, "InvalidAMIID.NotFound", Fault::NotFound(Missing::Image)),
        (Describe, 400, "InvalidAMIID.Malformed", Fault::NotFound(Missing::Image)),
        (List, 400, "InvalidAMIID.Unavailable", Fault::NotFound(Missing::Image)),
        (Share, 400, "InvalidAMIID.NotFound", Fault::NotFound(Missing::Image)),
        (Share, 400, "InvalidAMIID.Unavailable", Fault::NotFound(Missing::Image)),
        (Delete, 400, "InvalidAMIID.Unavailable", Fault::NotFound(Missing::Image)),
        (Copy, 400, "InvalidAMIID.NotFound", Fault::NotFound(Missing::Image)),
        (Copy, 400, "InvalidSnapshot.NotFound", Fault::NotFound(Missing::Image)),
        (Share, 400, "ResourceLimitExceeded", Fault::QuotaExceeded { quota: Quota::RecipientsPerImage }),
        (Copy, 400, "ResourceLimitExceeded", Fault::QuotaExceeded { quota: Quota::Other }),
        (Copy, 400, "PendingSnapshotLimitExceeded", Fault::QuotaExceeded { quota: Quota::Other }),
        (Share, 400, "IncorrectState", Fault::Conflict(Conflict::ImageBusy)),
        (Delete, 400, "InvalidSnapshot.InUse", Fault::Conflict(Conflict::ImageInUse)),
    ] {
        assert_eq!(fault(operation, status, code), wanted, "{status} {code}");
    }
}

#[test]
fn documented_codes_about_credentials_and_permissions() {
    for (status, code) in [
        (403, "InvalidClientTokenId"),
        (403, "SignatureDoesNotMatch"),
        (400, "IncompleteSignature"),
        (403, "MissingAuthenticationToken"),
        (403, "ExpiredToken"),
        (400, "ExpiredTokenException"),
        (400, "UnrecognizedClientException"),
        (401, "AuthFailure"),
    ] {
        assert_eq!(fault(Identity, status, code), Fault::Unauthenticated { code: code.to_owned() }, "{code}");
    }
    for (status, code) in [
        (403, "UnauthorizedOperation"),
        (403, "AccessDenied"),
        (400, "Blocked"),
        (400, "PendingVerification"),
        (401, "OptInRequired"),
        (400, "AuthFailure"),
    ] {
        assert_eq!(fault(Share, status, code), Fault::Forbidden { code: code.to_owned() }, "{code}");
    }
}

#[test]
fn refused_credentials_are_told_from_images_of_others() {
    let refused = "AWS was not able to validate the provided access credentials";
    let not_ours = "Not authorized for image:ami-0123456789abcdef0";
    let (unauthenticated, forbidden) = (
        Fault::Unauthenticated { code: "AuthFailure".to_owned() },
        Fault::Forbidden { code: "AuthFailure".to_owned() },
    );
    for (status, message, wanted) in [
        (401, refused, &unauthenticated),
        (400, refused, &unauthenticated),
        (400, not_ours, &forbidden),
        (401, not_ours, &forbidden),
        (400, "Not authorized for images: [ami-0123456789abcdef0]", &forbidden),
    ] {
        assert_eq!(told(List, status, "AuthFailure", message), *wanted, "{status} {message}");
    }
}

#[test]
fn expired_credentials_are_told_from_a_clock_that_is_wrong() {
    let expired = |temporary, date: &[(&'static str, &str)]| {
        let asked = Asked { temporary, ..asked(Share) };
        fault_of(asked, 400, &headers(date), &body("RequestExpired", "Request has expired."))
    };
    let unauthenticated = Fault::Unauthenticated { code: "RequestExpired".to_owned() };
    assert_eq!(expired(true, &[("date", "Mon, 06 May 2024 07:09:00 GMT")]), unauthenticated);
    for (temporary, date) in [
        (true, &[("date", "Mon, 06 May 2024 07:30:00 GMT")][..]),
        (true, &[("date", "Mon, 06 May 2024 06:30:00 GMT")]),
        (true, &[("date", "today")]),
        (true, &[]),
        (false, &[("date", "Mon, 06 May 2024 07:09:00 GMT")]),
    ] {
        assert_eq!(expired(temporary, date), Fault::ClockSkew, "{temporary} {date:?}");
    }
    for message in [
        "Signature expired: 20240506T070809Z is now earlier than 20240506T080000Z (20240506T081500Z - 15 min.)",
        "Signature not yet current: 20240506T070809Z is still later than 20240506T060000Z",
    ] {
        assert_eq!(told(Identity, 403, "SignatureDoesNotMatch", message), Fault::ClockSkew);
    }
}

#[test]
fn documented_codes_of_refused_requests() {
    for (operation, code, message, refusal, shown) in [
        (
            Share,
            "InvalidAMIAttributeItemValue",
            "Invalid attribute item value \"1\" for userId item type.",
            Refusal::Recipient,
            "InvalidAMIAttributeItemValue",
        ),
        (Share, "InvalidAMIID.Malformed", "", Refusal::Image, "InvalidAMIID.Malformed"),
        (
            Share,
            "InvalidParameter",
            "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot",
            Refusal::Image,
            "InvalidParameter: encrypted with the default key",
        ),
        (
            Share,
            "OperationNotPermitted",
            "Encrypted snapshots with EBS default key cannot be shared",
            Refusal::Image,
            "OperationNotPermitted: encrypted with the default key",
        ),
        (
            Share,
            "OperationNotPermitted",
            "You can't publicly share this image because block public access for AMIs is enabled for this account.",
            Refusal::Image,
            "OperationNotPermitted: public access is blocked",
        ),
        (
            Share,
            "UnsupportedOperation",
            "Encrypted snapshots can't be shared publicly. Specify another snapshot",
            Refusal::Image,
            "UnsupportedOperation",
        ),
        (Share, "InvalidParameter", "Something else", Refusal::Unknown, "InvalidParameter"),
        (Share, "InvalidRequest", "", Refusal::Unknown, "InvalidRequest"),
        (Share, "MissingParameter", "", Refusal::Unknown, "MissingParameter"),
        (Share, "InvalidParameterValue", "", Refusal::Unknown, "InvalidParameterValue"),
        (Describe, "FilterLimitExceeded", "", Refusal::Unknown, "FilterLimitExceeded"),
        (Describe, "InvalidPaginationToken", "", Refusal::Unknown, "InvalidPaginationToken"),
        (Delete, "InvalidAMIName.Duplicate", "", Refusal::Unknown, "InvalidAMIName.Duplicate"),
        (Share, "SomethingNew", "", Refusal::Unknown, "SomethingNew"),
        (Share, "DryRunOperation", "", Refusal::Unknown, "DryRunOperation"),
    ] {
        let wanted = Fault::Refused { refusal, code: shown.to_owned() };
        assert_eq!(told(operation, 400, code, message), wanted, "{code} {message}");
    }
    let public = "You have reached your quota of 5 for the number of public images allowed in this Region.";
    let other = Fault::QuotaExceeded { quota: Quota::Other };
    assert_eq!(told(Share, 400, "ResourceLimitExceeded", public), other);
    let protected = "This operation is not permitted because the AMI has deregistration protection enabled.";
    assert_eq!(told(Delete, 400, "OperationNotPermitted", protected), Fault::Conflict(Conflict::ImageProtected));
}

#[test]
fn documented_codes_about_copies() {
    for (code, message, refusal, shown) in [
        (
            "InvalidRequest",
            "You do not have permission to access the storage of this ami",
            Refusal::Copy,
            "InvalidRequest: its owner did not share the snapshots or the key",
        ),
        (
            "InvalidRequest",
            "Images from AWS Marketplace cannot be copied to another AWS account",
            Refusal::Copy,
            "InvalidRequest: marketplace images cannot be copied",
        ),
        (
            "InvalidRequest",
            "Images with EC2 BillingProduct codes cannot be copied to another AWS account",
            Refusal::Copy,
            "InvalidRequest: images with a billing product cannot be copied",
        ),
        (
            "InvalidRequest",
            "Snapshot snap-1 is encrypted. Creating an unencrypted copy from an encrypted snapshot is not supported",
            Refusal::Key,
            "InvalidRequest: a copy of an encrypted image needs a key",
        ),
        ("InvalidRequest", "New", Refusal::Copy, "InvalidRequest"),
        ("UnsupportedOperation", "", Refusal::Copy, "UnsupportedOperation"),
        ("InvalidAMIName.Duplicate", "", Refusal::NameTaken, "InvalidAMIName.Duplicate"),
        ("InvalidAMIName.Malformed", "", Refusal::Name, "InvalidAMIName.Malformed"),
        ("IdempotentParameterMismatch", "", Refusal::Copy, "IdempotentParameterMismatch"),
        ("CustomerKeyHasBeenRevoked", "", Refusal::Key, "CustomerKeyHasBeenRevoked"),
        ("InvalidKmsKey.InvalidState", "", Refusal::Key, "InvalidKmsKey.InvalidState"),
        ("KMS.NotFoundException", "", Refusal::Key, "KMS.NotFoundException"),
    ] {
        let wanted = Fault::Refused { refusal, code: shown.to_owned() };
        assert_eq!(told(Copy, 400, code, message), wanted, "{code} {message}");
    }
}

#[test]
fn errors_of_the_token_service_have_a_form_of_their_own() {
    let body = b"<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
        <Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message></Error>\
        <RequestId>r</RequestId></ErrorResponse>";
    let fault = fault_of(asked(Identity), 403, &HeaderMap::new(), body);
    assert_eq!(fault, Fault::Unauthenticated { code: "InvalidClientTokenId".to_owned() });
}

#[test]
fn status_decides_only_without_a_known_code() {
    let new = body("SomethingNew", "");
    let gone = body("InvalidAMIID.NotFound", "");
    for (status, body, wanted) in [
        (500, &b""[..], Fault::Unavailable),
        (500, b"<!doctype html>\n<html lang=en><title>500 Internal Server Error</title>", Fault::Unavailable),
        (502, b"<html>bad gateway</html>", Fault::Unavailable),
        (599, &new, Fault::Unavailable),
        (429, b"", THROTTLED),
        (404, b"<html>not here</html>", Fault::Unintelligible),
        (404, b"{}", Fault::Unintelligible),
        (400, b"<Response><Errors><Error><Code/></Error></Errors></Response>", Fault::Unintelligible),
        (400, b"<Response><Errors><Error><Code>Thrott", Fault::Unintelligible),
        (400, b"<Other><Errors><Error><Code>Throttling</Code></Error></Errors></Other>", Fault::Unintelligible),
        (302, &new, Fault::Unintelligible),
        (204, b"", Fault::Unintelligible),
        (500, &gone, Fault::NotFound(Missing::Image)),
    ] {
        let told = fault_of(asked(Delete), status, &HeaderMap::new(), body);
        assert_eq!(told, wanted, "{status} {}", String::from_utf8_lossy(body));
    }
}

#[test]
fn wait_is_read_in_milliseconds_and_bounded() {
    for (pairs, wanted) in [
        (&[("x-amz-retry-after", "1500")][..], Some(Duration::from_millis(1500))),
        (&[("x-amz-retry-after", "999999999")], Some(RETRY_AFTER_MAX)),
        (&[("x-amz-retry-after", "0")], None),
        (&[("x-amz-retry-after", "-5")], None),
        (&[("x-amz-retry-after", "soon")], None),
        (&[("retry-after", "3")], Some(Duration::from_secs(3))),
        (&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], None),
        (&[("x-amz-retry-after", "7"), ("retry-after", "3")], Some(Duration::from_millis(7))),
        (&[], None),
    ] {
        let read = fault_of(asked(Share), 503, &headers(pairs), &body("RequestLimitExceeded", ""));
        assert_eq!(read, Fault::Throttled { retry_after: wanted }, "{pairs:?}");
    }
    let known = fault_of(asked(Share), 403, &headers(&[("x-amz-retry-after", "10")]), &body("AccessDenied", ""));
    assert_eq!(known, Fault::Forbidden { code: "AccessDenied".to_owned() }, "a wait never outweighs a known code");
}

#[test]
fn codes_are_made_plain_and_short() {
    let nasty = "Bad\u{202e}\n&#x9b;[31m&lt;b&gt;Code чужой".to_owned() + &"x".repeat(5000);
    let Fault::Refused { code, .. } = fault(Share, 400, &nasty) else { panic!("not refused") };
    assert!(code.starts_with("Bad31mbCodexxx"), "{code}");
    assert_eq!(code.len(), CODE_BYTES_MAX);
}
