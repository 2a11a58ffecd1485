//! `switchyard provision`: makes what the services need on the broker, and says what it changed.

use std::{path::PathBuf, process::ExitCode};

use switchyard_bus::{Bus, Sizes, provision};
use switchyard_runtime::{Settings, run as service};
use tracing::info;

use crate::services::fleet;

/// Settings of `provision`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The fleet file: each of its executors gets its consumers.
    #[arg(long, env = "SWITCHYARD_CONFIG", value_name = "FILE")]
    config: PathBuf,
    /// How many servers keep a copy of each stream.
    #[arg(long, env = "SWITCHYARD_REPLICAS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
    /// The most that the stream of incoming events may hold, in MiB.
    #[arg(long, default_value_t = 4096)]
    ci_mib: u32,
    /// The most that the stream of our own events may hold, in MiB.
    #[arg(long, default_value_t = 4096)]
    yard_mib: u32,
}

pub(crate) fn run(settings: &Settings, args: Args) -> ExitCode {
    service("provision", settings, |context| async move {
        let fleet = fleet(&args.config)?;
        let executors: Vec<_> = fleet.executors().iter().map(|executor| executor.name.as_str()).collect();
        let mib = |n: u32| i64::from(n) << 20;
        let sizes = Sizes { ci: mib(args.ci_mib), yard: mib(args.yard_mib), ..Sizes::default() };
        let changes = provision(&Bus::new(context.nats), &executors, &sizes, usize::from(args.replicas)).await?;
        for change in &changes {
            info!(what = change.what, how = change.how, "provisioned");
        }
        if changes.is_empty() {
            info!("everything is as it should be");
        }
        Ok(())
    })
}
