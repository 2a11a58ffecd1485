//! `switchyard provision`: makes what the services need on the broker, and says what it changed.

use std::{path::PathBuf, process::ExitCode};

use switchyard_bus::{Bus, Sizes, provision};
use switchyard_fleet::Fleet;
use switchyard_runtime::{Settings, run as service};
use tracing::{info, warn};

use crate::source::{newest, of_file};

/// Settings of `provision`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The fleet file: each of its executors gets its consumers; without one, each of the fleet that is applied.
    #[arg(long, env = "SWITCHYARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// How many servers keep a copy of each stream.
    #[arg(long, env = "SWITCHYARD_REPLICAS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
    /// The most that the stream of incoming events may hold, in MiB.
    #[arg(long, default_value_t = 4096)]
    ci_mib: u32,
    /// The most that the stream of our own events may hold, in MiB.
    #[arg(long, default_value_t = 4096)]
    yard_mib: u32,
    /// The most that is kept of what builds have said, in MiB; then the oldest goes.
    #[arg(long, default_value_t = 4096)]
    logs_mib: u32,
}

pub(crate) fn run(settings: &Settings, args: Args) -> ExitCode {
    service("provision", settings, |context| async move {
        let file = of_file(args.config.as_deref())?;
        let mib = |n: u32| i64::from(n) << 20;
        let sizes = Sizes { ci: mib(args.ci_mib), yard: mib(args.yard_mib), logs: mib(args.logs_mib), ..Sizes::default() };
        let (bus, replicas) = (Bus::new(context.nats), usize::from(args.replicas));
        // Without a file, the bucket that tells the executors may have to be made first.
        let mut changes = provision(&bus, &names(file.as_ref()), &sizes, replicas).await?;
        if file.is_none() {
            let applied = applied(&bus).await?;
            changes.extend(provision(&bus, &names(applied.as_ref()), &sizes, replicas).await?);
            if applied.is_none() {
                warn!("no fleet is applied, so no executor has its consumers: name a fleet file with --config");
            }
        }
        for change in &changes {
            info!(what = change.what, how = change.how, "provisioned");
        }
        if changes.is_empty() {
            info!("everything is as it should be");
        }
        Ok(())
    })
}

fn names(fleet: Option<&Fleet>) -> Vec<&str> {
    fleet.iter().flat_map(|fleet| fleet.executors()).map(|executor| executor.name.as_str()).collect()
}

/// The fleet that is applied, if one is.
async fn applied(bus: &Bus) -> anyhow::Result<Option<Fleet>> {
    Ok(newest(&bus.fleets().await?).map(|sourced| sourced.fleet))
}
