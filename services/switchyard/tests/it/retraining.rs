//! One retraining is one trace, read from Jaeger as an operator does: from the drift that windows see to the reference that is
//! pinned again, each step below what it follows from.

use std::collections::BTreeMap;

use async_nats::HeaderMap;
use serde_json::{Value, json};
use switchyard_bus::Bus;

use crate::{
    traces::{is, spans},
    training::School,
};

/// What follows from what: each lies below the one before.
const CHAIN: [(&str, &str); 14] = [
    ("switchyard-trainer", "publish yard.dev.cdeventsx.switchyard-datadrift.detected.0.1.0"),
    ("switchyard-trainer", "publish yard.dev.cdeventsx.switchyard-retraining.requested.0.1.0"),
    ("switchyard-trainer", "publish yard.dev.cdevents.pipelinerun.queued.0.3.0"),
    ("switchyard-router", "process yard.dev.cdevents.pipelinerun.queued.0.3.0"),
    ("switchyard-router", "publish yard.dev.cdeventsx.switchyard-build.routed.0.1.0"),
    ("switchyard-launcher", "process yard.dev.cdeventsx.switchyard-build.routed.0.1.0"),
    ("switchyard-reaper", "publish yard.dev.cdevents.pipelinerun.finished.0.3.0"),
    ("switchyard-trainer", "process yard.dev.cdevents.pipelinerun.finished.0.3.0"),
    ("switchyard-trainer", "publish yard.dev.cdeventsx.switchyard-model.evaluated.0.1.0"),
    ("switchyard-trainer", "publish yard.dev.cdeventsx.switchyard-model.promoted.0.1.0"),
    ("switchyard-trainer", "publish yard.dev.cdeventsx.switchyard-reference.pinned.0.1.0"),
    ("switchyard-trainer", "publish yard.dev.cdevents.artifact.published.0.3.0"),
    ("switchyard-trainer", "publish yard.dev.cdevents.service.upgraded.0.3.0"),
    ("switchyard-trainer", "publish yard.dev.cdeventsx.switchyard-retraining.finished.0.1.0"),
];

/// What else happens to a build: below its route, beside its end.
const BESIDE: [(&str, &str); 3] = [
    ("switchyard-launcher", "publish yard.dev.cdeventsx.switchyard-build.launched.0.1.0"),
    ("switchyard-reaper", "publish yard.dev.cdevents.pipelinerun.started.0.3.0"),
    ("switchyard-reaper", "RUN churn"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_retraining_is_one_trace_from_the_drift_to_the_pinned_reference() {
    let school = School::of(true, 1).await;
    school.apply("churn", "{mode: auto, triggers: [drift], cooldown: 0s, warmup: 0}").await;
    school.until_told("churn", "retraining.finished", Some("promoted"), 1).await;
    school.data("churn", "second");
    let shifted: Vec<Value> = (0..500).map(|n| json!({"age": 60 + n % 100})).collect();
    for n in 0..8 {
        feed(&school.bus, "churn", 0, &n.to_string(), &json!({"rows": shifted})).await;
    }
    school.until_told("churn", "retraining.finished", Some("promoted"), 2).await;
    let trace_id = detected(&school).await.split('-').nth(1).unwrap().to_owned();
    let spans =
        spans(&school.stack, &trace_id, |spans| CHAIN.iter().chain(&BESIDE).all(|wanted| of(spans, wanted).is_some())).await;
    let ups = |span: &Value| above(&spans, span);
    // From the last one up, because a step may be done twice: an end is published by whoever comes to it, and stored once.
    let last = of(&spans, &CHAIN[CHAIN.len() - 1]).unwrap();
    let mut path = ups(last);
    path.reverse();
    let mut path: Vec<&Value> = path.iter().filter_map(|up| spans.iter().find(|span| id(span) == *up)).collect();
    path.push(last);
    let mut at = path.iter();
    for (service, name) in CHAIN {
        assert!(at.any(|span| is(span, service, name)), "{service}: {name} is not in its place: {:?}", names(&path));
    }
    let drift = id(of(&spans, &CHAIN[0]).unwrap());
    let loose: Vec<_> = spans.iter().filter(|span| id(span) != drift && !ups(span).contains(&drift)).collect();
    assert!(loose.is_empty(), "not below the drift: {:?}", names(&loose));
    school.close().await;
}

/// Publishes rows as a model server does that sets no `Nats-Msg-Id`.
pub(crate) async fn feed(bus: &Bus, model: &str, partition: u16, id: &str, data: &Value) {
    let mut headers = HeaderMap::new();
    for (name, value) in [("specversion", "1.0"), ("id", id), ("source", "/models"), ("type", "switchyard.inference.rows")] {
        headers.insert(format!("ce-{name}").as_str(), value);
    }
    let subject = format!("inference.{model}.{partition}");
    let stored = bus.jetstream().publish_with_headers(subject, headers, data.to_string().into()).await.unwrap().await;
    stored.unwrap();
}

/// The trace that the drift's event begins.
async fn detected(school: &School) -> String {
    let stream = school.bus.jetstream().get_stream("YARD").await.unwrap();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        if let Ok(Some(delivery)) = school.bus.fetch("YARD", sequence).await
            && delivery.subject.contains("-datadrift.detected.")
        {
            return delivery.trace;
        }
    }
    panic!("no drift was detected")
}

fn of<'a>(spans: &'a [Value], (service, name): &(&str, &str)) -> Option<&'a Value> {
    spans.iter().find(|span| is(span, service, name))
}

fn names<'a>(spans: &[&'a Value]) -> Vec<&'a str> {
    spans.iter().filter_map(|span| span["operationName"].as_str()).collect()
}

fn id(span: &Value) -> String {
    span["spanID"].as_str().unwrap().to_owned()
}

/// The ids of all that a span lies below, as far as they are there.
fn above(spans: &[Value], span: &Value) -> Vec<String> {
    let parent = |span: &Value| {
        let of = span["references"].as_array()?.iter().find(|of| of["refType"] == "CHILD_OF")?;
        of["spanID"].as_str().map(str::to_owned)
    };
    let parents: BTreeMap<String, String> = spans.iter().filter_map(|span| Some((id(span), parent(span)?))).collect();
    let mut above = Vec::new();
    let mut at = id(span);
    while let Some(next) = parents.get(&at).filter(|next| !above.contains(*next)) {
        above.push(next.clone());
        at.clone_from(next);
    }
    above
}
