//! Maps the vendor's errors to faults, by code and, where one code means several things, by a fixed part of the message. The
//! HTTP status decides only for unknown codes and for `AuthFailure`. The codes are of the vendor's page "Error codes for the
//! Amazon EC2 API"; the messages are as people report them, since no page lists them.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use super::Operation;
use super::wire::read_error;
use crate::clouds::Fault;
use crate::domain::fault::{Conflict, Missing, Quota, Refusal};

/// Longest code kept, in bytes.
const CODE_BYTES_MAX: usize = 80;
/// Longest wait honoured.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);
/// A difference between the two clocks that cannot be why a request counts as expired: the vendor accepts 15 minutes.
const CLOCKS_AGREE: SignedDuration = SignedDuration::from_mins(10);

/// The call that an error answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// The call.
    pub(super) operation: Operation,
    /// Its credentials expire.
    pub(super) temporary: bool,
    /// When it was signed.
    pub(super) at: Timestamp,
}

/// An error of the vendor.
struct Told<'a> {
    asked: Asked,
    status: u16,
    code: &'a str,
    /// In lower case.
    message: &'a str,
    /// How far the vendor's clock is from the time of the signature, if the answer has a date.
    apart: Option<SignedDuration>,
    retry_after: Option<Duration>,
}

/// Maps an answer with a status other than 200.
pub(super) fn fault_of(asked: Asked, status: u16, headers: &HeaderMap, body: &[u8]) -> Fault {
    let (code, message) = read_error(body).unwrap_or_default();
    let (code, message, retry_after) = (plain(&code), message.to_lowercase(), retry_after(headers));
    let apart = date(headers).map(|date| date.duration_since(asked.at).abs());
    let told = Told { asked, status, code: &code, message: &message, apart, retry_after };
    let known = told
        .transport()
        .or_else(|| told.credentials())
        .or_else(|| told.copy())
        .or_else(|| told.image())
        .or_else(|| told.limit());
    match (known, status) {
        (Some(fault), _) => fault,
        (None, 429) => Fault::Throttled { retry_after },
        (None, 500..=599) => Fault::Unavailable,
        (None, 400..=499) if !code.is_empty() => Fault::Refused { refusal: Refusal::Unknown, code },
        (None, _) => Fault::Unintelligible,
    }
}

/// The part of a code that is safe to display.
pub(super) fn plain(code: &str) -> String {
    code.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')).take(CODE_BYTES_MAX).collect()
}

/// `x-amz-retry-after` counts milliseconds; the standard `Retry-After` counts seconds. Only whole positive numbers count.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |value: Option<&reqwest::header::HeaderValue>| {
        value?.to_str().ok()?.trim().parse::<u64>().ok().filter(|number| *number > 0)
    };
    let wait = number(headers.get("x-amz-retry-after"))
        .map(Duration::from_millis)
        .or_else(|| number(headers.get(RETRY_AFTER)).map(Duration::from_secs))?;
    Some(wait.min(RETRY_AFTER_MAX))
}

/// The vendor's clock, as HTTP writes it.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(headers.get(DATE)?.to_str().ok()?).ok()
}

impl Told<'_> {
    fn says(&self, part: &str) -> bool {
        self.message.contains(part)
    }

    fn code(&self) -> String {
        self.code.to_owned()
    }

    fn refused(&self, refusal: Refusal) -> Fault {
        Fault::Refused { refusal, code: self.code() }
    }

    /// The same with what the message tells, for a code that has several meanings.
    fn refused_as(&self, refusal: Refusal, meaning: &str) -> Fault {
        Fault::Refused { refusal, code: format!("{}: {meaning}", self.code) }
    }

    /// Faults of the API itself: throttling and internal errors.
    fn transport(&self) -> Option<Fault> {
        match self.code {
            "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "EC2ThrottledException"
            | "TooManyRequestsException"
            | "SlowDown"
            | "BandwidthLimitExceeded" => Some(Fault::Throttled { retry_after: self.retry_after }),
            "InternalError" | "InternalFailure" | "ServerInternal" | "ServiceUnavailable" | "Unavailable"
            | "RetryableError"
            // STS: the cluster's OIDC provider does not answer it.
            | "IDPCommunicationError" | "IDPCommunicationErrorException" => Some(Fault::Unavailable),
            _ => None,
        }
    }

    fn credentials(&self) -> Option<Fault> {
        let unauthenticated = || Some(Fault::Unauthenticated { code: self.code() });
        match self.code {
            // Three meanings: unknown credentials, a region that the account has not enabled (see `client`), and an image
            // of another account.
            "AuthFailure" if self.says("not authorized for") => Some(Fault::Forbidden { code: self.code() }),
            "AuthFailure" if self.status == 401 || self.says("validate the provided access credentials") => {
                unauthenticated()
            }
            // The code of an expired request is also that of expired credentials.
            "RequestExpired" if self.asked.temporary && self.apart.is_some_and(|apart| apart < CLOCKS_AGREE) => {
                unauthenticated()
            }
            "RequestExpired" | "RequestTimeTooSkewed" => Some(Fault::ClockSkew),
            // STS has no code of its own for it.
            "SignatureDoesNotMatch" if self.says("signature expired") || self.says("signature not yet current") => {
                Some(Fault::ClockSkew)
            }
            "InvalidClientTokenId"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "MissingAuthenticationToken"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "UnrecognizedClientException" => unauthenticated(),
            // Some of them concern the account's own status: its owner must act, no recipient is the cause.
            "AuthFailure"
            | "UnauthorizedOperation"
            | "AccessDenied"
            | "AccessDeniedException"
            | "Blocked"
            | "PendingVerification"
            | "OptInRequired"
            | "AccountDisabled" => Some(Fault::Forbidden { code: self.code() }),
            _ => None,
        }
    }

    fn image(&self) -> Option<Fault> {
        let reads = matches!(self.asked.operation, Operation::DescribeImages | Operation::DescribeImageAttribute);
        Some(match self.code {
            // A malformed id is one that no image has.
            "InvalidAMIID.Malformed" if !reads => self.refused(Refusal::Image),
            "InvalidAMIID.NotFound"
            | "InvalidAMIID.Unavailable"
            | "InvalidAMIID.Malformed"
            | "InvalidSnapshot.NotFound"
            | "InvalidSnapshotID.NotFound" => Fault::NotFound(Missing::Image),
            "InvalidAMIAttributeItemValue" => self.refused(Refusal::Recipient),
            "InvalidParameter" if self.says("aws managed cmk") => {
                self.refused_as(Refusal::Image, "encrypted with the default key")
            }
            "OperationNotPermitted" if self.says("ebs default key") => {
                self.refused_as(Refusal::Image, "encrypted with the default key")
            }
            "OperationNotPermitted" if self.says("block public access") => {
                self.refused_as(Refusal::Image, "public access is blocked")
            }
            // The vendor publishes no code for a protected image.
            "OperationNotPermitted" if self.says("protect") || self.asked.operation == Operation::DeregisterImage => {
                Fault::Conflict(Conflict::ImageProtected)
            }
            code if code.contains("Protect") => Fault::Conflict(Conflict::ImageProtected),
            "OperationNotPermitted" | "UnsupportedOperation" => self.refused(Refusal::Image),
            "IncorrectState" => Fault::Conflict(Conflict::ImageBusy),
            "InvalidSnapshot.InUse" => Fault::Conflict(Conflict::ImageInUse),
            _ => return None,
        })
    }

    /// Codes that only copies have, or that mean something else for them.
    fn copy(&self) -> Option<Fault> {
        if self.asked.operation != Operation::CopyImage {
            return None;
        }
        Some(match self.code {
            "InvalidRequest" if self.says("permission to access the storage") => {
                self.refused_as(Refusal::Copy, "its owner did not share the snapshots or the key")
            }
            "InvalidRequest" if self.says("marketplace") => {
                self.refused_as(Refusal::Copy, "marketplace images cannot be copied")
            }
            "InvalidRequest" if self.says("billingproduct") => {
                self.refused_as(Refusal::Copy, "images with a billing product cannot be copied")
            }
            "InvalidRequest" if self.says("is encrypted") => {
                self.refused_as(Refusal::Key, "a copy of an encrypted image needs a key")
            }
            "InvalidRequest"
            | "OperationNotPermitted"
            | "UnsupportedOperation"
            | "IdempotentParameterMismatch"
            | "InvalidClientToken" => self.refused(Refusal::Copy),
            "InvalidAMIName.Duplicate" => self.refused(Refusal::NameTaken),
            "InvalidAMIName.Malformed" => self.refused(Refusal::Name),
            "CustomerKeyHasBeenRevoked" => self.refused(Refusal::Key),
            code if code.starts_with("InvalidKmsKey") || code.starts_with("KMS.") => self.refused(Refusal::Key),
            _ => return None,
        })
    }

    fn limit(&self) -> Option<Fault> {
        let quota = match (self.code, self.asked.operation) {
            // The vendor publishes no code for an image with as many recipients as it may have; only public images have
            // another limit in this call.
            ("ResourceLimitExceeded", Operation::ModifyImageAttribute) if !self.says("public images") => {
                Quota::RecipientsPerImage
            }
            // Nor for a snapshot.
            ("ResourceLimitExceeded", Operation::ModifySnapshotAttribute) => Quota::RecipientsPerImage,
            (
                "ResourceLimitExceeded" | "SnapshotLimitExceeded" | "PendingSnapshotLimitExceeded" | "TagLimitExceeded",
                _,
            ) => Quota::Other,
            _ => return None,
        };
        Some(Fault::QuotaExceeded { quota })
    }
}

#[cfg(test)]
mod tests;
