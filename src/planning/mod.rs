//! All decisions of the operator, as pure functions: no clock, no randomness, no I/O, nothing async. Time is an
//! argument. `controllers` carry the decisions out and make none.

pub mod acceptance;
pub mod access;
pub mod admission;
pub mod attempts;
pub mod batch;
pub mod channel;
pub mod channel_share;
pub mod copies;
pub mod deletion;
pub mod desired;
pub mod duplicates;
pub mod grace;
mod guests;
pub mod inventory;
pub mod lease;
pub mod ledger;
pub mod naming;
pub mod outcome;
pub mod problem;
pub mod projection;
pub mod replica;
pub mod schedule;
pub mod secret;
pub mod sharing;
pub mod spelling;
pub mod unreadable;
pub mod unseen;
pub mod urgency;
