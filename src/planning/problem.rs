//! What keeps an object from its desired state, as a reason and a message for the user who must act.

mod roles;

use std::time::Duration;

use super::attempts::ImageRefusal;
use crate::api::conditions::{Decision, Reason, Truth};
use crate::api::limits::{NAMES_PER_EVENT_MAX, NAMES_PER_MESSAGE_MAX};
use crate::domain::fault::{Conflict, Fault, Missing, Quota, Recovery, Refusal};

/// Bytes of an event's note that names may take.
const EVENT_NAMES_BYTES_MAX: usize = 640;

/// What to do about a private image.
pub const PRIVATE: &str = "the image is private at the cloud, which hides its recipients and lets none be added or removed: \
                           set visibilityChange: Allow, or make it shared there";

/// What to do about a received image that is wanted in another region.
pub const ACROSS: &str = "spec.destination.region: a received image can only be copied in its own region: make one \
                          ImageReplica of it there, and a second one from the first's CloudImage (source.imageRef) to \
                          the other region";

/// Something that keeps an object from its desired state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What to do, as a class.
    pub reason: Reason,
    /// What to do, in words. Stable across reconciles.
    pub message: String,
    /// Whether it resolves by itself, and not before when.
    pub recovery: Recovery,
}

impl Problem {
    /// The cloud refuses to add any recipient to the image.
    pub fn of_refused_image(refusal: &ImageRefusal) -> Self {
        let code = refusal.attempt.code.as_deref().unwrap_or_default();
        let message = match refusal.reason {
            Reason::ImageNotShareable => refused(Refusal::Image, code),
            _ => format!(
                "the cloud refuses to share this image with any of the recipients that were tried ({code}); one is tried \
                 again with growing pauses: look the code up at the vendor, or ask their support"
            ),
        };
        Self::blocked(refusal.reason, message)
    }

    /// User action, or a change of another object, is needed.
    pub fn blocked(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), recovery: Recovery::Blocked }
    }

    /// Resolves by itself.
    pub fn passing(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), recovery: Recovery::Retry { not_before: None } }
    }

    /// The status of `Ready` with this problem: Unknown if the state could not be observed, False if it was.
    pub fn truth(&self) -> Truth {
        match self.reason {
            Reason::Throttled | Reason::CloudUnavailable | Reason::AnswerUnclear | Reason::Pending => Truth::Unknown,
            _ => Truth::False,
        }
    }

    /// The condition of this type that reports the problem.
    pub fn decide(&self, kind: &'static str, truth: Truth) -> Decision {
        Decision { kind, truth, reason: self.reason, message: self.message.clone() }
    }

    /// Whether a user must restore access to the cloud before anything can be ended there; the operator cannot know
    /// whether that will ever happen.
    pub fn closes_the_way(&self) -> bool {
        matches!(
            self.reason,
            Reason::SecretNotFound
                | Reason::CredentialsRejected
                | Reason::AssumeRoleRefused
                | Reason::ServiceAccountNotFound
                | Reason::TokenRequestForbidden
                | Reason::PermissionDenied
                | Reason::RegionUnknown
                | Reason::EndpointNotAllowed
                | Reason::CABundleInvalid
                | Reason::Unreadable
        )
    }

    /// Adds what the user can do instead, if the way to the cloud is closed.
    #[must_use]
    pub fn or_if_closed(self, instead: &str) -> Self {
        if self.closes_the_way() {
            return Self { message: format!("{}; or {instead}", self.message), ..self };
        }
        self
    }

    /// The minimum delay before the next try, where the cloud gave one.
    pub fn not_before(&self) -> Option<Duration> {
        match self.recovery {
            Recovery::Retry { not_before } => not_before,
            Recovery::Blocked => None,
        }
    }
}

/// The condition reason of a fault.
pub fn reason_of(fault: &Fault) -> Reason {
    match fault {
        Fault::Throttled { .. } | Fault::BudgetSpent { .. } => Reason::Throttled,
        Fault::Unavailable | Fault::Unreachable(_) | Fault::NotLeading => Reason::CloudUnavailable,
        Fault::Unauthenticated { .. } => Reason::CredentialsRejected,
        Fault::RoleRefused(_) => Reason::AssumeRoleRefused,
        Fault::NoToken(none) => roles::reason_of(none),
        Fault::ClockSkew => Reason::ClockSkew,
        Fault::Forbidden { .. } => Reason::PermissionDenied,
        Fault::EndpointNotAllowed { .. } => Reason::EndpointNotAllowed,
        Fault::QuotaExceeded { quota: Quota::RecipientsPerImage } => Reason::RecipientLimit,
        Fault::QuotaExceeded { quota: Quota::ReceivedImages } => Reason::RecipientFull,
        Fault::QuotaExceeded { quota: Quota::PrivateImages } => Reason::ImageLimit,
        Fault::QuotaExceeded { quota: Quota::Other }
        | Fault::Refused { refusal: Refusal::Unknown, .. }
        | Fault::NoIdentityService { .. } => Reason::CloudRefused,
        Fault::NotFound(Missing::Image) => Reason::ImageNotFound,
        Fault::NotFound(Missing::Region) | Fault::NoImageService { .. } => Reason::RegionUnknown,
        Fault::NotFound(Missing::Recipient) | Fault::Refused { refusal: Refusal::Recipient, .. } => {
            Reason::InvalidRecipient
        }
        Fault::Conflict(Conflict::ImageInUse) => Reason::ImageInUse,
        Fault::Conflict(Conflict::ImageShared) => Reason::UnmanagedRecipients,
        Fault::Conflict(Conflict::ImageProtected) => Reason::ImageProtected,
        Fault::Conflict(Conflict::ImageBusy) => Reason::ImageNotAvailable,
        Fault::Conflict(Conflict::ImagePrivate) => Reason::ImagePrivate,
        Fault::Refused { refusal: Refusal::Vault, .. } => Reason::VaultRequired,
        Fault::Refused { refusal: Refusal::Image, .. } => Reason::ImageNotShareable,
        Fault::Refused { refusal: Refusal::Name, .. } => Reason::NameInvalid,
        Fault::Refused { refusal: Refusal::NameTaken, .. } => Reason::NameTaken,
        Fault::Refused { refusal: Refusal::Agency, .. } => Reason::AgencyRequired,
        Fault::Refused { refusal: Refusal::Key, .. } => Reason::KeyRefused,
        Fault::Refused { refusal: Refusal::NotAccepted, .. } => Reason::NotAccepted,
        Fault::Refused { refusal: Refusal::Copy, .. } => Reason::ImageNotCopyable,
        Fault::Refused { refusal: Refusal::CopyAcrossRegions, .. } => Reason::CrossRegionNeedsOwnImage,
        Fault::Refused { refusal: Refusal::Size, .. } => Reason::ImageTooLarge,
        Fault::Unintelligible => Reason::AnswerUnclear,
    }
}

/// Why the cloud refused one recipient, once bisection has isolated it.
pub fn refusal_of(fault: &Fault) -> Reason {
    match reason_of(fault) {
        Reason::CloudRefused => Reason::RecipientRefused,
        reason => reason,
    }
}

impl From<&Fault> for Problem {
    fn from(fault: &Fault) -> Self {
        let message = match fault {
            Fault::Throttled { .. } => "rate limited by the cloud; retrying".to_owned(),
            Fault::BudgetSpent { .. } => "this account's call budget is used up; waiting".to_owned(),
            Fault::Unavailable => "the cloud answers with an internal error; retrying".to_owned(),
            Fault::Unreachable(unreachable) => format!("{unreachable}; retrying"),
            Fault::NotLeading => "this process does not lead any more; another one goes on".to_owned(),
            Fault::Unauthenticated { code } => {
                format!("the cloud refuses the credentials ({code}): put a valid key into the account's Secret")
            }
            Fault::RoleRefused(refused) => roles::refused(refused),
            Fault::NoToken(none) => roles::no_token(none),
            Fault::ClockSkew => "this machine's clock differs from the cloud's by more than a signature allows: \
                                 set the clock"
                .to_owned(),
            Fault::Forbidden { code } => {
                format!("the credentials may not do this ({code}): grant the account's key the permission")
            }
            Fault::EndpointNotAllowed { origin } => not_allowed(origin.as_deref()),
            Fault::NoImageService { interface, others } => no_image_service(interface, others),
            Fault::NoIdentityService { status } => format!(
                "spec.openstack.authURL: no identity service answers there (HTTP {status}): give the URL of Keystone with its \
                 path, as https://host:5000/v3"
            ),
            Fault::QuotaExceeded { quota: Quota::RecipientsPerImage } => {
                "the cloud says that the image has as many recipients as it may have: remove some, or have the limit \
                 raised by the vendor; if spec.limits.recipientsPerImage of the CloudAccount is a higher figure, correct it"
                    .to_owned()
            }
            Fault::QuotaExceeded { quota: Quota::ReceivedImages | Quota::Other } => {
                "a limit of the cloud is reached: free room there, or have it raised by the vendor".to_owned()
            }
            Fault::NotFound(Missing::Image) => {
                "the cloud does not know the image in this account and region".to_owned()
            }
            Fault::NotFound(Missing::Region) => "the cloud does not know the region".to_owned(),
            Fault::NotFound(Missing::Recipient) => "the cloud does not know a recipient".to_owned(),
            Fault::Conflict(Conflict::ImageInUse) => {
                "servers still use the image: release them first; deletion is never forced".to_owned()
            }
            Fault::Conflict(Conflict::ImageShared) => "the cloud says that the image is still shared".to_owned(),
            Fault::Conflict(Conflict::ImageProtected) => {
                "the image is protected against deletion: lift the protection first; where it has a cooldown, the cloud keeps \
                 the image that long (AWS: 24 hours)"
                    .to_owned()
            }
            Fault::Conflict(Conflict::ImageBusy) => {
                "the image is being made, copied, imported or exported; waiting".to_owned()
            }
            Fault::Conflict(Conflict::ImagePrivate) => PRIVATE.to_owned(),
            Fault::QuotaExceeded { quota: Quota::PrivateImages } => {
                "the account holds as many private images as it may: delete some, or have the limit raised by the vendor"
                    .to_owned()
            }
            Fault::Refused { refusal, code } => refused(*refusal, code),
            Fault::Unintelligible => {
                "the cloud's answer cannot be understood or is incomplete; nothing is concluded from it".to_owned()
            }
        };
        Self { reason: reason_of(fault), message, recovery: fault.recovery() }
    }
}

fn not_allowed(origin: Option<&str>) -> String {
    let whose = "the cloud's service catalogue names an image service";
    match origin {
        Some(origin) => {
            format!("{whose} that is not allowed: start the operator with --allowed-endpoint {origin}")
        }
        None => format!("{whose} whose address is malformed: have the catalogue corrected"),
    }
}

fn no_image_service(interface: &str, others: &[&str]) -> String {
    let none = "the cloud's service catalogue, as these credentials see it, has no image service";
    match others {
        [] => format!("{none}: have one added, or set spec.openstack.endpoints.image if the cloud has one"),
        others => format!(
            "{none} with the interface {interface}, but with {}: correct spec.openstack.interface",
            others.join(" and ")
        ),
    }
}

/// The message for a refusal, with what to do.
fn refused(refusal: Refusal, code: &str) -> String {
    match refusal {
        Refusal::Vault => {
            format!("spec.vaultID: the cloud refuses the vault ({code}): name a backup vault of this region with room")
        }
        Refusal::Image => format!(
            "the cloud refuses to share this image ({code}): images encrypted with the service's own key and images \
                 from the marketplace cannot be shared; copy it with a key of yours first (an ImageReplica with \
                 spec.destination.encryption.keyID), and share the copy"
        ),
        Refusal::Name => {
            format!("spec.destination.name: the cloud does not take this name ({code}): choose another")
        }
        Refusal::NameTaken => {
            format!("spec.destination.name: another image there has this name ({code}): choose another")
        }
        Refusal::Agency => format!(
            "spec.destination.agencyName, projectName: the cloud refuses them ({code}): name an agency to the image \
                 service with IMS Administrator (or IMS CrossCopyAgencyPolicy) on the project that the account has in the destination region, and the \
                 name of that project"
        ),
        Refusal::Key => format!(
            "spec.destination.encryption.keyID: the cloud refuses the key ({code}): name one of the destination region \
                 that is enabled and may be used by the image service"
        ),
        Refusal::NotAccepted => {
            format!("spec.source.received: the image must be accepted first ({code}): make a SharedImageAcceptance")
        }
        Refusal::Copy => {
            format!("spec.source: the cloud refuses to copy this image there ({code})")
        }
        Refusal::CopyAcrossRegions => ACROSS.to_owned(),
        Refusal::Size => {
            format!("spec.source: the image is too large to be copied there ({code})")
        }
        Refusal::Recipient | Refusal::Unknown => {
            format!("the cloud refuses the request ({code})")
        }
    }
}

/// The first few names and the number of the others: bounded, for messages.
pub fn name_some<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    name_within(names, NAMES_PER_MESSAGE_MAX, usize::MAX)
}

/// The names in the note of an event, which leaves room to say what happened to them.
pub fn name_in_event<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    name_within(names, NAMES_PER_EVENT_MAX, EVENT_NAMES_BYTES_MAX)
}

/// At most so many names, within so many bytes, and the number of the others.
fn name_within<T: ToString>(names: impl IntoIterator<Item = T>, most: usize, bytes_max: usize) -> String {
    let (mut text, mut others) = (String::new(), 0_usize);
    for (index, name) in names.into_iter().enumerate() {
        let shown = (others == 0 && index < most).then(|| name.to_string());
        match shown.filter(|name| text.len().saturating_add(name.len()).saturating_add(2) <= bytes_max) {
            Some(name) if index == 0 => text = name,
            Some(name) => text.extend([", ", name.as_str()]),
            None => others += 1,
        }
    }
    match (others, text.is_empty()) {
        (0, _) => text,
        (others, true) => format!("{others} recipients"),
        (others, false) => format!("{text} and {others} more"),
    }
}

/// A recipient with the name that its share gives it, quoted: the name cannot pass for another recipient.
pub fn with_name(recipient: &impl ToString, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{} {name:?}", recipient.to_string()),
        None => recipient.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_in_number_and_length_and_the_rest_is_counted() {
        assert_eq!(name_some(["a", "b", "c", "d", "e"]), "a, b, c, d, e");
        assert_eq!(name_some(["a", "b", "c", "d", "e", "f"]), "a, b, c, d, e and 1 more");
        assert_eq!(name_within(0..200, 3, 1000), "0, 1, 2 and 197 more");
        assert_eq!(name_within(["x".repeat(10), "y".repeat(80), "z".into()], 20, 50), "xxxxxxxxxx and 2 more");
        assert_eq!(name_within(["x".repeat(100)], 20, 50), "1 recipients");
        assert_eq!(name_some(Vec::<String>::new()), "");
    }

    #[test]
    fn a_name_cannot_pass_for_another_recipient() {
        assert_eq!(with_name(&"Account 1", Some("Team \"A\", Account 2")), r#"Account 1 "Team \"A\", Account 2""#);
        assert_eq!(with_name(&"Account 1", None), "Account 1");
    }
}
