//! Images made of a server or of a disk that the world gives a project. Each is there, `active`, once its job has ended.

use super::jobs::Asker;
use super::{Image, World};
use crate::chassis::effect::Effect;
use crate::chassis::names::{AccountId, ImageId};
use crate::chassis::refusal::Refusal;
use crate::huawei::rules;
use crate::huawei::world_file::{ImageSpec, Kind, Origin, Status};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What an image is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    /// A server.
    Server(String),
    /// A system disk.
    Volume(String),
}

/// A system image wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Making {
    /// The id it gets; none before the order is taken in.
    pub image: Option<ImageId>,
    /// Of what.
    pub material: Material,
    /// Its name.
    pub name: String,
    /// Its description; empty for none.
    pub description: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The least memory of a server made from it, in MiB.
    pub min_ram: u32,
    /// The most.
    pub max_ram: Option<u32>,
}

impl World {
    /// Whether a project may have an image made.
    pub(super) fn may_make(&self, project: &AccountId, making: &Making) -> Result<(), Refusal> {
        let (_, place) = self.project(project).ok_or_else(|| rules::PROJECT_MISMATCH.about(project.as_str()))?;
        let there = match &making.material {
            Material::Server(id) => place.servers.contains(id),
            Material::Volume(id) => place.volumes.contains(id),
        };
        if !there {
            return Err(rules::NO_MATERIAL_UNCONFIRMED.about(making.material.id()));
        }
        if making.tags.len() > rules::MAX_TAGS {
            return Err(rules::TOO_MANY_TAGS_UNCONFIRMED.refuse());
        }
        self.has_room_for_image(project)
    }

    /// Makes it.
    pub(super) fn make(&mut self, asker: &Asker, making: &Making, at: Timestamp) -> Vec<(ImageId, Effect)> {
        let Some(id) = making.image.clone() else { return Vec::new() };
        let spec = ImageSpec {
            id: id.clone(),
            project: asker.project.clone(),
            region: Some(asker.region.clone()),
            name: making.name.clone(),
            status: Status::Active,
            kind: Kind::System,
            origin: Origin::Private,
            encrypted: false,
            protected: false,
            from_cbr: false,
            members: Vec::new(),
            created: Some(at),
            size_gib: 40,
            description: making.description.clone(),
            parent: None,
            cmk_id: None,
            copies_fail: None,
            copy_seconds: None,
            copy_shown_late: None,
            data_origin: Some(making.material.origin()),
            tags: making.tags.clone(),
            min_ram: making.min_ram,
            max_ram: making.max_ram,
            changed: None,
        };
        self.images.insert(id.clone(), Image::new(spec, asker.region.clone(), at));
        vec![(id.clone(), Effect { created: Some(id), ..Effect::default() })]
    }
}

impl Material {
    fn id(&self) -> &str {
        match self {
            Self::Server(id) | Self::Volume(id) => id,
        }
    }

    /// `__data_origin` of an image made of it (documentation of the Terraform provider).
    fn origin(&self) -> String {
        match self {
            Self::Server(id) => format!("instance,{id}"),
            Self::Volume(id) => format!("volume,{id}"),
        }
    }
}
