//! What a file holds: CloudEvents, bare CDEvents or plain builds; or why it cannot be published.
//!
//! What would be refused or end in DEAD is refused here, with its place: the router's own reading is the judge.

use std::{collections::BTreeMap, path::Path};

use cloudevents::{AttributesReader as _, Event};
use jiff::Timestamp;
use serde_json::{Value, json, value::RawValue};
use switchyard_bus::Delivery;
use switchyard_events::{BuildKey, BuildSpec, CdEvent, ci, decode, starting_trace};
use switchyard_router::asked;

/// The source of the events that are made here.
const SOURCE: &str = "/switchyard/cli";

/// One event to publish.
#[derive(Clone, Debug)]
pub(in crate::tools) struct Input {
    /// The file, and which part of it if it has several.
    pub(in crate::tools) place: String,
    pub(in crate::tools) event: Event,
    /// The build that it asks for; an event may also only tell something.
    pub(in crate::tools) build: Option<BuildKey>,
}

/// What a plain build needs to become an event.
#[derive(Clone, Debug)]
pub(in crate::tools) struct Plain {
    /// The event's type, if it was asked for; events have their own.
    pub(in crate::tools) event_type: Option<String>,
    /// The subject id.
    pub(in crate::tools) name: String,
    pub(in crate::tools) tenant: String,
    pub(in crate::tools) now: Timestamp,
}

/// Something that cannot be published, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub(in crate::tools) struct Malformed {
    place: String,
    why: String,
}

/// Everything in a file. `draw` gives each plain build an id of its own.
pub(in crate::tools) fn read(
    file: &str,
    bytes: &[u8],
    plain: &Plain,
    mut draw: impl FnMut() -> String,
) -> Result<Vec<Input>, Malformed> {
    let failed = |why: String| Malformed { place: file.to_owned(), why };
    let text = std::str::from_utf8(bytes).map_err(|error| failed(format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    let items = items(file, text).map_err(&failed)?;
    if items.is_empty() {
        return Err(failed("holds nothing to publish".into()));
    }
    let several = items.len() > 1;
    let each = items.into_iter().enumerate().map(|(n, item)| {
        let place = if several { format!("{file}, number {}", n + 1) } else { file.to_owned() };
        input(&item, plain, &mut draw).map_err(|why| Malformed { place: place.clone(), why }).map(|(event, build)| Input {
            place,
            event,
            build,
        })
    });
    each.collect()
}

/// The JSON text of each item: JSON as it stands, so that data keeps its bytes, YAML as JSON.
fn items(file: &str, text: &str) -> Result<Vec<Box<RawValue>>, String> {
    let yaml = || -> Result<Vec<Box<RawValue>>, String> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| {
            let error = error.without_snippet();
            format!("not YAML: {error}")
        })?;
        let some = documents.iter().filter(|document| !document.is_null());
        some.map(|document| serde_json::value::to_raw_value(document).map_err(|error| error.to_string())).collect()
    };
    let is_yaml = Path::new(file).extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let json = |error: serde_json::Error| format!("not JSON: {error}");
    match text.trim_start().chars().next() {
        Some('{' | '[') if is_yaml => yaml(),
        Some('[') => serde_json::from_str(text).map_err(json),
        Some('{') => serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().map_err(json),
        _ => yaml(),
    }
}

/// One item as an event, and the build that it asks for.
fn input(item: &RawValue, plain: &Plain, draw: impl FnOnce() -> String) -> Result<(Event, Option<BuildKey>), String> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(item.get()).unwrap_or_default();
    let has = |name: &str| members.contains_key(name);
    let event = if has("specversion") || (has("context") && has("subject")) {
        if plain.event_type.is_some() {
            return Err("is an event and has its own type: --type is for plain builds and --raw".into());
        }
        decode([], item.get().as_bytes()).map_err(|error| error.to_string())?.event
    } else if has("image") || has("steps") {
        build(item, plain, draw())?
    } else {
        return Err("neither an event (`specversion`, or `context` and `subject`) nor a build (`image`, `steps`)".into());
    };
    let key = check(&event, plain)?;
    Ok((event, key))
}

/// The request that a plain build stands for.
fn build(item: &RawValue, plain: &Plain, id: String) -> Result<Event, String> {
    let spec = BuildSpec::parse(item.get()).map_err(|error| error.to_string().replacen("customData.build", "build", 1))?;
    let event_type = plain.event_type.as_deref().unwrap_or("dev.cdevents.build.queued.0.3.0");
    let content = match event_type.split('.').nth(2) {
        Some("pipelinerun") => json!({"pipelineName": spec.pipeline.as_ref().unwrap_or(&plain.name)}),
        Some("testsuiterun" | "testcaserun") => json!({"environment": {"id": "switchyard"}}),
        _ => json!({}),
    };
    let event = CdEvent::new(event_type, id, SOURCE, plain.now, &plain.name)
        .content(&content)
        .and_then(|event| event.custom_data(&json!({"build": spec})))
        .map_err(|error| error.to_string())?;
    event.to_cloudevent().map_err(|error| error.to_string())
}

/// The event as it would be delivered, had its tenant published it.
pub(in crate::tools) fn delivered(event: &Event, tenant: &str, now: Timestamp) -> Delivery {
    let subject = ci(tenant, event.ty());
    Delivery {
        subject,
        stream: "CI".into(),
        sequence: 0,
        delivered: 1,
        stored: now,
        event: event.clone(),
        trace: starting_trace(event),
    }
}

/// Whether our services could read it, and which build it asks for.
fn check(event: &Event, plain: &Plain) -> Result<Option<BuildKey>, String> {
    let delivery = delivered(event, &plain.tenant, plain.now);
    if event.ty().starts_with("dev.cdevents") {
        delivery.cdevent().map_err(|error| error.to_string())?;
    }
    match asked(&delivery.view()).map_err(|error| error.to_string())? {
        None => Ok(None),
        Some(asked) => asked.described.map(|_| Some(asked.build)).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Plain {
        Plain { event_type: None, name: "web".into(), tenant: "default".into(), now: Timestamp::UNIX_EPOCH }
    }

    fn inputs(file: &str, text: &str) -> Result<Vec<Input>, String> {
        let mut n = 0;
        let draw = || {
            n += 1;
            n.to_string()
        };
        read(file, text.as_bytes(), &plain(), draw).map_err(|error| error.to_string())
    }

    fn refusal(file: &str, text: &str) -> String {
        inputs(file, text).unwrap_err()
    }

    const BARE: &str = r#"{"context": {"specversion": "0.5.1", "id": "e1", "source": "/ci", "type": "dev.cdevents.build.queued.0.3.0",
        "timestamp": "2026-01-15T09:30:00Z"}, "subject": {"id": "7", "content": {}}, "customData": {"build": BUILD}}"#;

    fn bare(build: &str) -> String {
        BARE.replace("BUILD", build)
    }

    #[test]
    fn a_plain_build_becomes_a_request_of_its_name() {
        let yaml = "image: node:22\nsteps:\n- {name: test, run: npm test}\n";
        let inputs = inputs("web.yaml", yaml).unwrap();
        assert_eq!(inputs.len(), 1);
        let event = CdEvent::from_cloudevent(&inputs[0].event).unwrap();
        assert_eq!((&*event.context.source, &*event.subject.id), (SOURCE, "web"));
        assert_eq!(inputs[0].build, Some(BuildKey::of(SOURCE, "web", "1")));
    }

    #[test]
    fn every_kind_of_run_can_be_made_of_a_plain_build() {
        for kind in ["build", "pipelinerun", "testsuiterun", "testcaserun"] {
            let plain = Plain { event_type: Some(format!("dev.cdevents.{kind}.queued.0.3.0")), ..plain() };
            let inputs = read("b.json", br#"{"image": "a"}"#, &plain, || "1".into()).unwrap();
            assert!(inputs[0].build.is_some(), "{kind}");
        }
    }

    #[test]
    fn a_bare_cdevent_keeps_its_bytes() {
        let text = bare(r#"{"image": "a", "env": {"N": 1.10}}"#);
        let inputs = inputs("e.json", &text).unwrap();
        assert_eq!(inputs[0].build, Some(BuildKey::of("/ci", "7", "e1")));
        assert_eq!(switchyard_events::encode(&inputs[0].event).unwrap().payload, text.as_bytes());
    }

    #[test]
    fn several_in_one_file_are_several() {
        let two = [r#"[{"image": "a"}, {"image": "b"}]"#, r#"{"image": "a"} {"image": "b"}"#, "image: a\n---\nimage: b\n---\n"];
        for text in two {
            let inputs = inputs("two", text).unwrap();
            assert_eq!(inputs.iter().map(|input| input.place.as_str()).collect::<Vec<_>>(), ["two, number 1", "two, number 2"]);
            assert_ne!(inputs[0].build, inputs[1].build);
        }
    }

    #[test]
    fn an_event_that_asks_for_nothing_is_published_too() {
        let told = r#"{"specversion": "1.0", "id": "1", "source": "/a", "type": "com.example.told", "data": {"a": 1}}"#;
        assert_eq!(inputs("e.json", told).unwrap()[0].build, None);
    }

    #[test]
    fn what_is_malformed_is_refused_with_its_place() {
        let cases = [
            (r#"{"image": "#, "f.json: not JSON: EOF while parsing a value at line 1 column 10"),
            (r#"[{"image": "a"}, {"image": "a", "imag": 1}]"#, "f.json, number 2: build.imag: unknown field"),
            ("image: a\nsteps: [{name: x}]\n", "f.json: build.steps[0]: missing field `run`"),
            ("a: 1\n", "f.json: neither an event"),
            ("just words", "f.json: neither an event"),
            ("", "f.json: holds nothing"),
            ("a: [", "f.json: not YAML: "),
            (
                r#"{"specversion": "1.0", "id": "", "source": "/a", "type": "t"}"#,
                "f.json: CloudEvents attribute id: must not be empty",
            ),
            (&bare(r#"{"image": "a b"}"#), "f.json: customData.build.image: must be an image reference"),
            (r#"{"context": {}, "subject": {}}"#, "f.json: CDEvent context.timestamp"),
        ];
        for (text, why) in cases {
            let refusal = refusal("f.json", text);
            assert!(refusal.starts_with(why) && !refusal.contains('\n'), "{refusal}\nexpected {why}");
        }
        let error = read("f", b"image: \xff", &plain(), String::new).unwrap_err();
        assert_eq!(error.to_string(), "f: not UTF-8 at byte 7");
    }
}
