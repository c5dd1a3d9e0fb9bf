//! The bodies of the calls that change an image's attributes and its tags.

use super::copies::{described, named};
use super::parse;
use crate::chassis::refusal::Refusal;
use crate::huawei::rules;
use crate::huawei::world::{Attribute, TagChange};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    op: String,
    path: String,
    value: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneTag {
    tag: Tag,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManyTags {
    action: String,
    tags: Vec<Tag>,
}

/// The changes of attributes. One that has no effect here is refused.
///
/// # Errors
/// When the body is malformed, or a value is not of the vendor's form.
pub(super) fn patches(body: &[u8]) -> Result<Vec<Attribute>, Refusal> {
    let patches: Vec<Patch> = parse(body)?;
    if patches.is_empty() {
        return Err(rules::MALFORMED_BODY.about("no change"));
    }
    patches.iter().map(attribute).collect()
}

fn attribute(patch: &Patch) -> Result<Attribute, Refusal> {
    let bad = || rules::MALFORMED_BODY.about(&patch.path);
    let value = match (patch.op.as_str(), &patch.value) {
        ("remove", _) => None,
        ("add" | "replace", Some(Value::String(text))) => Some(text.clone()),
        ("add" | "replace", Some(value @ (Value::Number(_) | Value::Bool(_)))) => Some(value.to_string()),
        _ => return Err(bad()),
    };
    let number = || value.as_deref().filter(|text| !text.is_empty()).map(|text| text.parse().map_err(|_| bad()));
    match patch.path.as_str() {
        "/name" => named(value.unwrap_or_default()).map(Attribute::Name),
        "/__description" => described(value).map(Attribute::Description),
        "/min_ram" => number().transpose().map(|mib| Attribute::MinRam(mib.unwrap_or_default())),
        "/max_ram" => number().transpose().map(Attribute::MaxRam),
        "/protected" => match value.as_deref() {
            Some("true") => Ok(Attribute::Protected(true)),
            Some("false") => Ok(Attribute::Protected(false)),
            _ => Err(bad()),
        },
        other => Err(rules::MALFORMED_BODY.about(&format!("{other} has no effect in the simulator"))),
    }
}

/// A tag to add.
///
/// # Errors
/// When the body is malformed, or the tag is.
pub(super) fn one_tag(body: &[u8]) -> Result<TagChange, Refusal> {
    let OneTag { tag } = parse(body)?;
    added(vec![tag])
}

/// Tags to add or to remove.
///
/// # Errors
/// As of [`one_tag`].
pub(super) fn many_tags(body: &[u8]) -> Result<TagChange, Refusal> {
    let ManyTags { action, tags } = parse(body)?;
    match action.as_str() {
        "create" => added(tags),
        "delete" => Ok(TagChange::Remove(tags.into_iter().map(|tag| tag.key).collect())),
        _ => Err(rules::MALFORMED_BODY.about("action is neither create nor delete")),
    }
}

/// A tag of the native interface, `key.value` or `key=value`.
///
/// # Errors
/// When it is malformed.
pub(super) fn native_tag(tag: &str) -> Result<TagChange, Refusal> {
    let (key, value) = tag.split_once(['=', '.']).unwrap_or((tag, ""));
    added(vec![Tag { key: key.to_owned(), value: value.to_owned() }])
}

fn added(all: Vec<Tag>) -> Result<TagChange, Refusal> {
    tags(all).map(TagChange::Add)
}

/// Tags of the vendor's form.
///
/// # Errors
/// When one is not.
pub(super) fn tags(tags: Vec<Tag>) -> Result<BTreeMap<String, String>, Refusal> {
    for Tag { key, value } in &tags {
        let fits = (1..=rules::MAX_TAG_KEY).contains(&key.chars().count())
            && value.chars().count() <= rules::MAX_TAG_VALUE
            && !key.starts_with("_sys_")
            && !key.contains(['=', '*', '<', '>', '\\', ',', '|', '/']);
        if !fits {
            return Err(rules::BAD_TAG_UNCONFIRMED.about(key));
        }
    }
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_without_effect_or_of_the_wrong_form_is_refused() {
        let code = |body: &str| patches(body.as_bytes()).map_or_else(|refusal| refusal.code, |_| String::new());
        for (path, value, expected) in [
            ("/name", "\"a\"", ""),
            ("/name", "\"a/b\"", "IMG.0003"),
            ("/__description", "\"a<b\"", "IMG.0054"),
            ("/min_ram", "\"1024\"", ""),
            ("/min_ram", "1024", ""),
            ("/min_ram", "\"much\"", "IMG.0001"),
            ("/protected", "true", ""),
            ("/owner", "\"x\"", "IMG.0001"),
        ] {
            let body = format!(r#"[{{"op": "replace", "path": "{path}", "value": {value}}}]"#);
            assert_eq!(code(&body), expected, "{body}");
        }
        assert_eq!(code("[]"), "IMG.0001");
        assert_eq!(code(r#"[{"op": "move", "path": "/name", "value": "a"}]"#), "IMG.0001");
    }

    #[test]
    fn a_tag_of_the_native_interface_is_a_key_and_a_value() {
        let one = |key: &str, value: &str| TagChange::Add([(key.to_owned(), value.to_owned())].into());
        assert_eq!(native_tag("team.core"), Ok(one("team", "core")));
        assert_eq!(native_tag("team=core"), Ok(one("team", "core")));
        assert_eq!(native_tag("team"), Ok(one("team", "")));
        assert!(native_tag("").is_err());
    }
}
