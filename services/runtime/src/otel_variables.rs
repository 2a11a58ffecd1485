//! What the `OTEL_*` variables ask for, as far as the SDK does not read them itself or would replace a value in silence.
use std::path::PathBuf;
use std::time::Duration;

use crate::TelemetryError;

/// What the variables ask for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) exporter: Exporter,
    pub(crate) propagators: Vec<Propagator>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exporter {
    None,
    Console,
    Otlp(Transport),
}

/// How to reach the collector, as far as the SDK leaves it to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transport {
    pub(crate) tls: bool,
    /// The authorities that may vouch for it, instead of the system's.
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagator {
    TraceContext,
    Baggage,
}

impl Propagator {
    /// Those that OpenTelemetry wants where none is named.
    pub(crate) const STANDARD: [Self; 2] = [Self::TraceContext, Self::Baggage];
}

impl Plan {
    pub(crate) fn read(variable: &dyn Fn(&'static str) -> Option<String>) -> Result<Self, TelemetryError> {
        // The specification: an empty value is the same as none.
        let variable = |name| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let propagators = propagators(&variable)?;
        let exporter = if disabled(&variable)? { Exporter::None } else { exporter(&variable)? };
        if exporter != Exporter::None {
            sampler(&variable)?;
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
        None if endpoint().is_some() => Ok(Exporter::Otlp(transport(variable)?)),
        None | Some("none") => Ok(Exporter::None),
        Some("console") => Ok(Exporter::Console),
        Some("otlp") => Ok(Exporter::Otlp(transport(variable)?)),
        Some(other) => {
            Err(TelemetryError::Variable { variable: NAME, value: other.to_owned(), expected: "otlp, console or none" })
        }
    }
}

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

fn transport(variable: &impl Fn(&'static str) -> Option<String>) -> Result<Transport, TelemetryError> {
    let first = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, variable(name)?)));
    let refuse = |variable, value, expected| Err(TelemetryError::Variable { variable, value, expected });
    match first(["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"]) {
        Some((name, value)) if value != "http/protobuf" => return refuse(name, value, "http/protobuf, usually on port 4318"),
        _ => {}
    }
    for name in ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"] {
        if let Some(value) = variable(name) {
            return refuse(name, value, "a header instead, with OTEL_EXPORTER_OTLP_HEADERS");
        }
    }
    let tls = match first(ENDPOINTS) {
        Some((_, url)) if url.starts_with("https://") => true,
        Some((name, url)) if !url.starts_with("http://") => return refuse(name, url, "http://HOST:4318 or https://HOST"),
        _ => false,
    };
    let authorities = first(["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"]);
    let timeout = match first(["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"]) {
        None => Duration::from_secs(10),
        Some((name, value)) => match value.parse() {
            Ok(milliseconds) => Duration::from_millis(milliseconds),
            Err(_) => return refuse(name, value, "a whole number of milliseconds"),
        },
    };
    Ok(Transport { tls, authorities: authorities.map(|(_, file)| file.into()), timeout })
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
    let Some(value) = variable(NAME) else { return Ok(Propagator::STANDARD.to_vec()) };
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
            assert_eq!(plan(&[(name, "http://collector:4318")]).unwrap().exporter, otlp(false, 10), "{name}");
        }
        assert_eq!(plan(&[("OTEL_TRACES_EXPORTER", "otlp")]).unwrap().exporter, otlp(false, 10));
    }

    #[test]
    fn what_is_said_of_traces_wins_over_what_is_said_of_everything() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector/v1/traces"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2000"),
        ];
        assert_eq!(plan(&variables).unwrap().exporter, otlp(true, 2));
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
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "client.pem"),
        ] {
            let error = plan(&[endpoint, (variable, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{variable}={value:?} is not supported: use ")), "{error}");
        }
        let error = plan(&[endpoint, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "7")]).unwrap_err();
        assert!(error.to_string().starts_with("OTEL_TRACES_SAMPLER_ARG="), "{error}");
    }

    fn otlp(tls: bool, seconds: u64) -> Exporter {
        Exporter::Otlp(Transport { tls, authorities: None, timeout: Duration::from_secs(seconds) })
    }

    fn plan(variables: &[(&str, &str)]) -> Result<Plan, TelemetryError> {
        Plan::read(&|name| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned()))
    }
}
