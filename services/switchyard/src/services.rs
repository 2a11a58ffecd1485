//! The subcommands that are services: each starts one, over the connection that the runtime gives it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use switchyard_bus::Bus;
use switchyard_executor::Kubernetes;
use switchyard_fleet::{Executor, Fleet};
use switchyard_launcher::Launcher;
use switchyard_reaper::Reaper;
use switchyard_router::Router;
use switchyard_runtime::{Settings, run};

/// Settings of a launcher.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LauncherArgs {
    /// The fleet file.
    #[arg(long, env = "SWITCHYARD_CONFIG", value_name = "FILE")]
    config: PathBuf,
    /// The executor on which it creates pods.
    #[arg(long, env = "SWITCHYARD_EXECUTOR", value_name = "NAME")]
    executor: String,
    /// How many builds it launches at once.
    #[arg(long, env = "SWITCHYARD_AT_ONCE", value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    at_once: u16,
}

pub(crate) fn router(settings: &Settings, args: switchyard_router::Args) -> ExitCode {
    run("router", settings, |service| async move { Router::new(Bus::new(service.nats.clone()), &args)?.run(service).await })
}

pub(crate) fn launcher(settings: &Settings, args: LauncherArgs) -> ExitCode {
    run("launcher", settings, |service| async move {
        let fleet = fleet(&args.config)?;
        let kubernetes = connect(named(&fleet, &args.executor)?).await?;
        let launcher = Launcher::new(Bus::new(service.nats.clone()), kubernetes, Arc::new(fleet));
        launcher.run(service, usize::from(args.at_once)).await
    })
}

pub(crate) fn reaper(settings: &Settings, args: switchyard_reaper::Args) -> ExitCode {
    run("reaper", settings, |service| async move {
        let fleet = fleet(&args.config)?;
        let kubernetes = connect(named(&fleet, &args.executor)?).await?;
        let sweep = Duration::from_secs(args.sweep_seconds);
        Reaper::new(Bus::new(service.nats.clone()), kubernetes).run(service, sweep).await
    })
}

/// Reads a fleet file.
///
/// # Errors
/// When it cannot be read or is wrong, naming the file.
pub(crate) fn fleet(path: &Path) -> anyhow::Result<Fleet> {
    let text = std::fs::read_to_string(path).with_context(|| format!("fleet file {}", path.display()))?;
    Fleet::parse(&text).with_context(|| format!("fleet file {}", path.display()))
}

fn named<'a>(fleet: &'a Fleet, name: &str) -> anyhow::Result<&'a Executor> {
    let known = || fleet.executors().iter().map(|executor| executor.name.as_str()).collect::<Vec<_>>().join(", ");
    fleet.executor(name).with_context(|| format!("the fleet file has no executor {name:?}; there are {}", known()))
}

async fn connect(executor: &Executor) -> anyhow::Result<Kubernetes> {
    Kubernetes::connect(executor).await.with_context(|| format!("executor {}", executor.name))
}
