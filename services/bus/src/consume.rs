//! The one loop in which every service reads its messages.

use std::{fmt::Display, future::Future, time::Duration};

use async_nats::jetstream::{
    AckKind, Message,
    consumer::{PullConsumer, pull},
};
use backoff::backoff::Backoff as _;
use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use jiff::Timestamp;
use opentelemetry::trace::{FutureExt as _, Status, TraceContextExt as _};
use tracing::{debug, error, warn};

use crate::{Bus, DeadLetter, Delivery, Durable, delivery::read_event, retry, trace};

/// What is to become of a message whose handling failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settle {
    /// Deliver it again, later.
    Retry,
    /// It can never be handled: to DEAD, with this reason.
    Refuse(String),
}

/// How many messages a service works on.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Handlers at once.
    pub at_once: usize,
    /// Messages asked for at once.
    pub batch: usize,
}

impl Default for Window {
    /// The best measured for routing: 256 at once, 200 a pull.
    fn default() -> Self {
        Self { at_once: 256, batch: 200 }
    }
}

/// Reading had to end.
#[derive(Debug, thiserror::Error)]
#[error("consumer {durable} of stream {stream}: {error}")]
pub struct ConsumeError {
    stream: &'static str,
    durable: String,
    error: String,
}

const PROGRESS: Duration = Duration::from_secs(10);

impl Bus {
    /// Handles what a durable consumer delivers until `shutdown` is ready; then what it has not begun goes back at once and
    /// what is in flight is finished.
    ///
    /// A message is acknowledged when its handler says `Ok`. `ready` is called whenever reading has begun.
    ///
    /// # Errors
    /// Never for what may pass; it waits for a broker, a stream or a consumer that is missing.
    pub async fn consume<H, F, E>(
        &self,
        durable: &Durable,
        window: Window,
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
        let mut backoff = retry::endless();
        loop {
            let messages = futures::select_biased! {
                () = shutdown => return Ok(()),
                messages = self.open(durable, window).fuse() => messages,
            };
            match messages {
                Ok(mut messages) => {
                    backoff.reset();
                    if self.pump(durable, window, &mut messages, &mut shutdown, &handle).await {
                        return Ok(());
                    }
                    warn!(durable = durable.name, "reading ended; beginning again");
                }
                Err(error) => {
                    warn!(stream = durable.stream, durable = durable.name, %error, "waiting for the consumer; `switchyard provision` makes it");
                }
            }
            let pause = backoff.next_backoff().unwrap_or(PROGRESS);
            futures::select_biased! {
                () = shutdown => return Ok(()),
                () = tokio::time::sleep(pause).fuse() => {}
            }
        }
    }

    /// Whether a durable consumer exists and answers.
    ///
    /// # Errors
    /// What the broker said.
    pub async fn check(&self, durable: &Durable) -> Result<(), ConsumeError> {
        self.consumer(durable).await.map(drop)
    }

    async fn consumer(&self, durable: &Durable) -> Result<PullConsumer, ConsumeError> {
        let failed = |error: String| ConsumeError { stream: durable.stream, durable: durable.name.clone(), error };
        self.js.get_consumer_from_stream(&durable.name, durable.stream).await.map_err(|error| failed(error.to_string()))
    }

    async fn open(&self, durable: &Durable, window: Window) -> Result<pull::Stream, ConsumeError> {
        let failed = |error: String| ConsumeError { stream: durable.stream, durable: durable.name.clone(), error };
        let consumer = self.consumer(durable).await?;
        let stream = consumer
            .stream()
            .max_messages_per_batch(window.batch)
            .expires(Duration::from_secs(30))
            .heartbeat(Duration::from_secs(5));
        stream.messages().await.map_err(|error| failed(error.to_string()))
    }

    /// Answers whether shut-down was asked for.
    async fn pump<H, F, E>(
        &self,
        durable: &Durable,
        window: Window,
        messages: &mut pull::Stream,
        mut shutdown: impl futures::future::FusedFuture<Output = ()> + Unpin,
        handle: &H,
    ) -> bool
    where
        H: Fn(Delivery) -> F,
        F: Future<Output = Result<(), E>>,
        E: Display,
        for<'a> Settle: From<&'a E>,
    {
        let mut inflight = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                Some(()) = inflight.next(), if !inflight.is_empty() => {}
                () = &mut shutdown => break,
                message = messages.next(), if inflight.len() < window.at_once => match message {
                    Some(Ok(message)) => inflight.push(self.settle(durable, message, handle)),
                    Some(Err(error)) => debug!(durable = durable.name, %error, "pull"),
                    None => {
                        while inflight.next().await.is_some() {}
                        return false;
                    }
                },
            }
        }
        while let Some(Some(message)) = messages.next().now_or_never() {
            if let Ok(message) = message {
                answer(&message, AckKind::Nak(None)).await;
            }
        }
        while inflight.next().await.is_some() {}
        true
    }

    async fn settle<H, F, E>(&self, durable: &Durable, message: Message, handle: &H)
    where
        H: Fn(Delivery) -> F,
        F: Future<Output = Result<(), E>>,
        E: Display,
        for<'a> Settle: From<&'a E>,
    {
        let (sequence, delivered, stored, stream) = match message.info() {
            Ok(info) => (
                info.stream_sequence,
                u64::try_from(info.delivered).unwrap_or(1),
                Timestamp::from_nanosecond(info.published.unix_timestamp_nanos()).unwrap_or_default(),
                info.stream.to_owned(),
            ),
            Err(error) => return error!(%error, "a message without a place in a stream"),
        };
        let event = match read_event(message.headers.as_ref(), &message.payload) {
            Ok(event) => event,
            Err(unreadable) => {
                warn!(durable = durable.name, sequence, %unreadable, "refused");
                return self.bury(durable, &message, (sequence, delivered), &unreadable.to_string()).await;
            }
        };
        let sender = trace::sender(message.headers.as_ref(), &event);
        let delivery = Delivery { subject: message.subject.to_string(), stream, sequence, delivered, stored, event };
        let context = self.process_span(durable, &sender, &delivery);
        let handled = alive(&message, handle(delivery).with_context(context.clone())).await;
        if let Err(error) = &handled {
            context.span().set_status(Status::error(error.to_string()));
        }
        async {
            match handled {
                Ok(()) => answer(&message, AckKind::Ack).await,
                Err(error) => match Settle::from(&error) {
                    Settle::Retry => {
                        let delay = retry::redelivery(delivered);
                        warn!(durable = durable.name, sequence, delivered, %error, ?delay, "will be tried again");
                        answer(&message, AckKind::Nak(Some(delay))).await;
                    }
                    Settle::Refuse(reason) => {
                        warn!(durable = durable.name, sequence, %reason, "refused");
                        self.bury(durable, &message, (sequence, delivered), &reason).await;
                    }
                },
            }
        }
        .with_context(context.clone())
        .await;
        context.span().end();
    }

    /// To DEAD, and only then away.
    async fn bury(&self, durable: &Durable, message: &Message, (sequence, delivered): (u64, u64), reason: &str) {
        let letter = DeadLetter {
            stream: durable.stream.to_owned(),
            durable: durable.name.clone(),
            subject: message.subject.to_string(),
            sequence,
            reason: reason.to_owned(),
            headers: message.headers.clone().unwrap_or_default(),
            payload: message.payload.clone(),
        };
        match self.write_dead(letter).await {
            Ok(()) => answer(message, AckKind::Term).await,
            Err(error) => {
                warn!(durable = durable.name, sequence, %error, "cannot be buried yet");
                answer(message, AckKind::Nak(Some(retry::redelivery(delivered)))).await;
            }
        }
    }
}

/// Runs a handler and tells the broker now and then that it is alive.
async fn alive<T>(message: &Message, handler: impl Future<Output = T>) -> T {
    let mut handler = std::pin::pin!(handler);
    loop {
        tokio::select! {
            biased;
            done = &mut handler => return done,
            () = tokio::time::sleep(PROGRESS) => answer(message, AckKind::Progress).await,
        }
    }
}

async fn answer(message: &Message, kind: AckKind) {
    if let Err(error) = message.ack_with(kind).await {
        warn!(%error, "the broker will deliver again what it could not be told");
    }
}
