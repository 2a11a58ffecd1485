//! Our launcher at work, as the service runs it.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use async_nats::jetstream::{self, consumer::PullConsumer};
use futures::{StreamExt as _, stream};
use switchyard_bus::{Bus, Durable, Events as _};
use switchyard_executor::Kubernetes;
use switchyard_launcher::Launcher;
use switchyard_runtime::{Context, Health, Metrics, Shutdown};
use tokio::{task::JoinHandle, time::sleep};

use super::{
    EXECUTOR, Place, builds,
    pass::{Begun, Pass},
};

/// How long everything that waits may take.
const DRAINED_WITHIN: Duration = Duration::from_mins(5);
const PUBLISHED_AT_ONCE: usize = 200;

/// A launcher at work; it ends with [`Running::stop`].
pub(super) struct Running {
    shutdown: Shutdown,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub(super) async fn start(place: &Place, at_once: usize) -> anyhow::Result<Self> {
        let nats = place.stack.nats().connect("launcher").await?;
        let executor = Kubernetes::connect(place.fleet.default_executor()).await?;
        let launcher = Launcher::new(Bus::new(nats.clone()), executor, Arc::new(place.fleet.clone()));
        let shutdown = Shutdown::default();
        let service = Context { nats, shutdown: shutdown.clone(), health: Health::default(), metrics: Metrics::default() };
        Ok(Self { shutdown, task: tokio::spawn(launcher.run(service, at_once)) })
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.request();
        self.task.await?
    }
}

/// From the launcher's start until the last one that waited is launched and acknowledged.
pub(super) async fn throughput(place: &Place, count: u32, at_once: usize) -> anyhow::Result<Pass> {
    let bus = Bus::new(place.stack.nats().connect("loadtest").await?);
    let routed = (0..count).map(|n| builds::routed("throughput", n).outgoing());
    let mut published =
        stream::iter(routed).map(async |outgoing| anyhow::Ok(bus.publish(outgoing?).await?)).buffer_unordered(PUBLISHED_AT_ONCE);
    while let Some(stored) = published.next().await {
        stored?;
    }
    drop(published);
    let js = jetstream::new(place.stack.nats().connect("loadtest").await?);
    let durable = Durable::routed(EXECUTOR);
    let mut consumer: PullConsumer = js.get_consumer_from_stream(&durable.name, durable.stream).await?;
    let begun = Begun::now(place)?;
    let running = Running::start(place, at_once).await?;
    let pass = loop {
        let info = consumer.info().await?;
        if info.num_pending == 0 && info.num_ack_pending == 0 {
            break begun.ended(count)?;
        }
        ensure!(begun.for_how_long() < DRAINED_WITHIN, "{} builds are left after {DRAINED_WITHIN:?}", info.num_pending);
        sleep(Duration::from_millis(20)).await;
    };
    running.stop().await?;
    Ok(pass)
}
