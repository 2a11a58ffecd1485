//! Reads the envelope of a well-formed event in one pass over its text.
//!
//! Whatever is unusual, a member that is given twice, a text that is none or an older spelling, is left to [`CdEvent::from_members`], which reads
//! the text again and says what is wrong. Where both can read an event they read the same.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{CdEvent, Content, Context, Extra, Subject, Written};
use crate::{json::Text, syntax};

/// The event, unless there is anything unusual about it.
pub(super) fn read(text: &[u8]) -> Option<CdEvent<'_>> {
    let mut json = serde_json::Deserializer::from_str(std::str::from_utf8(text).ok()?);
    let event = Envelope.deserialize(&mut json).ok()?;
    json.end().ok().and(event)
}

/// An object of which some members are texts and some any JSON; the others are kept as they are.
struct Names<const T: usize, const R: usize> {
    texts: [&'static str; T],
    raws: [&'static str; R],
}

const CONTEXT: Names<7, 1> =
    Names { texts: ["specversion", "id", "source", "type", "timestamp", "schemaUri", "chainId"], raws: ["links"] };
const SUBJECT: Names<2, 1> = Names { texts: ["id", "source"], raws: ["content"] };

/// The members of such an object, in the order of their names; `null` is absent.
struct Found<'a, const T: usize, const R: usize> {
    texts: [Option<Cow<'a, str>>; T],
    raws: [Option<&'a RawValue>; R],
    others: Extra<'a>,
}

impl<'de, const T: usize, const R: usize> DeserializeSeed<'de> for Names<T, R> {
    type Value = Found<'de, T, R>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const T: usize, const R: usize> Visitor<'de> for Names<T, R> {
    type Value = Found<'de, T, R>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Found { texts: [const { None }; T], raws: [None; R], others: Vec::new() };
        while let Some(Text(name)) = map.next_key()? {
            if let Some(n) = self.texts.iter().position(|known| *known == name) {
                once(&mut found.texts[n], map.next_value::<Option<Text<'_>>>()?.map(|Text(text)| text))?;
            } else if let Some(n) = self.raws.iter().position(|known| *known == name) {
                once(&mut found.raws[n], map.next_value()?)?;
            } else {
                found.others.push((name, Cow::Borrowed(map.next_value()?)));
            }
        }
        Ok(found)
    }
}

/// Takes a member; the same one twice is unusual.
fn once<T, E: serde::de::Error>(slot: &mut Option<T>, value: Option<T>) -> Result<(), E> {
    if slot.is_some() {
        return Err(E::custom("given twice"));
    }
    *slot = value;
    Ok(())
}

/// The whole event; `None` where something is missing or not as it should be.
struct Envelope;

impl<'de> DeserializeSeed<'de> for Envelope {
    type Value = Option<CdEvent<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Envelope {
    type Value = Option<CdEvent<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut read_context, mut read_subject) = (None, None);
        let (mut custom_data, mut content_type, mut extra) = (None, None, Vec::new());
        while let Some(Text(name)) = map.next_key()? {
            match &*name {
                "context" => once(&mut read_context, Some(map.next_value_seed(CONTEXT)?))?,
                "subject" => once(&mut read_subject, Some(map.next_value_seed(SUBJECT)?))?,
                "customData" => once(&mut custom_data, map.next_value()?)?,
                "customDataContentType" => once(&mut content_type, map.next_value::<Option<Text<'_>>>()?)?,
                _ => extra.push((name, Cow::Borrowed(map.next_value::<&RawValue>()?))),
            }
        }
        let (context, subject) = (read_context.and_then(context), read_subject.and_then(subject));
        let (custom_data, custom_data_content_type) = (custom_data.map(Cow::Borrowed), content_type.map(|Text(text)| text));
        Ok(context.zip(subject).map(|(context, subject)| CdEvent {
            context,
            subject,
            custom_data,
            custom_data_content_type,
            extra,
        }))
    }
}

fn context(Found { texts, raws: [links], others: extra }: Found<'_, 7, 1>) -> Option<Context<'_>> {
    let [specversion, id, source, ty, timestamp, schema_uri, chain_id] = texts;
    if extra.iter().any(|(name, _)| name == "version") {
        return None;
    }
    let written = timestamp?;
    let timestamp = syntax::timestamp(&written)?;
    Some(Context {
        specversion: specversion?,
        id: id?,
        source: source?,
        ty: ty?,
        timestamp,
        schema_uri,
        chain_id,
        links: links.map(Cow::Borrowed),
        written: Written { old_version: false, timestamp: Some((timestamp, written)) },
        extra,
    })
}

fn subject(Found { texts: [id, source], raws: [content], others: extra }: Found<'_, 2, 1>) -> Option<Subject<'_>> {
    Some(Subject { id: id?, source, content: Content(content.map(Cow::Borrowed)), extra })
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*, sample};

    use super::*;
    use crate::json::Members;

    #[test]
    fn a_well_formed_event_is_read_in_one_pass() {
        let context =
            r#""specversion":"0.5.1","id":"1","source":"/a","type":"t","timestamp":"2026-01-02T03:04:05Z","links":[],"x":1"#;
        let text = format!(
            r#" {{"context":{{{context}}},"subject":{{"id":"é\n","content":{{}},"type":"b"}},"customData":{{}},"y":[]}} "#
        );
        assert_eq!(format!("{:?}", read(text.as_bytes()).unwrap()), general(text.as_bytes()).unwrap());
    }

    proptest! {
        #[test]
        fn both_ways_read_the_same_or_only_one_reads_at_all(
            context in object(&["id", "source", "type", "timestamp", "specversion", "version", "schemaUri", "chainId", "links", "x"]),
            subject in object(&["id", "source", "content", "x"]),
            rest in members(&["context", "subject", "customData", "customDataContentType", "x"]),
        ) {
            let text = format!(r#"{{"context":{context},"subject":{subject}{rest}}}"#);
            if let Some(event) = read(text.as_bytes()) {
                prop_assert_eq!(format!("{event:?}"), general(text.as_bytes()).map_err(TestCaseError::fail)?);
            }
        }
    }

    fn general(text: &[u8]) -> Result<String, String> {
        let members = Members::parse(text).map_err(|error| error.to_string())?;
        CdEvent::from_members(&members).map(|event| format!("{event:?}")).map_err(|error| error.to_string())
    }

    /// Mostly what an event needs, and then members of any kind, some of them for the second time.
    fn object(names: &'static [&'static str]) -> impl Strategy<Value = String> {
        let needed = r#"{"specversion":"0.5.1","id":"1","source":"/a","type":"t","timestamp":"2026-01-02T03:04:05Z""#;
        let begun = prop_oneof![9 => Just(needed), 1 => Just(r#"{"id":"1""#), 1 => Just(r#"{"version":"1","id":null"#)];
        prop_oneof![
            9 => (begun, members(names)).prop_map(|(begun, members)| format!("{begun}{members}}}")),
            1 => Just(r#"["0.5.1","1","/a","t","2026-01-02T03:04:05Z"]"#.to_owned()),
        ]
    }

    fn members(names: &'static [&'static str]) -> impl Strategy<Value = String> {
        let values = sample::select(vec!["null", "\"a\"", "\"\\ud800\"", "\"\\u00e9\"", "1", "{}", "[]", "{\"a\":null}"]);
        let member = (sample::select(names), values).prop_map(|(name, value)| format!(r#","{name}":{value}"#));
        collection::vec(member, 0..3).prop_map(|members| members.concat())
    }
}
