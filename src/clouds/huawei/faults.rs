//! Maps the vendor's error codes to faults. The code decides: IMS answers nearly every error with HTTP 400. The codes
//! come from the IMS page "Error Codes", the API gateway's page on signed requests, and IAM.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::{Map, Value};

use crate::clouds::Fault;
use crate::domain::fault::{Conflict, Missing, Quota, Refusal};

/// Longest code kept, in bytes.
const CODE_BYTES_MAX: usize = 80;
/// Longest `Retry-After` honoured.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);
/// The gateway counts by the minute and gives no wait ("limit:XX, time:1 minute").
const THROTTLING_WINDOW: Duration = Duration::from_secs(60);
/// Names of code and text in error bodies, in the order the vendor's SDK looks for them.
const NAMES: [(&str, &str); 3] = [("error_code", "error_msg"), ("errorCode", "errorMsg"), ("code", "message")];
/// Maximum nesting of an error in the body: `{"error": {...}}`, or one level more.
const DEPTH_MAX: u8 = 2;

/// Maps an unsuccessful answer to a fault.
pub(super) fn fault_of(status: u16, headers: &HeaderMap, body: &[u8]) -> Fault {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let (code, text) = document.as_object().and_then(|object| error_in(object, DEPTH_MAX)).unwrap_or_default();
    let told = retry_after(headers);
    if let Some(fault) = fault_of_code(&code, &text, told) {
        return fault;
    }
    match (status, told) {
        (429, _) | (_, Some(_)) => throttled(told),
        // Whatever sent the 401, and whatever its code, no call succeeds with these credentials.
        (401, None) => Fault::Unauthenticated { code: if code.is_empty() { "401".to_owned() } else { code } },
        (403, None) if is_about_permissions(&code) => Fault::Forbidden { code },
        (500..=599, None) => Fault::Unavailable,
        (400..=499, None) if !code.is_empty() => Fault::Refused { refusal: Refusal::Unknown, code },
        _ => Fault::Unintelligible,
    }
}

/// Maps the error code of a job to a fault; the code may be empty.
pub(super) fn fault_of_job(code: &str) -> Fault {
    let code = plain(code);
    fault_of_code(&code, "", None).unwrap_or_else(|| Fault::Refused {
        refusal: Refusal::Unknown,
        code: if code.is_empty() { "JobFailed".to_owned() } else { code },
    })
}

/// Refines the fault of a copy: some codes have another meaning for a copy than for sharing. `across` means a copy to
/// another region.
pub(super) fn of_a_copy(fault: Fault, across: bool) -> Fault {
    let (code, refused) = match fault {
        // A tenant unknown in its region: a copy names only the destination's project.
        Fault::NotFound(Missing::Recipient) => ("IMG.0108".to_owned(), Some(Refusal::Agency)),
        Fault::Refused { refusal, code } => (code, Some(refusal)),
        Fault::Forbidden { code } => (code, None),
        // The vendor has one code for any exceeded limit: a copy has no recipients, so it means images.
        Fault::QuotaExceeded { quota: Quota::RecipientsPerImage } => {
            return Fault::QuotaExceeded { quota: Quota::PrivateImages };
        }
        fault => return fault,
    };
    let refusal = match (code.as_str(), refused) {
        // The number of private images has reached its maximum.
        ("IMG.0015", _) => return Fault::QuotaExceeded { quota: Quota::PrivateImages },
        // Too long, malformed, missing.
        ("IMG.0002" | "IMG.0003" | "IMG.0013", _) => Refusal::Name,
        ("IMG.0009", _) => Refusal::NameTaken,
        // A project name required or wrong; the agency's token.
        ("IMG.0104" | "IMG.0145" | "IMG.0179", _) => Refusal::Agency,
        // Missing, disabled, not accessible; the same of the key of the original.
        ("IMG.0095" | "IMG.0097" | "IMG.0099" | "IMG.0101" | "IMG.0102" | "IMG.0103", _) => Refusal::Key,
        ("IMG.0196", _) => Refusal::NotAccepted,
        // Only the owner may do this; another tenant is the owner.
        ("IMG.0047" | "IMG.0106", _) if across => Refusal::CopyAcrossRegions,
        // Encrypted, full-server or public: such images can neither be shared nor copied. Not supported at all.
        ("IMG.0105", _) | (_, Some(Refusal::Image | Refusal::Recipient)) => Refusal::Copy,
        (_, Some(refusal)) => refusal,
        (_, None) => return Fault::Forbidden { code },
    };
    Fault::Refused { refusal, code }
}

/// Whether the vendor refused a read because the project may not see the image: unknown to it, or another owner's.
pub(super) fn tells_a_stranger(fault: &Fault) -> bool {
    match fault {
        Fault::NotFound(Missing::Image) => true,
        Fault::Forbidden { code } => matches!(code.as_str(), "IMG.0047" | "IMG.0106"),
        _ => false,
    }
}

/// Whether a job is unknown by now. The vendor publishes no code for it; any refusal of the query itself, and not of the
/// caller or the rate, counts, since the subsequent read proves what the job did.
pub(super) fn tells_no_such_job(fault: &Fault) -> bool {
    matches!(fault, Fault::Refused { .. } | Fault::NotFound(Missing::Image | Missing::Recipient))
}

/// Keeps the characters of a code that are safe to show.
fn plain(code: &str) -> String {
    code.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')).take(CODE_BYTES_MAX).collect()
}

/// Returns code and text of the first error at this level, else below it.
fn error_in(object: &Map<String, Value>, depth: u8) -> Option<(String, String)> {
    let found = NAMES.iter().find_map(|(code, text)| {
        let code = match object.get(*code)? {
            Value::String(code) => plain(code),
            // IAM's own errors have the HTTP status as their code.
            Value::Number(code) => code.to_string(),
            _ => return None,
        };
        let text = object.get(*text).and_then(Value::as_str).unwrap_or_default();
        (!code.is_empty()).then(|| (code, text.to_ascii_lowercase()))
    });
    if found.is_some() || depth == 0 {
        return found;
    }
    object.values().filter_map(Value::as_object).find_map(|below| error_in(below, depth - 1))
}

/// The standard header, in whole seconds: the vendor does not document it, but a proxy may send it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.trim().parse::<u64>().ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

fn throttled(told: Option<Duration>) -> Fault {
    Fault::Throttled { retry_after: told.or(Some(THROTTLING_WINDOW)) }
}

/// Families of codes with the same meaning under HTTP 403: IAM's and its policies', besides bare statuses.
fn is_about_permissions(code: &str) -> bool {
    code == "403" || ["IAM.", "PAP"].iter().any(|family| code.starts_with(family))
}

fn fault_of_code(code: &str, text: &str, told: Option<Duration>) -> Option<Fault> {
    // Older gateways omit the W in their codes.
    let code = code.strip_prefix("APIG.").map_or_else(|| code.to_owned(), |number| format!("APIGW.{number}"));
    gateway_fault(&code, text, told)
        .or_else(|| service_fault(&code, told))
        .or_else(|| image_fault(&code))
        .or_else(|| recipient_fault(&code))
}

/// Errors that the API gateway returns before any service.
fn gateway_fault(code: &str, text: &str, told: Option<Duration>) -> Option<Fault> {
    let owned = || code.to_owned();
    match code {
        "APIGW.0308" => Some(throttled(told)),
        "APIGW.0301" if tells_the_clock(text) => Some(Fault::ClockSkew),
        "APIGW.0301" | "APIGW.0303" | "APIGW.0305" | "APIGW.0307" => Some(Fault::Unauthenticated { code: owned() }),
        "APIGW.0302" | "APIGW.0304" | "APIGW.0306" | "APIGW.0402" | "APIGW.0802" => {
            Some(Fault::Forbidden { code: owned() })
        }
        // The host has no such API: the region's name, or the endpoint, is not that of an IMS.
        "APIGW.0101" => Some(Fault::NotFound(Missing::Region)),
        "APIGW.0201" | "APIGW.0202" | "APIGW.0203" | "APIGW.0601" => Some(Fault::Unavailable),
        _ => None,
    }
}

/// "calc ak sk signature fail:signature expired", "x-sdk-date ...": the date is wrong, not the key. An expired token is
/// another error.
fn tells_the_clock(text: &str) -> bool {
    let word = |wanted: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == wanted);
    !word("token") && (text.contains("signature expired") || word("date"))
}

/// Errors of the service itself and of permissions.
fn service_fault(code: &str, told: Option<Duration>) -> Option<Fault> {
    let owned = || code.to_owned();
    match code {
        // Too many tasks; too many calls to the key service.
        "IMG.0060" | "IMG.0187" => Some(Fault::Throttled { retry_after: told }),
        // Unknown error; IAM returned no tenant and domain; adding, deleting, querying a tenant failed: the last three
        // may have taken effect.
        "IMG.0061" | "IMG.0064" | "IMG.0065" | "IMG.0112" | "IMG.0113" | "IMG.0114" => Some(Fault::Unavailable),
        "IMG.0087" => Some(Fault::Unauthenticated { code: owned() }),
        // Role or real-name authentication; the project is not the credentials'; no permission; an agency's token.
        "IMG.0026" | "IMG.0030" | "IMG.0161" | "IMG.0179" => Some(Fault::Forbidden { code: owned() }),
        _ => None,
    }
}

fn image_fault(code: &str) -> Option<Fault> {
    match code {
        "IMG.0027" | "IMG.0144" => Some(Fault::NotFound(Missing::Image)),
        "IMG.0028" => Some(Fault::Conflict(Conflict::ImageProtected)),
        // Unavailable, or still in creation.
        "IMG.0046" | "IMG.0090" => Some(Fault::Conflict(Conflict::ImageBusy)),
        // Only the owner may share, another tenant owns it, only the owner may delete, public images are not deleted.
        // Never "not found": the operator must not take a foreign image for a deleted one.
        "IMG.0047" | "IMG.0106" | "IMG.0092" | "IMG.0094" => Some(Fault::Forbidden { code: code.to_owned() }),
        "IMG.0182" | "IMG.0184" | "IMG.0185" | "IMG.0188" | "IMG.0189" | "IMG.0193" => {
            Some(Fault::Refused { refusal: Refusal::Vault, code: code.to_owned() })
        }
        // In order: invalid id, no id; public or market; key missing, disabled, not accessible; encrypted; a full-server
        // image that cannot be replicated or shared; replicating an image not accepted, or encrypted.
        "IMG.0066" | "IMG.0086" | "IMG.0089" | "IMG.0095" | "IMG.0097" | "IMG.0099" | "IMG.0101" | "IMG.0102"
        | "IMG.0103" | "IMG.0098" | "IMG.0130" | "IMG.0135" | "IMG.0196" | "IMG.0197" => {
            Some(Fault::Refused { refusal: Refusal::Image, code: code.to_owned() })
        }
        _ => None,
    }
}

fn recipient_fault(code: &str) -> Option<Fault> {
    match code {
        "IMG.0088" => Some(Fault::QuotaExceeded { quota: Quota::RecipientsPerImage }),
        "IMG.0108" => Some(Fault::NotFound(Missing::Recipient)),
        // Shared with oneself, with the source tenant, with a tenant of another region.
        "IMG.0076" | "IMG.0178" | "IMG.0177" => {
            Some(Fault::Refused { refusal: Refusal::Recipient, code: code.to_owned() })
        }
        // Empty or malformed body, wrong project id, a project name required or wrong, not supported.
        "IMG.0001" | "IMG.0007" | "IMG.0067" | "IMG.0104" | "IMG.0105" | "IMG.0145" => {
            Some(Fault::Refused { refusal: Refusal::Unknown, code: code.to_owned() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
