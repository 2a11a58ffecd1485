//! A build is cancelled: before anybody has seen it, while it runs, after it has ended, twice. One result each.

use jiff::Timestamp;
use serde_json::json;
use switchyard_bus::Events as _;
use switchyard_events::{BuildKey, CancelRequested, Outcome, Reason, Record};

use crate::yard::{FLEET, Yard, until};

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

/// Screwdriver draws again for a stop, and misses in 62 of 100 cases the executor that runs the build.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_goes_to_the_executor_that_runs_the_build_whatever_holds_now() {
    let yard = Yard::start(false, 1).await;
    let hangs = json!({"image": "a", "annotations": {"dev.switchyard/behave": "hang"}});
    let mut builds = Vec::new();
    for n in 0..4 {
        builds.push(yard.publish(&format!("stop-{n}"), hangs.clone()).await);
    }
    let executor = |record: &Record| record.latest().unwrap().executor.clone().unwrap();
    let mut ran_on = Vec::new();
    for build in &builds {
        let runs = |record: &Record| record.latest().is_some_and(|attempt| attempt.started_at.is_some());
        ran_on.push(executor(&yard.record(build, "it runs", runs).await));
    }

    // By the new fleet each of them would be drawn by the other executor, if anybody drew again.
    let other = if ran_on[0] == "k8s" { "k8s-vm" } else { "k8s" };
    let fleet = format!("{FLEET}\n")
        .replace("weightage: 50", "weightage: 0")
        .replace(&format!("  {other}: {{weightage: 0"), &format!("  {other}: {{weightage: 1"));
    let fleet = fleet.replace("runtimeClass: kata", "runtimeClass: kata, podLabels: {team: new}");
    yard.bus.apply_fleet(&fleet, None).await.unwrap().unwrap();
    let moved = until("router and launcher work by the new fleet", std::time::Duration::from_mins(1), async || {
        let n = yard.bus.records().await.unwrap().len();
        let build = yard.publish(&format!("new-{n}"), hangs.clone()).await;
        let record =
            yard.record(&build, "it is bound", |record| record.latest().is_some_and(|attempt| attempt.bound.is_some())).await;
        let pod = yard.api().get(&format!("b-{build}-1")).await.ok()?;
        let labelled = pod.metadata.labels.is_some_and(|labels| labels.get("team").is_some_and(|team| team == "new"));
        Some(build).filter(|_| labelled && executor(&record) == other)
    });
    builds.push(moved.await);

    for record in yard.bus.records().await.unwrap() {
        cancel(&yard, &record.0, &format!("stop-{}", record.0), "default").await;
        if !builds.contains(&record.0) {
            builds.push(record.0);
        }
    }
    for (build, record) in yard.audit(&builds, std::time::Duration::from_mins(1)).await {
        assert_eq!(ended(&record), (Outcome::Cancel, Reason::Cancelled), "{build}");
        if let Some(n) = builds[..4].iter().position(|one| *one == build) {
            assert_eq!(executor(&record), ran_on[n], "{build}");
        }
    }
    yard.stop().await;
}
