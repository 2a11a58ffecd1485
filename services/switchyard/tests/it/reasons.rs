//! Each reason for which an attempt can end, brought about once on a real cluster, and reported with its class.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use switchyard_bus::Events as _;
use switchyard_events::{BuildFinished, BuildKey, CancelRequested, Class, ClockKind, Reason, Record};

use crate::yard::{Yard, until};

const FLEET: &str = "
version: 1
executor:
  plugin: k8s
  k8s:
    weightage: 1
    options:
      kubernetes: &cluster
        runtimeClass: kata
        jobsNamespace: builds
        terminationGracePeriodSeconds: 1
        buildTimeout: 8s
        maxBuildTimeout: 10s
        resources: {cpu: {max: 5000}}
  k8s-late: {options: {kubernetes: *cluster}}
  k8s-nope: {options: {kubernetes: {runtimeClass: nope, jobsNamespace: builds}}}
clocks: {queued: 30s, pending: 12s, teardown: 3s, grace: 2s, linger: 0s}
tenants: {default: {annotations: ['dev.switchyard/*']}}
";

const PATIENCE: Duration = Duration::from_mins(3);

/// A build on a simulated node that behaves like this.
fn behaves(steering: &[(&str, &str)]) -> Value {
    let steering: BTreeMap<_, _> = steering.iter().map(|(key, value)| (format!("dev.switchyard/{key}"), *value)).collect();
    json!({"image": "registry.example/a:1", "cpu": "micro", "ram": "micro", "annotations": steering})
}

fn on(executor: &str, mut build: Value) -> Value {
    build["annotations"]["screwdriver.cd/executor"] = executor.into();
    build
}

/// What needs nothing but a build of its own.
fn by_themselves() -> Vec<(&'static str, Value, Reason, Class)> {
    let step = "{\"auc\": 1}\nswitchyard: step \"test\" failed with exit code 2\n";
    let mut too_large = behaves(&[]);
    too_large["cpu"] = "5000".into();
    vec![
        ("succeeds", behaves(&[]), Reason::Succeeded, Class::User),
        ("fails", behaves(&[("behave", "fail"), ("exit-code", "3")]), Reason::ExitCode(3), Class::User),
        (
            "step",
            behaves(&[("behave", "fail"), ("exit-code", "2"), ("message", step)]),
            Reason::StepFailed("test".into(), 2),
            Class::User,
        ),
        ("oom", behaves(&[("behave", "oom")]), Reason::OutOfMemory, Class::User),
        ("invalid-image", behaves(&[("behave", "invalid-image")]), Reason::InvalidImage, Class::User),
        ("evict", behaves(&[("behave", "evict")]), Reason::Evicted, Class::Infrastructure),
        ("image-pull", behaves(&[("behave", "image-pull")]), Reason::ImagePull, Class::Infrastructure),
        ("too-large", too_large, Reason::Unschedulable, Class::Infrastructure),
        ("sandbox", behaves(&[("behave", "sandbox-failed")]), Reason::SandboxFailed, Class::Infrastructure),
        ("never-start", behaves(&[("behave", "never-start")]), Reason::TimedOut(ClockKind::Pending), Class::Infrastructure),
        ("hang", behaves(&[("behave", "hang")]), Reason::TimedOut(ClockKind::Running), Class::Policy),
        ("rejected", on("k8s-nope", behaves(&[])), Reason::Rejected, Class::Policy),
        ("refused", on("nowhere", behaves(&[])), Reason::Refused, Class::Policy),
    ]
}

/// What somebody has to bring about while it runs.
async fn brought_about(yard: &Yard) -> Vec<(BuildKey, Reason, Class)> {
    let build = |name: &'static str| yard.publish(name, behaves(&[("run-for", "1h")]));
    let [deleted, lost, cancelled] = [build("deleted").await, build("lost").await, build("cancelled").await];
    let name = |build: &BuildKey| format!("b-{build}-1");
    let pods = yard.api();
    for build in [&deleted, &lost, &cancelled] {
        yard.record(build, "it runs", started).await;
    }
    let cancel = CancelRequested { build: cancelled.clone() }.outgoing("default", "c", Timestamp::now(), None).unwrap();
    yard.bus.publish(cancel).await.unwrap();
    pods.delete(&name(&deleted), &DeleteParams::default()).await.unwrap();
    let strip = Patch::Merge(json!({"metadata": {"finalizers": []}}));
    pods.patch(&name(&lost), &PatchParams::default(), &strip).await.unwrap();
    pods.delete(&name(&lost), &DeleteParams::default().grace_period(0)).await.unwrap();
    vec![
        (deleted, Reason::Deleted, Class::Infrastructure),
        (lost, Reason::Lost, Class::Infrastructure),
        (cancelled, Reason::Cancelled, Class::Policy),
    ]
}

fn started(record: &Record) -> bool {
    record.attempts[0].started_at.is_some()
}

/// A pod whose node is gone stays until somebody vouches for that.
async fn node_lost(yard: &Yard) -> (BuildKey, Reason, Class) {
    let build = yard.publish("node-lost", behaves(&[("behave", "node-lost"), ("run-for", "1s")])).await;
    yard.record(&build, "its end is decided", |record| record.attempts[0].decided.is_some()).await;
    yard.api().delete(&format!("b-{build}-1"), &DeleteParams::default().grace_period(0)).await.unwrap();
    (build, Reason::NodeLost, Class::Infrastructure)
}

/// No reaper runs, and the node itself ends the pod; then no launcher runs.
async fn nobody_there(yard: &Yard) -> Vec<(BuildKey, Reason, Class)> {
    let overdue = yard.publish("overdue", on("k8s-late", behaves(&[("behave", "hang")]))).await;
    yard.record(&overdue, "it runs", started).await;
    let reaper = yard.services.get("reaper-k8s-late-0").unwrap();
    reaper.kill().await;
    let pods = yard.api();
    until("the node ends the pod", PATIENCE, async || {
        let pod = pods.get(&format!("b-{overdue}-1")).await.ok()?;
        (pod.status?.phase? == "Failed").then_some(())
    })
    .await;
    reaper.restart().await.unwrap();
    yard.record(&overdue, "it has ended", Record::is_closed).await;
    yard.services.get("launcher-k8s-late-0").unwrap().kill().await;
    let waiting = yard.publish("waiting", on("k8s-late", behaves(&[]))).await;
    vec![(overdue, Reason::DeadlineExceeded, Class::Policy), (waiting, Reason::TimedOut(ClockKind::Queued), Class::Policy)]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_is_reported_right_with_its_class() {
    let yard = Yard::of(FLEET, &["k8s", "k8s-late", "k8s-nope"], false, 1).await;
    yard.stack.control_plane().unwrap().have_said("said\n").unwrap();
    let mut wanted = Vec::new();
    for (name, build, reason, class) in by_themselves() {
        wanted.push((yard.publish(name, build).await, reason, class));
    }
    let (brought, lost, late) = tokio::join!(brought_about(&yard), node_lost(&yard), nobody_there(&yard));
    wanted.extend(brought.into_iter().chain([lost]).chain(late));
    let builds: Vec<_> = wanted.iter().map(|(build, ..)| build.clone()).collect();
    yard.audit(&builds, PATIENCE).await;
    yard.services.get("launcher-k8s-late-0").unwrap().restart().await.unwrap();
    let finished = yard.finished().await;
    for (build, reason, class) in wanted {
        let told: Vec<_> = finished.iter().filter(|end| end.build == build).collect();
        let end = told.iter().find(|end| end.reason == reason);
        let end = end.unwrap_or_else(|| panic!("{reason} was not reported, but {told:?}"));
        assert_eq!(end.class, class, "{reason}");
        is_whole(end);
        if matches!(reason, Reason::Succeeded | Reason::ExitCode(_) | Reason::StepFailed(..) | Reason::OutOfMemory) {
            // Nothing lingers here: it was read in the moment before its pod was let go.
            assert_eq!(yard.bus.log(&build, 1).await.unwrap().as_deref(), Some("said\n"), "{reason}");
        }
    }
    assert_eq!(finished.iter().filter(|end| end.reason == Reason::Failed).count(), 0, "nothing failed without a reason");
    yard.stop().await;
}

/// Where it ran, which container, and a sentence: what can be known of each reason.
fn is_whole(end: &BuildFinished) {
    let BuildFinished { reason, container, node, errors, result, .. } = end;
    let by_container = matches!(
        reason,
        Reason::ExitCode(_) | Reason::StepFailed(..) | Reason::OutOfMemory | Reason::ImagePull | Reason::InvalidImage
    );
    let on_node =
        by_container || matches!(reason, Reason::Succeeded | Reason::Evicted | Reason::SandboxFailed | Reason::NodeLost);
    assert_eq!(container.as_deref(), by_container.then_some("build"), "{reason}");
    assert!(!on_node || node.as_deref().is_some_and(|node| node.starts_with("kata-")), "{reason}: {node:?}");
    assert!(errors.is_some() || *reason == Reason::Succeeded, "{reason} has no sentence");
    if let Reason::StepFailed(..) = reason {
        assert_eq!(result, &Some(json!({"auc": 1})), "the step's name is not part of the result");
    }
}
