//! `switchyard doctor`: whether an executor can run builds, and proof that they run in virtual machines of their own.
//!
//! The proof is a build like any other, through router, launcher and reaper: it says which kernel is under it, and the cluster
//! says which kernel is under its node.

mod probe;
mod verdict;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use switchyard_bus::Bus;
use switchyard_events::Heartbeat;
use switchyard_executor::{Class, Kubernetes};
use switchyard_fleet::{Executor, Plugin};

use super::{Session, Told, config, run_to, term};
use crate::services::{fleet, named};
use probe::Probe;
use verdict::{Verdict, verdict};

/// Settings of `doctor`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 proven, 1 not isolated or not able to run builds, 3 nothing can be said.")]
pub(crate) struct Args {
    /// The executor to examine.
    #[arg(long, env = "SWITCHYARD_EXECUTOR", value_name = "NAME")]
    executor: String,
    /// The fleet file; without it, the applied fleet. Its kubeconfig must permit to read nodes and runtime classes.
    #[arg(long, env = "SWITCHYARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The image of the probe: any with a shell.
    #[arg(long, value_name = "IMAGE", default_value = "busybox:1.37")]
    image: String,
    /// Whose build the probe is.
    #[arg(long, env = "SWITCHYARD_TENANT", default_value = "default")]
    tenant: String,
    /// How long the probe may take, in seconds; after that it is cancelled.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    patience: u64,
}

/// Neither proven nor disproved.
const CANNOT_TELL: u8 = 3;

pub(crate) fn doctor(told: &Told<Args>) -> ExitCode {
    let args = &told.args;
    run_to(&told.nats, async |session: &Session<'_>| {
        let fleet = match &args.config {
            Some(file) => fleet(file)?,
            None => config::holds(session.bus().await?).await?,
        };
        let executor = named(&fleet, &args.executor)?;
        match executor.plugin {
            Plugin::Process => {
                bail!("executor {}: plugin process: builds are child processes of the launcher, with no isolation", executor.name)
            }
            Plugin::Kubernetes => examine(session.bus().await?, executor, args).await,
        }
    })
}

async fn examine(bus: &Bus, executor: &Executor, args: &Args) -> anyhow::Result<ExitCode> {
    let cluster = Kubernetes::connect(executor).await?;
    say(&class_line(cluster.class().await?.as_ref())?)?;
    for line in heartbeats(bus, &executor.name).await? {
        say(&line)?;
    }
    let record = probe::run(bus, args).await?;
    let end = record.latest().and_then(|attempt| attempt.decided.as_ref()).context("the probe has no end")?;
    let Some(node) = &end.node else {
        bail!("the probe ran nowhere: {}", end.message.as_deref().unwrap_or("no reason is known"))
    };
    let machine = cluster.machine(node).await?.with_context(|| format!("node {node} has gone"))?;
    say(&format!("node {node}: kernel {}, boot {}", machine.kernel, machine.boot_id))?;
    let probe: Option<Probe> = end.result.as_deref().and_then(|text| serde_json::from_str(text).ok());
    if let Some(probe) = &probe {
        say(&format!("probe: kernel {}, boot {}", probe.kernel, probe.boot))?;
    }
    Ok(match verdict(&machine, probe.as_ref()) {
        Verdict::Isolated => told("proven: the probe ran in a virtual machine of its own", ExitCode::SUCCESS)?,
        Verdict::Shared(why) => told(&format!("not isolated: {why}"), ExitCode::FAILURE)?,
        Verdict::Unknown(why) => told(&format!("cannot tell: {why}"), ExitCode::from(CANNOT_TELL))?,
    })
}

fn told(line: &str, code: ExitCode) -> anyhow::Result<ExitCode> {
    say(line)?;
    Ok(code)
}

fn say(line: &str) -> anyhow::Result<()> {
    term::say(&format!("{}\n", term::line(line)))
}

fn class_line(class: Option<&Option<Class>>) -> anyhow::Result<String> {
    match class {
        None => Ok("runtime class: none is set; builds share the kernel of their node".to_owned()),
        Some(None) => bail!("the executor's runtime class is not in the cluster: no build can run"),
        Some(Some(Class { name, handler, overhead })) => {
            let overhead = if overhead.is_empty() { "none" } else { overhead };
            Ok(format!("runtime class {name}: handler {handler}, overhead {overhead}"))
        }
    }
}

/// What services say of the executor now.
async fn heartbeats(bus: &Bus, executor: &str) -> anyhow::Result<Vec<String>> {
    let beats = bus.heartbeats(Timestamp::now()).await?;
    let lines: Vec<_> = beats.iter().filter(|beat| beat.executor == executor).map(line).collect();
    let none = || vec!["no launcher says anything of this executor".to_owned()];
    Ok(if lines.is_empty() { none() } else { lines })
}

fn line(beat: &Heartbeat) -> String {
    let count = |n: Option<u32>| n.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
    let health = if beat.healthy { "well" } else { "unwell" };
    let why = beat.why.as_ref().map(|why| format!(", {why}")).unwrap_or_default();
    let breaker = serde_json::to_value(beat.breaker).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
    format!(
        "{} {}: {health}, breaker {breaker}, slots {}, free {}{why}",
        beat.service,
        beat.instance,
        count(beat.slots),
        count(beat.free)
    )
}
