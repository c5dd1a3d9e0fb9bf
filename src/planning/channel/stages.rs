//! The stage of each version of a channel.

use jiff::Timestamp;

use super::{ChannelTerms, Facts, Version};
use crate::api::image_channel::Stage;
use crate::domain::identifiers::ImageId;

/// When a Candidate has soaked.
pub(super) fn soaked_at(terms: &ChannelTerms, version: &Version) -> Timestamp {
    version.since.saturating_add(terms.soak).unwrap_or(Timestamp::MAX)
}

/// What stages are assigned by.
pub(super) struct Assignment<'a, F> {
    pub(super) terms: &'a ChannelTerms,
    pub(super) current: Option<&'a ImageId>,
    pub(super) facts: &'a F,
    /// The time of the last complete list, but no later than now; `None` while there is none to rely on.
    pub(super) clock: Option<Timestamp>,
    pub(super) now: Timestamp,
}

/// How a version stands among the others.
struct Standing {
    /// It is excluded or not selected.
    out: bool,
    /// A newer one is Current.
    passed: bool,
    /// How it enters, if the channel sees it for the first time.
    entry: Option<Entry>,
    /// So many newer versions are in service.
    in_service: usize,
    /// So many of them are Ready.
    ready: usize,
}

/// How a version enters a channel.
#[derive(PartialEq, Eq)]
enum Entry {
    /// Among the newest `keep`.
    Newest,
    /// It is older than those.
    Late,
}

impl<F: Facts> Assignment<'_, F> {
    /// Gives each version its stage. Versions: newest first.
    pub(super) fn assign(
        &self,
        versions: &mut [Version],
        selected: impl Fn(&Version) -> bool,
        is_new: impl Fn(&Version) -> bool,
    ) {
        // No grace begins before what is recorded: a clock that was set back must not shorten it.
        let recorded = versions.iter().flat_map(|version| [version.since, version.staged]).max();
        let (mut passed, mut place, mut in_service, mut ready) = (false, 0, 0, 0);
        for version in versions {
            let out = self.terms.exclude.contains(&version.version) || !selected(version);
            let entry = if place < self.terms.keep { Entry::Newest } else { Entry::Late };
            let entry = is_new(version).then_some(entry);
            let stage = self.stage(version, &Standing { out, passed, entry, in_service, ready });
            self.enter(version, stage, recorded);
            passed |= stage == Stage::Current;
            place += usize::from(!out);
            if matches!(stage, Stage::Current | Stage::Supported) {
                in_service += 1;
                ready += usize::from(self.facts.served(&version.image).ready == Some(true));
            }
        }
    }

    fn stage(&self, version: &Version, standing: &Standing) -> Stage {
        let terms = self.terms;
        let pinned = terms.pin.as_ref() == Some(&version.version);
        let held = || self.facts.holders(&version.image).shares > 0;
        if Some(&version.image) == self.current {
            return Stage::Current;
        }
        let enters_out = version.stage == Stage::Candidate && standing.entry.is_some() && standing.out;
        let enters_late = version.stage == Stage::Candidate && standing.entry == Some(Entry::Late) && !pinned;
        let over = (version.stage == Stage::Retired && !pinned) || enters_out || enters_late;
        if standing.out && terms.urgent.contains(&version.version) && terms.rotation.as_ref().is_none_or(|it| it.ends) {
            return if over && !held() { Stage::Retired } else { Stage::Revoking };
        }
        if over {
            // Somebody has it through an object of the channel that was made again: it ends as every other does.
            return if terms.rotation.is_some() && held() { Stage::Deprecated } else { Stage::Retired };
        }
        // One that ended at once ends no further when its exclusion is taken back.
        let passed = version.overdue_since.is_some();
        let revoking = version.stage == Stage::Revoking && terms.rotation.is_some() && passed;
        if standing.out {
            return if revoking { Stage::Revoking } else { Stage::Deprecated };
        }
        if !standing.passed {
            return Stage::Candidate;
        }
        if terms.rotation.is_none() || pinned || standing.in_service < terms.keep {
            return Stage::Supported;
        }
        match version.stage {
            Stage::Revoking if revoking => Stage::Revoking,
            Stage::Deprecated | Stage::Revoking => Stage::Deprecated,
            _ if self.is_old(version) && standing.ready >= terms.keep => Stage::Deprecated,
            _ => Stage::Supported,
        }
    }

    fn is_old(&self, version: &Version) -> bool {
        let (Some(clock), Some(rotation)) = (self.clock, &self.terms.rotation) else { return false };
        version.since.saturating_add(rotation.min_age).is_ok_and(|old| old <= clock)
    }

    /// Records the stage, and the earliest time of the next one. `recorded`: the latest time that status holds.
    fn enter(&self, version: &mut Version, stage: Stage, recorded: Option<Timestamp>) {
        let told = version.not_before.filter(|_| version.stage == stage);
        if stage != version.stage {
            (version.stage, version.staged) = (stage, self.now);
            version.overdue_since = None;
            version.blocked.clear();
        }
        version.not_before = match stage {
            Stage::Candidate => Some(soaked_at(self.terms, version)).filter(|soaked| *soaked > self.now),
            Stage::Deprecated => self.grace_end(version, told, recorded),
            _ => None,
        };
        if stage == Stage::Deprecated && version.not_before != told {
            version.overdue_since = None;
            version.blocked.clear();
        }
    }

    /// When the grace of a Deprecated version ends. It begins with a complete list, so that no wrong clock begins it in the past,
    /// and ends by the `grace` of today: an edit of it is a person's.
    fn grace_end(
        &self,
        version: &mut Version,
        told: Option<Timestamp>,
        recorded: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let rotation = self.terms.rotation.as_ref()?;
        if told.is_none() {
            let begins = self.clock?.max(recorded?);
            // As status holds it, so that what is told once is what is told again.
            version.staged = Timestamp::from_second(begins.as_second()).unwrap_or(begins);
        }
        Some(version.staged.saturating_add(rotation.grace).unwrap_or(Timestamp::MAX))
    }
}
