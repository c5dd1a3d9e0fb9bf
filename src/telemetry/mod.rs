//! What the operator tells about itself while it runs: logs. No metrics yet.

pub mod logging;
