//! Publishing an event, once.

use std::{borrow::Cow, future::Future, str::FromStr as _};

use async_nats::{
    HeaderMap, HeaderName, HeaderValue, Subject, header,
    jetstream::{context::PublishErrorKind, kv::CreateErrorKind, message::PublishMessage},
};
use bytes::Bytes;
use cloudevents::{AttributesReader as _, Event};
use futures::FutureExt as _;
use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use switchyard_events::{Answer, BuildKey, CloudEvent, Encoded, Outgoing, encode_owned, message_id};

use crate::{Bus, lines::Lines, trace};

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

    /// Keeps the end of what an attempt has said; where there is one already, that stays.
    fn keep_log(
        &self,
        _build: &BuildKey,
        _attempt: u32,
        _text: Vec<u8>,
    ) -> impl Future<Output = Result<(), PublishError>> + Send {
        async { Ok(()) }
    }

    /// Whether the end of what an attempt has said is kept.
    fn has_log(&self, _build: &BuildKey, _attempt: u32) -> impl Future<Output = bool> + Send {
        async { true }
    }
}

impl Events for Bus {
    async fn publish(&self, outgoing: Outgoing) -> Result<Published, PublishError> {
        let context = self.publish_span(&Context::current(), &outgoing.subject, || CloudEvent::of(&outgoing.event));
        self.publish_within(outgoing, &context).await
    }

    async fn keep_log(&self, build: &BuildKey, attempt: u32, text: Vec<u8>) -> Result<(), PublishError> {
        let key = log_key(build, attempt);
        let failed = |reason: String| PublishError { subject: format!("log {key}"), reason };
        let store = self.js.get_key_value("logs").await.map_err(|error| failed(error.to_string()))?;
        match store.create(&key, text.into()).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    async fn has_log(&self, build: &BuildKey, attempt: u32) -> bool {
        self.log(build, attempt).await.is_ok_and(|log| log.is_some())
    }
}

pub(crate) fn log_key(build: &BuildKey, attempt: u32) -> String {
    format!("{build}.{attempt}")
}

impl Bus {
    /// Stores an event; says in which context it was sent, as a `traceparent`. None outside any trace.
    ///
    /// # Errors
    /// When it could not be stored; doing it again is safe.
    pub async fn publish_hop(&self, outgoing: Outgoing) -> Result<Option<String>, PublishError> {
        let context = self.publish_span(&Context::current(), &outgoing.subject, || CloudEvent::of(&outgoing.event));
        self.publish_within(outgoing, &context).await?;
        Ok(trace::traceparent(&context))
    }

    async fn publish_within(
        &self,
        Outgoing { subject, event, once }: Outgoing,
        context: &Context,
    ) -> Result<Published, PublishError> {
        let subject = Subject::from(subject);
        let stored = match message(event, once, context) {
            Ok((headers, payload)) => {
                let message = PublishMessage::build().headers(headers).payload(payload);
                self.store(&subject, message, once, context).await
            }
            Err(reason) => Err(reason),
        };
        if let Err(reason) = &stored {
            context.span().set_status(Status::error(reason.clone()));
        }
        trace::end(context);
        stored.map_err(|reason| PublishError { subject: subject.to_string(), reason })
    }

    pub(crate) fn publish_span<'a>(&self, parent: &Context, subject: &str, event: impl FnOnce() -> CloudEvent<'a>) -> Context {
        if trace::is_passed_over(parent) {
            return parent.clone();
        }
        let builder = self.tracer.span_builder("publish").with_kind(SpanKind::Producer);
        let mut span = self.tracer.build_with_context(builder, parent);
        if span.is_recording() {
            span.update_name(format!("publish {}", trace::destination(subject)));
            span.set_attributes(trace::attributes("publish", "send", subject, &event()));
        }
        parent.with_span(span)
    }

    async fn store(
        &self,
        subject: &Subject,
        message: PublishMessage,
        once: bool,
        context: &Context,
    ) -> Result<Published, String> {
        // Boxed, because it is large and soon over, and what waits for the answer is kept.
        let sent = self.js.send_publish(subject.clone(), message).boxed().await.map_err(|error| error.to_string())?;
        match sent.await {
            Ok(ack) if ack.duplicate => Ok(Published::Already),
            Ok(_) => Ok(Published::New),
            Err(error) if once && error.kind() == PublishErrorKind::WrongLastSequence => Ok(Published::Already),
            Err(error) => {
                context.span().set_attribute(KeyValue::new("error.type", error.kind().to_string()));
                Err(error.to_string())
            }
        }
    }
}

/// The event as headers and payload, with its id and the context in which it is sent; or why it cannot be a message.
fn message(event: Event, once: bool, context: &Context) -> Result<(HeaderMap, Bytes), String> {
    let id = message_id(event.source(), event.id(), event.ty());
    let Encoded { headers: pairs, payload } = encode_owned(event).map_err(|violation| violation.to_string())?;
    let mut headers = headers(pairs).ok_or("an attribute cannot be written as a header")?;
    sent(&mut headers, id, context);
    if once {
        headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
    }
    Ok((headers, payload))
}

/// An answer as subject, headers and payload, with its id and the context in which it is sent.
pub(crate) fn answered(answer: Answer, context: &Context) -> Result<(Subject, HeaderMap, Bytes), async_nats::Error> {
    let [(name, value), rest @ ..] = answer.headers();
    let mut lines = Lines::begin(name, &value)?;
    for (name, value) in rest {
        lines.add(name, &value)?;
    }
    trace::inject(context, &mut lines);
    lines.add(header::NATS_MESSAGE_ID.as_ref(), &answer.message_id())?;
    Ok((Subject::from(answer.subject), lines.headers()?, answer.data))
}

/// What every message of ours has: its id, and the context in which it is sent.
fn sent(headers: &mut HeaderMap, id: String, context: &Context) {
    trace::inject(context, &mut trace::Table(headers));
    headers.insert(header::NATS_MESSAGE_ID, HeaderValue::from(id));
}

/// Headers out of encoded pairs. A value that holds a line break would panic here; encoded ones never do.
pub(crate) fn headers(pairs: Vec<(Cow<'static, str>, String)>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = match name {
            Cow::Borrowed(name) => HeaderName::from_static(name),
            Cow::Owned(name) => HeaderName::from_str(&name).ok()?,
        };
        headers.insert(name, HeaderValue::from(value));
    }
    Some(headers)
}
