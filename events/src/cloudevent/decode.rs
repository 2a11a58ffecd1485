//! Reads an event in every form that real emitters use on NATS.

use std::borrow::Cow;

use cloudevents::{AttributesReader as _, AttributesWriter as _, Event};

use super::{Attributes, DecodeError, MAX_DATA, MAX_PAYLOAD, percent, structured};
use crate::{
    CdEvent,
    json::{Members, Scalar, Text},
    syntax,
    violation::excerpt,
};

/// The form in which an event came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Attributes in `ce-*` headers, the payload is the data.
    Binary,
    /// The whole event as one JSON object.
    Structured,
    /// The whole event as a JSON object inside a JSON string (Spinnaker).
    Quoted,
    /// A CDEvent without any CloudEvents attribute.
    CdEvent,
}

/// An event and the form it came in.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The event; its data is always [`cloudevents::Data::Binary`], byte for byte as it was sent.
    pub event: Event,
    /// How it was written.
    pub form: Form,
}

/// Reads one NATS message as an event. Header names and the content type may be in any case.
///
/// In this order: `Content-Type: application/cloudevents+json` is structured; a batch is refused; a `ce-specversion` header
/// makes it binary; a JSON object with `specversion` is structured; one with `context` and `subject` is a bare CDEvent;
/// a JSON string is looked into. A CDEvent's `subject` and `time` that its emitter left out are filled from the data.
///
/// # Errors
/// What is wrong, naming the attribute and the rule: see [`DecodeError`].
pub fn decode<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>, payload: &'a [u8]) -> Result<Decoded, DecodeError> {
    let headers = Headers::of(headers);
    if let Some(format) = headers.event_format() {
        return match format.as_str() {
            "+json" => json(payload, true),
            "-batch" | "-batch+json" => Err(DecodeError::Batch),
            _ => Err(DecodeError::Format(excerpt(&format!("application/cloudevents{format}")))),
        };
    }
    if headers.is_binary() { binary(&headers, payload) } else { json(payload, false) }
}

/// The headers that matter.
struct Headers<'a> {
    content_type: Option<&'a str>,
    attributes: Vec<(&'a str, &'a str)>,
}

impl<'a> Headers<'a> {
    fn of(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut found = Self { content_type: None, attributes: Vec::with_capacity(12) };
        for (name, value) in headers {
            if let Some((prefix, attribute)) = name.split_at_checked(3)
                && prefix.eq_ignore_ascii_case("ce-")
            {
                found.attributes.push((attribute, value));
            } else if name.eq_ignore_ascii_case("content-type") {
                found.content_type = Some(value.trim());
            }
        }
        found
    }

    /// What follows `application/cloudevents` in the content type, in lower case and without parameters.
    fn event_format(&self) -> Option<String> {
        const PREFIX: &str = "application/cloudevents";
        let essence = self.content_type?.split(';').next().unwrap_or_default().trim_end();
        let (prefix, format) = essence.split_at_checked(PREFIX.len())?;
        prefix.eq_ignore_ascii_case(PREFIX).then(|| format.to_ascii_lowercase())
    }

    fn is_binary(&self) -> bool {
        self.attributes.iter().any(|(name, _)| name.eq_ignore_ascii_case("specversion"))
    }
}

fn binary(headers: &Headers<'_>, payload: &[u8]) -> Result<Decoded, DecodeError> {
    let mut attributes = Attributes::default();
    for (name, value) in &headers.attributes {
        let name = lower_case(name);
        let value = percent::attribute(&name, value)?;
        attributes.set(name, Scalar::String(value))?;
    }
    // What came over HTTP has its content type there, as Tekton's events have.
    if attributes.datacontenttype.is_none() {
        attributes.datacontenttype = headers.content_type.filter(|value| syntax::is_media_type(value)).map(Cow::Borrowed);
    }
    let event = attributes.build()?;
    if let Some(inner) = quoted(&event, payload) {
        return Ok(inner);
    }
    let event = if payload.is_empty() { event } else { with_data(event, payload)? };
    Ok(Decoded { event, form: Form::Binary })
}

fn lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) }
}

/// Spinnaker sends headers and, as a JSON string, the whole event again: with more attributes than the headers have.
///
/// Only if it is the same event; any other string is data.
fn quoted(outer: &Event, payload: &[u8]) -> Option<Decoded> {
    if payload.first() != Some(&b'"') {
        return None;
    }
    let inner = json(payload, false).ok().filter(|inner| inner.form == Form::Quoted)?.event;
    let same = inner.id() == outer.id() && inner.source() == outer.source() && inner.ty() == outer.ty();
    same.then_some(Decoded { event: inner, form: Form::Quoted })
}

/// Reads what the payload alone says. `declared`: the content type says that it is a structured event.
fn json(payload: &[u8], declared: bool) -> Result<Decoded, DecodeError> {
    if payload.len() > MAX_PAYLOAD {
        return Err(DecodeError::TooLarge { size: payload.len(), limit: MAX_PAYLOAD });
    }
    match payload.trim_ascii_start().first() {
        Some(b'{') => object(payload, declared),
        Some(b'[') => Err(DecodeError::Batch),
        Some(b'"') => {
            let Text(text) = serde_json::from_slice(payload)?;
            let decoded = object(text.as_bytes(), declared)?;
            let form = if decoded.form == Form::Structured { Form::Quoted } else { decoded.form };
            Ok(Decoded { form, ..decoded })
        }
        _ => Err(NO_OBJECT),
    }
}

const NO_OBJECT: DecodeError = DecodeError::Unrecognised("no ce-specversion header, and the payload is no JSON object");

fn object(payload: &[u8], declared: bool) -> Result<Decoded, DecodeError> {
    let members = Members::parse(payload)?;
    if declared || members.get("specversion").is_some() {
        return Ok(Decoded { event: structured::read(members)?, form: Form::Structured });
    }
    if members.get("context").is_none() || members.get("subject").is_none() {
        return Err(DecodeError::Unrecognised(
            "no ce-specversion header, no `specversion` and no `context` and `subject` in the payload",
        ));
    }
    let event = CdEvent::from_members(&members)?.attributes()?;
    Ok(Decoded { event: with_data(event, payload)?, form: Form::CdEvent })
}

/// Puts the data into the event, and completes a CDEvent's attributes from it.
pub(super) fn with_data(mut event: Event, data: impl AsRef<[u8]> + Into<Vec<u8>>) -> Result<Event, DecodeError> {
    let size = data.as_ref().len();
    if size > MAX_DATA {
        return Err(DecodeError::TooLarge { size, limit: MAX_DATA });
    }
    if event.ty().starts_with("dev.cdevents") && (event.subject().is_none() || event.time().is_none()) {
        complete(&mut event, data.as_ref());
    }
    event.set_data_unchecked(data.into());
    Ok(event)
}

/// sdk-java sends no `subject`, sdk-go no `time`; what the CDEvent itself says stands in, if it is right.
fn complete(event: &mut Event, data: &[u8]) {
    let Ok(cdevent) = CdEvent::parse(data) else { return };
    let Ok(attributes) = cdevent.attributes() else { return };
    if event.subject().is_none() {
        event.set_subject(attributes.subject());
    }
    if event.time().is_none() {
        event.set_time(attributes.time().copied());
    }
}
