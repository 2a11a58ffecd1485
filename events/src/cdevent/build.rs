//! Makes an event of our own.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{CdEvent, Content, Context, SPECVERSION, Subject, Written};
use crate::json;

impl CdEvent<'static> {
    /// An event with empty content; nothing is drawn and nothing is a default that could be wrong.
    #[must_use]
    pub fn new(
        ty: impl Into<String>,
        id: impl Into<String>,
        source: impl Into<String>,
        timestamp: Timestamp,
        subject_id: impl Into<String>,
    ) -> Self {
        Self {
            context: Context {
                specversion: Cow::Borrowed(SPECVERSION),
                id: Cow::Owned(id.into()),
                source: Cow::Owned(source.into()),
                ty: Cow::Owned(ty.into()),
                timestamp,
                schema_uri: None,
                chain_id: None,
                links: None,
                written: Written::default(),
                extra: Vec::new(),
            },
            subject: Subject {
                id: Cow::Owned(subject_id.into()),
                source: None,
                content: Content(to_raw_value(&Empty {}).ok().map(Cow::Owned)),
                extra: Vec::new(),
            },
            custom_data: None,
            custom_data_content_type: None,
            extra: Vec::new(),
        }
    }

    /// Sets the subject's content.
    ///
    /// # Errors
    /// The value has no JSON form.
    pub fn content(mut self, content: &impl Serialize) -> Result<Self, serde_json::Error> {
        self.subject.content = Content(Some(Cow::Owned(to_raw_value(content)?)));
        Ok(self)
    }

    /// Sets the custom data, which the schema wants to be an object.
    ///
    /// # Errors
    /// The value has no JSON form.
    pub fn custom_data(mut self, custom_data: &impl Serialize) -> Result<Self, serde_json::Error> {
        self.custom_data = Some(Cow::Owned(to_raw_value(custom_data)?));
        Ok(self)
    }

    /// Sets the chain that the event belongs to.
    #[must_use]
    pub fn chain_id(mut self, chain_id: impl Into<String>) -> Self {
        self.context.chain_id = Some(Cow::Owned(chain_id.into()));
        self
    }

    /// Sets who owns the subject.
    #[must_use]
    pub fn subject_source(mut self, source: impl Into<String>) -> Self {
        self.subject.source = Some(Cow::Owned(source.into()));
        self
    }

    /// Adds a PATH link: the event with this `context.id` caused this one.
    #[must_use]
    pub fn link_path(mut self, from: impl Into<String>) -> Self {
        let path = to_raw_value(&Path { link_type: "PATH", from: From { context_id: from.into() } }).ok();
        let mut links: Vec<&RawValue> = self.context.links.as_deref().and_then(json::items).unwrap_or_default();
        links.extend(path.as_deref());
        self.context.links = to_raw_value(&links).ok().map(Cow::Owned);
        self
    }
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Path {
    link_type: &'static str,
    from: From,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct From {
    context_id: String,
}
