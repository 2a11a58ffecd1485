//! `switchyard sweep`: looks once for what clocks and watches have missed, and sees to it. `switchyard release`: lets go of every pod.

use std::{path::PathBuf, process::ExitCode};

use jiff::Timestamp;
use switchyard_executor::{Executor as _, Observed};
use switchyard_reaper::{Elsewhere, Reaper, Sweeping, taking};

use super::{Session, Told, run, term};
use crate::services::{Builds, fleet, named, place};

/// Settings of `sweep`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The fleet file.
    #[arg(long, env = "SWITCHYARD_CONFIG", value_name = "FILE")]
    config: PathBuf,
    /// The executor whose pods and builds are looked at.
    #[arg(long, env = "SWITCHYARD_EXECUTOR", value_name = "NAME")]
    executor: String,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    builds: Builds,
    #[command(flatten)]
    sweeping: Sweeping,
}

/// Settings of `release`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReleaseArgs {
    /// The fleet file.
    #[arg(long, env = "SWITCHYARD_CONFIG", value_name = "FILE")]
    config: PathBuf,
    /// The executor whose pods are let go: nothing holds them any more, and their ends may stay untold.
    #[arg(long, env = "SWITCHYARD_EXECUTOR", value_name = "NAME")]
    executor: String,
    #[command(flatten)]
    builds: Builds,
    /// Also the pods of other installations, and of those that say nothing of theirs; needs no NATS.
    #[arg(long)]
    all: bool,
    /// Only say what would be let go.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn sweep(told: &Told<Args>) -> ExitCode {
    let args = &told.args;
    run(&told.nats, async |session: &Session<'_>| {
        let bus = session.bus().await?;
        let fleet = fleet(&args.config)?;
        let executor = named(&fleet, &args.executor)?;
        let place = place(executor, args.builds.folder.as_deref(), None).await?;
        // A pod that cannot be seen must not be taken for one that is gone.
        place.list().await?;
        let policy = args.sweeping.policy(&args.executor, Some(bus.installation().await?));
        let elsewhere = Elsewhere::default();
        if executor.draining {
            elsewhere.drain(true);
            let now = Timestamp::now();
            elsewhere.learn(taking(&fleet, &bus.heartbeats(now).await?, now));
        }
        let reaper = Reaper::new(bus.clone(), place).knowing(elsewhere).governed_by(policy);
        let found = reaper.findings().await?;
        for reap in &found {
            term::say(&format!("{} {}  {}\n", reap.build, reap.attempt, reap.why))?;
        }
        term::say(&format!("{} found{}\n", found.len(), if args.dry_run { "; nothing was done" } else { "" }))?;
        if !args.dry_run {
            reaper.see_to(found).await;
        }
        Ok(())
    })
}

pub(crate) fn release(told: &Told<ReleaseArgs>) -> ExitCode {
    let args = &told.args;
    run(&told.nats, async |session: &Session<'_>| {
        let ours = if args.all { None } else { Some(session.bus().await?.installation().await?) };
        let fleet = fleet(&args.config)?;
        let place = place(named(&fleet, &args.executor)?, args.builds.folder.as_deref(), None).await?;
        let is_ours = |pod: &Observed| ours.is_none() || pod.installation == ours;
        let mut let_go = 0;
        for pod in place.list().await?.into_iter().filter(|pod| pod.held && is_ours(pod)) {
            if !args.dry_run {
                place.release(&pod.build, pod.attempt, &pod.uid).await?;
            }
            let_go += 1;
            term::say(&format!("{} {}  pod {}\n", pod.build, pod.attempt, pod.uid))?;
        }
        term::say(&format!("{let_go} {}\n", if args.dry_run { "would be let go" } else { "let go" }))?;
        Ok(())
    })
}
