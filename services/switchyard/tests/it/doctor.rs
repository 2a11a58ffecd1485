//! The doctor on a real control plane with simulated nodes: it looks, tries, and does not claim what it cannot know.

use std::process::Output;

use switchyard_dev::ClusterUser;
use tokio::process::Command;

use crate::yard::{Yard, program};

async fn doctor(yard: &Yard, executor: &str) -> Output {
    let credentials = yard.stack.nats().credentials("cli").unwrap();
    let config = yard.stack.folder().join("fleet.yaml");
    let config = config.to_str().unwrap();
    Command::new(program())
        .args(["doctor", "--executor", executor, "--config", config])
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
    yard.stop().await;
}
