//! Everything that can go wrong at a cloud, classified by what to do next. Providers map their codes to it; no module
//! outside `clouds` knows a vendor's code, and no decision rests on the HTTP status alone.

mod roles;

use std::time::Duration;

pub use roles::{AskedBy, NoToken, NoTokenCause, RoleRefused};

/// Why a cloud call returned no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Rate limited by the cloud. The hint is the vendor's, already converted from its unit.
    #[error("rate limited by the cloud")]
    Throttled {
        /// The delay that the vendor asks for.
        retry_after: Option<Duration>,
    },
    /// This operator's own token bucket is empty and the call's priority may not wait for it.
    #[error("this operator's own call budget is used up for the moment")]
    BudgetSpent {
        /// The delay until a token is available.
        retry_after: Duration,
    },
    /// This process is no longer the leader: nothing was sent.
    #[error("this process does not lead any more")]
    NotLeading,
    /// The cloud reports an internal error. As far as is known, the call had no effect.
    #[error("the cloud is unavailable")]
    Unavailable,
    /// No complete answer. A write that was sent may have had its effect: observe again.
    #[error("{0}")]
    Unreachable(Unreachable),
    /// The cloud refuses the credentials: unknown key, wrong signature, expired token, disabled key.
    #[error("the cloud refuses the credentials ({code})")]
    Unauthenticated {
        /// The vendor's code, bounded and safe to print.
        code: String,
    },
    /// The cloud gives no temporary keys for the role that the account names.
    #[error("{0}")]
    RoleRefused(Box<RoleRefused>),
    /// Kubernetes gives no token of the `ServiceAccount` that the account names: nothing was sent.
    #[error("{0}")]
    NoToken(Box<NoToken>),
    /// The operator's clock and the cloud's differ too much for a valid signature.
    #[error("this machine's clock and the cloud's differ by more than the signature allows")]
    ClockSkew,
    /// The credentials are valid but lack the permission.
    #[error("the credentials may not do this ({code})")]
    Forbidden {
        /// The vendor's code, bounded and safe to print.
        code: String,
    },
    /// The cloud's catalogue names an endpoint that this operator was not started to allow: nothing was sent there.
    #[error("the cloud's catalogue names an endpoint that is not allowed")]
    EndpointNotAllowed {
        /// Its scheme, host and port; `None` if it is malformed.
        origin: Option<String>,
    },
    /// The cloud's catalogue has no image service with the interface that the account names: nothing was sent.
    #[error("the cloud's catalogue has no image service with the interface {interface}")]
    NoImageService {
        /// The interface that the account names.
        interface: &'static str,
        /// The interfaces that image services of the catalogue have.
        others: Vec<&'static str>,
    },
    /// There is no identity service at the URL that the account names.
    #[error("no identity service answers at the account's URL (HTTP {status})")]
    NoIdentityService {
        /// The status of the answer.
        status: u16,
    },
    /// A limit of the cloud is reached.
    #[error("a limit of the cloud is reached ({quota:?})")]
    QuotaExceeded {
        /// Which limit.
        quota: Quota,
    },
    /// An object that the call names does not exist.
    #[error("the cloud does not know the {0:?}")]
    NotFound(Missing),
    /// The image's current state forbids the call; the state may change without this operator.
    #[error("the image's state forbids it ({0:?})")]
    Conflict(Conflict),
    /// The cloud refuses the request itself; a user must change it.
    #[error("the cloud refuses the request ({code})")]
    Refused {
        /// What the cloud refuses.
        refusal: Refusal,
        /// The vendor's code, bounded and safe to print.
        code: String,
    },
    /// An answer that cannot be parsed; it proves nothing.
    #[error("the cloud's answer cannot be understood")]
    Unintelligible,
}

/// Where a call got no complete answer, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the operator cannot reach {host}: {cause}")]
pub struct Unreachable {
    /// The host, with its port if the URL names one, and the proxy on the way.
    pub host: String,
    /// The cause.
    pub cause: Cause,
    /// Whether the request may have reached the cloud.
    pub sent: bool,
}

/// Why a call got no complete answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The name server knows no address of the host, or does not answer.
    #[error("its name cannot be resolved")]
    NameLookup,
    /// Nothing listens there, or a firewall refuses.
    #[error("it refuses the connection")]
    Refused,
    /// The network has no route to the host.
    #[error("there is no route to it")]
    NoRoute,
    /// No connection, or no answer, by the deadline.
    #[error("it does not answer in time")]
    Timeout,
    /// The TLS certificate is of an authority that is not trusted.
    #[error(
        "an unknown authority signed its TLS certificate: if you trust it, put its certificate into spec.caBundle of the \
         CloudAccount"
    )]
    UnknownAuthority,
    /// The TLS certificate has expired.
    #[error("its TLS certificate has expired")]
    CertificateExpired,
    /// Any other failure of TLS.
    #[error("TLS fails")]
    Tls,
    /// The proxy on the way refuses the host, or fails.
    #[error("the proxy opens no connection to it")]
    Proxy,
    /// The proxy on the way wants other credentials, or some.
    #[error("the proxy refuses its user and password: correct them in the operator's HTTPS_PROXY")]
    ProxyCredentials,
    /// The proxy on the way cannot be reached.
    #[error(
        "the proxy cannot be reached: correct its address in the operator's HTTPS_PROXY, or name the host in NO_PROXY"
    )]
    ProxyUnreachable,
    /// The connection broke before the answer was complete.
    #[error("the connection broke before a complete answer")]
    Closed,
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// The image has as many recipients as it may have.
    RecipientsPerImage,
    /// A recipient of this call already holds as many images as it may receive.
    ReceivedImages,
    /// The account holds as many private images as it may.
    PrivateImages,
    /// Any other quota.
    Other,
}

/// Which object does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The image, in this account and region.
    Image,
    /// A recipient of this call.
    Recipient,
    /// The region.
    Region,
}

/// Which state of the image forbids the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// Servers still use it.
    ImageInUse,
    /// It is still shared.
    ImageShared,
    /// It is protected against deletion.
    ImageProtected,
    /// It is being copied, imported, exported or made; this state ends by itself.
    ImageBusy,
    /// It is private: the cloud neither shows nor changes recipients until the image is made shared (`OpenStack`).
    ImagePrivate,
}

/// What the cloud refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A recipient of this call may not receive the image (the account itself, or one the vendor does not admit).
    Recipient,
    /// The image can never be shared in its current form (encrypted with the service key, a marketplace image).
    Image,
    /// The vault that an acceptance names is missing, unknown, full or of the wrong kind.
    Vault,
    /// The name of the image to be made is malformed.
    Name,
    /// Another image already has the name of the one to be made.
    NameTaken,
    /// The agency or the project of a copy to another region is missing, unknown or not allowed.
    Agency,
    /// The encryption key is missing, unknown, disabled or not allowed.
    Key,
    /// A received image must be accepted before it is copied.
    NotAccepted,
    /// The image cannot be copied in its current form, or not to this destination.
    Copy,
    /// A received image cannot be copied to another region.
    CopyAcrossRegions,
    /// The image is too large to be copied.
    Size,
    /// A refusal this operator does not know: if the call named recipients, one of them may be the cause.
    Unknown,
}

/// What to do after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Retry automatically, not before the hint.
    Retry {
        /// The minimum delay.
        not_before: Option<Duration>,
    },
    /// User action, or a change of another object, is needed; requeue at long intervals.
    Blocked,
}

impl Fault {
    /// The fault's name in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Throttled { .. } => "Throttled",
            Self::BudgetSpent { .. } => "BudgetSpent",
            Self::NotLeading => "NotLeading",
            Self::Unavailable => "Unavailable",
            Self::Unreachable(_) => "Unreachable",
            Self::Unauthenticated { .. } => "Unauthenticated",
            Self::RoleRefused(_) => "RoleRefused",
            Self::NoToken(_) => "NoToken",
            Self::ClockSkew => "ClockSkew",
            Self::Forbidden { .. } => "Forbidden",
            Self::EndpointNotAllowed { .. } => "EndpointNotAllowed",
            Self::NoImageService { .. } => "NoImageService",
            Self::NoIdentityService { .. } => "NoIdentityService",
            Self::QuotaExceeded { .. } => "QuotaExceeded",
            Self::NotFound(_) => "NotFound",
            Self::Conflict(_) => "Conflict",
            Self::Refused { .. } => "Refused",
            Self::Unintelligible => "Unintelligible",
        }
    }

    /// The vendor's code, where the cloud returned one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Unauthenticated { code } | Self::Forbidden { code } | Self::Refused { code, .. } => Some(code),
            Self::RoleRefused(refused) => Some(&refused.code),
            _ => None,
        }
    }

    /// What to do next. Exhaustive on purpose: a new fault must define its recovery.
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Throttled { retry_after } => Recovery::Retry { not_before: *retry_after },
            Self::BudgetSpent { retry_after } => Recovery::Retry { not_before: Some(*retry_after) },
            Self::NotLeading
            | Self::Unavailable
            | Self::Unreachable(_)
            | Self::Unintelligible
            | Self::Conflict(Conflict::ImageBusy) => Recovery::Retry { not_before: None },
            Self::NoToken(none) if none.cause == NoTokenCause::Unavailable => Recovery::Retry { not_before: None },
            Self::Unauthenticated { .. }
            | Self::RoleRefused(_)
            | Self::NoToken(_)
            | Self::ClockSkew
            | Self::Forbidden { .. }
            | Self::EndpointNotAllowed { .. }
            | Self::NoImageService { .. }
            | Self::NoIdentityService { .. }
            | Self::QuotaExceeded { .. }
            | Self::NotFound(_)
            | Self::Conflict(
                Conflict::ImageInUse | Conflict::ImageShared | Conflict::ImageProtected | Conflict::ImagePrivate,
            )
            | Self::Refused { .. } => Recovery::Blocked,
        }
    }

    /// Whether the call certainly changed nothing. Otherwise the caller must check whether it took effect.
    pub fn certainly_did_nothing(&self) -> bool {
        match self {
            Self::Throttled { .. }
            | Self::BudgetSpent { .. }
            | Self::NotLeading
            | Self::Unreachable(Unreachable { sent: false, .. })
            | Self::Unauthenticated { .. }
            | Self::RoleRefused(_)
            | Self::NoToken(_)
            | Self::ClockSkew
            | Self::Forbidden { .. }
            | Self::EndpointNotAllowed { .. }
            | Self::NoImageService { .. }
            | Self::NoIdentityService { .. }
            | Self::QuotaExceeded { .. }
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::Refused { .. } => true,
            Self::Unavailable | Self::Unreachable(Unreachable { sent: true, .. }) | Self::Unintelligible => false,
        }
    }

    /// Whether the cloud refuses the account's credentials or signatures, or the account has none: any further call would fail,
    /// too.
    pub fn closes_the_account(&self) -> bool {
        match self {
            Self::Unauthenticated { .. } | Self::ClockSkew | Self::RoleRefused(_) => true,
            Self::NoToken(none) => none.cause != NoTokenCause::Unavailable,
            _ => false,
        }
    }

    /// Whether the cloud refused for a reason that this operator does not know.
    pub fn is_unknown_refusal(&self) -> bool {
        matches!(self, Self::Refused { refusal: Refusal::Unknown, .. } | Self::QuotaExceeded { quota: Quota::Other })
    }

    /// Whether a call that named several recipients may have failed because of one of them.
    pub fn may_concern_one_recipient(&self) -> bool {
        match self {
            Self::NotFound(Missing::Recipient)
            | Self::QuotaExceeded { quota: Quota::ReceivedImages | Quota::Other }
            | Self::Refused { refusal: Refusal::Recipient | Refusal::Unknown, .. } => true,
            Self::Throttled { .. }
            | Self::BudgetSpent { .. }
            | Self::NotLeading
            | Self::Unavailable
            | Self::Unreachable(_)
            | Self::Unauthenticated { .. }
            | Self::RoleRefused(_)
            | Self::NoToken(_)
            | Self::ClockSkew
            | Self::Forbidden { .. }
            | Self::EndpointNotAllowed { .. }
            | Self::NoImageService { .. }
            | Self::NoIdentityService { .. }
            | Self::QuotaExceeded { quota: Quota::RecipientsPerImage | Quota::PrivateImages }
            | Self::NotFound(Missing::Image | Missing::Region)
            | Self::Conflict(_)
            | Self::Refused {
                refusal:
                    Refusal::Image
                    | Refusal::Vault
                    | Refusal::Name
                    | Refusal::NameTaken
                    | Refusal::Agency
                    | Refusal::Key
                    | Refusal::NotAccepted
                    | Refusal::Copy
                    | Refusal::CopyAcrossRegions
                    | Refusal::Size,
                ..
            }
            | Self::Unintelligible => false,
        }
    }
}
