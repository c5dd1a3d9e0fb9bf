//! Huawei Cloud IMS.

use std::fmt;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::clouds::connect::{Edge, HuaweiAccess};
use crate::clouds::{CallShape, Cloud, Fault, ImageRef, JobProgress, Lane, RecipientChange, Submitted};
use crate::domain::identifiers::{JobId, PartyId, RegionId};
use crate::domain::image::{ImageFacts, ReceivedImage, ReceivedList, RecipientList, Reply};

/// What calls are signed with, or tokens asked for. Its parts never show in `Debug`.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// An access key; temporary ones have a token.
    AccessKey {
        /// AK.
        id: SecretString,
        /// SK.
        secret: SecretString,
        /// Security token.
        token: Option<SecretString>,
    },
    /// An IAM user of the domain, for tokens.
    Password {
        /// Name of the user.
        user: SecretString,
        /// Its password.
        password: SecretString,
        /// Name of the domain the user lives in.
        domain: SecretString,
    },
}

impl Credentials {
    /// Parses an access key.
    pub fn access_key(id: &str, secret: &str, token: Option<&str>) -> Result<Self, InvalidCredentials> {
        Ok(Self::AccessKey {
            id: part("access key id", id, 128)?,
            secret: part("access key secret", secret, 256)?,
            token: token.map(|token| part("security token", token, 8192)).transpose()?,
        })
    }

    /// Parses a user's name, password and domain.
    pub fn password(user: &str, password: &str, domain: &str) -> Result<Self, InvalidCredentials> {
        let user = part("user name", user, 128)?;
        Ok(Self::Password {
            user,
            password: part("password", password, 256)?,
            domain: part("domain name", domain, 128)?,
        })
    }
}

/// Why credentials cannot be used; says which part, never what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {part} must be 1 to {most} visible ASCII characters")]
pub struct InvalidCredentials {
    part: &'static str,
    most: usize,
}

fn part(part: &'static str, text: &str, most: usize) -> Result<SecretString, InvalidCredentials> {
    let text = text.trim_ascii();
    let fits = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if fits { Ok(SecretString::from(text)) } else { Err(InvalidCredentials { part, most }) }
}

/// The client of one account.
pub struct HuaweiCloud {
    access: HuaweiAccess,
    edge: Edge,
}

impl fmt::Debug for HuaweiCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HuaweiCloud").finish_non_exhaustive()
    }
}

impl HuaweiCloud {
    /// A client; nothing is sent yet.
    pub fn new(access: HuaweiAccess, edge: &Edge) -> Self {
        Self { access, edge: edge.clone() }
    }
}

#[async_trait]
impl Cloud for HuaweiCloud {
    async fn identity(&self) -> Result<PartyId, Fault> {
        Err(Fault::Unavailable)
    }

    async fn regions(&self) -> Result<Vec<RegionId>, Fault> {
        Err(Fault::Unavailable)
    }

    fn party(&self, _: &RegionId) -> Option<PartyId> {
        None
    }

    async fn observe_image(&self, _: &ImageRef, _: Lane) -> Result<Option<ImageFacts>, Fault> {
        Err(Fault::Unavailable)
    }

    async fn list_recipients(&self, _: &ImageRef, _: Lane) -> Result<RecipientList, Fault> {
        Err(Fault::Unavailable)
    }

    async fn change_recipients(&self, _: &ImageRef, _: &RecipientChange, _: Lane) -> Result<Submitted, Fault> {
        Err(Fault::Unavailable)
    }

    async fn open_for_sharing(&self, _: &ImageRef, _: Lane) -> Result<(), Fault> {
        Err(Fault::Unavailable)
    }

    async fn follow_job(&self, _: &RegionId, _: &JobId, _: Lane) -> Result<JobProgress, Fault> {
        Err(Fault::Unavailable)
    }

    async fn delete_image(&self, _: &ImageRef) -> Result<(), Fault> {
        Err(Fault::Unavailable)
    }

    async fn observe_received(&self, _: &ImageRef, _: Lane) -> Result<Option<ReceivedImage>, Fault> {
        Err(Fault::Unavailable)
    }

    async fn list_received(&self, _: &RegionId, _: Lane) -> Result<ReceivedList, Fault> {
        Err(Fault::Unavailable)
    }

    async fn answer(&self, _: &ImageRef, _: &Reply, _: Lane) -> Result<Submitted, Fault> {
        Err(Fault::Unavailable)
    }

    fn call_shape(&self) -> CallShape {
        CallShape { recipients: 100, both_ways: false }
    }
}
