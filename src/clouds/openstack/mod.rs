//! `OpenStack` Keystone v3 and Glance v2.

use std::fmt;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::clouds::connect::{Edge, OpenStackAccess};
use crate::clouds::{CallShape, Cloud, Fault, ImageRef, JobProgress, Lane, RecipientChange, Submitted};
use crate::domain::identifiers::{JobId, PartyId, RegionId};
use crate::domain::image::{ImageFacts, ReceivedImage, ReceivedList, RecipientList, Reply};

/// Which endpoints of the service catalogue are called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Interface {
    /// For everybody.
    #[default]
    Public,
    /// Inside the cloud.
    Internal,
}

/// What tokens are asked for with. Its parts never show in `Debug`.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// An application credential: it carries its project.
    Application {
        /// Its id.
        id: SecretString,
        /// Its secret.
        secret: SecretString,
    },
    /// A user, asking for a token of the project.
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
    /// Parses an application credential.
    pub fn application(id: &str, secret: &str) -> Result<Self, InvalidCredentials> {
        let id = part("application credential id", id, 128)?;
        Ok(Self::Application { id, secret: part("application credential secret", secret, 512)? })
    }

    /// Parses a user's name, password and domain.
    pub fn password(user: &str, password: &str, domain: &str) -> Result<Self, InvalidCredentials> {
        let user = part("user name", user, 255)?;
        Ok(Self::Password {
            user,
            password: part("password", password, 512)?,
            domain: part("domain name", domain, 64)?,
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
pub struct OpenStackCloud {
    access: OpenStackAccess,
    edge: Edge,
}

impl fmt::Debug for OpenStackCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenStackCloud").finish_non_exhaustive()
    }
}

impl OpenStackCloud {
    /// A client; nothing is sent yet.
    pub fn new(access: OpenStackAccess, edge: &Edge) -> Self {
        Self { access, edge: edge.clone() }
    }
}

#[async_trait]
impl Cloud for OpenStackCloud {
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
        CallShape { recipients: 1, both_ways: false }
    }
}
