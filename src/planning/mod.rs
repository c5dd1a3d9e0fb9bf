//! Every choice the operator makes, as pure functions: no clock, no randomness, no I/O, nothing async. Time comes in as
//! an argument. What is decided here is carried out by `controllers`, which decide nothing.

pub mod acceptance;
pub mod admission;
pub mod aftermath;
pub mod attempts;
pub mod deletion;
pub mod duplicates;
pub mod exchange;
mod guests;
pub mod inventory;
pub mod lease;
pub mod ledger;
mod places;
pub mod projection;
pub mod replica;
pub mod schedule;
pub mod secret;
pub mod sharing;
pub mod trouble;
pub mod unreadable;
pub mod unseen;
pub mod urgency;
pub mod wishes;
