//! Each kind of thing that the sweep finds, brought about on a real cluster while no reaper runs: the plan names it and changes
//! nothing, and two who sweep at once see to all of it, once.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use switchyard_bus::{Clocks as _, Ledger as _};
use switchyard_dev::ClusterUser;
use switchyard_events::{
    Attempt, Bound, BuildKey, BuildReaped, Clock, ClockKind, Decision, Reason, Record, Request, Routing, derived_traceparent,
};

use crate::{
    sweep::{PATIENCE, lasting, runs, tool, unknown_pod},
    yard::{Yard, until},
};

const FLEET: &str = "
version: 1
executor: {plugin: k8s, k8s: {weightage: 1, options: {kubernetes: {runtimeClass: kata, jobsNamespace: builds, terminationGracePeriodSeconds: 1}}}}
clocks: {queued: 10m, pending: 2m, teardown: 3s, grace: 10s, linger: 0s}
tenants: {default: {annotations: ['dev.switchyard/*']}}
";

fn hours_ago(hours: i64) -> Timestamp {
    Timestamp::now() - jiff::SignedDuration::from_hours(hours)
}

/// A build of which only the ledger knows: routed so many hours ago.
fn routed(name: &str, hours: i64) -> (BuildKey, Record) {
    let build = BuildKey::of("/ci/test", name, name);
    let trace = derived_traceparent(&build);
    let request = Request {
        id: name.to_owned(),
        source: "/ci/test".to_owned(),
        subject: name.to_owned(),
        r#type: "dev.cdevents.build.queued.0.3.0".to_owned(),
        trace,
        ..Request::default()
    };
    let record = Record::open(request, "default".to_owned(), Attempt { n: 1, ..Attempt::default() });
    let routing = Routing { executor: "k8s".to_owned(), at: hours_ago(hours), ..Routing::default() };
    (build, record.routed(1, routing).unwrap())
}

/// What nobody has seen to, each with what the sweep is to say of it.
async fn neglected(yard: &Yard) -> BTreeMap<BuildKey, &'static str> {
    let succeeds = json!({"image": "a", "cpu": "micro", "ram": "micro", "annotations": {"dev.switchyard/start-after": "5s"}});
    let mut stays = lasting();
    stays["annotations"]["dev.switchyard/on-delete"] = "stuck".into();
    let [gone, stuck] = [yard.publish("gone", lasting()).await, yard.publish("stuck", stays).await];
    for build in [&gone, &stuck] {
        yard.record(build, "it runs", runs).await;
    }
    crate::cancel::cancel(yard, &stuck, "c", "default").await;
    yard.record(&stuck, "its pod is told to go, and does not", Record::is_closed).await;
    let succeeds = yard.publish("succeeds", succeeds).await;
    until("its pod may run", PATIENCE, async || {
        let pod = yard.api().get_opt(&format!("b-{succeeds}-1")).await.ok()??;
        pod.spec?.scheduling_gates.is_none_or(|gates| gates.is_empty()).then_some(())
    })
    .await;
    for service in ["reaper-k8s-0", "launcher-k8s-0"] {
        yard.services.get(service).unwrap().kill().await;
    }

    let (pods, name) = (yard.api(), |build: &BuildKey| format!("b-{build}-1"));
    let strip = Patch::Merge(json!({"metadata": {"finalizers": []}}));
    pods.patch(&name(&gone), &PatchParams::default(), &strip).await.unwrap();
    pods.delete(&name(&gone), &DeleteParams::default().grace_period(0)).await.unwrap();
    until("it ends before its node may go", PATIENCE, async || {
        (pods.get(&name(&succeeds)).await.ok()?.status?.phase? == "Succeeded").then_some(())
    })
    .await;
    let node = pods.get(&name(&stuck)).await.unwrap().spec.unwrap().node_name.unwrap();
    let nodes: Api<Node> = Api::all(yard.stack.control_plane().unwrap().client(ClusterUser::Admin).unwrap());
    nodes.delete(&node, &DeleteParams::default()).await.unwrap();

    let ours = yard.bus.installation().await.unwrap();
    let orphan = unknown_pod(yard, &ours).await;
    let orphan: BuildKey = orphan.trim_start_matches("b-").trim_end_matches("-1").parse().unwrap();
    let stray = BuildKey::of("/nobody", "stray", "x");
    let clock = Clock { executor: "k8s".into(), kind: ClockKind::Running, build: stray.clone(), attempt: 1 };
    yard.bus.arm(&clock, hours_ago(-1), &derived_traceparent(&stray)).await.unwrap();
    let leaked = leaked(yard).await;
    let (waits, record) = routed("waits", 9);
    yard.bus.create(&waits, &record).await.unwrap();
    let (old, record) = routed("old", 24 * 40);
    let ended = record.decide(1, Decision::new(Reason::Cancelled, true), hours_ago(24 * 31)).unwrap().close(1).unwrap();
    yard.bus.create(&old, &ended).await.unwrap();
    BTreeMap::from([
        (succeeds, "was overlooked"),
        (gone, "is not there"),
        (stuck, "does not exist any more"),
        (orphan, "has no record"),
        (stray, "a clock running counts for no record"),
        (leaked, "was overlooked"),
        (waits, "its clock queued is overdue"),
        (old, "its record has been kept long enough"),
    ])
}

/// A pod that still has our finalizer, though its attempt was closed hours ago.
async fn leaked(yard: &Yard) -> BuildKey {
    let (build, record) = routed("leaked", 2);
    let labels = json!({"switchyard.dev/build": build, "switchyard.dev/attempt": "1", "switchyard.dev/executor": "k8s",
        "switchyard.dev/installation": yard.bus.installation().await.unwrap()});
    let pod = json!({"metadata": {"name": format!("b-{build}-1"), "labels": labels, "finalizers": ["switchyard.dev/reaper"]},
        "spec": {"schedulingGates": [{"name": "switchyard.dev/bound"}], "containers": [{"name": "build", "image": "a"}]}});
    let pod = yard.api().create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    yard.api().delete(&format!("b-{build}-1"), &DeleteParams::default()).await.unwrap();
    let bound = Bound { executor: "k8s".to_owned(), uid: pod.metadata.uid.unwrap(), at: hours_ago(2) };
    let ended = record.bind(1, bound).unwrap().decide(1, Decision::new(Reason::Cancelled, true), hours_ago(1)).unwrap();
    yard.bus.create(&build, &ended.close(1).unwrap()).await.unwrap();
    build
}

/// What is there: records, pods, and the clocks of builds that have no record; others fire meanwhile.
async fn sight(yard: &Yard) -> (BTreeMap<BuildKey, Record>, BTreeMap<Option<String>, Option<String>>, Vec<Clock>) {
    let pods = yard.api().list(&ListParams::default()).await.unwrap().items;
    let pods = pods.into_iter().map(|pod| (pod.metadata.uid, pod.metadata.resource_version)).collect();
    let records: BTreeMap<_, _> = yard.bus.records().await.unwrap().into_iter().collect();
    let mut clocks = yard.bus.armed("k8s").await.unwrap();
    clocks.retain(|clock| !records.contains_key(&clock.build));
    (records, pods, clocks)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_thing_that_was_neglected_is_planned_and_seen_to_once() {
    let yard = Yard::of(FLEET, &["k8s"], false, 1).await;
    let neglected = neglected(&yard).await;
    let names = |said: &str, build: &BuildKey, why: &str| {
        said.lines().any(|line| line.starts_with(&format!("{build} 1  ")) && line.contains(why))
    };
    let planned = until("the plan names everything", PATIENCE, async || {
        let said = tool(&yard, &["sweep", "--orphan", "5s", "--dry-run"]).await;
        let missing: Vec<_> = neglected.iter().filter(|(build, why)| !names(&said, build, why)).collect();
        println!("not planned yet: {missing:?}");
        missing.is_empty().then_some(said)
    })
    .await;
    assert!(planned.ends_with("found; nothing was done\n"), "{planned}");
    let before = sight(&yard).await;
    let few = tool(&yard, &["sweep", "--orphan", "5s", "--dry-run", "--sweep-most", "2"]).await;
    assert!(few.ends_with("\n2 found; nothing was done\n"), "{few}");
    assert_eq!(sight(&yard).await, before, "only to say what would be done changes nothing");

    let sweep = || tool(&yard, &["sweep", "--orphan", "5s"]);
    until("nothing is left to be seen to", PATIENCE, async || {
        let (one, other) = tokio::join!(sweep(), sweep());
        (one == "0 found\n" && other == one).then_some(())
    })
    .await;
    let of = |name: &str| BuildKey::of("/ci/test", name, name);
    let records: BTreeMap<_, _> = yard.bus.records().await.unwrap().into_iter().collect();
    assert!(!records.contains_key(&of("old")), "its record was kept long enough");
    let clocks = yard.bus.armed("k8s").await.unwrap();
    assert!(clocks.iter().all(|clock| records.contains_key(&clock.build)), "{clocks:?}");
    let reaped = format!("yard.{}.{}.1", BuildReaped::TYPE, of("stuck"));
    assert!(yard.bus.last("YARD", &reaped).await.unwrap().is_some(), "that it was forced out is said");
    assert_eq!(records[&of("succeeds")].attempts[0].started_at, None, "nobody saw it run");
    for service in ["reaper-k8s-0", "launcher-k8s-0"] {
        yard.services.get(service).unwrap().restart().await.unwrap();
    }
    // What was lost is tried again, and would run for an hour.
    crate::cancel::cancel(&yard, &of("gone"), "c2", "default").await;
    let told = |name: &str| [of(name)].map(|build| (build.clone(), records[&build].attempts[0].decided.clone().unwrap().reason));
    let ends: Vec<_> = ["succeeds", "gone", "stuck", "waits"].iter().flat_map(|name| told(name)).collect();
    let reasons = [Reason::Succeeded, Reason::Lost, Reason::Cancelled, Reason::TimedOut(ClockKind::Queued)];
    assert_eq!(ends.iter().map(|(_, reason)| reason.clone()).collect::<Vec<_>>(), reasons);
    // Of what only the ledger knew no end was ever published.
    yard.bus.remove(&of("leaked"), yard.bus.read(&of("leaked")).await.unwrap().unwrap().1).await.unwrap();
    let builds: Vec<_> = ends.into_iter().map(|(build, _)| build).collect();
    yard.audit(&builds, PATIENCE).await;
    yard.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_goes_lets_go_of_its_pods_and_of_no_others() {
    let yard = Yard::of(FLEET, &["k8s"], false, 1).await;
    let [one, two] = [yard.publish("one", lasting()).await, yard.publish("two", lasting()).await];
    for build in [&one, &two] {
        yard.record(build, "it runs", runs).await;
    }
    yard.services.get("reaper-k8s-0").unwrap().kill().await;
    let foreign = unknown_pod(&yard, "another").await;
    let held = async || {
        let pods = yard.api().list(&ListParams::default()).await.unwrap().items.into_iter();
        pods.filter(|pod| pod.metadata.finalizers.is_some()).map(|pod| pod.metadata.name.unwrap()).collect::<Vec<_>>()
    };
    assert!(tool(&yard, &["release", "--dry-run"]).await.ends_with("\n2 would be let go\n"));
    assert_eq!(held().await.len(), 3);
    assert!(tool(&yard, &["release"]).await.ends_with("\n2 let go\n"));
    assert_eq!(held().await, std::slice::from_ref(&foreign));
    assert_eq!(tool(&yard, &["release"]).await, "0 let go\n");

    assert!(tool(&yard, &["release", "--all"]).await.ends_with("\n1 let go\n"));
    yard.api().delete(&foreign, &DeleteParams::default()).await.unwrap();
    yard.services.get("reaper-k8s-0").unwrap().restart().await.unwrap();
    for build in [&one, &two] {
        crate::cancel::cancel(&yard, build, &format!("c-{build}"), "default").await;
    }
    for (build, record) in yard.audit(&[one, two], Duration::from_mins(1)).await {
        assert_eq!(record.attempts[0].decided.as_ref().unwrap().reason, Reason::Cancelled, "{build}");
    }
    yard.stop().await;
}
