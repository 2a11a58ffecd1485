//! From when the last row of a window was stored until who decides has kept what he made of it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use switchyard_bus::Bus;
use switchyard_trainer::{Decide, Judged};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    messages::packet,
    rows::{Draw, object},
    watched::{MODEL, Watched},
};
use crate::broker::publish;

/// Two messages fill a window of two partitions.
const ROWS: usize = 100;
/// How many messages come in a second.
const RATE: u32 = 20;
/// The first seconds do not count.
const WARM: u32 = 2;

/// Keeps what it was told, as a policy does: one write after a read.
struct Keeper {
    bus: Bus,
    times: Arc<Mutex<Vec<Duration>>>,
}

impl Decide for Keeper {
    async fn see(&self, judged: &Judged) -> anyhow::Result<()> {
        let key = format!("policy.{}", judged.model);
        let revision = self.bus.state(&key).await?.map(|(_, revision)| revision);
        self.bus.keep_state(&key, serde_json::to_vec(judged)?.into(), revision).await?;
        let took = Duration::try_from(Timestamp::now().duration_since(judged.at)).unwrap_or_default();
        if judged.window > u64::from(WARM * RATE / 2) {
            self.times.lock().unwrap_or_else(PoisonError::into_inner).push(took);
        }
        Ok(())
    }
}

/// Lets windows close at a steady rate for so many seconds; the times of their decisions, sorted.
pub(super) async fn times(seconds: u32) -> anyhow::Result<Vec<Duration>> {
    let watched = Watched::start("{input: {partitions: 2}, window: {rows: 200}, minSamples: 100}").await?;
    let times = Arc::<Mutex<Vec<Duration>>>::default();
    let bus = Bus::new(watched.broker.connect("trainer").await?);
    let watching = tokio::spawn(watched.monitor(Keeper { bus, times: Arc::clone(&times) }).await?.run());
    let js = watched.bus.jetstream();
    let (mut draw, mut ticks) = (Draw(5), interval(Duration::from_secs(1) / RATE));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for n in 0..(seconds + WARM) * RATE {
        let rows: Vec<String> = (0..ROWS).map(|_| object(&mut draw)).collect();
        let mut packet = packet(n, "switchyard.inference.rows", &format!("{{\"rows\":[{}]}}", rows.join(",")));
        packet.subject = format!("inference.{MODEL}.{}", n % 2);
        ticks.tick().await;
        publish(js, packet).await?;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    watching.abort();
    watched.broker.stop().await;
    let mut times = std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner));
    times.sort_unstable();
    anyhow::ensure!(!times.is_empty(), "no window was decided");
    Ok(times)
}
