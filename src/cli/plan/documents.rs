//! YAML and JSON as documents that remember where each field stands: several in one text, `List`s taken apart.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// Longest text that is read, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 16 << 20;

/// Most documents of a text.
const DOCUMENTS_MAX: usize = 20_000;

/// Most values of a text: 1,000 images with 50 recipients each have a third of them.
const NODES_MAX: usize = 1_000_000;

/// A document, and the line of each of its fields.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    /// The file, as it was named.
    pub(crate) file: String,
    /// The document.
    pub(crate) value: Value,
    /// By path, as `spec.recipients[0].id`: the line, from 1.
    lines: BTreeMap<String, u64>,
}

/// Text that is no YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotYaml {
    /// Where, from 1; 0 where it is not known.
    pub(crate) line: u64,
    /// Why.
    pub(crate) message: String,
}

impl Document {
    /// The line of a field, or of what it would be in.
    pub(crate) fn line(&self, path: &str) -> u64 {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return *line;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = path.get(..end).unwrap_or_default(),
                None if path.is_empty() => return 1,
                None => path = "",
            }
        }
    }

    /// `file:line` of a field.
    pub(crate) fn place(&self, path: &str) -> String {
        format!("{}:{}", self.file, self.line(path))
    }

    /// A text of the document, by its keys.
    pub(crate) fn text(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().try_fold(&self.value, |value, key| value.get(key))?.as_str()
    }
}

/// All documents of a text. Nothing of a text that is not YAML throughout is returned.
///
/// # Errors
///
/// The first place that is not YAML, or that goes beyond the bounds on size, depth and aliases.
pub(crate) fn read(file: &str, text: &str) -> Result<Vec<Document>, NotYaml> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(NotYaml { line: 0, message: format!("it is longer than {} MiB", TEXT_BYTES_MAX >> 20) });
    }
    // The bounds on size, depth and aliases are the crate's; a set may have more documents, and the text is bounded above.
    let budget = serde_saphyr::budget! {
        max_documents: DOCUMENTS_MAX,
        max_nodes: NODES_MAX,
        max_events: 4 * NODES_MAX,
    };
    let options = serde_saphyr::options! { with_snippet: false, budget: budget };
    let trees: Vec<Spanned<Tree>> = serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        NotYaml { line: error.location().map_or(0, |location| location.line()), message: one_line(&error.to_string()) }
    })?;
    Ok(trees.into_iter().flat_map(apart).map(|tree| document(file, &tree)).collect())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The items of a list as kubectl and kustomize print it; any other document as it is.
fn apart(tree: Spanned<Tree>) -> Vec<Spanned<Tree>> {
    let Tree::Map(fields) = &tree.value else { return vec![tree] };
    let field = |name: &str| fields.iter().find(|(key, _)| key.value == name).map(|(_, value)| value);
    let kind = field("kind").map(|kind| &kind.value);
    let is_list = matches!(kind, Some(Tree::Scalar(Value::String(kind))) if kind.ends_with("List"));
    match field("items").map(|items| &items.value) {
        Some(Tree::Sequence(items)) if is_list => items.clone(),
        _ => vec![tree],
    }
}

fn document(file: &str, tree: &Spanned<Tree>) -> Document {
    let mut lines = BTreeMap::new();
    let value = value_of(tree, tree.referenced.line(), "", &mut lines);
    Document { file: file.to_owned(), value, lines }
}

fn value_of(tree: &Spanned<Tree>, line: u64, path: &str, lines: &mut BTreeMap<String, u64>) -> Value {
    lines.insert(path.to_owned(), line);
    match &tree.value {
        Tree::Scalar(value) => value.clone(),
        Tree::Sequence(entries) => entries
            .iter()
            .enumerate()
            .map(|(index, entry)| value_of(entry, entry.referenced.line(), &format!("{path}[{index}]"), lines))
            .collect(),
        Tree::Map(fields) => {
            let mut map = Map::new();
            for (key, value) in fields {
                let path = if path.is_empty() { key.value.clone() } else { format!("{path}.{}", key.value) };
                map.insert(key.value.clone(), value_of(value, key.referenced.line(), &path, lines));
            }
            Value::Object(map)
        }
    }
}

/// A value whose parts know where they stand.
#[derive(Debug, Clone)]
enum Tree {
    Scalar(Value),
    Sequence(Vec<Spanned<Tree>>),
    Map(Vec<(Spanned<String>, Spanned<Tree>)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    /// No field takes a number that long; that it is one is what matters.
    fn visit_i128<E>(self, _: i128) -> Result<Tree, E> {
        Ok(Tree::Scalar(Number::from_f64(f64::MIN).map_or(Value::Null, Value::Number)))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Tree, E> {
        Ok(Tree::Scalar(Number::from_f64(f64::MAX).map_or(Value::Null, Value::Number)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        // JSON has no number for what is not finite.
        Ok(Tree::Scalar(Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = entries.next_element()? {
            all.push(entry);
        }
        Ok(Tree::Sequence(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Tree, A::Error> {
        let mut all = Vec::new();
        while let Some(field) = fields.next_entry()? {
            all.push(field);
        }
        Ok(Tree::Map(all))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const TWO: &str = "\
# A comment.
kind: ImageShare
metadata:
  name: team
spec:
  recipients:
    - type: Account
      id: 1000000000000001
    - {type: Account, id: \"2\"}
---
kind: List
items:
  - kind: CloudImage
    metadata: {name: ubuntu}
---
";

    #[test]
    fn every_field_knows_its_line_and_a_missing_one_that_of_its_parent() {
        let documents = read("f.yaml", TWO).unwrap();
        assert_eq!(documents.len(), 2, "the empty document is none");
        let share = &documents[0];
        assert_eq!(share.value["spec"]["recipients"][0], json!({"type": "Account", "id": 1_000_000_000_000_001_u64}));
        let line = |path: &str| share.line(path);
        assert_eq!([line("kind"), line("metadata.name"), line("spec.recipients[0].id")], [2, 4, 8]);
        assert_eq!([line("spec.recipients[1].id"), line("spec.imageRef.name"), line("nothing")], [9, 5, 2]);
        assert_eq!(share.place("spec.recipients[0].site"), "f.yaml:7");
    }

    #[test]
    fn a_list_is_its_items() {
        let image = &read("f.yaml", TWO).unwrap()[1];
        assert_eq!((image.text(&["kind"]), image.text(&["metadata", "name"])), (Some("CloudImage"), Some("ubuntu")));
        assert_eq!((image.line("kind"), image.line("metadata.name")), (13, 14));
    }

    #[test]
    fn an_alias_stands_where_it_is_used() {
        let text = "a: &a\n  b: 1\nc: *a\n";
        let document = &read("f.yaml", text).unwrap()[0];
        assert_eq!(document.value, json!({"a": {"b": 1}, "c": {"b": 1}}));
        assert_eq!(document.line("c"), 3);
    }

    #[test]
    fn text_that_is_no_yaml_is_refused_with_its_line() {
        for (text, line) in [("a: b\nc: [1,\n", 2..=3), ("a: 1\na: 2\n", 2..=2), ("a: b: c\n", 1..=1)] {
            let wrong = read("f.yaml", text).unwrap_err();
            assert!(line.contains(&wrong.line) && !wrong.message.contains('\n'), "{text:?}: {wrong:?}");
        }
    }

    #[test]
    fn text_that_would_grow_without_end_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb = format!("{bomb}a{n}: &a{n} [{aliases}]\n");
        }
        assert!(read("f.yaml", &bomb).is_err());
        assert!(read("f.yaml", &"[".repeat(100_000)).is_err());
        assert!(read("f.yaml", &" ".repeat(TEXT_BYTES_MAX + 1)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-a-c:{}\\[\\]&*!|>'\"#, \n0-9.]{0,60}") {
            for document in read("f.yaml", &text).unwrap_or_default() {
                prop_assert!(document.line("a.b[0]") >= 1);
            }
        }

        #[test]
        fn json_reads_as_itself(texts in proptest::collection::vec("[ -~é镜]{0,20}", 0..5), number in any::<i64>()) {
            let value = json!({"kind": "x", "texts": texts, "number": number, "nothing": null});
            let documents = read("f.json", &value.to_string()).unwrap();
            prop_assert_eq!(&documents[0].value, &value);
        }
    }
}
