//! Reading a durable consumer for as long as a service lives: open, read, and open again when that ends.

use std::{borrow::Cow, future::Future, pin::Pin, time::Duration};

use async_nats::jetstream::{
    AckKind, Message,
    consumer::{PullConsumer, pull},
    message::Info,
};
use backoff::{ExponentialBackoff, backoff::Backoff as _};
use futures::{StreamExt as _, future::Fuse};
use jiff::Timestamp;
use opentelemetry::Context;
use switchyard_events::DecodeError;
use tracing::warn;

use crate::{Bus, ConsumeError, Durable, Received, Window, delivery::view_event, failing::acknowledge, retry, trace};

/// The end of the service, as every loop waits for it.
pub(crate) type Stop<'a, S> = Pin<&'a mut Fuse<S>>;

/// Nothing has arrived for so long: nothing more is on its way.
const QUIET: Duration = Duration::from_millis(20);

/// When somebody else may have what was given back.
pub(crate) const SOON: Duration = Duration::from_millis(500);

/// Which message of its stream, and how often it was delivered.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) sequence: u64,
    pub(crate) delivered: u64,
}

impl Place {
    pub(crate) fn of(info: &Info<'_>) -> Self {
        Self { sequence: info.stream_sequence, delivered: u64::try_from(info.delivered).unwrap_or(1) }
    }
}

/// A consumer that is opened again whenever reading it ends.
pub(crate) struct Reading<'a> {
    bus: &'a Bus,
    durable: &'a Durable,
    window: Window,
    /// Before the next opening but the first.
    pause: Option<Duration>,
    backoff: ExponentialBackoff,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(bus: &'a Bus, durable: &'a Durable, window: Window) -> Self {
        Self { bus, durable, window, pause: None, backoff: retry::endless() }
    }

    /// Opens it, and waits for a broker, a stream or a consumer that is missing; `None` once the service is to stop.
    pub(crate) async fn open(&mut self, stop: &mut Stop<'_, impl Future<Output = ()>>) -> Option<pull::Stream> {
        let Self { bus, durable, window, .. } = *self;
        loop {
            if let Some(pause) = self.pause.take() {
                tokio::select! {
                    biased;
                    () = &mut *stop => return None,
                    () = tokio::time::sleep(pause) => {}
                }
            }
            let messages = tokio::select! {
                biased;
                () = &mut *stop => return None,
                messages = bus.open(durable, window) => messages,
            };
            match messages {
                Ok(messages) => {
                    self.backoff.reset();
                    self.pause = self.backoff.next_backoff();
                    return Some(messages);
                }
                Err(error) => {
                    warn!(stream = durable.stream, durable = durable.name, %error, "waiting for the consumer; `switchyard provision` makes it");
                    self.pause = self.backoff.next_backoff();
                }
            }
        }
    }

    /// Says that reading has ended, and is to begin again.
    pub(crate) fn ended(&self) {
        warn!(durable = self.durable.name, "reading ended; beginning again");
    }
}

impl Bus {
    /// Whether a durable consumer exists and answers.
    ///
    /// # Errors
    /// What the broker said.
    pub async fn check(&self, durable: &Durable) -> Result<(), ConsumeError> {
        self.consumer(durable).await.map(drop)
    }

    pub(crate) async fn consumer(&self, durable: &Durable) -> Result<PullConsumer, ConsumeError> {
        let consumer = self.js.get_consumer_from_stream(&durable.name, durable.stream).await;
        consumer.map_err(|error| ConsumeError::of(durable, error))
    }

    async fn open(&self, durable: &Durable, window: Window) -> Result<pull::Stream, ConsumeError> {
        let consumer = self.consumer(durable).await?;
        let stream = consumer
            .stream()
            .max_messages_per_batch(window.batch)
            .expires(Duration::from_secs(30))
            .heartbeat(Duration::from_secs(5));
        stream.messages().await.map_err(|error| ConsumeError::of(durable, error))
    }

    /// Reads a message, and begins the span in which it is handled.
    pub(crate) fn receive<'a>(
        &self,
        durable: &Durable,
        message: &'a Message,
        info: &Info<'a>,
    ) -> Result<(Received<'a>, Context), DecodeError> {
        let event = view_event(message.headers.as_ref(), &message.payload)?;
        let (trace, build) = event.starts();
        let sender = trace::sender(message.headers.as_ref(), &trace);
        let received = Received {
            subject: &message.subject,
            stream: info.stream,
            sequence: info.stream_sequence,
            delivered: Place::of(info).delivered,
            stored: Timestamp::from_nanosecond(info.published.unix_timestamp_nanos()).unwrap_or_default(),
            event,
            trace: Cow::Owned(trace),
            build,
        };
        let context = self.process_span(durable, &sender, &received);
        Ok((received, context))
    }
}

/// Gives back what was delivered but not begun, as far as it has arrived. With a delay, or this very stream gets it again.
pub(crate) async fn give_back(messages: &mut pull::Stream, most: usize) {
    for _ in 0..most {
        match tokio::time::timeout(QUIET, messages.next()).await {
            Ok(Some(Ok(message))) => acknowledge(&message, AckKind::Nak(Some(SOON))).await,
            Ok(Some(Err(_))) => {}
            Ok(None) | Err(_) => return,
        }
    }
}
