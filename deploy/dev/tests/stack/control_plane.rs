//! The control plane is the real API server: it admits, refuses, schedules, and forgets nothing over SIGKILL.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;
use switchyard_dev::{ClusterUser, ControlPlane, Stack, StackOptions};
use tokio::sync::OnceCell;

use crate::eventually;

const PATIENCE: Duration = Duration::from_secs(30);

async fn start() -> Stack {
    Stack::start(&StackOptions { control_plane: true, ..StackOptions::default() }).await.unwrap()
}

async fn shared() -> &'static ControlPlane {
    static STACK: OnceCell<Stack> = OnceCell::const_new();
    STACK.get_or_init(start).await.control_plane().unwrap()
}

fn pods(control_plane: &ControlPlane, user: ClusterUser, namespace: &str) -> Api<Pod> {
    Api::namespaced(control_plane.client(user).unwrap(), namespace)
}

/// A build's pod, which runs for `runs`.
fn pod(name: &str, runs: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": name, "annotations": { "dev.switchyard/run-for": runs } },
        "spec": {
            "runtimeClassName": "kata",
            "restartPolicy": "Never",
            "containers": [{
                "name": "build", "image": "alpine", "resources": { "limits": { "cpu": "500m", "memory": "128Mi" } },
            }],
        },
    }))
    .unwrap()
}

async fn phase(pods: &Api<Pod>, name: &str) -> String {
    pods.get(name).await.unwrap().status.and_then(|status| status.phase).unwrap_or_default()
}

async fn reaches(pods: &Api<Pod>, name: &str, wanted: &str) {
    eventually(wanted, PATIENCE, || async { phase(pods, name).await == wanted }).await;
}

fn refusal(error: kube::Error) -> String {
    let kube::Error::Api(status) = error else { panic!("{error}") };
    assert_eq!(status.code, 403);
    status.message
}

#[tokio::test]
async fn a_pod_of_the_launcher_is_scheduled_to_a_kata_node_runs_and_succeeds() {
    let control_plane = shared().await;
    let pods = pods(control_plane, ClusterUser::Launcher, ControlPlane::NAMESPACE);
    let created = pods.create(&PostParams::default(), &pod("succeeds", "500ms")).await.unwrap().spec.unwrap();
    assert_eq!(created.overhead.unwrap()["memory"].0, "320Mi");
    assert_eq!(created.node_selector.unwrap()["dedicated"], "screwdriver-kata");
    reaches(&pods, "succeeds", "Running").await;
    let node = pods.get("succeeds").await.unwrap().spec.unwrap().node_name.unwrap();
    assert!(node.starts_with("kata-"), "{node}");
    reaches(&pods, "succeeds", "Succeeded").await;
}

#[tokio::test]
async fn the_launcher_cannot_delete_a_pod_and_the_reaper_cannot_create_one() {
    let control_plane = shared().await;
    let launcher = pods(control_plane, ClusterUser::Launcher, ControlPlane::NAMESPACE);
    let reaper = pods(control_plane, ClusterUser::Reaper, ControlPlane::NAMESPACE);
    let error = reaper.create(&PostParams::default(), &pod("refused", "1s")).await.unwrap_err();
    assert!(refusal(error).contains("User \"reaper\" cannot create resource \"pods\""));
    launcher.create(&PostParams::default(), &pod("kept", "60s")).await.unwrap();
    let error = launcher.delete("kept", &DeleteParams::default()).await.unwrap_err();
    assert!(refusal(error).contains("User \"launcher\" cannot delete resource \"pods\""));
    reaper.delete("kept", &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn a_further_namespace_has_the_same_permissions() {
    let control_plane = shared().await;
    control_plane.create_namespace("further").await.unwrap();
    control_plane.create_namespace("further").await.unwrap();
    let launcher = pods(control_plane, ClusterUser::Launcher, "further");
    launcher.create(&PostParams::default(), &pod("elsewhere", "1s")).await.unwrap();
    let error = launcher.delete("elsewhere", &DeleteParams::default()).await.unwrap_err();
    assert!(refusal(error).contains("cannot delete"));
    let reaper = pods(control_plane, ClusterUser::Reaper, "further");
    assert_eq!(reaper.list(&ListParams::default()).await.unwrap().items.len(), 1);
    let error = control_plane.create_namespace("Not a name").await.unwrap_err();
    assert!(error.to_string().contains("Not a name"), "{error}");
}

#[tokio::test]
async fn a_kubeconfig_is_readable_only_by_its_owner() {
    for user in [ClusterUser::Admin, ClusterUser::Launcher, ClusterUser::Reaper] {
        let file = shared().await.kubeconfig(user);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn every_server_may_be_killed_and_no_pod_is_forgotten() {
    let own = start().await;
    let control_plane = own.control_plane().unwrap();
    let url = control_plane.url();
    let launcher = pods(control_plane, ClusterUser::Launcher, ControlPlane::NAMESPACE);
    launcher.create(&PostParams::default(), &pod("before", "2s")).await.unwrap();
    let servers = [control_plane.etcd(), control_plane.apiserver(), control_plane.scheduler(), control_plane.kwok()];
    for server in servers {
        server.kill().await;
        assert!(server.exited().is_some());
    }
    for server in servers {
        server.restart().await.unwrap();
    }
    assert_eq!(url, control_plane.url());
    let launcher = pods(control_plane, ClusterUser::Launcher, ControlPlane::NAMESPACE);
    launcher.create(&PostParams::default(), &pod("after", "100ms")).await.unwrap();
    reaches(&launcher, "before", "Succeeded").await;
    reaches(&launcher, "after", "Succeeded").await;
    let folder = own.folder().to_owned();
    own.stop().await;
    assert!(!folder.exists());
}
