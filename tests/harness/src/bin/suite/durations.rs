//! How long each test program took the last time, so that the slowest start first and none of them is left for the end.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::programs::Program;

#[derive(Debug)]
pub(crate) struct Durations {
    file: PathBuf,
    seconds: BTreeMap<String, f64>,
}

impl Durations {
    /// Those of a file; none where it is missing or unreadable.
    pub(crate) fn read(file: PathBuf) -> Self {
        let text = fs::read_to_string(&file).unwrap_or_default();
        Self { seconds: serde_json::from_str(&text).unwrap_or_default(), file }
    }

    /// Sorts programs by how long they took; first those of which nothing is known.
    pub(crate) fn slowest_first(&self, programs: &mut [Program]) {
        programs.sort_by(|one, other| {
            let [one_took, other_took] = [one, other].map(|program| self.expected(&program.name));
            other_took.total_cmp(&one_took).then_with(|| one.name.cmp(&other.name))
        });
    }

    fn expected(&self, name: &str) -> f64 {
        self.seconds.get(name).copied().unwrap_or(f64::INFINITY)
    }

    pub(crate) fn note(&mut self, name: &str, took: Duration) {
        self.seconds.insert(name.to_owned(), took.as_secs_f64());
    }

    pub(crate) fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.seconds)?;
        fs::write(&self.file, text).with_context(|| format!("writing {}", self.file.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_slowest_start_first_and_before_them_those_of_which_nothing_is_known() {
        let mut durations = Durations { file: PathBuf::new(), seconds: BTreeMap::new() };
        durations.note("quick", Duration::from_secs(1));
        durations.note("slow", Duration::from_secs(100));
        let program = |name: &str| Program { name: name.to_owned(), command: Command::new("true") };
        let mut programs = ["quick", "new", "slow", "another"].map(program);
        durations.slowest_first(&mut programs);
        assert_eq!(programs.map(|program| program.name), ["another", "new", "slow", "quick"]);
    }
}
