//! Huawei Cloud IMS, and the part of IAM that its calls need (tokens, projects, the domain): signing, wire, faults, hosts
//! and the client. Only this module uses the vendor's vocabulary. It plans nothing, and repeats a call only if the vendor
//! refused an expired cached token.

#[cfg(test)]
mod adversarial;
mod caller;
mod client;
mod credentials;
mod endpoints;
mod faults;
mod sign;
mod tokens;
mod wire;

pub use caller::HuaweiAccess;
pub(crate) use client::CALL_SHAPE;
pub use client::HuaweiCloud;
pub use credentials::Credentials;
pub use endpoints::Endpoints;

/// Parameters of a query, in any order: signing sorts them.
type Query = Vec<(String, String)>;
