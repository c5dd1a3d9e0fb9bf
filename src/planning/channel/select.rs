//! Which images of an account belong to a channel, and as which version.

use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};

use crate::api::conditions::Reason;
use crate::api::image_channel::ChannelSelect;
use crate::domain::foreign_text::plain;
use crate::domain::image::OwnImage;
use crate::planning::problem::Problem;

/// Longest version, in characters, as the schema of status has it.
const VERSION_CHARS_MAX: usize = 128;

/// Bytes that a compiled pattern may take. A channel compiles its pattern for each reconcile and drops it.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// The group of the pattern that is the version.
const VERSION_GROUP: &str = "version";

/// A channel's `select`, ready to be compared with images.
#[derive(Debug)]
pub struct Selection {
    pattern: Option<Regex>,
    family: Option<String>,
    tags: BTreeMap<String, String>,
    ids: BTreeSet<String>,
}

/// What an image is to a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// It does not belong to the channel.
    No,
    /// It belongs to the channel as this version.
    Version(String),
    /// It matches, but its version is empty, too long, or no plain text.
    Odd,
}

impl Selection {
    /// Reads a channel's `select`. `families`: whether the cloud has image families.
    pub fn of(select: &ChannelSelect, families: bool) -> Result<Self, Problem> {
        if select.family.is_some() && !families {
            let message = "spec.select.family: this cloud has no image families; choose by namePattern or tags";
            return Err(Problem::blocked(Reason::SelectorUnsupported, message));
        }
        Ok(Self {
            pattern: select.name_pattern.as_deref().map(pattern).transpose()?,
            family: select.family.clone(),
            tags: select.tags.clone(),
            ids: select.image_ids.iter().cloned().collect(),
        })
    }

    /// Compares an image. Without a pattern, its version is its id.
    pub fn matches(&self, image: &OwnImage) -> Match {
        let tagged = self.tags.iter().all(|(key, value)| image.tags.get(key) == Some(value));
        let in_family = self.family.is_none() || self.family == image.family;
        if !tagged || !in_family || !(self.ids.is_empty() || self.ids.contains(image.image.as_str())) {
            return Match::No;
        }
        let Some(pattern) = &self.pattern else { return Match::Version(image.image.to_string()) };
        let Some(captures) = pattern.captures(&image.name) else { return Match::No };
        let version = captures.name(VERSION_GROUP).map_or("", |group| group.as_str());
        let plain = !version.is_empty() && plain(version, VERSION_CHARS_MAX) == version;
        if plain { Match::Version(version.to_owned()) } else { Match::Odd }
    }
}

/// Compiles a pattern that the whole name must match. The engine takes time linear in the length of the name.
fn pattern(text: &str) -> Result<Regex, Problem> {
    let compiled = |text: &str| RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build();
    // On its own first: `a)|(b` would be well formed only in the parentheses that make it match the whole name.
    let whole = compiled(text).and_then(|_| compiled(&format!(r"\A(?:{text})\z"))).map_err(|error| invalid(&error))?;
    if whole.capture_names().flatten().any(|name| name == VERSION_GROUP) {
        return Ok(whole);
    }
    let message =
        "spec.select.namePattern: it lacks the group that is the version: write (?P<version>...) around that part";
    Err(Problem::blocked(Reason::PatternInvalid, message))
}

fn invalid(error: &regex::Error) -> Problem {
    let why = match error {
        // The last line says what is wrong; the others draw where.
        regex::Error::Syntax(drawn) => {
            drawn.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned()
        }
        regex::Error::CompiledTooBig(_) => "it is too large: use fewer or smaller repetitions".to_owned(),
        _ => "it cannot be used".to_owned(),
    };
    let message = format!("spec.select.namePattern: this is no regular expression: {}", plain(&why, 200));
    Problem::blocked(Reason::PatternInvalid, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::identifiers::ImageId;
    use crate::domain::image::ImageState;

    fn image(name: &str) -> OwnImage {
        OwnImage {
            image: ImageId::parse("m-1").unwrap(),
            name: name.to_owned(),
            created: None,
            family: Some("golden".to_owned()),
            tags: BTreeMap::from([("stage".to_owned(), "released".to_owned())]),
            state: ImageState::Available,
        }
    }

    fn by_name(pattern: &str) -> ChannelSelect {
        ChannelSelect { name_pattern: Some(pattern.to_owned()), ..ChannelSelect::default() }
    }

    fn problem(pattern: &str) -> String {
        let problem = Selection::of(&by_name(pattern), true).unwrap_err();
        assert_eq!(problem.reason, Reason::PatternInvalid);
        problem.message
    }

    #[test]
    fn the_whole_name_must_match_and_its_group_is_the_version() {
        let selection = Selection::of(&by_name(r"golden-(?P<version>\d{3})|x(?<version2>y)"), true).unwrap();
        assert_eq!(selection.matches(&image("golden-123")), Match::Version("123".to_owned()));
        for other in ["golden-1234", "my-golden-123", "golden-123 ", ""] {
            assert_eq!(selection.matches(&image(other)), Match::No, "{other}");
        }
        assert_eq!(selection.matches(&image("xy")), Match::Odd, "it matches without a version");
        let any = Selection::of(&by_name("(?P<version>.*)"), true).unwrap();
        for odd in ["", "\u{202e}1", &"9".repeat(129)] {
            assert_eq!(any.matches(&image(odd)), Match::Odd, "{odd:?}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_told_by_its_field_and_in_one_line() {
        for wrong in
            ["golden-(?P<version>", "(?P<version>a)|b)", "a)|(?P<version>b", "(?P<version>[z-a])", "(?=x)", "(.)\\1"]
        {
            let message = problem(wrong);
            assert!(message.starts_with("spec.select.namePattern: this is no regular expression: "), "{message}");
            assert!(!message.contains('\n') && message.len() < 300, "{message}");
        }
        assert!(problem("golden-.*").contains("(?P<version>...)"));
        assert!(problem(r"(?P<version>(\w{999}){999})").contains("too large"));
    }

    #[test]
    fn everything_that_is_given_must_match() {
        let all = ChannelSelect {
            name_pattern: Some("(?P<version>.+)".to_owned()),
            family: Some("golden".to_owned()),
            tags: BTreeMap::from([("stage".to_owned(), "released".to_owned())]),
            image_ids: vec!["m-1".to_owned()],
        };
        let version = |select: &ChannelSelect| Selection::of(select, true).unwrap().matches(&image("a"));
        assert_eq!(version(&all), Match::Version("a".to_owned()));
        let other_tag = BTreeMap::from([("stage".to_owned(), "test".to_owned())]);
        for other in [
            ChannelSelect { family: Some("silver".to_owned()), ..all.clone() },
            ChannelSelect { tags: other_tag, ..all.clone() },
            ChannelSelect { image_ids: vec!["m-2".to_owned()], ..all.clone() },
        ] {
            assert_eq!(version(&other), Match::No, "{other:?}");
        }
        let ids = ChannelSelect { name_pattern: None, ..all.clone() };
        assert_eq!(version(&ids), Match::Version("m-1".to_owned()));
        let problem = Selection::of(&all, false).unwrap_err();
        assert_eq!(problem.reason, Reason::SelectorUnsupported);
    }

    /// An engine that tried all ways would not end before the sun does.
    #[test]
    fn no_pattern_makes_a_long_name_slow() {
        let evil = Selection::of(&by_name("(?P<version>(a*)*b|(a|aa)+c)"), true).unwrap();
        assert_eq!(evil.matches(&image(&"a".repeat(256))), Match::No);
    }

    proptest! {
        #[test]
        fn no_pattern_and_no_name_makes_the_selection_panic(pattern in ".{0,40}", inside in ".{0,20}", name in ".{0,40}") {
            for text in [pattern.clone(), format!("{pattern}(?P<version>{inside})"), format!("(?P<version>{inside}){pattern}")] {
                match Selection::of(&by_name(&text), true) {
                    Ok(selection) => drop(selection.matches(&image(&name))),
                    Err(problem) => prop_assert!(plain(&problem.message, 400) == problem.message, "{:?}", problem.message),
                }
            }
        }
    }
}
