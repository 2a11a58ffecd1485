//! Our router, as the service runs it.

use async_nats::Client;
use switchyard_bus::Bus;
use switchyard_fleet::Fleet;
use switchyard_router::Router;
use switchyard_runtime::{Context, Health, Metrics, Shutdown};

use super::running::Running;
use crate::broker::Broker;

/// Starts a router over a fleet.
pub(crate) async fn start(broker: &Broker, workers: usize, fleet: &Fleet) -> anyhow::Result<Running> {
    let fleet = fleet.clone();
    Running::start(broker, workers, move |nats: Client, shutdown: Shutdown| {
        let router = Router::new(Bus::new(nats.clone()), fleet);
        router.run(Context { nats, shutdown, health: Health::default(), metrics: Metrics::default() })
    })
    .await
}
