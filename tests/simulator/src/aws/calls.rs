//! The calls of EC2, by what they are about.

pub(super) mod copies;
pub(super) mod images;
pub(super) mod lifecycle;
pub(super) mod permissions;
pub(super) mod regions;
pub(super) mod snapshots;
pub(super) mod tags;
pub(super) mod usage;
