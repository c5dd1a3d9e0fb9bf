//! What the operator tells about itself while it runs: logs, metrics, health. It is told what to tell.

pub mod logging;
pub mod metrics;
pub mod object_metrics;
pub mod serve;
#[cfg(feature = "otlp")]
pub mod traces;
