//! Each form in which events come, as its emitter writes it.

use cloudevents::{AttributesReader as _, Data, EventBuilder as _, EventBuilderV10};
use serde_json::{Value, json};

use super::{DecodeError, Decoded, Form, MAX_DATA, decode, encode, encode_structured, event_time};

const BINARY: [(&str, &str); 4] = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/ci"), ("ce-type", "test")];
const DECLARED: [(&str, &str); 1] = [("content-type", "application/cloudevents+json")];

#[test]
fn binary_headers_are_read_in_any_case_and_percent_decoded() {
    let headers = [
        ("Ce-Specversion", "1.0"),
        ("CE-ID", "1"),
        ("ce-source", "/ci"),
        ("ce-type", "test"),
        ("Ce-Subject", "Euro%20%e2%82%ac%20%F0%9F%98%80"),
        ("ce-time", "2026-01-02T03:04:05.5+01:00"),
        ("ce-partitionkey", "\"a \\\"b\\\"\""),
        ("traceparent", "no attribute"),
    ];
    let Decoded { event, form } = decode(headers, b"\x00data").unwrap();
    assert_eq!(form, Form::Binary);
    assert_eq!((event.id(), event.subject()), ("1", Some("Euro € 😀")));
    assert_eq!(event_time(&event).unwrap().to_string(), "2026-01-02T02:04:05.5Z");
    assert_eq!(event.extension("partitionkey").unwrap().to_string(), "a \"b\"");
    assert_eq!(event.iter_extensions().count(), 1);
    assert_eq!(event.data(), Some(&Data::Binary(b"\x00data".to_vec())));
}

#[test]
fn a_content_type_of_http_is_the_datas() {
    let read =
        |extra: &[(&'static str, &'static str)]| decode(BINARY.into_iter().chain(extra.iter().copied()), b"{}").unwrap().event;
    assert_eq!(read(&[("Content-Type", "application/json")]).datacontenttype(), Some("application/json"));
    assert_eq!(read(&[("Content-Type", "a/b"), ("ce-datacontenttype", "c/d")]).datacontenttype(), Some("c/d"));
    assert_eq!(read(&[("Content-Type", "nonsense")]).datacontenttype(), None);
}

#[test]
fn structured_data_keeps_its_text() {
    let data = r#"{"z": 1.10, "a":12345678901234567890123, "z":null}"#;
    let text =
        format!(r#"{{"specversion":"1.0","id":"1","source":"/ci","type":"test","n":7,"b":true,"none":null,"data": {data} }}"#);
    for headers in [&DECLARED[..], &[("Content-Type", "Application/CloudEvents+JSON ; charset=utf-8")], &[], &[("X", "y")]] {
        let Decoded { event, form } = decode(headers.iter().copied(), text.as_bytes()).unwrap();
        assert_eq!(form, Form::Structured);
        assert_eq!(event.data(), Some(&Data::Binary(data.into())));
        assert_eq!((event.extension("n"), event.extension("b")), (Some(&7.into()), Some(&true.into())));
        assert_eq!(event.iter_extensions().count(), 2);
        assert!(String::from_utf8(encode_structured(&event).unwrap()).unwrap().contains(data));
    }
}

#[test]
fn text_and_binary_data_are_told_by_their_type() {
    let read = |more: Value| {
        let mut event = json!({"specversion": "1.0", "id": "1", "source": "/ci", "type": "test"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        decode(DECLARED, event.to_string().as_bytes()).map(|decoded| decoded.event.data().cloned())
    };
    let bytes = |text: &str| Some(Data::Binary(text.into()));
    assert_eq!(read(json!({"datacontenttype": "text/plain", "data": "a\nb"})).unwrap(), bytes("a\nb"));
    assert_eq!(read(json!({"datacontenttype": "application/json", "data": "a\nb"})).unwrap(), bytes(r#""a\nb""#));
    assert_eq!(read(json!({"data_base64": "/w=="})).unwrap(), Some(Data::Binary(vec![0xFF])));
    assert_eq!(read(json!({"data": null})).unwrap(), None);
    assert_eq!(refused(read(json!({"data_base64": "?"}))), "data_base64");
    assert_eq!(refused(read(json!({"data": 1, "data_base64": "/w=="}))), "data_base64");
}

#[test]
fn a_bare_cdevent_gets_the_bindings_attributes() {
    let Decoded { event, form } = decode([("Content-Type", "application/json")], cdevent().as_bytes()).unwrap();
    assert_eq!(form, Form::CdEvent);
    assert_eq!((event.id(), &**event.source(), event.ty()), ("e1", "/ci", "dev.cdevents.build.queued.0.3.0"));
    assert_eq!((event.subject(), event.datacontenttype()), (Some("b1"), Some("application/json")));
    assert_eq!(event_time(&event).unwrap().to_string(), "2026-01-02T03:04:05Z");
    assert_eq!(event.data(), Some(&Data::Binary(cdevent().into_bytes())));
}

#[test]
fn spinnakers_event_is_read_from_within_its_string() {
    let inner = json!({"specversion": "1.0", "id": "u", "source": "/ci", "type": "dev.cdevents.build.queued.0.3.0", "data": 1})
        .to_string();
    let body = json!(inner).to_string();
    let headers = |id| {
        [("Ce-Specversion", "1.0"), ("Ce-Id", id), ("Ce-Source", "/ci"), ("Ce-Type", "dev.cdevents.build.queued.0.3.0")]
            .into_iter()
    };
    for quoted in [decode(headers("u"), body.as_bytes()), decode([], body.as_bytes()), decode(DECLARED, body.as_bytes())] {
        let Decoded { event, form } = quoted.unwrap();
        assert_eq!((form, event.data()), (Form::Quoted, Some(&Data::Binary(b"1".to_vec()))));
    }
    let other = decode(headers("another"), body.as_bytes()).unwrap();
    assert_eq!((other.form, other.event.data()), (Form::Binary, Some(&Data::Binary(body.into_bytes()))));
}

#[test]
fn subject_and_time_that_an_sdk_left_out_come_from_the_data() {
    let headers =
        [("ce-specversion", "1.0"), ("ce-id", "u"), ("ce-source", "/ci"), ("ce-type", "dev.cdevents.build.queued.0.3.0")];
    let event = decode(headers, cdevent().as_bytes()).unwrap().event;
    assert_eq!(event.subject(), Some("b1"));
    assert_eq!(event_time(&event).unwrap().to_string(), "2026-01-02T03:04:05Z");
    let kept = decode(headers.into_iter().chain([("ce-subject", "mine")]), cdevent().as_bytes()).unwrap().event;
    assert_eq!(kept.subject(), Some("mine"));
    assert_eq!(decode(headers, b"{}").unwrap().event.subject(), None);
}

#[test]
fn what_is_no_event_is_refused_with_the_reason() {
    let error = |headers: &[(&'static str, &'static str)], payload: &[u8]| {
        decode(headers.iter().copied(), payload).unwrap_err().to_string()
    };
    assert!(error(&[], b"").starts_with("neither a CloudEvent nor a CDEvent"));
    assert!(error(&[], b"CloudEvent{id='1'}").starts_with("neither a CloudEvent nor a CDEvent"));
    assert!(error(&[], b"{\"context\":{}}").contains("`context` and `subject`"));
    assert_eq!(error(&[], b"{\"context\":{},\"subject\":{}}"), "CDEvent context.timestamp: required, but missing");
    assert!(error(&DECLARED, b"{\n\"id\": }").contains("line 2 column 7"));
    assert!(error(&[("content-type", "application/cloudevents-batch+json")], b"[]").contains("batch"));
    assert!(error(&[], b" [{}]").contains("batch"));
    assert!(error(&[("content-type", "application/cloudevents+protobuf")], b"").contains("application/cloudevents+protobuf"));
}

#[test]
fn a_broken_attribute_is_named() {
    let with = |name: &'static str, value: &'static str| refused(decode(BINARY.into_iter().chain([(name, value)]), b""));
    assert_eq!(with("ce-id", "2"), "id");
    assert_eq!(with("ce-subject", ""), "subject");
    assert_eq!(with("ce-subject", "%C0%A0"), "subject");
    assert_eq!(with("ce-subject", "a%0D%0Ab"), "subject");
    assert_eq!(with("ce-subject", "%EF%BF%BF"), "subject");
    assert_eq!(with("ce-time", "2018-04-05T18:31Z"), "time");
    assert_eq!(with("ce-datacontenttype", "xyz"), "datacontenttype");
    assert_eq!(with("ce-dataschema", "/relative"), "dataschema");
    assert_eq!(with("ce-my_ext", "x"), "my_ext");
    assert_eq!(with("ce-data", "x"), "data");
    assert_eq!(with("ce-", "x"), "");
    assert_eq!(refused(decode(BINARY.into_iter().skip(2).chain([("Ce-SpecVersion", "1.0")]), b"")), "id");
    assert!(decode(BINARY.into_iter().chain([("Ce-Id", "1")]), b"").is_ok(), "the same value twice is one");
}

#[test]
fn data_over_the_limit_is_refused_with_its_size() {
    let data = vec![b'x'; MAX_DATA + 1];
    assert!(decode(BINARY, &data[1..]).is_ok());
    let error = decode(BINARY, &data).unwrap_err();
    assert!(matches!(error, DecodeError::TooLarge { size, limit } if size == MAX_DATA + 1 && limit == MAX_DATA));
    let quoted = [&b"\""[..], &data, &data, b"\""].concat();
    assert!(matches!(decode([], &quoted), Err(DecodeError::TooLarge { .. })));
}

#[test]
fn an_event_is_written_in_lower_case_with_canonical_values() {
    let event = event().subject("Euro € 😀").time("2026-01-02T03:04:05+01:00").extension("n", -7).extension("on", true);
    let event = event.data("application/json", json!({"a": 1})).build().unwrap();
    let mut written = encode(&event).unwrap();
    written.headers.sort();
    let written_headers: Vec<_> = written.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(
        written_headers,
        [
            ("ce-datacontenttype", "application/json"),
            ("ce-id", "1"),
            ("ce-n", "-7"),
            ("ce-on", "true"),
            ("ce-source", "/ci"),
            ("ce-specversion", "1.0"),
            ("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
            ("ce-time", "2026-01-02T02:04:05Z"),
            ("ce-type", "test"),
        ]
    );
    assert_eq!(&written.payload[..], br#"{"a":1}"#);
}

#[test]
fn an_invalid_event_is_not_written() {
    let path = |builder: EventBuilderV10| encode(&builder.build().unwrap()).unwrap_err().path;
    assert_eq!(path(event().id("")), "id");
    assert_eq!(path(event().ty("a\r\nb")), "type");
    assert_eq!(path(event().extension("a\r\nNats-Msg-Id", "x")), "a\\r\\nNats-Msg-Id");
    assert_eq!(path(event().extension("n", i64::MAX)), "n");
    assert_eq!(path(event().source("a b")), "source");
}

fn event() -> EventBuilderV10 {
    EventBuilderV10::new().id("1").source("/ci").ty("test")
}

fn cdevent() -> String {
    r#"{"context": {"specversion": "0.5.1", "id": "e1", "source": "/ci", "type": "dev.cdevents.build.queued.0.3.0",
        "timestamp": "2026-01-02T03:04:05Z"}, "subject": {"id": "b1", "content": {}}}"#
        .to_owned()
}

/// The attribute that the event was refused for.
fn refused<T: std::fmt::Debug>(result: Result<T, DecodeError>) -> String {
    let Err(DecodeError::Attribute(violation)) = result else { panic!("not refused by attribute: {result:?}") };
    violation.path
}
