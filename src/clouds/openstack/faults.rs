//! Maps unsuccessful answers of Keystone and Glance to faults. Glance gives no error codes, so the status decides, never
//! the text. The meaning of a 403 depends on the image, which the client then reads (see `client.rs`).

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

use crate::clouds::Fault;
use crate::clouds::transport::Answer;
use crate::domain::fault::{Conflict, Missing, Quota, Refusal};

/// Longest `Retry-After` honoured.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);

/// The kinds of calls to Glance that differ in their faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// Any read of images or members.
    Read,
    /// Adding a member.
    AddMember,
    /// Removing a member, answering an offer or changing the visibility.
    Change,
    /// Deleting the image.
    DeleteImage,
    /// Creating an image without content, under an id of our choice.
    MakeImage,
    /// Writing the content of an image.
    Upload,
}

/// Glance's error body, requested as JSON: `{"message": "…", "code": "404 Not Found", "title": "Not Found"}`.
#[derive(Deserialize)]
struct GlanceError {
    code: String,
    title: String,
}

/// Keystone's error body: `{"error": {"code": 404, "message": "…", "title": "Not Found"}}`.
#[derive(Deserialize)]
struct KeystoneError {
    error: KeystoneErrorPart,
}

#[derive(Deserialize)]
struct KeystoneErrorPart {
    code: u16,
}

/// Maps an unsuccessful answer of Glance to a fault.
pub(super) fn glance_fault(operation: Operation, answer: &Answer) -> Fault {
    if let Some(fault) = common_fault(answer) {
        return fault;
    }
    // A proxy may answer as well; its answer proves nothing about an image.
    let plainly_glance = serde_json::from_slice(&answer.body)
        .is_ok_and(|error: GlanceError| error.code.starts_with(&answer.status.to_string()) && !error.title.is_empty());
    if !plainly_glance {
        return Fault::Unintelligible;
    }
    match (answer.status, operation) {
        (403, _) => Fault::Forbidden { code: "Forbidden".to_owned() },
        // 410: somebody deleted the image during the upload.
        (404, _) | (410, Operation::Upload) => Fault::NotFound(Missing::Image),
        (409, Operation::DeleteImage) => Fault::Conflict(Conflict::ImageInUse),
        (409, _) => Fault::Conflict(Conflict::ImageBusy),
        (413, Operation::AddMember) => Fault::QuotaExceeded { quota: Quota::RecipientsPerImage },
        (413, Operation::MakeImage) => Fault::QuotaExceeded { quota: Quota::PrivateImages },
        // The limit is that of one image, of the project's storage or of the store; in each case the image is too large.
        (413, Operation::Upload) => Fault::Refused { refusal: Refusal::Size, code: "Http413".to_owned() },
        (413, _) => Fault::QuotaExceeded { quota: Quota::Other },
        // Glance does not know the format or a property, or the content does not match its declared format.
        (400 | 415, Operation::MakeImage | Operation::Upload) => {
            Fault::Refused { refusal: Refusal::Copy, code: format!("Http{}", answer.status) }
        }
        (status @ 400..=499, _) => refused(status),
        _ => Fault::Unintelligible,
    }
}

/// Maps an answer of Keystone that is not a token to a fault.
pub(super) fn keystone_fault(answer: &Answer) -> Fault {
    if let Some(fault) = common_fault(answer) {
        return fault;
    }
    let plainly_keystone = serde_json::from_slice(&answer.body)
        .is_ok_and(|error: KeystoneError| error.error.code == answer.status && answer.status >= 400);
    match (answer.status, plainly_keystone) {
        (403, true) => Fault::Forbidden { code: "Forbidden".to_owned() },
        // Keystone answers 401 for a wrong secret, but 404 for a deleted application credential.
        (404, true) => Fault::Unauthenticated { code: "NotFound".to_owned() },
        // A wrong path of the right host, or another server: Keystone's own errors are in its form.
        (status @ (404 | 405), false) => Fault::NoIdentityService { status },
        (status, true) => refused(status),
        (_, false) => Fault::Unintelligible,
    }
}

fn refused(status: u16) -> Fault {
    Fault::Refused { refusal: Refusal::Unknown, code: format!("Http{status}") }
}

fn common_fault(answer: &Answer) -> Option<Fault> {
    let retry_after = retry_after(&answer.headers);
    match (answer.status, retry_after) {
        (401, _) => Some(Fault::Unauthenticated { code: "Unauthorized".to_owned() }),
        (429, _) | (503, Some(_)) => Some(Fault::Throttled { retry_after }),
        (500..=599, _) => Some(Fault::Unavailable),
        _ => None,
    }
}

/// Reads whole seconds; ignores a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Operation::{AddMember, Change, DeleteImage, MakeImage, Read, Upload};

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec() }
    }

    fn glance(operation: Operation, status: u16) -> Fault {
        let body = format!(r#"{{"message": "text<br /><br />\n", "code": "{status} Word", "title": "Word"}}"#);
        glance_fault(operation, &answer(status, &body))
    }

    fn keystone(status: u16) -> Fault {
        let body = format!(r#"{{"error": {{"code": {status}, "message": "text", "title": "Word"}}}}"#);
        keystone_fault(&answer(status, &body))
    }

    fn refused(refusal: Refusal, status: u16) -> Fault {
        Fault::Refused { refusal, code: format!("Http{status}") }
    }

    fn http(status: u16) -> Fault {
        refused(Refusal::Unknown, status)
    }

    #[test]
    fn glance_is_read_by_status_and_call() {
        let forbidden = || Fault::Forbidden { code: "Forbidden".to_owned() };
        let unauthenticated = || Fault::Unauthenticated { code: "Unauthorized".to_owned() };
        for (operation, status, wanted) in [
            (Read, 401, unauthenticated()),
            (AddMember, 403, forbidden()),
            (DeleteImage, 403, forbidden()),
            (Read, 404, Fault::NotFound(Missing::Image)),
            (DeleteImage, 409, Fault::Conflict(Conflict::ImageInUse)),
            (Change, 409, Fault::Conflict(Conflict::ImageBusy)),
            (AddMember, 413, Fault::QuotaExceeded { quota: Quota::RecipientsPerImage }),
            (Change, 413, Fault::QuotaExceeded { quota: Quota::Other }),
            (MakeImage, 403, forbidden()),
            (MakeImage, 409, Fault::Conflict(Conflict::ImageBusy)),
            (MakeImage, 413, Fault::QuotaExceeded { quota: Quota::PrivateImages }),
            (MakeImage, 400, refused(Refusal::Copy, 400)),
            (Upload, 404, Fault::NotFound(Missing::Image)),
            (Upload, 409, Fault::Conflict(Conflict::ImageBusy)),
            (Upload, 410, Fault::NotFound(Missing::Image)),
            (Upload, 413, refused(Refusal::Size, 413)),
            (Upload, 415, refused(Refusal::Copy, 415)),
            (Upload, 503, Fault::Unavailable),
            (AddMember, 400, http(400)),
            (DeleteImage, 400, http(400)),
            (Read, 410, http(410)),
            (Read, 429, Fault::Throttled { retry_after: None }),
            (Read, 500, Fault::Unavailable),
            (Read, 502, Fault::Unavailable),
            (Read, 503, Fault::Unavailable),
            (Read, 204, Fault::Unintelligible),
            (Read, 300, Fault::Unintelligible),
            (Read, 302, Fault::Unintelligible),
        ] {
            assert_eq!(glance(operation, status), wanted, "{operation:?} {status}");
        }
    }

    #[test]
    fn what_glance_did_not_plainly_say_proves_nothing() {
        for status in [400, 403, 404, 409, 413] {
            for body in
                ["", "{}", "<html>404 Not Found</html>", r#"{"code": "200 OK", "title": "OK"}"#, r#"{"code": 404}"#]
            {
                assert_eq!(glance_fault(DeleteImage, &answer(status, body)), Fault::Unintelligible, "{status} {body}");
            }
        }
        let html = "<html><title>401 Unauthorized</title></html>";
        assert!(matches!(glance_fault(Read, &answer(401, html)), Fault::Unauthenticated { .. }));
    }

    #[test]
    fn a_deleted_application_credential_is_refused_credentials() {
        assert_eq!(keystone(404), Fault::Unauthenticated { code: "NotFound".to_owned() });
        assert_eq!(keystone(401), Fault::Unauthenticated { code: "Unauthorized".to_owned() });
        assert_eq!(keystone(403), Fault::Forbidden { code: "Forbidden".to_owned() });
        assert_eq!(keystone(400), http(400));
        for status in [404, 405] {
            let page = answer(status, "<html>Not Found</html>");
            assert_eq!(keystone_fault(&page), Fault::NoIdentityService { status });
        }
        assert_eq!(keystone(500), Fault::Unavailable);
        for status in [200, 204, 300] {
            assert_eq!(keystone_fault(&answer(status, "<html>")), Fault::Unintelligible, "{status}");
        }
    }

    #[test]
    fn a_hint_is_read_in_seconds_and_bounded() {
        for (status, text, wanted) in [
            (503, "3", Fault::Throttled { retry_after: Some(Duration::from_secs(3)) }),
            (429, "999999", Fault::Throttled { retry_after: Some(RETRY_AFTER_MAX) }),
            (429, "Wed, 21 Oct 2015 07:28:00 GMT", Fault::Throttled { retry_after: None }),
            (429, "-1", Fault::Throttled { retry_after: None }),
            (503, "0", Fault::Unavailable),
            (503, "soon", Fault::Unavailable),
        ] {
            let mut said = answer(status, "");
            said.headers.insert(RETRY_AFTER, text.parse().unwrap());
            assert_eq!(glance_fault(Read, &said), wanted, "{status} {text}");
            assert_eq!(keystone_fault(&said), wanted, "{status} {text}");
        }
    }
}
