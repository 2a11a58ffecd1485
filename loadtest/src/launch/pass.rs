//! What one measurement of throughput took: time on the clock, and time on the processors of everybody who had a hand in it.

use std::time::Duration;

use tokio::time::Instant;

use super::Place;
use crate::cpu::Cpu;

/// Processor time of this process, of the broker, of the API server and of its store.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) client: Duration,
    pub(crate) nats: Duration,
    pub(crate) apiserver: Duration,
    pub(crate) etcd: Duration,
}

impl Spent {
    fn now(place: &Place) -> anyhow::Result<Self> {
        let cluster = place.plane()?;
        Ok(Self {
            client: Cpu::of_this(),
            nats: Cpu::of(place.stack.nats().server().pid()),
            apiserver: Cpu::of(cluster.apiserver().pid()),
            etcd: Cpu::of(cluster.etcd().pid()),
        })
    }

    fn since(self, before: Self) -> Self {
        Self {
            client: self.client.saturating_sub(before.client),
            nats: self.nats.saturating_sub(before.nats),
            apiserver: self.apiserver.saturating_sub(before.apiserver),
            etcd: self.etcd.saturating_sub(before.etcd),
        }
    }
}

/// One measurement: so many builds, launched within that time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    pub(crate) builds: u32,
    pub(crate) took: Duration,
    pub(crate) spent: Spent,
}

/// One that has begun.
pub(super) struct Begun<'a> {
    place: &'a Place,
    at: Instant,
    before: Spent,
}

impl<'a> Begun<'a> {
    pub(super) fn now(place: &'a Place) -> anyhow::Result<Self> {
        Ok(Self { place, before: Spent::now(place)?, at: Instant::now() })
    }

    pub(super) fn for_how_long(&self) -> Duration {
        self.at.elapsed()
    }

    /// So many builds are launched now.
    pub(super) fn ended(&self, builds: u32) -> anyhow::Result<Pass> {
        let took = self.for_how_long();
        Ok(Pass { builds, took, spent: Spent::now(self.place)?.since(self.before) })
    }
}
