//! `loadtest route`: the router next to the most that its loop could do.

mod ceiling;
mod latency;
mod ours;
mod report;
mod requests;
mod running;
mod throughput;

use std::{num::NonZeroU32, path::PathBuf};

use anyhow::Context as _;
use switchyard_fleet::Fleet;

use crate::traced;
use latency::Load;
use report::Run;

/// Settings of `route`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// How many queued builds wait when a turn of a throughput measurement begins.
    #[arg(long, default_value = "25000", value_name = "N")]
    events: NonZeroU32,
    /// How many turns router and ceiling have in a run.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    turns: u32,
    /// How many builds a second are published while latency is measured.
    #[arg(long, default_value = "1000", value_name = "N")]
    rate: NonZeroU32,
    /// For how many seconds latency is measured, after one that is not counted.
    #[arg(long, default_value_t = 15, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// How often everything is measured, each time on new servers.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50))]
    runs: u32,
    /// The threads of the router, and of the loop next to it.
    #[arg(long, env = "SWITCHYARD_WORKERS", default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: u8,
    /// The share of traces that is sampled.
    #[arg(long, default_value_t = 0.01, value_name = "SHARE")]
    sampled: f64,
    /// The fleet file.
    #[arg(long, env = "SWITCHYARD_CONFIG", default_value = "deploy/config/dev.yaml", value_name = "FILE")]
    config: PathBuf,
    /// Whether to end with one JSON object on a line of its own.
    #[arg(long)]
    json: bool,
}

/// Measures, prints a table and, if asked to, the JSON object.
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let path = args.config.display();
    let text = std::fs::read_to_string(&args.config).with_context(|| format!("fleet file {path}"))?;
    let fleet = Fleet::parse(&text).with_context(|| format!("fleet file {path}"))?;
    let provider = traced::start(args.sampled);
    let mut runs = Vec::new();
    for n in 1..=args.runs {
        let run = measure(args, &fleet).await?;
        eprintln!("run {n} of {}: {run}", args.runs);
        runs.push(run);
    }
    tokio::task::spawn_blocking(move || provider.shutdown()).await??;
    println!(
        "{} builds a turn, {} turns a run, {} runs; latency at {}/s for {} s",
        args.events, args.turns, args.runs, args.rate, args.seconds
    );
    report::print(&runs);
    if args.json {
        println!("{}", report::json(&runs)?);
    }
    Ok(())
}

async fn measure(args: &Args, fleet: &Fleet) -> anyhow::Result<Run> {
    let (events, workers) = (args.events.get(), usize::from(args.workers));
    let (ours, ceiling, template) = throughput::by_turns(events, args.turns, workers, fleet).await?;
    let load = Load { rate: args.rate.get(), seconds: args.seconds };
    let latencies = latency::of_ours(load, workers, fleet).await?;
    let at_least = latency::of_ceiling(load, workers, fleet, template).await?;
    Ok(Run::of((&ours, &latencies), (&ceiling, &at_least)))
}
