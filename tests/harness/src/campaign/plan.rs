//! The plan of a campaign: wishes and faults with their times. It is data, and a pure function of seed and length.

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::digest;

use super::author::Author;
use super::fault::{self, Fault};
use super::wish::{Standing, Wish};

/// What is done at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Deed {
    Wish(Wish),
    /// Somebody changes who has an image, behind the operator's back.
    ByHand(ByHand),
    Fault(Fault),
}

/// A change of who has an image, around everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ByHand {
    pub(super) huawei: bool,
    pub(super) image: String,
    pub(super) add: Vec<String>,
    pub(super) remove: Vec<String>,
}

/// One deed and its time, in milliseconds since the beginning.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) at: u64,
    pub(super) deed: Deed,
}

/// Everything that is to be done, in the order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    seed: u64,
    pub(super) steps: Vec<Step>,
}

impl Plan {
    /// The plan of this seed for so long.
    pub fn of(seed: u64, length: Duration) -> Self {
        let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let mut steps = Author::new(seed).write(length);
        steps.extend(fault::draw(seed, length));
        steps.sort_by_key(|step| step.at);
        Self { seed, steps }
    }

    /// By which two plans are told apart.
    pub fn hash(&self) -> String {
        let hash = digest::digest(&digest::SHA256, format!("{:?}", self.steps).as_bytes());
        hex(hash.as_ref()).chars().take(16).collect()
    }

    /// Seed, hash and size.
    pub fn title(&self) -> String {
        let faults = self.steps.iter().filter(|step| matches!(step.deed, Deed::Fault(_))).count();
        let wishes = self.wishes().count();
        format!("seed {} (plan {}): {wishes} wishes, {faults} faults", self.seed, self.hash())
    }

    pub(super) fn wishes(&self) -> impl Iterator<Item = &Wish> {
        self.steps.iter().filter_map(|step| if let Deed::Wish(wish) = &step.deed { Some(wish) } else { None })
    }

    pub(super) fn by_hand(&self) -> impl Iterator<Item = &ByHand> {
        self.steps.iter().filter_map(|step| if let Deed::ByHand(change) = &step.deed { Some(change) } else { None })
    }

    /// What stands when all wishes were made.
    pub(super) fn standing(&self) -> Standing {
        Standing::after(self.wishes())
    }
}

/// Bytes in lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a text cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(60);

    #[test]
    fn a_seed_has_one_plan_and_another_seed_another() {
        let plan = Plan::of(7, LENGTH);
        assert_eq!(plan, Plan::of(7, LENGTH));
        assert_eq!(plan.hash(), Plan::of(7, LENGTH).hash());
        assert_ne!(plan.hash(), Plan::of(8, LENGTH).hash());
    }
}
