//! A whole installation for one test: real servers, the real binary, builds published as a CI system would.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::{Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    runtime::watcher::{self, Event},
};
use switchyard_bus::{Bus, Events as _};
use switchyard_dev::{ClusterUser, ControlPlane, Services, ServicesOptions, Stack, StackOptions};
use switchyard_events::{BuildFinished, BuildKey, CancelRequested, CdEvent, Outcome, Outgoing, Record, ci, custom_data};
use tokio::{io::AsyncWriteExt as _, process::Command, task::JoinHandle, time::Instant};

pub(crate) const FLEET: &str = "
version: 1
executor:
  plugin: k8s
  k8s: {weightage: 50, exclusion: ['rhel6'], options: {kubernetes: {runtimeClass: kata, jobsNamespace: builds, terminationGracePeriodSeconds: 1}}}
  k8s-vm: {weightage: 50, options: {kubernetes: {runtimeClass: kata, jobsNamespace: builds, terminationGracePeriodSeconds: 1}}}
clocks: {queued: 10m, pending: 2m, teardown: 10s, grace: 10s, linger: 0s}
tenants: {default: {annotations: ['dev.switchyard/*']}}
";

/// Made for tests, known to everybody.
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../launcher/src/screwdriver-test-key.pem");

/// Everything, running.
pub(crate) struct Yard {
    pub(crate) stack: Stack,
    pub(crate) services: Services,
    pub(crate) bus: Bus,
    pods: Arc<Mutex<Ran>>,
    watching: JoinHandle<()>,
}

/// Which pods of each name ever ran.
#[derive(Default)]
pub(crate) struct Ran {
    pub(crate) ran: BTreeMap<String, BTreeSet<String>>,
}

impl Yard {
    pub(crate) async fn start(jaeger: bool, replicas: usize) -> Self {
        Self::of(FLEET, &["k8s", "k8s-vm"], jaeger, replicas).await
    }

    /// An installation with this fleet file and these executors in it.
    pub(crate) async fn of(fleet_file: &str, executors: &[&str], jaeger: bool, replicas: usize) -> Self {
        let executors: Vec<_> = executors.iter().map(|&name| name.to_owned()).collect();
        let options = StackOptions {
            executors: executors.clone(),
            tenants: vec!["acme".into()],
            jaeger,
            control_plane: true,
            nats_servers: 1,
        };
        let stack = Stack::start(&options).await.unwrap();
        let fleet = stack.folder().join("fleet.yaml");
        std::fs::write(&fleet, fleet_file).unwrap();
        let environment = vec![
            ("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "200".to_owned()),
            ("SWITCHYARD_SWEEP_SECONDS".to_owned(), "5".to_owned()),
            ("SWITCHYARD_ORPHAN".to_owned(), "5s".to_owned()),
            ("SWITCHYARD_SCREWDRIVER_KEY".to_owned(), KEY.to_owned()),
        ];
        let options = ServicesOptions { program: program(), fleet, executors, replicas, environment };
        let services = Services::start(&stack, &options).await.unwrap();
        let bus = Bus::new(stack.nats().connect("loadtest").await.unwrap());
        let pods = Arc::default();
        let watching = tokio::spawn(watch(stack.control_plane().unwrap().client(ClusterUser::Admin).unwrap(), Arc::clone(&pods)));
        Self { stack, services, bus, pods, watching }
    }

    /// Publishes a build and answers its key.
    pub(crate) async fn publish(&self, id: &str, build: serde_json::Value) -> BuildKey {
        publish(&self.bus, id, build).await
    }

    /// The record of a build, once it satisfies a condition.
    pub(crate) async fn record(&self, build: &BuildKey, what: &str, is: impl Fn(&Record) -> bool) -> Record {
        use switchyard_bus::Ledger as _;
        until(what, Duration::from_mins(1), async || {
            self.bus.read(build).await.ok().flatten().map(|(record, _)| record).filter(|record| is(record))
        })
        .await
    }

    /// Waits until every build has ended and nothing is left, then holds the invariants against what was seen.
    pub(crate) async fn audit(&self, builds: &[BuildKey], patience: Duration) -> Vec<(BuildKey, Record)> {
        let records = until("every build has ended", patience, async || {
            let records = self.bus.records().await.ok()?;
            let closed = records.iter().filter(|(build, record)| builds.contains(build) && record.is_closed()).count();
            (closed == builds.len()).then_some(records)
        })
        .await;
        until("no pod and no finalizer is left", patience, async || {
            self.api().list(&kube::api::ListParams::default()).await.ok()?.items.is_empty().then_some(())
        })
        .await;
        let finished = self.finished().await;
        let ran = self.pods.lock().unwrap();
        for (build, record) in &records {
            for attempt in &record.attempts {
                let times = finished.iter().filter(|end| end.build == *build && end.attempt == attempt.n).count();
                assert_eq!(times, 1, "build {build} attempt {} has {times} finished events", attempt.n);
                let name = format!("b-{build}-{}", attempt.n);
                let uids = ran.ran.get(&name).map_or(0, BTreeSet::len);
                assert!(uids <= 1, "{uids} pods named {name} ran");
                let bound = attempt.bound.as_ref().map(|bound| bound.uid.as_str());
                let succeeded = attempt.decided.as_ref().is_some_and(|end| end.outcome == Outcome::Success);
                assert!(bound.is_some() || !succeeded, "build {build} succeeded without a pod");
                let other = ran.ran.get(&name).into_iter().flatten().find(|uid| Some(uid.as_str()) != bound);
                assert_eq!(other, None, "a pod named {name} ran that the ledger never bound");
            }
        }
        records
    }

    /// Every finished event that is stored.
    pub(crate) async fn finished(&self) -> Vec<BuildFinished> {
        finished(&self.bus).await
    }

    /// The pods in the builds' namespace, as an administrator.
    pub(crate) fn api(&self) -> Api<Pod> {
        let cluster = self.stack.control_plane().unwrap();
        Api::namespaced(cluster.client(ClusterUser::Admin).unwrap(), ControlPlane::NAMESPACE)
    }

    /// Has what still runs stopped, sees that no pod and no finalizer is left of any test, and ends the services with SIGTERM, then
    /// the servers.
    pub(crate) async fn stop(self) {
        for (build, record) in self.bus.records().await.unwrap().into_iter().filter(|(_, record)| !record.is_closed()) {
            let cancel = CancelRequested { build: build.clone() };
            let cancel = cancel.outgoing(&record.tenant, &format!("stop-{build}"), Timestamp::now(), None).unwrap();
            self.bus.publish(cancel).await.unwrap();
        }
        until("no pod and no finalizer is left", Duration::from_mins(1), async || {
            self.api().list(&kube::api::ListParams::default()).await.ok()?.items.is_empty().then_some(())
        })
        .await;
        self.watching.abort();
        let stubborn = self.services.stop().await;
        assert!(stubborn.is_empty(), "did not end by themselves with 0: {stubborn:?}");
        self.stack.stop().await;
    }
}

async fn watch(client: kube::Client, pods: Arc<Mutex<Ran>>) {
    let api: Api<Pod> = Api::namespaced(client, ControlPlane::NAMESPACE);
    let mut events = kube::runtime::watcher(api, watcher::Config::default()).boxed();
    loop {
        match events.try_next().await {
            Ok(Some(Event::Apply(pod) | Event::InitApply(pod))) => {
                let mut pods = pods.lock().unwrap();
                let phase = pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
                if phase != "Pending" && pod.status.as_ref().is_some_and(|status| status.container_statuses.is_some()) {
                    pods.ran.entry(pod.name_any()).or_default().insert(pod.uid().unwrap());
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Publishes a build and answers its key.
pub(crate) async fn publish(bus: &Bus, id: &str, build: serde_json::Value) -> BuildKey {
    let event = CdEvent::new("dev.cdevents.build.queued.0.3.0", id, "/ci/test", Timestamp::now(), id);
    let event = event.custom_data(&serde_json::json!({"build": build})).unwrap().to_cloudevent().unwrap();
    let outgoing = Outgoing { subject: ci("default", "dev.cdevents.build.queued.0.3.0"), event, once: false };
    until("the event is stored", Duration::from_mins(1), async || bus.publish(outgoing.clone()).await.ok()).await;
    BuildKey::of("/ci/test", id, id)
}

/// Every finished event that is stored.
pub(crate) async fn finished(bus: &Bus) -> Vec<BuildFinished> {
    let stream = bus.jetstream().get_stream("YARD").await.unwrap();
    let mut found = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let Ok(Some(delivery)) = bus.fetch("YARD", sequence).await else { continue };
        if delivery.subject.contains(".finished.") {
            found.push(custom_data(&delivery.cdevent().unwrap()).unwrap());
        }
    }
    found
}

pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_switchyard"))
}

/// Awaits a condition; fails when it does not come in time.
pub(crate) async fn until<T>(what: &str, patience: Duration, look: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// How long a tool may take on a machine that is busy.
const TOOL_PATIENCE: Duration = Duration::from_mins(2);

/// What a tool does on a stack, with this on its standard input.
pub(crate) async fn tool(stack: &Stack, arguments: &[&str], stdin: &str) -> Output {
    let credentials = stack.nats().credentials("cli").unwrap();
    let mut command = Command::new(program());
    command.args(arguments).env("NATS_URL", stack.nats().url());
    command.env("NATS_USER", &credentials.user).env("NATS_PASSWORD", &credentials.password);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).await.unwrap();
    tokio::time::timeout(TOOL_PATIENCE, child.wait_with_output()).await.expect("it ends by itself").unwrap()
}

/// What a tool says that does its work.
pub(crate) async fn says(stack: &Stack, arguments: &[&str], stdin: &str) -> String {
    let Output { status, stdout, stderr } = tool(stack, arguments, stdin).await;
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// What a tool complains of that does not.
pub(crate) async fn fails(stack: &Stack, arguments: &[&str], stdin: &str) -> String {
    let Output { status, stderr, .. } = tool(stack, arguments, stdin).await;
    assert!(!status.success(), "{arguments:?}");
    String::from_utf8(stderr).unwrap()
}
