//! Traces over OTLP/HTTP, configured by the standard `OTEL_*` environment variables.
//!
//! The Rust SDK reads most of them itself (endpoint, headers, timeout, batch sizes, sampler, resource attributes, service name). This
//! module adds those that it ignores, and refuses what it would silently replace:
//!
//! | variable | values |
//! |---|---|
//! | `OTEL_SDK_DISABLED` | `true`, `false` (default) |
//! | `OTEL_TRACES_EXPORTER` | `otlp`, `console` (JSON lines on standard output), `none`; default: `otlp` if an endpoint is set, else `none` |
//! | `OTEL_PROPAGATORS` | `tracecontext`, `baggage`, `none`; default: `tracecontext,baggage` |
//! | `OTEL_TRACES_SAMPLER` | the standard's own, without `jaeger_remote` and `xray`; default: `parentbased_always_on` |
//! | `OTEL_EXPORTER_OTLP[_TRACES]_PROTOCOL` | `http/protobuf` (default) |
//! | `OTEL_EXPORTER_OTLP[_TRACES]_CERTIFICATE` | a PEM file of authorities, instead of the system's, for an `https` endpoint |
//!
//! Without an endpoint nothing is exported: trying `localhost:4318` for ever would only make noise. Trace contexts are still read and
//! handed on. A collector that is away or slow never stops or delays a build.
use std::io;
use std::time::Duration;

use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::BaggagePropagator;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::warn;

use crate::collector::Collector;
use crate::export::{Console, Reported};
use crate::{
    otel_variables::{Exporter, Plan, Propagator},
    trace_context::TraceContext,
};

/// How long the last spans may take to be exported when the process ends.
const LAST_EXPORT: Duration = Duration::from_secs(5);

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A variable has a value that we do not honour.
    #[error("{variable}={value:?} is not supported: use {expected}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The exporter could not be made from its variables.
    #[error("the OTLP exporter cannot be set up")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
    /// The authorities that vouch for the collector could not be read.
    #[error("the certificates for the OTLP endpoint cannot be read")]
    Collector(#[source] io::Error),
}

/// The process's tracing, until it is stopped.
#[derive(Debug)]
#[must_use = "spans are lost unless it is stopped"]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Sets the global propagator and, if spans are to be exported, the global tracer provider, for `switchyard-<service>`.
    ///
    /// Must run inside a tokio runtime, which must live until [`Telemetry::stop`] is done.
    ///
    /// # Errors
    /// If a variable has a value that is not supported.
    pub fn start(service: &str) -> Result<Self, TelemetryError> {
        let plan = Plan::read(&|name| std::env::var(name).ok())?;
        propagate_by(plan.propagators);
        let provider = SdkTracerProvider::builder().with_resource(resource(service));
        let provider = match plan.exporter {
            Exporter::None => return Ok(Self(None)),
            Exporter::Console => provider.with_batch_exporter(Reported::new(Console)),
            Exporter::Otlp(transport) => {
                let collector = Collector::new(&transport).map_err(TelemetryError::Collector)?;
                let exporter = SpanExporter::builder().with_http().with_http_client(collector).build();
                let exporter = exporter.map_err(TelemetryError::Exporter)?;
                provider.with_batch_exporter(Reported::new(exporter))
            }
        }
        .build();
        global::set_tracer_provider(provider.clone());
        Ok(Self(Some(provider)))
    }

    /// Exports what is left, for at most five seconds. Must run inside the same runtime.
    pub async fn stop(self) {
        let Some(provider) = self.0 else { return };
        // Exporting blocks its caller, and can deadlock with a runtime of one thread.
        let stopping = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST_EXPORT));
        match tokio::time::timeout(LAST_EXPORT, stopping).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => warn!(%error, "the last spans may be lost"),
            Ok(Err(_)) | Err(_) => warn!("the last spans are lost: exporting took too long"),
        }
    }
}

/// Who sends these spans. What `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` say wins.
fn resource(service: &str) -> Resource {
    let host = crate::connection::host();
    let ours = Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", format!("switchyard-{service}")),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", format!("{host}-{}", std::process::id())),
            KeyValue::new("host.name", host),
            KeyValue::new("process.pid", i64::from(std::process::id())),
        ])
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match std::env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => ours.with_service_name(name).build(),
        _ => ours.build(),
    }
}

/// Propagates traces as a service does for which `OTEL_PROPAGATORS` is not set.
pub fn propagate() {
    propagate_by(Propagator::STANDARD.to_vec());
}

fn propagate_by(propagators: Vec<Propagator>) {
    global::set_text_map_propagator(TextMapCompositePropagator::new(propagators.into_iter().map(propagator).collect()));
}

fn propagator(propagator: Propagator) -> Box<dyn TextMapPropagator + Send + Sync> {
    match propagator {
        Propagator::TraceContext => Box::new(TraceContext::default()),
        Propagator::Baggage => Box::new(BaggagePropagator::new()),
    }
}
