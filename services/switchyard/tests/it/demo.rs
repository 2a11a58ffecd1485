//! `switchyard up --cluster --demo --exit-when-idle`, as a user runs it.

use std::{path::PathBuf, process::Stdio, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use crate::yard::program;

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_runs_real_kata_pods_and_each_build_ends_as_it_should() {
    let mut up = Command::new(program())
        .args(["up", "--cluster", "--demo", "--exit-when-idle"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(up.stdout.take().unwrap()).lines();
    let mut said = String::new();
    let mut pods = None;
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some((_, path)) = line.split_once("(kubeconfig ") {
            pods = Some(tokio::spawn(watch(path.trim_end_matches(')').into())));
        }
        said.push_str(&line);
        said.push('\n');
    }
    let status = tokio::time::timeout(Duration::from_mins(3), up.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{said}");
    for sample in [
        "1-jenkins-succeeds",
        "2-tekton-fails",
        "3-screwdriver-rhel6",
        "4-screwdriver-overruns",
        "5-screwdriver-unroutable",
        "6-jenkins-malformed",
    ] {
        assert!(said.lines().any(|line| line.starts_with(sample) && line.contains(" yes ")), "{sample}:\n{said}");
    }
    assert!(said.contains("pods left: 0"), "{said}");
    let pods = pods.expect("up says where the kubeconfig is").await.unwrap();
    let names: std::collections::BTreeSet<_> = pods.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names.len(), 4, "four of the six samples run: {names:?}");
    for pod in pods.iter().filter(|pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")) {
        assert_is_kata(pod);
    }
}

/// The runtime class is set, and what the API server merges from it is there.
fn assert_is_kata(pod: &Pod) {
    let spec = pod.spec.as_ref().unwrap();
    assert_eq!(spec.runtime_class_name.as_deref(), Some("kata"));
    let overhead = spec.overhead.as_ref().expect("the overhead of the runtime class is merged");
    assert_eq!((overhead["cpu"].0.as_str(), overhead["memory"].0.as_str()), ("250m", "320Mi"));
    assert_eq!(spec.node_selector.as_ref().unwrap()["dedicated"], "screwdriver-kata");
    assert!(spec.node_name.as_deref().unwrap().starts_with("kata-"));
}

/// Every sight of every pod, until the API server goes.
async fn watch(kubeconfig: PathBuf) -> Vec<Pod> {
    let config = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    let api: Api<Pod> = Api::namespaced(kube::Client::try_from(config).unwrap(), "builds");
    let seen = watcher::watcher(api, watcher::Config::default()).applied_objects().boxed();
    let mut seen = std::pin::pin!(seen);
    let mut pods = Vec::new();
    while let Ok(Some(pod)) = seen.try_next().await {
        pods.push(pod);
    }
    pods
}
