//! The doctor on a real control plane: it looks, tries, and does not claim what it cannot know. Of simulated nodes that is nothing;
//! for a verdict the test plays the kubelet of a node that says that it is real.

use std::{process::Output, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use switchyard_dev::ClusterUser;
use tokio::process::Command;

use crate::yard::{Yard, program, says, until};

async fn doctor(yard: &Yard, executor: &str) -> Output {
    doctor_with(yard, executor, &[]).await
}

async fn doctor_with(yard: &Yard, executor: &str, more: &[&str]) -> Output {
    let config = yard.stack.folder().join("fleet.yaml");
    doctor_of(yard, executor, &[&["--config", config.to_str().unwrap()], more].concat()).await
}

/// The same, without a file.
async fn doctor_of(yard: &Yard, executor: &str, more: &[&str]) -> Output {
    let credentials = yard.stack.nats().credentials("cli").unwrap();
    Command::new(program())
        .args(["doctor", "--executor", executor])
        .args(more)
        .env("KUBECONFIG", yard.stack.control_plane().unwrap().kubeconfig(ClusterUser::Admin))
        .env("NATS_URL", yard.stack.nats().url())
        .env("NATS_USER", &credentials.user)
        .env("NATS_PASSWORD", &credentials.password)
        .output()
        .await
        .unwrap()
}

const FLEET: &str = "
version: 1
executor:
  plugin: k8s
  k8s: {weightage: 1, options: {kubernetes: {runtimeClass: kata, jobsNamespace: builds}}}
  gone: {plugin: kubernetes, weightage: 0, options: {kubernetes: {runtimeClass: kata-gone, jobsNamespace: builds}}}
  local: {plugin: process, weightage: 0}
clocks: {queued: 10m, pending: 2m, teardown: 10s, grace: 10s, linger: 0s}
";

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_runs_a_probe_and_says_what_can_be_said() {
    let yard = Yard::of(FLEET, &["k8s"], false, 1).await;
    let output = doctor(&yard, "k8s").await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for wanted in [
        "runtime class kata: handler kata-qemu-runtime-rs, overhead cpu 250m, memory 320Mi",
        "launcher ",
        ": well, breaker closed",
        "probe: build ",
        "node kata-",
        "cannot tell: node kata-",
    ] {
        assert!(said.contains(wanted), "{wanted:?} is missing:\n{said}");
    }
    for (executor, wanted) in [
        ("gone", "the executor's runtime class is not in the cluster"),
        ("local", "with no isolation"),
        ("nobody", "the fleet has no executor \"nobody\""),
    ] {
        let output = doctor(&yard, executor).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(wanted), "{wanted:?} is missing:\n{said}");
    }
    let without_a_file = async || {
        let output = doctor_of(&yard, "nobody", &[]).await;
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(without_a_file().await.contains("no fleet has been applied"));
    says(&yard.stack, &["config", "apply", "-"], APPLIED).await;
    assert!(without_a_file().await.contains("the fleet has no executor \"nobody\"; there are k8s"));
    yard.stop().await;
}

const APPLIED: &str = "version: 1\nexecutor: {plugin: k8s, k8s: {options: {kubernetes: {runtimeClass: kata}}}}\n";

const KERNEL: &str = "6.1.0-31-amd64";
const BOOT: &str = "0c41f1ef-6be2-4b8f-8a8e-3a1a3cd0a2d1";

#[tokio::test(flavor = "multi_thread")]
async fn the_verdict_is_of_the_kernel_that_the_probe_saw_and_of_a_probe_that_never_ran_nothing_stays() {
    let yard = Yard::of(FLEET, &["k8s"], false, 1).await;
    let nodes: Api<Node> = Api::all(yard.stack.control_plane().unwrap().client(ClusterUser::Admin).unwrap());
    for node in nodes.list(&ListParams::default()).await.unwrap() {
        let closed = Patch::Merge(json!({"spec": {"unschedulable": true}}));
        nodes.patch(&node.name_any(), &PatchParams::default(), &closed).await.unwrap();
    }

    let waited = doctor_with(&yard, "k8s", &["--patience", "3"]).await;
    let (said, error) = (String::from_utf8_lossy(&waited.stdout), String::from_utf8_lossy(&waited.stderr));
    assert_eq!(waited.status.code(), Some(1), "{said}{error}");
    assert!(error.contains("the probe has not ended within 3 s") && said.contains("the probe is asked to stop"), "{said}{error}");
    let build = said.lines().find_map(|line| line.strip_prefix("probe: build ")).unwrap().parse().unwrap();
    let ended = yard.record(&build, "the probe is stopped", |record| record.is_closed() && record.cancelled.is_some()).await;
    assert_eq!(ended.request.source, "/switchyard/doctor");
    until("its pod is gone", Duration::from_mins(1), async || {
        yard.api().list(&ListParams::default()).await.ok()?.items.is_empty().then_some(())
    })
    .await;

    nodes.create(&PostParams::default(), &real_node()).await.unwrap();
    let saw = |kernel: &str, boot: &str| json!({"kernel": kernel, "boot": boot}).to_string();
    for (message, code, verdict) in [
        (saw("6.12.42-kata", "9d0b"), 0, "proven: the probe ran in a virtual machine of its own"),
        (saw(KERNEL, BOOT), 1, "not isolated: the probe ran under the kernel of node real-0 itself"),
        (saw(KERNEL, "9d0b"), 1, "not isolated: another start, but of the same kernel"),
        (String::new(), 3, "cannot tell: the probe said nothing of its kernel"),
    ] {
        let (output, ()) = tokio::join!(doctor(&yard, "k8s"), runs_on_real_node(&yard, &message));
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(verdict) && said.contains(&format!("node real-0: kernel {KERNEL}, boot {BOOT}")), "{said}");
    }
    yard.stop().await;
}

/// A node that nobody simulates, and whose kubelet is this test.
fn real_node() -> Node {
    let size = json!({"cpu": "8", "memory": "32Gi", "pods": "10"});
    let info = json!({"kernelVersion": KERNEL, "bootID": BOOT, "machineID": "", "systemUUID": "", "osImage": "", "architecture": "",
        "containerRuntimeVersion": "", "kubeletVersion": "", "kubeProxyVersion": "", "operatingSystem": ""});
    let ready = json!([{"type": "Ready", "status": "True"}]);
    let node = json!({"metadata": {"name": "real-0", "labels": {"dedicated": "screwdriver-kata"}},
        "status": {"capacity": size, "allocatable": size, "nodeInfo": info, "conditions": ready}});
    serde_json::from_value(node).unwrap()
}

/// The next pod on that node runs, leaves a message and ends.
async fn runs_on_real_node(yard: &Yard, message: &str) {
    let is_new = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        pod.spec.as_ref().unwrap().node_name.as_deref() == Some("real-0") && phase == Some("Pending")
    };
    let name = until("the probe has its node", Duration::from_mins(2), async || {
        yard.api().list(&ListParams::default()).await.ok()?.items.into_iter().find(is_new).map(|pod| pod.name_any())
    })
    .await;
    let now = Timestamp::now().to_string();
    let terminated = json!({"exitCode": 0, "reason": "Completed", "message": message, "startedAt": now, "finishedAt": now});
    for (phase, state) in [("Running", json!({"running": {"startedAt": now}})), ("Succeeded", json!({"terminated": terminated}))]
    {
        let status = json!({"phase": phase, "startTime": now, "containerStatuses": [container(&state)]});
        let patch = Patch::Merge(json!({"status": status}));
        yard.api().patch_status(&name, &PatchParams::default(), &patch).await.unwrap();
    }
}

fn container(state: &Value) -> Value {
    json!({"name": "build", "image": "busybox", "imageID": "", "ready": false, "restartCount": 0, "state": state})
}
