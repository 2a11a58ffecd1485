//! Rows out of messages: they wait in the stream; then the real monitor starts, and counts until the last is counted and kept.

use std::time::{Duration, Instant};

use anyhow::ensure;
use async_nats::HeaderMap;
use switchyard_trainer::{Decide, Judged};

use super::{
    rows::{Draw, object},
    watched::{MODEL, Watched},
};
use crate::{broker::Packet, cpu::Cpu};

/// How long counting may take.
const PATIENCE: Duration = Duration::from_mins(2);
/// Rows of a batch.
const BATCH: u32 = 500;

/// What was counted, and what it took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    rows: f64,
    clock: Duration,
    processor: Duration,
}

impl Counted {
    /// By the clock, the server beside us on the same machine.
    pub(super) fn per_second(self) -> f64 {
        self.rows / self.clock.as_secs_f64()
    }

    /// In a second of our own processor time.
    pub(super) fn per_core(self) -> f64 {
        self.rows / self.processor.as_secs_f64()
    }
}

/// Messages, and how many rows they hold.
pub(super) struct Load {
    messages: Vec<Packet>,
    rows: u32,
}

/// Batches of rows, as JSON.
pub(super) fn batches(rows: u32) -> Load {
    let mut draw = Draw(2);
    // The same hundred batches again and again: what is measured is not how they are made.
    let kinds: Vec<String> = (0..100).map(|_| batch(&mut draw)).collect();
    let messages = (0..rows.div_ceil(BATCH)).map(|n| packet(n, "switchyard.inference.rows", &kinds[n as usize % kinds.len()]));
    Load { messages: messages.collect(), rows: rows.div_ceil(BATCH) * BATCH }
}

fn batch(draw: &mut Draw) -> String {
    let rows: Vec<String> = (0..BATCH).map(|_| object(draw)).collect();
    format!("{{\"rows\":[{}]}}", rows.join(","))
}

/// Requests of one row each, as the logger of a model server writes them.
pub(super) fn single(events: u32) -> Load {
    let mut draw = Draw(3);
    let kinds: Vec<String> = (0..1000).map(|_| format!("{{\"instances\":[{}]}}", object(&mut draw))).collect();
    let messages = (0..events).map(|n| packet(n, "org.kubeflow.serving.inference.request", &kinds[n as usize % kinds.len()]));
    Load { messages: messages.collect(), rows: events }
}

pub(super) fn packet(id: u32, ty: &str, data: &str) -> Packet {
    let mut headers = HeaderMap::new();
    let id = id.to_string();
    for (name, value) in [("ce-specversion", "1.0"), ("ce-id", id.as_str()), ("ce-source", "/models/churn"), ("ce-type", ty)] {
        headers.insert(name, value);
    }
    headers.insert("ce-datacontenttype", "application/json");
    Packet { subject: format!("inference.{MODEL}.0"), headers, payload: data.to_owned().into() }
}

/// Decides nothing.
struct Nobody;

impl Decide for Nobody {
    async fn see(&self, _judged: &Judged) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Loads a broker, then counts.
pub(super) async fn counted(load: Load) -> anyhow::Result<Counted> {
    let watched = Watched::start("{window: {rows: 50000}}").await?;
    let last = load.messages.len() as u64;
    watched.broker.load_as("loadtest", load.messages.into_iter().map(Ok)).await?;
    let monitor = watched.monitor(Nobody).await?;
    let (begun, before) = (Instant::now(), Cpu::of_this());
    let counting = tokio::spawn(monitor.run());
    while watched.position(0).await? < last {
        ensure!(begun.elapsed() < PATIENCE, "not counted within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (clock, processor) = (begun.elapsed(), Cpu::of_this().saturating_sub(before));
    counting.abort();
    watched.broker.stop().await;
    Ok(Counted { rows: f64::from(load.rows), clock, processor })
}
