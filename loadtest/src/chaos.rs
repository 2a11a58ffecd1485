//! `loadtest chaos`: a steady stream of builds through a whole installation, of which something is killed, frozen or restarted
//! all the time; afterwards an audit of what the event log and the API server say.

mod audit;
mod builds;
mod dice;
mod faults;
mod report;
mod yard;

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use tokio::time::Instant;

use dice::Dice;
use report::Run;
use yard::Yard;

/// Settings of `chaos`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// For how many minutes builds are published and faults come.
    #[arg(long, default_value_t = 2.0, value_name = "N")]
    minutes: f64,
    /// How many builds a second are published.
    #[arg(long, default_value = "3", value_name = "N")]
    rate: NonZeroU32,
    /// How many faults begin in a minute, on average.
    #[arg(long, default_value = "90", value_name = "N")]
    faults: NonZeroU32,
    /// What the schedule and the builds are drawn from; a new one each time if none is given. It is printed.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many nats-servers there are: one, or three that keep three copies of everything.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = nodes)]
    nodes: u8,
    /// How many of each service there are.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
    /// The `switchyard` program; without it, the one beside this program.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Whether to end with one JSON object on a line of its own.
    #[arg(long)]
    json: bool,
}

fn nodes(text: &str) -> Result<u8, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("1 or 3: two or four servers agree no better".to_owned()),
    }
}

/// Lives through it, audits, prints a table and, if asked to, the JSON object.
///
/// It fails when something was lost, doubled, left over or late.
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let seed = args.seed.unwrap_or_else(|| jiff::Timestamp::now().as_millisecond().unsigned_abs());
    let dice = Dice::new(seed);
    println!("seed {seed}: {} min, {} builds/s, {} nats-server(s)", args.minutes, args.rate, args.nodes);
    let yard = Yard::start(args).await?;
    let until = Instant::now() + Duration::from_secs_f64(args.minutes * 60.0);
    let watched = audit::watch(&yard)?;
    let (published, faults) = tokio::join!(
        builds::publish(&yard, args.rate.get(), dice.branch(1), until),
        faults::inject(&yard, args.faults.get(), dice.branch(2), until),
    );
    let (published, faults) = (published?, faults?);
    let audit = audit::of(&yard, &published, &watched).await?;
    let run = Run::of(seed, args, &faults, &published, &audit);
    report::print(&faults, &run);
    for line in &audit.wrong {
        println!("wrong: {line}");
    }
    if args.json {
        println!("{}", serde_json::to_string(&run)?);
    }
    if !audit.wrong.is_empty() {
        let kept = yard.keep();
        anyhow::bail!("{} things are wrong; logs in {}", audit.wrong.len(), kept.display());
    }
    yard.stop().await;
    Ok(())
}
