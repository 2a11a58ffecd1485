//! What a subject's content says, whichever version of the vocabulary spelled it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{self, Members};

/// The content of a subject as JSON text, parsed when asked.
#[derive(Debug, Clone, Default)]
pub struct Content<'a>(pub(super) Option<Cow<'a, RawValue>>);

impl Content<'_> {
    /// The JSON text; none if the event has no content at all, which no schema allows.
    #[must_use]
    pub fn raw(&self) -> Option<&RawValue> {
        self.0.as_deref()
    }

    /// Reads the content as a type of its own. No content reads as an empty object.
    ///
    /// # Errors
    /// The content is not what `T` wants.
    pub fn parse<'b, T: Deserialize<'b>>(&'b self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.raw().map_or("{}", RawValue::get))
    }

    /// A field that is a string.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<Cow<'_, str>> {
        json::string(Members::of(self.raw()?)?.get(field)?)
    }

    /// Where people find the subject: `uri`, or `url` before 0.5.
    #[must_use]
    pub fn uri(&self) -> Option<Cow<'_, str>> {
        self.text("uri").or_else(|| self.text("url"))
    }

    /// The outcome as 0.5 spells it: a test's `pass` is `success`, its `fail` is `failure`.
    #[must_use]
    pub fn outcome(&self) -> Option<Cow<'_, str>> {
        self.text("outcome").map(|outcome| match &*outcome {
            "pass" => Cow::Borrowed("success"),
            "fail" => Cow::Borrowed("failure"),
            _ => outcome,
        })
    }
}

pub(super) fn causes(links: Option<&RawValue>) -> Vec<String> {
    links.and_then(json::items).unwrap_or_default().into_iter().filter_map(cause).collect()
}

fn cause(link: &RawValue) -> Option<String> {
    let link = Members::of(link)?;
    let kind = json::string(link.get("linkType")?)?;
    let from = json::string(Members::of(link.get("from")?)?.get("contextId")?)?.into_owned();
    (kind == "PATH").then_some(from)
}
