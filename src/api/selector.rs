//! Which namespaces a selector chooses. Its schema lets in what Kubernetes itself would take for a selector of labels;
//! what was stored without that schema and is invalid selects no namespace and is reported.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::patterns::{LABEL_KEY, LABEL_VALUE};

/// Longest key of a label: a DNS subdomain, `/` and a name.
const KEY_CHARS_MAX: usize = 253 + 1 + 63;

/// Longest value of a label.
const VALUE_CHARS_MAX: usize = 63;

/// Labels, requirements, and values of one requirement that a selector may have.
const PARTS_MAX: usize = 32;

/// The selector as it is matched, or what is wrong with it and where.
pub fn parse_selector(selector: &LabelSelector) -> Result<Selector, String> {
    for key in selector.match_labels.iter().flatten().map(|(key, _)| key) {
        check_key(key).map_err(|wrong| format!("matchLabels: {wrong}"))?;
    }
    for (index, asked) in selector.match_expressions.iter().flatten().enumerate() {
        let here = |wrong: String| format!("matchExpressions[{index}]: {wrong}");
        check_key(&asked.key).map_err(here)?;
        let none = asked.values.iter().flatten().next().is_none();
        match asked.operator.as_str() {
            "In" | "NotIn" if none => return Err(here(format!("{} needs values", asked.operator))),
            "Exists" | "DoesNotExist" if !none => return Err(here(format!("{} takes no values", asked.operator))),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => return Err(here("operator must be In, NotIn, Exists or DoesNotExist".to_owned())),
        }
    }
    Selector::try_from(selector.clone()).map_err(|error| error.to_string())
}

/// No label has an empty key, or one with a character other than these.
fn check_key(key: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let fine = !key.is_empty() && key.len() <= KEY_CHARS_MAX && key.chars().all(plain);
    if fine { Ok(()) } else { Err("no label can have the key that is asked for".to_owned()) }
}

/// The schema of a selector of labels.
pub(super) fn selector_schema(_: &mut SchemaGenerator) -> Schema {
    let key = json_schema!({"type": "string", "maxLength": KEY_CHARS_MAX, "pattern": LABEL_KEY,
        "description": "Key of the label."});
    let value = json_schema!({"type": "string", "maxLength": VALUE_CHARS_MAX, "pattern": LABEL_VALUE});
    json_schema!({
        "type": "object",
        "nullable": true,
        "properties": {
            "matchLabels": {
                "description": "Labels that a namespace must have, with these values.",
                "type": "object",
                "maxProperties": PARTS_MAX,
                "additionalProperties": value,
                "x-kubernetes-validations": [{
                    "rule": format!("self.all(key, key.size() <= {KEY_CHARS_MAX} && key.matches('{LABEL_KEY}'))"),
                    "message": "a key of matchLabels must be the key of a label, such as team or example.com/team",
                }],
            },
            "matchExpressions": {
                "description": "Requirements that a namespace must meet, all of them.",
                "type": "array",
                "maxItems": PARTS_MAX,
                "items": {
                    "description": "A requirement.",
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": key,
                        "operator": {
                            "description": "In or NotIn, with values; Exists or DoesNotExist, without.",
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "Values of the label.",
                            "type": "array",
                            "maxItems": PARTS_MAX,
                            "items": value,
                        },
                    },
                    "x-kubernetes-validations": [{
                        "rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                        "message": "In and NotIn need values, Exists and DoesNotExist take none",
                    }],
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(selector: serde_json::Value) -> Result<Selector, String> {
        parse_selector(&serde_json::from_value(selector).unwrap())
    }

    #[test]
    fn what_is_no_selector_says_where_and_why() {
        for (requirement, wrong) in [
            (json!({"key": "team", "operator": "in", "values": ["a"]}), "operator must be In"),
            (json!({"key": "team", "operator": "In"}), "In needs values"),
            (json!({"key": "team", "operator": "NotIn", "values": []}), "NotIn needs values"),
            (json!({"key": "team", "operator": "Exists", "values": ["a"]}), "Exists takes no values"),
            (json!({"key": "te am", "operator": "Exists"}), "no label can have the key"),
        ] {
            let error = parse(json!({"matchExpressions": [requirement]})).unwrap_err();
            assert!(error.starts_with("matchExpressions[0]: ") && error.contains(wrong), "{error}");
        }
        assert!(parse(json!({"matchLabels": {"": "a"}})).unwrap_err().starts_with("matchLabels: "));
    }

    #[test]
    fn what_kubernetes_takes_for_a_selector_parses() {
        let requirements = json!([
            {"key": "team", "operator": "In", "values": ["a", ""]},
            {"key": "example.com/team", "operator": "NotIn", "values": ["b"]},
            {"key": "team", "operator": "Exists"},
            {"key": "other", "operator": "DoesNotExist", "values": []},
        ]);
        assert!(parse(json!({"matchLabels": {"team": "a"}, "matchExpressions": requirements})).is_ok());
        assert!(parse(json!({})).is_ok());
    }

    proptest! {
        #[test]
        fn no_selector_makes_the_parser_panic(
            labels in btree_map(".{0,70}", ".{0,70}", 0..4),
            asked in vec((".{0,70}", "In|NotIn|Exists|DoesNotExist|.{0,9}", vec(".{0,70}", 0..4)), 0..4),
        ) {
            let asked: Vec<_> = asked
                .into_iter()
                .map(|(key, operator, values)| json!({"key": key, "operator": operator, "values": values}))
                .collect();
            if let Err(wrong) = parse(json!({"matchLabels": labels, "matchExpressions": asked})) {
                prop_assert!(wrong.starts_with("match"), "{}", wrong);
            }
        }
    }
}
