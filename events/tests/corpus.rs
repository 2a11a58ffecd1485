//! What other projects publish: the official samples of CDEvents and CloudEvents, and real webhooks.
//!
//! Run with `SWITCHYARD_CORPUS=FOLDER cargo test -p switchyard-events -- --ignored`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's helpers fail as the test does")]

use std::{fs, path::PathBuf};

use cloudevents::{AttributesReader as _, Data, Event};
use serde_json::Value;
use switchyard_events::{
    CdEvent, DecodeError, Definition, EventType, Field, Form, Kind, decode, definitions, encode, encode_structured, validate,
};

const STRUCTURED: &[(&str, &str)] = &[("Content-Type", "application/cloudevents+json; charset=UTF-8")];

#[test]
#[ignore = "reads the corpus"]
fn every_cdevent_of_0_5_1_is_read_validated_and_written_back() {
    let mut events = files("cdevents-0.5.1/conformance");
    assert_eq!(events.len(), 45);
    events.push(read("cdevents-0.5.1/custom/conformance.json"));
    for event in &events {
        survives(event);
    }
}

#[test]
#[ignore = "reads the corpus"]
fn every_cdevent_of_0_4_1_is_read_validated_and_written_back() {
    let events = files("cdevents-0.4.1/conformance");
    assert_eq!(events.len(), 45);
    for (name, text) in &events {
        survives(&(name.clone(), text.clone()));
        let event = CdEvent::parse(text.as_bytes()).unwrap();
        assert_eq!(event.context.specversion, "0.4.1", "{name}");
        let value: Value = serde_json::from_str(text).unwrap();
        if let Some(url) = value.pointer("/subject/content/url") {
            assert_eq!(event.subject.content.uri().as_deref(), url.as_str(), "{name}");
        }
    }
}

/// Reads, validates, writes back, and takes the event through CloudEvents in both modes and without any attribute.
fn survives((name, text): &(String, String)) {
    let event = CdEvent::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(validate(&event), Ok(()), "{name}");
    let value: Value = serde_json::from_str(text).unwrap();
    assert_eq!(json(&event.to_vec()), value, "{name}");
    assert_eq!(event.context.causes(), ["5328c37f-bb7e-4bb7-84ea-9f5f85e4a7ce"], "{name}");

    let cloud = event.to_cloudevent().unwrap();
    let encoded = encode(&cloud).unwrap();
    let headers = encoded.headers.iter().map(|(name, value)| (&**name, &**value));
    let binary = decode(headers, &encoded.payload).unwrap();
    assert_eq!((binary.form, &binary.event), (Form::Binary, &cloud), "{name}");
    let structured = decode(STRUCTURED.iter().copied(), &encode_structured(&cloud).unwrap()).unwrap();
    assert_eq!((structured.form, &structured.event), (Form::Structured, &cloud), "{name}");
    let back = CdEvent::from_cloudevent(&structured.event).unwrap();
    assert_eq!(json(&back.to_vec()), value, "{name}");

    let bare = decode([], text.as_bytes()).unwrap();
    assert_eq!(bare.form, Form::CdEvent, "{name}");
    assert_eq!(bare.event.data(), Some(&Data::Binary(text.clone().into_bytes())), "{name}");
    assert_eq!(attributes(&bare.event), attributes(&cloud), "{name}");
}

#[test]
#[ignore = "reads the corpus"]
fn the_vocabulary_is_that_of_the_json_schemas() {
    let schemas = files("cdevents-0.5.1/schemas");
    assert_eq!((schemas.len(), definitions().len()), (45, 45));
    for (name, text) in &schemas {
        let schema: Value = serde_json::from_str(text).unwrap();
        let properties = |path: &str| schema.pointer(path).unwrap();
        let ty = properties("/properties/context/properties/type/enum/0").as_str().unwrap();
        let parsed = EventType::parse(ty).unwrap();
        let definition: &Definition = parsed.definition().unwrap_or_else(|| panic!("{ty} is not in the vocabulary"));
        assert_eq!(definition.version, parsed.version, "{name}");
        same_fields(name, definition.content, properties("/properties/subject/properties/content"));
    }
}

fn same_fields(path: &str, fields: &[Field], schema: &Value) {
    let properties = schema["properties"].as_object().unwrap();
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for name in properties.keys() {
        assert!(fields.iter().any(|field| field.name == name), "{path}.{name} is not in the vocabulary");
    }
    for field in fields {
        let path = format!("{path}.{}", field.name);
        assert_eq!(field.required, required.contains(&field.name), "{path}");
        let property = properties.get(field.name).unwrap_or_else(|| panic!("{path} is not in the schema"));
        same_kind(&path, &field.kind, property);
    }
    assert_eq!(fields.len(), properties.len(), "{path}");
}

/// The schema that each kind stands for, word for word; `example` is no rule.
fn same_kind(path: &str, kind: &Kind, schema: &Value) {
    let string = |rules: &[(&str, Value)]| {
        let mut schema = serde_json::json!({"type": "string"});
        for (rule, value) in rules {
            schema[*rule] = value.clone();
        }
        schema
    };
    let mut schema = schema.clone();
    schema.as_object_mut().unwrap().remove("example");
    let want = match kind {
        Kind::Object(fields) => return same_fields(path, fields, &schema),
        Kind::Text => string(&[]),
        Kind::NonEmpty => string(&[("minLength", 1.into())]),
        // No URI is empty, so the one schema that says so too says nothing more.
        Kind::Uri => {
            schema.as_object_mut().unwrap().remove("minLength");
            string(&[("format", "uri".into())])
        }
        Kind::UriReference => string(&[("format", "uri-reference".into()), ("minLength", 1.into())]),
        Kind::OneOf(values) => string(&[("enum", (*values).into())]),
        Kind::Known { values, empty: true } => serde_json::json!({"anyOf": [string(&[("enum", (*values).into())]), string(&[])]}),
        Kind::Known { values, empty: false } => {
            serde_json::json!({"anyOf": [string(&[("enum", (*values).into())]), string(&[("minLength", 1.into())])]})
        }
        Kind::Texts => serde_json::json!({"type": "array", "items": string(&[])}),
    };
    assert_eq!(schema, want, "{path}");
}

#[test]
#[ignore = "reads the corpus"]
fn the_ten_valid_cloudevents_are_accepted() {
    let samples = samples("valid-events.json", "event");
    assert_eq!(samples.len(), 10);
    for (id, event) in samples {
        let declared =
            decode(STRUCTURED.iter().copied(), event.to_string().as_bytes()).unwrap_or_else(|error| panic!("{id}: {error}"));
        let guessed = decode([], event.to_string().as_bytes()).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert_eq!(declared, guessed, "{id}");
        let encoded = encode(&declared.event).unwrap();
        let headers = encoded.headers.iter().map(|(name, value)| (&**name, &**value));
        assert_eq!(attributes(&decode(headers, &encoded.payload).unwrap().event), attributes(&declared.event), "{id}");
    }
}

#[test]
#[ignore = "reads the corpus"]
fn the_25_invalid_cloudevents_are_refused_by_attribute() {
    let samples = samples("invalid-events.json", "event");
    assert_eq!(samples.len(), 25);
    for (id, event) in samples {
        let error = decode(STRUCTURED.iter().copied(), event.to_string().as_bytes()).expect_err(&id);
        let DecodeError::Attribute(violation) = error else { panic!("{id}: {error}") };
        assert_eq!(violation.path, guilty(&id), "{id}");
    }
}

/// The attribute that each sample breaks, told from the sample's name.
fn guilty(id: &str) -> &'static str {
    match id {
        "invalidCapitalizedExtension" => "MyExtension",
        "invalidPunctuatedExtension" | "invalidNonIntegerExtensionValue" => "my.extension",
        "invalidBothDataAndDataBase64" => "data_base64",
        _ if id.starts_with("invalidTime") => "time",
        _ => {
            let names = ["specversion", "datacontenttype", "dataschema", "subject", "source", "type", "id"];
            let id = id.trim_start_matches("invalid").to_ascii_lowercase();
            names.into_iter().find(|name| id.ends_with(name)).unwrap()
        }
    }
}

#[test]
#[ignore = "reads the corpus"]
fn batches_are_refused_by_name() {
    for file in ["valid-batches.json", "invalid-batches.json"] {
        for (id, batch) in samples(file, "batch") {
            let payload = batch.to_string();
            for headers in [&[("content-type", "Application/CloudEvents-Batch+JSON")][..], &[]] {
                let error = decode(headers.iter().copied(), payload.as_bytes()).expect_err(&id);
                assert!(matches!(error, DecodeError::Batch), "{id}: {error}");
            }
        }
    }
}

#[test]
#[ignore = "reads the corpus"]
fn tektons_event_is_read() {
    let sample = json(read("tekton/taskrun.unknown.json").1.as_bytes());
    let headers: Vec<_> =
        sample["headers"].as_object().unwrap().iter().map(|(name, value)| (&**name, value.as_str().unwrap())).collect();
    let body = sample["body"].to_string();
    let decoded = decode(headers, body.as_bytes()).unwrap();
    assert_eq!(decoded.form, Form::Binary);
    assert_eq!(decoded.event.ty(), "dev.tekton.event.taskrun.unknown.v1");
    assert_eq!(decoded.event.subject(), Some("curl-run-6gplk"));
    assert_eq!(decoded.event.datacontenttype(), Some("application/json"));
    assert_eq!(decoded.event.data(), Some(&Data::Binary(body.into_bytes())));
}

#[test]
#[ignore = "reads the corpus"]
fn webhooks_are_no_events_and_say_so() {
    for folder in ["github", "gitlab", "gitea"] {
        let bodies = files(folder);
        assert!(!bodies.is_empty(), "{folder}");
        for (name, body) in bodies {
            let error = decode([("Content-Type", "application/json")], body.as_bytes()).expect_err(&name);
            assert!(matches!(error, DecodeError::Unrecognised(_)), "{name}: {error}");
            assert!(CdEvent::parse(body.as_bytes()).is_err(), "{name}");
        }
    }
}

/// Every attribute as its canonical string, sorted.
fn attributes(event: &Event) -> Vec<(String, String)> {
    let mut attributes: Vec<_> = event.iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect();
    attributes.sort();
    attributes
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

fn samples(file: &str, what: &str) -> Vec<(String, Value)> {
    let samples = json(read(&format!("cloudevents-json/{file}")).1.as_bytes());
    let tests = samples["tests"].as_array().unwrap().iter();
    tests.map(|test| (test["id"].as_str().unwrap().to_owned(), test[what].clone())).collect()
}

fn corpus() -> PathBuf {
    std::env::var_os("SWITCHYARD_CORPUS").expect("SWITCHYARD_CORPUS must name the corpus folder").into()
}

fn read(path: &str) -> (String, String) {
    (path.to_owned(), fs::read_to_string(corpus().join(path)).unwrap())
}

/// The files of one folder, without those of its subfolders.
fn files(folder: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(corpus().join(folder)).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file());
    entries.map(|entry| read(&format!("{folder}/{}", entry.file_name().to_str().unwrap()))).collect()
}
