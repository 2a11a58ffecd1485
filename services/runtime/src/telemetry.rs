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
//!
//! Without an endpoint nothing is exported: trying `localhost:4318` for ever would only make noise. Trace contexts are still read and
//! handed on. A collector that is away or slow never stops or delays a build.
use std::time::Duration;

use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::warn;

use crate::export::{Console, Reported};

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
}

/// The process's tracing, until it is stopped.
#[derive(Debug)]
#[must_use = "spans are lost unless it is stopped"]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Sets the global propagator and, if spans are to be exported, the global tracer provider, for `switchyard-<service>`.
    ///
    /// # Errors
    /// If a variable has a value that is not supported.
    pub fn start(service: &str) -> Result<Self, TelemetryError> {
        let plan = Plan::read(&|name| std::env::var(name).ok())?;
        global::set_text_map_propagator(TextMapCompositePropagator::new(
            plan.propagators.into_iter().map(Propagator::make).collect(),
        ));
        let provider = SdkTracerProvider::builder().with_resource(resource(service));
        let provider = match plan.exporter {
            Exporter::None => return Ok(Self(None)),
            Exporter::Console => provider.with_batch_exporter(Reported::new(Console)),
            Exporter::Otlp => {
                let exporter = SpanExporter::builder().with_http().build().map_err(TelemetryError::Exporter)?;
                provider.with_batch_exporter(Reported::new(exporter))
            }
        }
        .build();
        global::set_tracer_provider(provider.clone());
        Ok(Self(Some(provider)))
    }

    /// Exports what is left, for at most five seconds. Must run inside a tokio runtime.
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

/// What the variables ask for.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    exporter: Exporter,
    propagators: Vec<Propagator>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exporter {
    None,
    Console,
    Otlp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Propagator {
    TraceContext,
    Baggage,
}

impl Propagator {
    fn make(self) -> Box<dyn TextMapPropagator + Send + Sync> {
        match self {
            Self::TraceContext => Box::new(TraceContextPropagator::new()),
            Self::Baggage => Box::new(BaggagePropagator::new()),
        }
    }
}

impl Plan {
    fn read(variable: &dyn Fn(&'static str) -> Option<String>) -> Result<Self, TelemetryError> {
        // The specification: an empty value is the same as none.
        let variable = |name| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let propagators = propagators(&variable)?;
        let exporter = if disabled(&variable)? { Exporter::None } else { exporter(&variable)? };
        if exporter != Exporter::None {
            sampler(&variable)?;
        }
        if exporter == Exporter::Otlp {
            transport(&variable)?;
        }
        Ok(Self { exporter, propagators })
    }
}

fn disabled(variable: &impl Fn(&'static str) -> Option<String>) -> Result<bool, TelemetryError> {
    const NAME: &str = "OTEL_SDK_DISABLED";
    match variable(NAME) {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
        Some(value) => Err(TelemetryError::Variable { variable: NAME, value, expected: "true or false" }),
    }
}

fn exporter(variable: &impl Fn(&'static str) -> Option<String>) -> Result<Exporter, TelemetryError> {
    const NAME: &str = "OTEL_TRACES_EXPORTER";
    let endpoint = || ENDPOINTS.into_iter().find_map(variable);
    match variable(NAME).as_deref() {
        None => Ok(if endpoint().is_some() { Exporter::Otlp } else { Exporter::None }),
        Some("none") => Ok(Exporter::None),
        Some("console") => Ok(Exporter::Console),
        Some("otlp") => Ok(Exporter::Otlp),
        Some(other) => {
            Err(TelemetryError::Variable { variable: NAME, value: other.to_owned(), expected: "otlp, console or none" })
        }
    }
}

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

fn transport(variable: &impl Fn(&'static str) -> Option<String>) -> Result<(), TelemetryError> {
    let refuse = |variable, value, expected| Err(TelemetryError::Variable { variable, value, expected });
    for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
        match variable(name) {
            Some(value) if value != "http/protobuf" => return refuse(name, value, "http/protobuf, usually on port 4318"),
            _ => {}
        }
    }
    for name in ENDPOINTS {
        match variable(name) {
            Some(value) if !value.starts_with("http://") => {
                return refuse(name, value, "http://HOST:4318, a collector nearby that speaks TLS for you");
            }
            _ => {}
        }
    }
    Ok(())
}

fn sampler(variable: &impl Fn(&'static str) -> Option<String>) -> Result<(), TelemetryError> {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    const KNOWN: &str =
        "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or parentbased_traceidratio";
    match variable(NAME).as_deref() {
        None | Some("always_on" | "always_off" | "parentbased_always_on" | "parentbased_always_off") => Ok(()),
        Some("traceidratio" | "parentbased_traceidratio") => match variable(ARGUMENT) {
            Some(value) if !value.parse().is_ok_and(|ratio: f64| (0.0..=1.0).contains(&ratio)) => {
                Err(TelemetryError::Variable { variable: ARGUMENT, value, expected: "a number from 0 to 1" })
            }
            _ => Ok(()),
        },
        Some(other) => Err(TelemetryError::Variable { variable: NAME, value: other.to_owned(), expected: KNOWN }),
    }
}

fn propagators(variable: &impl Fn(&'static str) -> Option<String>) -> Result<Vec<Propagator>, TelemetryError> {
    const NAME: &str = "OTEL_PROPAGATORS";
    let Some(value) = variable(NAME) else { return Ok(vec![Propagator::TraceContext, Propagator::Baggage]) };
    let mut found = Vec::new();
    for name in value.split(',').map(str::trim) {
        let propagator = match name {
            "none" => continue,
            "tracecontext" => Propagator::TraceContext,
            "baggage" => Propagator::Baggage,
            _ => return Err(TelemetryError::Variable { variable: NAME, value, expected: "tracecontext, baggage or none" }),
        };
        if !found.contains(&propagator) {
            found.push(propagator);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_exported_unless_an_endpoint_is_named() {
        assert_eq!(plan(&[]).unwrap().exporter, Exporter::None);
        assert_eq!(plan(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).unwrap().exporter, Exporter::None);
        for name in ENDPOINTS {
            assert_eq!(plan(&[(name, "http://collector:4318")]).unwrap().exporter, Exporter::Otlp, "{name}");
        }
        assert_eq!(plan(&[("OTEL_TRACES_EXPORTER", "otlp")]).unwrap().exporter, Exporter::Otlp);
    }

    #[test]
    fn a_disabled_sdk_exports_nothing_but_still_hands_contexts_on() {
        let disabled = plan(&[("OTEL_SDK_DISABLED", "True"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")]).unwrap();
        assert_eq!(disabled, Plan { exporter: Exporter::None, propagators: vec![Propagator::TraceContext, Propagator::Baggage] });
    }

    #[test]
    fn propagators_are_those_that_are_named() {
        assert_eq!(plan(&[("OTEL_PROPAGATORS", "none")]).unwrap().propagators, []);
        let named = plan(&[("OTEL_PROPAGATORS", "baggage, tracecontext,baggage")]).unwrap().propagators;
        assert_eq!(named, [Propagator::Baggage, Propagator::TraceContext]);
    }

    #[test]
    fn a_value_that_is_not_honoured_is_an_error_that_names_it() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        for (variable, value) in [
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_SDK_DISABLED", "maybe"),
            ("OTEL_PROPAGATORS", "tracecontext,b3"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317"),
        ] {
            let error = plan(&[endpoint, (variable, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{variable}={value:?} is not supported: use ")), "{error}");
        }
        let error = plan(&[endpoint, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "7")]).unwrap_err();
        assert!(error.to_string().starts_with("OTEL_TRACES_SAMPLER_ARG="), "{error}");
    }

    fn plan(variables: &[(&str, &str)]) -> Result<Plan, TelemetryError> {
        Plan::read(&|name| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned()))
    }
}
