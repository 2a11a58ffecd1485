//! The JSON event format (CloudEvents JSON format 1.0.2), read and written without ever parsing the data.

use std::borrow::Cow;

use cloudevents::{AttributesReader as _, Event, event::ExtensionValue};
use data_encoding::BASE64;
use serde_json::value::RawValue;

use super::{
    Attributes, CloudEvent, DecodeError,
    decode::with_data,
    encode::{core_attributes, data_of},
    validate::validate,
};
use crate::{
    Violation,
    json::{self, Members, Object},
    syntax,
    violation::rule,
};

/// Reads an event from the members of its object.
pub(super) fn read(members: Members<'_>) -> Result<CloudEvent<'_>, DecodeError> {
    let mut attributes = Attributes::default();
    let mut data = Data::default();
    for (name, value) in members.0 {
        match &*name {
            _ if value.get() == "null" => {}
            "data" => once(&mut data.json, &name, value)?,
            "data_base64" => once(&mut data.base64, &name, value)?,
            _ => attributes.set(name, json::scalar(value))?,
        }
    }
    let is_json = syntax::is_json(attributes.datacontenttype.as_deref());
    let event = attributes.build()?;
    match data.bytes(is_json)? {
        Some(bytes) => with_data(event, bytes),
        None => Ok(event),
    }
}

fn once<'a>(slot: &mut Option<&'a RawValue>, name: &str, value: &'a RawValue) -> Result<(), Violation> {
    if slot.replace(value).is_some() { Err(Violation::new(name, rule::TWICE)) } else { Ok(()) }
}

#[derive(Default)]
struct Data<'a> {
    json: Option<&'a RawValue>,
    base64: Option<&'a RawValue>,
}

impl<'a> Data<'a> {
    /// JSON data is the text as it stands: no number loses a digit, no key its place.
    fn bytes(&self, is_json: bool) -> Result<Option<Cow<'a, [u8]>>, Violation> {
        match (self.json, self.base64) {
            (Some(_), Some(_)) => Err(Violation::new("data_base64", "must not stand next to `data`")),
            (None, None) => Ok(None),
            (None, Some(value)) => json::string(value)
                .and_then(|text| BASE64.decode(text.as_bytes()).ok())
                .map(|bytes| Some(Cow::Owned(bytes)))
                .ok_or_else(|| Violation::new("data_base64", "must be a string in base64 (RFC 4648, with padding)")),
            (Some(value), None) if is_json => Ok(Some(Cow::Borrowed(value.get().as_bytes()))),
            (Some(value), None) => Ok(Some(match json::string(value) {
                Some(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
                Some(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
                None => Cow::Borrowed(value.get().as_bytes()),
            })),
        }
    }
}

/// Writes an event as one JSON object, for files and people; on NATS we write [`super::encode`].
///
/// # Errors
/// The first attribute that breaks a rule.
pub fn encode_structured(event: &Event) -> Result<Vec<u8>, Violation> {
    validate(event)?;
    let data = data_of(event);
    let mut object = Object::with_capacity(512 + data.len());
    for (name, value) in core_attributes(event) {
        object.text(name.trim_start_matches("ce-"), &value);
    }
    let mut extensions: Vec<_> = event.iter_extensions().collect();
    extensions.sort_unstable_by_key(|(name, _)| *name);
    for (name, value) in extensions {
        match value {
            ExtensionValue::String(value) => object.text(name, value),
            ExtensionValue::Boolean(value) => object.raw(name, &value.to_string()),
            ExtensionValue::Integer(value) => object.raw(name, &value.to_string()),
        }
    }
    if !data.is_empty() {
        put_data(&mut object, &data, syntax::is_json(event.datacontenttype()));
    }
    Ok(object.end())
}

/// JSON as it stands, text as a string, anything else in base64.
fn put_data(object: &mut Object, data: &[u8], is_json: bool) {
    match std::str::from_utf8(data) {
        // `null` would be read as no data.
        Ok(text) if is_json && text.trim() != "null" && serde_json::from_str::<&RawValue>(text).is_ok() => {
            object.raw("data", text);
        }
        Ok(text) if !is_json => object.text("data", text),
        _ => object.text("data_base64", &BASE64.encode(data)),
    }
}
