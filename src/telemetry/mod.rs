//! Logs, metrics and health of the running operator. Other modules supply the data.

pub mod logging;
pub mod metrics;
pub mod object_metrics;
pub mod serve;
#[cfg(feature = "otlp")]
pub mod traces;
