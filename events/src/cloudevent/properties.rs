//! What holds for every event and for every message.

use cloudevents::{
    AttributesReader as _, AttributesWriter as _, Data, Event, EventBuilder as _, EventBuilderV10, event::ExtensionValue,
};
use jiff::Timestamp;
use proptest::{collection, option, prelude::*, sample};

use super::{Form, decode, encode, encode_structured};
use crate::{CdEvent, syntax, validate};

proptest! {
    #[test]
    fn any_event_survives_binary_mode(event in events()) {
        let message = encode(&event).unwrap();
        for (name, value) in &message.headers {
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
            prop_assert!(value.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        let headers = message.headers.iter().map(|(name, value)| (&**name, &**value));
        let decoded = decode(headers, &message.payload).unwrap();
        prop_assert_eq!(decoded.form, Form::Binary);
        prop_assert_eq!(attributes(&decoded.event), attributes(&event));
        prop_assert_eq!(decoded.event.data(), event.data());
    }

    #[test]
    fn any_event_survives_the_json_format(event in events()) {
        let text = encode_structured(&event).unwrap();
        let decoded = decode([], &text).unwrap();
        prop_assert_eq!(decoded.form, Form::Structured);
        let mut event = event;
        if let Some(Data::Binary(bytes)) = event.data() && syntax::is_json(event.datacontenttype()) {
            // White space around JSON is not part of it.
            if serde_json::from_slice::<&serde_json::value::RawValue>(bytes).is_ok_and(|value| value.get() != "null") {
                event.set_data_unchecked(bytes.trim_ascii().to_vec());
            }
        }
        prop_assert_eq!(&decoded.event, &event);
    }

    #[test]
    fn no_message_panics_and_what_is_read_can_be_written(headers in headers(), payload in payloads()) {
        let headers = headers.iter().map(|(name, value)| (&**name, &**value));
        let Ok(decoded) = decode(headers, &payload) else { return Ok(()) };
        let message = encode(&decoded.event).unwrap();
        let headers = message.headers.iter().map(|(name, value)| (&**name, &**value));
        let again = decode(headers, &message.payload).unwrap();
        prop_assert_eq!(attributes(&again.event), attributes(&decoded.event));
        if let Ok(cdevent) = CdEvent::from_cloudevent(&decoded.event) {
            let _ = validate(&cdevent);
            prop_assert!(CdEvent::parse(&cdevent.to_vec()).is_ok());
        }
    }
}

fn events() -> impl Strategy<Value = Event> {
    let types = sample::select(vec!["application/json", "text/plain; charset=utf-8", "application/octet-stream", "a/b+json"]);
    let schemas = sample::select(vec!["https://example.org/schema#1", "urn:x:y"]);
    let names = "[a-z0-9]{1,20}".prop_filter("is an attribute of its own", |name| !CORE.contains(&&**name));
    let extensions = collection::hash_map(names, values(), 0..4);
    let required = (texts(), "[!#-;=?-~é€]{1,20}", texts());
    let optional = (option::of(texts()), option::of(times()), option::of(types), option::of(schemas));
    (required, optional, extensions, option::of(data())).prop_map(|(required, optional, extensions, data)| {
        let mut builder = EventBuilderV10::new().id(required.0).source(required.1).ty(required.2);
        if let Some(subject) = optional.0 {
            builder = builder.subject(subject);
        }
        if let Some(time) = optional.1 {
            builder = builder.time(time);
        }
        for (name, value) in extensions {
            builder = builder.extension(&name, value);
        }
        let mut event = builder.build().unwrap();
        event.set_datacontenttype(optional.2);
        event.set_dataschema(optional.3.map(|schema| schema.parse::<url::Url>().unwrap()));
        if let Some(data) = data {
            event.set_data_unchecked(data);
        }
        event
    })
}

const CORE: [&str; 9] = ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data"];

fn texts() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| text.chars().filter(|c| !syntax::is_forbidden(*c)).chain(['x']).collect())
}

fn times() -> impl Strategy<Value = String> {
    // The years 0 to 9999, in any offset.
    (-62_167_132_800_i64..253_402_200_000, 0..1_000_000_000, -1439..1440).prop_map(|(second, nanosecond, minutes)| {
        let offset = jiff::tz::Offset::from_seconds(minutes * 60).unwrap();
        let time = Timestamp::new(second, nanosecond).unwrap().to_zoned(offset.to_time_zone());
        time.strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
    })
}

fn values() -> impl Strategy<Value = ExtensionValue> {
    prop_oneof![
        texts().prop_map(ExtensionValue::String),
        any::<bool>().prop_map(ExtensionValue::Boolean),
        any::<i32>().prop_map(|value| ExtensionValue::Integer(value.into())),
    ]
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    let json = sample::select(vec!["null", " null", "{\"a\": [1.10, 2]}", "\"text\"", " 1 ", "{\"a\":", "1e999"]);
    prop_oneof![collection::vec(any::<u8>(), 1..40), "\\PC{1,20}".prop_map(String::into_bytes), json.prop_map(Into::into)]
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let names = prop_oneof![
        sample::select(vec!["ce-id", "Ce-Source", "ce-type", "CE-TIME", "ce-subject", "content-type"]).prop_map(str::to_owned),
        "(ce-)?\\PC{0,6}",
    ];
    let values = prop_oneof![
        any::<String>(),
        "[%\"\\\\a-f0-9]{0,8}",
        sample::select(vec!["application/cloudevents+json", "2026-01-02T03:04:05Z", "dev.cdevents.x"]).prop_map(str::to_owned),
    ];
    let version = option::of(Just(("ce-specversion".to_owned(), "1.0".to_owned())));
    (collection::vec((names, values), 0..8), version).prop_map(|(headers, version)| headers.into_iter().chain(version).collect())
}

/// Anything, and whole events with something put into them.
fn payloads() -> impl Strategy<Value = Vec<u8>> {
    let events = sample::select(vec![
        r#"{"specversion":"1.0","id":"1","source":"/ci","type":"dev.cdevents.x","data":{"context":{}}}"#,
        r#"{"context":{"version":"0.4.1","id":"1","source":"/ci","type":"dev.cdevents.build.queued.0.2.0",
            "timestamp":"2026-01-02T03:04:05Z","links":[{"linkType":"PATH"}]},"subject":{"id":"1","content":{"url":""}},"customData":1}"#,
        r#""{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/ci\",\"type\":\"x\"}""#,
    ]);
    let spliced =
        (events, any::<sample::Index>(), 0..3_usize, "[\"\\\\{}\\[\\]:,a1né\u{0}]{0,4}").prop_map(|(event, at, gone, new)| {
            let mut bytes = event.as_bytes().to_vec();
            let at = at.index(bytes.len());
            let end = (at + gone).min(bytes.len());
            bytes.splice(at..end, new.bytes());
            bytes
        });
    prop_oneof![collection::vec(any::<u8>(), 0..60), "[{\\[\"]\\PC{0,30}".prop_map(String::into_bytes), spliced]
}

/// Every attribute as its canonical string, sorted.
fn attributes(event: &Event) -> Vec<(String, String)> {
    let mut attributes: Vec<_> = event.iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect();
    attributes.sort();
    attributes
}
