//! The controllers: one folder a kind, how they run (`run`, `startup`), and what enqueues objects (`triggers`).

pub mod acceptance;
pub mod channel_share;
pub mod cloud_account;
pub mod cloud_image;
pub mod image_channel;
pub mod image_replica;
pub mod image_share;
pub mod outdated;
pub mod run;
mod secrets;
mod startup;
mod triggers;
