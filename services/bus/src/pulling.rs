//! A consumer that is asked for as many messages as there is room for; opened again whenever it fails.

use std::time::Duration;

use async_nats::Message;
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::{
    Bus, Durable,
    pull::{Arrived, Pull},
};

/// How long the broker keeps one request. What is asked for when the room shrinks, or at a shut-down, still comes.
const KEPT: Duration = Duration::from_secs(1);

/// After the broker did not answer.
const PAUSE: Duration = Duration::from_millis(500);

/// How often the room is looked at while nothing happens.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) struct Pulling<'a> {
    bus: &'a Bus,
    durable: &'a Durable,
    open: Option<Pull>,
    not_before: Instant,
}

impl<'a> Pulling<'a> {
    pub(crate) fn new(bus: &'a Bus, durable: &'a Durable) -> Self {
        Self { bus, durable, open: None, not_before: Instant::now() }
    }

    /// How many messages may still come.
    pub(crate) fn outstanding(&self) -> usize {
        self.open.as_ref().map_or(0, Pull::outstanding)
    }

    /// The next message, of which no more than `wanted` are on their way; `None` now and then, that what is wanted be said again.
    ///
    /// It may be dropped at any moment: nothing that has come is lost.
    pub(crate) async fn next(&mut self, wanted: usize) -> Option<Message> {
        let more = wanted.saturating_sub(self.outstanding());
        if more > 0
            && self.not_before <= Instant::now()
            && let Err(error) = self.ask(more).await
        {
            self.failed(&error);
        }
        let Some(pull) = &mut self.open else {
            sleep(LOOK).await;
            return None;
        };
        match pull.next(LOOK).await {
            Arrived::Message(message) => return Some(message),
            Arrived::Nothing | Arrived::Word => {}
            Arrived::Ended(why) => self.failed(&why),
        }
        None
    }

    async fn ask(&mut self, more: usize) -> Result<(), String> {
        let pull = match &mut self.open {
            Some(pull) => pull,
            none => none.insert(Pull::open(self.bus, self.durable, KEPT).await.map_err(|error| error.to_string())?),
        };
        pull.ask(more).await
    }

    /// Everything begins anew, a little later.
    fn failed(&mut self, why: &str) {
        debug!(durable = self.durable.name, why, "pull");
        self.open = None;
        self.not_before = Instant::now() + PAUSE;
    }
}
