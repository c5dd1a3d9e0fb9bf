//! Patterns of the schemas: what the operator can parse, and no more, so that everything that is stored can be reconciled.

/// Name of an object: a DNS subdomain (RFC 1123).
pub const OBJECT_NAME: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// Name of a namespace: a DNS label (RFC 1123).
pub const NAMESPACE: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// Id of a region, as [`RegionId`](crate::domain::identifiers::RegionId) takes it.
pub const REGION: &str = "^[A-Za-z0-9][A-Za-z0-9_-]*$";

/// Name of an agency, as [`AgencyName`](crate::domain::identifiers::AgencyName) takes it.
pub const AGENCY_NAME: &str = "^[A-Za-z0-9 ._-]+$";

/// Name of a project, as [`ProjectName`](crate::domain::identifiers::ProjectName) takes it.
pub const PROJECT_NAME: &str = "^[A-Za-z0-9_-]+$";

/// Id of a vault, as [`VaultId`](crate::domain::identifiers::VaultId) takes it.
pub const VAULT_ID: &str = "^[A-Za-z0-9-]+$";

/// Id of a key, as [`KeyId`](crate::domain::identifiers::KeyId) takes it.
pub const KEY_ID: &str = "^[A-Za-z0-9_/:-]+$";

/// A time as RFC 3339 writes it, with an offset and no more digits than are kept.
pub const TIME: &str =
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

/// Key of a label: a name, with an optional DNS subdomain and `/` before it.
pub const LABEL_KEY: &str = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";

/// Value of a label.
pub const LABEL_VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$";

/// Free text on one line: no character that moves, hides or reorders terminal output.
pub const PLAIN_TEXT: &str = r"^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$";

/// A length of time: hours, minutes, seconds, in this order.
pub const SPAN: &str = "^([0-9]{1,4}h)?([0-9]{1,4}m)?([0-9]{1,4}s)?$";

/// Id of an image, as [`ImageId`](crate::domain::identifiers::ImageId) takes it.
pub const IMAGE_ID: &str = "^[A-Za-z0-9][A-Za-z0-9_.-]*$";
