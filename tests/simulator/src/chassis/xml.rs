//! Answers as XML text: objects are elements, lists repeat their element. Nesting is ours and shallow, so the recursion is
//! bounded.

use serde_json::{Map, Value};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Writes answers. What they hold is escaped; names and attributes are the simulator's own.
#[derive(Debug, Default)]
pub(crate) struct XmlWriter {
    out: String,
    /// Decides the order of fields; by their names where there is none.
    seed: Option<String>,
}

impl XmlWriter {
    /// A writer of a document with this declaration. With a seed the fields of each element are in an order of the seed's, so
    /// that no client relies on one.
    pub(crate) fn new(declaration: &str, seed: Option<&str>) -> Self {
        Self { out: declaration.to_owned(), seed: seed.map(str::to_owned) }
    }

    /// The document of a root and its attributes.
    pub(crate) fn document(mut self, root: &str, attributes: &str, value: &Value) -> String {
        let fields = value.as_object().cloned().unwrap_or_default();
        self.out.extend(["<", root, attributes, ">"]);
        self.fields(&fields);
        self.out.extend(["</", root, ">"]);
        self.out
    }

    fn element(&mut self, name: &str, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.element(name, item)),
            Value::Object(fields) if fields.values().all(is_nothing) => self.empty(name),
            Value::Object(fields) => self.tagged(name, |writer| writer.fields(fields)),
            Value::Null => self.empty(name),
            Value::String(text) => self.tagged(name, |writer| writer.out.push_str(&escape(text))),
            Value::Bool(_) | Value::Number(_) => {
                self.tagged(name, |writer| writer.out.push_str(&value.to_string()));
            }
        }
    }

    fn fields(&mut self, fields: &Map<String, Value>) {
        let mut ordered: Vec<_> = fields.iter().collect();
        if let Some(seed) = &self.seed {
            ordered.sort_by_cached_key(|(name, _)| digest(seed, name));
        }
        for (name, value) in ordered {
            self.element(name, value);
        }
    }

    fn tagged(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.out.extend(["<", name, ">"]);
        inside(self);
        self.out.extend(["</", name, ">"]);
    }

    fn empty(&mut self, name: &str) {
        self.out.extend(["<", name, "/>"]);
    }
}

/// A list without rows.
fn is_nothing(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

fn digest(seed: &str, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, name).hash(&mut hasher);
    hasher.finish()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn xml_repeats_the_element_of_a_list_and_an_empty_list_is_an_empty_element() {
        let answer = json!({"A": {"B": [{"C": "x<&>y"}, {"C": 2}]}, "D": true, "E": {"item": []}, "F": {}});
        let xml = XmlWriter::new("", None).document("R", " x='y'", &answer);
        let body = "<A><B><C>x&lt;&amp;&gt;y</C></B><B><C>2</C></B></A><D>true</D><E/><F/>";
        assert_eq!(xml, format!("<R x='y'>{body}</R>"));
    }

    #[test]
    fn seeds_shuffle_fields_and_never_the_rows_of_a_list() {
        let answer = json!({"list": {"item": [1, 2, 3]}, "a": 1, "b": 2, "c": 3});
        let orders: std::collections::BTreeSet<_> =
            (0..40).map(|n| XmlWriter::new("", Some(&n.to_string())).document("R", "", &answer)).collect();
        assert!(orders.len() > 5, "{orders:?}");
        let rows = "<list><item>1</item><item>2</item><item>3</item></list>";
        assert!(orders.iter().all(|xml| xml.contains(rows)), "{orders:?}");
    }
}
