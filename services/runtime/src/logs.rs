//! Log lines on standard error, for people or as JSON, each with the trace it belongs to.
//!
//! The trace is that of [`opentelemetry::Context::current`], looked up only when a line is written, so that a message which logs nothing
//! pays nothing. Spans of `tracing` are not used and not shown.
use std::fmt::{self, Debug, Write as _};
use std::io::IsTerminal;

use opentelemetry::trace::TraceContextExt;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::registry::LookupSpan;

/// Libraries whose lines would repeat ours. A filter that names one of them wins over this.
const QUIET: &str =
    "async_nats=off,hyper=warn,hyper_util=warn,reqwest=warn,opentelemetry=warn,opentelemetry_sdk=warn,opentelemetry-otlp=off";

/// The names that every JSON line has; an event's own field of such a name gets an underscore.
const OURS: [&str; 5] = ["timestamp", "level", "target", "message", "service"];

/// What is logged, and how it looks.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Logs", about = None, long_about = None)]
pub struct LogSettings {
    /// How log lines look.
    #[arg(long, env = "SWITCHYARD_LOG_FORMAT", value_enum, default_value = "human", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// What to log: off, error, warn, info, debug or trace, also per module: `info,switchyard_router=debug`.
    #[arg(long = "log", env = "SWITCHYARD_LOG", default_value = "info", value_name = "FILTER", value_parser = filter_text)]
    pub log_filter: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line for people; in colour on a terminal, unless `NO_COLOR` is set.
    Human,
    /// One JSON object per line.
    Json,
}

/// Sends log lines of the whole process to standard error, and panics too.
pub(crate) fn start(service: &'static str, settings: &LogSettings) -> anyhow::Result<()> {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        // A reader of standard error that went away must not end us: the report of it would panic.
        .log_internal_errors(false)
        .with_env_filter(filter(&settings.log_filter)?)
        .event_format(Line { service, format: settings.log_format, colour })
        .finish();
    tracing::subscriber::set_global_default(subscriber)?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked: {}", panic.payload_as_str().unwrap_or("without a message"));
    }));
    Ok(())
}

fn filter(text: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    EnvFilter::builder().parse(format!("{QUIET},{text}"))
}

fn filter_text(text: &str) -> Result<String, String> {
    filter(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Writes one event as one line.
struct Line {
    service: &'static str,
    format: LogFormat,
    colour: bool,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        fields.add_trace();
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        match self.format {
            LogFormat::Human => self.human(&mut line, &timestamp, level, target, &fields),
            LogFormat::Json => self.json(&mut line, &timestamp, level, target, &fields),
        }
    }
}

impl Line {
    fn human(&self, line: &mut Writer<'_>, timestamp: &str, level: Level, target: &str, fields: &Fields) -> fmt::Result {
        let (dim, colour, plain) = if self.colour { ("\x1b[2m", colour_of(level), "\x1b[0m") } else { ("", "", "") };
        write!(line, "{dim}{timestamp}{plain} {colour}{level:>5}{plain} {dim}{target}:{plain} {}", one_line(&fields.message))?;
        for (name, value) in &fields.rest {
            match value.as_str().filter(|text| is_plain(text)) {
                Some(text) => write!(line, " {dim}{name}={plain}{text}")?,
                None => write!(line, " {dim}{name}={plain}{value}")?,
            }
        }
        writeln!(line)
    }

    fn json(&self, line: &mut Writer<'_>, timestamp: &str, level: Level, target: &str, fields: &Fields) -> fmt::Result {
        let level = level.as_str().to_lowercase();
        write!(line, r#"{{"timestamp":"{timestamp}","level":"{level}","target":{},"#, Value::from(target))?;
        write!(line, r#""message":{},"service":{}"#, Value::from(fields.message.as_str()), Value::from(self.service))?;
        for (name, value) in &fields.rest {
            let underscore = if OURS.contains(name) { "_" } else { "" };
            write!(line, r#","{name}{underscore}":{value}"#)?;
        }
        writeln!(line, "}}")
    }
}

fn colour_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG | Level::TRACE => "\x1b[36m",
    }
}

/// Whether a field's text can stand without quotes.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '='))
}

/// The text with its control characters escaped: foreign text cannot forge a line.
fn one_line(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut line, c| {
        if c.is_control() {
            let _ = write!(line, "{}", c.escape_default());
        } else {
            line.push(c);
        }
        line
    })
}

/// An event's message and its other fields, in the order in which they were given.
#[derive(Default)]
struct Fields {
    message: String,
    rest: Vec<(&'static str, Value)>,
}

impl Fields {
    /// Adds the current trace, unless the event names its own.
    fn add_trace(&mut self) {
        if self.rest.iter().any(|(name, _)| *name == "trace_id") {
            return;
        }
        let context = opentelemetry::Context::current();
        let span = context.span();
        let span = span.span_context();
        if span.is_valid() {
            self.rest.push(("trace_id", span.trace_id().to_string().into()));
            self.rest.push(("span_id", span.span_id().to_string().into()));
        }
    }

    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", other) => self.message = other.to_string(),
            (name, value) => self.rest.push((name.strip_prefix("r#").unwrap_or(name), value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let causes = std::iter::successors(value.source(), |error| error.source());
        let text = causes.fold(value.to_string(), |text, cause| format!("{text}: {cause}"));
        self.add(field, text.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
    use tracing::{error, info};

    use super::*;

    #[test]
    fn a_json_line_has_the_documented_fields() {
        let line: Value =
            serde_json::from_str(&logged(LogFormat::Json, || info!(build = "b1", n = 3, level = "high", "pod created"))).unwrap();
        assert_eq!(line["level"], "info");
        assert_eq!(line["message"], "pod created");
        assert_eq!(line["service"], "router");
        assert_eq!(line["build"], "b1");
        assert_eq!(line["n"], 3);
        assert_eq!(line["level_"], "high");
        assert_eq!(line["target"], "switchyard_runtime::logs::tests");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
        assert_eq!(line.get("trace_id"), None);
    }

    #[test]
    fn a_line_carries_the_current_trace() {
        let context = SpanContext::new(TraceId::from(0xabc), SpanId::from(0xdef), TraceFlags::SAMPLED, true, TraceState::NONE);
        let _guard = opentelemetry::Context::new().with_remote_span_context(context).attach();
        let json: Value = serde_json::from_str(&logged(LogFormat::Json, || info!("routed"))).unwrap();
        assert_eq!(json["trace_id"], "00000000000000000000000000000abc");
        assert_eq!(json["span_id"], "0000000000000def");
        let human = logged(LogFormat::Human, || info!("routed"));
        assert!(human.contains("routed trace_id=00000000000000000000000000000abc span_id=0000000000000def"), "{human}");
        let own: Value = serde_json::from_str(&logged(LogFormat::Json, || info!(trace_id = "mine", "routed"))).unwrap();
        assert_eq!(own["trace_id"], "mine");
    }

    #[test]
    fn foreign_text_cannot_forge_a_line() {
        let line = logged(LogFormat::Human, || error!(why = "two\nlines", "bad\ninput\x1b[2J"));
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.contains(r#"bad\ninput\u{1b}[2J why="two\nlines""#), "{line}");
    }

    #[test]
    fn a_filter_is_checked_when_the_arguments_are_read() {
        assert!(filter_text("info,switchyard_router=debug").is_ok());
        assert!(filter_text("info,switchyard_router=loud").is_err());
    }

    /// What `log` writes as the service `router`.
    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Written(Arc<Mutex<Vec<u8>>>);
        impl Write for Written {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let written = Written::default();
        let writer = written.clone();
        let line = Line { service: "router", format, colour: false };
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).event_format(line).finish();
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }
}
