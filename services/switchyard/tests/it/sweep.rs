//! What clocks and watches cannot see to: pods that nobody knows, machines that are gone, reapers that were away.

use std::{process::Stdio, time::Duration};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};
use switchyard_dev::ClusterUser;
use switchyard_events::{BuildKey, BuildReaped, Reason, Record, custom_data};
use tokio::process::Command;

use crate::yard::{FLEET, Yard, program, until};

pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) fn lasting() -> Value {
    json!({"image": "registry.example/a:1", "cpu": "micro", "ram": "micro", "annotations": {"dev.switchyard/run-for": "1h"}})
}

pub(crate) fn runs(record: &Record) -> bool {
    record.latest().is_some_and(|attempt| attempt.started_at.is_some())
}

fn reason(record: &Record) -> Reason {
    record.attempts[0].decided.as_ref().unwrap().reason.clone()
}

/// A pod like ours that no record knows, of that installation.
pub(crate) async fn unknown_pod(yard: &Yard, installation: &str) -> String {
    let build = BuildKey::of("/nobody", installation, "x");
    let name = format!("b-{build}-1");
    let labels = json!({"switchyard.dev/build": build, "switchyard.dev/attempt": "1", "switchyard.dev/executor": "k8s",
        "switchyard.dev/installation": installation});
    let pod = json!({"metadata": {"name": name, "labels": labels, "finalizers": ["switchyard.dev/reaper"]},
        "spec": {"schedulingGates": [{"name": "switchyard.dev/bound"}], "containers": [{"name": "build", "image": "a"}]}});
    let pod: Pod = serde_json::from_value(pod).unwrap();
    yard.api().create(&PostParams::default(), &pod).await.unwrap();
    name
}

/// Runs one of the tools, as an operator does, and answers what it says.
pub(crate) async fn tool(yard: &Yard, words: &[&str]) -> String {
    let credentials = yard.stack.nats().credentials("loadtest").unwrap();
    let said = Command::new(program())
        .args(words)
        .args(["--executor", "k8s"])
        .env("NATS_URL", yard.stack.nats().url())
        .env("NATS_USER", &credentials.user)
        .env("NATS_PASSWORD", &credentials.password)
        .env("SWITCHYARD_CONFIG", yard.stack.folder().join("fleet.yaml"))
        .env("KUBECONFIG", yard.stack.control_plane().unwrap().kubeconfig(ClusterUser::Reaper))
        .stderr(Stdio::inherit())
        .output()
        .await
        .unwrap();
    assert!(said.status.success(), "{words:?}");
    String::from_utf8(said.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_removes_what_nobody_knows_and_leaves_what_is_anothers() {
    let yard = Yard::start(false, 1).await;
    let ours = yard.bus.installation().await.unwrap();
    let (orphan, foreign) = (unknown_pod(&yard, &ours).await, unknown_pod(&yard, "another").await);
    let pods = yard.api();
    until("the orphan goes", PATIENCE, async || pods.get_opt(&orphan).await.ok()?.is_none().then_some(())).await;
    assert!(pods.get_opt(&foreign).await.unwrap().is_some(), "another installation's pod is not ours to remove");

    assert_eq!(tool(&yard, &["sweep", "--dry-run"]).await, "0 found; nothing was done\n");
    assert_eq!(tool(&yard, &["release", "--dry-run"]).await, "0 would be let go\n");
    assert!(tool(&yard, &["release", "--all"]).await.ends_with("\n1 let go\n"));
    pods.delete(&foreign, &DeleteParams::default()).await.unwrap();
    until("nothing holds it any more", PATIENCE, async || pods.get_opt(&foreign).await.ok()?.is_none().then_some(())).await;
    yard.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_whose_machine_is_gone_is_forced_out_and_that_is_said() {
    let fleet = FLEET.replace("terminationGracePeriodSeconds: 1", "terminationGracePeriodSeconds: 1, buildTimeout: 5s");
    let yard = Yard::of(&fleet, &["k8s", "k8s-vm"], false, 1).await;
    let mut stuck = lasting();
    stuck["annotations"]["dev.switchyard/on-delete"] = "stuck".into();
    let build = yard.publish("stuck", stuck).await;
    yard.record(&build, "it runs", runs).await;
    let node = yard.api().get(&format!("b-{build}-1")).await.unwrap().spec.unwrap().node_name.unwrap();
    let nodes: Api<Node> = Api::all(yard.stack.control_plane().unwrap().client(ClusterUser::Admin).unwrap());
    nodes.delete(&node, &DeleteParams::default()).await.unwrap();
    // Its limit is over, it is told to go, it cannot; then its end is decided, and at last it is forced out.
    let ended = yard.audit(std::slice::from_ref(&build), PATIENCE).await;
    assert_eq!(ended.iter().map(|(_, record)| record.attempts.len()).collect::<Vec<_>>(), [1], "nobody knows that it is dead");
    let subject = format!("yard.{}.{build}.1", BuildReaped::TYPE);
    let said = yard.bus.last("YARD", &subject).await.unwrap().expect("that it was forced is said");
    let said: BuildReaped = custom_data(&said.cdevent().unwrap()).unwrap();
    assert!(said.why.contains(&node), "{said:?}");
    yard.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_deleted_while_every_reaper_is_down_still_reports() {
    let yard = Yard::start(false, 1).await;
    let build = yard.publish("deleted", lasting()).await;
    yard.record(&build, "it runs", runs).await;
    let reapers = ["reaper-k8s-0", "reaper-k8s-vm-0"].map(|name| yard.services.get(name).unwrap());
    for reaper in reapers {
        reaper.kill().await;
    }
    let (pods, name) = (yard.api(), format!("b-{build}-1"));
    pods.delete(&name, &DeleteParams::default()).await.unwrap();
    until("its containers have ended", PATIENCE, async || (pods.get(&name).await.ok()?.status?.phase? == "Failed").then_some(()))
        .await;
    for reaper in reapers {
        reaper.restart().await.unwrap();
    }
    let record = yard.record(&build, "its end is told", |record| record.attempts[0].closed).await;
    assert_eq!(reason(&record), Reason::Deleted);
    // The next attempt runs for an hour: it is not waited for.
    yard.record(&build, "it runs again", |record| record.attempts.len() == 2 && runs(record)).await;
    crate::cancel::cancel(&yard, &build, "c", "default").await;
    yard.audit(&[build], PATIENCE).await;
    yard.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_whose_pod_somebody_took_the_labels_off_or_gave_others_goes_on_and_is_not_begun_again() {
    use kube::api::{Patch, PatchParams};

    let yard = Yard::start(false, 1).await;
    let annotations = json!({"dev.switchyard/run-for": "5s"});
    let mut builds = Vec::new();
    for n in 0..4 {
        let build = json!({"image": "registry.example/a:1", "cpu": "micro", "ram": "micro", "annotations": annotations});
        builds.push(yard.publish(&format!("unlabelled-{n}"), build).await);
    }
    for (n, build) in builds.iter().enumerate() {
        let record = yard.record(build, "it runs", runs).await;
        // Every second one then says that it is the other executor's, which is there, too.
        let other = if record.attempts[0].executor.as_deref() == Some("k8s") { "k8s-vm" } else { "k8s" };
        let executor = (n % 2 == 1).then_some(other);
        let bare = json!({"metadata": {"labels": {"switchyard.dev/executor": executor, "switchyard.dev/build": null}}});
        yard.api().patch(&format!("b-{build}-1"), &PatchParams::default(), &Patch::Merge(bare)).await.unwrap();
    }
    for (_, record) in yard.audit(&builds, PATIENCE).await {
        assert_eq!((record.attempts.len(), reason(&record)), (1, Reason::Succeeded));
    }
    yard.stop().await;
}
