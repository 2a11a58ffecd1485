//! The loop in which a service handles its messages, many at once.

use std::{
    fmt::Display,
    future::Future,
    pin::{Pin, pin},
    time::Duration,
};

use async_nats::{Message, jetstream::AckKind};
use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use opentelemetry::{
    Context,
    context::WithContext,
    trace::{FutureExt as _, Status, TraceContextExt as _},
};
use switchyard_events::DecodeError;
use tracing::error;

use crate::{
    Bus, Delivery, Durable,
    place::Place,
    reading::{Messages, Reading, Stop},
    trace,
};

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

/// A consumer could not be looked up or read.
#[derive(Debug, thiserror::Error)]
#[error("consumer {durable} of stream {stream}: {error}")]
pub struct ConsumeError {
    stream: &'static str,
    durable: String,
    error: String,
}

impl ConsumeError {
    pub(crate) fn of(durable: &Durable, error: impl Display) -> Self {
        Self { stream: durable.stream, durable: durable.name.clone(), error: error.to_string() }
    }
}

/// How often the broker is told that a message is still being handled: one such word may be lost.
pub(crate) const PROGRESS: Duration = Duration::from_secs(1);

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
        let mut stop = pin!(shutdown.fuse());
        let mut reading = Reading::new(self, durable, window);
        while let Some(mut messages) = reading.open(&mut stop).await {
            if self.pump(durable, window, &mut messages, &mut stop, &handle).await {
                break;
            }
            reading.ended();
        }
        Ok(())
    }

    /// Answers whether shut-down was asked for.
    async fn pump<H, F, E>(
        &self,
        durable: &Durable,
        window: Window,
        messages: &mut Messages<'_>,
        stop: &mut Stop<'_, impl Future<Output = ()>>,
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
                () = &mut *stop => break,
                message = messages.next(), if inflight.len() < window.at_once => {
                    let Some(message) = message else {
                        while inflight.next().await.is_some() {}
                        return false;
                    };
                    inflight.push(self.settle(durable, message, handle));
                }
            }
        }
        messages.give_back(self).await;
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
        let Some(place) = Place::of(&message) else {
            return error!(subject = %message.subject, "a message without a place in a stream");
        };
        let (context, handling) = match self.begin(durable, &message, &place, handle) {
            Ok(begun) => begun,
            Err(error) => {
                let refused = Settle::Refuse(error.to_string());
                return self.fail(durable, &message, (refused, String::new())).boxed().await;
            }
        };
        match self.alive(&message, handling).await {
            Ok(()) => self.acknowledge(&message, AckKind::Ack).await,
            Err(error) => {
                let failed = (Settle::from(&error), error.to_string());
                context.span().set_status(Status::error(failed.1.clone()));
                self.fail(durable, &message, failed).with_context(context.clone()).boxed().await;
            }
        }
        trace::end(&context);
    }

    /// Reads a message and begins to handle it, in a span of its own.
    fn begin<H, F>(&self, durable: &Durable, message: &Message, place: &Place<'_>, handle: &H) -> Result<Begun<F>, DecodeError>
    where
        H: Fn(Delivery) -> F,
    {
        let (received, context) = self.receive(durable, message, place)?;
        let delivery = received.into_delivery()?;
        let _current = context.clone().attach();
        let handling = Box::pin(handle(delivery).with_context(context.clone()));
        Ok((context, handling))
    }

    /// Runs a handler and tells the broker now and then that it is alive.
    async fn alive<T>(&self, message: &Message, mut handler: impl Future<Output = T> + Unpin) -> T {
        loop {
            tokio::select! {
                biased;
                done = &mut handler => return done,
                () = tokio::time::sleep(PROGRESS) => self.acknowledge(message, AckKind::Progress).await,
            }
        }
    }
}

/// The span in which a message is handled, and its handler at work.
type Begun<F> = (Context, Pin<Box<WithContext<F>>>);
