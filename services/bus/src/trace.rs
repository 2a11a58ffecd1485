//! Trace context in and out, and the attributes of OpenTelemetry's messaging conventions.
//!
//! The starting context travels in the event's `traceparent` extension and is never rewritten; the context of each hop in
//! the plain `traceparent` header.

use std::{str::FromStr as _, time::SystemTime};

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use data_encoding::HEXLOWER;
use opentelemetry::{
    Context, KeyValue, global,
    propagation::{Extractor, Injector},
    trace::{
        FutureExt as _, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
        Tracer as _,
    },
};
use switchyard_events::{BuildKey, CloudEvent, Decided, Outcome, Record};

use crate::{Bus, Durable, Received};

/// Where the library keeps headers.
pub(crate) struct Table<'a>(pub(crate) &'a mut HeaderMap);

impl Injector for Table<'_> {
    /// Writes no empty header: without vendors' entries there is no `tracestate`.
    fn set(&mut self, key: &str, value: String) {
        if value.is_empty() {
            return;
        }
        let name = if key == PARENT { Ok(TRACEPARENT) } else { HeaderName::from_str(key) };
        let breaks = value.bytes().any(|byte| matches!(byte, b'\r' | b'\n'));
        if let (Ok(name), false) = (name, breaks) {
            self.0.insert(name, HeaderValue::from(value));
        }
    }
}

struct Read<'a>(&'a HeaderMap);

impl Extractor for Read<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(HeaderValue::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_ref()).collect()
    }
}

pub(crate) fn inject(context: &Context, headers: &mut impl Injector) {
    global::get_text_map_propagator(|propagator| propagator.inject_context(context, headers));
}

/// The context that a starting `traceparent` names: always in the words of W3C Trace Context, however hops are propagated.
fn parent(traceparent: &str) -> Context {
    remote(traceparent).map_or_else(Context::new, |remote| Context::new().with_remote_span_context(remote))
}

fn remote(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-').skip(1);
    let (trace, span) = (TraceId::from_bytes(hex(parts.next()?)?), SpanId::from_bytes(hex(parts.next()?)?));
    let [flags] = hex(parts.next()?)?;
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    let remote = SpanContext::new(trace, span, flags, true, TraceState::default());
    remote.is_valid().then_some(remote)
}

fn hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let fits = HEXLOWER.decode_len(digits.len()) == Ok(N);
    (fits && HEXLOWER.decode_mut(digits.as_bytes(), &mut bytes).is_ok()).then_some(bytes)
}

const PARENT: &str = "traceparent";
const TRACEPARENT: HeaderName = HeaderName::from_static(PARENT);

/// The context that a message was sent in: its hop's, else the event's starting one.
pub(crate) fn sender(headers: Option<&HeaderMap>, starting: &str) -> Context {
    if let Some(headers) = headers.filter(|headers| headers.get(TRACEPARENT).is_some()) {
        let context =
            global::get_text_map_propagator(|propagator| propagator.extract_with_context(&Context::new(), &Read(headers)));
        if context.span().span_context().is_valid() {
            return context;
        }
    }
    parent(starting)
}

/// Whether our own sampler has decided against the trace of this context: then it needs no further spans.
pub(crate) fn is_passed_over(context: &Context) -> bool {
    let span = context.span();
    let own = span.span_context();
    own.is_valid() && !own.is_remote() && !own.is_sampled()
}

/// Ends the span of a context. One that is not sampled has nobody to tell when it ended.
pub(crate) fn end(context: &Context) {
    let span = context.span();
    if span.span_context().is_sampled() {
        span.end();
    }
}

/// Runs a future as part of the trace that `traceparent` names.
pub async fn with_trace<F: Future>(traceparent: &str, future: F) -> F::Output {
    future.with_context(parent(traceparent)).await
}

/// The current context as a `traceparent`, for a pod; `None` outside any trace.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    traceparent(&Context::current())
}

/// A context as a `traceparent`; `None` for that of no trace.
pub(crate) fn traceparent(context: &Context) -> Option<String> {
    let span = context.span().span_context().clone();
    span.is_valid().then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8()))
}

impl Bus {
    /// The span in which a delivery is processed, and beside it one that shows how long it waited in its stream.
    pub(crate) fn process_span(&self, durable: &Durable, sender: &Context, delivery: &Received<'_>) -> Context {
        let builder = self.tracer.span_builder("process").with_kind(SpanKind::Consumer);
        let mut span = self.tracer.build_with_context(builder, sender);
        // Most traces are not sampled: what a span says is made only for one that is.
        if span.is_recording() {
            span.update_name(format!("process {}", destination(delivery.subject)));
            span.set_attributes(attributes("process", "process", delivery.subject, &delivery.event));
            span.set_attributes([
                KeyValue::new("messaging.consumer.group.name", durable.name.clone()),
                KeyValue::new("nats.jetstream.stream", delivery.stream.to_owned()),
                KeyValue::new("nats.jetstream.stream_sequence", i64::try_from(delivery.sequence).unwrap_or(i64::MAX)),
                KeyValue::new("nats.jetstream.delivery_count", i64::try_from(delivery.delivered).unwrap_or(i64::MAX)),
            ]);
            if delivery.delivered > 1 {
                let again = KeyValue::new("messaging.redelivered", true);
                span.add_link(sender.span().span_context().clone(), vec![again]);
            }
            self.waited(durable, sender, delivery);
        }
        sender.with_span(span)
    }

    fn waited(&self, durable: &Durable, sender: &Context, delivery: &Received<'_>) {
        let builder = self
            .tracer
            .span_builder(format!("wait {} {}", delivery.stream, durable.name))
            .with_kind(SpanKind::Client)
            .with_start_time(SystemTime::from(delivery.stored))
            .with_attributes([
                KeyValue::new("messaging.system", "nats"),
                KeyValue::new("messaging.operation.name", "receive"),
                KeyValue::new("messaging.operation.type", "receive"),
                KeyValue::new("messaging.destination.name", delivery.subject.to_owned()),
            ]);
        self.tracer.build_with_context(builder, sender).end();
    }
}

/// Emits the span of a whole attempt, from its start (or its routing) to its end, after the fact.
pub fn run_span(record: &Record, build: &BuildKey, n: u32) {
    let Some(attempt) = record.attempt(n) else { return };
    let Some(decided) = &attempt.decided else { return };
    let begin = attempt.started_at.or(attempt.bound.as_ref().map(|bound| bound.at)).or(attempt.routed_at).unwrap_or(decided.at);
    let name = record.pipeline.as_deref().unwrap_or(&record.request.subject);
    let tracer = global::tracer("switchyard");
    let builder = tracer
        .span_builder(format!("RUN {name}"))
        .with_kind(SpanKind::Server)
        .with_start_time(SystemTime::from(begin.min(decided.at)))
        .with_attributes([
            KeyValue::new("cicd.pipeline.name", name.to_owned()),
            KeyValue::new("cicd.pipeline.run.id", build.to_string()),
            KeyValue::new("cicd.pipeline.result", result(decided)),
            KeyValue::new("switchyard.attempt", i64::from(n)),
            KeyValue::new("switchyard.executor", attempt.executor.clone().unwrap_or_default()),
            KeyValue::new("switchyard.reason", decided.reason.to_string()),
        ]);
    let mut span = tracer.build_with_context(builder, &parent(&record.request.trace));
    if decided.outcome != Outcome::Success {
        span.set_attribute(KeyValue::new("error.type", decided.reason.to_string()));
        span.set_status(Status::error(decided.message.clone().unwrap_or_else(|| decided.reason.to_string())));
    }
    span.end_with_timestamp(SystemTime::from(decided.at));
}

/// The result in the words of OpenTelemetry's CI/CD conventions.
fn result(decided: &Decided) -> &'static str {
    match decided.outcome {
        _ if decided.reason.is_timeout() => "timeout",
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::Cancel => "cancellation",
        Outcome::Error => "error",
    }
}

/// The subject without its ids, so that span names stay few: the type's own tokens, or which clock it is.
pub(crate) fn destination(subject: &str) -> String {
    let tokens: Vec<_> = subject.split('.').collect();
    match tokens[..] {
        [root @ ("fire" | "timer"), _, kind, ..] => format!("{root}.{kind}"),
        ["ci", ..] => tokens[..tokens.len().min(9)].join("."),
        _ => tokens[..tokens.len().min(8)].join("."),
    }
}

pub(crate) fn attributes(name: &'static str, kind: &'static str, subject: &str, event: &CloudEvent<'_>) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(10);
    attributes.extend([
        KeyValue::new("messaging.system", "nats"),
        KeyValue::new("messaging.operation.name", name),
        KeyValue::new("messaging.operation.type", kind),
        KeyValue::new("messaging.destination.name", subject.to_owned()),
        KeyValue::new("messaging.destination.template", destination(subject)),
        KeyValue::new("messaging.message.id", event.id.to_string()),
        KeyValue::new("cloudevents.event_id", event.id.to_string()),
        KeyValue::new("cloudevents.event_source", event.source.to_string()),
        KeyValue::new("cloudevents.event_type", event.ty.to_string()),
    ]);
    if let Some(subject) = &event.subject {
        attributes.push(KeyValue::new("cloudevents.event_subject", subject.to_string()));
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_starting_trace_context_is_read_whatever_propagators_there_are() {
        let context = parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let span = context.span().span_context().clone();
        assert!(span.is_remote() && span.is_sampled());
        assert_eq!(traceparent(&context).unwrap(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        for none in ["", "garbage", "00-0-0-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01"] {
            assert!(!parent(none).span().span_context().is_valid(), "{none}");
        }
    }

    #[test]
    fn span_names_hold_no_ids() {
        let routed = "yard.dev.cdeventsx.switchyard-build.routed.0.1.0.k8s.abc.1";
        assert_eq!(destination(routed), "yard.dev.cdeventsx.switchyard-build.routed.0.1.0");
        assert_eq!(destination("ci.default.dev.cdevents.build.queued.0.3.0"), "ci.default.dev.cdevents.build.queued.0.3.0");
        assert_eq!(destination("fire.k8s.queued.abc.1"), "fire.queued");
        assert_eq!(destination("ci.default.odd"), "ci.default.odd");
    }
}
