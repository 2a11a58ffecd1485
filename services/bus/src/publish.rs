//! Publishing an event, once.

use std::{borrow::Cow, future::Future, str::FromStr as _};

use async_nats::{
    HeaderMap, HeaderName, HeaderValue, header,
    jetstream::{context::PublishErrorKind, message::PublishMessage},
};
use cloudevents::AttributesReader as _;
use opentelemetry::{
    Context, KeyValue,
    trace::{FutureExt as _, SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use switchyard_events::{Encoded, Outgoing, encode, message_id};

use crate::{Bus, trace};

/// An event could not be stored. Publishing it again is safe: its id stays the same.
#[derive(Debug, thiserror::Error)]
#[error("publish on {subject}: {reason}")]
pub struct PublishError {
    /// Where it should have gone.
    pub subject: String,
    /// What went wrong.
    pub reason: String,
}

/// What became of a published event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is stored.
    New,
    /// It was stored before.
    Already,
}

/// Where events go.
pub trait Events: Send + Sync {
    /// Stores an event; of one that may exist only once, says whether it did already.
    fn publish(&self, outgoing: Outgoing) -> impl Future<Output = Result<Published, PublishError>> + Send;
}

impl Events for Bus {
    async fn publish(&self, outgoing: Outgoing) -> Result<Published, PublishError> {
        let parent = Context::current();
        let mut span = self.tracer.span_builder("publish").with_kind(SpanKind::Producer);
        if parent.span().span_context().is_sampled() {
            span.name = format!("publish {}", trace::destination(&outgoing.subject)).into();
            span.attributes = Some(trace::attributes("publish", "send", &outgoing.subject, &outgoing.event));
        }
        let context = parent.with_span(self.tracer.build_with_context(span, &parent));
        let stored = self.store(outgoing, &context).with_context(context.clone()).await;
        if let Err(error) = &stored {
            context.span().set_status(Status::error(error.to_string()));
        }
        context.span().end();
        stored
    }
}

impl Bus {
    async fn store(&self, outgoing: Outgoing, context: &Context) -> Result<Published, PublishError> {
        let Outgoing { subject, event, once } = outgoing;
        let failed = |reason: String| PublishError { subject: subject.clone(), reason };
        let Encoded { headers: pairs, payload } = encode(&event).map_err(|violation| failed(violation.to_string()))?;
        let mut headers = headers(&pairs).ok_or_else(|| failed("an attribute cannot be written as a header".into()))?;
        trace::inject(context, &mut headers);
        let id = message_id(event.source(), event.id(), event.ty());
        headers.insert(header::NATS_MESSAGE_ID, id.as_str());
        let mut message = PublishMessage::build().headers(headers).payload(payload);
        if once {
            message = message.expected_last_subject_sequence(0);
        }
        let sent = self.js.send_publish(subject.clone(), message).await.map_err(|error| failed(error.to_string()))?;
        match sent.await {
            Ok(ack) if ack.duplicate => Ok(Published::Already),
            Ok(_) => Ok(Published::New),
            Err(error) if once && error.kind() == PublishErrorKind::WrongLastSequence => Ok(Published::Already),
            Err(error) => {
                context.span().set_attribute(KeyValue::new("error.type", error.kind().to_string()));
                Err(failed(error.to_string()))
            }
        }
    }
}

/// Headers out of checked pairs; nothing here may panic on a foreign text.
pub(crate) fn headers(pairs: &[(Cow<'static, str>, String)]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.insert(HeaderName::from_str(name).ok()?, HeaderValue::from_str(value).ok()?);
    }
    Some(headers)
}
