//! What a subject's content says, whichever version of the vocabulary spelled it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{self, Members};

/// The content of a subject as JSON text, parsed when asked.
#[derive(Debug, Clone, Default)]
pub struct Content<'a>(pub(super) Option<Cow<'a, RawValue>>);

impl<'a> Content<'a> {
    /// The JSON text; none if the event has no content at all, which no schema allows.
    #[must_use]
    pub fn raw(&self) -> Option<&RawValue> {
        self.0.as_deref()
    }

    /// The text, to be passed on: `null` where there is none, or one that is JSON only in form and that no reader takes
    /// (`1e999`, a lone surrogate, depth without end).
    #[must_use]
    pub fn readable(self) -> Cow<'a, RawValue> {
        let readable = self.0.filter(|raw| serde_json::from_str::<json::Readable>(raw.get()).is_ok());
        readable.unwrap_or(Cow::Borrowed(RawValue::NULL))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_reader_takes_is_not_passed_on() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for (text, readable) in [
            (r#"{"a": [1, -2.5, true, null, "\u00e9"], "b": {}}"#, true),
            (r#"{"a": 1e999}"#, false),
            (r#"{"a": "\ud800"}"#, false),
            (deep.as_str(), false),
        ] {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::from_str::<serde_json::Value>(text).is_ok(), readable, "{text}");
            let wanted = if readable { text } else { "null" };
            assert_eq!(Content(Some(Cow::Borrowed(raw))).readable().get(), wanted);
        }
    }
}
