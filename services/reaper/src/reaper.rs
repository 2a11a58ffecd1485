//! The shell: everything that a reaper of one executor listens to.

use std::{path::PathBuf, time::Duration};

use futures::FutureExt as _;
use jiff::Timestamp;
use switchyard_bus::{Bus, Clocks, Delivery, Durable, Events, Ledger, Unreadable, Window};
use switchyard_events::{BuildKey, Clock, ClockKind, Record, TimeLimit};
use switchyard_executor::{Executor, Observed};
use switchyard_runtime::{Context, Metrics};
use tracing::warn;

use crate::{
    Act, Elsewhere, LEAST_KEPT, Look, Policy, ReapError,
    act::{Done, Target, best_effort},
    fire, see,
    watched::Watched,
};

/// Settings of a reaper.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The fleet file, for as long as none is applied.
    #[arg(long, env = "SWITCHYARD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The executor whose pods it watches.
    #[arg(long, env = "SWITCHYARD_EXECUTOR", value_name = "NAME")]
    pub executor: String,
    /// Seconds between two sweeps for forgotten clocks.
    #[arg(long, env = "SWITCHYARD_SWEEP_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub sweep_seconds: u64,
    /// What a sweep may do.
    #[command(flatten)]
    pub sweeping: Sweeping,
}

/// What a sweep may do, and how much.
#[derive(Clone, Debug, clap::Args)]
pub struct Sweeping {
    /// The most that one sweep sees to; the rest is left to the next.
    #[arg(long, env = "SWITCHYARD_SWEEP_MOST", value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub sweep_most: u32,
    /// Never force out a pod whose node does not exist any more.
    #[arg(long, env = "SWITCHYARD_NEVER_FORCE")]
    pub never_force: bool,
    /// How old a pod without a record must be before it goes.
    #[arg(long, env = "SWITCHYARD_ORPHAN", value_name = "TIME", default_value = "10m")]
    pub orphan: TimeLimit,
    /// How long the records of ended builds are kept, at least 8d: their events are kept for 7d.
    #[arg(long, env = "SWITCHYARD_KEEP", value_name = "TIME", default_value = "30d", value_parser = kept)]
    pub keep: TimeLimit,
    /// How many ended builds of a pipeline are kept beyond 8d; without it, all.
    #[arg(long, env = "SWITCHYARD_HISTORY", value_name = "N")]
    pub history: Option<u32>,
}

fn kept(text: &str) -> Result<TimeLimit, String> {
    let limit: TimeLimit = text.parse().map_err(|error| format!("{error}"))?;
    if limit < LEAST_KEPT {
        Err(format!("at least {LEAST_KEPT}: an older record protects from its own events"))
    } else {
        Ok(limit)
    }
}

impl Sweeping {
    /// What the sweep of an executor's reaper goes by, in an installation.
    #[must_use]
    pub fn policy(&self, executor: &str, installation: Option<String>) -> Policy {
        let most = usize::try_from(self.sweep_most).unwrap_or(usize::MAX);
        let history = self.history.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
        Policy {
            installation,
            orphan: self.orphan,
            force: !self.never_force,
            most,
            keep: self.keep,
            history,
            ..Policy::of(executor)
        }
    }
}

/// A reaper of one executor's pods.
pub struct Reaper<B, X> {
    pub(crate) bus: B,
    pub(crate) executor: X,
    pub(crate) now: fn() -> Timestamp,
    pub(crate) decisions: Decisions,
    pub(crate) policy: Policy,
    pub(crate) watched: Watched,
    pub(crate) log_link: Option<String>,
    pub(crate) elsewhere: Elsewhere,
}

/// The decisions that a reaper acts on.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Decisions {
    /// When a clock has run out.
    pub fire: fn(ClockKind, &Record, u32, &Look, Timestamp) -> Vec<Act>,
    /// When a pod is seen.
    pub see: fn(Option<&Record>, &Observed, Timestamp) -> Vec<Act>,
}

impl Default for Decisions {
    fn default() -> Self {
        Self { fire, see }
    }
}

impl<B, X> Reaper<B, X> {
    /// A reaper of `executor`'s pods.
    pub fn new(bus: B, executor: X) -> Self
    where
        X: Executor,
    {
        let policy = Policy::of(executor.name());
        let (decisions, watched) = (Decisions::default(), Watched::default());
        let elsewhere = Elsewhere::default();
        Self { bus, executor, now: Timestamp::now, decisions, policy, watched, log_link: None, elsewhere }
    }

    /// The same reaper, but its sweep goes by this.
    #[must_use]
    pub fn governed_by(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The same reaper, and it tells where people read what a build says.
    #[must_use]
    pub fn linking_logs(self, log_link: Option<String>) -> Self {
        Self { log_link, ..self }
    }

    /// The same reaper, told by this where else a waiting build might begin.
    #[must_use]
    pub fn knowing(self, elsewhere: Elsewhere) -> Self {
        Self { elsewhere, ..self }
    }

    /// The same reaper, counting what it does in these metrics.
    #[must_use]
    pub fn measured_by(self, metrics: Metrics) -> Self {
        Self { watched: Watched(metrics), ..self }
    }

    /// The same reaper, but the time is what `now` says.
    #[must_use]
    pub fn told_the_time_by(self, now: fn() -> Timestamp) -> Self {
        Self { now, ..self }
    }

    /// The same reaper, but these decide. For tests alone, which must see a wrong decision do harm.
    #[doc(hidden)]
    #[must_use]
    pub fn deciding_by(self, decisions: Decisions) -> Self {
        Self { decisions, ..self }
    }
}

impl<X: Executor> Reaper<Bus, X> {
    /// Reaps until the service is to stop.
    ///
    /// # Errors
    /// None that passes by itself.
    pub async fn run(self, service: Context, sweep: Duration) -> anyhow::Result<()> {
        let name = self.executor.name().to_owned();
        self.watched.begin();
        let window = Window { at_once: 64, batch: 64 };
        let bus = self.bus.clone();
        let [progress, results, cancels, clocks] =
            [Durable::progress(&name), Durable::results(), Durable::cancels(&name), Durable::clocks(&name)];
        if !bus.until_provisioned(&[&progress, &results, &cancels, &clocks], service.shutdown.requested()).await {
            return Ok(());
        }
        let stop = || service.shutdown.requested();
        let events = bus.consume(&progress, window, stop(), |delivery| self.progress(delivery)).boxed();
        let results = bus.consume(&results, window, stop(), |delivery| self.progress(delivery)).boxed();
        let cancels = bus.consume(&cancels, window, stop(), |delivery| self.asked(delivery)).boxed();
        let fires = bus.consume(&clocks, window, stop(), |delivery| self.fired(delivery)).boxed();
        let watch = self.watch(&service).map(Ok).boxed();
        let sweep = self.sweep(&service, sweep).map(Ok).boxed();
        futures::future::try_join_all([events, results, cancels, fires, watch, sweep]).await?;
        Ok(())
    }

    async fn fired(&self, delivery: Delivery) -> Result<(), ReapError> {
        let clock: Clock = delivery.subject.parse().map_err(|error| ReapError::Unreadable(Unreadable::Clock(error)))?;
        if let Ok(late) = Duration::try_from((self.now)().duration_since(delivery.stored)) {
            self.watched.fired(clock.kind, late);
        }
        self.fire(&clock.build, clock.attempt, clock.kind).await
    }
}

impl<B: Ledger + Events + Clocks, X: Executor> Reaper<B, X> {
    /// Does what is due when a clock has run out.
    ///
    /// The look is younger than the record that is decided upon; when somebody else writes in between, both are taken again.
    ///
    /// # Errors
    /// When the ledger, the streams or the clocks do not answer; doing it again is safe.
    pub async fn fire(&self, build: &BuildKey, attempt: u32, kind: ClockKind) -> Result<(), ReapError> {
        while let Some((record, revision)) = self.bus.read(build).await? {
            let bound = record.attempt(attempt).and_then(|attempt| attempt.bound.clone());
            if bound.as_ref().is_some_and(|bound| bound.executor != self.executor.name()) {
                return Ok(());
            }
            let look = match &bound {
                Some(bound) => self.look(build, attempt, &bound.uid).await,
                None => Look::Unbound(record.attempt(attempt).map(|attempt| self.elsewhere.places(attempt)).unwrap_or_default()),
            };
            let target = Target { build, attempt, uid: bound.as_ref().map(|bound| bound.uid.as_str()) };
            let acts = (self.decisions.fire)(kind, &record, attempt, &look, (self.now)());
            match best_effort(self.perform(target, acts, Some((record, revision))).await)? {
                Some(Done::All(_)) | None => break,
                Some(Done::Outrun) => {}
            }
        }
        Ok(())
    }

    pub(crate) async fn look(&self, build: &BuildKey, attempt: u32, uid: &str) -> Look {
        match self.executor.look(build, attempt).await {
            Ok(Some(pod)) if pod.uid == uid => Look::Present(Box::new(pod)),
            Ok(_) => Look::Absent,
            Err(error) => {
                warn!(%build, attempt, %error, "nothing is assumed");
                Look::Unreachable
            }
        }
    }
}
