//! Names and values of a request that is a query, a form, or both. Lists and rows are spelt in the names: `Image.1`,
//! `Tag.2.Key`.

use super::wire::{Wire, decode_pairs};

/// Names and values, in the order in which they were sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Those of a request.
    pub(crate) fn of(wire: &Wire) -> Self {
        let form =
            wire.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let body = if form { String::from_utf8_lossy(&wire.body) } else { "".into() };
        Self::new(&wire.query, &body)
    }

    /// Query first, then the form: of a repeated name the first counts.
    pub(crate) fn new(query: &str, form: &str) -> Self {
        let mut pairs = decode_pairs(query);
        pairs.extend(decode_pairs(form));
        Self(pairs)
    }

    /// Adds a pair.
    pub(crate) fn push(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// All of them, empty ones as well.
    pub(crate) fn all(&self) -> &[(String, String)] {
        &self.0
    }

    /// A value; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The values of a list `name.1`, `name.2`, ... in the order of their numbers; empty ones count as absent.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let numbered = |(key, value): &'_ (String, String)| -> Option<u32> {
            let number = key.strip_prefix(name)?.strip_prefix('.')?.parse().ok()?;
            (!value.is_empty()).then_some(number)
        };
        let mut values: Vec<_> =
            self.0.iter().filter_map(|pair| numbered(pair).map(|number| (number, pair.1.as_str()))).collect();
        values.sort_by_key(|(number, _)| *number);
        values.into_iter().map(|(_, value)| value).collect()
    }

    /// The number, field and value of each pair `name.1.field`, `name.2.field`, ..., as they were sent.
    pub(crate) fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (u32, &'a str, &'a str)> {
        self.0.iter().filter_map(move |(key, value)| {
            let (number, field) = key.strip_prefix(name)?.strip_prefix('.')?.split_once('.')?;
            Some((number.parse().ok()?, field, value.as_str()))
        })
    }

    /// The first name with a value that is none of these, nor a member of a list of these.
    pub(crate) fn stranger(&self, common: &[&str], known: &[&str]) -> Option<&str> {
        let is_known = |key: &str| {
            let whole = |name: &&str| key == *name || key.strip_prefix(*name).is_some_and(|rest| rest.starts_with('.'));
            common.contains(&key) || known.iter().any(whole)
        };
        let stranger = self.0.iter().find(|(key, value)| !value.is_empty() && !is_known(key));
        stranger.map(|(key, _)| key.as_str())
    }
}
