//! Maps the vendor's error codes to faults. The code decides; the HTTP status decides only for unknown codes. The codes come
//! from the ECS and STS API pages, in the vendor's misspellings and in correct spelling.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::Operation;
use crate::clouds::Fault;
use crate::domain::fault::{Conflict, Missing, Quota, Refusal};

/// Longest code kept, in bytes.
const CODE_BYTES_MAX: usize = 80;
/// Longest wait the vendor's SDK honours.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);

#[derive(Deserialize)]
struct ErrorDocument {
    #[serde(alias = "code", rename = "Code")]
    code: String,
}

/// Maps an answer with a status other than 200.
pub(super) fn fault_of(operation: Operation, status: u16, headers: &HeaderMap, body: &[u8]) -> Fault {
    let code = serde_json::from_slice(body).map(|document: ErrorDocument| plain(&document.code)).unwrap_or_default();
    let retry_after = retry_after(headers);
    if let Some(fault) = fault_of_code(operation, &code, retry_after) {
        return fault;
    }
    // The vendor's SDK treats the header alone as throttling.
    match (status, retry_after) {
        (_, Some(_)) => Fault::Throttled { retry_after },
        (500..=599, None) => Fault::Unavailable,
        (400..=499, None) if !code.is_empty() => Fault::Refused { refusal: Refusal::Unknown, code },
        _ => Fault::Unintelligible,
    }
}

/// The part of a code that is safe to display.
fn plain(code: &str) -> String {
    code.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')).take(CODE_BYTES_MAX).collect()
}

/// `x-acs-retry-after` counts milliseconds; the standard `Retry-After`, which only an intermediary would send, counts
/// seconds. Only whole positive numbers count.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok().filter(|number| *number > 0);
    let wait = number("x-acs-retry-after")
        .map(Duration::from_millis)
        .or_else(|| number("retry-after").map(Duration::from_secs))?;
    Some(wait.min(RETRY_AFTER_MAX))
}

fn fault_of_code(operation: Operation, code: &str, retry_after: Option<Duration>) -> Option<Fault> {
    transport_fault(code, retry_after)
        .or_else(|| credential_fault(code))
        .or_else(|| copy_fault(operation, code))
        .or_else(|| image_fault(code))
        .or_else(|| recipient_fault(operation, code))
        .or_else(|| quota_fault(operation, code))
}

/// Faults of the API itself: throttling and internal errors.
fn transport_fault(code: &str, retry_after: Option<Duration>) -> Option<Fault> {
    if code == "Throttling" || code.starts_with("Throttling.") || code.starts_with("Rejected.Throttling") {
        return Some(Fault::Throttled { retry_after });
    }
    match code {
        // A retry signs again with another nonce.
        "SignatureNonceUsed"
        | "InternalError"
        | "ServiceUnavailable"
        | "ServiceUnavailable.RegionMaintaining"
        | "LastTokenProcessing"
        | "UnknownError" => Some(Fault::Unavailable),
        _ => None,
    }
}

fn credential_fault(code: &str) -> Option<Fault> {
    match code {
        "IllegalTimestamp" | "InvalidTimeStamp.Expired" | "InvalidTimeStamp.Format" => Some(Fault::ClockSkew),
        "IncompleteSignature"
        | "SignatureDoesNotMatch"
        | "InvalidAccessKeyId"
        | "InvalidAccessKeyId.NotFound"
        | "InvalidAccessKeyId.Inactive"
        | "InvalidSecurityToken.Expired"
        | "InvalidSecurityToken.Malformed"
        | "InvalidSecurityToken.MismatchWithAccessKey"
        | "MissingSecurityToken"
        | "InvalidAliUid.IsNull"
        | "Forbidden.AccessKeyDisabled" => Some(Fault::Unauthenticated { code: code.to_owned() }),
        // Some of them concern the account's own status: its owner must act, no recipient is the cause.
        "Forbidden"
        | "Forbbiden"
        | "Forbidden.RAM"
        | "Forbidden.Unauthorized"
        | "Forbidden.SubUser"
        | "Forbidden.NotSupportRAM"
        | "Forbidden.RiskControl"
        | "NoPermission"
        | "RealNameAuthenticationError"
        | "InsufficientBalance" => Some(Fault::Forbidden { code: code.to_owned() }),
        _ => None,
    }
}

/// Codes that only copy calls return, and codes that have another meaning for copies.
fn copy_fault(operation: Operation, code: &str) -> Option<Fault> {
    let refused = |refusal| Some(Fault::Refused { refusal, code: code.to_owned() });
    match (operation, code) {
        // The copy cannot be cancelled, so the operator must wait for its end.
        (Operation::CancelCopyImage, "CancelNotSupported") => Some(Fault::Conflict(Conflict::ImageBusy)),
        (Operation::CancelCopyImage, "ImageCreatedNotFromCopy") => refused(Refusal::Copy),
        (Operation::CopyImage, code) => match code {
            "DestinationRegion.NotFound" | "SourceRegion.NotFound" => Some(Fault::NotFound(Missing::Region)),
            "QuotaExceed.Image" | "QuotaExceeded.Image" => Some(Fault::QuotaExceeded { quota: Quota::PrivateImages }),
            "InvalidImageName.Malformed" => refused(Refusal::Name),
            "InvalidImageName.Duplicated" => refused(Refusal::NameTaken),
            "SizeExceed.Image" => refused(Refusal::Size),
            // A received image, to another region.
            "OperationDenied.SameRegionOnly" | "OperationDeined.SameRegionOnly" => refused(Refusal::CopyAcrossRegions),
            "InvalidParameter.EncryptedIllegal" => refused(Refusal::Key),
            code if code.starts_with("InvalidParameter.KMSKeyId") => refused(Refusal::Key),
            // The region does not sell the marketplace original; a region does not support copies; the encryption prevents it.
            "OperationDenied.NotPublished"
            | "RegionNotSupportCopy"
            | "IncorrectDestinationRegion"
            | "OperationDeined.EncryptedSnapshot"
            | "OperationDenied.EncryptedSnapshot"
            | "AssumeRoleError"
            | "InvalidImageId.Malformed" => refused(Refusal::Copy),
            _ => None,
        },
        _ => None,
    }
}

fn image_fault(code: &str) -> Option<Fault> {
    match code {
        "InvalidImageId.NotFound" => Some(Fault::NotFound(Missing::Image)),
        "InvalidRegionId.NotFound" | "InvalidRegionId" => Some(Fault::NotFound(Missing::Region)),
        "ImageUsingByInstance" => Some(Fault::Conflict(Conflict::ImageInUse)),
        // The vendor publishes no code for a protected image; its other services name the protection in the code.
        code if code.contains("Protect") => Some(Fault::Conflict(Conflict::ImageProtected)),
        "ImageUseShared" => Some(Fault::Conflict(Conflict::ImageShared)),
        "OperationDenied.ImageCopying"
        | "OperationDeined.ImageCopying"
        | "ImageIsImporting"
        | "ImageIsExporting"
        | "IncorrectImageStatus"
        | "OperationConflict" => Some(Fault::Conflict(Conflict::ImageBusy)),
        // `AssumeRoleError`: the owner of an encrypted image has not created the role that lets recipients use the key.
        "OperationDeined.EncryptedSnapshot"
        | "OperationDenied.EncryptedSnapshot"
        | "InvalidImageId.Malformed"
        | "AssumeRoleError" => Some(Fault::Refused { refusal: Refusal::Image, code: code.to_owned() }),
        _ => None,
    }
}

fn recipient_fault(operation: Operation, code: &str) -> Option<Fault> {
    let shares = operation == Operation::ModifyImageSharePermission;
    match code {
        "InvalidAccount.Forbbiden" | "InvalidAccount.Forbidden" => {
            Some(Fault::Refused { refusal: Refusal::Recipient, code: code.to_owned() })
        }
        "InvalidAccount.NotFound" if shares => Some(Fault::NotFound(Missing::Recipient)),
        // A common code: in a call that names no other account it concerns the caller's account.
        "InvalidAccount.NotFound" => Some(Fault::Unauthenticated { code: code.to_owned() }),
        _ => None,
    }
}

fn quota_fault(operation: Operation, code: &str) -> Option<Fault> {
    if !code.starts_with("QuotaExceed") {
        return None;
    }
    let quota = match (code, operation) {
        ("QuotaExceed.ShareImageUser" | "QuotaExceeded.ShareImageUser", _) => Quota::RecipientsPerImage,
        // The vendor documents no code for a recipient at its limit of received images; for a call that only adds
        // recipients to an image, no other quota is left.
        (_, Operation::ModifyImageSharePermission) => Quota::ReceivedImages,
        _ => Quota::Other,
    };
    Some(Fault::QuotaExceeded { quota })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Operation::{
        CancelCopyImage, CopyImage, DeleteImage, DescribeImages, GetCallerIdentity, ModifyImageSharePermission as Share,
    };

    fn body(code: &str) -> Vec<u8> {
        serde_json::json!({
            "RequestId": "F3CD6886-D8D0-4FEE-B93E-1B73239673DE",
            "HostId": "ecs.cn-beijing.aliyuncs.com",
            "Code": code,
            "Message": "The text is for people.",
            "Recommend": "https://example.org"
        })
        .to_string()
        .into_bytes()
    }

    fn fault(operation: Operation, status: u16, code: &str) -> Fault {
        fault_of(operation, status, &HeaderMap::new(), &body(code))
    }

    fn waits(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    const THROTTLED: Fault = Fault::Throttled { retry_after: None };
    const BUSY: Fault = Fault::Conflict(Conflict::ImageBusy);

    #[test]
    fn documented_codes_with_a_fault_of_their_own() {
        for (operation, status, code, wanted) in [
            (Share, 400, "Throttling", THROTTLED),
            (Share, 400, "Throttling.User", THROTTLED),
            (Share, 429, "Throttling.Api", THROTTLED),
            (Share, 503, "Throttling.User", THROTTLED),
            (Share, 400, "Rejected.Throttling", THROTTLED),
            (Share, 503, "ServiceUnavailable", Fault::Unavailable),
            (Share, 503, "ServiceUnavailable.RegionMaintaining", Fault::Unavailable),
            (DescribeImages, 500, "InternalError", Fault::Unavailable),
            (Share, 403, "LastTokenProcessing", Fault::Unavailable),
            (Share, 400, "UnknownError", Fault::Unavailable),
            (Share, 400, "SignatureNonceUsed", Fault::Unavailable),
            (Share, 400, "IllegalTimestamp", Fault::ClockSkew),
            (Share, 400, "InvalidTimeStamp.Expired", Fault::ClockSkew),
            (Share, 400, "InvalidTimeStamp.Format", Fault::ClockSkew),
            (Share, 404, "InvalidImageId.NotFound", Fault::NotFound(Missing::Image)),
            (DeleteImage, 404, "InvalidImageId.NotFound", Fault::NotFound(Missing::Image)),
            (Share, 404, "InvalidRegionId.NotFound", Fault::NotFound(Missing::Region)),
            (Share, 400, "InvalidRegionId", Fault::NotFound(Missing::Region)),
            (Share, 403, "InvalidAccount.NotFound", Fault::NotFound(Missing::Recipient)),
            (Share, 403, "QuotaExceed.ShareImageUser", Fault::QuotaExceeded { quota: Quota::RecipientsPerImage }),
            (Share, 403, "QuotaExceeded.ShareImageUser", Fault::QuotaExceeded { quota: Quota::RecipientsPerImage }),
            (Share, 403, "QuotaExceed.Anything", Fault::QuotaExceeded { quota: Quota::ReceivedImages }),
            (Share, 403, "QuotaExceeded", Fault::QuotaExceeded { quota: Quota::ReceivedImages }),
            (DeleteImage, 403, "QuotaExceed.Image", Fault::QuotaExceeded { quota: Quota::Other }),
            (DeleteImage, 403, "ImageUsingByInstance", Fault::Conflict(Conflict::ImageInUse)),
            (DeleteImage, 403, "ImageUseShared", Fault::Conflict(Conflict::ImageShared)),
            (DeleteImage, 403, "OperationDenied.ImageCopying", BUSY),
            (DeleteImage, 403, "OperationDeined.ImageCopying", BUSY),
            (DeleteImage, 403, "ImageIsImporting", BUSY),
            (DeleteImage, 403, "ImageIsExporting", BUSY),
            (Share, 400, "IncorrectImageStatus", BUSY),
            (Share, 409, "OperationConflict", BUSY),
        ] {
            assert_eq!(fault(operation, status, code), wanted, "{status} {code}");
        }
    }

    #[test]
    fn documented_codes_about_credentials_and_permissions() {
        for (status, code) in [
            (400, "IncompleteSignature"),
            (400, "SignatureDoesNotMatch"),
            (404, "InvalidAccessKeyId"),
            (400, "InvalidAccessKeyId.NotFound"),
            (404, "InvalidAccessKeyId.NotFound"),
            (400, "InvalidAccessKeyId.Inactive"),
            (400, "InvalidSecurityToken.Expired"),
            (400, "InvalidSecurityToken.Malformed"),
            (400, "InvalidSecurityToken.MismatchWithAccessKey"),
            (400, "MissingSecurityToken"),
            (401, "InvalidAliUid.IsNull"),
            (403, "Forbidden.AccessKeyDisabled"),
            (403, "InvalidAccount.NotFound"),
        ] {
            let wanted = Fault::Unauthenticated { code: code.to_owned() };
            assert_eq!(fault(GetCallerIdentity, status, code), wanted, "{code}");
        }
        for (status, code) in [
            (403, "Forbidden"),
            (400, "Forbbiden"),
            (403, "Forbidden.RAM"),
            (403, "Forbidden.Unauthorized"),
            (403, "Forbidden.SubUser"),
            (403, "Forbidden.NotSupportRAM"),
            (403, "Forbidden.RiskControl"),
            (403, "NoPermission"),
            (403, "RealNameAuthenticationError"),
            (400, "InsufficientBalance"),
        ] {
            assert_eq!(fault(Share, status, code), Fault::Forbidden { code: code.to_owned() }, "{code}");
        }
    }

    #[test]
    fn documented_codes_of_refused_requests() {
        for (status, code, refusal) in [
            (404, "InvalidAccount.Forbbiden", Refusal::Recipient),
            (404, "InvalidAccount.Forbidden", Refusal::Recipient),
            (403, "OperationDeined.EncryptedSnapshot", Refusal::Image),
            (403, "OperationDenied.EncryptedSnapshot", Refusal::Image),
            (403, "AssumeRoleError", Refusal::Image),
            (400, "AssumeRoleError", Refusal::Image),
            (500, "AssumeRoleError", Refusal::Image),
            (400, "InvalidImageId.Malformed", Refusal::Image),
            (400, "InvalidGroup.Malformed", Refusal::Unknown),
            (400, "MissingParameter", Refusal::Unknown),
            (400, "InvalidParameter", Refusal::Unknown),
            (400, "InvalidParamter", Refusal::Unknown),
            (400, "InvalidParamater", Refusal::Unknown),
            (400, "UnsupportedParameter", Refusal::Unknown),
            (400, "IdempotentParameterMismatch", Refusal::Unknown),
            (400, "InvalidOwner", Refusal::Unknown),
            (403, "InvalidAction", Refusal::Unknown),
            (403, "UnsupportedHTTPMethod", Refusal::Unknown),
            (400, "DryRunOperation", Refusal::Unknown),
            (400, "InvalidImageOwnerAlias.ValueNotSupported", Refusal::Unknown),
            (404, "InvalidUsage", Refusal::Unknown),
            (400, "SomethingNew", Refusal::Unknown),
        ] {
            let wanted = Fault::Refused { refusal, code: code.to_owned() };
            assert_eq!(fault(Share, status, code), wanted, "{status} {code}");
        }
    }

    #[test]
    fn documented_codes_about_copies() {
        let region = Fault::NotFound(Missing::Region);
        for (operation, status, code, wanted) in [
            (CopyImage, 400, "DestinationRegion.NotFound", region.clone()),
            (CopyImage, 400, "SourceRegion.NotFound", region),
            (CopyImage, 404, "InvalidImageId.NotFound", Fault::NotFound(Missing::Image)),
            (CancelCopyImage, 404, "InvalidImageId.NotFound", Fault::NotFound(Missing::Image)),
            (CopyImage, 403, "QuotaExceed.Image", Fault::QuotaExceeded { quota: Quota::PrivateImages }),
            (CopyImage, 403, "QuotaExceed.Snapshot", Fault::QuotaExceeded { quota: Quota::Other }),
            (CopyImage, 403, "OperationDenied.ImageCopying", BUSY),
            (CopyImage, 400, "IncorrectImageStatus", BUSY),
            (CancelCopyImage, 400, "IncorrectImageStatus", BUSY),
            (CancelCopyImage, 400, "CancelNotSupported", BUSY),
            (CopyImage, 403, "Forbbiden", Fault::Forbidden { code: "Forbbiden".to_owned() }),
            (
                CopyImage,
                401,
                "InvalidAliUid.IsNull",
                Fault::Unauthenticated { code: "InvalidAliUid.IsNull".to_owned() },
            ),
            (CopyImage, 500, "InternalError", Fault::Unavailable),
            (CopyImage, 400, "Throttling.User", THROTTLED),
        ] {
            assert_eq!(fault(operation, status, code), wanted, "{status} {code}");
        }
        for (operation, status, code, refusal) in [
            (CopyImage, 400, "InvalidImageName.Malformed", Refusal::Name),
            (CopyImage, 400, "InvalidImageName.Duplicated", Refusal::NameTaken),
            (CopyImage, 403, "SizeExceed.Image", Refusal::Size),
            (CopyImage, 403, "OperationDenied.SameRegionOnly", Refusal::CopyAcrossRegions),
            (CopyImage, 403, "OperationDenied.NotPublished", Refusal::Copy),
            (CopyImage, 403, "RegionNotSupportCopy", Refusal::Copy),
            (CopyImage, 403, "IncorrectDestinationRegion", Refusal::Copy),
            (CopyImage, 403, "OperationDeined.EncryptedSnapshot", Refusal::Copy),
            (CopyImage, 403, "InvalidParameter.KMSKeyId.CMKNotEnabled", Refusal::Key),
            (CopyImage, 403, "InvalidParameter.KMSKeyId.KMSUnauthorized", Refusal::Key),
            (CopyImage, 404, "InvalidParameter.KMSKeyId.NotFound", Refusal::Key),
            (CopyImage, 400, "InvalidParameter.EncryptedIllegal", Refusal::Key),
            (CopyImage, 400, "InvalidDescription.Malformed", Refusal::Unknown),
            (CopyImage, 400, "IdempotentParameterMismatch", Refusal::Unknown),
            (CopyImage, 400, "InvalidParameter", Refusal::Unknown),
            (CancelCopyImage, 400, "ImageCreatedNotFromCopy", Refusal::Copy),
            // Not documented for these calls, so their meaning is unknown.
            (Share, 400, "InvalidImageName.Duplicated", Refusal::Unknown),
            (DeleteImage, 400, "CancelNotSupported", Refusal::Unknown),
        ] {
            let wanted = Fault::Refused { refusal, code: code.to_owned() };
            assert_eq!(fault(operation, status, code), wanted, "{status} {code}");
        }
    }

    /// As the vendor's gateway writes them today, whichever signature a request has: with the address of a page of help, and
    /// with all that the server signed.
    #[test]
    fn an_error_is_read_by_its_code_alone_and_tells_nothing_of_what_was_signed() {
        for (status, code, message, wanted) in [
            (
                404,
                "InvalidAction.NotFound",
                "Specified api is not found, please check your url and method.",
                Fault::Refused { refusal: Refusal::Unknown, code: "InvalidAction.NotFound".to_owned() },
            ),
            (
                400,
                "SignatureDoesNotMatch",
                "Specified signature is not matched with our calculation. server string to sign is:GET&%2F&AccessKeyId%3DLTAI",
                Fault::Unauthenticated { code: "SignatureDoesNotMatch".to_owned() },
            ),
            (
                400,
                "IncompleteSignature",
                "The request signature does not conform to Aliyun standards. server string to sign is:POST&%2F&",
                Fault::Unauthenticated { code: "IncompleteSignature".to_owned() },
            ),
            (400, "Throttling.User", "Request was denied due to user flow control.", THROTTLED),
        ] {
            let body = serde_json::json!({
                "RequestId": "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E", "HostId": "ecs-cn-hangzhou.aliyuncs.com", "Code": code,
                "Message": message, "Recommend": format!("https://api.aliyun.com/troubleshoot?q={code}"),
            });
            let fault = fault_of(DescribeImages, status, &HeaderMap::new(), body.to_string().as_bytes());
            assert_eq!(fault, wanted, "{code}");
            let told = format!("{fault:?}");
            assert!(!told.contains("LTAI") && !told.contains("%2F") && !told.contains("473469C7"), "{told}");
        }
    }

    #[test]
    fn status_decides_only_without_a_known_code() {
        for (status, body, wanted) in [
            (500, &b""[..], Fault::Unavailable),
            (502, b"<html>bad gateway</html>", Fault::Unavailable),
            (599, br#"{"Code":"SomethingNew"}"#, Fault::Unavailable),
            (404, b"<html>not here</html>", Fault::Unintelligible),
            (404, b"{}", Fault::Unintelligible),
            (403, br#"{"Code":403}"#, Fault::Unintelligible),
            (400, br#"{"Code":""}"#, Fault::Unintelligible),
            (400, br#"{"Code":"\u202e\n"}"#, Fault::Unintelligible),
            (400, br#"{"Code":"Throttli"#, Fault::Unintelligible),
            (429, b"", Fault::Unintelligible),
            (302, br#"{"Code":"SomethingNew"}"#, Fault::Unintelligible),
            (204, b"", Fault::Unintelligible),
            (404, br#"{"code":"InvalidImageId.NotFound"}"#, Fault::NotFound(Missing::Image)),
            (500, br#"{"Code":"InvalidImageId.NotFound"}"#, Fault::NotFound(Missing::Image)),
            (500, br#"{"Code":"ImageUseShared"}"#, Fault::Conflict(Conflict::ImageShared)),
        ] {
            assert_eq!(fault_of(DeleteImage, status, &HeaderMap::new(), body), wanted, "{status} {body:?}");
        }
    }

    #[test]
    fn wait_is_read_in_milliseconds_and_bounded() {
        for (headers, wanted) in [
            (&[("x-acs-retry-after", "1500")][..], Some(Duration::from_millis(1500))),
            (&[("x-acs-retry-after", "999999999")], Some(RETRY_AFTER_MAX)),
            (&[("x-acs-retry-after", "0")], None),
            (&[("x-acs-retry-after", "-5")], None),
            (&[("x-acs-retry-after", "soon")], None),
            (&[("x-acs-retry-after", "99999999999999999999999")], None),
            (&[("retry-after", "3")], Some(Duration::from_secs(3))),
            (&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], None),
            (&[("x-acs-retry-after", "7"), ("retry-after", "3")], Some(Duration::from_millis(7))),
            (&[], None),
        ] {
            let read = fault_of(Share, 400, &waits(headers), &body("Throttling.User"));
            assert_eq!(read, Fault::Throttled { retry_after: wanted }, "{headers:?}");
        }
    }

    #[test]
    fn wait_without_a_known_code_is_throttling_but_never_outweighs_a_known_code() {
        let headers = waits(&[("x-acs-retry-after", "10")]);
        let throttled = Fault::Throttled { retry_after: Some(Duration::from_millis(10)) };
        assert_eq!(fault_of(Share, 429, &headers, b""), throttled);
        assert_eq!(fault_of(Share, 400, &headers, &body("NewLimit")), throttled);
        let known = fault_of(Share, 403, &headers, &body("NoPermission"));
        assert_eq!(known, Fault::Forbidden { code: "NoPermission".to_owned() });
    }

    #[test]
    fn codes_are_made_plain_and_short() {
        let nasty = "Bad\u{202e}\n\u{1b}[31m<b>Code</b> чужой".to_owned() + &"x".repeat(5000);
        let Fault::Refused { code, .. } = fault(Share, 400, &nasty) else { panic!("not refused") };
        assert!(code.starts_with("Bad31mbCodebxxx"), "{code}");
        assert_eq!(code.len(), CODE_BYTES_MAX);
    }
}
