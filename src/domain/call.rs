//! What a call carries and what it returns, in terms that `planning` uses too. No client, no vendor.

use super::fault::Fault;
use super::identifiers::{ImageId, JobId, Recipient};

/// Which calls go first when a budget is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Periodic drift check of a settled object: leaves half of the burst to the other priorities and does not wait to
    /// begin.
    Resync,
    /// Answers an offer.
    Acceptance,
    /// A user changed the desired state.
    Edit,
    /// Ends access.
    Revoke,
}

impl Priority {
    /// The priority of the calls after the first one: half an observation is worth nothing, so a resync that has begun
    /// waits for tokens. Otherwise two of them would take each other's calls forever.
    #[must_use]
    pub fn escalate(self) -> Self {
        self.max(Self::Acceptance)
    }
}

/// What one call changes. Within `Cloud::call_shape`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecipientChange {
    /// Recipients to add.
    pub add: Vec<Recipient>,
    /// Recipients to remove.
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

/// The cloud's response to a call that changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// The cloud reports it as done.
    Done,
    /// A job carries it out. The job reports its result; only a read proves it.
    Job(JobId),
}

/// The progress of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobProgress {
    /// Not ended.
    Running,
    /// It reports success, or the cloud does not know it any more: only a read proves what it did.
    Ended,
    /// It failed, perhaps after a part of its work.
    Failed(Fault),
}

/// The cloud's answer to a request for a copy: what makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copying {
    /// The new image, still incomplete.
    Image(ImageId),
    /// The job that makes it.
    Job(JobId),
}

/// The progress of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyProgress {
    /// In progress at the cloud.
    Running {
        /// The part that is done, in percent, where the cloud reports it.
        percent: Option<u8>,
    },
    /// The image exists without content; this process writes the content (`CopyMeans::Stream`).
    Empty,
    /// The copy exists and can be used.
    Made(ImageId),
    /// It failed; parts of it may still exist.
    Failed(Fault),
    /// Nothing of it exists.
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
