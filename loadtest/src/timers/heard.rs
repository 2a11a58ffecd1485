//! Whoever listens for the clocks: when each was handed over, and how often it fired.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use futures::StreamExt as _;
use jiff::Timestamp;
use switchyard_bus::{Bus, Delivery, Durable, Settle, Window};
use tokio::{sync::watch, task::JoinHandle, time::sleep};

use super::{Due, EXECUTOR, clock};

/// The first hand-over of each fired message, by its subject and its place in the stream: told again, it has not fired again.
type Fired = HashMap<String, HashMap<u64, Timestamp>>;

/// Listens on the consumer that the executor's reapers share.
pub(crate) struct Heard {
    bus: Bus,
    clocks: u32,
    fired: Arc<Mutex<Fired>>,
    stop: watch::Sender<bool>,
    listening: Option<JoinHandle<()>>,
}

/// What became of the clocks.
pub(crate) struct Lateness {
    /// Between when it was due, or could first be heard, and when it was handed over; sorted.
    pub(crate) late: Vec<Duration>,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
}

/// A clock that is heard needs nothing more.
enum Never {}

impl std::fmt::Display for Never {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

impl From<&Never> for Settle {
    fn from(never: &Never) -> Self {
        match *never {}
    }
}

impl Heard {
    pub(crate) fn listen(bus: Bus, clocks: u32) -> Self {
        let mut heard = Self { bus, clocks, fired: Arc::default(), stop: watch::Sender::new(false), listening: None };
        heard.go_on();
        heard
    }

    /// Begins to listen, again.
    pub(crate) fn go_on(&mut self) {
        self.stop = watch::Sender::new(false);
        let (bus, fired, mut stop) = (self.bus.clone(), Arc::clone(&self.fired), self.stop.subscribe());
        self.listening = Some(tokio::spawn(async move {
            let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
            let note = |delivery: Delivery| {
                let now = Timestamp::now();
                let mut fired = fired.lock().unwrap_or_else(PoisonError::into_inner);
                fired.entry(delivery.subject).or_default().entry(delivery.sequence).or_insert(now);
                std::future::ready(Ok::<(), Never>(()))
            };
            let window = Window { at_once: 64, batch: 64 };
            // It ends only when it is told to.
            drop(bus.consume(&Durable::clocks(EXECUTOR), window, stopped, note).await);
        }));
    }

    /// Stops listening, as a reaper that is told to end.
    pub(crate) async fn stop(&mut self) {
        self.stop.send_replace(true);
        if let Some(listening) = self.listening.take() {
            drop(listening.await);
        }
    }

    /// Waits until every clock was heard.
    pub(crate) async fn all(&self) {
        let heard = || self.fired.lock().unwrap_or_else(PoisonError::into_inner).len();
        while heard() < self.clocks as usize {
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What became of each clock; where the server was away, it counts from when it was back.
    pub(crate) async fn lateness(mut self, due: &Due, back: Option<Timestamp>) -> anyhow::Result<Lateness> {
        self.stop().await;
        let stored = self.stored().await?;
        let fired = self.fired.lock().unwrap_or_else(PoisonError::into_inner);
        let mut late = Vec::new();
        for n in 0..self.clocks {
            let Some(first) = fired.get(&clock(n).fire_subject()).and_then(|times| times.values().min()) else { continue };
            let due = back.map_or(due.of(n), |back| due.of(n).max(back));
            late.push(Duration::try_from(first.duration_since(due)).unwrap_or_default());
        }
        late.sort();
        let lost = self.clocks as usize - late.len();
        // Of each clock the stream holds every message that it ever fired.
        let doubled = stored.saturating_sub(stored.min(self.clocks as usize));
        let twice = fired.values().filter(|times| times.len() > 1).count();
        Ok(Lateness { late, lost, doubled: doubled.max(twice) })
    }

    /// How many messages have fired, as the stream holds them.
    async fn stored(&self) -> anyhow::Result<usize> {
        let stream = self.bus.jetstream().get_stream("TIMERS").await?;
        let mut subjects = stream.info_with_subjects("fire.>").await.context("stream TIMERS")?;
        let mut stored = 0;
        while let Some(subject) = subjects.next().await {
            stored += subject?.1;
        }
        Ok(stored)
    }
}
