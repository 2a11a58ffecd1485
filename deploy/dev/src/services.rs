//! The services of Switchyard as child processes over a stack, each under its own NATS user and its own Kubernetes user.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::launch::Launch;
use crate::ready::Ready;
use crate::server::Server;
use crate::{ClusterUser, Process, Stack, StartError, port};

/// Which services to start, and how.
#[derive(Clone, Debug)]
pub struct ServicesOptions {
    /// The `switchyard` program.
    pub program: PathBuf,
    /// The fleet file.
    pub fleet: PathBuf,
    /// The executors in it: each gets launchers and reapers.
    pub executors: Vec<String>,
    /// How many of each service.
    pub replicas: usize,
    /// Further environment variables of all of them.
    pub environment: Vec<(String, String)>,
}

/// The running services.
#[derive(Debug)]
pub struct Services {
    running: Vec<(String, Server)>,
}

/// One service to start: its name, its subcommand, its users.
struct Plan {
    name: String,
    command: &'static str,
    executor: Option<String>,
    cluster: Option<ClusterUser>,
}

const STOP_WITHIN: Duration = Duration::from_secs(25);

impl Services {
    /// Provisions the broker, then starts every service and waits until each is ready.
    ///
    /// # Errors
    /// When provisioning fails or a service does not become ready; the end of its log is in the error.
    pub async fn start(stack: &Stack, options: &ServicesOptions) -> Result<Self, StartError> {
        provision(stack, options).await?;
        let starts = plans(options).into_iter().map(async |plan| {
            let port = port::free()?;
            let launch = launch(stack, options, &plan, Some(port))?;
            let ready = Ready::Http(format!("http://127.0.0.1:{port}/readyz"));
            Ok::<_, StartError>((plan.name, Server::start(launch, ready).await?))
        });
        Ok(Self { running: futures::future::try_join_all(starts).await? })
    }

    /// All of them, by name: `router-0`, `launcher-k8s-0`, `reaper-k8s-0` …
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Server)> {
        self.running.iter().map(|(name, server)| (name.as_str(), server))
    }

    /// The service of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Server> {
        self.iter().find(|(other, _)| *other == name).map(|(_, server)| server)
    }

    /// Asks all to end and waits for them; answers the names of those that did not end by themselves with 0.
    pub async fn stop(&self) -> Vec<String> {
        let stops = self.running.iter().map(async |(name, server)| (name, server.stop(STOP_WITHIN).await));
        let ends = futures::future::join_all(stops).await;
        ends.into_iter().filter(|(_, exit)| exit.code != Some(0)).map(|(name, _)| name.clone()).collect()
    }
}

async fn provision(stack: &Stack, options: &ServicesOptions) -> Result<(), StartError> {
    let plan = Plan { name: "provision".into(), command: "provision", executor: None, cluster: None };
    let process = Process::start(&launch(stack, options, &plan, None)?).await?;
    let exit = process.wait().await;
    if exit.code == Some(0) { Ok(()) } else { Err(StartError::Exited { name: plan.name, exit, log: process.log_tail() }) }
}

fn plans(options: &ServicesOptions) -> Vec<Plan> {
    let mut plans = Vec::new();
    for n in 0..options.replicas {
        plans.push(Plan { name: format!("router-{n}"), command: "router", executor: None, cluster: None });
        plans.push(Plan { name: format!("trainer-{n}"), command: "trainer", executor: None, cluster: None });
        for executor in &options.executors {
            for (command, cluster) in [("launcher", ClusterUser::Launcher), ("reaper", ClusterUser::Reaper)] {
                let name = format!("{command}-{executor}-{n}");
                plans.push(Plan { name, command, executor: Some(executor.clone()), cluster: Some(cluster) });
            }
        }
    }
    plans
}

fn launch(stack: &Stack, options: &ServicesOptions, plan: &Plan, port: Option<u16>) -> Result<Launch, StartError> {
    let credentials = stack.nats().credentials(plan.command).map_err(|error| StartError::Name(error.to_string()))?;
    let listen = port.map_or_else(|| "off".to_owned(), |port| format!("127.0.0.1:{port}"));
    let mut launch = Launch::new(&plan.name, &options.program, stack.folder())
        .arguments([plan.command])
        .variable("NATS_URL", stack.nats().url())
        .variable("NATS_USER", &credentials.user)
        .variable("NATS_PASSWORD", &credentials.password)
        .variable("SWITCHYARD_CONFIG", &options.fleet)
        .variable("SWITCHYARD_LISTEN", listen);
    if let Some(executor) = &plan.executor {
        launch = launch.variable("SWITCHYARD_EXECUTOR", executor);
    }
    if let Some(kubeconfig) = plan.cluster.and_then(|user| Some(stack.control_plane()?.kubeconfig(user))) {
        launch = launch.variable("KUBECONFIG", OsString::from(kubeconfig));
    }
    if let Some(jaeger) = stack.jaeger() {
        launch = launch.variable("OTEL_EXPORTER_OTLP_ENDPOINT", jaeger.otlp_url());
    }
    Ok(options.environment.iter().fold(launch, |launch, (name, value)| launch.variable(name, value)))
}
