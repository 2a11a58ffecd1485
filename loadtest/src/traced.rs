//! Tracing as in production, except that the spans go nowhere.

use opentelemetry::global;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter},
};

/// Takes spans and forgets them.
#[derive(Debug)]
struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

/// Makes one tracer provider for the process, which samples that share of traces and exports in batches.
///
/// The sampler asks the trace id alone (`OTEL_TRACES_SAMPLER=traceidratio`), so that it also decides over traces that begin here.
pub(crate) fn start(share: f64) -> SdkTracerProvider {
    switchyard_runtime::propagate();
    let provider =
        SdkTracerProvider::builder().with_sampler(Sampler::TraceIdRatioBased(share)).with_batch_exporter(Nowhere).build();
    global::set_tracer_provider(provider.clone());
    provider
}
