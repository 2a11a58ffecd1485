//! The CDEvents envelope: context, subject, custom data (CDEvents 0.5.1, spec.md).
//!
//! It reads 0.5.x and the older spellings that real emitters still send, and writes back what it read: fields that it does not
//! know stay where they were. Content and custom data stay JSON text until they are asked for. It does not judge:
//! that is [`crate::validate`].

mod binding;
mod build;
mod content;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use binding::attributes;
pub use content::Content;
pub use read::CdEventError;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::EventType;

/// The CDEvents version that we write.
pub const SPECVERSION: &str = "0.5.1";

/// One CDEvent.
#[derive(Debug, Clone)]
pub struct CdEvent {
    /// Who says what, and when.
    pub context: Context,
    /// What it is about.
    pub subject: Subject,
    /// Whatever the emitter wants to add: by the schema an object, or a string in base64.
    pub custom_data: Option<Box<RawValue>>,
    /// The media type of [`Self::custom_data`].
    pub custom_data_content_type: Option<String>,
    extra: Extra,
}

/// The context of a [`CdEvent`].
#[derive(Debug, Clone)]
pub struct Context {
    /// The version of the specification; called `version` before 0.5.
    pub specversion: String,
    /// Unique per source.
    pub id: String,
    /// Who emitted the event: a URI-reference.
    pub source: String,
    /// The type: `dev.cdevents.<subject>.<predicate>.<version>`.
    pub ty: String,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Where a stricter schema of the event is found.
    pub schema_uri: Option<String>,
    /// What all connected events have in common.
    pub chain_id: Option<String>,
    /// Links to other events: a JSON array.
    pub links: Option<Box<RawValue>>,
    written: Written,
    extra: Extra,
}

/// The subject of a [`CdEvent`].
#[derive(Debug, Clone)]
pub struct Subject {
    /// The same in every event about one subject.
    pub id: String,
    /// Who owns the subject, if not the event's source: a URI-reference.
    pub source: Option<String>,
    /// What the type says about the subject.
    pub content: Content,
    extra: Extra,
}

/// Members that this version does not know.
type Extra = Vec<(String, Box<RawValue>)>;

/// How an event that was read spelled what can be spelled in more than one way.
#[derive(Debug, Clone, Default)]
struct Written {
    /// `context.version` instead of `context.specversion`.
    old_version: bool,
    timestamp: Option<(Timestamp, String)>,
}

impl Context {
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
    fn timestamp_text(&self) -> String {
        match &self.written.timestamp {
            Some((timestamp, text)) if *timestamp == self.timestamp => text.clone(),
            _ => self.timestamp.to_string(),
        }
    }
}
