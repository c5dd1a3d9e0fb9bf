//! A version as the channel's status holds it: all that a later plan knows of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Version;
use crate::api::image_channel::{ChannelVersion, NextStage, Stage};
use crate::domain::identifiers::ImageId;

impl Version {
    /// The version that status holds; `None` for an image id that cannot be one.
    pub fn recorded(version: &ChannelVersion) -> Option<Self> {
        Some(Self {
            version: version.version.clone(),
            image: ImageId::parse(&version.image_id).ok()?,
            stage: version.stage,
            since: version.since.0,
            staged: version.stage_since.0,
            created: version.created.as_ref().map(|created| created.0),
            not_before: version.next.as_ref().map(|next| next.not_before.0),
            absent_since: version.absent_since.as_ref().map(|since| since.0),
            overdue_since: version.overdue_since.as_ref().map(|since| since.0),
            blocked: version.blocked_by.clone(),
        })
    }

    /// The version as status holds it, with the name of its `CloudImage`.
    pub fn record(&self, cloud_image: Option<String>) -> ChannelVersion {
        let stage = if self.stage == Stage::Candidate { Stage::Current } else { Stage::Revoking };
        ChannelVersion {
            version: self.version.clone(),
            image_id: self.image.to_string(),
            stage: self.stage,
            since: Time(self.since),
            stage_since: Time(self.staged),
            created: self.created.map(Time),
            next: self.not_before.map(|not_before| NextStage { stage, not_before: Time(not_before) }),
            absent_since: self.absent_since.map(Time),
            overdue_since: self.overdue_since.map(Time),
            blocked_by: self.blocked.clone(),
            cloud_image,
        }
    }
}
