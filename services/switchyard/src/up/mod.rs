//! `switchyard up`: everything on one machine, each service a process of its own, gone when this one goes.
#![expect(clippy::print_stdout, reason = "it tells a person what it does")]

mod demo;
mod local;
mod place;
mod supervise;
mod traces;
mod training;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use switchyard_bus::Bus;
use switchyard_dev::{Services, ServicesOptions, Stack, StackOptions};
use switchyard_fleet::Fleet;
use switchyard_runtime::Shutdown;

use crate::{services::fleet, tools::builds};
use local::Local;
use traces::Traces;

/// The fleet of this machine alone.
const LOCAL_FLEET: &str = include_str!("../../../../deploy/config/local.yaml");

/// The fleet of the development cluster.
const DEV_FLEET: &str = include_str!("../../../../deploy/config/dev.yaml");

/// Settings of `up`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Start a Kubernetes control plane too, with simulated Kata nodes: a real API server and scheduler. Without it, builds are
    /// processes of this machine, with no isolation.
    #[arg(long)]
    cluster: bool,
    /// The fleet file; without it one of deploy/config, with limits short enough to watch.
    #[arg(long, env = "SWITCHYARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Publish the sample events: six builds that end in six ways. Where python3 and switchyard-pipeline are there, a model is
    /// trained too, its world changes, and it is trained again.
    #[arg(long)]
    demo: bool,
    /// Stop once the demo has settled; exit code 0 only if everything went as it should.
    #[arg(long, requires = "demo")]
    exit_when_idle: bool,
    /// Send traces to this OTLP/HTTP collector instead of starting Jaeger.
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// How many of each service.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let outcome = runtime.block_on(up(args));
    // What builds in the background may wait for another that builds the same: nobody here waits for that.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome.unwrap_or_else(|error| failed(&error))
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

/// Everything that runs.
struct Up {
    stack: Stack,
    services: Services,
    traces: Traces,
    local: Local,
    /// Whether the demo's model can be trained, or why not.
    trains: Result<PathBuf, String>,
}

async fn up(args: &Args) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::default();
    shutdown.listen().context("cannot listen for signals")?;
    let up = tokio::select! {
        started = start(args) => started?,
        () = shutdown.requested() => return Ok(ExitCode::SUCCESS),
    };
    let outcome = watch(args, &up, &shutdown).await;
    eprintln!("stopping …");
    let Up { stack, services, traces, local, .. } = up;
    for name in services.stop().await {
        eprintln!("{name} did not end by itself");
    }
    drop(services);
    local.end().await;
    traces.stop().await;
    stack.stop().await;
    outcome
}

async fn start(args: &Args) -> anyhow::Result<Up> {
    let shipped = if args.cluster { DEV_FLEET } else { LOCAL_FLEET };
    let given = args.config.as_deref().map(fleet).transpose()?;
    let fleet = given.map_or_else(|| Fleet::parse(shipped), Ok)?;
    local::check(&fleet, args.cluster)?;
    let executors: Vec<_> = fleet.executors().iter().map(|executor| executor.name.clone()).collect();
    let options =
        StackOptions { executors: executors.clone(), jaeger: false, control_plane: args.cluster, ..StackOptions::default() };
    let stack = Stack::start(&options).await?;
    let traces = match &args.otlp {
        Some(url) => Traces::to(url.clone()),
        None => Traces::to_jaeger(&stack, args.cluster).await?,
    };
    let local = Local::hold(&stack, &fleet)?;
    let path = match &args.config {
        Some(path) => std::path::absolute(path)?,
        None => place::write_fleet(&stack, shipped)?,
    };
    let trains = training::ready(&fleet, args.cluster);
    let mut environment =
        vec![("OTEL_EXPORTER_OTLP_ENDPOINT", traces.otlp_url().to_owned()), ("SWITCHYARD_BUILDS", local.folder())];
    if let Ok(folder) = &trains {
        environment.push(("PATH", training::path_with(folder)?));
    }
    let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let options = services(path, executors, usize::from(args.replicas), environment)?;
    let services = Services::start(&stack, &options).await?;
    let up = Up { stack, services, traces, local, trains };
    place::announce(&up, args.demo)?;
    Ok(up)
}

fn services(
    fleet: PathBuf,
    executors: Vec<String>,
    replicas: usize,
    environment: Vec<(String, String)>,
) -> anyhow::Result<ServicesOptions> {
    let program = std::env::current_exe().context("where is this program?")?;
    Ok(ServicesOptions { program, fleet, executors, replicas, environment })
}

async fn watch(args: &Args, up: &Up, shutdown: &Shutdown) -> anyhow::Result<ExitCode> {
    let bus = Bus::new(up.stack.nats().connect("cli").await?);
    if args.demo {
        demo::publish(&up.stack, &up.traces).await?;
    }
    let story = async {
        match &up.trains {
            Ok(_) => Some(Box::pin(training::Training::new(&up.stack, &bus).play()).await),
            Err(_) => None,
        }
    };
    let settled = async {
        let story = if args.demo { tokio::join!(story, demo::settled(&bus)).0 } else { None };
        if args.exit_when_idle { story } else { std::future::pending().await }
    };
    tokio::select! {
        ended = supervise::supervise(&up.services) => ended?,
        shown = builds::live(&bus) => shown?,
        story = settled => return judge(&bus, up, story.as_deref()).await,
        () = shutdown.requested() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Holds what happened against what should have.
async fn judge(bus: &Bus, up: &Up, story: Option<&[training::Part]>) -> anyhow::Result<ExitCode> {
    let builds = demo::judge(bus).await?;
    let model = match (story, &up.trains) {
        (Some(story), _) => training::judge(story),
        (None, Err(why)) => {
            println!("\nthe demo's model was not trained: {why}");
            true
        }
        (None, Ok(_)) => true,
    };
    let left = demo::nothing_left(up).await?;
    Ok(if builds && model && left { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
