//! A Kubernetes control plane whose nodes and pods are simulated: etcd, kube-apiserver, kube-scheduler and kwok.
//!
//! Admission, RBAC, scheduling and the API are the real ones. No controller-manager runs: nothing makes service accounts, counts
//! quotas or takes taints off nodes. Which annotations steer a simulated pod stands at the top of `kwok/stages-pod.yaml`.

pub(crate) mod access;
mod manifests;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Client;
use serde_json::json;

use access::Access;
pub use access::ClusterUser;

use crate::error::checked;
use crate::launch::Launch;
use crate::ready::Ready;
use crate::server::Server;
use crate::tools::{Tool, Tools};
use crate::{StartError, port};

const KWOK_OPTIONS: &str = include_str!("../kwok/config.yaml");
const KWOK_PODS: &str = include_str!("../kwok/stages-pod.yaml");
/// What the builds of simulated nodes have said, if anything: the lines of one file.
const KWOK_LOGS: &str = "
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterLogs
metadata: {name: said}
spec: {logs: [{logsFile: said.log}]}
";
/// The API server would wait a minute for clients that stay connected.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// A running control plane.
#[derive(Debug)]
pub struct ControlPlane {
    // In the order in which they are dropped.
    kwok: Server,
    scheduler: Server,
    apiserver: Server,
    etcd: Server,
    access: Access,
    folder: PathBuf,
}

impl ControlPlane {
    /// The namespace of builds that is there from the start.
    pub const NAMESPACE: &str = "builds";

    /// Starts the four servers in `folder`, and waits until the nodes are ready.
    ///
    /// # Errors
    /// When a file cannot be written, a server does not become ready, or a manifest is refused.
    pub async fn start(tools: &Tools, folder: &Path) -> Result<Self, StartError> {
        let folder = std::path::absolute(folder).map_err(StartError::file(folder))?;
        fs::create_dir_all(&folder).map_err(StartError::file(&folder))?;
        let (etcd, etcd_url) = etcd(tools, &folder).await?;
        let access = Access::new(&folder, port::free()?)?;
        let apiserver = apiserver(tools, &folder, &access, &etcd_url).await?;
        access.write_kubeconfigs()?;
        manifests::apply_cluster(&access.client(ClusterUser::Admin)?).await?;
        let admin = access.kubeconfig(ClusterUser::Admin);
        let (scheduler, kwok, namespace) = tokio::join!(
            scheduler(tools, &folder, &admin),
            kwok(tools, &folder, &admin),
            manifests::apply_namespace(access.client(ClusterUser::Admin)?, Self::NAMESPACE),
        );
        namespace?;
        Ok(Self { kwok: kwok?, scheduler: scheduler?, apiserver, etcd, access, folder })
    }

    /// Makes a further namespace with the same permissions for launcher and reaper; does nothing if it is there.
    ///
    /// # Errors
    /// When the name is not plain or the API server refuses.
    pub async fn create_namespace(&self, name: &str) -> Result<(), StartError> {
        manifests::apply_namespace(self.client(ClusterUser::Admin)?, checked(name)?).await
    }

    /// `https://127.0.0.1:<port>`, the same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        self.access.url()
    }

    /// The kubeconfig file of a user, readable only by its owner and complete in itself.
    #[must_use]
    pub fn kubeconfig(&self, user: ClusterUser) -> PathBuf {
        self.access.kubeconfig(user)
    }

    /// A client of a user, bound to the runtime that it is made in.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub fn client(&self, user: ClusterUser) -> Result<Client, StartError> {
        self.access.client(user)
    }

    /// The API server: to be killed, frozen, restarted.
    #[must_use]
    pub fn apiserver(&self) -> &Server {
        &self.apiserver
    }

    /// etcd. While it is away the API server hangs rather than fails.
    #[must_use]
    pub fn etcd(&self) -> &Server {
        &self.etcd
    }

    /// The scheduler: while it is stopped, pods stay Pending.
    #[must_use]
    pub fn scheduler(&self) -> &Server {
        &self.scheduler
    }

    /// kwok: while it is stopped, nothing happens on any node.
    #[must_use]
    pub fn kwok(&self) -> &Server {
        &self.kwok
    }

    /// Has every build of a simulated node say this, from now on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn have_said(&self, text: &str) -> Result<(), StartError> {
        said(&self.folder, text)
    }

    /// Stops everything, etcd last. The folder stays.
    pub async fn stop(&self) {
        tokio::join!(self.kwok.stop(STOP_WITHIN), self.scheduler.stop(STOP_WITHIN));
        self.apiserver.stop(STOP_WITHIN).await;
        self.etcd.stop(STOP_WITHIN).await;
    }
}

async fn etcd(tools: &Tools, folder: &Path) -> Result<(Server, String), StartError> {
    let client = format!("http://127.0.0.1:{}", port::free()?);
    let peer = format!("http://127.0.0.1:{}", port::free()?);
    let launch = Launch::new("etcd", tools.path(Tool::Etcd), folder)
        // Safe against the death of the process, which is what tests do; not against power loss.
        .arguments(["--unsafe-no-fsync", "--log-level=warn", "--data-dir=etcd"])
        .arguments([format!("--listen-client-urls={client}"), format!("--advertise-client-urls={client}")])
        .arguments([format!("--listen-peer-urls={peer}"), format!("--initial-advertise-peer-urls={peer}")])
        .arguments([format!("--initial-cluster=default={peer}")]);
    let ready = Ready::Http(format!("{client}/readyz"));
    Ok((Server::start(launch, ready).await?, client))
}

async fn apiserver(tools: &Tools, folder: &Path, access: &Access, etcd: &str) -> Result<Server, StartError> {
    let launch = Launch::new("kube-apiserver", tools.path(Tool::KubeApiserver), folder)
        .arguments([format!("--etcd-servers={etcd}")])
        .arguments(access.flags())
        .arguments(["--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24", "--profiling=false", "--v=1"])
        // As every cluster has it; whether a pod may is another question.
        .arguments(["--allow-privileged=true"])
        // No controller-manager runs that would make service accounts or take the not-ready taint off.
        .arguments(["--disable-admission-plugins=ServiceAccount,TaintNodesByCondition"]);
    Server::start(launch, Ready::Https { server: access.url(), path: "/readyz" }).await
}

async fn scheduler(tools: &Tools, folder: &Path, kubeconfig: &Path) -> Result<Server, StartError> {
    let port = port::free()?;
    let settings = json!({
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": { "kubeconfig": kubeconfig, "qps": 2000, "burst": 4000 },
        "leaderElection": { "leaderElect": false },
        "podInitialBackoffSeconds": 1,
        "podMaxBackoffSeconds": 2,
    });
    let file = folder.join("scheduler.json");
    fs::write(&file, settings.to_string()).map_err(StartError::file(&file))?;
    let launch = Launch::new("kube-scheduler", tools.path(Tool::KubeScheduler), folder)
        .arguments(["--config=scheduler.json", "--bind-address=127.0.0.1", "--cert-dir=scheduler"])
        .arguments([format!("--secure-port={port}")]);
    Server::start(launch, Ready::Https { server: format!("https://127.0.0.1:{port}"), path: "/healthz" }).await
}

async fn kwok(tools: &Tools, folder: &Path, kubeconfig: &Path) -> Result<Server, StartError> {
    said(folder, "")?;
    for (name, text) in [("kwok.yaml", KWOK_OPTIONS), ("kwok-pods.yaml", KWOK_PODS), ("kwok-logs.yaml", KWOK_LOGS)] {
        fs::write(folder.join(name), text).map_err(StartError::file(folder.join(name)))?;
    }
    let launch = Launch::new("kwok", tools.path(Tool::Kwok), folder)
        .arguments(["--config=kwok.yaml", "--config=kwok-pods.yaml", "--config=kwok-logs.yaml"])
        // The API server asks the nodes for logs by TLS, and takes any certificate.
        .arguments(["--tls-cert-file=certificates/apiserver.crt", "--tls-private-key-file=certificates/apiserver.key"])
        .arguments([format!("--node-port={}", port::free()?)])
        .arguments(["--kubeconfig".as_ref(), kubeconfig.as_os_str()]);
    Server::start(launch, Ready::Nodes { kubeconfig: kubeconfig.to_owned() }).await
}

/// Writes what builds have said as a container runtime does: each line with its time.
fn said(folder: &Path, text: &str) -> Result<(), StartError> {
    let lines: Vec<_> = text.lines().map(|line| format!("2026-01-01T00:00:00.000000000Z stdout F {line}\n")).collect();
    let file = folder.join("said.log");
    fs::write(&file, lines.concat()).map_err(StartError::file(file))
}
