//! The subcommands that are services: each starts one, over the connection that the runtime gives it.
//!
//! What stands in files is read first: a wrong file is told at once, also where NATS cannot be reached.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use switchyard_bus::Bus;
use switchyard_executor::{Kubernetes, Place, Process};
use switchyard_fleet::{Executor, Fleet, Plugin};
use switchyard_launcher::{Launcher, ScrewdriverKey};
use switchyard_reaper::Reaper;
use switchyard_router::Router;
use switchyard_runtime::{Context, Settings, run};
use tracing::info;

/// Settings of a launcher.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LauncherArgs {
    /// The fleet file.
    #[arg(long, env = "SWITCHYARD_CONFIG", value_name = "FILE")]
    config: PathBuf,
    /// The executor on which it creates pods.
    #[arg(long, env = "SWITCHYARD_EXECUTOR", value_name = "NAME")]
    executor: String,
    #[command(flatten)]
    builds: Builds,
    /// How many builds it launches at once.
    #[arg(long, env = "SWITCHYARD_AT_ONCE", value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    at_once: u16,
    /// Screwdriver's private key in PEM, with which the tokens of its builds are made; without it none of them is launched.
    #[arg(long, env = "SWITCHYARD_SCREWDRIVER_KEY", value_name = "FILE")]
    screwdriver_key: Option<PathBuf>,
}

/// Settings of a reaper, and where its executor is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReaperArgs {
    #[command(flatten)]
    reaper: switchyard_reaper::Args,
    #[command(flatten)]
    builds: Builds,
}

/// Where builds are that are processes of this machine.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Builds {
    /// Where an executor of plugin `process` keeps its builds, unless the fleet file names a folder [default: the user's state folder].
    #[arg(long = "builds", env = "SWITCHYARD_BUILDS", value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
}

pub(crate) fn router(settings: &Settings, args: &switchyard_router::Args) -> ExitCode {
    let fleet = match fleet(&args.config) {
        Ok(fleet) => fleet,
        Err(error) => return failed(&error),
    };
    run("router", settings, |service| async move { Router::new(Bus::new(service.nats.clone()), fleet).run(service).await })
}

pub(crate) fn launcher(settings: &Settings, args: &LauncherArgs) -> ExitCode {
    let at_once = usize::from(args.at_once);
    let key = match args.screwdriver_key.as_deref().map(ScrewdriverKey::read).transpose() {
        Ok(key) => key,
        Err(error) => return failed(&anyhow::Error::new(error).context("--screwdriver-key")),
    };
    on_executor("launcher", settings, &args.config, &args.executor, &args.builds, async move |service, fleet, place| {
        Launcher::new(Bus::new(service.nats.clone()), place, Arc::new(fleet)).with_key(key).run(service, at_once).await
    })
}

pub(crate) fn reaper(settings: &Settings, args: &ReaperArgs) -> ExitCode {
    let ReaperArgs { reaper: args, builds } = args;
    let (every, sweeping, name) = (Duration::from_secs(args.sweep_seconds), args.sweeping.clone(), args.executor.clone());
    on_executor("reaper", settings, &args.config, &args.executor, builds, async move |service, _, place| {
        let bus = Bus::new(service.nats.clone());
        let installation = bus.installation().await?;
        let reaper = Reaper::new(bus, place).governed_by(sweeping.policy(&name, Some(installation)));
        reaper.measured_by(service.metrics.clone()).run(service, every).await
    })
}

/// Runs a service that works on one executor.
fn on_executor<F, W>(name: &'static str, settings: &Settings, config: &Path, executor: &str, builds: &Builds, work: W) -> ExitCode
where
    W: FnOnce(Context, Fleet, Place) -> F + Send + 'static,
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let found = fleet(config).and_then(|fleet| Ok((named(&fleet, executor)?.clone(), fleet)));
    let (executor, fleet) = match found {
        Ok(found) => found,
        Err(error) => return failed(&error),
    };
    let builds = builds.folder.clone();
    run(name, settings, |service| async move {
        let Some(installation) = installation(&service).await else { return Ok(()) };
        let place = place(&executor, builds.as_deref(), Some(installation)).await?;
        work(service, fleet, place).await
    })
}

/// This program itself, also when its file has been replaced since it was started.
const MYSELF: &str = "/proc/self/exe";

/// The place that an executor is, in an installation.
pub(crate) async fn place(executor: &Executor, builds: Option<&Path>, installation: Option<String>) -> anyhow::Result<Place> {
    Ok(match executor.plugin {
        Plugin::Kubernetes => {
            let kubernetes = Kubernetes::connect(executor).await?;
            Place::from(match installation {
                Some(installation) => kubernetes.of_installation(installation),
                None => kubernetes,
            })
        }
        Plugin::Process => Place::from(Process::open(executor, builds, MYSELF.into())?),
    })
}

/// This installation's name, once its ledger exists; none where the service is to stop before.
async fn installation(service: &Context) -> Option<String> {
    let bus = Bus::new(service.nats.clone());
    let mut told = false;
    loop {
        match bus.installation().await {
            Ok(installation) => return Some(installation),
            Err(error) if !told => {
                info!(%error, "waiting for what `switchyard provision` makes");
                told = true;
            }
            Err(_) => {}
        }
        tokio::select! {
            () = service.shutdown.requested() => return None,
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

/// Reads a fleet file.
///
/// # Errors
/// When it cannot be read or is wrong, naming the file.
pub(crate) fn fleet(path: &Path) -> anyhow::Result<Fleet> {
    let text = std::fs::read_to_string(path).with_context(|| format!("fleet file {}", path.display()))?;
    let fleet = Fleet::parse(&text).with_context(|| path.display().to_string())?;
    for warning in fleet.warnings() {
        eprintln!("warning: {warning}");
    }
    Ok(fleet)
}

pub(crate) fn named<'a>(fleet: &'a Fleet, name: &str) -> anyhow::Result<&'a Executor> {
    let known = || fleet.executors().iter().map(|executor| executor.name.as_str()).collect::<Vec<_>>().join(", ");
    fleet.executor(name).with_context(|| format!("the fleet file has no executor {name:?}; there are {}", known()))
}
