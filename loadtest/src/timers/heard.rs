//! Whoever listens for the clocks: when each was handed over, and when what follows was done.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use switchyard_bus::{Bus, Delivery, Durable, Unreadable, Window};
use switchyard_events::Clock;
use switchyard_reaper::{ReapError, Reaper};
use tokio::{sync::watch, task::JoinHandle, time::sleep};

use super::{Due, EXECUTOR, builds::Nowhere, clock};

/// When a clock was first handed over, and when what follows from it was first done.
#[derive(Clone, Copy)]
struct Times {
    handed: Timestamp,
    done: Option<Timestamp>,
}

/// Listens on the consumer that the executor's reapers share.
pub(crate) struct Heard {
    bus: Bus,
    clocks: u32,
    /// Who sees to what follows; nobody, where the clocks are only noted.
    reaper: Option<Arc<Reaper<Bus, Nowhere>>>,
    times: Arc<Mutex<HashMap<String, Times>>>,
    stop: watch::Sender<bool>,
    listening: Option<JoinHandle<()>>,
}

/// What became of the clocks.
pub(crate) struct Lateness {
    /// Between when it was due, or could first be heard, and when it was handed over; sorted.
    pub(crate) late: Vec<Duration>,
    /// The same until what follows was done; sorted.
    pub(crate) done: Vec<Duration>,
    pub(crate) lost: usize,
}

impl Heard {
    pub(crate) fn listen(bus: Bus, clocks: u32, reaping: bool) -> Self {
        let reaper = reaping.then(|| Arc::new(Reaper::new(bus.clone(), Nowhere)));
        let mut heard = Self { bus, clocks, reaper, times: Arc::default(), stop: watch::Sender::new(false), listening: None };
        heard.go_on();
        heard
    }

    /// Begins to listen, again.
    pub(crate) fn go_on(&mut self) {
        self.stop = watch::Sender::new(false);
        let (bus, reaper, times) = (self.bus.clone(), self.reaper.clone(), Arc::clone(&self.times));
        let mut stop = self.stop.subscribe();
        self.listening = Some(tokio::spawn(async move {
            let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
            // As many as a reaper has at once.
            let window = Window { at_once: 64, batch: 64 };
            let hear = |delivery| hear(&times, reaper.as_deref(), delivery);
            // It ends only when it is told to.
            drop(bus.consume(&Durable::clocks(EXECUTOR), window, stopped, hear).await);
        }));
    }

    /// Stops listening, as a reaper that is told to end.
    pub(crate) async fn stop(&mut self) {
        self.stop.send_replace(true);
        if let Some(listening) = self.listening.take() {
            drop(listening.await);
        }
    }

    /// Waits until what follows from every clock is done.
    pub(crate) async fn all(&self) {
        let done = || self.lock().values().filter(|times| times.done.is_some()).count();
        while done() < self.clocks as usize {
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// What became of each clock; where the server was away, it counts from when it was back.
    pub(crate) fn lateness(&self, due: &Due, back: Option<Timestamp>) -> Lateness {
        let times = self.lock();
        let (mut late, mut done) = (Vec::new(), Vec::new());
        for n in 0..self.clocks {
            let Some(times) = times.get(&clock(n).fire_subject()) else { continue };
            let due = back.map_or(due.of(n), |back| due.of(n).max(back));
            let after = |at: Timestamp| Duration::try_from(at.duration_since(due)).unwrap_or_default();
            late.push(after(times.handed));
            done.extend(times.done.map(after));
        }
        late.sort();
        done.sort();
        let lost = self.clocks as usize - late.len();
        Lateness { late, done, lost }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Times>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes note of a clock and has the reaper, if there is one, do what follows.
async fn hear(
    times: &Mutex<HashMap<String, Times>>,
    reaper: Option<&Reaper<Bus, Nowhere>>,
    delivery: Delivery,
) -> Result<(), ReapError> {
    let lock = || times.lock().unwrap_or_else(PoisonError::into_inner);
    lock().entry(delivery.subject.clone()).or_insert(Times { handed: Timestamp::now(), done: None });
    if let Some(reaper) = reaper {
        let clock: Clock = delivery.subject.parse().map_err(|error| ReapError::Unreadable(Unreadable::Clock(error)))?;
        reaper.fire(&clock.build, clock.attempt, clock.kind).await?;
    }
    if let Some(times) = lock().get_mut(&delivery.subject) {
        times.done.get_or_insert(Timestamp::now());
    }
    Ok(())
}
