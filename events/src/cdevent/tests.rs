//! The envelope in every spelling, and its CloudEvent.

use cloudevents::{AttributesWriter as _, Event};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{CdEvent, CdEventError};
use crate::event_time;

#[test]
fn unknown_fields_stay_where_they_were() {
    let mut event = sample();
    event["context"]["color"] = json!({"a": [1, null]});
    event["subject"]["type"] = json!("build");
    event["more"] = json!(1.5);
    assert_eq!(written(&event), event);
}

#[test]
fn numbers_keep_their_digits() {
    let text = sample().to_string().replace("\"content\":{}", "\"content\":{\"n\":1.10,\"big\":12345678901234567890123}");
    let back = String::from_utf8(CdEvent::parse(text.as_bytes()).unwrap().to_vec()).unwrap();
    assert!(back.contains(r#"{"n":1.10,"big":12345678901234567890123}"#));
}

#[test]
fn the_older_spelling_reads_the_same_and_is_written_back() {
    let mut event = sample();
    let context = event["context"].as_object_mut().unwrap();
    let version = context.remove("specversion").unwrap();
    context.insert("version".into(), version);
    event["subject"]["content"] = json!({"url": "https://example.org/1", "outcome": "pass"});
    let parsed = parse(&event);
    assert_eq!(parsed.context.specversion, "0.5.1");
    assert_eq!(parsed.subject.content.uri().unwrap(), "https://example.org/1");
    assert_eq!(parsed.subject.content.outcome().unwrap(), "success");
    assert_eq!(written(&event), event);
}

#[test]
fn a_timestamp_keeps_its_text_until_it_is_changed() {
    let mut event = sample();
    event["context"]["timestamp"] = json!("2026-01-02T03:04:05.100+02:00");
    let mut parsed = parse(&event);
    assert_eq!(parsed.context.timestamp.to_string(), "2026-01-02T01:04:05.1Z");
    assert_eq!(written(&event), event);
    parsed.context.timestamp = Timestamp::UNIX_EPOCH;
    assert!(String::from_utf8(parsed.to_vec()).unwrap().contains("1970-01-01T00:00:00Z"));
}

#[test]
fn null_is_absent() {
    let mut event = sample();
    event["context"]["chainId"] = Value::Null;
    event["customData"] = Value::Null;
    let parsed = parse(&event);
    assert!(parsed.context.chain_id.is_none() && parsed.custom_data.is_none());
}

#[test]
fn what_an_envelope_needs_is_named() {
    let error = |pointer: &str, value: Option<Value>| {
        let mut event = sample();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = event.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Some(value) => drop(parent.insert(name.into(), value)),
            None => drop(parent.remove(name)),
        }
        CdEvent::parse(event.to_string().as_bytes()).unwrap_err().to_string()
    };
    assert_eq!(error("/subject/id", None), "CDEvent subject.id: required, but missing");
    assert_eq!(error("/context/id", Some(json!(1))), "CDEvent context.id: must be a string");
    assert_eq!(error("/context/specversion", None), "CDEvent context.specversion: required, but missing");
    assert!(error("/context/timestamp", Some(json!("today"))).starts_with("CDEvent context.timestamp: must be an RFC 3339"));
    assert_eq!(error("/context", Some(json!([]))), "CDEvent context: must be an object");
    let huge = json!("x".repeat(10_000)).to_string();
    assert!(CdEvent::parse(huge.as_bytes()).unwrap_err().to_string().len() < 200, "a message does not repeat the event");
}

#[test]
fn an_event_of_our_own_holds_what_it_was_given() {
    let event = CdEvent::new("dev.cdeventsx.switchyard-build.routed.0.1.0", "e2", "/yard", Timestamp::UNIX_EPOCH, "b1");
    let event = event.chain_id("chain").link_path("e0").link_path("e1").subject_source("/ci");
    let event = event.content(&json!({"executor": "k8s"})).unwrap().custom_data(&json!({"why": []})).unwrap();
    assert_eq!(event.context.causes(), ["e0", "e1"]);
    assert_eq!(crate::validate(&event), Ok(()));
    let want = json!({
        "context": {
            "specversion": "0.5.1", "id": "e2", "source": "/yard", "type": "dev.cdeventsx.switchyard-build.routed.0.1.0",
            "timestamp": "1970-01-01T00:00:00Z", "chainId": "chain",
            "links": [{"linkType": "PATH", "from": {"contextId": "e0"}}, {"linkType": "PATH", "from": {"contextId": "e1"}}],
        },
        "subject": {"id": "b1", "source": "/ci", "content": {"executor": "k8s"}},
        "customData": {"why": []},
    });
    assert_eq!(serde_json::to_value(&event).unwrap(), want);
}

#[test]
fn the_attributes_must_not_contradict_the_event() {
    let refused = |change: fn(&mut Event)| {
        let mut event = parse(&sample()).to_cloudevent().unwrap();
        change(&mut event);
        let Err(CdEventError::Binding(violation)) = CdEvent::from_cloudevent(&event) else { panic!("not refused by attribute") };
        violation.path
    };
    assert_eq!(refused(|event| drop(event.set_type("other"))), "type");
    assert_eq!(refused(|event| drop(event.set_source("/other"))), "source");
    assert_eq!(refused(|event| drop(event.set_subject(Some("other")))), "subject");
    assert_eq!(refused(|event| drop(event.set_datacontenttype(Some("text/plain")))), "datacontenttype");
}

#[test]
fn what_real_emitters_get_wrong_is_taken_from_the_event() {
    let mut event = parse(&sample()).to_cloudevent().unwrap();
    assert_eq!(event_time(&event).unwrap().to_string(), "2026-01-02T03:04:05Z");
    event.set_id("drawn by the SDK");
    event.set_subject(None::<String>);
    event.set_datacontenttype(None::<String>);
    assert_eq!(CdEvent::from_cloudevent(&event).unwrap().context.id, "e1");
}

#[test]
fn an_attribute_that_cloudevents_forbids_is_named() {
    let mut event = sample();
    event["subject"]["id"] = json!("");
    let error = parse(&event).to_cloudevent().unwrap_err().to_string();
    assert_eq!(error, "CloudEvents attribute subject: must not be empty");
}

fn sample() -> Value {
    json!({
        "context": {
            "specversion": "0.5.1", "id": "e1", "source": "/ci", "type": "dev.cdevents.build.queued.0.3.0",
            "timestamp": "2026-01-02T03:04:05Z",
        },
        "subject": {"id": "b1", "content": {}},
    })
}

fn parse(event: &Value) -> CdEvent<'static> {
    CdEvent::parse(event.to_string().leak().as_bytes()).unwrap()
}

fn written(event: &Value) -> Value {
    serde_json::from_slice(&parse(event).to_vec()).unwrap()
}
