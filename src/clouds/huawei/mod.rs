//! Huawei Cloud IMS and as much of IAM as it takes to call it (tokens, projects, the domain): signing, wire, faults, hosts
//! and the client. The only place that knows this vendor's words; nothing here plans, and nothing is sent twice but a call
//! refused because its cached token had run out.

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

pub use client::HuaweiCloud;
pub use credentials::Credentials;

/// Parameters of a query, in any order: signing sorts them.
type Query = Vec<(String, String)>;
