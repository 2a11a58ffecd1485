//! The shell of the service: what it reads, for as long as it lives.

use std::path::PathBuf;

use switchyard_bus::Bus;

/// Settings of a trainer.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The program that reads data and the models' stores [default: switchyard-pipeline, beside this program or on PATH].
    #[arg(long, env = "SWITCHYARD_PIPELINE", value_name = "FILE")]
    pub pipeline: Option<PathBuf>,
}

/// A trainer.
pub struct Trainer {
    bus: Bus,
}

impl Trainer {
    /// A trainer over a bus.
    #[must_use]
    pub const fn new(bus: Bus, _args: &Args) -> Self {
        Self { bus }
    }

    /// Works until the service is to stop.
    ///
    /// # Errors
    /// None that passes by itself.
    pub async fn run(self, service: switchyard_runtime::Context) -> anyhow::Result<()> {
        let durables = [&switchyard_bus::Durable::trainings(), &switchyard_bus::Durable::asked()];
        if !self.bus.until_provisioned(&durables, service.shutdown.requested()).await {
            return Ok(());
        }
        service.health.ready();
        service.shutdown.requested().await;
        Ok(())
    }
}
