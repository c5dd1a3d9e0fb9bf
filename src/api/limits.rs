//! Upper bounds of texts and lists, shared by the schemas and the planner, so that no object outgrows etcd and no rule
//! outgrows the API server's cost limit.

/// Recipients one `ImageShare` may name.
pub const RECIPIENTS_PER_SHARE_MAX: usize = 1000;

/// `ImageShares` one `CloudImage` serves; further ones wait with `TooManyShares`.
pub const SHARES_PER_IMAGE_MAX: usize = 500;

/// Recipients nobody here asked for that status lists; the rest are only counted.
pub const UNMANAGED_LISTED_MAX: usize = 200;

/// Characters of a share's reconcile request that its image's status repeats.
pub const REQUEST_CHARS_MAX: usize = 64;

/// Names listed in one message before "and N more".
pub const NAMES_PER_MESSAGE_MAX: usize = 5;

/// Recipients that one event names; the rest are counted. The audit log names all.
pub const NAMES_PER_EVENT_MAX: usize = 20;

/// Characters of a recipient's name.
pub const RECIPIENT_NAME_CHARS_MAX: usize = 63;
