//! One CloudEvent as it lies in a message: what needs no decoding is borrowed.
//!
//! The SDK's [`Event`] owns everything it holds. Who only reads an event and answers needs none of that, and takes this.

use std::{borrow::Cow, time::SystemTime};

use cloudevents::{
    AttributesReader as _, AttributesWriter as _, Data, Event, EventBuilder as _, EventBuilderV10, event::ExtensionValue,
};
use jiff::Timestamp;

use super::{DecodeError, decode, validate::event_time};
use crate::{Violation, json::Scalar, violation::rule};

/// One CloudEvent, whose attributes are known to be right.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudEvent<'a> {
    /// Unique per source.
    pub id: Cow<'a, str>,
    /// Who emitted the event: a URI-reference.
    pub source: Cow<'a, str>,
    /// The type.
    pub ty: Cow<'a, str>,
    /// What it is about.
    pub subject: Option<Cow<'a, str>>,
    /// When it happened.
    pub time: Option<Timestamp>,
    /// The media type of the data.
    pub datacontenttype: Option<Cow<'a, str>>,
    /// The data, byte for byte as they were sent.
    pub data: Option<Cow<'a, [u8]>>,
    pub(super) dataschema: Option<Cow<'a, str>>,
    pub(super) extensions: Vec<(Cow<'a, str>, Scalar<'a>)>,
}

impl<'a> CloudEvent<'a> {
    /// Reads one NATS message as an event, in every form that [`decode`](super::decode) reads.
    ///
    /// # Errors
    /// As there.
    pub fn read(headers: impl IntoIterator<Item = (&'a str, &'a str)>, payload: &'a [u8]) -> Result<Self, DecodeError> {
        decode::read(headers, payload).map(|(event, _)| event)
    }

    /// An event of which only this is known.
    pub(crate) fn named(id: &'a str, source: &'a str, ty: &'a str, subject: &'a str) -> Self {
        let (id, source, ty, subject) = (id.into(), source.into(), ty.into(), Some(subject.into()));
        let (time, datacontenttype, data, dataschema, extensions) = (None, None, None, None, Vec::new());
        Self { id, source, ty, subject, time, datacontenttype, data, dataschema, extensions }
    }

    /// An event of the SDK's, as it is; of one that [`decode`](super::decode) gave, nothing is copied.
    #[must_use]
    pub fn of(event: &'a Event) -> Self {
        let extension = |(name, value): (&'a str, &'a ExtensionValue)| {
            let value = match value {
                ExtensionValue::String(text) => Scalar::String(Cow::Borrowed(text)),
                ExtensionValue::Boolean(value) => Scalar::Boolean(*value),
                ExtensionValue::Integer(value) => Scalar::Integer(*value),
            };
            (Cow::Borrowed(name), value)
        };
        Self {
            id: event.id().into(),
            source: event.source().as_str().into(),
            ty: event.ty().into(),
            subject: event.subject().map(Cow::Borrowed),
            time: event_time(event),
            datacontenttype: event.datacontenttype().map(Cow::Borrowed),
            data: event.data().map(|data| match data {
                Data::Binary(bytes) => Cow::Borrowed(bytes.as_slice()),
                Data::String(text) => Cow::Borrowed(text.as_bytes()),
                Data::Json(value) => Cow::Owned(value.to_string().into_bytes()),
            }),
            dataschema: event.dataschema().map(|schema| schema.as_str().into()),
            extensions: event.iter_extensions().map(extension).collect(),
        }
    }

    /// The value of an extension that is a string.
    #[must_use]
    pub fn extension(&self, name: &str) -> Option<&str> {
        self.extensions.iter().find_map(|(known, value)| match value {
            Scalar::String(text) if known == name => Some(&**text),
            Scalar::String(_) | Scalar::Boolean(_) | Scalar::Integer(_) | Scalar::Other => None,
        })
    }

    /// The same, borrowing nothing.
    pub(super) fn into_owned(self) -> CloudEvent<'static> {
        CloudEvent {
            id: owned(self.id),
            source: owned(self.source),
            ty: owned(self.ty),
            subject: self.subject.map(owned),
            time: self.time,
            datacontenttype: self.datacontenttype.map(owned),
            data: self.data.map(owned),
            dataschema: self.dataschema.map(owned),
            extensions: self.extensions.into_iter().map(|(name, value)| (owned(name), value.into_owned())).collect(),
        }
    }

    /// The same as an event of the SDK's.
    ///
    /// # Errors
    /// When the SDK knows no such event, which never happens to one that was read.
    pub fn into_event(self) -> Result<Event, Violation> {
        let mut builder = EventBuilderV10::new().id(self.id).source(self.source).ty(self.ty);
        if let Some(subject) = self.subject {
            builder = builder.subject(subject);
        }
        let mut event = builder.build().map_err(|error| Violation::new("time", error.to_string()))?;
        event.set_time(self.time.map(SystemTime::from));
        if let Some(content_type) = self.datacontenttype {
            event.set_datacontenttype(Some(content_type));
        }
        if let Some(schema) = self.dataschema {
            let schema: url::Url = schema.parse().map_err(|_| Violation::new("dataschema", rule::URI))?;
            event.set_dataschema(Some(schema));
        }
        for (name, value) in self.extensions {
            match value {
                Scalar::String(text) => event.set_extension(&name, text.into_owned()),
                Scalar::Boolean(value) => event.set_extension(&name, value),
                Scalar::Integer(value) => event.set_extension(&name, value),
                Scalar::Other => {}
            }
        }
        if let Some(data) = self.data {
            event.set_data_unchecked(data.into_owned());
        }
        Ok(event)
    }
}

fn owned<T: ToOwned + ?Sized>(text: Cow<'_, T>) -> Cow<'static, T> {
    Cow::Owned(text.into_owned())
}
