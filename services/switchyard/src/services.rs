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
use futures::{Stream, StreamExt as _};
use switchyard_bus::{Bus, Durable, once_provisioned};
use switchyard_executor::{Kubernetes, Place, Process};
use switchyard_fleet::{Executor, Fleet, Plugin};
use switchyard_launcher::{Launcher, ScrewdriverKey};
use switchyard_reaper::{Elsewhere, Reaper};
use switchyard_router::{Current, Router, Rules};
use switchyard_runtime::{Context, Settings, Shutdown, run};
use switchyard_trainer::Trainer;
use tracing::{info, warn};

use crate::{
    health, measure,
    source::{self, Sourced},
};

/// Settings of a launcher.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LauncherArgs {
    /// The fleet file, for as long as none is applied.
    #[arg(long, env = "SWITCHYARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
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
    let file = match source::of_file(args.config.as_deref()) {
        Ok(file) => file,
        Err(error) => return failed(&error),
    };
    run("router", settings, |service| async move {
        let bus = Bus::new(service.nats.clone());
        let Some(first) = source::begin(&bus, file, &service.shutdown).await else { return Ok(()) };
        let mut later = std::pin::pin!(first.successors(&bus));
        let current = Current::new(Rules::new(first.fleet));
        let follow = async {
            while let Some(sourced) = later.next().await {
                info!(number = sourced.number, revision = sourced.fleet.revision(), "routing by another fleet");
                current.replace(Rules::new(sourced.fleet));
            }
            std::future::pending::<()>().await;
        };
        let metrics = service.metrics.clone();
        let durables = || {
            let now = current.now();
            let executing = now.rules.fleet().executors().iter().flat_map(|executor| measure::executing(&executor.name));
            measure::common().into_iter().chain(executing).collect()
        };
        tokio::select! {
            ended = Router::following(bus.clone(), current.clone()).run(service) => ended,
            () = follow => Ok(()),
            () = health::follow(&bus, &current) => Ok(()),
            () = measure::consumers(&bus, &metrics, durables) => Ok(()),
        }
    })
}

pub(crate) fn launcher(settings: &Settings, args: &LauncherArgs) -> ExitCode {
    let at_once = usize::from(args.at_once);
    let key = args.screwdriver_key.clone();
    // A key that cannot be read is told at once; it is read again whenever the work begins again.
    if let Err(error) = screwdriver_key(key.as_deref()) {
        return failed(&error);
    }
    let routed_to = args.executor.clone();
    let work = move |service: Context, bus: Bus, fleet, place| {
        let key = screwdriver_key(key.as_deref());
        let (measured, metrics, durables) = (bus.clone(), service.metrics.clone(), vec![Durable::routed(&routed_to)]);
        async move {
            tokio::select! {
                ended = Launcher::new(bus, place, fleet).with_key(key?).run(service, at_once) => ended,
                () = measure::consumers(&measured, &metrics, || durables.clone()) => Ok(()),
            }
        }
    };
    on_executor("launcher", settings, args.config.as_deref(), &args.executor, &args.builds, work)
}

pub(crate) fn reaper(settings: &Settings, args: &ReaperArgs) -> ExitCode {
    let ReaperArgs { reaper: args, builds } = args;
    let (every, sweeping, name) = (Duration::from_secs(args.sweep_seconds), args.sweeping.clone(), args.executor.clone());
    let work = move |service: Context, bus: Bus, fleet: Arc<Fleet>, place| {
        let (sweeping, name) = (sweeping.clone(), name.clone());
        async move {
            let Some(installation) = installation(&service).await else { return Ok(()) };
            let (measured, metrics) = (bus.clone(), service.metrics.clone());
            let durables = || [measure::executing(&name), measure::common()].concat();
            let log_link = fleet.executor(&name).and_then(|executor| executor.logs.clone());
            let elsewhere = Elsewhere::default();
            elsewhere.drain(fleet.executor(&name).is_some_and(|executor| executor.draining));
            let reaper = Reaper::new(bus, place)
                .knowing(elsewhere.clone())
                .governed_by(sweeping.policy(&name, Some(installation)))
                .linking_logs(log_link);
            tokio::select! {
                ended = reaper.measured_by(metrics.clone()).run(service, every) => ended,
                () = measure::consumers(&measured, &metrics, durables) => Ok(()),
                () = measure::dead_letters(&measured, &metrics) => Ok(()),
                () = health::taken(&measured, &fleet, &elsewhere) => Ok(()),
            }
        }
    };
    on_executor("reaper", settings, args.config.as_deref(), &args.executor, builds, work)
}

pub(crate) fn trainer(settings: &Settings, args: &switchyard_trainer::Args) -> ExitCode {
    let args = args.clone();
    run("trainer", settings, |service| async move {
        let bus = Bus::new(service.nats.clone());
        let metrics = service.metrics.clone();
        tokio::select! {
            ended = Trainer::new(bus.clone(), &args).run(service) => ended,
            () = measure::consumers(&bus, &metrics, || measure::training().to_vec()) => Ok(()),
        }
    })
}

fn screwdriver_key(file: Option<&Path>) -> anyhow::Result<Option<ScrewdriverKey>> {
    file.map(ScrewdriverKey::read).transpose().context("--screwdriver-key")
}

/// Runs a service that works on one executor, again whenever another fleet says something else of it.
fn on_executor<F, W>(
    name: &'static str,
    settings: &Settings,
    config: Option<&Path>,
    executor: &str,
    builds: &Builds,
    work: W,
) -> ExitCode
where
    W: Fn(Context, Bus, Arc<Fleet>, Place) -> F + Send + Sync + 'static,
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let file = match source::of_file(config) {
        Ok(file) => file,
        Err(error) => return failed(&error),
    };
    let (executor, builds) = (executor.to_owned(), builds.folder.clone());
    run(name, settings, |service| async move {
        if let Some(fleet) = &file {
            // A wrong file is told at once, also where it will not be what counts.
            place(named(fleet, &executor)?, builds.as_deref(), None).await?;
        }
        let bus = Bus::new(service.nats.clone());
        let Some(mut now) = source::begin(&bus, file, &service.shutdown).await else { return Ok(()) };
        let mut later = std::pin::pin!(now.successors(&bus));
        let Some(installation) = installation(&service).await else { return Ok(()) };
        let there = There { executor, builds, installation };
        let mut place = there.by(&now.fleet).await?;
        loop {
            let inner = Context { shutdown: Shutdown::default(), ..service.clone() };
            let stop = inner.shutdown.clone();
            let mut working = std::pin::pin!(work(inner, bus.clone(), now.shared(), place));
            let next = tokio::select! {
                ended = &mut working => return ended,
                () = service.shutdown.requested() => None,
                next = another(&mut later, &now, &there) => Some(next),
            };
            stop.request();
            working.await?;
            let Some((sourced, new)) = next else { return Ok(()) };
            info!(number = sourced.number, revision = sourced.fleet.revision(), "working by another fleet");
            (now, place) = (sourced, new);
        }
    })
}

/// Which executor a service works on, and what it needs beside the fleet to find it.
struct There {
    executor: String,
    builds: Option<PathBuf>,
    installation: String,
}

impl There {
    async fn by(&self, fleet: &Fleet) -> anyhow::Result<Place> {
        place(named(fleet, &self.executor)?, self.builds.as_deref(), Some(self.installation.clone())).await
    }
}

/// The next fleet that says something else, and where the executor is by it. One by which it cannot be reached is told, and
/// the old one stays.
async fn another(later: &mut (impl Stream<Item = Sourced> + Unpin), now: &Sourced, there: &There) -> (Sourced, Place) {
    while let Some(sourced) = later.next().await {
        if sourced.fleet.revision() == now.fleet.revision() {
            continue;
        }
        match there.by(&sourced.fleet).await {
            Ok(place) => return (sourced, place),
            Err(error) => warn!(number = sourced.number, "the old fleet stays: {error:#}"),
        }
    }
    std::future::pending().await
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
        Plugin::Process => {
            let process = Process::open(executor, builds, MYSELF.into())?;
            Place::from(match installation {
                Some(installation) => process.of_installation(installation),
                None => process,
            })
        }
    })
}

/// This installation's name, once its ledger exists; none where the service is to stop before.
async fn installation(service: &Context) -> Option<String> {
    let bus = Bus::new(service.nats.clone());
    once_provisioned(|| bus.installation(), service.shutdown.requested()).await
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
    fleet.executor(name).with_context(|| format!("the fleet has no executor {name:?}; there are {}", known()))
}
