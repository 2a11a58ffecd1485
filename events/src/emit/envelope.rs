//! The CDEvent around what an event of ours says, written in one pass.
//!
//! Members stand in the order in which [`crate::CdEvent`] writes them, so that both write the same bytes.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{About, SOURCE};
use crate::SPECVERSION;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<'a, T> {
    context: Context<'a>,
    subject: Subject<'a>,
    custom_data: &'a T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    specversion: &'a str,
    id: &'a str,
    source: &'a str,
    r#type: &'a str,
    timestamp: Timestamp,
    chain_id: &'a str,
    links: [Link<'a>; 1],
}

/// A PATH link: the event with this `context.id` caused this one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Link<'a> {
    link_type: &'static str,
    from: From<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct From<'a> {
    context_id: &'a str,
}

#[derive(Serialize)]
struct Subject<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    content: Content<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Some(&'a Value),
    Empty {},
}

impl<'a, T: Serialize> Envelope<'a, T> {
    pub(super) fn new<S: AsRef<str>, C>(about: &'a About<'a, S, C>, content: Option<&'a Value>, custom_data: &'a T) -> Self {
        let request = about.request;
        let link = Link { link_type: "PATH", from: From { context_id: request.id.as_ref() } };
        Self {
            context: Context {
                specversion: SPECVERSION,
                id: &about.id,
                source: SOURCE,
                r#type: about.event_type,
                timestamp: about.at,
                chain_id: request.chain_id.as_ref(),
                links: [link],
            },
            subject: Subject {
                id: about.subject_id,
                source: about.subject_source,
                content: content.map_or(Content::Empty {}, Content::Some),
            },
            custom_data,
        }
    }

    /// The event as JSON text.
    pub(super) fn to_vec(&self) -> Result<Vec<u8>, serde_json::Error> {
        // Most events fit: growing would copy them several times.
        let mut text = Vec::with_capacity(2048);
        serde_json::to_writer(&mut text, self)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{CdEvent, Request};

    #[test]
    fn it_is_written_as_any_other_cdevent() {
        let request = Request { id: "1\"".into(), chain_id: "c".into(), ..Request::default() };
        let (said, content) = (json!({"build": "b"}), json!({"uri": "https://a.example/\u{e9}"}));
        for (content, subject_source) in [(None, None), (Some(&content), Some("/a"))] {
            let at = Timestamp::UNIX_EPOCH;
            let about = About { event_type: "t", id: "i".into(), at, subject_id: "s", subject_source, request: &request };
            let mut event = CdEvent::new("t", "i", SOURCE, at, "s").custom_data(&said).unwrap();
            if let (Some(content), Some(source)) = (content, subject_source) {
                event = event.content(content).unwrap().subject_source(source);
            }
            let event = event.chain_id("c").link_path("1\"");
            assert_eq!(Envelope::new(&about, content, &said).to_vec().unwrap(), event.to_vec());
        }
    }
}
