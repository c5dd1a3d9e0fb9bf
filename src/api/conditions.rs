//! Condition types and the closed set of reasons. A reason says what to do; the message carries the detail.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Longest reason that the schema takes, in characters.
const REASON_CHARS_MAX: usize = 64;

/// Usable as asked.
pub const READY: &str = "Ready";
/// Something is under way that ends by itself (kstatus).
pub const RECONCILING: &str = "Reconciling";
/// Somebody must act before anything moves on (kstatus).
pub const STALLED: &str = "Stalled";
/// Every recipient of an `ImageShare` is granted.
pub const SHARED: &str = "Shared";
/// Whoever must accept an offered image did. On an `ImageShare` the recipients, on a `SharedImageAcceptance` we.
pub const ACCEPTED: &str = "Accepted";
/// The images that others share with an account could be listed.
pub const LISTED: &str = "Listed";
/// The copy that an `ImageReplica` asks for is made.
pub const REPLICATED: &str = "Replicated";
/// The images of a channel could be found.
pub const DISCOVERED: &str = "Discovered";
/// Nothing holds back the end of access to old versions of a channel.
pub const ROTATED: &str = "Rotated";
/// Of several objects for one image, whether this one acts; absent where there is no other.
pub const ACTIVE: &str = "Active";
/// A `CloudImage` may be deleted; while False, the message names who is in the way.
pub const DELETABLE: &str = "Deletable";
/// Recipients keep the image of a `CloudImage` though their `ImageShare` is gone.
pub const RETAINED: &str = "Retained";

/// Recipients of the image of a `CloudImage` need an encryption key as well.
pub const KEY_REQUIRED: &str = "KeyRequired";

/// Whether recipients of a `CloudImage` can be allowed to copy it; there only while something is in the way.
pub const COPYABLE: &str = "Copyable";

/// Recipients have the image of a `CloudImage` though no `ImageShare` names them, and not through the operator.
pub const UNMANAGED: &str = "Unmanaged";

/// Why a condition has its status. The code knows all of them; the schema takes any word, so that the definitions of an older
/// version do not refuse what a newer one writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// The account's credentials are its own and it can be used.
    Verified,
    /// The image is there, is ours and can be shared.
    Available,
    /// Every recipient is granted.
    Shared,
    /// What others share with the account is listed.
    Listed,
    /// More images are shared with the account than its inventory holds.
    InventoryCut,
    /// Nothing is in the way of deleting the image.
    NotShared,
    /// The offer was accepted.
    Accepted,
    /// The offer was rejected.
    Rejected,
    /// The cloud asks for no answer: what is shared can be used at once.
    NoAnswerNeeded,
    /// Recipients have not answered yet.
    AwaitingAnswer,
    /// Nobody shares the image with this account yet.
    NotOffered,
    /// The copy is made, and a `CloudImage` stands for it.
    Replicated,
    /// The copy is being made.
    Copying,
    /// A copy that is not wanted any more is being ended and removed.
    Clearing,
    /// The image to copy is not there yet, or any more.
    SourceNotReady,
    /// A received image must be accepted before it can be copied.
    NotAccepted,
    /// A received image can only be copied in its own region.
    CrossRegionNeedsOwnImage,
    /// The image cannot be copied as it is, or not by this way.
    ImageNotCopyable,
    /// The image is larger than what can be copied there.
    ImageTooLarge,
    /// Something else has the name that was asked for.
    NameTaken,
    /// The cloud does not take the name that was asked for.
    NameInvalid,
    /// The agency or project for a copy to another region is missing or refused.
    AgencyRequired,
    /// The encryption key is refused.
    KeyRefused,
    /// The account holds as many private images as it may.
    ImageLimit,
    /// A field of the destination does not go with this cloud or this source.
    DestinationRefused,
    /// The copy failed at the cloud.
    CopyFailed,
    /// The owner took the image back.
    Revoked,
    /// The image comes from another owner than the one that is trusted.
    UntrustedOwner,
    /// Another `SharedImageAcceptance` answers the same offer and is the active one.
    DuplicateAcceptance,
    /// Under way.
    Pending,
    /// Access is being ended.
    Revoking,
    /// Access was left at the cloud by `deletionPolicy: Retain`.
    Retained,
    /// Suspended by its spec or its account's.
    Suspended,
    /// Past its `expirationTime`.
    Expired,
    /// The named `CloudImage` does not exist or does not admit this namespace.
    ImageRefUnresolved,
    /// The named `CloudAccount` does not exist.
    AccountNotFound,
    /// Another account, or another project of it, is called now than the one that was recorded.
    AccountChanged,
    /// The object names another image now than the one that its ledger speaks of.
    ImageChanged,
    /// Another `CloudImage` names the same image of the cloud and is the active one.
    DuplicateImage,
    /// Other objects for the same image stand back for this one.
    HasDuplicates,
    /// The `CloudAccount` of another object for the same image can no longer be used; this one acts.
    TookOver,
    /// The cloud does not know the image in this account and region.
    ImageNotFound,
    /// Consent by labels of namespaces, which an operator that acts in some namespaces only cannot read.
    SelectorNeedsClusterScope,
    /// Consent by labels of namespaces, with a selector that is none.
    SelectorInvalid,
    /// The image belongs to somebody else.
    ImageNotOwned,
    /// The image can never be shared as it is.
    ImageNotShareable,
    /// The image is private at the cloud and may not be made shared.
    ImagePrivate,
    /// A full-server image needs a vault to be accepted into, or the vault cannot take it.
    VaultRequired,
    /// The image is not available yet, or any more.
    ImageNotAvailable,
    /// The `CloudImage` is being deleted and admits nobody new.
    ImageDeleting,
    /// `ImageShares` still name the image.
    ShareExists,
    /// The `ImageReplica` that is to remove the image when it goes is still there.
    ReplicaExists,
    /// Recipients nobody here asked for, or retained ones, still have the image.
    UnmanagedRecipients,
    /// The image is encrypted: recipients can use it only with permission to use its key.
    RecipientsNeedKey,
    /// Servers still use the image.
    ImageInUse,
    /// The image is protected against deletion.
    ImageProtected,
    /// More `ImageShares` name the image than it serves.
    TooManyShares,
    /// The image has as many recipients as it may have.
    RecipientLimit,
    /// The recipient holds as many images as it may receive.
    RecipientFull,
    /// The cloud does not know this kind of recipient.
    RecipientKindUnsupported,
    /// The recipient gave the image back after it was given to it again.
    RecipientLeft,
    /// `copyable` at a cloud, or for a recipient, that has no permission to copy.
    CopyableUnsupported,
    /// The recipient cannot be allowed to copy the image: the condition `Copyable` of the `CloudImage` says why.
    CopyRefused,
    /// As many recipients may copy the image as one ledger holds.
    CopyableLimit,
    /// The recipient does not exist or is malformed.
    InvalidRecipient,
    /// The recipient owns the image.
    RecipientIsOwner,
    /// The cloud refused the recipient for a reason this operator does not know.
    RecipientRefused,
    /// The site of the account or of the recipient does not sell this region.
    RegionNotOnSite,
    /// The account has no such region.
    RegionUnknown,
    /// The endpoint is not one the operator was started to allow.
    EndpointNotAllowed,
    /// The account's authorities cannot be read.
    CABundleInvalid,
    /// The Secret, or a key in it, is missing.
    SecretNotFound,
    /// The Secret is being deleted, and its key only ends access.
    SecretDeleting,
    /// The operator may not read the Secret.
    SecretForbidden,
    /// The cloud refuses the credentials, or they belong to another account.
    CredentialsRejected,
    /// The cloud gives no keys for the role that the account names.
    AssumeRoleRefused,
    /// The `ServiceAccount` that the account names does not exist.
    ServiceAccountNotFound,
    /// The operator may not request tokens of the `ServiceAccount`.
    TokenRequestForbidden,
    /// The clocks differ too much for a signature.
    ClockSkew,
    /// The credentials may not do this.
    PermissionDenied,
    /// The cloud limits the rate of calls.
    Throttled,
    /// The cloud cannot be reached or has trouble.
    CloudUnavailable,
    /// The cloud's answer cannot be understood or is incomplete; nothing was concluded from it.
    AnswerUnclear,
    /// The cloud refuses for a reason this operator does not know.
    CloudRefused,
    /// The object cannot be read as this version of its kind.
    Unreadable,
    /// Other objects still refer to this account.
    StillReferenced,
    /// The API server serves older definitions than this operator needs, and hides fields.
    DefinitionsOutdated,
    /// The images of the channel were found.
    Discovered,
    /// No own image of the account matches the channel's `select`.
    NoImageMatches,
    /// The channel's `namePattern` is no regular expression, or lacks the group `version`.
    PatternInvalid,
    /// The channel chooses by something that this cloud does not have.
    SelectorUnsupported,
    /// The channel pins or excludes a version that it does not have.
    VersionUnknown,
    /// Several images of the channel have one version.
    VersionAmbiguous,
    /// Versions of images that match are not in the format that the channel orders by.
    VersionInvalid,
    /// More images match the channel than it holds.
    DiscoveryCut,
    /// The channel has no version that is in service yet.
    NoVersion,
    /// The named `ImageChannel` does not exist or does not admit this namespace.
    ChannelRefUnresolved,
    /// No old version of the channel is held back.
    Rotated,
    /// Access to an old version does not end yet: too few complete lists of images since its grace ended.
    AwaitingDiscovery,
    /// Access to an old version does not end yet: the newer versions are not in service and Ready.
    NewerNotReady,
    /// Access to an old version does not end yet: some of its recipients have no version in service.
    RecipientsBehind,
    /// Access to an old version does not end yet: that to another one is ending.
    RevokingAnother,
}

impl Reason {
    /// The reason as written in a condition.
    pub fn as_str(self) -> String {
        format!("{self:?}")
    }

    /// The reason that a condition carries, if this version knows it.
    pub fn named(written: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::String(written.to_owned())).ok()
    }
}

/// The status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It could not be observed.
    Unknown,
}

/// A condition as decided, before it is merged with what was written earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// One of the constants above.
    pub kind: &'static str,
    /// Whether it holds.
    pub truth: Truth,
    /// Why.
    pub reason: Reason,
    /// What a person should know or do. Stable: no times, counters of attempts or request ids.
    pub message: String,
}

/// The conditions to write: those decided, each with its old transition time unless its status changed. Conditions not
/// decided are gone.
pub fn conditions(
    old: &[Condition],
    decisions: impl IntoIterator<Item = Decision>,
    generation: Option<i64>,
    now: jiff::Timestamp,
) -> Vec<Condition> {
    decisions
        .into_iter()
        .map(|decision| {
            let status = format!("{:?}", decision.truth);
            let unchanged = old.iter().find(|c| c.type_ == decision.kind && c.status == status);
            Condition {
                type_: decision.kind.to_owned(),
                last_transition_time: unchanged.map_or_else(|| Time(now), |c| c.last_transition_time.clone()),
                status,
                reason: decision.reason.as_str(),
                message: decision.message,
                observed_generation: generation,
            }
        })
        .collect()
}

impl JsonSchema for Reason {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Reason".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": REASON_CHARS_MAX, "pattern": "^[A-Za-z]+$"})
    }
}

/// Finds a condition by type.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == kind)
}
