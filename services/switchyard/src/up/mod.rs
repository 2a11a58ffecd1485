//! `switchyard up`: everything on one machine, each service a process of its own, gone when this one goes.
#![expect(clippy::print_stdout, reason = "it tells a person what it does")]

mod demo;
mod place;
mod supervise;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use switchyard_bus::Bus;
use switchyard_dev::{Services, ServicesOptions, Stack, StackOptions};
use switchyard_runtime::Shutdown;

use crate::{services::fleet, tools::builds};

/// The fleet of the development cluster.
const DEV_FLEET: &str = include_str!("../../../../deploy/config/dev.yaml");

/// Settings of `up`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Start a Kubernetes control plane too: a real API server and scheduler, with simulated Kata nodes.
    #[arg(long)]
    cluster: bool,
    /// The fleet file; without it the development fleet, with limits short enough to watch.
    #[arg(long, env = "SWITCHYARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Publish the sample events: six builds that end in six ways.
    #[arg(long)]
    demo: bool,
    /// Stop once the demo has settled; exit code 0 only if each build ended as it should.
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
    match runtime.block_on(up(args)) {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

async fn up(args: &Args) -> anyhow::Result<ExitCode> {
    if !args.cluster {
        bail!("only `up --cluster` exists so far: add --cluster");
    }
    let shutdown = Shutdown::default();
    shutdown.listen().context("cannot listen for signals")?;
    let started = tokio::select! {
        started = start(args) => started?,
        () = shutdown.requested() => return Ok(ExitCode::SUCCESS),
    };
    let (stack, services) = started;
    let outcome = watch(args, &stack, &services, &shutdown).await;
    eprintln!("stopping …");
    for name in services.stop().await {
        eprintln!("{name} did not end by itself");
    }
    drop(services);
    stack.stop().await;
    outcome
}

async fn start(args: &Args) -> anyhow::Result<(Stack, Services)> {
    let given = args.config.as_deref().map(fleet).transpose()?;
    let fleet = given.map_or_else(|| switchyard_fleet::Fleet::parse(DEV_FLEET), Ok)?;
    let executors: Vec<_> = fleet.executors().iter().map(|executor| executor.name.clone()).collect();
    let options = StackOptions {
        executors: executors.clone(),
        jaeger: args.otlp.is_none(),
        control_plane: true,
        ..StackOptions::default()
    };
    let stack = Stack::start(&options).await?;
    let path = match &args.config {
        Some(path) => std::path::absolute(path)?,
        None => place::write_fleet(&stack, DEV_FLEET)?,
    };
    let environment = args.otlp.iter().map(|url| ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), url.clone())).collect();
    let program = std::env::current_exe().context("where is this program?")?;
    let options = ServicesOptions { program, fleet: path, executors, replicas: usize::from(args.replicas), environment };
    let services = Services::start(&stack, &options).await?;
    place::announce(&stack, &services)?;
    Ok((stack, services))
}

async fn watch(args: &Args, stack: &Stack, services: &Services, shutdown: &Shutdown) -> anyhow::Result<ExitCode> {
    let bus = Bus::new(stack.nats().connect("cli").await?);
    if args.demo {
        demo::publish(stack).await?;
    }
    let settled = async { if args.exit_when_idle { demo::settled(&bus).await } else { std::future::pending().await } };
    tokio::select! {
        ended = supervise::supervise(services) => ended?,
        shown = builds::live(&bus) => shown?,
        () = settled => return demo::judge(&bus, stack).await,
        () = shutdown.requested() => {}
    }
    Ok(ExitCode::SUCCESS)
}
