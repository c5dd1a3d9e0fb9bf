//! Bugs that are planted to score the fault campaign: their table, `tests/planted/bugs.yaml`, and how one is planted.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

/// One bug.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// What it is called in the score.
    pub name: String,
    /// Which invariant or promise it breaks, and how.
    pub breaks: String,
    /// Where it is planted, from the workspace's folder.
    pub file: String,
    /// What stands there, once in the file.
    pub found: String,
    /// What stands there instead.
    pub planted: String,
    /// The seed whose campaign is known to find it, and is tried first.
    pub seed: Option<u64>,
    /// Who finds it, where no campaign can.
    pub test: Option<Test>,
}

/// A test of the suite.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// `lib`, or the name of a test binary of the operator's package.
    pub target: String,
    /// Its name with its modules.
    pub name: String,
}

impl Bug {
    /// The source with the bug in it.
    ///
    /// Fails where its place is not there, or there are several, or nothing would change.
    pub fn plant(&self, source: &str) -> Result<String> {
        let places = source.matches(&self.found).count();
        ensure!(places == 1, "{}: {places} times in {}: {}", self.name, self.file, self.found);
        ensure!(self.found != self.planted, "{}: nothing changes", self.name);
        Ok(source.replacen(&self.found, &self.planted, 1))
    }
}

/// All bugs, in the order of the table.
pub fn table(workspace: &Path) -> Result<Vec<Bug>> {
    let path = workspace.join("tests/planted/bugs.yaml");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_yaml::from_str(&text).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn bug(found: &str, planted: &str) -> Bug {
        let text = |text: &str| text.to_owned();
        let (name, breaks, file) = (text("bug"), text("nothing"), text("src/lib.rs"));
        Bug { name, breaks, file, found: text(found), planted: text(planted), seed: None, test: None }
    }

    #[test]
    fn a_bug_takes_the_place_of_what_it_names_and_of_nothing_else() {
        assert_eq!(bug("b", "B").plant("abc").unwrap(), "aBc");
        assert_eq!(bug("b", "").plant("abc").unwrap(), "ac");
    }

    #[test]
    fn a_place_that_is_not_there_or_not_the_only_one_is_none() {
        for (source, planted) in [("ac", "B"), ("abcb", "B"), ("abc", "b")] {
            assert!(bug("b", planted).plant(source).is_err(), "{source}");
        }
    }
}
