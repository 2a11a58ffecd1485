//! Reads the envelope. What it needs must be there and of the right kind; everything else is kept as it is.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{CdEvent, Content, Context, Extra, Subject, Written, one_pass};
use crate::{
    Violation,
    json::{self, Members},
    syntax,
    violation::rule,
};

/// Why something is no CDEvent, or does not fit the CloudEvent that carries it.
#[derive(Debug, thiserror::Error)]
pub enum CdEventError {
    /// The text is not a JSON object; says line and column.
    #[error("not a JSON event: {0}")]
    Json(#[from] serde_json::Error),
    /// A field of the envelope is missing or of the wrong kind.
    #[error("CDEvent {0}")]
    Envelope(#[from] Violation),
    /// The CloudEvents attribute named contradicts the CDEvent, or would be invalid.
    #[error("CloudEvents attribute {0}")]
    Binding(Violation),
}

impl<'a> CdEvent<'a> {
    /// Reads a CDEvent of any version: 0.5.x, 0.4.x, and the envelope of older ones.
    ///
    /// # Errors
    /// The text is no JSON object, or the envelope lacks what an event cannot do without:
    /// context.{specversion or version, id, source, type, timestamp}, subject.id.
    pub fn parse(text: &'a [u8]) -> Result<Self, CdEventError> {
        one_pass::read(text).map_or_else(|| Self::from_members(&Members::parse(text)?), Ok)
    }

    pub(crate) fn from_members(members: &Members<'a>) -> Result<Self, CdEventError> {
        let event = Fields { path: "", members };
        let context = members.get("context").ok_or_else(|| Violation::new("context", rule::REQUIRED))?;
        let subject = members.get("subject").ok_or_else(|| Violation::new("subject", rule::REQUIRED))?;
        Ok(Self {
            context: read_context(context)?,
            subject: read_subject(subject)?,
            custom_data: members.get("customData").map(Cow::Borrowed),
            custom_data_content_type: event.text("customDataContentType")?,
            extra: event.others(&["context", "subject", "customData", "customDataContentType"]),
        })
    }
}

fn read_context(raw: &RawValue) -> Result<Context<'_>, Violation> {
    let members = Members::of(raw).ok_or_else(|| Violation::new("context", rule::OBJECT))?;
    let context = Fields { path: "context.", members: &members };
    let (old, new) = (context.text("version")?, context.text("specversion")?);
    let old_version = new.is_none() && old.is_some();
    let written = context.required("timestamp")?;
    let timestamp = syntax::timestamp(&written).ok_or_else(|| Violation::new("context.timestamp", rule::TIMESTAMP))?;
    let known = ["specversion", "id", "source", "type", "timestamp", "schemaUri", "chainId", "links"];
    let mut extra = context.others(&known);
    if old_version {
        extra.retain(|(name, _)| name != "version");
    }
    Ok(Context {
        specversion: new.or(old).ok_or_else(|| Violation::new("context.specversion", rule::REQUIRED))?,
        id: context.required("id")?,
        source: context.required("source")?,
        ty: context.required("type")?,
        timestamp,
        schema_uri: context.text("schemaUri")?,
        chain_id: context.text("chainId")?,
        links: members.get("links").map(Cow::Borrowed),
        written: Written { old_version, timestamp: Some((timestamp, written)) },
        extra,
    })
}

fn read_subject(raw: &RawValue) -> Result<Subject<'_>, Violation> {
    let members = Members::of(raw).ok_or_else(|| Violation::new("subject", rule::OBJECT))?;
    let subject = Fields { path: "subject.", members: &members };
    Ok(Subject {
        id: subject.required("id")?,
        source: subject.text("source")?,
        content: Content(members.get("content").map(Cow::Borrowed)),
        extra: subject.others(&["id", "source", "content"]),
    })
}

/// The members of one object of the envelope, and where it stands.
struct Fields<'m, 'a> {
    path: &'static str,
    members: &'m Members<'a>,
}

impl<'a> Fields<'_, 'a> {
    fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, Violation> {
        let Some(raw) = self.members.get(name) else { return Ok(None) };
        let text = json::string(raw).ok_or_else(|| Violation::new(format!("{}{name}", self.path), rule::STRING))?;
        Ok(Some(text))
    }

    fn required(&self, name: &str) -> Result<Cow<'a, str>, Violation> {
        self.text(name)?.ok_or_else(|| Violation::new(format!("{}{name}", self.path), rule::REQUIRED))
    }

    fn others(&self, known: &[&str]) -> Extra<'a> {
        let others = self.members.0.iter().filter(|(name, _)| !known.contains(&&**name));
        others.map(|(name, value)| (name.clone(), Cow::Borrowed(*value))).collect()
    }
}
