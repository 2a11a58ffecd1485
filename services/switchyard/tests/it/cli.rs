//! The tools against a real NATS server, under the operator's own NATS user.

use std::{
    collections::BTreeMap,
    process::{Output, Stdio},
    time::Duration,
};

use async_nats::jetstream::message::StreamMessage;
use jiff::Timestamp;
use serde_json::{Value, json};
use switchyard_bus::{Bus, Ledger as _, Settle, Sizes, Window, provision};
use switchyard_dev::{Nats, Stack, StackOptions};
use switchyard_events::{Bound, BuildKey, BuildRouted, Decision, Limits, Reason, Record, Request, Why};
use tokio::{io::AsyncWriteExt as _, process::Command, sync::OnceCell};

use crate::yard::program;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

async fn stack() -> &'static Stack {
    static STACK: OnceCell<Stack> = OnceCell::const_new();
    let start = async || {
        let options = StackOptions { executors: vec!["k8s".into()], jaeger: true, ..StackOptions::default() };
        let stack = Stack::start(&options).await.unwrap();
        let bus = Bus::new(stack.nats().connect("provision").await.unwrap());
        provision(&bus, &["k8s"], &Sizes::default(), 1).await.unwrap();
        stack
    };
    STACK.get_or_init(start).await
}

async fn nats() -> &'static Nats {
    stack().await.nats()
}

/// A bus that may do everything.
async fn bus() -> Bus {
    Bus::new(nats().await.connect("provision").await.unwrap())
}

async fn command(arguments: &[&str]) -> Command {
    let nats = nats().await;
    let credentials = nats.credentials("cli").unwrap();
    let mut command = Command::new(program());
    command
        .args(arguments)
        .env("NATS_URL", nats.url())
        .env("NATS_USER", &credentials.user)
        .env("NATS_PASSWORD", &credentials.password)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs a tool with that standard input, to its end.
async fn run(arguments: &[&str], stdin: &[u8]) -> Output {
    let mut child = command(arguments).await.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(stdin).await.unwrap();
    drop(input);
    tokio::time::timeout(Duration::from_secs(30), child.wait_with_output()).await.expect("it ends by itself").unwrap()
}

async fn says(arguments: &[&str], stdin: impl AsRef<[u8]>) -> String {
    let output = run(arguments, stdin.as_ref()).await;
    let (said, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && error.is_empty(), "{arguments:?}: {said}{error}");
    said
}

/// The one line that a tool says when it fails.
async fn fails(arguments: &[&str], stdin: impl AsRef<[u8]>) -> String {
    let output = run(arguments, stdin.as_ref()).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), error.lines().count(), output.stdout.len()), (Some(1), 1, 0), "{arguments:?}: {error}");
    error.trim_end().to_owned()
}

async fn last(subject: &str) -> StreamMessage {
    let stream = bus().await.jetstream().get_stream("CI").await.unwrap();
    stream.get_last_raw_message_by_subject(subject).await.unwrap()
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn headers(message: &StreamMessage) -> BTreeMap<String, String> {
    message.headers.iter().map(|(name, values)| (name.to_string(), values[0].to_string())).collect()
}

#[tokio::test]
async fn a_plain_build_is_published_as_a_request() {
    let yaml = "image: node:22\nsteps: [{name: test, run: npm test}]\ntimeout: 10m\n";
    let said = says(&["publish", "-", "--type", "pipelinerun", "--name", "web", "--json"], yaml).await;
    let sent = &json_lines(&said)[0];
    let message = last("ci.default.dev.cdevents.pipelinerun.queued.0.3.0").await;
    let headers = headers(&message);
    let build = BuildKey::of("/switchyard/cli", "web", sent["id"].as_str().unwrap());
    assert_eq!(sent["build"], build.as_str());
    assert_eq!((headers["ce-id"].as_str(), headers["ce-subject"].as_str()), (sent["id"].as_str().unwrap(), "web"));
    assert!(headers.contains_key("Nats-Msg-Id"), "{headers:?}");
    assert_eq!(headers["ce-traceparent"].split('-').nth(1), sent["trace"].as_str());
    let data: Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(
        data["customData"]["build"],
        json!({"image": "node:22", "steps": [{"name": "test", "run": "npm test"}], "timeout": "10m"})
    );
}

#[tokio::test]
async fn events_are_published_as_they_are_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let context = json!({"specversion": "0.5.1", "id": "bare-1", "source": "/ci/bare", "type": "dev.cdevents.testcaserun.queued.0.3.0", "timestamp": "2026-01-15T09:30:00Z"});
    let bare = json!({"context": context, "subject": {"id": "7", "content": {"environment": {"id": "dev"}}}, "customData": {"build": {"image": "a"}}});
    let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let cloud = json!({"specversion": "1.0", "id": "cloud-1", "source": "/ci/cloud", "type": "com.example.told", "traceparent": traceparent, "data": {"a": 1.5}});
    let paths = [("bare.json", &bare), ("cloud.json", &cloud)].map(|(name, event)| {
        let path = folder.path().join(name);
        std::fs::write(&path, event.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    });
    let arguments = ["publish", &paths[0], &paths[1]];
    let said = says(&arguments, "").await;
    let lines: Vec<_> = said.lines().collect();
    let build = BuildKey::of("/ci/bare", "7", "bare-1");
    assert!(lines[0].contains(&format!("bare.json: build {build}, event bare-1, trace ")), "{said}");
    assert!(lines[1].ends_with(&format!("cloud.json: no build, event cloud-1, trace {TRACE}")), "{said}");
    let message = last("ci.default.com.example.told").await;
    assert_eq!(
        (message.payload.as_ref(), headers(&message)["ce-traceparent"].as_str()),
        (&br#"{"a":1.5}"#[..], traceparent.as_str())
    );
    assert_eq!(last("ci.default.dev.cdevents.testcaserun.queued.0.3.0").await.payload, bare.to_string());
    let again = says(&arguments, "").await;
    assert_eq!(again.lines().filter(|line| line.ends_with(", published before")).count(), 2, "{again}");
}

#[tokio::test]
async fn publishing_begins_a_trace_that_is_shown_as_a_tree() {
    let jaeger = stack().await.jaeger().unwrap();
    let mut publish = command(&["publish", "-", "--json"]).await;
    let mut child = publish.env("OTEL_EXPORTER_OTLP_ENDPOINT", jaeger.otlp_url()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"image: a\n").await.unwrap();
    let sent = json_lines(&String::from_utf8(child.wait_with_output().await.unwrap().stdout).unwrap());
    let trace = sent[0]["trace"].as_str().unwrap();
    let look = async || {
        let output = run(&["trace", trace, "--jaeger", &jaeger.query_url()], b"").await;
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    };
    let shown = crate::yard::until("the trace is in Jaeger", Duration::from_secs(20), look).await;
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines[0].starts_with(&format!("trace {trace}: 2 spans of 1 service, ")), "{shown}");
    assert!(lines[2].starts_with("switchyard publish dev.cdevents.build.queued.0.3.0  "), "{shown}");
    assert!(lines[3].starts_with("└─ publish ci.default.dev.cdevents.build.queued.0.3.0  switchyard-cli  +"), "{shown}");
    let unknown = fails(&["trace", TRACE, "--jaeger", &jaeger.query_url()], "").await;
    assert!(unknown.contains(&format!("has no trace {TRACE}")), "{unknown}");
    let away = fails(&["trace", TRACE, "--jaeger", "http://127.0.0.1:1"], "").await;
    assert!(away.starts_with("error: no answer from Jaeger at http://127.0.0.1:1: "), "{away}");
}

#[tokio::test]
async fn what_is_malformed_is_refused_and_nothing_is_published() {
    let refused = fails(&["publish", "-", "--tenant", "default"], "image: a\n---\nimage: b\nstep: []\n").await;
    assert!(refused.starts_with("error: stdin, number 2: build.step: unknown field"), "{refused}");
    assert!(fails(&["publish", "no-such-file"], "").await.starts_with("error: no-such-file: No such file"));
    let code = run(&["publish", "-", "--tenant", "a.b"], b"").await.status.code();
    assert_eq!(code, Some(2), "a tenant that is no token is wrong usage");
}

#[tokio::test]
async fn a_tool_without_nats_says_so_and_ends() {
    let error = {
        let mut command = command(&["builds"]).await;
        let output = command.env("NATS_URL", "nats://127.0.0.1:1").output().await.unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(error.starts_with("error: no NATS at nats://127.0.0.1:1: ") && error.lines().count() == 1, "{error}");
}

#[tokio::test]
async fn a_broker_that_was_never_provisioned_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let tools = switchyard_dev::Tools::ready(&[switchyard_dev::Tool::NatsServer]).await.unwrap();
    let bare = Nats::start(&tools, &switchyard_dev::NatsOptions::new(folder.path())).await.unwrap();
    for (arguments, missing) in [
        (&["builds"][..], "ledger"),
        (&["builds", "abc"], "ledger"),
        (&["builds", "--watch"], "ledger"),
        (&["dead", "ls"], "dead letter list"),
        (&["dead", "show", "1"], "dead letter 1"),
        (&["publish", "--raw", "-"], "publish on ci.default."),
        (&["publish", "-"], "publish on ci.default."),
    ] {
        let credentials = bare.credentials("cli").unwrap();
        let mut command = command(arguments).await;
        command.env("NATS_URL", bare.url()).env("NATS_PASSWORD", &credentials.password);
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"image: a\n").await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{arguments:?}: {said}");
        assert!(
            said.contains(missing) && said.ends_with("; `switchyard provision` makes what is missing\n"),
            "{arguments:?}: {said}"
        );
    }
}

#[tokio::test]
async fn what_nats_does_not_permit_is_named() {
    let mut publish = command(&["publish", "-", "--tenant", "other"]).await;
    let credentials = nats().await.credentials("publisher-default").unwrap();
    let mut child = publish.env("NATS_USER", &credentials.user).env("NATS_PASSWORD", &credentials.password).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"image: a\n").await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let subject = "ci.other.dev.cdevents.build.queued.0.3.0";
    assert!(said.contains("NATS does not permit this") && said.contains(subject), "{said}");
    assert!(said.lines().last().unwrap().starts_with(&format!("error: stdin: publish on {subject}: ")), "{said}");
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let mut child = command(&["dead", "ls"]).await.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}

/// Nothing can be read.
#[derive(Debug)]
struct Never;

impl std::fmt::Display for Never {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("never")
    }
}

impl From<&Never> for Settle {
    fn from(_: &Never) -> Self {
        Self::Refuse("cannot be read here".into())
    }
}

/// Publishes bytes and has them refused, as the router would; answers the sequence in DEAD.
async fn buried(event_type: &str, bytes: &[u8]) -> u64 {
    says(&["publish", "--raw", "--type", event_type, "-"], bytes).await;
    let bus = bus().await;
    let durable = switchyard_bus::Durable::requests();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let reading = tokio::spawn({
        let bus = bus.clone();
        async move {
            bus.consume(&durable, Window { at_once: 1, batch: 1 }, async { drop(stopped.await) }, async |_| Err(Never)).await
        }
    });
    let subject = format!("ci.default.{event_type}");
    let kept = crate::yard::until("it is dead", Duration::from_secs(20), async || {
        bus.dead_letters().await.unwrap().into_iter().find(|kept| kept.letter.subject == subject)
    })
    .await;
    drop(stop);
    reading.await.unwrap().unwrap();
    kept.sequence
}

#[tokio::test]
async fn a_dead_letter_is_listed_shown_replayed_and_dropped() {
    let bytes = b"\xff\x00 not an event";
    let sequence = buried("com.example.binary", bytes).await.to_string();
    let list = says(&["dead", "ls"], "").await;
    let line = list.lines().find(|line| line.starts_with(&format!("{sequence} "))).unwrap();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(line.contains("by router ci.default.com.example.binary 15 neither a CloudEvent nor a CDEvent: "), "{line}");
    let shown = says(&["dead", "show", &sequence], "").await;
    assert!(shown.starts_with("reason   neither a CloudEvent nor a CDEvent"), "{shown}");
    assert!(shown.contains("\n\n00000000  ff 00 20 6e 6f 74 20 61 6e 20 65 76 65 6e 74     |.. not an event|\n"), "{shown}");
    assert_eq!(run(&["dead", "show", "--raw", &sequence], b"").await.stdout, bytes);
    let first = last("ci.default.com.example.binary").await.sequence;
    let replayed = says(&["dead", "replay", &sequence], "").await;
    assert_eq!(replayed, format!("dead letter {sequence} published again on ci.default.com.example.binary\n"));
    let message = last("ci.default.com.example.binary").await;
    assert!(message.sequence > first);
    assert_eq!(message.payload.as_ref(), bytes);
    assert_eq!(headers(&message)["Nats-Msg-Id"], format!("replay:{sequence}"));
    assert!(says(&["dead", "replay", &sequence], "").await.contains("had just been published again"));
    let dropped = says(&["dead", "drop", &sequence], "").await;
    assert!(dropped.starts_with(&format!("dead letter {sequence} dropped: 15 bytes from CI/")), "{dropped}");
    assert!(fails(&["dead", "show", &sequence], "").await.starts_with(&format!("error: dead letter {sequence}: ")));
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

/// A build that was routed to k8s at second 0 and bound at second 2; its `routed` event is stored too.
async fn bound(id: &str) -> (BuildKey, Record) {
    let bus = bus().await;
    let request = Request {
        id: id.into(),
        source: "/ci/ledger".into(),
        r#type: "dev.cdevents.build.queued.0.3.0".into(),
        subject: id.into(),
        stream: "CI".into(),
        sequence: 1,
        chain_id: "c".into(),
        trace: format!("00-{TRACE}-b7ad6b7169203331-01"),
        ..Request::default()
    };
    let build = BuildKey::of(&request.source, id, id);
    let why = Why { rule: "weight".into(), revision: "r1".into(), eligible: vec!["k8s".into()], excluded: vec![] };
    let routed = BuildRouted {
        build: build.clone(),
        attempt: 1,
        executor: "k8s".into(),
        request: request.clone(),
        tenant: "default".into(),
        spec: switchyard_events::BuildSpec::parse(r#"{"image": "a", "pipeline": "shop", "job": "test"}"#).unwrap(),
        limits: Limits::STANDARD,
        at: at(0),
        why,
    };
    switchyard_bus::Events::publish(&bus, routed.outgoing().unwrap()).await.unwrap();
    let record = routed.open().bind(1, Bound { executor: "k8s".into(), uid: "pod-1".into(), at: at(2) }).unwrap();
    assert!(bus.create(&build, &record).await.unwrap());
    (build, record)
}

#[tokio::test]
async fn a_record_of_the_ledger_is_shown() {
    let (build, record) = bound("shown").await;
    let decided = record.start(1, at(5)).unwrap().decide(1, Decision::new(Reason::ExitCode(2), true), at(70)).unwrap();
    let (_, revision) = bus().await.read(&build).await.unwrap().unwrap();
    assert!(bus().await.replace(&build, &decided, revision).await.unwrap());
    let all = json_lines(&says(&["builds", "--json", "--state", "failed,succeeded"], "").await);
    let shown = all.iter().find(|shown| shown["build"] == build.as_str()).unwrap();
    assert_eq!((&shown["state"], &shown["reason"], &shown["executor"]), (&json!("failed"), &json!("ExitCode(2)"), &json!("k8s")));
    assert_eq!((&shown["trace"], &shown["queuedSeconds"], &shown["runningSeconds"]), (&json!(TRACE), &json!(2.0), &json!(65.0)));
    let table = says(&["builds"], "").await;
    let line = table.lines().find(|line| line.starts_with(&build.as_str()[..8])).unwrap();
    for fact in ["shop/test", "failed", "k8s", "2.0s", "3.0s", "1m05s", TRACE, "ExitCode(2)"] {
        assert!(line.contains(fact), "{fact} in {line}");
    }
    let details = says(&["builds", &build.as_str()[..12]], "").await;
    assert!(details.contains("  why       by weight out of k8s; fleet revision r1\n"), "{details}");
    let one = &json_lines(&says(&["builds", build.as_str(), "--json"], "").await)[0];
    assert_eq!(one["why"][0]["rule"], "weight");
    assert!(fails(&["builds", "zzzz"], "").await.contains("no build in the ledger begins with \"zzzz\""));
}

#[tokio::test]
async fn what_changes_is_told_line_by_line_where_there_is_no_terminal() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let (build, record) = bound("watched").await;
    let mut child = command(&["builds", "--watch", &build.as_str()[..12]]).await.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next =
        async || tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await.expect("a line").unwrap().unwrap();
    assert!(next().await.ends_with(&format!(" {build} shop/test pending on k8s")));
    let (_, revision) = bus().await.read(&build).await.unwrap().unwrap();
    assert!(bus().await.replace(&build, &record.start(1, at(5)).unwrap(), revision).await.unwrap());
    assert!(next().await.ends_with(&format!(" {build} shop/test running on k8s")));
    child.kill().await.unwrap();
}

#[tokio::test]
async fn a_build_is_asked_to_stop_as_its_tenant() {
    let (build, record) = bound("cancelled").await;
    let subject = "ci.default.dev.cdeventsx.switchyard-build.cancelrequested.0.1.0";
    assert_eq!(says(&["cancel", build.as_str()], "").await, format!("build {build} is asked to stop; it was pending on k8s\n"));
    let message = last(subject).await;
    let data: Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(data["customData"]["build"], build.as_str());
    assert_eq!(headers(&message)["ce-traceparent"], record.request.trace);
    let unseen = BuildKey::of("/ci", "x", "yet to come");
    assert!(fails(&["cancel", unseen.as_str()], "").await.contains("--tenant says whose it is"));
    says(&["cancel", unseen.as_str(), "--tenant", "acme"], "").await;
    let data: Value = serde_json::from_slice(&last(&subject.replace("default", "acme")).await.payload).unwrap();
    assert_eq!(data["customData"]["build"], unseen.as_str());
    let ended = record.decide(1, Decision::new(Reason::Succeeded, true), at(9)).and_then(|record| record.close(1)).unwrap();
    let (_, revision) = bus().await.read(&build).await.unwrap().unwrap();
    assert!(bus().await.replace(&build, &ended, revision).await.unwrap());
    assert_eq!(
        says(&["cancel", build.as_str()], "").await,
        format!("build {build} has ended already: succeeded on k8s: Succeeded\n")
    );
}
