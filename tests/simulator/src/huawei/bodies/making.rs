//! The body of the call that makes a system image of a server or of a disk.

use super::attributes::tags;
use super::copies::{described, named};
use super::parse;
use crate::chassis::refusal::Refusal;
use crate::huawei::world::{Making, Material};
use crate::huawei::{answers, rules};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    name: String,
    description: Option<String>,
    instance_id: Option<String>,
    volume_id: Option<String>,
    os_version: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    min_ram: Option<u32>,
    max_ram: Option<u32>,
    image_tags: Option<Vec<super::attributes::Tag>>,
    enterprise_project_id: Option<String>,
}

/// A system image. Images of files and data images are not simulated.
///
/// # Errors
/// When the body is malformed, or a field is not of the vendor's form or has no effect here.
pub(super) fn system(body: &[u8]) -> Result<Making, Refusal> {
    let asked: Asked = parse(body)?;
    let bad = |what: &str| rules::MALFORMED_BODY.about(what);
    if asked.enterprise_project_id.is_some_and(|id| !["", "0"].contains(&id.as_str())) {
        return Err(bad("the simulator has the default enterprise project only"));
    }
    if asked.kind.is_some_and(|kind| kind != "ECS") {
        return Err(bad("type: the simulator makes images of ECSs only"));
    }
    let material = match (asked.instance_id, asked.volume_id, asked.os_version.as_deref()) {
        (Some(server), None, None) => Material::Server(server),
        (None, Some(volume), Some(answers::SYSTEM)) => Material::Volume(volume),
        (None, Some(_), _) => return Err(bad(&format!("os_version: the simulator knows {} only", answers::SYSTEM))),
        _ => return Err(bad("name either instance_id or volume_id")),
    };
    Ok(Making {
        image: None,
        material,
        name: named(asked.name)?,
        description: described(asked.description)?,
        tags: tags(asked.image_tags.unwrap_or_default())?,
        min_ram: asked.min_ram.unwrap_or_default(),
        max_ram: asked.max_ram,
    })
}
