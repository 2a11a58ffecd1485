//! W3C Trace Context as the SDK propagates it, written in less time: every message of ours carries it, and few traces are sampled.

use data_encoding::HEXLOWER;
use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
    trace::{SpanContext, TraceContextExt as _, TraceFlags},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// Injects as the SDK's own propagator does, but no empty `tracestate`.
#[derive(Debug, Default)]
pub(crate) struct TraceContext(TraceContextPropagator);

impl TextMapPropagator for TraceContext {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        injector.set("traceparent", traceparent(span));
        let state = span.trace_state().header();
        if !state.is_empty() {
            injector.set("tracestate", state);
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        self.0.extract_with_context(context, extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        self.0.fields()
    }
}

/// `00-<trace>-<span>-<flags>`.
fn traceparent(span: &SpanContext) -> String {
    let mut text = String::with_capacity(55);
    text.push_str("00-");
    HEXLOWER.encode_append(&span.trace_id().to_bytes(), &mut text);
    text.push('-');
    HEXLOWER.encode_append(&span.span_id().to_bytes(), &mut text);
    text.push('-');
    HEXLOWER.encode_append(&[(span.trace_flags() & TraceFlags::SAMPLED).to_u8()], &mut text);
    text
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, str::FromStr as _};

    use opentelemetry::trace::{SpanId, TraceId, TraceState};

    use super::*;

    fn injected(propagator: &dyn TextMapPropagator, context: &Context) -> HashMap<String, String> {
        let mut headers = HashMap::new();
        propagator.inject_context(context, &mut headers);
        headers.retain(|_, value| !value.is_empty());
        headers
    }

    #[test]
    fn it_injects_what_the_sdk_injects() {
        let context = |trace, span, flags, state: &str| {
            let state = TraceState::from_str(state).unwrap();
            let span = SpanContext::new(TraceId::from(trace), SpanId::from(span), TraceFlags::new(flags), false, state);
            Context::new().with_remote_span_context(span)
        };
        for context in [
            context(u128::MAX, u64::MAX, 1, ""),
            context(1, 1, 0, "vendor=a,other=b"),
            context(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 0xb7ad_6b71_6920_3331, 0xff, ""),
            context(0, 1, 1, ""),
            Context::new(),
        ] {
            let ours = injected(&TraceContext::default(), &context);
            assert_eq!(ours, injected(&TraceContextPropagator::new(), &context));
            assert_eq!(ours.contains_key("traceparent"), context.span().span_context().is_valid());
        }
    }
}
