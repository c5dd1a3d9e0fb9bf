//! `POST /v2/{project}/images/resource_instances/action`: a project's images by their tags, listed or counted.

use super::world::{Relation, World};
use super::world_file::ImageSpec;
use super::{bodies, rules};
use crate::chassis::names::AccountId;
use crate::chassis::refusal::Refusal;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Images of an answer unless asked otherwise. The call's page.
const DEFAULT_LIMIT: usize = 10;
/// Most images of an answer. The call's page.
const MAX_LIMIT: usize = 1_000;
/// Most keys of a filter, and values of a key. The call's page.
const MOST: usize = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    action: String,
    limit: Option<String>,
    offset: Option<String>,
    tags: Option<Vec<Tag>>,
    tags_any: Option<Vec<Tag>>,
    not_tags: Option<Vec<Tag>>,
    not_tags_any: Option<Vec<Tag>>,
    matches: Option<Vec<Match>>,
    without_any_tag: Option<bool>,
}

/// A key, and the values one of which it has; none where any will do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tag {
    key: String,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Match {
    key: String,
    value: String,
}

fn bad(what: &str) -> Refusal {
    rules::MALFORMED_BODY.about(what)
}

/// The project's own images that pass the filters.
///
/// # Errors
/// When the body is malformed, or a field has no effect here.
pub(super) fn list(world: &World, project: &AccountId, body: &[u8]) -> Result<Value, Refusal> {
    let asked: Asked = bodies::parse(body)?;
    asked.check()?;
    let number = |text: &Option<String>, default: usize| text.as_ref().map_or(Ok(default), |text| text.parse());
    let limit = number(&asked.limit, DEFAULT_LIMIT).ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    let (limit, offset) = (limit.ok_or_else(|| bad("limit"))?, number(&asked.offset, 0).map_err(|_| bad("offset"))?);
    let seen = world.seen_by(project);
    let own = seen.iter().filter(|(_, relation)| *relation == Relation::Own).map(|(image, _)| image.spec());
    let kept: Vec<_> = own.filter(|spec| asked.keeps(spec)).collect();
    if asked.action == "count" {
        return Ok(json!({"total_count": kept.len()}));
    }
    let rows: Vec<_> = kept.iter().skip(offset).take(limit).map(|spec| row(spec)).collect();
    Ok(json!({"resources": rows, "total_count": kept.len()}))
}

fn row(spec: &ImageSpec) -> Value {
    let tags: Vec<_> = spec.tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    json!({
        "resource_id": spec.id, "resource_name": spec.name, "resource_detail": {"status": spec.status.word()}, "tags": tags,
    })
}

impl Asked {
    fn check(&self) -> Result<(), Refusal> {
        if !["filter", "count"].contains(&self.action.as_str()) {
            return Err(bad("action is neither filter nor count"));
        }
        for (name, tags) in [
            ("tags", &self.tags),
            ("tags_any", &self.tags_any),
            ("not_tags", &self.not_tags),
            ("not_tags_any", &self.not_tags_any),
        ] {
            let Some(tags) = tags else { continue };
            let keys: BTreeSet<_> = tags.iter().map(|tag| &tag.key).collect();
            if tags.is_empty() || tags.len() > MOST || keys.len() < tags.len() {
                return Err(bad(name));
            }
            if tags.iter().any(|tag| tag.values.len() > MOST) {
                return Err(bad(name));
            }
        }
        let known = |one: &Match| ["resource_name", "resource_id"].contains(&one.key.as_str());
        match &self.matches {
            Some(matches) if matches.is_empty() || !matches.iter().all(known) => Err(bad("matches")),
            _ => Ok(()),
        }
    }

    fn keeps(&self, spec: &ImageSpec) -> bool {
        let fits = |one: &Match| match one.key.as_str() {
            "resource_id" => spec.id.as_str() == one.value,
            _ => spec.name == one.value,
        };
        if !self.matches.iter().flatten().all(fits) {
            return false;
        }
        // Then the filters by tags have no meaning; the call's page.
        if self.without_any_tag == Some(true) {
            return spec.tags.is_empty();
        }
        let has = |tag: &Tag| {
            let value = spec.tags.get(&tag.key);
            value.is_some_and(|value| tag.values.is_empty() || tag.values.contains(value))
        };
        self.tags.iter().flatten().all(has)
            && self.tags_any.as_ref().is_none_or(|tags| tags.iter().any(has))
            && self.not_tags.as_ref().is_none_or(|tags| !tags.iter().all(has))
            && !self.not_tags_any.iter().flatten().any(has)
    }
}
