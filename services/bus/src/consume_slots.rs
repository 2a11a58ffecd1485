//! Reading no more than there is room for: what cannot be begun stays in the stream, for others.

use std::{fmt::Display, future::Future, sync::Arc, time::Duration};

use async_nats::jetstream::{AckKind, Message, consumer::PullConsumer};
use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use tracing::debug;

use crate::{Bus, ConsumeError, Delivery, Durable, Settle, failing::acknowledge, reading::SOON};

/// How long the broker keeps one request for a message. What is asked for when the room shrinks, or at a shut-down, still comes.
const ASKED: Duration = Duration::from_secs(1);

/// How often the room is looked at while nothing happens.
const LOOK: Duration = Duration::from_millis(100);

/// After the broker did not answer.
const PAUSE: Duration = Duration::from_millis(500);

impl Bus {
    /// Like [`Bus::consume`], but never asks for more messages than `room` says may be in hand: it is asked again all the time.
    /// Messages come one by one, so that none waits in a buffer of this process.
    ///
    /// # Errors
    /// Never for what may pass; it waits for a broker, a stream or a consumer that is missing.
    pub async fn consume_slots<H, F, E>(
        &self,
        durable: &Durable,
        room: impl Fn() -> usize,
        shutdown: impl Future<Output = ()>,
        handle: H,
    ) -> Result<(), ConsumeError>
    where
        H: Fn(Delivery) -> F,
        F: Future<Output = Result<(), E>>,
        E: Display,
        for<'a> Settle: From<&'a E>,
    {
        let mut shutdown = std::pin::pin!(shutdown.fuse());
        let mut consumer = None;
        let (mut asked, mut in_hand) = (FuturesUnordered::new(), FuturesUnordered::new());
        loop {
            for _ in asked.len() + in_hand.len()..room() {
                asked.push(self.ask(durable, consumer.clone()));
            }
            tokio::select! {
                biased;
                Some(()) = in_hand.next(), if !in_hand.is_empty() => {}
                () = &mut shutdown => break,
                Some(message) = asked.next(), if !asked.is_empty() => match message {
                    Ok((found, message)) => {
                        consumer = Some(found);
                        in_hand.extend(message.map(|message| self.settle(durable, message, &handle)));
                    }
                    Err(error) => {
                        debug!(durable = durable.name, error, "pull");
                        consumer = None;
                    }
                },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        while !(asked.is_empty() && in_hand.is_empty()) {
            tokio::select! {
                Some(()) = in_hand.next(), if !in_hand.is_empty() => {}
                Some(message) = asked.next(), if !asked.is_empty() => if let Ok((_, Some(message))) = message {
                    acknowledge(&message, AckKind::Nak(Some(SOON))).await;
                },
            }
        }
        Ok(())
    }

    /// Asks for one message; none comes where there is none for a while.
    async fn ask(&self, durable: &Durable, consumer: Option<Arc<PullConsumer>>) -> Result<Asked, String> {
        let asked = self.ask_now(durable, consumer).await;
        if asked.is_err() {
            // Many of these fail together while the broker is away.
            tokio::time::sleep(PAUSE).await;
        }
        asked
    }

    async fn ask_now(&self, durable: &Durable, consumer: Option<Arc<PullConsumer>>) -> Result<Asked, String> {
        let consumer = match consumer {
            Some(consumer) => consumer,
            None => Arc::new(self.consumer(durable).await.map_err(|error| error.to_string())?),
        };
        let mut messages = consumer.fetch().max_messages(1).expires(ASKED).messages().await.map_err(|error| error.to_string())?;
        match messages.next().await {
            None => Ok((consumer, None)),
            Some(Ok(message)) => Ok((consumer, Some(message))),
            Some(Err(error)) => Err(error.to_string()),
        }
    }
}

/// The consumer that was asked, and what it gave.
type Asked = (Arc<PullConsumer>, Option<Message>);
