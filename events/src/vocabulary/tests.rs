//! Which rules hold for which version of the vocabulary.

use serde_json::{Value, json};

use crate::{CdEvent, validate};

#[test]
fn a_field_of_the_wrong_kind_is_named_with_its_rule() {
    let broken = |content: Value| violations("testcaserun.finished.0.3.0", content);
    assert_eq!(broken(json!({"outcome": "success", "environment": {"id": "e"}})), Vec::<String>::new());
    assert_eq!(
        broken(json!({"outcome": "pass", "environment": {"id": "e"}})),
        ["subject.content.outcome: must be one of success, failure, cancel, error, not `pass`"]
    );
    assert_eq!(
        broken(json!({"outcome": 1, "environment": {}, "testCase": {"id": "t", "uri": "x"}})),
        [
            "subject.content.outcome: must be a string",
            "subject.content.environment.id: required, but missing",
            "subject.content.testCase.uri: must be an absolute URI",
        ]
    );
    assert_eq!(
        broken(json!({"environment": "e"})),
        ["subject.content.outcome: required, but missing", "subject.content.environment: must be an object",]
    );
    assert_eq!(
        violations("ticket.closed.0.2.0", json!({"uri": "a b", "resolution": "", "labels": ["a", 1]})),
        [
            "subject.content.labels: must be an array of strings",
            "subject.content.uri: must be a URI-reference (no spaces, quotes or angle brackets)",
            "subject.content.resolution: must not be empty",
        ]
    );
}

#[test]
fn unknown_fields_and_types_are_fine() {
    assert!(violations("build.queued.0.3.0", json!({"new": 1})).is_empty());
    assert!(violations("approval.created.0.1.0", json!({"any": "thing"})).is_empty());
    assert!(violations("build.queued.9.0.0", json!({"any": "thing"})).is_empty());
}

#[test]
fn version_0_4_spells_uri_and_outcomes_its_own_way() {
    let old = json!({"pipelineName": "p", "url": "https://example.org"});
    assert!(violations("pipelinerun.started.0.2.0", old.clone()).is_empty());
    assert_eq!(violations("pipelinerun.started.0.3.0", old), ["subject.content.uri: required, but missing"]);
    assert_eq!(
        violations("pipelinerun.started.0.2.0", json!({"pipelineName": "p", "url": "x"})),
        ["subject.content.url: must be an absolute URI"]
    );
    let test = |outcome: &str| violations("testcaserun.finished.0.2.0", json!({"outcome": outcome, "environment": {"id": "e"}}));
    assert!(test("pass").is_empty());
    assert_eq!(test("success"), ["subject.content.outcome: must be one of pass, fail, cancel, error, not `success`"]);
    assert!(violations("pipelinerun.finished.0.2.0", json!({"outcome": "Succeeded"})).is_empty());
}

#[test]
fn older_content_is_not_judged_and_newer_enums_are_open() {
    assert!(violations("testcaserun.finished.0.1.0", json!({"whatever": 1})).is_empty());
    let newer = violations("testcaserun.finished.0.4.0", json!({"outcome": "timeout"}));
    assert_eq!(newer, ["subject.content.environment: required, but missing"]);
}

#[test]
fn the_envelope_is_checked_whatever_the_type() {
    let mut event = sample("build.queued.0.3.0");
    event["context"]["id"] = json!("");
    event["context"]["source"] = json!("a b");
    event["context"]["type"] = json!("dev.cdeventsx.tool-pod2.made.0.1.0");
    event["context"]["schemaUri"] = json!("/relative");
    event["context"]["chainId"] = json!("");
    event["context"]["links"] = json!([{"linkType": "PATH"}, {"linkType": "END"}, {"linkType": "NEXT"}, 1]);
    event["subject"].as_object_mut().unwrap().remove("content");
    event["customData"] = json!([1]);
    let paths: Vec<_> = errors(&event).into_iter().map(|error| error.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(
        paths,
        [
            "context.id",
            "context.source",
            "context.type",
            "context.schemaUri",
            "context.chainId",
            "context.links[0]",
            "context.links[2]",
            "context.links[3]",
            "subject.content",
            "customData",
        ]
    );
}

#[test]
fn custom_data_is_an_object_or_base64() {
    let errors = |custom: Value| {
        let mut event = sample("build.queued.0.3.0");
        event["customData"] = custom;
        errors(&event).len()
    };
    assert_eq!((errors(json!({"a": 1})), errors(json!("aGk=")), errors(json!("hi!")), errors(json!(1))), (0, 0, 1, 1));
}

fn violations(ty: &str, content: Value) -> Vec<String> {
    let mut event = sample(ty);
    event["subject"]["content"] = content;
    errors(&event)
}

fn sample(ty: &str) -> Value {
    json!({
        "context": {
            "specversion": "0.5.1", "id": "1", "source": "/ci", "type": format!("dev.cdevents.{ty}"), "timestamp": "2026-01-02T03:04:05Z",
        },
        "subject": {"id": "s", "content": {}},
    })
}

fn errors(event: &Value) -> Vec<String> {
    let text = event.to_string();
    let event = CdEvent::parse(text.as_bytes()).unwrap();
    validate(&event).err().into_iter().flatten().map(|violation| violation.to_string()).collect()
}
