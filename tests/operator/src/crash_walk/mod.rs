//! The crash walk over any cloud: what is walked where is told in `tests/crash_walk`.

pub mod deed;
pub mod stage;
pub mod walk;
pub mod world;
