//! The query of a request. A parameter without effect is refused: none may be ignored without a word.

use super::rules;
use crate::chassis::refusal::{Refusal, Rule};

/// The query, name by name; of a repeated name the first counts.
#[derive(Debug, Clone)]
pub(super) struct Query(pub(super) Vec<(String, String)>);

impl Query {
    /// A parameter's value; an empty one counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The parameters of names that begin so, with their values.
    pub(super) fn beginning<'a>(&'a self, start: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        let all = self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        all.filter(move |(key, value)| key.starts_with(start) && !value.is_empty())
    }

    /// Refuses parameters other than these, by a rule.
    pub(super) fn only(&self, known: &[&str], rule: Rule) -> Result<(), Refusal> {
        let is_known = |key: &str| known.contains(&key);
        let stranger = self.0.iter().find(|(key, value)| !value.is_empty() && !is_known(key));
        stranger.map_or(Ok(()), |(key, _)| Err(rule.about(&format!("{key} has no effect in the simulator"))))
    }

    /// The size of a page.
    pub(super) fn limit(&self, default: usize) -> Result<usize, Refusal> {
        let Some(text) = self.get("limit") else { return Ok(default) };
        let limit = text.parse().ok().filter(|limit| (1..=rules::MAX_PAGE).contains(limit));
        limit.ok_or_else(|| bad("limit"))
    }

    /// The meaning of a parameter's word.
    pub(super) fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, Refusal> {
        let Some(word) = self.get(name) else { return Ok(None) };
        // The SDK in Go writes one word with a space behind it.
        let found = choices.iter().find(|(choice, _)| *choice == word.trim_end());
        found.map(|(_, value)| Some(*value)).ok_or_else(|| bad(name))
    }
}

/// That a parameter makes no sense.
pub(super) fn bad(what: &str) -> Refusal {
    rules::MALFORMED_BODY.about(what)
}
