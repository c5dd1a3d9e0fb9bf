//! What nobody has to wait for, and what costs one edit: a typo is corrected in place; what one side of an offer does is known to
//! the other side in the same cluster; a changed Secret is in force within seconds. Every interval of the operator is an hour
//! here: only what happens moves it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code
)]

#[path = "../receiving/arena.rs"]
mod arena;
mod corrections;
#[path = "../receiving/huawei.rs"]
mod huawei;
mod offers;
mod secrets;
mod stage;
#[path = "../support/mod.rs"]
mod support;
