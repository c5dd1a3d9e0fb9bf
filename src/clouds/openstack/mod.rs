//! `OpenStack` Keystone v3 and Glance v2: tokens, wire, faults and the client. The only place that knows their words;
//! nothing here plans, or sends a call again for any other reason than a refused token.

#[cfg(test)]
mod adversarial;
mod client;
mod credentials;
mod faults;
mod keystone;
mod wire;

pub use client::OpenStackCloud;
pub use credentials::Credentials;

/// Which endpoints of the service catalogue are called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Interface {
    /// For everybody.
    #[default]
    Public,
    /// Inside the cloud.
    Internal,
}

impl Interface {
    /// As the catalogue writes it.
    fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
        }
    }
}
