//! What the world holds: the ledger, the event log, who has still to be told what, the clocks, the clusters.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use switchyard_bus::Published;
use switchyard_events::{BuildKey, Clock, ClockKind, Outgoing, Record};

use crate::{
    cluster::{Away, Cluster},
    laws,
    mistake::{self, Mistake},
    told::{self, About, Told},
};

pub(crate) const EXECUTORS: [&str; 2] = ["a", "b"];

#[derive(Default)]
pub(crate) struct State {
    pub(crate) records: BTreeMap<BuildKey, (Record, u64)>,
    pub(crate) revision: u64,
    pub(crate) log: Vec<Told>,
    /// Where in the log the events are of which there may be only one.
    pub(crate) once: HashMap<String, usize>,
    pub(crate) messages: Vec<Message>,
    pub(crate) delivered: u32,
    pub(crate) timers: Vec<(Clock, Timestamp)>,
    /// The clocks that have fired.
    pub(crate) fired: Vec<Clock>,
    pub(crate) clusters: [Cluster; 2],
    pub(crate) broker: Away,
    /// What is done wrong on purpose.
    pub(crate) mistake: Option<Mistake>,
    /// What the router has answered for.
    pub(crate) asked: BTreeSet<BuildKey>,
    pub(crate) cancelled: Vec<BuildKey>,
    /// Whether a clock was lost: then only the sweep keeps the promise.
    pub(crate) forgetful: bool,
    /// The first law that an effect has broken.
    pub(crate) broken: Option<String>,
}

/// A message that its consumer has not acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: u32,
    pub(crate) to: Consumer,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consumer {
    Router,
    Launcher(usize),
    Reaper(usize),
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Event { build: BuildKey, attempt: u32, at: usize },
    Cancel { build: BuildKey, at: usize },
    Fire(Clock),
}

impl State {
    pub(crate) fn breaks(&mut self, law: impl FnOnce() -> String) {
        self.broken.get_or_insert_with(law);
    }

    pub(crate) fn record(&self, build: &BuildKey) -> Option<&Record> {
        self.records.get(build).map(|(record, _)| record)
    }

    pub(crate) fn write(&mut self, build: &BuildKey, record: &Record) {
        if let Some(wrong) = laws::written(self, build, record) {
            self.breaks(|| wrong);
        }
        self.revision += 1;
        self.records.insert(build.clone(), (record.clone(), self.revision));
    }

    pub(crate) fn publish(&mut self, outgoing: Outgoing) -> Published {
        let before = self.once.get(&outgoing.subject).map(|at| &self.log[*at]);
        if let Some(before) = before.filter(|before| before.outgoing.event == outgoing.event) {
            // Said again in the same words.
            if let Some(wrong) = laws::published(self, &before.about) {
                self.breaks(|| wrong);
            }
            return Published::Already;
        }
        let told = Told::read(outgoing);
        let two = before.and_then(|before| laws::two_ends(before, &told));
        let already = before.is_some();
        if let Some(wrong) = two.or_else(|| laws::published(self, &told.about)) {
            self.breaks(|| wrong);
        }
        if already {
            return Published::Already;
        }
        let at = self.log.len();
        if told.outgoing.once {
            self.once.insert(told.outgoing.subject.clone(), at);
        }
        self.log.push(told);
        self.announce(at);
        Published::New
    }

    /// Has an event of the log delivered to all who read it.
    pub(crate) fn announce(&mut self, at: usize) {
        let About { what, build, attempt, executor } = self.log[at].about.clone();
        let event = What::Event { build: build.clone(), attempt, at };
        match what {
            told::What::Routed => {
                self.send(Consumer::Launcher(executor), event.clone());
                self.send(Consumer::Reaper(executor), event);
            }
            told::What::Launched => self.send(Consumer::Reaper(executor), event),
            // Every reaper takes its share of these.
            told::What::Started | told::What::Finished | told::What::Refused => self.send(Consumer::Reaper(at % 2), event),
            told::What::Requeued => self.send(Consumer::Router, event),
            told::What::Extended => {
                for executor in 0..EXECUTORS.len() {
                    self.send(Consumer::Reaper(executor), event.clone());
                }
            }
            told::What::CancelRequested => {
                for executor in 0..EXECUTORS.len() {
                    self.send(Consumer::Reaper(executor), What::Cancel { build: build.clone(), at });
                }
            }
        }
    }

    pub(crate) fn send(&mut self, to: Consumer, what: What) {
        self.delivered += 1;
        self.messages.push(Message { id: self.delivered, to, what });
    }

    pub(crate) fn arm(&mut self, clock: &Clock, at: Timestamp) {
        if mistake::is_deduplicated(self, clock) {
            return;
        }
        self.timers.retain(|(other, _)| other != clock);
        self.timers.push((clock.clone(), at));
    }

    /// A clock fires, whatever the time is.
    pub(crate) fn fire(&mut self, at: usize) {
        let (clock, _) = self.timers.remove(at);
        self.fired.push(clock.clone());
        let executor = EXECUTORS.iter().position(|name| *name == clock.executor).unwrap();
        self.send(Consumer::Reaper(executor), What::Fire(clock));
    }

    pub(crate) fn fire_due(&mut self, now: Timestamp) {
        while let Some(at) = self.timers.iter().position(|(_, due)| *due <= now) {
            self.fire(at);
        }
    }

    /// Whether a reaper or the router will be told of that attempt without looking for it. Launchers may be gone for good.
    pub(crate) fn is_remembered(&self, build: &BuildKey, n: u32, clock: Option<ClockKind>) -> bool {
        let fits = |found: &Clock| &found.build == build && found.attempt == n && clock.is_none_or(|kind| found.kind == kind);
        self.timers.iter().any(|(found, _)| fits(found))
            || self.messages.iter().filter(|message| !matches!(message.to, Consumer::Launcher(_))).any(|message| {
                match &message.what {
                    What::Event { build: found, attempt, .. } => found == build && *attempt == n,
                    What::Cancel { build: found, .. } => found == build && clock.is_none(),
                    What::Fire(found) => fits(found),
                }
            })
    }
}
