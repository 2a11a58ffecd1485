//! The installation that is harmed: real servers, the real binary, limits that are over soon.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use switchyard_bus::Bus;
use switchyard_dev::{ClusterUser, ControlPlane, Server, Services, ServicesOptions, Stack, StackOptions};

use super::Args;

/// Short limits: within the minutes that a run has, many of them must run out.
const FLEET: &str = "
version: 1
executor:
  plugin: k8s
  k8s: {weightage: 50, options: {kubernetes: &cluster {runtimeClass: kata, jobsNamespace: builds, terminationGracePeriodSeconds: 1, buildTimeout: 10s, maxBuildTimeout: 15s}}}
  k8s-vm: {weightage: 50, options: {kubernetes: *cluster}}
clocks: {queued: 3m, pending: 45s, teardown: 10s, grace: 10s, linger: 0s}
tenants: {default: {annotations: ['dev.switchyard/*']}}
";

/// The most that an attempt may live from its start to its end, while everything works: its limit, and the time to be torn down.
pub(crate) const LONGEST: Duration = Duration::from_secs(15 + 10 + 10);

pub(crate) struct Yard {
    pub(crate) stack: Stack,
    pub(crate) services: Services,
    pub(crate) bus: Bus,
}

impl Yard {
    pub(crate) async fn start(args: &Args) -> anyhow::Result<Self> {
        let program = program(args.program.as_deref())?;
        let executors = vec!["k8s".to_owned(), "k8s-vm".to_owned()];
        let nodes = usize::from(args.nodes);
        let options =
            StackOptions { executors: executors.clone(), control_plane: true, nats_servers: nodes, ..StackOptions::default() };
        let stack = Stack::start(&options).await?;
        let fleet = stack.folder().join("fleet.yaml");
        std::fs::write(&fleet, FLEET)?;
        let environment =
            vec![("SWITCHYARD_SWEEP_SECONDS".to_owned(), "10".to_owned()), ("SWITCHYARD_REPLICAS".to_owned(), nodes.to_string())];
        let replicas = usize::from(args.replicas);
        let services = Services::start(&stack, &ServicesOptions { program, fleet, executors, replicas, environment }).await?;
        let bus = Bus::new(stack.nats().connect("loadtest").await?);
        Ok(Self { stack, services, bus })
    }

    /// The servers that are not ours, by name.
    pub(crate) fn servers(&self) -> anyhow::Result<Vec<(String, &Server)>> {
        let cluster = self.cluster()?;
        let brokers = self.stack.nats().servers().iter().enumerate();
        let mut servers: Vec<_> = brokers.map(|(n, server)| (format!("nats-server-{n}"), server)).collect();
        servers.push(("etcd".to_owned(), cluster.etcd()));
        servers.push(("kube-apiserver".to_owned(), cluster.apiserver()));
        Ok(servers)
    }

    pub(crate) fn pods(&self) -> anyhow::Result<Api<Pod>> {
        Ok(Api::namespaced(self.cluster()?.client(ClusterUser::Admin)?, ControlPlane::NAMESPACE))
    }

    fn cluster(&self) -> anyhow::Result<&ControlPlane> {
        self.stack.control_plane().context("there is no control plane")
    }

    /// Leaves everything as it is, for those who look into it; answers where the logs are.
    pub(crate) fn keep(self) -> PathBuf {
        let from = self.stack.folder().to_owned();
        let to = std::env::temp_dir().join(format!("switchyard-chaos-{}", std::process::id()));
        // What cannot be copied is not worth another error: the first one is told.
        drop(copy_logs(&from, &to));
        to
    }

    pub(crate) async fn stop(self) {
        self.services.stop().await;
        self.stack.stop().await;
    }
}

fn copy_logs(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            std::fs::copy(&path, to.join(path.file_name().unwrap_or_default()))?;
        }
    }
    Ok(())
}

/// The program that is asked for, or the one beside this.
fn program(asked: Option<&Path>) -> anyhow::Result<PathBuf> {
    let program = match asked {
        Some(program) => program.to_owned(),
        None => std::env::current_exe()?.with_file_name("switchyard"),
    };
    ensure!(
        program.is_file(),
        "there is no {}; build it (cargo build --release -p switchyard) or name it with --program",
        program.display()
    );
    Ok(program)
}
