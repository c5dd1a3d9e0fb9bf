//! Every choice the operator makes, as pure functions: no clock, no randomness, no I/O, nothing async. Time comes in as
//! an argument. What is decided here is carried out by `controllers`, which decide nothing.

pub mod acceptance;
pub mod admission;
pub mod attempts;
pub mod batch;
pub mod deletion;
pub mod desired;
pub mod duplicates;
mod guests;
pub mod inventory;
pub mod lease;
pub mod ledger;
pub mod outcome;
pub mod problem;
pub mod projection;
pub mod replica;
pub mod schedule;
pub mod secret;
pub mod sharing;
mod slots;
pub mod unreadable;
pub mod unseen;
pub mod urgency;
