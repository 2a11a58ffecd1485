//! A build is cancelled: before anybody has seen it, while it runs, after it has ended, twice. One result each.

use jiff::Timestamp;
use serde_json::json;
use switchyard_bus::Events as _;
use switchyard_events::{BuildKey, CancelRequested, Outcome, Reason, Record};

use crate::yard::Yard;

pub(crate) async fn cancel(yard: &Yard, build: &BuildKey, id: &str, tenant: &str) {
    let cancel = CancelRequested { build: build.clone() };
    yard.bus.publish(cancel.outgoing(tenant, id, Timestamp::now(), None).unwrap()).await.unwrap();
}

fn ended(record: &Record) -> (Outcome, Reason) {
    let decided = record.latest().unwrap().decided.clone().unwrap();
    (decided.outcome, decided.reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_build_stops_and_has_one_result() {
    let yard = Yard::start(false, 1).await;
    let cancelled = (Outcome::Cancel, Reason::Cancelled);

    let unseen = BuildKey::of("/ci/test", "unseen", "unseen");
    cancel(&yard, &unseen, "c1", "default").await;
    assert_eq!(ended(&yard.record(&unseen, "the tombstone is closed", Record::is_closed).await), cancelled);
    assert_eq!(yard.publish("unseen", json!({"image": "a"})).await, unseen);

    let hangs = json!({"image": "a", "annotations": {"dev.switchyard/behave": "hang"}});
    let running = yard.publish("running", hangs).await;
    yard.record(&running, "it runs", |record| record.latest().is_some_and(|attempt| attempt.started_at.is_some())).await;
    cancel(&yard, &running, "forged", "acme").await;
    cancel(&yard, &running, "c2", "default").await;
    cancel(&yard, &running, "c3", "default").await;
    let record = yard.record(&running, "the running build stops", Record::is_closed).await;
    assert_eq!(ended(&record), cancelled);
    assert_eq!(record.cancelled.as_ref().unwrap().by, "/switchyard");
    assert_eq!(record.attempts.len(), 1, "a cancelled build is not tried again");

    let quick = yard.publish("quick", json!({"image": "a", "annotations": {"dev.switchyard/run-for": "100ms"}})).await;
    yard.record(&quick, "the quick build ends", Record::is_closed).await;
    cancel(&yard, &quick, "c4", "default").await;
    // What is published after the cancellation is handled after it, by the same durable.
    let marker = BuildKey::of("/ci/test", "marker", "marker");
    cancel(&yard, &marker, "c5", "default").await;
    yard.record(&marker, "the last cancellation is handled", Record::is_closed).await;

    let builds = [unseen, running, quick, marker];
    for (build, record) in yard.audit(&builds, std::time::Duration::from_mins(1)).await {
        let right = if build == builds[2] { (Outcome::Success, Reason::Succeeded) } else { cancelled.clone() };
        assert_eq!(ended(&record), right, "{build}");
    }
    yard.stop().await;
}
