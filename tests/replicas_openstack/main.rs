//! Copies of images at real Keystones and Glances: made, taken over from others, interrupted in every way and ended. Judged
//! by what Glance itself says: which images a project has, and what is proven of their content.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod copies;
mod ends;
mod interrupted;
mod memory;
mod received;
mod refusals;
mod scene;
mod stage;
#[path = "../support/mod.rs"]
mod support;
