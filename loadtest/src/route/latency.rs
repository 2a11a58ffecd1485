//! How soon a published request is with a launcher as a routed build, at a steady rate.
//!
//! Time counts from the moment at which the request was due, whether or not the publisher was late: what waits for a slow
//! publisher waits too. It ends when a consumer of stream YARD, as a launcher has one, is handed the routed event.

use std::{
    collections::HashMap,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use async_nats::{
    Client,
    jetstream::{
        self,
        consumer::{AckPolicy, pull},
    },
};
use futures::{StreamExt as _, stream::FuturesUnordered};
use switchyard_fleet::Fleet;
use tokio::sync::mpsc;

use super::{ceiling, ours, requests, running::Running};
use crate::broker::{Broker, Packet, publish};

const ROUTED: &str = "yard.dev.cdeventsx.switchyard-build.routed.>";
/// The seconds that are not counted: connections, caches and memory are new.
const WARM_UP: u32 = 1;
/// How long the last routed event may be on its way.
const LAST_WITHIN: Duration = Duration::from_secs(10);

/// How many requests a second, for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) rate: u32,
    pub(crate) seconds: u32,
}

impl Load {
    /// The warm-up included.
    fn requests(self) -> u32 {
        self.rate * (WARM_UP + self.seconds)
    }
}

/// With our router at work: one latency per request of the counted seconds, sorted.
pub(crate) async fn of_ours(load: Load, workers: usize, fleet: &Fleet) -> anyhow::Result<Vec<Duration>> {
    measure(load, fleet, async |broker| ours::start(broker, workers, fleet).await).await
}

/// The same with the loop that decides nothing: what machine, server and client alone take.
pub(crate) async fn of_ceiling(load: Load, workers: usize, fleet: &Fleet, template: Packet) -> anyhow::Result<Vec<Duration>> {
    let builds = (0..load.requests()).map(requests::key).collect();
    measure(load, fleet, async |broker| ceiling::start(broker, workers, template, builds).await).await
}

async fn measure<S>(load: Load, fleet: &Fleet, start: S) -> anyhow::Result<Vec<Duration>>
where
    S: AsyncFnOnce(&Broker) -> anyhow::Result<Running>,
{
    let broker = Broker::start(fleet).await?;
    let (warm_up, all) = (load.rate * WARM_UP, load.requests());
    let numbers: HashMap<_, _> = (0..all).map(|n| (requests::key(n).to_string(), n)).collect();
    let running = start(&broker).await?;
    let arriving = listen(&broker).await?;
    let begin = Instant::now() + Duration::from_millis(200);
    let due = move |n: u32| begin + Duration::from_secs(1) * n / load.rate;
    let publisher = tokio::spawn(publish_at(broker.connect_publisher().await?, pace(all, due)));
    let mut latencies = arrivals(arriving, &numbers, due).await?;
    publisher.await??;
    running.stop().await?;
    broker.stop().await;
    latencies.retain(|(n, _)| *n >= warm_up);
    let mut counted: Vec<_> = latencies.into_iter().map(|(_, latency)| latency).collect();
    counted.sort_unstable();
    Ok(counted)
}

/// Says of each request when it is due. A thread of its own, because tokio's timers are late by up to a millisecond.
fn pace(all: u32, due: impl Fn(u32) -> Instant + Send + 'static) -> mpsc::UnboundedReceiver<u32> {
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for n in 0..all {
            thread::sleep(due(n).saturating_duration_since(Instant::now()));
            if sender.send(n).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Publishes each request when its number comes, without waiting for those before.
async fn publish_at(client: Client, mut numbers: mpsc::UnboundedReceiver<u32>) -> anyhow::Result<()> {
    let js = jetstream::new(client);
    let mut sent = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(stored) = sent.next(), if !sent.is_empty() => stored?,
            number = numbers.recv() => match number {
                Some(n) => sent.push(publish(&js, requests::packet(n)?)),
                None => break,
            },
        }
    }
    while let Some(stored) = sent.next().await {
        stored?;
    }
    Ok(())
}

async fn listen(broker: &Broker) -> anyhow::Result<pull::Stream> {
    let js = jetstream::new(broker.connect("loadtest").await?);
    let config = pull::Config {
        durable_name: Some("loadtest".into()),
        ack_policy: AckPolicy::Explicit,
        filter_subject: ROUTED.into(),
        ..pull::Config::default()
    };
    let consumer = js.create_consumer_on_stream(config, "YARD").await?;
    Ok(consumer.messages().await?)
}

/// When each routed event came, counted from when its request was due.
async fn arrivals(
    mut routed: pull::Stream,
    numbers: &HashMap<String, u32>,
    due: impl Fn(u32) -> Instant,
) -> anyhow::Result<Vec<(u32, Duration)>> {
    let mut latencies = Vec::with_capacity(numbers.len());
    while latencies.len() < numbers.len() {
        let next = tokio::time::timeout(LAST_WITHIN, routed.next()).await;
        let message = next.with_context(|| format!("only {} of {} were routed", latencies.len(), numbers.len()))?;
        let now = Instant::now();
        let message = message.context("the consumer is gone")??;
        let build = message.subject.rsplit('.').nth(1).unwrap_or_default();
        let n = *numbers.get(build).with_context(|| format!("{build} was not asked for"))?;
        latencies.push((n, now.saturating_duration_since(due(n))));
        ensure!(message.ack().await.is_ok(), "cannot acknowledge");
    }
    Ok(latencies)
}
