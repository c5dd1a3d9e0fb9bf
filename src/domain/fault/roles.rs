//! Why an account has no temporary keys.

/// A role that the cloud gives no keys for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the cloud gives no keys for role {role} ({code})")]
pub struct RoleRefused {
    /// The role's ARN, as the account names it.
    pub role: String,
    /// The vendor's code, bounded and safe to print.
    pub code: String,
    /// Who asked for them.
    pub asked_by: AskedBy,
}

/// Who asks for a role's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedBy {
    /// Whoever other keys belong to.
    Keys {
        /// The ARN that the cloud tells of them, if it tells one; bounded and safe to print.
        identity: Option<String>,
        /// The external id that was sent.
        external_id: Option<String>,
    },
    /// A `ServiceAccount` of the cluster, by its token.
    ServiceAccount {
        /// The subject of the token: `system:serviceaccount:NAMESPACE:NAME`.
        subject: String,
        /// Its audience.
        audience: String,
    },
}

/// A `ServiceAccount` of which Kubernetes gives no token; nothing was sent to the cloud.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Kubernetes gives no token of ServiceAccount {service_account:?} in namespace {namespace:?}")]
pub struct NoToken {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub service_account: String,
    /// Why.
    pub cause: NoTokenCause,
}

/// Why Kubernetes gives no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTokenCause {
    /// The operator may not request it.
    Forbidden,
    /// There is no such `ServiceAccount`.
    Missing,
    /// The API server refuses the request, for example its audience.
    Refused,
    /// The API server does not answer.
    Unavailable,
}
