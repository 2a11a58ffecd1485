//! What a service says when something that it needs is missing or wrong: one clear line.

use std::{path::Path, process::Stdio, time::Duration};

use switchyard_dev::{Nats, NatsOptions, Tool, Tools};
use tokio::process::Command;

use crate::yard::{FLEET, program};

struct Broker {
    nats: Nats,
    folder: tempfile::TempDir,
}

async fn broker() -> Broker {
    let folder = tempfile::tempdir().unwrap();
    let tools = Tools::ready(&[Tool::NatsServer]).await.unwrap();
    let options = NatsOptions { executors: vec!["k8s".into(), "k8s-vm".into()], ..NatsOptions::new(folder.path().join("nats")) };
    let nats = Nats::start(&tools, &options).await.unwrap();
    std::fs::write(folder.path().join("fleet.yaml"), FLEET).unwrap();
    Broker { nats, folder }
}

fn service(broker: &Broker, user: &str, arguments: &[&str]) -> Command {
    let credentials = broker.nats.credentials(user).unwrap();
    let mut command = Command::new(program());
    command
        .args(arguments)
        .env("NATS_URL", broker.nats.url())
        .env("NATS_USER", &credentials.user)
        .env("NATS_PASSWORD", &credentials.password)
        .env("SWITCHYARD_CONFIG", broker.folder.path().join("fleet.yaml"))
        .env("SWITCHYARD_LISTEN", "off")
        .env_remove("KUBECONFIG")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What it says until it ends, which must be soon and not well.
async fn fails(mut command: Command) -> String {
    let output = tokio::time::timeout(Duration::from_secs(30), command.output()).await.expect("it ends by itself").unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{said}");
    said.lines().last().unwrap().to_owned()
}

/// What it says until a line holds `text`.
async fn says(mut command: Command, text: &str) {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let found = tokio::time::timeout(Duration::from_secs(30), async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(text) {
                return true;
            }
        }
        false
    });
    assert!(found.await.unwrap_or(false), "it never said {text:?}");
    assert_eq!(child.try_wait().unwrap(), None, "waiting is right, so it goes on");
    child.kill().await.unwrap();
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_one_clear_line_and_a_failure() {
    let broker = broker().await;
    let said = fails(service(&broker, "router", &["router", "--config", "/nowhere/fleet.yaml"])).await;
    assert!(said.contains("/nowhere/fleet.yaml") && said.contains("No such file"), "{said}");

    let wrong = write(broker.folder.path(), "wrong.yaml", &FLEET.replace("weightage: 50, exclusion", "weigthage: 50, exclusion"));
    let said = fails(service(&broker, "router", &["router", "--config", &wrong])).await;
    assert!(said.contains("wrong.yaml") && said.contains("weigthage") && said.contains("weightage"), "{said}");

    let said = fails(service(&broker, "launcher", &["launcher", "--executor", "nope"])).await;
    assert!(said.contains("no executor \"nope\"; there are k8s, k8s-vm"), "{said}");

    let garbage = write(broker.folder.path(), "kubeconfig", "not: a kubeconfig");
    let mut launcher = service(&broker, "launcher", &["launcher", "--executor", "k8s"]);
    launcher.env("KUBECONFIG", &garbage);
    let said = fails(launcher).await;
    assert!(said.contains("executor k8s"), "{said}");

    let mut router = service(&broker, "router", &["router"]);
    router.env("NATS_PASSWORD", "wrong");
    let said = fails(router).await;
    assert!(said.to_lowercase().contains("authorization") && !said.contains("wrong"), "{said}");
    broker.nats.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_is_provisioned_without_a_fleet_by_the_one_that_is_applied_and_by_a_file() {
    let broker = broker().await;
    let consumers = async || {
        let js = async_nats::jetstream::new(broker.nats.connect("provision").await.unwrap());
        let stream = js.get_stream("YARD").await.unwrap();
        let names: Vec<_> = futures::TryStreamExt::try_collect(stream.consumer_names()).await.unwrap();
        names.into_iter().filter(|name: &String| name.starts_with("launcher-")).collect::<std::collections::BTreeSet<_>>()
    };
    let provision = async || {
        let mut provision = service(&broker, "provision", &["provision"]);
        let output = provision.env_remove("SWITCHYARD_CONFIG").output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    };
    assert!(provision().await.contains("no fleet is applied, so no executor has its consumers"));
    assert!(consumers().await.is_empty());
    assert!(service(&broker, "provision", &["provision"]).output().await.unwrap().status.success());
    let both = ["launcher-k8s", "launcher-k8s-vm"].map(str::to_owned).into();
    assert_eq!(consumers().await, both);
    let fleet = broker.folder.path().join("fleet.yaml").display().to_string();
    let mut apply = service(&broker, "cli", &["config", "apply", &fleet]);
    assert!(apply.output().await.unwrap().status.success());
    let js = async_nats::jetstream::new(broker.nats.connect("provision").await.unwrap());
    js.get_stream("YARD").await.unwrap().delete_consumer("launcher-k8s").await.unwrap();
    assert!(!provision().await.contains("no fleet is applied"));
    assert_eq!(consumers().await, both);
    broker.nats.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_come_is_waited_for_with_a_clear_line() {
    let broker = broker().await;
    says(service(&broker, "router", &["router"]), "waiting for what `switchyard provision` makes").await;
    broker.nats.stop().await;
    says(service(&broker, "router", &["router"]), "waiting for NATS").await;
}

/// In a cluster whose leader is being chosen, a bucket may not answer although the consumers did.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_does_not_answer_is_waited_for() {
    let broker = broker().await;
    assert!(service(&broker, "provision", &["provision"]).output().await.unwrap().status.success());
    let js = async_nats::jetstream::new(broker.nats.connect("provision").await.unwrap());
    js.delete_key_value("config").await.unwrap();
    let fleet = broker.folder.path().join("fleet.yaml").display().to_string();
    for (user, arguments) in [("trainer", vec!["trainer"]), ("router", vec!["router", "--config", &fleet])] {
        says(service(&broker, user, &arguments), "waiting for what `switchyard provision` makes error=\"bucket config").await;
    }
    broker.nats.stop().await;
}
