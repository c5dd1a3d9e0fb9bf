//! What a call carries and what comes back, in plain words that planning speaks too. No client, no vendor.

use super::fault::Fault;
use super::identifiers::{ImageId, JobId, Recipient};

/// Which calls go first when a budget is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Looking again at what should be at rest: leaves half of the burst to the others and never waits to begin.
    Resync,
    /// Somebody answers an offer.
    Acceptance,
    /// Somebody changed a wish.
    Edit,
    /// Access must end.
    Revoke,
}

impl Priority {
    /// The lane of the calls that complete what the first one began: half a look is worth nothing, so a look around waits
    /// once it has begun. Two of them would otherwise take each other's calls for ever.
    #[must_use]
    pub fn escalate(self) -> Self {
        self.max(Self::Acceptance)
    }
}

/// What one call changes. Within `Cloud::call_shape`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecipientChange {
    /// To be added.
    pub add: Vec<Recipient>,
    /// To be removed.
    pub remove: Vec<Recipient>,
}

/// What one call may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallShape {
    /// How many recipients one call may add, or remove.
    pub recipients: usize,
    /// Whether one call may add as many and remove as many.
    pub both_ways: bool,
}

/// What the cloud did with a call that changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// It is done, as far as the cloud says.
    Done,
    /// A job carries it out; what became of it is told by the job, and proven by reading.
    Job(JobId),
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobProgress {
    /// Not ended.
    Running,
    /// It says that it succeeded, or the cloud does not know it any more: only a read proves what it did.
    Ended,
    /// It failed, perhaps after a part of its work.
    Failed(Fault),
}

/// What makes a copy, as the cloud answered when it was asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copying {
    /// The new image, not yet whole.
    Image(ImageId),
    /// A job that makes it.
    Job(JobId),
}

/// How far a copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyProgress {
    /// Under way at the cloud.
    Running {
        /// How much of it is made, in hundredths, where the cloud tells.
        percent: Option<u8>,
    },
    /// It is there without content, which is ours to write (`CopyMeans::Stream`).
    Empty,
    /// The copy is there and can be used.
    Made(ImageId),
    /// It failed; something of it may still be there.
    Failed(Fault),
    /// Nothing of it is there.
    Gone,
}

#[cfg(test)]
mod tests {
    use super::Priority;

    #[test]
    fn a_look_that_has_begun_waits_for_its_turn_and_nothing_loses_its_place() {
        assert_eq!(Priority::Resync.escalate(), Priority::Acceptance);
        for priority in [Priority::Acceptance, Priority::Edit, Priority::Revoke] {
            assert_eq!(priority.escalate(), priority);
        }
    }
}
