//! Nobody can point the operator at a host it was not started to call: neither by an account's endpoint, nor by what a cloud
//! answers. Judged at the socket: a door stands where each trick leads to, and counts who comes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod clients;
mod door;
mod operator;
#[path = "../support/mod.rs"]
mod support;
mod tricks;
