//! `loadtest timers`: how late clocks are when very many run out together, and whether what follows is done once although the
//! broker dies.

mod builds;
mod heard;
mod report;

use std::{num::NonZeroU32, time::Duration};

use anyhow::Context as _;
use clap::ValueEnum;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use switchyard_bus::{Bus, Clocks as _};
use switchyard_events::{BuildKey, Clock, ClockKind, derived_traceparent};
use switchyard_fleet::Fleet;
use tokio::time::{Instant, sleep, timeout};

use crate::broker::Broker;
use heard::Heard;
use report::Run;

/// Settings of `timers`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// How many clocks are armed.
    #[arg(long, default_value = "100000", value_name = "N")]
    clocks: NonZeroU32,
    /// Within how many seconds all of them are due.
    #[arg(long, default_value_t = 10, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=600))]
    within: u32,
    /// When nats-server is killed and started again.
    #[arg(long, value_enum, default_value_t = Kill::Before)]
    kill: Kill,
    /// Who listens for the clocks.
    #[arg(long, value_enum, default_value_t = Listener::Note)]
    listener: Listener,
    /// With `--kill during`: whether whoever listens is ended before nats-server is killed, and begins anew afterwards.
    #[arg(long)]
    listener_too: bool,
    /// Whether to end with one JSON object on a line of its own.
    #[arg(long)]
    json: bool,
}

/// When nats-server is killed and started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kill {
    /// Not at all.
    Never,
    /// After all are armed, before any is due.
    Before,
    /// When half of them are due.
    During,
}

/// Who listens for the clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Listener {
    /// Somebody who only takes note: how good the clocks themselves are.
    Note,
    /// A reaper: each clock is the end of a build that nobody took, decided in the ledger and made known.
    Reaper,
}

/// The executor whose clocks they are.
const EXECUTOR: &str = "k8s";
const FLEET: &str = "version: 1\nexecutor: {plugin: k8s, k8s: {options: {kubernetes: {}}}}\n";
/// Clocks armed at once, as many reapers would.
const AT_ONCE: usize = 500;
/// Arming takes this long at most, and so do the restart and what is late: then a clock is lost.
const SLOWEST_ARMED: u32 = 8_000;
const RESTART: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_mins(1);

/// Measures, prints a table and, if asked to, the JSON object.
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let broker = Broker::start(&Fleet::parse(FLEET)?).await?;
    let run = measure(args, &broker).await?;
    broker.stop().await;
    println!(
        "{} clocks due within {} s; nats-server is killed: {:?}; listener: {:?}",
        args.clocks, args.within, args.kill, args.listener
    );
    report::print(&run);
    if args.json {
        println!("{}", serde_json::to_string(&run)?);
    }
    Ok(())
}

async fn measure(args: &Args, broker: &Broker) -> anyhow::Result<Run> {
    let clocks = args.clocks.get();
    let bus = Bus::new(broker.connect("loadtest").await?);
    let reaping = args.listener == Listener::Reaper;
    let empty = broker.resident();
    if reaping {
        builds::open(&bus, clocks).await?;
    }
    // Armed once for much later, and then again for when they are to fire: the second time replaces the first.
    let later = Timestamp::now().checked_add(Duration::from_hours(24))?;
    let armed = arm(&bus, clocks, |_| later).await?;
    let begin = Timestamp::now().checked_add(Duration::from_secs(u64::from(clocks.div_ceil(SLOWEST_ARMED))) + RESTART)?;
    let due = Due { begin, within: Duration::from_secs(args.within.into()), clocks };
    let rearmed = arm(&bus, clocks, |n| due.of(n)).await?;
    let pending = broker.resident();

    // The listener connects as services do: how soon it is back after the broker is part of the answer.
    let mut heard = Heard::listen(Bus::new(broker.connect_service("reaper").await?), clocks, reaping);
    let ready = match args.kill {
        Kill::Never => None,
        Kill::Before => Some(restart(broker).await?),
        Kill::During => {
            until(due.of(clocks / 2)).await;
            if args.listener_too {
                heard.stop().await;
            }
            let ready = restart(broker).await?;
            if args.listener_too {
                heard.go_on();
            }
            Some(ready)
        }
    };
    until(due.of(clocks)).await;
    // What is not heard by then is lost, and told as such.
    let _ = timeout(PATIENCE, heard.all()).await;
    let fired = broker.resident();
    heard.stop().await;
    let late = heard.lateness(&due, ready.filter(|_| args.kill == Kill::During));
    let stored_twice = builds::stored_twice(&bus, clocks).await?;
    let ends = if reaping { Some(builds::audit(&bus, clocks).await?) } else { None };
    Ok(Run::of(args, [armed, rearmed], [empty, pending, fired], (late, stored_twice, ends)))
}

/// When each clock is due.
pub(crate) struct Due {
    begin: Timestamp,
    within: Duration,
    clocks: u32,
}

impl Due {
    pub(crate) fn of(&self, n: u32) -> Timestamp {
        let after = self.within.mul_f64(f64::from(n) / f64::from(self.clocks));
        // The schedule is told in milliseconds.
        let at = self.begin.saturating_add(after).unwrap_or(self.begin);
        Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
    }
}

pub(crate) fn clock(n: u32) -> Clock {
    let build = BuildKey::of("/timers", &n.to_string(), "timer");
    Clock { executor: EXECUTOR.to_owned(), kind: ClockKind::Queued, build, attempt: 1 }
}

/// Arms every clock; answers how many a second.
async fn arm(bus: &Bus, clocks: u32, due: impl Fn(u32) -> Timestamp) -> anyhow::Result<f64> {
    let begun = Instant::now();
    stream::iter(0..clocks)
        .map(|n| {
            let (clock, due) = (clock(n), due(n));
            let trace = derived_traceparent(&clock.build);
            async move { bus.arm(&clock, due, &trace).await }
        })
        .buffer_unordered(AT_ONCE)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await
        .context("a clock could not be armed")?;
    Ok(f64::from(clocks) / begun.elapsed().as_secs_f64())
}

/// Kills the server and starts it again; answers when it was ready.
async fn restart(broker: &Broker) -> anyhow::Result<Timestamp> {
    broker.restart().await?;
    Ok(Timestamp::now())
}

async fn until(at: Timestamp) {
    if let Ok(left) = Duration::try_from(at.duration_since(Timestamp::now())) {
        sleep(left).await;
    }
}
