//! A trace as Jaeger's HTTP API tells it: `/api/traces/<id>`.

use std::{collections::HashMap, error::Error as _, time::Duration};

use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::tree::Span;

const PATIENCE: Duration = Duration::from_secs(10);

/// Every span of a trace that has been exported so far.
pub(super) async fn spans(jaeger: &str, trace: &str) -> anyhow::Result<Vec<Span>> {
    let url = format!("{}/api/traces/{trace}", jaeger.trim_end_matches('/'));
    switchyard_dev::choose_cryptography();
    let asked = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?.get(&url).send().await;
    let answer = asked.map_err(|error| {
        let why = error.source().map_or_else(|| error.to_string(), |why| format!("{why}"));
        anyhow::anyhow!("no answer from Jaeger at {jaeger}: {why}")
    })?;
    if answer.status() == reqwest::StatusCode::NOT_FOUND {
        bail!("Jaeger at {jaeger} has no trace {trace} (spans arrive there a few seconds late)");
    }
    let status = answer.status();
    let text = answer.text().await.with_context(|| format!("Jaeger at {jaeger}"))?;
    if !status.is_success() {
        bail!("Jaeger at {jaeger} answered {status}: {}", text.chars().take(200).collect::<String>());
    }
    read(&text).with_context(|| format!("Jaeger at {jaeger} answered something else than a trace"))
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Trace>,
}

#[derive(Deserialize)]
struct Trace {
    spans: Vec<Spanned>,
    #[serde(default)]
    processes: HashMap<String, Process>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    service_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spanned {
    #[serde(rename = "traceID")]
    trace: String,
    #[serde(rename = "spanID")]
    id: String,
    operation_name: String,
    #[serde(default)]
    references: Vec<Reference>,
    /// Microseconds since 1970.
    start_time: i64,
    /// Microseconds.
    duration: i64,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(rename = "processID")]
    process: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    ref_type: String,
    #[serde(rename = "traceID")]
    trace: String,
    #[serde(rename = "spanID")]
    span: String,
}

#[derive(Deserialize)]
struct Tag {
    key: String,
    value: Value,
}

fn read(text: &str) -> anyhow::Result<Vec<Span>> {
    let answer: Answer = serde_json::from_str(text)?;
    let mut spans = Vec::new();
    for Trace { spans: found, processes } in answer.data {
        for span in found {
            let service = processes.get(&span.process).map_or(String::new(), |process| process.service_name.clone());
            spans.push(span.read(service)?);
        }
    }
    Ok(spans)
}

impl Spanned {
    fn read(self, service: String) -> anyhow::Result<Span> {
        // Jaeger writes the parent first; a link to another span of the trace looks the same but for its kind.
        let parent = self.references.iter().position(|r| r.ref_type == "CHILD_OF" && r.trace == self.trace);
        let links = self.references.iter().enumerate().filter(|(n, _)| Some(*n) != parent).map(|(_, r)| r.span.clone()).collect();
        let tag = |key: &str| self.tags.iter().find(|tag| tag.key == key).map(|tag| &tag.value);
        let text = |key: &str| tag(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key: &str| tag(key).and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
        let failed = tag("error") == Some(&Value::Bool(true)) || text("otel.status_code").as_deref() == Some("ERROR");
        Ok(Span {
            service,
            begin: Timestamp::from_microsecond(self.start_time)?,
            duration: SignedDuration::from_micros(self.duration),
            parent: parent.map(|n| self.references[n].span.clone()),
            links,
            delivery: number("nats.jetstream.delivery_count").unwrap_or(1),
            result: text("cicd.pipeline.result"),
            error: failed.then(|| text("otel.status_description").or_else(|| text("error.type")).unwrap_or_default()),
            name: self.operation_name,
            id: self.id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cut from what Jaeger 1.62 answers.
    const ANSWER: &str = r#"{"data": [{"traceID": "t", "spans": [
        {"traceID": "t", "spanID": "a", "operationName": "publish", "references": [], "startTime": 1000000, "duration": 2500,
         "tags": [{"key": "span.kind", "type": "string", "value": "producer"}], "logs": [], "processID": "p1", "warnings": null},
        {"traceID": "t", "spanID": "b", "operationName": "process", "references": [
            {"refType": "CHILD_OF", "traceID": "t", "spanID": "a"}, {"refType": "FOLLOWS_FROM", "traceID": "t", "spanID": "a"}],
         "startTime": 1001000, "duration": 10, "processID": "p2", "tags": [
            {"key": "nats.jetstream.delivery_count", "type": "int64", "value": 2}, {"key": "error", "type": "bool", "value": true},
            {"key": "otel.status_description", "type": "string", "value": "no route"}]}],
        "processes": {"p1": {"serviceName": "cli", "tags": []}, "p2": {"serviceName": "router", "tags": []}}, "warnings": null}],
        "total": 0, "limit": 0, "offset": 0, "errors": null}"#;

    #[test]
    fn spans_are_read_with_parents_links_and_errors() {
        let spans = read(ANSWER).unwrap();
        assert_eq!((spans[0].service.as_str(), &spans[0].parent, &spans[0].error), ("cli", &None, &None));
        assert_eq!((spans[1].parent.as_deref(), &spans[1].links[..]), (Some("a"), &["a".to_owned()][..]));
        assert_eq!((spans[1].delivery, spans[1].error.as_deref()), (2, Some("no route")));
    }
}
