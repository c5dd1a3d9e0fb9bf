//! What the operator tells about itself while it runs: logs, metrics, health. It is told what to tell.

pub mod census;
pub mod logging;
pub mod metrics;
pub mod serve;
