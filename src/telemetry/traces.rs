//! Traces, sent by OTLP over HTTP to the endpoint in the standard variables of OpenTelemetry (`OTEL_EXPORTER_OTLP_ENDPOINT` and
//! its kin); without one, nothing is sent.

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

/// Sends traces with a delay of a few seconds; dropping it sends the rest.
pub struct Export(SdkTracerProvider);

impl Export {
    /// Starts the export, if the environment names an endpoint. Errors: its address does not parse.
    pub fn begin() -> Result<Option<Self>, ExporterBuildError> {
        let named = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
        if !named.iter().any(|name| std::env::var_os(name).is_some()) {
            return Ok(None);
        }
        let exporter = SpanExporter::builder().with_http().build()?;
        let resource = Resource::builder().with_service_name(env!("CARGO_PKG_NAME")).build();
        let provider = SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter);
        Ok(Some(Self(provider.build())))
    }

    /// The layer that exports spans as traces.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> OpenTelemetryLayer<S, SdkTracer> {
        tracing_opentelemetry::layer().with_tracer(self.0.tracer(env!("CARGO_PKG_NAME")))
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            eprintln!("the last traces could not be sent: {error}");
        }
    }
}
