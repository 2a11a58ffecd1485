//! The `main` of every service.
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tracing::{error, info};

use crate::{Health, Listen, LogFormat, Metrics, Settings, Shutdown, Telemetry, connection, http, logs};

/// What a service is given to work with.
#[derive(Debug, Clone)]
pub struct Context {
    /// The connection to NATS. It is up when the service begins, and reconnects by itself.
    pub nats: async_nats::Client,
    /// Tells when to stop.
    pub shutdown: Shutdown,
    /// Tells others whether the service can work. The service calls [`Health::ready`] once it does.
    pub health: Health,
    /// Counts what happens.
    pub metrics: Metrics,
}

/// Runs a service until it ends, by itself or after a signal has asked for it, and returns the exit code of the process.
///
/// `name` is the service's own, `router`; spans carry it as `switchyard-router`. The service is to return soon after
/// [`Shutdown::requested`]; what it wrote to NATS is flushed afterwards.
pub fn run<F, Fut>(name: &'static str, settings: &Settings, service: F) -> ExitCode
where
    F: FnOnce(Context) -> Fut,
    Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    if let Err(error) = logs::start(name, &settings.log) {
        say(&error);
        return ExitCode::FAILURE;
    }
    match start(name, settings, service) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match settings.log.log_format {
                LogFormat::Human => say(&error),
                LogFormat::Json => error!("{error:#}"),
            }
            ExitCode::FAILURE
        }
    }
}

/// The last line of a process that failed.
fn say(error: &anyhow::Error) {
    // If nobody reads standard error there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
}

fn start<F, Fut>(name: &'static str, settings: &Settings, service: F) -> anyhow::Result<()>
where
    F: FnOnce(Context) -> Fut,
    Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let runtime = threads(settings)?;
    let telemetry = {
        let _inside = runtime.enter();
        Telemetry::start(name)?
    };
    let outcome = runtime.block_on(drive(name, settings, service));
    runtime.block_on(telemetry.stop());
    // Whatever still blocks a thread must not keep the process.
    runtime.shutdown_background();
    outcome
}

fn threads(settings: &Settings) -> anyhow::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(settings.workers()).enable_all().build().context("cannot start threads")
}

async fn drive<F, Fut>(name: &'static str, settings: &Settings, service: F) -> anyhow::Result<()>
where
    F: FnOnce(Context) -> Fut,
    Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let (shutdown, health, metrics) = (Shutdown::default(), Health::default(), Metrics::default());
    shutdown.listen().context("cannot listen for signals")?;
    health.ends_with(shutdown.clone());
    describe(name, &metrics);
    if let Listen::On(address) = settings.listen {
        http::serve(address, health.clone(), metrics.clone()).await?;
    }
    let nats = tokio::select! {
        nats = connection::wait(name, &settings.nats) => nats?,
        () = shutdown.requested() => return Ok(()),
    };
    health.needs(nats.clone());
    let service = tokio::spawn(service(Context { nats: nats.clone(), shutdown: shutdown.clone(), health, metrics }));
    let outcome = tokio::select! {
        outcome = until_ended(service, &shutdown, settings.shutdown_grace) => outcome,
        () = connection::broken(&nats) => Err(anyhow!("the client of NATS has broken down; the service has to begin again")),
    };
    connection::close(&nats).await;
    if outcome.is_ok() {
        info!("stopped");
    }
    outcome
}

/// Waits for the service's end, after a request for it no longer than `grace`.
async fn until_ended(mut service: JoinHandle<anyhow::Result<()>>, shutdown: &Shutdown, grace: Duration) -> anyhow::Result<()> {
    let given_up = async {
        shutdown.requested().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        ended = &mut service => ended.unwrap_or_else(|_| bail!("the service panicked")),
        () = given_up => {
            service.abort();
            bail!("the service did not stop within {grace:?}")
        }
    }
}

fn describe(name: &str, metrics: &Metrics) {
    let labels = [("service", name), ("version", env!("CARGO_PKG_VERSION"))];
    metrics.gauge("switchyard_build_info", "The service and its version.", &labels).set(1);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let started = metrics.gauge("process_start_time_seconds", "When the process started, in seconds since 1970.", &[]);
    started.set(i64::try_from(now).unwrap_or(i64::MAX));
}
