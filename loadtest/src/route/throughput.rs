//! How long it takes until everything that waits is routed: by our router, and by the loop that decides nothing.

use std::time::Duration;

use anyhow::ensure;
use switchyard_bus::Durable;
use switchyard_fleet::Fleet;
use tokio::time::Instant;

use super::{ceiling, ours, requests};
use crate::{
    broker::{Broker, Packet},
    cpu::Cpu,
};

/// What was measured from the first pull to the last acknowledgement, in one turn or in several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    pub(crate) events: u32,
    pub(crate) took: Duration,
    pub(crate) cpu: Cpu,
}

impl Pass {
    /// Two turns of the same together.
    fn and(self, other: Self) -> Self {
        Self { events: self.events + other.events, took: self.took + other.took, cpu: self.cpu.and(other.cpu) }
    }
}

/// Our router and the loop beside it, by turns of so many builds each, and one of the events that the router published.
///
/// A machine changes its speed all the time: so both have their share of its fast and of its slow moments. Who is first in one turn is second in the next.
pub(crate) async fn by_turns(events: u32, turns: u32, workers: usize, fleet: &Fleet) -> anyhow::Result<(Pass, Pass, Packet)> {
    let (mut ours, template) = of_ours(events, workers, fleet).await?;
    let mut ceiling = of_ceiling(events, workers, fleet, template.clone()).await?;
    for turn in 1..turns {
        let again = async || anyhow::Ok(of_ours(events, workers, fleet).await?.0);
        let beside = async || of_ceiling(events, workers, fleet, template.clone()).await;
        let (routed, forwarded) = if turn % 2 == 0 {
            let routed = again().await?;
            (routed, beside().await?)
        } else {
            let forwarded = beside().await?;
            (again().await?, forwarded)
        };
        (ours, ceiling) = (ours.and(routed), ceiling.and(forwarded));
    }
    Ok((ours, ceiling, template))
}

/// What our router needs, and one of the events that it published.
async fn of_ours(events: u32, workers: usize, fleet: &Fleet) -> anyhow::Result<(Pass, Packet)> {
    let broker = loaded(events, fleet).await?;
    let before = Cpu::now(broker.pid());
    let router = ours::start(&broker, workers, fleet).await?;
    let pass = until_drained(&broker, router.begun, before, events).await?;
    let template = broker.first("YARD").await?;
    router.stop().await?;
    broker.stop().await;
    Ok((pass, template))
}

/// What the loop needs that publishes the same bytes.
async fn of_ceiling(events: u32, workers: usize, fleet: &Fleet, template: Packet) -> anyhow::Result<Pass> {
    let broker = loaded(events, fleet).await?;
    let builds = (0..events).map(requests::key).collect();
    let before = Cpu::now(broker.pid());
    let ceiling = ceiling::start(&broker, workers, template, builds).await?;
    let pass = until_drained(&broker, ceiling.begun, before, events).await?;
    ceiling.stop().await?;
    broker.stop().await;
    Ok(pass)
}

async fn loaded(events: u32, fleet: &Fleet) -> anyhow::Result<Broker> {
    let broker = Broker::start(fleet).await?;
    broker.load((0..events).map(requests::packet)).await?;
    Ok(broker)
}

async fn until_drained(broker: &Broker, begun: Instant, before: Cpu, events: u32) -> anyhow::Result<Pass> {
    let took = broker.drained(&Durable::requests()).await? - begun;
    let cpu = Cpu::now(broker.pid()).since(before);
    let stored = broker.messages("YARD").await?;
    ensure!(stored == u64::from(events), "{stored} events are stored for {events} requests");
    Ok(Pass { events, took, cpu })
}
