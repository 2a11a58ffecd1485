//! Reading a durable consumer for as long as a service lives: open, read, and open again when that ends.

use std::{borrow::Cow, future::Future, pin::Pin, time::Duration};

use async_nats::{
    Message, Subject,
    jetstream::{AckKind, consumer::PullConsumer},
};
use backoff::{ExponentialBackoff, backoff::Backoff as _};
use futures::future::Fuse;
use opentelemetry::Context;
use switchyard_events::DecodeError;
use tracing::{debug, warn};

use crate::{
    Bus, ConsumeError, Durable, Received, Window,
    delivery::view_event,
    place::Place,
    pull::{Arrived, Pull},
    retry, trace,
};

/// The end of the service, as every loop waits for it.
pub(crate) type Stop<'a, S> = Pin<&'a mut Fuse<S>>;

/// How long the broker keeps one request.
const KEPT: Duration = Duration::from_secs(10);

/// How often it is looked, while nothing arrives, whether what was asked for is over, or the connection another one.
const LOOK: Duration = Duration::from_millis(500);

/// Nothing has arrived for so long: nothing more is on its way.
const QUIET: Duration = Duration::from_millis(20);

/// When somebody else may have what was given back.
pub(crate) const SOON: Duration = Duration::from_millis(500);

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
    pub(crate) async fn open(&mut self, stop: &mut Stop<'_, impl Future<Output = ()>>) -> Option<Messages<'a>> {
        let Self { bus, durable, window, .. } = *self;
        loop {
            if let Some(pause) = self.pause.take() {
                tokio::select! {
                    biased;
                    () = &mut *stop => return None,
                    () = tokio::time::sleep(pause) => {}
                }
            }
            let pull = tokio::select! {
                biased;
                () = &mut *stop => return None,
                pull = Pull::open(bus, durable, KEPT) => pull,
            };
            match pull {
                Ok(pull) => {
                    self.backoff.reset();
                    self.pause = self.backoff.next_backoff();
                    return Some(Messages { pull, durable: &durable.name, batch: window.batch, over: false });
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

    /// Reads a message, and begins the span in which it is handled.
    pub(crate) fn receive<'a>(
        &self,
        durable: &Durable,
        message: &'a Message,
        place: &Place<'a>,
    ) -> Result<(Received<'a>, Context), DecodeError> {
        let event = view_event(message.headers.as_ref(), &message.payload)?;
        let (trace, build) = event.starts();
        let sender = trace::sender(message.headers.as_ref(), &trace);
        let Place { stream, sequence, delivered, stored } = *place;
        let trace = Cow::Owned(trace);
        let received = Received { subject: &message.subject, stream, sequence, delivered, stored, event, trace, build };
        let context = self.process_span(durable, &sender, &received);
        Ok((received, context))
    }

    /// Tells the broker what became of a message.
    pub(crate) async fn acknowledge(&self, message: &Message, kind: AckKind) {
        if let Some(reply) = message.reply.clone() {
            self.tell(reply, kind).await;
        }
    }

    /// The same, of a message of which only the place is left.
    pub(crate) async fn tell(&self, reply: Subject, kind: AckKind) {
        if let Err(error) = self.client.publish(reply, kind.into()).await {
            warn!(%error, "the broker will deliver again what it could not be told");
        }
    }
}

/// The messages of a consumer, which is asked for more before they run out.
pub(crate) struct Messages<'a> {
    pull: Pull,
    durable: &'a str,
    batch: usize,
    over: bool,
}

impl Messages<'_> {
    /// The next message; `None` once none will come any more. This may be dropped at any moment: nothing that has come is lost.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        while !self.over {
            if self.pull.outstanding() <= self.batch / 2
                && let Err(error) = self.pull.ask(self.batch).await
            {
                self.end(&error);
                break;
            }
            let arrived = self.pull.next(LOOK).await;
            if let Some(message) = self.message(arrived) {
                return Some(message);
            }
        }
        None
    }

    /// The next one, if it has arrived already.
    pub(crate) fn at_hand(&mut self) -> Option<Message> {
        let arrived = self.pull.at_hand()?;
        self.message(arrived)
    }

    /// Gives back what was delivered but not begun, as far as it has arrived. With a delay, or this very subscription gets it again.
    pub(crate) async fn give_back(&mut self, bus: &Bus) {
        loop {
            match self.pull.next(QUIET).await {
                Arrived::Message(message) => bus.acknowledge(&message, AckKind::Nak(Some(SOON))).await,
                Arrived::Word => {}
                Arrived::Nothing | Arrived::Ended(_) => return,
            }
        }
    }

    fn message(&mut self, arrived: Arrived) -> Option<Message> {
        match arrived {
            Arrived::Message(message) => return Some(message),
            Arrived::Nothing | Arrived::Word => {}
            Arrived::Ended(why) => self.end(&why),
        }
        None
    }

    fn end(&mut self, why: &str) {
        debug!(durable = self.durable, why, "pull");
        self.over = true;
    }
}
