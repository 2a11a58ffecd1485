//! Asking a durable consumer for messages over one subscription, which is kept.
//!
//! The client library's own stream of messages copies its whole context into each, and its `fetch` subscribes anew for every
//! request: both cost more than what they are for.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_nats::{
    Message, Statistics, StatusCode, Subject, Subscriber,
    connection::State,
    jetstream::consumer::{PullConsumer, pull::BatchConfig},
};
use futures::{FutureExt as _, StreamExt as _};
use tokio::time::{Instant, timeout};

use crate::{Bus, ConsumeError, Durable, asked::Asked};

/// How much longer than the broker keeps a request something of it may be on its way.
const LATE: Duration = Duration::from_secs(1);

/// A consumer that can be asked for messages, until something is wrong with it.
pub(crate) struct Pull {
    consumer: PullConsumer,
    inbox: Subject,
    arriving: Subscriber,
    /// How long the broker keeps a request.
    kept: Duration,
    asked: Asked,
    connection: async_nats::Client,
    statistics: Arc<Statistics>,
    /// How often there was a connection when it was asked last: a broker knows no request of a connection that has ended.
    connects: u64,
}

/// What came of waiting for a message.
pub(crate) enum Arrived {
    Message(Message),
    /// Only a word about what was asked for.
    Word,
    /// Nothing for so long.
    Nothing,
    /// None will come any more.
    Ended(String),
}

impl Pull {
    pub(crate) async fn open(bus: &Bus, durable: &Durable, kept: Duration) -> Result<Self, ConsumeError> {
        let consumer = bus.consumer(durable).await?;
        let inbox = Subject::from(bus.client.new_inbox());
        let arriving = bus.client.subscribe(inbox.clone()).await.map_err(|error| ConsumeError::of(durable, error))?;
        let (connection, statistics) = (bus.client.clone(), bus.client.statistics());
        Ok(Self { consumer, inbox, arriving, kept, asked: Asked::default(), connection, statistics, connects: 0 })
    }

    /// How many messages may still come.
    pub(crate) fn outstanding(&self) -> usize {
        self.asked.outstanding()
    }

    /// Forgets requests that the broker does not know any more.
    pub(crate) fn look(&mut self) {
        if self.connects == self.statistics.connects.load(Ordering::Relaxed) {
            self.asked.expire(Instant::now());
        } else {
            self.asked.none();
        }
    }

    /// Asks for so many more; later, while there is no connection: requests would pile up until there is one.
    pub(crate) async fn ask(&mut self, more: usize) -> Result<(), String> {
        if self.connection.connection_state() != State::Connected {
            return Ok(());
        }
        let connects = self.statistics.connects.load(Ordering::Relaxed);
        let batch = BatchConfig { batch: more, expires: Some(self.kept), ..BatchConfig::default() };
        self.consumer.request_batch(batch, self.inbox.clone()).await.map_err(|error| error.to_string())?;
        self.asked.more(Instant::now() + self.kept + LATE, more);
        self.connects = connects;
        Ok(())
    }

    /// The next message. This may be dropped at any moment: nothing that has come is lost.
    pub(crate) async fn next(&mut self, within: Duration) -> Arrived {
        if let Some(arrived) = self.at_hand() {
            return arrived;
        }
        let Ok(arrived) = timeout(within, self.arriving.next()).await else {
            self.look();
            return Arrived::Nothing;
        };
        self.receive(arrived)
    }

    /// What has arrived already, if anything has.
    pub(crate) fn at_hand(&mut self) -> Option<Arrived> {
        let arrived = self.arriving.next().now_or_never()?;
        Some(self.receive(arrived))
    }

    fn receive(&mut self, arrived: Option<Message>) -> Arrived {
        let Some(message) = arrived else { return Arrived::Ended("the subscription has ended".into()) };
        match message.status {
            None | Some(StatusCode::OK) => {
                self.asked.less(1);
                Arrived::Message(message)
            }
            Some(StatusCode::IDLE_HEARTBEAT) => Arrived::Word,
            Some(status) => match left(&message) {
                Some(left) => {
                    self.asked.less(left);
                    Arrived::Word
                }
                None => Arrived::Ended(format!("{status} {}", message.description.unwrap_or_default())),
            },
        }
    }
}

/// How many messages of a request that the broker has let go were not sent.
fn left(status: &Message) -> Option<usize> {
    status.headers.as_ref()?.get("Nats-Pending-Messages")?.as_str().parse().ok()
}
