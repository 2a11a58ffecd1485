//! NATS keeps what it acknowledged, and lets each user do only what is its own.

use std::time::Duration;

use async_nats::jetstream::{self, Context, kv, stream};
use async_nats::{Client, Event};
use futures::{StreamExt, TryStreamExt};
use switchyard_dev::{Nats, Stack, StackOptions};
use tokio::sync::{OnceCell, mpsc};

const PATIENCE: Duration = Duration::from_secs(10);

async fn stack() -> &'static Stack {
    static STACK: OnceCell<Stack> = OnceCell::const_new();
    STACK.get_or_init(|| async { provisioned().await }).await
}

/// A stack with the streams that the permissions speak of.
async fn provisioned() -> Stack {
    let options =
        StackOptions { executors: vec!["k8s".to_owned()], tenants: vec!["other".to_owned()], ..StackOptions::default() };
    let stack = Stack::start(&options).await.unwrap();
    let js = jetstream::new(stack.nats().connect("provision").await.unwrap());
    for (name, subject) in [("CI", "ci.>"), ("YARD", "yard.>"), ("DEAD", "dead.>")] {
        let config =
            stream::Config { name: name.into(), subjects: vec![subject.into()], allow_direct: true, ..Default::default() };
        js.create_stream(config).await.unwrap();
    }
    let timers =
        stream::Config { name: "TIMERS".into(), subjects: vec!["timer.>".into(), "fire.>".into()], ..Default::default() };
    js.create_stream(timers).await.unwrap();
    for bucket in ["builds", "executors", "config"] {
        js.create_key_value(kv::Config { bucket: bucket.into(), ..Default::default() }).await.unwrap();
    }
    for (name, of) in [("router", "CI"), ("cancel-k8s", "CI"), ("launcher-k8s", "YARD"), ("reaper-k8s", "YARD")] {
        let config = jetstream::consumer::pull::Config { durable_name: Some(name.into()), ..Default::default() };
        js.get_stream(of).await.unwrap().create_consumer(config).await.unwrap();
    }
    stack
}

async fn publish(js: &Context, subject: &'static str, payload: &'static str) -> u64 {
    js.publish(subject, payload.into()).await.unwrap().await.unwrap().sequence
}

/// A client of `user`, and what the server complains about to it.
async fn watched(nats: &Nats, user: &str) -> (Client, mpsc::Receiver<String>) {
    let (tell, complaints) = mpsc::channel(16);
    let options = nats.connect_options(user).unwrap().event_callback(move |event| {
        let tell = tell.clone();
        async move {
            if let Event::ServerError(error) = event {
                let _ = tell.try_send(error.to_string());
            }
        }
    });
    (options.connect(nats.url()).await.unwrap(), complaints)
}

async fn refused(user: &str, subject: &'static str) {
    let (client, mut complaints) = watched(stack().await.nats(), user).await;
    client.publish(subject, "forged".into()).await.unwrap();
    client.flush().await.unwrap();
    let complaint = tokio::time::timeout(PATIENCE, complaints.recv()).await.expect("the server refuses").unwrap();
    let expected = format!("permissions violation for publish to \"{subject}\"");
    assert!(complaint.to_lowercase().contains(&expected.to_lowercase()), "{complaint}");
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_on_the_same_port() {
    let own = provisioned().await;
    let nats = own.nats();
    let js = jetstream::new(nats.connect("loadtest").await.unwrap());
    publish(&js, "yard.kept", "kept").await;
    let (before, url) = (nats.server().pid(), nats.url());
    nats.server().kill().await;
    nats.server().restart().await.unwrap();
    assert_ne!(before, nats.server().pid());
    assert_eq!(url, nats.url());
    let js = jetstream::new(nats.connect("loadtest").await.unwrap());
    let kept = js.get_stream("YARD").await.unwrap().get_last_raw_message_by_subject("yard.kept").await.unwrap();
    assert_eq!(kept.payload, "kept");
    let folder = own.folder().to_owned();
    own.stop().await;
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_publisher_cannot_write_what_happened() {
    refused("publisher-default", "yard.dev.cdevents.build.finished.0.3.0.b.1").await;
}

#[tokio::test]
async fn a_publisher_cannot_write_for_another_tenant() {
    refused("publisher-default", "ci.other.dev.cdevents.build.queued.0.3.0").await;
}

#[tokio::test]
async fn a_publisher_writes_for_its_own_tenant() {
    let js = jetstream::new(stack().await.nats().connect(&Nats::publisher("other")).await.unwrap());
    assert!(publish(&js, "ci.other.dev.cdevents.build.queued.0.3.0", "{}").await > 0);
}

#[tokio::test]
async fn the_router_cannot_write_the_ledger() {
    refused("router", "$KV.builds.b").await;
}

#[tokio::test]
async fn the_launcher_cannot_ask_for_builds_or_set_clocks() {
    refused("launcher", "ci.default.dev.cdevents.build.queued.0.3.0").await;
    refused("launcher", "timer.k8s.queued.b.1").await;
}

#[tokio::test]
async fn nobody_listens_to_the_replies_of_another() {
    let (client, mut complaints) = watched(stack().await.nats(), "launcher").await;
    let _subscription = client.subscribe("_INBOX_reaper.>").await.unwrap();
    client.flush().await.unwrap();
    let complaint = tokio::time::timeout(PATIENCE, complaints.recv()).await.expect("the server refuses").unwrap();
    assert!(complaint.to_lowercase().contains("permissions violation for subscription"), "{complaint}");
}

#[tokio::test]
async fn the_router_consumes_its_durable_and_says_what_it_decided() {
    let nats = stack().await.nats();
    let publisher = jetstream::new(nats.connect("publisher-default").await.unwrap());
    let sequence = publish(&publisher, "ci.default.request", "request").await;
    let js = jetstream::new(nats.connect("router").await.unwrap());
    let ci = js.get_stream("CI").await.unwrap();
    let consumer: jetstream::consumer::PullConsumer = ci.get_consumer("router").await.unwrap();
    let mut messages = consumer.fetch().max_messages(100).messages().await.unwrap();
    let message = messages.next().await.unwrap().unwrap();
    publish(&js, "yard.routed", "routed").await;
    message.double_ack().await.unwrap();
    assert_eq!(ci.get_raw_message(sequence).await.unwrap().payload, "request");
    assert!(js.get_key_value("config").await.unwrap().entry("fleet").await.unwrap().is_none());
}

#[tokio::test]
async fn launcher_and_reaper_keep_the_ledger_and_the_reaper_lists_it() {
    let nats = stack().await.nats();
    let launcher = jetstream::new(nats.connect("launcher").await.unwrap()).get_key_value("builds").await.unwrap();
    let revision = launcher.create("abc", "open".into()).await.unwrap();
    let js = jetstream::new(nats.connect("reaper").await.unwrap());
    let reaper = js.get_key_value("builds").await.unwrap();
    reaper.update("abc", "bound".into(), revision).await.unwrap();
    assert_eq!(reaper.keys().await.unwrap().try_collect::<Vec<_>>().await.unwrap(), ["abc"]);
    publish(&js, "timer.k8s.queued.abc.1", "").await;
    let timers = js.get_stream("TIMERS").await.unwrap();
    assert_eq!(timers.purge().filter("timer.k8s.queued.abc.1").await.unwrap().purged, 1);
}

#[tokio::test]
async fn the_operator_watches_builds_and_empties_dead() {
    let nats = stack().await.nats();
    let js = jetstream::new(nats.connect("cli").await.unwrap());
    js.get_key_value("builds").await.unwrap().watch_all().await.unwrap();
    let launcher = jetstream::new(nats.connect("launcher").await.unwrap());
    let sequence = publish(&launcher, "dead.launcher", "unreadable").await;
    let dead = js.get_stream("DEAD").await.unwrap();
    assert_eq!(dead.get_raw_message(sequence).await.unwrap().payload, "unreadable");
    dead.delete_message(sequence).await.unwrap();
}

#[tokio::test]
async fn an_unknown_user_is_named_with_those_that_exist() {
    let error = stack().await.nats().credentials("routers").unwrap_err().to_string();
    assert!(error.contains("\"routers\"") && error.contains("publisher-other"), "{error}");
}
