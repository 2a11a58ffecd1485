//! One build is one trace, read from Jaeger as an operator does.

use std::time::Duration;

use serde_json::{Value, json};
use switchyard_dev::Stack;
use switchyard_events::{BuildKey, Outcome};
use tokio::process::Command;

use crate::yard::{Yard, program, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_reaped_build_is_one_trace_through_every_service() {
    let yard = Yard::start(true, 1).await;
    let build = publish(
        &yard,
        &json!({"image": "a", "timeout": "2s", "pipeline": "traced", "annotations": {"dev.switchyard/behave": "hang"}}),
    )
    .await;
    let record = yard.record(&build, "it ends", switchyard_events::Record::is_closed).await;
    assert_eq!(record.latest().unwrap().decided.as_ref().unwrap().outcome, Outcome::Error);
    let trace_id = record.request.trace.split('-').nth(1).unwrap().to_owned();
    let wanted = [
        ("switchyard-cli", "publish ci.default.dev.cdevents.build.queued.0.3.0"),
        ("switchyard-router", "wait CI router"),
        ("switchyard-router", "process ci.default.dev.cdevents.build.queued.0.3.0"),
        ("switchyard-router", "publish yard.dev.cdeventsx.switchyard-build.routed.0.1.0"),
        ("switchyard-launcher", "process yard.dev.cdeventsx.switchyard-build.routed.0.1.0"),
        ("switchyard-launcher", "publish yard.dev.cdeventsx.switchyard-build.launched.0.1.0"),
        ("switchyard-reaper", "publish yard.dev.cdevents.build.started.0.3.0"),
        ("switchyard-reaper", "process fire.running"),
        ("switchyard-reaper", "publish yard.dev.cdevents.build.finished.0.3.0"),
        ("switchyard-reaper", "RUN traced"),
    ];
    let spans = spans(&yard.stack, &trace_id, |spans| {
        wanted.iter().all(|(service, name)| spans.iter().any(|span| is(span, service, name)))
    })
    .await;
    let run = spans.iter().find(|span| span["operationName"] == "RUN traced").unwrap();
    assert_eq!(tag(run, "cicd.pipeline.result"), Some("timeout"));
    yard.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivery_is_a_span_with_a_link() {
    let yard = Yard::start(true, 1).await;
    let api = yard.stack.control_plane().unwrap().apiserver();
    // Frozen and not killed: a launcher that knows it to be away takes no build, and so gives none back.
    api.pause();
    let build = yard.publish("again", json!({"image": "a", "annotations": {"dev.switchyard/run-for": "500ms"}})).await;
    let record = yard.record(&build, "it is routed", |record| !record.attempts.is_empty()).await;
    let trace_id = record.request.trace.split('-').nth(1).unwrap().to_owned();
    spans(&yard.stack, &trace_id, |spans| spans.iter().any(redelivered)).await;
    api.resume();
    yard.record(&build, "it ends nevertheless", switchyard_events::Record::is_closed).await;
    yard.stop().await;
}

/// Publishes a build file with `switchyard publish`, under the publisher's own user.
pub(crate) async fn publish(yard: &Yard, build: &Value) -> BuildKey {
    let file = yard.stack.folder().join("build.json");
    std::fs::write(&file, build.to_string()).unwrap();
    let credentials = yard.stack.nats().credentials("publisher-default").unwrap();
    let mut publish = Command::new(program());
    publish.args(["publish", "--json"]).arg(file).env("NATS_URL", yard.stack.nats().url());
    publish.env("NATS_USER", &credentials.user).env("NATS_PASSWORD", &credentials.password);
    publish.env("OTEL_EXPORTER_OTLP_ENDPOINT", yard.stack.jaeger().unwrap().otlp_url());
    let output = publish.output().await.unwrap();
    let said: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    said["build"].as_str().unwrap().parse().unwrap()
}

fn redelivered(span: &Value) -> bool {
    let links = span["references"].as_array().is_some_and(|all| all.iter().any(|one| one["refType"] == "FOLLOWS_FROM"));
    links
        && span["tags"].as_array().is_some_and(|tags| {
            tags.iter().any(|tag| tag["key"] == "nats.jetstream.delivery_count" && tag["value"].as_i64() > Some(1))
        })
}

pub(crate) fn is(span: &Value, service: &str, name: &str) -> bool {
    span["service"] == service && span["operationName"] == name
}

fn tag<'a>(span: &'a Value, key: &str) -> Option<&'a str> {
    span["tags"].as_array()?.iter().find(|tag| tag["key"] == key)?["value"].as_str()
}

/// The spans of a trace, each with its service's name, once they satisfy a condition.
pub(crate) async fn spans(stack: &Stack, trace_id: &str, is: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let url = format!("{}/api/traces/{trace_id}", stack.jaeger().unwrap().query_url());
    until("the trace is whole", Duration::from_mins(1), async || {
        let body = reqwest::get(&url).await.ok()?.text().await.ok()?;
        let body: Value = serde_json::from_str(&body).ok()?;
        let trace = body["data"].as_array()?.first()?;
        let named = |span: &Value| {
            let mut span = span.clone();
            span["service"] = trace["processes"][span["processID"].as_str().unwrap_or_default()]["serviceName"].clone();
            span
        };
        let spans: Vec<Value> = trace["spans"].as_array()?.iter().map(named).collect();
        is(&spans).then_some(spans)
    })
    .await
}
