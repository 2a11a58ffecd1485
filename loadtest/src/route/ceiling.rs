//! The most that routing could do with this client and this server: pull, publish with `Nats-Msg-Id`, acknowledge, and nothing else.
//!
//! The same consumer, user, window, batch and threads as the router; what it publishes has the subjects of the router's events, and the
//! headers and the payload of one of them. Nothing is read, decided, checked or traced.

use std::time::Duration;

use anyhow::Context as _;
use async_nats::{
    Client, header,
    jetstream::{
        self, Message,
        consumer::{PullConsumer, pull},
        context::PublishAckFuture,
        message::PublishMessage,
    },
};
use futures::{StreamExt as _, stream::FuturesUnordered};
use switchyard_bus::{Durable, Window};
use switchyard_events::BuildKey;
use switchyard_runtime::Shutdown;

use super::running::Running;
use crate::broker::{Broker, Packet};

/// Starts the loop; `builds` are the keys that the router would publish, one for each message.
pub(crate) async fn start(broker: &Broker, workers: usize, template: Packet, builds: Vec<BuildKey>) -> anyhow::Result<Running> {
    Running::start(broker, workers, move |nats, shutdown| forward(nats, template, builds, shutdown)).await
}

async fn forward(nats: Client, template: Packet, builds: Vec<BuildKey>, shutdown: Shutdown) -> anyhow::Result<()> {
    let js = jetstream::new(nats);
    let window = Window::default();
    let mut messages = pull(&js, window.batch).await?;
    let mut builds = builds.iter().map(BuildKey::as_str);
    let mut requested = std::pin::pin!(shutdown.requested());
    let mut inflight = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(done) = inflight.next(), if !inflight.is_empty() => done?,
            () = &mut requested => return Ok(()),
            Some(message) = messages.next(), if inflight.len() < window.at_once => {
                let sent = send(&js, &template, builds.next().context("more messages than builds")?).await?;
                inflight.push(settle(sent, message?));
            }
        }
    }
}

async fn pull(js: &jetstream::Context, batch: usize) -> anyhow::Result<pull::Stream> {
    let durable = Durable::requests();
    let consumer: PullConsumer = js.get_consumer_from_stream(&durable.name, durable.stream).await?;
    let stream = consumer.stream().max_messages_per_batch(batch).expires(Duration::from_secs(30));
    Ok(stream.heartbeat(Duration::from_secs(5)).messages().await?)
}

/// Publishes the template under the subject of a build, with an id of its own.
async fn send(js: &jetstream::Context, template: &Packet, build: &str) -> anyhow::Result<PublishAckFuture> {
    let mut headers = template.headers.clone();
    headers.insert(header::NATS_MESSAGE_ID, build);
    let message = PublishMessage::build().headers(headers).payload(template.payload.clone());
    Ok(js.send_publish(subject(&template.subject, build), message).await?)
}

async fn settle(sent: PublishAckFuture, message: Message) -> anyhow::Result<()> {
    sent.await?;
    message.ack().await.map_err(|error| anyhow::anyhow!("{error}"))
}

/// `….<build>.<attempt>` with another build.
fn subject(template: &str, id: &str) -> String {
    let mut tokens: Vec<_> = template.split('.').collect();
    let build = tokens.len().saturating_sub(2);
    if let Some(token) = tokens.get_mut(build) {
        *token = id;
    }
    tokens.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_build_changes() {
        assert_eq!(subject("yard.routed.0.1.0.k8s.abc.1", "xyz"), "yard.routed.0.1.0.k8s.xyz.1");
    }
}
