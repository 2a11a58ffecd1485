//! The shell of the service: what it reads, for as long as it lives.

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures::FutureExt as _;
use switchyard_bus::{Bus, Durable, Window, once_provisioned};
use switchyard_runtime::Context;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::{Monitor, decide::Decider};

/// Settings of a trainer.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The program that reads data and the models' stores [default: switchyard-pipeline, beside this program or on PATH].
    #[arg(long, env = "SWITCHYARD_PIPELINE", value_name = "FILE")]
    pub pipeline: Option<PathBuf>,
    /// How often it is looked whether a cooldown, a back-off or a time of `cron` has come.
    #[arg(long, env = "SWITCHYARD_TICK_SECONDS", value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub tick_seconds: u64,
}

/// A trainer.
pub struct Trainer {
    bus: Bus,
    args: Args,
}

/// Steps of one model do not run beside each other, and those of many need not.
const FEW: Window = Window { at_once: 32, batch: 32 };

impl Trainer {
    /// A trainer over a bus.
    #[must_use]
    pub fn new(bus: Bus, args: &Args) -> Self {
        Self { bus, args: args.clone() }
    }

    /// Works until the service is to stop.
    ///
    /// # Errors
    /// None that passes by itself.
    pub async fn run(self, service: Context) -> anyhow::Result<()> {
        let (trainings, asked) = (Durable::trainings(), Durable::asked());
        if !self.bus.until_provisioned(&[&trainings, &asked], service.shutdown.requested()).await {
            return Ok(());
        }
        let open = || Decider::open(self.bus.clone(), self.args.pipeline.clone(), service.metrics.clone());
        let Some((decider, woken)) = once_provisioned(open, service.shutdown.requested()).await else { return Ok(()) };
        service.health.ready();
        let stop = || service.shutdown.requested();
        let ends = self.bus.consume(&trainings, FEW, stop(), |delivery| decider.finished(delivery));
        let people = self.bus.consume(&asked, FEW, stop(), |delivery| decider.asked(delivery));
        let (seen, program) = (Arc::new(decider.clone()), self.args.pipeline.as_deref());
        let monitor = Monitor::new(self.bus.clone(), seen, service.metrics.clone(), program);
        let heard = futures::future::try_join(ends.boxed(), people.boxed());
        tokio::select! {
            ended = heard => ended.map(drop).map_err(Into::into),
            () = decider.attend(woken) => Ok(()),
            () = monitor.run() => Ok(()),
            () = tick(&decider, Duration::from_secs(self.args.tick_seconds)) => Ok(()),
            () = decider.models.follow(&self.bus, |model| drop(decider.wake.send(model))) => Ok(()),
        }
    }
}

/// Looks now and then whether the time has come for what waits; it never ends. Times that were missed are one.
async fn tick(decider: &Decider, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for model in decider.models.names() {
            if let Err(error) = decider.look_after(&model).await {
                warn!(model, %error, "it will be looked after later");
            }
        }
    }
}
