//! The CDEvents envelope: context, subject, custom data (CDEvents 0.5.1, spec.md).
//!
//! It reads 0.5.x and the older spellings that real emitters still send, and writes back what it read: fields that it does not
//! know stay where they were. What is read stays where it is and is borrowed; content and custom data stay JSON text until they
//! are asked for. It does not judge:
//! that is [`crate::validate`].

mod binding;
mod build;
mod content;
mod one_pass;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use binding::attributes;
pub use content::Content;
pub use read::CdEventError;

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::EventType;

/// The CDEvents version that we write.
pub const SPECVERSION: &str = "0.5.1";

/// One CDEvent.
#[derive(Debug, Clone)]
pub struct CdEvent<'a> {
    /// Who says what, and when.
    pub context: Context<'a>,
    /// What it is about.
    pub subject: Subject<'a>,
    /// Whatever the emitter wants to add: by the schema an object, or a string in base64.
    pub custom_data: Option<Cow<'a, RawValue>>,
    /// The media type of [`Self::custom_data`].
    pub custom_data_content_type: Option<Cow<'a, str>>,
    extra: Extra<'a>,
}

/// The context of a [`CdEvent`].
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The version of the specification; called `version` before 0.5.
    pub specversion: Cow<'a, str>,
    /// Unique per source.
    pub id: Cow<'a, str>,
    /// Who emitted the event: a URI-reference.
    pub source: Cow<'a, str>,
    /// The type: `dev.cdevents.<subject>.<predicate>.<version>`.
    pub ty: Cow<'a, str>,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Where a stricter schema of the event is found.
    pub schema_uri: Option<Cow<'a, str>>,
    /// What all connected events have in common.
    pub chain_id: Option<Cow<'a, str>>,
    /// Links to other events: a JSON array.
    pub links: Option<Cow<'a, RawValue>>,
    written: Written<'a>,
    extra: Extra<'a>,
}

/// The subject of a [`CdEvent`].
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The same in every event about one subject.
    pub id: Cow<'a, str>,
    /// Who owns the subject, if not the event's source: a URI-reference.
    pub source: Option<Cow<'a, str>>,
    /// What the type says about the subject.
    pub content: Content<'a>,
    extra: Extra<'a>,
}

/// Members that this version does not know.
type Extra<'a> = Vec<(Cow<'a, str>, Cow<'a, RawValue>)>;

/// How an event that was read spelled what can be spelled in more than one way.
#[derive(Debug, Clone, Default)]
struct Written<'a> {
    /// `context.version` instead of `context.specversion`.
    old_version: bool,
    timestamp: Option<(Timestamp, Cow<'a, str>)>,
}

impl Context<'_> {
    /// The parts of the type; `None` if it keeps to no rule of CDEvents.
    #[must_use]
    pub fn event_type(&self) -> Option<EventType<'_>> {
        EventType::parse(&self.ty)
    }

    /// The `context.id`s that PATH links name as causes.
    #[must_use]
    pub fn causes(&self) -> Vec<String> {
        content::causes(self.links.as_deref())
    }

    /// The timestamp as it was read, unless it was changed since.
    fn timestamp_text(&self) -> Cow<'_, str> {
        match &self.written.timestamp {
            Some((timestamp, text)) if *timestamp == self.timestamp => Cow::Borrowed(text),
            _ => Cow::Owned(self.timestamp.to_string()),
        }
    }
}
