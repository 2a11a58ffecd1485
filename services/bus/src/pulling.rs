//! Asking a durable consumer for so many messages, again and again, over one subscription.
//!
//! The client library's own `fetch` subscribes anew for every request, which costs the broker more than the message.

use std::time::Duration;

use async_nats::{
    StatusCode, Subject, Subscriber,
    jetstream::{
        Message,
        consumer::{PullConsumer, pull::BatchConfig},
    },
};
use futures::StreamExt as _;
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::{Bus, Durable, asked::Asked};

/// How long the broker keeps one request. What is asked for when the room shrinks, or at a shut-down, still comes.
const KEPT: Duration = Duration::from_secs(1);

/// After that nothing of a request is on its way any more.
const LOST: Duration = Duration::from_secs(2);

/// After the broker did not answer.
const PAUSE: Duration = Duration::from_millis(500);

/// How often the room is looked at while nothing happens.
const LOOK: Duration = Duration::from_millis(100);

/// A consumer that is asked for messages; looked up again whenever it fails.
pub(crate) struct Pulling<'a> {
    bus: &'a Bus,
    durable: &'a Durable,
    open: Option<Open>,
    asked: Asked,
    not_before: Instant,
}

struct Open {
    consumer: PullConsumer,
    inbox: Subject,
    messages: Subscriber,
}

impl<'a> Pulling<'a> {
    pub(crate) fn new(bus: &'a Bus, durable: &'a Durable) -> Self {
        Self { bus, durable, open: None, asked: Asked::default(), not_before: Instant::now() }
    }

    /// How many messages may still come.
    pub(crate) fn outstanding(&mut self) -> usize {
        self.asked.outstanding(Instant::now())
    }

    /// The next message, of which no more than `wanted` are on their way; `None` now and then, that what is wanted be said again.
    ///
    /// It may be dropped at any moment: nothing that has come is lost.
    pub(crate) async fn next(&mut self, wanted: usize) -> Option<Message> {
        let now = Instant::now();
        let more = wanted.saturating_sub(self.asked.outstanding(now));
        if more > 0
            && self.not_before <= now
            && let Err(error) = self.ask(more).await
        {
            self.failed(&error);
        }
        let Some(open) = &mut self.open else {
            sleep(LOOK).await;
            return None;
        };
        let arrived = tokio::select! {
            biased;
            arrived = open.messages.next() => arrived,
            () = sleep(LOOK) => return None,
        };
        if let Some(message) = arrived {
            self.receive(message)
        } else {
            self.failed("the subscription has ended");
            None
        }
    }
}

impl Pulling<'_> {
    async fn ask(&mut self, more: usize) -> Result<(), String> {
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(open(self.bus, self.durable).await?),
        };
        let batch = BatchConfig { batch: more, expires: Some(KEPT), ..BatchConfig::default() };
        self.asked.more(Instant::now() + LOST, more);
        open.consumer.request_batch(batch, open.inbox.clone()).await.map_err(|error| error.to_string())
    }

    fn receive(&mut self, message: async_nats::Message) -> Option<Message> {
        match message.status {
            None | Some(StatusCode::OK) => {
                self.asked.less(1);
                return Some(Message { message, context: self.bus.js.clone() });
            }
            Some(StatusCode::IDLE_HEARTBEAT) => {}
            Some(status) => match left(&message) {
                Some(left) => self.asked.less(left),
                None => self.failed(&format!("{status} {}", message.description.unwrap_or_default())),
            },
        }
        None
    }

    /// Everything begins anew, a little later.
    fn failed(&mut self, error: &str) {
        debug!(durable = self.durable.name, error, "pull");
        self.open = None;
        self.asked.none();
        self.not_before = Instant::now() + PAUSE;
    }
}

async fn open(bus: &Bus, durable: &Durable) -> Result<Open, String> {
    let consumer = bus.consumer(durable).await.map_err(|error| error.to_string())?;
    let inbox = Subject::from(bus.client.new_inbox());
    let messages = bus.client.subscribe(inbox.clone()).await.map_err(|error| error.to_string())?;
    Ok(Open { consumer, inbox, messages })
}

/// How many messages of a request that the broker has let go were not sent.
fn left(status: &async_nats::Message) -> Option<usize> {
    status.headers.as_ref()?.get("Nats-Pending-Messages")?.as_str().parse().ok()
}
