//! What the tests share: a control plane, an executor on it, builds, and waiting for what is to come.

use std::{future::Future, path::Path, time::Duration};

use futures::{StreamExt as _, stream::BoxStream};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use switchyard_dev::{ClusterUser, ControlPlane, Tool, Tools};
use switchyard_events::{BuildKey, BuildSpec, Limits, Step, TimeLimit};
use switchyard_executor::{Executor as _, Kubernetes, Launch, Observed, Phase, Seen, Unreachable};
use switchyard_fleet::{Executor, Fleet};
use tempfile::TempDir;
use tokio::{sync::OnceCell, time::timeout};

/// What happens within a few seconds alone, on a busy machine.
const SOON: Duration = Duration::from_mins(1);

/// One executor in a namespace of its own, spoken to as launcher and as reaper.
pub(crate) struct Yard {
    pub(crate) launcher: Kubernetes,
    pub(crate) reaper: Kubernetes,
    pub(crate) pods: Api<Pod>,
}

impl Yard {
    pub(crate) async fn new(namespace: &str) -> Self {
        plane().await.create_namespace(namespace).await.unwrap();
        Self::on(plane().await, namespace).await
    }

    pub(crate) async fn on(plane: &ControlPlane, namespace: &str) -> Self {
        let options = "runtimeClass: kata, nodeSelectors: {dedicated: screwdriver-kata}";
        Self {
            launcher: connect(&executor(plane, ClusterUser::Launcher, namespace, options)).await,
            reaper: connect(&executor(plane, ClusterUser::Reaper, namespace, options)).await,
            pods: Api::namespaced(plane.client(ClusterUser::Admin).unwrap(), namespace),
        }
    }

    pub(crate) async fn look(&self, launch: &Launch) -> Option<Observed> {
        self.reaper.look(&launch.build, launch.attempt).await.unwrap()
    }

    pub(crate) async fn until(&self, launch: &Launch, reached: impl Fn(&Observed) -> bool) -> Observed {
        let found = async {
            loop {
                match self.look(launch).await {
                    Some(seen) if reached(&seen) => return seen,
                    _ => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        timeout(SOON, found).await.expect("the pod gets there")
    }

    pub(crate) async fn run(&self, launch: &Launch) -> String {
        let uid = self.launcher.create(launch).await.unwrap();
        self.launcher.ungate(&launch.build, launch.attempt, &uid).await.unwrap();
        self.until(launch, |seen| seen.phase == Phase::Running).await;
        uid
    }

    pub(crate) async fn gone(&self, launch: &Launch) {
        let gone = async {
            while self.look(launch).await.is_some() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(SOON, gone).await.expect("the pod goes");
    }
}

/// The control plane of every test that does not harm it.
pub(crate) async fn plane() -> &'static ControlPlane {
    static PLANE: OnceCell<(ControlPlane, TempDir)> = OnceCell::const_new();
    let started = PLANE.get_or_init(|| async {
        let folder = tempfile::tempdir().unwrap();
        (start(&folder).await, folder)
    });
    &started.await.0
}

pub(crate) async fn start(folder: &TempDir) -> ControlPlane {
    let tools = Tools::ready(&[Tool::Etcd, Tool::KubeApiserver, Tool::KubeScheduler, Tool::Kwok]).await.unwrap();
    ControlPlane::start(&tools, folder.path()).await.unwrap()
}

pub(crate) fn executor(plane: &ControlPlane, user: ClusterUser, namespace: &str, options: &str) -> Executor {
    with_kubeconfig(&plane.kubeconfig(user), namespace, options)
}

pub(crate) fn with_kubeconfig(kubeconfig: &Path, namespace: &str, options: &str) -> Executor {
    let yaml = format!(
        "version: 1\nexecutor: {{plugin: k8s, k8s: {{options: {{kubernetes: {{{options}}}}}}}}}\n\
         executors: {{k8s: {{kubeconfig: '{}', namespace: {namespace}}}}}\n",
        kubeconfig.display()
    );
    Fleet::parse(&yaml).unwrap().default_executor().clone()
}

pub(crate) async fn connect(executor: &Executor) -> Kubernetes {
    Kubernetes::connect(executor).await.unwrap()
}

/// The first attempt of a build that runs for a moment and succeeds.
pub(crate) fn launch(n: u32) -> Launch {
    Launch {
        build: BuildKey::of("/ci", "build", &n.to_string()),
        attempt: 1,
        again: false,
        token: None,
        executor: "k8s".to_owned(),
        tenant: "default".to_owned(),
        pipeline: None,
        job: Some("main".to_owned()),
        source: "/ci".to_owned(),
        subject: "build".to_owned(),
        spec: BuildSpec {
            image: "node:20".to_owned(),
            steps: vec![Step { name: "test".to_owned(), run: "npm test".to_owned(), always: false }],
            ..BuildSpec::default()
        },
        annotations: steered(&[("run-for", "200ms")]),
        limits: Limits {
            reroute_after: None,
            queued: TimeLimit::minutes(10),
            pending: TimeLimit::minutes(2),
            running: TimeLimit::minutes(90),
            running_max: TimeLimit::minutes(120),
            teardown: TimeLimit::seconds(30),
            grace: TimeLimit::seconds(10),
            linger: TimeLimit::seconds(2),
        },
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
    }
}

/// One that runs until it is told to end.
pub(crate) fn lasting(n: u32) -> Launch {
    Launch { annotations: steered(&[("run-for", "10m")]), ..launch(n) }
}

pub(crate) fn steered(annotations: &[(&str, &str)]) -> Vec<(String, String)> {
    annotations.iter().map(|(key, value)| (format!("dev.switchyard/{key}"), (*value).to_owned())).collect()
}

pub(crate) fn name(launch: &Launch) -> String {
    format!("b-{}-{}", launch.build, launch.attempt)
}

pub(crate) type Watch = BoxStream<'static, Result<Seen, Unreachable>>;

/// The next thing that is seen, whatever could not be heard before it.
pub(crate) async fn next(watch: &mut Watch) -> Seen {
    let seen = async {
        loop {
            if let Ok(seen) = watch.next().await.expect("a watch never ends") {
                return seen;
            }
        }
    };
    timeout(SOON, seen).await.expect("something is seen")
}

pub(crate) async fn unheard(watch: &mut Watch) -> Unreachable {
    let error = async {
        loop {
            if let Err(error) = watch.next().await.expect("a watch never ends") {
                return error;
            }
        }
    };
    timeout(SOON, error).await.expect("the watch says that nothing is heard")
}

pub(crate) fn present(seen: Seen) -> Observed {
    match seen {
        Seen::Present(observed) => *observed,
        Seen::Gone { .. } | Seen::Synced => panic!("{seen:?} instead of a pod"),
    }
}

/// Asks again until the API server, just restarted, takes it.
pub(crate) async fn retried<F: Future<Output = Result<(), Unreachable>>>(ask: impl Fn() -> F) {
    let taken = async {
        while ask().await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(SOON, taken).await.expect("the API server takes it");
}
