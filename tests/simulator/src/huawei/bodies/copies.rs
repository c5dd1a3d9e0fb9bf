//! The bodies of the two calls that copy an image.

use super::parse;
use crate::chassis::names::{ImageId, RegionId};
use crate::chassis::refusal::Refusal;
use crate::huawei::rules::{self, MAX_DESCRIPTION, MAX_NAME};
use crate::huawei::world::{CopyOrder, CopyTo};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InRegion {
    name: String,
    description: Option<String>,
    cmk_id: Option<String>,
    enterprise_project_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CrossRegion {
    name: String,
    region: String,
    // Left out it is refused as an empty one is.
    #[serde(default)]
    project_name: String,
    agency_name: String,
    description: Option<String>,
    vault_id: Option<String>,
}

/// A copy in the region of its source.
///
/// # Errors
/// When the body is malformed, or a field is not of the vendor's form.
pub(super) fn in_region(source: ImageId, body: &[u8]) -> Result<CopyOrder, Refusal> {
    let InRegion { name, description, cmk_id, enterprise_project_id } = parse(body)?;
    if enterprise_project_id.is_some_and(|id| !["", "0"].contains(&id.as_str())) {
        return Err(rules::MALFORMED_BODY.about("the simulator has the default enterprise project only"));
    }
    let to = CopyTo::InRegion { key: cmk_id.filter(|key| !key.is_empty()) };
    Ok(CopyOrder { source, name: named(name)?, description: described(description)?, to })
}

/// A copy in another region.
///
/// # Errors
/// As of [`in_region`].
pub(super) fn cross_region(source: ImageId, body: &[u8]) -> Result<CopyOrder, Refusal> {
    let CrossRegion { name, region, project_name, agency_name, description, vault_id } = parse(body)?;
    let region = RegionId::from(region.as_str());
    let to = CopyTo::Region { region, project: project_name, agency: agency_name, vault: vault_id };
    Ok(CopyOrder { source, name: named(name)?, description: described(description)?, to })
}

/// Names are of letters, digits, Chinese characters and `-`, `_`, `.` and space, and neither begin nor end with a space.
pub(super) fn named(name: String) -> Result<String, Refusal> {
    let fits = |char: char| {
        char.is_ascii_alphanumeric()
            || ['-', '_', '.', ' '].contains(&char)
            || ('\u{4e00}'..='\u{9fff}').contains(&char)
    };
    if name.chars().count() > MAX_NAME {
        return Err(rules::NAME_TOO_LONG.refuse());
    }
    let spaced = name.starts_with(' ') || name.ends_with(' ');
    if name.is_empty() || spaced || !name.chars().all(fits) { Err(rules::BAD_NAME.about(&name)) } else { Ok(name) }
}

/// Descriptions hold no angle brackets and no line breaks.
pub(super) fn described(description: Option<String>) -> Result<String, Refusal> {
    let description = description.unwrap_or_default();
    if description.chars().count() > MAX_DESCRIPTION {
        return Err(rules::DESCRIPTION_TOO_LONG.refuse());
    }
    let fits = !description.contains(['<', '>', '\r', '\n']);
    if fits { Ok(description) } else { Err(rules::BAD_DESCRIPTION.refuse()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn source() -> ImageId {
        ImageId::from("cc4f2d1e-0000-4000-8000-000000000001")
    }

    fn code(body: &Value) -> String {
        in_region(source(), body.to_string().as_bytes()).map_or_else(|refusal| refusal.code, |_| String::new())
    }

    #[test]
    fn a_name_has_the_vendors_characters_and_no_space_at_its_ends() {
        for good in ["a", "镜像 a-b_c.d", &"x".repeat(128), &"像".repeat(128)] {
            assert_eq!(code(&json!({"name": good})), "", "{good}");
        }
        for bad in ["", " a", "a ", "a/b", "a\nb", "é", "a:b"] {
            assert_eq!(code(&json!({"name": bad})), "IMG.0003", "{bad}");
        }
        assert_eq!(code(&json!({"name": "x".repeat(129)})), "IMG.0002");
    }

    #[test]
    fn a_description_is_one_line_without_angle_brackets() {
        let described = |text: &str| code(&json!({"name": "a", "description": text}));
        assert_eq!(described(&"ü".repeat(1024)), "");
        assert_eq!(described(&"x".repeat(1025)), "IMG.0004");
        for bad in ["a<b", "a>b", "a\nb", "a\rb"] {
            assert_eq!(described(bad), "IMG.0054", "{bad}");
        }
    }

    #[test]
    fn fields_that_are_missing_or_not_the_vendors_are_malformed() {
        assert_eq!(code(&json!({})), "IMG.0001");
        assert_eq!(code(&json!({"name": "a", "region": "r"})), "IMG.0001");
        assert_eq!(code(&json!({"name": "a", "enterprise_project_id": "1"})), "IMG.0001");
        assert_eq!(code(&json!({"name": "a", "enterprise_project_id": "0", "cmk_id": ""})), "");
        for missing in ["name", "region", "agency_name"] {
            let mut body = json!({"name": "a", "region": "r", "project_name": "r", "agency_name": "x"});
            body.as_object_mut().unwrap().remove(missing);
            let refusal = cross_region(source(), body.to_string().as_bytes()).unwrap_err();
            assert_eq!(refusal.code, "IMG.0001", "{missing}");
        }
    }
}
