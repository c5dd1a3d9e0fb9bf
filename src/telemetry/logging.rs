//! Logs: one line per entry, to standard error; no entry contains anything from a Secret.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter does not parse.
    #[error("--log: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The endpoint for traces does not parse.
    #[cfg(feature = "otlp")]
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Traces(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Logging was started before.
    #[error("logging was started before")]
    Started(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps logs and traces running; dropping it sends the remaining entries.
#[must_use]
pub struct Logging {
    #[cfg(feature = "otlp")]
    _traces: Option<super::traces::Export>,
}

/// The client library logs failed watches as dumps and for each attempt, which the operator tells in its own words, and puts a
/// span of its own around each reconcile. The audit log is complete whatever the level of the other entries. Only a user's filter
/// that names one of the two changes it.
fn with_defaults(filter: &str) -> String {
    format!("kube_runtime=error,audit=info,{filter}")
}

/// Starts logging, and traces where they are built in and configured. `filter`: for example `info` or
/// `info,imageshare_operator=debug`.
pub fn start(filter: &str, format: LogFormat) -> Result<Logging, LoggingError> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().with_span_list(false).boxed(),
    };
    let all = tracing_subscriber::registry().with(EnvFilter::try_new(with_defaults(filter))?).with(lines);
    #[cfg(feature = "otlp")]
    {
        let traces = super::traces::Export::begin()?;
        all.with(traces.as_ref().map(super::traces::Export::layer)).try_init()?;
        Ok(Logging { _traces: traces })
    }
    #[cfg(not(feature = "otlp"))]
    {
        all.try_init()?;
        Ok(Logging {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_log_is_on_unless_its_own_target_is_set() {
        let directives = |filter: &str| EnvFilter::try_new(with_defaults(filter)).unwrap().to_string();
        assert!(directives("warn").contains("audit=info") && directives("warn").contains("warn"));
        assert!(directives("off,imageshare_operator=debug").contains("audit=info"));
        let off = directives("info,audit=off");
        assert!(off.contains("audit=off") && !off.contains("audit=info"), "{off}");
        assert!(EnvFilter::try_new(with_defaults("info;rm=-1")).is_err());
    }
}
