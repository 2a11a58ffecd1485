//! The one loop in which every service reads its messages.

use std::{fmt::Display, future::Future, pin::Pin, time::Duration};

use async_nats::jetstream::{
    AckKind, Message,
    consumer::{PullConsumer, pull},
    message::Info,
};
use backoff::backoff::Backoff as _;
use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use jiff::Timestamp;
use opentelemetry::{
    Context,
    context::WithContext,
    trace::{FutureExt as _, Status, TraceContextExt as _},
};
use switchyard_events::DecodeError;
use tracing::{debug, error, warn};

use crate::{Bus, DeadLetter, Delivery, Durable, delivery::read_event, retry, trace};

/// What is to become of a message whose handling failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settle {
    /// Deliver it again, later.
    Retry,
    /// Deliver it again after so long.
    After(Duration),
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

/// Nothing has arrived for so long: nothing more is on its way.
const QUIET: Duration = Duration::from_millis(20);

/// When somebody else may have what was given back.
pub(crate) const SOON: Duration = Duration::from_millis(500);

impl Bus {
    /// Handles what a durable consumer delivers until `shutdown` is ready; then what it has not begun goes back at once and
    /// what is in flight is finished.
    ///
    /// A message is acknowledged when its handler says `Ok`.
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

    pub(crate) async fn consumer(&self, durable: &Durable) -> Result<PullConsumer, ConsumeError> {
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
        give_back(messages, 2 * window.batch).await;
        while inflight.next().await.is_some() {}
        true
    }

    /// Handles one message to its end. As many of these are kept as are in flight, so little may live across an await.
    pub(crate) async fn settle<H, F, E>(&self, durable: &Durable, message: Message, handle: &H)
    where
        H: Fn(Delivery) -> F,
        F: Future<Output = Result<(), E>>,
        E: Display,
        for<'a> Settle: From<&'a E>,
    {
        let (place, begun) = match message.info() {
            Ok(info) => (Place::of(&info), self.begin(durable, &message, &info, handle)),
            Err(error) => return error!(%error, "a message without a place in a stream"),
        };
        let (context, handling) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                let refused = Settle::Refuse(error.to_string());
                return self.fail(durable, &message, place, (refused, String::new())).boxed().await;
            }
        };
        match alive(&message, handling).await {
            Ok(()) => answer(&message, AckKind::Ack).await,
            Err(error) => {
                let failed = (Settle::from(&error), error.to_string());
                context.span().set_status(Status::error(failed.1.clone()));
                self.fail(durable, &message, place, failed).with_context(context.clone()).boxed().await;
            }
        }
        context.span().end();
    }

    /// Reads a message and begins to handle it, in a span of its own.
    fn begin<H, F>(&self, durable: &Durable, message: &Message, info: &Info<'_>, handle: &H) -> Result<Begun<F>, DecodeError>
    where
        H: Fn(Delivery) -> F,
    {
        let event = read_event(message.headers.as_ref(), &message.payload)?;
        let sender = trace::sender(message.headers.as_ref(), &event);
        let Place { sequence, delivered } = Place::of(info);
        let stored = Timestamp::from_nanosecond(info.published.unix_timestamp_nanos()).unwrap_or_default();
        let stream = info.stream.to_owned();
        let delivery = Delivery { subject: message.subject.to_string(), stream, sequence, delivered, stored, event };
        let context = self.process_span(durable, &sender, &delivery);
        let _current = context.clone().attach();
        let handling = Box::pin(handle(delivery).with_context(context.clone()));
        Ok((context, handling))
    }

    /// What could not be handled comes again later, or goes to DEAD.
    async fn fail(&self, durable: &Durable, message: &Message, place: Place, (settle, error): (Settle, String)) {
        let Place { sequence, delivered } = place;
        match settle {
            Settle::Retry => self.put_off(durable, message, place, (retry::redelivery(delivered), error)).await,
            Settle::After(delay) => self.put_off(durable, message, place, (delay, error)).await,
            Settle::Refuse(reason) => {
                warn!(durable = durable.name, sequence, %reason, "refused");
                self.bury(durable, message, place, reason).await;
            }
        }
    }

    async fn put_off(&self, durable: &Durable, message: &Message, place: Place, (delay, error): (Duration, String)) {
        let Place { sequence, delivered } = place;
        warn!(durable = durable.name, sequence, delivered, %error, ?delay, "will be tried again");
        answer(message, AckKind::Nak(Some(delay))).await;
    }

    /// To DEAD, and only then away.
    async fn bury(&self, durable: &Durable, message: &Message, Place { sequence, delivered }: Place, reason: String) {
        let letter = DeadLetter {
            stream: durable.stream.to_owned(),
            durable: durable.name.clone(),
            subject: message.subject.to_string(),
            sequence,
            reason,
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

/// The span in which a message is handled, and its handler at work.
type Begun<F> = (Context, Pin<Box<WithContext<F>>>);

/// Which message of its stream, and how often it was delivered.
#[derive(Clone, Copy)]
struct Place {
    sequence: u64,
    delivered: u64,
}

impl Place {
    fn of(info: &Info<'_>) -> Self {
        Self { sequence: info.stream_sequence, delivered: u64::try_from(info.delivered).unwrap_or(1) }
    }
}

/// Gives back what was delivered but not begun, as far as it has arrived. With a delay, or this very stream gets it again.
async fn give_back(messages: &mut pull::Stream, most: usize) {
    for _ in 0..most {
        match tokio::time::timeout(QUIET, messages.next()).await {
            Ok(Some(Ok(message))) => answer(&message, AckKind::Nak(Some(SOON))).await,
            Ok(Some(Err(_))) => {}
            Ok(None) | Err(_) => return,
        }
    }
}

/// Runs a handler and tells the broker now and then that it is alive.
async fn alive<T>(message: &Message, mut handler: impl Future<Output = T> + Unpin) -> T {
    loop {
        tokio::select! {
            biased;
            done = &mut handler => return done,
            () = tokio::time::sleep(PROGRESS) => answer(message, AckKind::Progress).await,
        }
    }
}

pub(crate) async fn answer(message: &Message, kind: AckKind) {
    if let Err(error) = message.ack_with(kind).await {
        warn!(%error, "the broker will deliver again what it could not be told");
    }
}
