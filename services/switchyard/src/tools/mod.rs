//! The subcommands that are tools: each looks or asks once and ends. None is a service: nothing here waits for a server.
//!
//! Results go to standard output; an error is one line on standard error and exit code 1.

mod applied;
pub(crate) mod builds;
pub(crate) mod cancel;
pub(crate) mod config;
pub(crate) mod dead;
pub(crate) mod doctor;
pub(crate) mod explain;
mod find;
pub(crate) mod logs;
pub(crate) mod model;
pub(crate) mod pipeline;
pub(crate) mod publish;
pub(crate) mod screen;
pub(crate) mod simulate;
pub(crate) mod sweep;
pub(crate) mod term;
pub(crate) mod trace;

use std::{io, process::ExitCode};

use anyhow::Context as _;
use switchyard_bus::Bus;
use switchyard_runtime::{NatsSettings, Telemetry, close, connect};
use tokio::{runtime::Builder, sync::OnceCell};
use tracing_subscriber::EnvFilter;

/// What a tool is told: its own arguments, and where NATS is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Told<A: clap::Args> {
    #[command(flatten)]
    args: A,
    #[command(flatten)]
    nats: NatsSettings,
}

/// What a tool works with; it connects when it first needs NATS.
struct Session<'a> {
    nats: &'a NatsSettings,
    connection: OnceCell<(async_nats::Client, Bus)>,
}

impl Session<'_> {
    async fn bus(&self) -> anyhow::Result<&Bus> {
        let connected = self.connection.get_or_try_init(async || {
            let client = connect("cli", self.nats).await?;
            Ok::<_, anyhow::Error>((client.clone(), Bus::new(client)))
        });
        Ok(&connected.await?.1)
    }
}

/// How a tool ends that needs no NATS.
fn report(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if nobody_reads(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a tool to its end.
fn run(nats: &NatsSettings, work: impl AsyncFnOnce(&Session<'_>) -> anyhow::Result<()>) -> ExitCode {
    run_to(nats, async |session: &Session<'_>| work(session).await.map(|()| ExitCode::SUCCESS))
}

/// Runs a tool that has an exit code of its own.
fn run_to(nats: &NatsSettings, work: impl AsyncFnOnce(&Session<'_>) -> anyhow::Result<ExitCode>) -> ExitCode {
    listen();
    match attempt(nats, work) {
        Ok(code) => code,
        Err(error) if nobody_reads(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", term::line(&with_remedy(&format!("{error:#}"))));
            ExitCode::FAILURE
        }
    }
}

fn attempt<T>(nats: &NatsSettings, work: impl AsyncFnOnce(&Session<'_>) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().context("cannot start threads")?;
    let telemetry = {
        let _inside = runtime.enter();
        Telemetry::start("cli")?
    };
    let session = Session { nats, connection: OnceCell::new() };
    let outcome = runtime.block_on(work(&session));
    runtime.block_on(async {
        if let Some((client, _)) = session.connection.get() {
            close(client).await;
        }
        telemetry.stop().await;
    });
    runtime.shutdown_background();
    outcome
}

/// What the libraries warn about, such as a subject that NATS does not permit, is for people: on standard error.
fn listen() {
    let warnings = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .with_env_filter(EnvFilter::new("switchyard=warn"));
    // Only a second tool in the same process could have set one before.
    let _ = warnings.try_init();
}

/// Of a stream or bucket that is not there, says who makes it. The client tells it in words only.
fn with_remedy(error: &str) -> String {
    let missing = ["stream not found", "no stream found"].iter().any(|words| error.contains(words));
    format!("{error}{}", if missing { "; `switchyard provision` makes what is missing" } else { "" })
}

/// Whether the reader of standard output has gone away, as `head` does: then there is nobody to tell.
fn nobody_reads(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
