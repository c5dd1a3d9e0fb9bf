//! The names a world uses: accounts, images, regions. Opaque text here; each cloud checks its own form.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

name! {
    /// Who may own, ask or receive: at Alibaba Cloud an account by its UID, at Huawei Cloud a project or domain by its id,
    /// or an organization by its URN, at Amazon Web Services an account by its twelve digits, an organization or organizational
    /// unit by its ARN, or `all`.
    AccountId
}
name! {
    /// An image, unique in the world; at Amazon Web Services also a snapshot.
    ImageId
}
name! {
    /// A region of the simulated cloud.
    RegionId
}
