//! `OpenStack` Keystone v3 and Glance v2: tokens, wire, faults and the client. Only this module uses their vocabulary. It
//! plans nothing, and repeats a call only after a refused token.

#[cfg(test)]
mod adversarial;
mod client;
mod credentials;
mod faults;
mod keystone;
mod wire;

pub(crate) use client::CALL_SHAPE;
pub use client::OpenStackCloud;
pub use credentials::Credentials;
pub use keystone::OpenStackAccess;

/// The interface whose endpoints the operator calls, from the service catalogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interface {
    /// The public endpoints.
    #[default]
    Public,
    /// The endpoints inside the cloud.
    Internal,
    /// The endpoints for administrators.
    Admin,
}

impl Interface {
    /// The name in the catalogue.
    fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }

    /// The interface of a catalogue's entry. Catalogues of Keystone v2 write `publicURL`.
    fn of(word: &str) -> Option<Self> {
        [Self::Public, Self::Internal, Self::Admin]
            .into_iter()
            .find(|interface| word.strip_suffix("URL").unwrap_or(word) == interface.word())
    }
}
