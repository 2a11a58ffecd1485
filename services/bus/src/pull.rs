//! Asking a durable consumer for messages over one subscription, which is kept for as long as there is the same connection.
//!
//! The client library's own stream of messages copies its whole context into each, and its `fetch` subscribes anew for every
//! request: both cost more than what they are for.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_nats::{
    Client, Message, Statistics, StatusCode, Subject, SubscribeError, Subscriber,
    connection::State,
    jetstream::consumer::{PullConsumer, pull::BatchConfig},
};
use futures::{FutureExt as _, StreamExt as _};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};
use tracing::warn;

use crate::{Bus, ConsumeError, Durable, asked::Asked, place::Place};

/// How much longer than the broker keeps a request something of it may be on its way.
const LATE: Duration = Duration::from_secs(2);

/// A consumer that can be asked for messages, until something is wrong with it.
pub(crate) struct Pull {
    consumer: PullConsumer,
    inbox: Subject,
    arriving: Subscriber,
    /// How long the broker keeps a request.
    kept: Duration,
    asked: Asked,
    bus: Bus,
    durable: Durable,
    statistics: Arc<Statistics>,
    /// How many connections there were when it was opened. A broker that was killed has forgotten what the one before asked for,
    /// and another has not.
    connects: u64,
    /// What is done before it begins anew. A task, because waiting for a message is given up many times a second.
    looking: Option<JoinHandle<()>>,
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
        let statistics = bus.client.statistics();
        let connects = statistics.connects.load(Ordering::Relaxed);
        let consumer = bus.consumer(durable).await?;
        if durable.is_others() {
            bus.bury_malformed(durable, consumer.cached_info()).await;
        }
        let (inbox, arriving) = subscribe(&bus.client).await.map_err(|error| ConsumeError::of(durable, error))?;
        let (bus, durable) = (bus.clone(), durable.clone());
        Ok(Self { consumer, inbox, arriving, kept, asked: Asked::default(), bus, durable, statistics, connects, looking: None })
    }

    /// How many messages may still come.
    pub(crate) fn outstanding(&self) -> usize {
        self.asked.outstanding()
    }

    /// Asks for so many more; later, while there is no connection or a new one: requests would pile up.
    pub(crate) async fn ask(&mut self, more: usize) -> Result<(), String> {
        if self.bus.client.connection_state() != State::Connected || self.is_left_behind() {
            return Ok(());
        }
        let batch = BatchConfig { batch: more, expires: Some(self.kept), ..BatchConfig::default() };
        self.consumer.request_batch(batch, self.inbox.clone()).await.map_err(|error| error.to_string())?;
        self.asked.more(Instant::now() + self.kept + LATE, more);
        Ok(())
    }

    /// The next message. This may be dropped at any moment: nothing that has come is lost.
    pub(crate) async fn next(&mut self, within: Duration) -> Arrived {
        if let Some(arrived) = self.at_hand() {
            return arrived;
        }
        if self.is_left_behind() {
            return match timeout(within, self.renew()).await {
                Ok(Ok(())) => Arrived::Word,
                Ok(Err(error)) => Arrived::Ended(error),
                Err(_) => Arrived::Nothing,
            };
        }
        self.asked.expire(Instant::now());
        match timeout(within, self.arriving.next()).await {
            Ok(arrived) => self.receive(arrived),
            Err(_) => Arrived::Nothing,
        }
    }

    /// Whether it was opened on a connection that there is no more.
    fn is_left_behind(&self) -> bool {
        self.connects != self.statistics.connects.load(Ordering::Relaxed)
    }

    /// Begins anew on the connection that there is now. Whatever was asked for before ends with the inbox that it was for.
    async fn renew(&mut self) -> Result<(), String> {
        let connects = self.statistics.connects.load(Ordering::Relaxed);
        if self.durable.is_others() {
            self.look_for_malformed().await;
        }
        (self.inbox, self.arriving) = subscribe(&self.bus.client).await.map_err(|error| error.to_string())?;
        self.connects = connects;
        self.asked.none();
        Ok(())
    }

    async fn look_for_malformed(&mut self) {
        let (bus, durable) = (&self.bus, &self.durable);
        let looking = self.looking.get_or_insert_with(|| {
            let (bus, durable) = (bus.clone(), durable.clone());
            tokio::spawn(async move {
                match bus.consumer(&durable).await {
                    Ok(consumer) => bus.bury_malformed(&durable, consumer.cached_info()).await,
                    Err(error) => warn!(%error, "whether there are messages that nobody can read is not known"),
                }
            })
        });
        let _ = looking.await;
        self.looking = None;
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
            // A publisher may write a status, too.
            Some(_) if Place::of(&message).is_some() => {
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

async fn subscribe(client: &Client) -> Result<(Subject, Subscriber), SubscribeError> {
    let inbox = Subject::from(client.new_inbox());
    let arriving = client.subscribe(inbox.clone()).await?;
    Ok((inbox, arriving))
}

/// How many messages of a request that the broker has let go were not sent.
fn left(status: &Message) -> Option<usize> {
    status.headers.as_ref()?.get("Nats-Pending-Messages")?.as_str().parse().ok()
}
