//! `loadtest launch`: the launcher next to a loop that only creates pods gated and takes their gates off.

mod bare;
mod builds;
mod latency;
mod pass;
mod report;
mod running;

use std::num::NonZeroU32;

use anyhow::Context as _;
use switchyard_bus::{Bus, Sizes, provision};
use switchyard_dev::{ClusterUser, ControlPlane, Stack, StackOptions};
use switchyard_fleet::Fleet;

use report::Run;

/// Settings of `launch`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// How many routed builds wait when a throughput measurement begins.
    #[arg(long, default_value = "1000", value_name = "N")]
    builds: NonZeroU32,
    /// How many builds are launched at once, by the launcher and by the loop.
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    at_once: u16,
    /// How many builds a second are routed while latency is measured.
    #[arg(long, default_value = "20", value_name = "N")]
    rate: NonZeroU32,
    /// For how many seconds latency is measured, after two that are not counted.
    #[arg(long, default_value_t = 10, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// How often everything is measured, each time on new servers.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50))]
    runs: u32,
    /// Whether to end with one JSON object on a line of its own.
    #[arg(long)]
    json: bool,
}

/// The executor that everything is launched on.
pub(crate) const EXECUTOR: &str = "k8s";

/// Measures, prints a table and, if asked to, the JSON object.
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let mut runs = Vec::new();
    for n in 1..=args.runs {
        let run = measure(args, n).await?;
        eprintln!("run {n} of {}: {run}", args.runs);
        runs.push(run);
    }
    println!(
        "{} builds a run, {} at once, {} runs; latency at {}/s for {} s",
        args.builds, args.at_once, args.runs, args.rate, args.seconds
    );
    report::print(&runs);
    if args.json {
        println!("{}", report::json(&runs)?);
    }
    Ok(())
}

/// A stack with nothing in it, and a fleet of one executor on it.
pub(crate) struct Place {
    pub(crate) stack: Stack,
    pub(crate) fleet: Fleet,
}

impl Place {
    async fn start() -> anyhow::Result<Self> {
        let options = StackOptions { executors: vec![EXECUTOR.to_owned()], control_plane: true, ..StackOptions::default() };
        let stack = Stack::start(&options).await?;
        let plane = stack.control_plane().context("no control plane")?;
        let kubeconfig = plane.kubeconfig(ClusterUser::Launcher);
        let fleet = Fleet::parse(&format!(
            "version: 1\nexecutor: {{plugin: {EXECUTOR}, {EXECUTOR}: {{options: {{kubernetes: {{runtimeClass: kata}}}}}}}}\n\
             executors: {{{EXECUTOR}: {{namespace: {}, kubeconfig: '{}'}}}}\n",
            ControlPlane::NAMESPACE,
            kubeconfig.display()
        ))?;
        provision(&Bus::new(stack.nats().connect("provision").await?), &[EXECUTOR], &Sizes::default(), 1).await?;
        // What happens to a pod once its gate is off is somebody else's business, and takes the API server's time.
        plane.scheduler().kill().await;
        plane.kwok().kill().await;
        Ok(Self { stack, fleet })
    }

    pub(crate) fn plane(&self) -> anyhow::Result<&ControlPlane> {
        self.stack.control_plane().context("no control plane")
    }
}

async fn measure(args: &Args, n: u32) -> anyhow::Result<Run> {
    let (builds, at_once) = (args.builds.get(), usize::from(args.at_once));
    let place = Place::start().await?;
    // The first pods of an API server take longer: neither side is to have them.
    bare::throughput(&place, "warm", 100, at_once).await?;
    let load = latency::Load { rate: args.rate.get(), seconds: args.seconds };
    let run = measure_in_turn(&place, (builds, at_once), load, n).await?;
    place.stack.stop().await;
    Ok(run)
}

/// An API server gets slower the more pods it has: who is second in one run is first in the next.
async fn measure_in_turn(place: &Place, (builds, at_once): (u32, usize), load: latency::Load, n: u32) -> anyhow::Result<Run> {
    let ours =
        async || anyhow::Ok((running::throughput(place, builds, at_once).await?, latency::of_ours(place, load, at_once).await?));
    let bare =
        async || anyhow::Ok((bare::throughput(place, "bare", builds, at_once).await?, latency::of_bare(place, load).await?));
    let ((ours, latencies), (ceiling, at_least)) = if n % 2 == 1 {
        let ours = ours().await?;
        (ours, bare().await?)
    } else {
        let bare = bare().await?;
        (ours().await?, bare)
    };
    Ok(Run::of((&ours, &latencies), (&ceiling, &at_least)))
}
