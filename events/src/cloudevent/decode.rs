//! Reads an event in every form that real emitters use on NATS.

use std::borrow::Cow;

use cloudevents::Event;

use super::{Attributes, CloudEvent, DecodeError, MAX_DATA, MAX_PAYLOAD, percent, structured};
use crate::{
    CdEvent, CdEventError,
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
    let (event, form) = read(headers, payload)?;
    Ok(Decoded { event: event.into_event()?, form })
}

/// An event and the form it came in.
type Read<'a> = (CloudEvent<'a>, Form);

/// As [`decode`], but nothing is copied that needs no decoding.
pub(super) fn read<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    payload: &'a [u8],
) -> Result<Read<'a>, DecodeError> {
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

fn binary<'a>(headers: &Headers<'a>, payload: &'a [u8]) -> Result<Read<'a>, DecodeError> {
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
        return Ok((inner, Form::Quoted));
    }
    let event = if payload.is_empty() { event } else { with_data(event, Cow::Borrowed(payload))? };
    Ok((event, Form::Binary))
}

fn lower_case(name: &str) -> Cow<'_, str> {
    let is_lower = syntax::all(name, |byte| !byte.is_ascii_uppercase());
    if is_lower { Cow::Borrowed(name) } else { Cow::Owned(name.to_ascii_lowercase()) }
}

/// Spinnaker sends headers and, as a JSON string, the whole event again: with more attributes than the headers have.
///
/// Only if it is the same event; any other string is data.
fn quoted<'a>(outer: &CloudEvent<'_>, payload: &'a [u8]) -> Option<CloudEvent<'a>> {
    if payload.first() != Some(&b'"') {
        return None;
    }
    let (inner, _) = json(payload, false).ok().filter(|(_, form)| *form == Form::Quoted)?;
    let same = inner.id == outer.id && inner.source == outer.source && inner.ty == outer.ty;
    same.then_some(inner)
}

/// Reads what the payload alone says. `declared`: the content type says that it is a structured event.
fn json(payload: &[u8], declared: bool) -> Result<Read<'_>, DecodeError> {
    if payload.len() > MAX_PAYLOAD {
        return Err(DecodeError::TooLarge { size: payload.len(), limit: MAX_PAYLOAD });
    }
    match payload.trim_ascii_start().first() {
        Some(b'{') => object(payload, declared),
        Some(b'[') => Err(DecodeError::Batch),
        Some(b'"') => string(payload, declared),
        _ => Err(NO_OBJECT),
    }
}

const NO_OBJECT: DecodeError = DecodeError::Unrecognised("no ce-specversion header, and the payload is no JSON object");

/// An event inside a JSON string.
fn string(payload: &[u8], declared: bool) -> Result<Read<'static>, DecodeError> {
    let Text(text) = serde_json::from_slice(payload)?;
    let (event, form) = object(text.as_bytes(), declared)?;
    Ok((event.into_owned(), if form == Form::Structured { Form::Quoted } else { form }))
}

fn object(payload: &[u8], declared: bool) -> Result<Read<'_>, DecodeError> {
    let members = Members::parse(payload)?;
    if declared || members.get("specversion").is_some() {
        return Ok((structured::read(members)?, Form::Structured));
    }
    if members.get("context").is_none() || members.get("subject").is_none() {
        return Err(DecodeError::Unrecognised(
            "no ce-specversion header, no `specversion` and no `context` and `subject` in the payload",
        ));
    }
    let event = attributes(CdEvent::from_members(&members)?)?;
    Ok((with_data(event, Cow::Borrowed(payload))?, Form::CdEvent))
}

/// The attributes that a CDEvent without any should have.
fn attributes(CdEvent { context, subject, .. }: CdEvent<'_>) -> Result<CloudEvent<'_>, CdEventError> {
    let event = CloudEvent {
        id: context.id,
        source: context.source,
        ty: context.ty,
        subject: Some(subject.id),
        time: Some(context.timestamp),
        datacontenttype: Some(Cow::Borrowed("application/json")),
        data: None,
        dataschema: None,
        extensions: Vec::new(),
    };
    event.check().map_err(CdEventError::Binding)?;
    Ok(event)
}

/// Puts the data into the event, and completes a CDEvent's attributes from it.
pub(super) fn with_data<'a>(mut event: CloudEvent<'a>, data: Cow<'a, [u8]>) -> Result<CloudEvent<'a>, DecodeError> {
    let size = data.len();
    if size > MAX_DATA {
        return Err(DecodeError::TooLarge { size, limit: MAX_DATA });
    }
    if event.ty.starts_with("dev.cdevents") && (event.subject.is_none() || event.time.is_none()) {
        complete(&mut event, &data);
    }
    event.data = Some(data);
    Ok(event)
}

/// sdk-java sends no `subject`, sdk-go no `time`; what the CDEvent itself says stands in, if it is right.
fn complete(event: &mut CloudEvent<'_>, data: &[u8]) {
    let Some(stated) = CdEvent::parse(data).ok().and_then(|cdevent| attributes(cdevent).ok()) else { return };
    if event.subject.is_none() {
        event.subject = stated.subject.map(|subject| Cow::Owned(subject.into_owned()));
    }
    if event.time.is_none() {
        event.time = stated.time;
    }
}
