//! Writes an event in the binary mode of the NATS binding.

use std::borrow::Cow;

use bytes::Bytes;
use cloudevents::{AttributesReader as _, Data, Event, event::ExtensionValue};

use super::{
    percent,
    validate::{event_time, validate},
};
use crate::Violation;

/// One message in binary mode: its headers, fit for any NATS client, and its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Lower-case `ce-*` names; the values are printable ASCII without spaces.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The data.
    pub payload: Bytes,
}

/// Writes an event as headers and payload, each attribute in its canonical string, times in UTC.
///
/// # Errors
/// The first attribute that breaks a rule: we never publish what we would refuse.
pub fn encode(event: &Event) -> Result<Encoded, Violation> {
    Ok(Encoded { headers: headers(event)?, payload: Bytes::from(data_of(event).into_owned()) })
}

/// As [`encode`], but without copying the data.
///
/// # Errors
/// As there.
pub fn encode_owned(mut event: Event) -> Result<Encoded, Violation> {
    let headers = headers(&event)?;
    let payload = match event.take_data().2 {
        None => Bytes::new(),
        Some(Data::Binary(bytes)) => bytes.into(),
        Some(Data::String(text)) => text.into(),
        Some(Data::Json(value)) => value.to_string().into(),
    };
    Ok(Encoded { headers, payload })
}

fn headers(event: &Event) -> Result<Vec<(Cow<'static, str>, String)>, Violation> {
    validate(event)?;
    let mut headers = Vec::with_capacity(12);
    for (name, value) in core_attributes(event) {
        headers.push((Cow::Borrowed(name), percent::encode(value)));
    }
    for (name, value) in event.iter_extensions() {
        let name = if name == "traceparent" { "ce-traceparent".into() } else { format!("ce-{name}").into() };
        let value = match value {
            ExtensionValue::String(text) => percent::encode(text),
            ExtensionValue::Boolean(_) | ExtensionValue::Integer(_) => value.to_string(),
        };
        headers.push((name, value));
    }
    Ok(headers)
}

/// The attributes that are not extensions, by header name, as canonical strings.
pub(super) fn core_attributes(event: &Event) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
    let time = event_time(event).map(|time| time.to_string());
    let attributes = [
        ("ce-specversion", Some("1.0".into())),
        ("ce-id", Some(event.id().into())),
        ("ce-source", Some(event.source().into())),
        ("ce-type", Some(event.ty().into())),
        ("ce-subject", event.subject().map(Cow::Borrowed)),
        ("ce-time", time.map(Cow::Owned)),
        ("ce-datacontenttype", event.datacontenttype().map(Cow::Borrowed)),
        ("ce-dataschema", event.dataschema().map(|schema| schema.as_str().into())),
    ];
    attributes.into_iter().filter_map(|(name, value)| Some((name, value?)))
}

/// The event's data as bytes; none is empty.
pub(super) fn data_of(event: &Event) -> Cow<'_, [u8]> {
    match event.data() {
        None => Cow::Borrowed(&[]),
        Some(Data::Binary(bytes)) => Cow::Borrowed(bytes),
        Some(Data::String(text)) => Cow::Borrowed(text.as_bytes()),
        Some(Data::Json(value)) => Cow::Owned(value.to_string().into_bytes()),
    }
}
