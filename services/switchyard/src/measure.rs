//! What a service tells of consumers: how far behind they are, and how old the oldest event is that nobody has handled. Also of
//! others' consumers: those of a service that is down would else be told of by nobody.

use std::time::Duration;

use switchyard_bus::{Bus, Durable, Lag};
use switchyard_runtime::Metrics;
use tracing::debug;

/// Asking costs the broker a few requests a consumer.
const EVERY: Duration = Duration::from_secs(15);

/// Keeps the metrics of these consumers true; it never ends.
pub(crate) async fn consumers(bus: &Bus, metrics: &Metrics, durables: impl Fn() -> Vec<Durable>) {
    loop {
        for durable in durables() {
            match bus.lag(&durable).await {
                Ok(lag) => tell(metrics, &durable, lag),
                Err(error) => debug!(durable = durable.name, %error, "not measured"),
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Keeps the number of dead letters true; it never ends.
pub(crate) async fn dead_letters(bus: &Bus, metrics: &Metrics) {
    loop {
        if let Ok(letters) = bus.held("DEAD").await {
            metrics.gauge("switchyard_dead_letters", "Letters in stream DEAD.", &[]).set(number(letters));
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// What is read once in an installation: by the routers and by the trainers.
pub(crate) fn common() -> Vec<Durable> {
    [&routing()[..], &training()[..]].concat()
}

/// What routers read.
pub(crate) fn routing() -> [Durable; 3] {
    [Durable::requests(), Durable::requeued(), Durable::training_requests()]
}

/// What trainers read.
pub(crate) fn training() -> [Durable; 2] {
    [Durable::trainings(), Durable::asked()]
}

/// What launchers and reapers of an executor read.
pub(crate) fn executing(executor: &str) -> Vec<Durable> {
    let reaping = [Durable::progress(executor), Durable::results(), Durable::cancels(executor), Durable::clocks(executor)];
    [&[Durable::routed(executor)][..], &reaping[..]].concat()
}

fn tell(metrics: &Metrics, durable: &Durable, lag: Lag) {
    let labels = [("stream", durable.stream), ("consumer", durable.name.as_str())];
    let gauge = |name, help, value| metrics.gauge(name, help, &labels).set(value);
    let oldest = lag.oldest.map_or(0, |age| number(age.as_secs()));
    gauge("switchyard_consumer_pending", "Messages that the consumer has not been given yet.", number(lag.pending));
    gauge("switchyard_consumer_unacknowledged", "Messages that are being handled.", number(lag.unacknowledged));
    gauge("switchyard_consumer_redelivered", "Messages among these that were given more than once.", number(lag.redelivered));
    gauge("switchyard_consumer_delivered", "How often the consumer was given a message, ever.", number(lag.delivered));
    gauge("switchyard_consumer_oldest_seconds", "How long the oldest message waits that is not handled.", oldest);
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
