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

use super::{ours, requests};
use crate::broker::{Broker, publish};

const ROUTED: &str = "yard.dev.cdeventsx.switchyard-build.routed.>";
/// The seconds that are not counted: connections, caches and memory are new.
const WARM_UP: u32 = 1;
/// How long the last routed event may be on its way.
const LAST_WITHIN: Duration = Duration::from_secs(10);

/// One latency per request of the counted seconds, sorted.
pub(crate) async fn measure(fleet: &Fleet, workers: usize, rate: u32, seconds: u32) -> anyhow::Result<Vec<Duration>> {
    let broker = Broker::start(fleet).await?;
    let (warm_up, all) = (rate * WARM_UP, rate * (WARM_UP + seconds));
    let numbers: HashMap<_, _> = (0..all).map(|n| (requests::key(n).to_string(), n)).collect();
    let router = ours::start(&broker, workers, fleet).await?;
    let arriving = listen(&broker).await?;
    let begin = Instant::now() + Duration::from_millis(200);
    let due = move |n: u32| begin + Duration::from_secs(1) * n / rate;
    let publisher = tokio::spawn(publish_at(broker.connect_publisher().await?, pace(all, due)));
    let mut latencies = arrivals(arriving, &numbers, due).await?;
    publisher.await??;
    router.stop().await?;
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
