//! Reads the envelope of a well-formed event in one pass over its text.
//!
//! Whatever is unusual, a member that is given twice, a text that is none or an older spelling, is left to [`CdEvent::from_members`], which reads
//! the text again and says what is wrong. Where both can read an event they read the same.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{CdEvent, Content, Context, Extra, Subject, Written};
use crate::{
    BuildView,
    json::{
        Text,
        scan::{Scan, once},
    },
    syntax,
};

/// The event, unless there is anything unusual about it.
pub(super) fn read(text: &[u8]) -> Option<CdEvent<'_>> {
    let (event, custom_data) = envelope(text, Scan::value::<Option<&RawValue>>)?;
    Some(CdEvent { custom_data: custom_data.flatten().map(Cow::Borrowed), ..event })
}

/// A build, and the text that it was read from.
type Build<'a> = (BuildView<'a>, &'a str);

/// An event that asks for a build, without its custom data, and the build that these hold; unless there is anything wrong or unusual.
pub(super) fn asking(text: &[u8]) -> Option<(CdEvent<'_>, Build<'_>)> {
    let (event, build) = envelope(text, build)?;
    event.custom_data_content_type.is_none().then_some(())?;
    Some((event, build?))
}

fn build<'a>(scan: &mut Scan<'a>) -> Option<Build<'a>> {
    let mut build = None;
    scan.members(|scan, name| match &*name {
        "build" => once(&mut build, Some(scan.words(BuildView::scan)?)),
        _ => scan.value::<IgnoredAny>().map(drop),
    })?;
    build
}

/// The event, and its custom data as `custom` reads them.
fn envelope<'a, C>(text: &'a [u8], mut custom: impl FnMut(&mut Scan<'a>) -> Option<C>) -> Option<(CdEvent<'a>, Option<C>)> {
    let mut scan = Scan::of(std::str::from_utf8(text).ok()?);
    let (mut read_context, mut read_subject) = (None, None);
    let (mut custom_data, mut content_type, mut extra) = (None, None, Vec::new());
    scan.members(|scan, name| match &*name {
        "context" => once(&mut read_context, Some(context(scan)?)),
        "subject" => once(&mut read_subject, Some(subject(scan)?)),
        "customData" => once(&mut custom_data, Some(custom(scan)?)),
        "customDataContentType" => once(&mut content_type, scan.value::<Option<Text<'_>>>()?),
        _ => other(&mut extra, name, scan),
    })?;
    scan.end()?;
    let (context, subject) = (read_context?, read_subject?);
    let custom_data_content_type = content_type.map(|Text(text)| text);
    Some((CdEvent { context, subject, custom_data: None, custom_data_content_type, extra }, custom_data))
}

const TEXTS: [&str; 7] = ["specversion", "id", "source", "type", "timestamp", "schemaUri", "chainId"];

fn context<'a>(scan: &mut Scan<'a>) -> Option<Context<'a>> {
    let mut texts = [const { None }; TEXTS.len()];
    let (mut links, mut extra) = (None, Vec::new());
    scan.members(|scan, name| match TEXTS.iter().position(|known| *known == name) {
        Some(n) => once(&mut texts[n], Some(scan.text()?)),
        None if name == "links" => once(&mut links, scan.value::<Option<&RawValue>>()?),
        // An older spelling.
        None if name == "version" => None,
        None => other(&mut extra, name, scan),
    })?;
    let [specversion, id, source, ty, timestamp, schema_uri, chain_id] = texts;
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

fn subject<'a>(scan: &mut Scan<'a>) -> Option<Subject<'a>> {
    let (mut id, mut source, mut content, mut extra) = (None, None, None, Vec::new());
    scan.members(|scan, name| match &*name {
        "id" => once(&mut id, Some(scan.text()?)),
        "source" => once(&mut source, Some(scan.text()?)),
        "content" => once(&mut content, scan.value::<Option<&RawValue>>()?),
        _ => other(&mut extra, name, scan),
    })?;
    Some(Subject { id: id?, source, content: Content(content.map(Cow::Borrowed)), extra })
}

fn other<'a>(extra: &mut Extra<'a>, name: Cow<'a, str>, scan: &mut Scan<'a>) -> Option<()> {
    extra.push((name, Cow::Borrowed(scan.value()?)));
    Some(())
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
