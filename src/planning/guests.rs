//! What a share in another namespace reports of its image's problem: the meaning, without any name that the owner
//! chose.

use crate::api::conditions::Reason;

/// The message about an image's problem for other namespaces.
pub(super) fn for_guests(reason: Reason) -> &'static str {
    match reason {
        Reason::AccountNotFound
        | Reason::AccountChanged
        | Reason::SecretNotFound
        | Reason::CredentialsRejected
        | Reason::AssumeRoleRefused
        | Reason::ServiceAccountNotFound
        | Reason::TokenRequestForbidden
        | Reason::PermissionDenied
        | Reason::EndpointNotAllowed
        | Reason::CABundleInvalid
        | Reason::RegionUnknown
        | Reason::RegionNotOnSite => {
            "the operator cannot act for the account of the image as its CloudAccount is now: its owner must mend that"
        }
        Reason::ClockSkew => "the operator's clock differs from the cloud's: who runs the operator must set it",
        Reason::Suspended => {
            "the account of the image is suspended: nothing is granted or revoked until its owner resumes it"
        }
        Reason::DuplicateImage => {
            "the CloudImage does not act, since another one names the same image: its owner must delete one of them"
        }
        Reason::ImageNotFound => "the cloud does not know the image: its owner must correct the CloudImage",
        Reason::ImageChanged => "the CloudImage names another image than before: its owner must restore it",
        Reason::ImageNotOwned => {
            "the image belongs to somebody else than the account of the CloudImage and cannot be shared"
        }
        Reason::ImageNotShareable | Reason::ImagePrivate => {
            "the image cannot be shared as it is at the cloud: its owner must change it there"
        }
        Reason::ImageNotAvailable => "the image is not available at the cloud yet, or any more",
        Reason::Throttled => "the cloud, or the budget of the account, allows no more calls now; waiting",
        Reason::CloudUnavailable => "the cloud cannot be reached or does not answer in time; trying again",
        Reason::AnswerUnclear => "the cloud's answer about the image cannot be understood; trying again",
        Reason::Unreadable => "the operator cannot read the CloudImage or what it refers to: its owner must mend that",
        _ => "the image cannot be served now; the conditions of the CloudImage tell its owner why",
    }
}
