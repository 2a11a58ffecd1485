//! One message that was delivered to a service.

use std::borrow::Cow;

use async_nats::HeaderMap;
use bytes::Bytes;
use cloudevents::Event;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use switchyard_events::{BuildKey, CdEvent, CdEventError, CloudEvent, DecodeError, InvalidClock, custom_data};

/// An event, where it is stored and how often it was delivered.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The subject that it was published on.
    pub subject: String,
    /// The stream that holds it.
    pub stream: String,
    /// Its sequence there.
    pub sequence: u64,
    /// How often it was delivered, from 1.
    pub delivered: u64,
    /// When the stream took it.
    pub stored: Timestamp,
    /// The event.
    pub event: Event,
    /// The trace that it starts or belongs to (`traceparent`).
    pub trace: String,
}

/// A message that is not what its subject promises.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no CloudEvent.
    #[error("not a CloudEvent: {0}")]
    Event(#[from] DecodeError),
    /// Its data is no CDEvent.
    #[error("not a CDEvent: {0}")]
    CdEvent(#[from] CdEventError),
    /// It is not from whom it says it is.
    #[error("forged: {0}")]
    Forged(String),
    /// Its subject is not a clock's.
    #[error(transparent)]
    Clock(#[from] InvalidClock),
    /// Its custom data is not what the type promises.
    #[error("customData of {event_type}: {error}")]
    CustomData {
        /// The event's type.
        event_type: String,
        /// What is wrong.
        error: serde_json::Error,
    },
}

/// A [`Delivery`] as it lies in its message: who answers at once needs no more.
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// The subject that it was published on.
    pub subject: &'a str,
    /// The stream that holds it.
    pub stream: &'a str,
    /// Its sequence there.
    pub sequence: u64,
    /// How often it was delivered, from 1.
    pub delivered: u64,
    /// When the stream took it.
    pub stored: Timestamp,
    /// The event.
    pub event: CloudEvent<'a>,
    /// The trace that it starts or belongs to (`traceparent`).
    pub trace: Cow<'a, str>,
    /// The key of the build that the attributes name, where the trace is derived from that.
    pub build: Option<BuildKey>,
}

impl Delivery {
    /// The event's data as a CDEvent.
    ///
    /// # Errors
    /// When it is none.
    pub fn cdevent(&self) -> Result<CdEvent<'_>, Unreadable> {
        Ok(CdEvent::from_cloudevent(&self.event)?)
    }

    /// The same, borrowed.
    #[must_use]
    pub fn view(&self) -> Received<'_> {
        let Self { subject, stream, sequence, delivered, stored, event, trace } = self;
        let event = CloudEvent::of(event);
        let (sequence, delivered, stored) = (*sequence, *delivered, *stored);
        Received { subject, stream, sequence, delivered, stored, event, trace: trace.into(), build: None }
    }
}

impl Received<'_> {
    /// The event's data as a CDEvent.
    ///
    /// # Errors
    /// When it is none.
    pub fn cdevent(&self) -> Result<CdEvent<'_>, Unreadable> {
        Ok(CdEvent::of(&self.event)?)
    }

    /// The same, borrowing nothing.
    pub(crate) fn into_delivery(self) -> Result<Delivery, DecodeError> {
        let Self { subject, stream, sequence, delivered, stored, event, trace, .. } = self;
        let (subject, stream, trace) = (subject.to_owned(), stream.to_owned(), trace.into_owned());
        Ok(Delivery { subject, stream, sequence, delivered, stored, event: event.into_event()?, trace })
    }
}

/// What an event of ours says, read out of its custom data.
///
/// # Errors
/// When it is not what the type promises.
pub fn said<T: DeserializeOwned>(event: &CdEvent<'_>) -> Result<T, Unreadable> {
    custom_data(event).map_err(|error| Unreadable::CustomData { event_type: event.context.ty.to_string(), error })
}

pub(crate) fn read_event(headers: Option<&HeaderMap>, payload: &Bytes) -> Result<Event, DecodeError> {
    Ok(view_event(headers, payload)?.into_event()?)
}

pub(crate) fn view_event<'a>(headers: Option<&'a HeaderMap>, payload: &'a Bytes) -> Result<CloudEvent<'a>, DecodeError> {
    let pairs = headers
        .into_iter()
        .flat_map(HeaderMap::iter)
        .filter_map(|(name, values)| Some((name.as_ref(), values.first()?.as_str())));
    CloudEvent::read(pairs, payload)
}
