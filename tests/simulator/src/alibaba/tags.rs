//! The operations on tags, of images only.

use super::answers::Page;
use super::filters::has_tags;
use super::params::Params;
use super::rules;
use super::world::{Image, World};
use crate::chassis::effect::Effect;
use crate::chassis::names::{AccountId, ImageId};
use crate::chassis::refusal::Refusal;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Rows of one answer of `ListTagResources`. `ListTagResources` page.
const ROWS: usize = 50;
/// Most resources of a call. `TagResources` page.
const MAX_RESOURCES: usize = 50;

/// The images named, where images are meant.
fn resources(params: &Params) -> Result<Vec<ImageId>, Refusal> {
    if !params.required("ResourceType")?.eq_ignore_ascii_case("image") {
        return Err(rules::RESOURCE_TYPE.refuse());
    }
    let ids: Vec<_> = params.list("ResourceId").into_iter().map(ImageId::from).collect();
    if ids.len() > MAX_RESOURCES { Err(rules::INVALID_PARAMETER.about("ResourceId")) } else { Ok(ids) }
}

fn some(ids: Vec<ImageId>) -> Result<Vec<ImageId>, Refusal> {
    if ids.is_empty() { Err(rules::MISSING_PARAMETER.about("ResourceId")) } else { Ok(ids) }
}

/// `TagResources`.
pub(super) fn tag(world: &mut World, caller: &AccountId, params: &Params) -> Result<Effect, Refusal> {
    let (region, ids, tags) = (params.region()?, some(resources(params)?)?, params.tags()?);
    if tags.is_empty() {
        return Err(rules::MISSING_PARAMETER.about("Tag"));
    }
    world.tag(caller, &region, &ids, &tags)
}

/// `UntagResources`: the tags of these keys, or with `All` and no keys all of them.
pub(super) fn untag(world: &mut World, caller: &AccountId, params: &Params) -> Result<Effect, Refusal> {
    let (region, ids) = (params.region()?, some(resources(params)?)?);
    let keys: Vec<_> = params.list("TagKey").into_iter().map(str::to_owned).collect();
    match (keys.is_empty(), params.flag("All")?.unwrap_or_default()) {
        (true, false) => Err(rules::MISSING_PARAMETER.about("TagKey")),
        (true, true) => world.untag(caller, &region, &ids, None),
        (false, _) => world.untag(caller, &region, &ids, Some(&keys)),
    }
}

/// The caller's images that are named, or all, and have the tags asked for.
fn tagged<'a>(world: &'a World, caller: &AccountId, params: &Params) -> Result<Vec<&'a Image>, Refusal> {
    let (ids, wanted) = (resources(params)?, params.rows("Tag"));
    let own = world.tagged(caller, &params.region()?)?.into_iter();
    let named = own.filter(|image| ids.is_empty() || ids.contains(&image.spec().id));
    Ok(named.filter(|image| has_tags(image.spec(), &wanted)).collect())
}

/// `ListTagResources`: a row for each tag of each image; the token of the next answer is the number of the rows so far.
pub(super) fn list(world: &World, caller: &AccountId, params: &Params) -> Result<Value, Refusal> {
    if params.list("ResourceId").is_empty() && params.rows("Tag").is_empty() {
        return Err(rules::MISSING_PARAMETER.about("ResourceId or Tag"));
    }
    let from = params.get("NextToken").map_or(Ok(0), str::parse::<usize>);
    let from = from.map_err(|_| rules::INVALID_PARAMETER.about("NextToken"))?;
    let row = |image: &Image, key: &String, value: &String| json!({"ResourceType": "image", "ResourceId": image.spec().id, "TagKey": key, "TagValue": value});
    let images = tagged(world, caller, params)?;
    let all = images.iter().flat_map(|image| image.spec().tags.iter().map(move |(key, value)| row(image, key, value)));
    let mut rows: Vec<_> = all.skip(from).take(ROWS + 1).collect();
    let next = if rows.len() > ROWS { (from + ROWS).to_string() } else { String::new() };
    rows.truncate(ROWS);
    Ok(json!({"NextToken": next, "TagResources": {"TagResource": rows}}))
}

/// `DescribeTags`: a row for each tag that any of the images has. `ResourceId` is a single one here.
pub(super) fn describe(world: &World, caller: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let page = params.page()?;
    if params.get("ResourceType").is_some_and(|kind| !kind.eq_ignore_ascii_case("image")) {
        return Err(rules::RESOURCE_TYPE.refuse());
    }
    let (id, wanted) = (params.get("ResourceId").map(ImageId::from), params.rows("Tag"));
    let mut counts: BTreeMap<(&String, &String), usize> = BTreeMap::new();
    for image in world.tagged(caller, &params.region()?)? {
        if id.as_ref().is_none_or(|id| *id == image.spec().id) {
            for tag in &image.spec().tags {
                *counts.entry(tag).or_default() += 1;
            }
        }
    }
    let is_wanted = |key: &String, value: &String| {
        let is = |row: &(String, Option<String>)| {
            row.0 == *key && row.1.as_ref().is_none_or(|other| other.is_empty() || other == value)
        };
        wanted.is_empty() || wanted.iter().any(is)
    };
    let kept = counts.into_iter().filter(|((key, value), _)| is_wanted(key, value));
    let row = |((key, value), count): ((&String, &String), usize)| json!({"TagKey": key, "TagValue": value, "ResourceTypeCount": {"Image": count}});
    Ok(Page::of(kept.map(row).collect(), page).answer("Tags", "Tag", json!({})))
}
