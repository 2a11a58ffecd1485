//! Publishing as the beginning of a trace.

use cloudevents::{AttributesReader as _, Event};
use opentelemetry::{
    Context, global,
    trace::{FutureExt as _, SpanKind, TraceContextExt as _, Tracer as _},
};
use switchyard_bus::{Bus, Events as _, Published, current_traceparent, with_trace};
use switchyard_events::{Outgoing, starting_trace};

/// Publishes an event inside the trace that it carries; one that carries none begins a trace, and from then on carries that.
pub(super) async fn traced(bus: &Bus, subject: String, mut event: Event) -> anyhow::Result<(String, Published)> {
    if event.extension("traceparent").is_some() {
        let trace = starting_trace(&event);
        let published = with_trace(&trace, bus.publish(Outgoing { subject, event, once: false })).await?;
        return Ok((trace, published));
    }
    let tracer = global::tracer("switchyard");
    let root = tracer.span_builder(format!("switchyard publish {}", event.ty())).with_kind(SpanKind::Client);
    let root = Context::new().with_span(tracer.build_with_context(root, &Context::new()));
    let published = async {
        // Without telemetry there is no span; then it is the trace that the services would derive.
        let trace = current_traceparent().unwrap_or_else(|| starting_trace(&event));
        event.set_extension("traceparent", trace.as_str());
        let published = bus.publish(Outgoing { subject, event, once: false }).await?;
        Ok((trace, published))
    };
    let published = published.with_context(root.clone()).await;
    root.span().end();
    published
}
