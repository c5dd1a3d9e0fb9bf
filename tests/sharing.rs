//! Sharing an image, end to end: a real API server, the operator as a process, and the cloud's journal as the judge.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "sharing/consent.rs"]
mod consent;
#[path = "sharing/foreign.rs"]
mod foreign;
#[path = "sharing/frugality.rs"]
mod frugality;
#[path = "sharing/leaving.rs"]
mod leaving;
#[path = "sharing/overlap.rs"]
mod overlap;
#[path = "sharing/places.rs"]
mod places;
#[path = "sharing/refused.rs"]
mod refused;
#[path = "sharing/retaining.rs"]
mod retaining;
mod support;
#[path = "sharing/unknown.rs"]
mod unknown;
#[path = "sharing/vanished.rs"]
mod vanished;
#[path = "sharing/visible.rs"]
mod visible;
