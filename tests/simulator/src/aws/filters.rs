//! The filters of lists, and which rows pass them: values are alternatives, filters are not; `*` and `?` are wildcards.

use super::params::Params;
use super::rules::{self, missing};
use crate::chassis::refusal::Refusal;

/// A filter: its name and its alternatives.
#[derive(Debug, Clone)]
struct Filter {
    name: String,
    values: Vec<String>,
}

/// The filters of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Filters(Vec<Filter>);

impl Filters {
    /// Reads them: each of these names, or of a tag where tags are among them (`tag:`).
    pub(super) fn read(params: &Params, known: &[&str]) -> Result<Self, Refusal> {
        let mut filters = Vec::new();
        for row in params.rows("Filter") {
            let name = row.required("Name")?.to_owned();
            let is_known = |one: &&str| match one.strip_suffix(':') {
                Some(_) => name.len() > one.len() && name.starts_with(one),
                None => *one == name,
            };
            if !known.iter().any(is_known) {
                return Err(rules::INVALID_VALUE.saying(format!("The filter '{name}' is invalid")));
            }
            let values: Vec<_> = row.list("Value").into_iter().map(str::to_owned).collect();
            if values.is_empty() {
                return Err(missing("Filter.Value"));
            }
            filters.push(Filter { name, values });
        }
        let (most, most_values) = rules::MAX_FILTERS;
        let values: usize = filters.iter().map(|filter| filter.values.len()).sum();
        if filters.len() > most || values > most_values {
            return Err(rules::TOO_MANY_FILTERS.refuse());
        }
        Ok(Self(filters))
    }

    /// Whether there is one.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a thing passes: `of` tells its values by a filter's name.
    pub(super) fn keep(&self, of: impl Fn(&str) -> Vec<String>) -> bool {
        self.0.iter().all(|filter| {
            let values = of(&filter.name);
            filter.values.iter().any(|pattern| values.iter().any(|value| is_like(value.as_bytes(), pattern.as_bytes())))
        })
    }
}

/// Whether a text is like a pattern: `*` stands for any text, `?` for a character, `\` takes their meaning away. Without
/// recursion: after a mismatch the last `*` takes one more.
fn is_like(text: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut of, mut star) = (0, 0, None);
    while let Some(byte) = text.get(at) {
        match (pattern.get(of), pattern.get(of + 1)) {
            (Some(b'*'), _) => {
                star = Some((of, at));
                of += 1;
            }
            (Some(b'\\'), Some(next)) if next == byte => (at, of) = (at + 1, of + 2),
            (Some(one), _) if *one != b'\\' && (one == byte || *one == b'?') => (at, of) = (at + 1, of + 1),
            _ => match star {
                Some((place, from)) => {
                    star = Some((place, from + 1));
                    (at, of) = (from + 1, place + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(of..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_texts_and_characters() {
        let like = |text: &str, pattern: &str| is_like(text.as_bytes(), pattern.as_bytes());
        for pattern in ["golden-1", "golden-*", "*", "g*n-?", "*1", "g*l*e*1", "golden-1*", "????????"] {
            assert!(like("golden-1", pattern), "{pattern}");
        }
        for pattern in ["golden", "Golden-1", "golden-?1", "*2", "", "golden-1?", "g*l*f*1"] {
            assert!(!like("golden-1", pattern), "{pattern}");
        }
        assert!(like("a*b?c", r"a\*b\?c") && !like("axb?c", r"a\*b\?c"));
        assert!(!like(&"a".repeat(2_000), &"a*".repeat(500).replace("a*a*", "a*b*")));
    }

    #[test]
    fn values_are_alternatives_and_filters_are_not() {
        let text =
            "Filter.1.Name=state&Filter.1.Value.1=a&Filter.1.Value.2=b&Filter.2.Name=tag:team&Filter.2.Value.1=c*";
        let filters = Filters::read(&Params::new("", text), &["state", "tag:"]).unwrap();
        let of = |state: &'static str, team: &'static str| {
            move |name: &str| vec![if name == "state" { state } else { team }.to_owned()]
        };
        assert!(filters.keep(of("b", "core")) && !filters.keep(of("b", "web")) && !filters.keep(of("c", "core")));
    }

    #[test]
    fn filters_without_effect_are_refused() {
        let read = |text: &str| Filters::read(&Params::new("", text), &["state", "tag:"]).map_err(|r| r.code);
        assert_eq!(read("Filter.1.Name=kernel-id&Filter.1.Value.1=x").unwrap_err(), "InvalidParameterValue");
        assert_eq!(read("Filter.1.Name=tag:&Filter.1.Value.1=x").unwrap_err(), "InvalidParameterValue");
        assert_eq!(read("Filter.1.Name=state").unwrap_err(), "MissingParameter");
        let many: Vec<_> = (1..=201).map(|n| format!("Filter.1.Value.{n}=x")).collect();
        let many = format!("Filter.1.Name=state&{}", many.join("&"));
        assert_eq!(read(&many).unwrap_err(), "FilterLimitExceeded");
        assert!(read("").unwrap().is_empty());
    }
}
