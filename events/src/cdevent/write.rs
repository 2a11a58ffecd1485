//! Writes the envelope, with everything that was read.

use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::value::RawValue;

use super::{CdEvent, Context, Extra, Subject};
use crate::json::Object;

impl CdEvent<'_> {
    /// The event as JSON text.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let custom = self.custom_data.as_deref().map_or("", RawValue::get);
        let content = self.subject.content.raw().map_or("", RawValue::get);
        let mut event = Object::with_capacity(512 + custom.len() + content.len());
        event.object("context", context(&self.context));
        event.object("subject", subject(&self.subject));
        if self.custom_data.is_some() {
            event.raw("customData", custom);
        }
        optional(&mut event, "customDataContentType", self.custom_data_content_type.as_deref());
        others(&mut event, &self.extra);
        event.end()
    }
}

impl Serialize for CdEvent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = String::from_utf8(self.to_vec()).map_err(S::Error::custom)?;
        RawValue::from_string(text).map_err(S::Error::custom)?.serialize(serializer)
    }
}

fn context(context: &Context<'_>) -> Object {
    let mut object = Object::with_capacity(512);
    object.text(if context.written.old_version { "version" } else { "specversion" }, &context.specversion);
    object.text("id", &context.id);
    object.text("source", &context.source);
    object.text("type", &context.ty);
    object.text("timestamp", &context.timestamp_text());
    optional(&mut object, "schemaUri", context.schema_uri.as_deref());
    optional(&mut object, "chainId", context.chain_id.as_deref());
    if let Some(links) = &context.links {
        object.raw("links", links.get());
    }
    others(&mut object, &context.extra);
    object
}

fn subject(subject: &Subject<'_>) -> Object {
    let mut object = Object::with_capacity(256);
    object.text("id", &subject.id);
    optional(&mut object, "source", subject.source.as_deref());
    if let Some(content) = subject.content.raw() {
        object.raw("content", content.get());
    }
    others(&mut object, &subject.extra);
    object
}

fn optional(object: &mut Object, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        object.text(name, value);
    }
}

fn others(object: &mut Object, extra: &Extra<'_>) {
    for (name, value) in extra {
        object.raw(name, value.get());
    }
}
