//! Where finished spans go: to a collector, with failures said at most once a minute, or to standard output.
use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use serde_json::{Value, json};
use tracing::warn;

use crate::seldom::Seldom;

/// Hands spans on and says, now and then, when that fails. Spans that were not exported are gone: builds go on.
#[derive(Debug)]
pub(crate) struct Reported<E> {
    exporter: E,
    seldom: Seldom,
}

impl<E> Reported<E> {
    pub(crate) fn new(exporter: E) -> Self {
        Self { exporter, seldom: Seldom::every(Duration::from_mins(1)) }
    }
}

impl<E: SpanExporter> SpanExporter for Reported<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.exporter.export(batch).await;
        if let Err(error) = &result
            && let Some(failed_before) = self.seldom.may_say("export", Instant::now())
        {
            let failed_before = (failed_before > 0).then_some(failed_before);
            warn!(%error, spans, failed_before, "spans not exported");
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Writes each span as one JSON object on a line of standard output, for looking at them without a collector.
#[derive(Debug)]
pub(crate) struct Console;

impl SpanExporter for Console {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut output = std::io::stdout().lock();
        let written = batch.iter().try_for_each(|span| writeln!(output, "{}", line(span)));
        written.map_err(|error| OTelSdkError::InternalFailure(error.to_string()))
    }
}

fn line(span: &SpanData) -> Value {
    let attributes: serde_json::Map<String, Value> =
        span.attributes.iter().map(|attribute| (attribute.key.to_string(), attribute.value.to_string().into())).collect();
    json!({
        "name": span.name,
        "kind": format!("{:?}", span.span_kind).to_lowercase(),
        "trace_id": span.span_context.trace_id().to_string(),
        "span_id": span.span_context.span_id().to_string(),
        "parent_span_id": span.parent_span_id.to_string(),
        "start_unix_ms": unix_milliseconds(span.start_time),
        "end_unix_ms": unix_milliseconds(span.end_time),
        "links": span.links.iter().map(|link| link.span_context.trace_id().to_string()).collect::<Vec<_>>(),
        "attributes": attributes,
        "status": format!("{:?}", span.status),
    })
}

fn unix_milliseconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1e3)
}
