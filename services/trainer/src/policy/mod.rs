//! When a model is trained again: cold → warm-up → watching → suspected → drifted → cooldown? budget? one under way? →
//! requested → training → evaluated → promoted (the reference is pinned again, windows are cleared) | rejected (back-off doubles).
//!
//! [`step`] is the whole of it: a plain function of what is known and what is seen. The same serves live, `switchyard model
//! replay` and the tests. What it says stands in the record's outbox, so that saying it can be done again.

mod gate;
mod outlook;
mod record;
mod rules;
mod run;
mod trigger;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

pub use gate::{Reason, Why, gate};
pub use outlook::{Outlook, outlook};
pub use record::{
    Ask, Backoff, Ended, Episode, Manual, Record, RollingBack, Run, Spent, Stage, Taken, Trained, Training, Waiting, Watch,
};
pub use rules::{Concurrency, Mode, Rules};

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use switchyard_events::{
    BuildKey, BuildSpec, Cause, DriftCleared, DriftDetected, Drifted, RetrainingRequested, RetrainingSkipped, Says, Thread, Told,
};
use switchyard_model::RunResult;

use gate::after;
use record::HANDLED;

/// What the trainer has seen, or what came of something that it set about.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// A window was judged.
    Window(Window),
    /// It was looked which data run `n` has, or that was not possible.
    Resolved {
        /// The run.
        n: u64,
        /// Its data and its build, or what stood in the way.
        found: Result<Box<Resolved>, String>,
    },
    /// An attempt of a build has ended.
    Finished {
        /// The build.
        build: BuildKey,
        /// Its attempt.
        attempt: u32,
        /// How long its pod took.
        used: Duration,
        /// How it ended; none where another attempt follows.
        end: Option<End>,
    },
    /// It was tried to make the candidate of run `n` the champion.
    Promoted {
        /// The run.
        n: u64,
        /// What came of it.
        outcome: Promotion,
    },
    /// Somebody has approved or denied a run.
    Approval {
        /// The id of the event.
        id: String,
        /// Of which run; none: whichever waits.
        run: Option<u64>,
        /// Whether it may begin.
        granted: bool,
        /// Who.
        by: String,
    },
    /// Somebody wants a training.
    Wanted {
        /// The id of the event.
        id: String,
        /// Who, and how urgently.
        manual: Manual,
    },
    /// Somebody wants an earlier champion back.
    RollBack {
        /// The id of the event.
        id: String,
        /// To which run; none: the one before.
        to: Option<String>,
        /// Who.
        by: String,
    },
    /// It was tried to make an earlier model the champion.
    RolledBack(Result<Crowned, String>),
    /// These events are stored: their ids, and the contexts in which they were published, where they have any.
    Stored(BTreeMap<String, Option<String>>),
    /// Time has passed.
    Tick,
}

/// A window that was judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// The run whose training fold it was weighed against.
    pub reference: String,
    /// Its number, which grows from window to window of one reference.
    pub number: u64,
    /// How many rows it has.
    pub rows: u64,
    /// How many of these are new data to train on.
    pub new_rows: u64,
    /// The columns that have drifted. Empty: none has.
    pub drifted: Vec<Drifted>,
    /// Whether it differs, without that being enough for a verdict.
    pub suspected: bool,
    /// Why the model is no longer good enough, where it is not.
    pub poor: Option<String>,
}

/// The data that a run is to be trained on, and its build.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The run's key.
    pub key: String,
    /// The champion that it is compared with.
    pub champion: Option<String>,
    /// The build.
    pub spec: BuildSpec,
}

/// How a build ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// With a result.
    Result(Box<RunResult>),
    /// Without one.
    Failed(String),
    /// It was stopped.
    Cancelled,
}

/// What came of a promotion.
#[derive(Clone, Debug, PartialEq)]
pub enum Promotion {
    /// It is the champion.
    Done(Crowned),
    /// It is not: the champion is another than the one it was compared with.
    Superseded(String),
    /// It cannot be: what it has left behind is not usable.
    Unusable(String),
}

/// A model that has become the champion.
#[derive(Clone, Debug, PartialEq)]
pub struct Crowned {
    /// The key of its run.
    pub run: String,
    /// The run whose model was the champion before.
    pub replaced: Option<String>,
    /// The digest of the profile that is the reference from now on.
    pub sha256: String,
    /// Where that is in the model's store.
    pub path: String,
    /// What serving is told.
    pub serving: Vec<Says>,
}

/// How long it takes before it is looked for new data again.
const NO_NEW_DATA: Duration = Duration::from_mins(15);
const NO_MANIFEST: Duration = Duration::from_mins(5);

/// What follows from something seen: the record after it, and what is to be said.
///
/// Seeing the same again changes nothing. What is said is added to the record's outbox; [`Seen::Stored`] takes it out.
#[must_use]
pub fn step(record: &Record, rules: &Rules, seen: Seen, now: Timestamp) -> (Record, Vec<Told>) {
    let mut desk = Desk { record: record.clone(), rules, now: now.max(record.at), told: Vec::new() };
    desk.see(seen);
    let Desk { record: mut after, told, now, .. } = desk;
    after.outbox.extend(told.iter().cloned());
    if after != *record {
        after.at = now;
    }
    (after, told)
}

/// A record while it is being changed.
struct Desk<'a> {
    record: Record,
    rules: &'a Rules,
    now: Timestamp,
    told: Vec<Told>,
}

impl Desk<'_> {
    fn see(&mut self, seen: Seen) {
        match seen {
            Seen::Window(window) => self.window(window),
            Seen::Resolved { n, found } => self.resolved(n, found),
            Seen::Finished { build, attempt, used, end } => self.finished(&build, attempt, used, end),
            Seen::Promoted { n, outcome } => self.promoted(n, outcome),
            Seen::Approval { id, run, granted, by } => self.approval(id, run, granted, by),
            Seen::Wanted { id, manual } => {
                if self.is_new(id) {
                    self.record.manual = Some(manual);
                    self.consider(true);
                }
            }
            Seen::RollBack { id, to, by } => {
                if self.is_new(id) {
                    self.record.rollback = Some(RollingBack { to, by, at: self.now });
                }
            }
            Seen::RolledBack(outcome) => self.rolled_back(outcome),
            Seen::Stored(stored) => self.stored(&stored),
            Seen::Tick => self.consider(false),
        }
    }

    fn window(&mut self, window: Window) {
        let Window { reference, number, rows, new_rows, drifted, suspected, poor } = window;
        let watch = &mut self.record.watch;
        if self.record.reference.as_ref() != Some(&reference) || watch.last.is_some_and(|last| number <= last) {
            return;
        }
        watch.last = Some(number);
        watch.windows = watch.windows.saturating_add(1);
        watch.new_rows = watch.new_rows.saturating_add(new_rows);
        (watch.suspected, watch.poor) = (suspected, poor);
        match (&mut watch.drift, drifted.is_empty()) {
            (Some(episode), false) => episode.columns = drifted,
            (Some(_), true) => self.cleared("windows", Some(number)),
            (None, false) => {
                let mut thread = Thread::new(&self.record.model, &format!("drift {reference} {number}"));
                let columns = drifted.clone();
                self.tell(&mut thread, Says::Detected(DriftDetected { window: number, rows, columns }));
                self.record.watch.drift = Some(Episode { window: number, at: self.now, columns: drifted, thread });
            }
            (None, true) => {}
        }
        self.consider(true);
    }

    fn cleared(&mut self, reason: &str, window: Option<u64>) {
        if let Some(Episode { mut thread, .. }) = self.record.watch.drift.take() {
            self.tell(&mut thread, Says::Cleared(DriftCleared { window, reason: reason.into() }));
        }
    }

    fn approval(&mut self, id: String, run: Option<u64>, granted: bool, by: String) {
        let waits = self.record.asked.as_ref().is_some_and(|ask| run.is_none_or(|run| run == ask.n));
        if self.rules.policy.mode != Mode::Approve || !waits || !self.is_new(id) {
            return;
        }
        if granted {
            if let Some(ask) = &mut self.record.asked {
                ask.granted.get_or_insert(by);
            }
            self.consider(true);
        } else if let Some(ask) = self.record.asked.take() {
            self.record.suggested = Some(self.now);
            self.skip(Why::new(Reason::Denied, format!("run {} was denied by {by}", ask.n)), &ask.causes, Some(ask.thread));
        }
    }

    /// Decides whether a training is begun. `news`: something has just been seen, and why not is said in any case.
    fn consider(&mut self, news: bool) {
        let (now, per) = (self.now, self.rules.policy.budget.as_ref().map(|budget| budget.per.duration()));
        let is_counted = |spent: &Spent| per.is_some_and(|per| after(spent.at, per) > now);
        self.record.spent.retain(|spent| spent.open || is_counted(spent));
        if self.rules.policy.mode != Mode::Approve
            && let Some(ask) = self.record.asked.take()
        {
            self.give_back(&ask.taken);
            let why = Why::new(Reason::ModeChanged, format!("run {} needs no approval any more", ask.n));
            self.skip(why, &ask.causes, Some(ask.thread));
        }
        if self.record.asked.as_ref().is_some_and(|ask| ask.granted.is_some()) {
            return self.begin_approved();
        }
        let warmup = self.rules.policy.warmup;
        let mut causes = trigger::causes(&self.record, &self.rules.policy.triggers, warmup, self.now);
        let manual = self.record.manual.clone();
        if let Some(manual) = &manual {
            causes.insert(0, trigger::cause("manual", format!("wanted by {}", manual.by)));
        }
        if !causes.is_empty() {
            self.decide(causes, manual, news);
        } else if news && self.record.watch.drift.is_some() && trigger::is_warming_up(&self.record, warmup) {
            let message = format!("window {} of the first {warmup} of this champion", self.record.watch.windows);
            let cause = trigger::cause("drift", "watched only");
            self.skip(Why::new(Reason::WarmUp, message), &[cause], None);
        }
    }

    fn decide(&mut self, causes: Vec<Cause>, manual: Option<Manual>, news: bool) {
        let hurried = manual.as_ref().is_some_and(|manual| manual.now);
        match gate(&self.record, self.rules, self.now, (manual.is_some(), hurried)) {
            Err(Why { reason: Reason::Running, message, .. }) => self.meet(&message, &causes, news),
            Err(why) => self.skip_once(why, &causes, news),
            Ok(()) if manual.is_some() => self.begin(causes, manual.map(|manual| manual.by)),
            Ok(()) => match self.rules.policy.mode {
                Mode::Auto => self.begin(causes, None),
                Mode::Approve => self.ask(causes),
                Mode::Suggest => {
                    self.take_up();
                    self.record.suggested = Some(self.now);
                    let why = Why::new(Reason::Suggested, "the policy only suggests: `switchyard model retrain` begins one");
                    self.skip(why, &causes, None);
                }
            },
        }
    }

    /// A run is under way.
    fn meet(&mut self, message: &str, causes: &[Cause], news: bool) {
        let follows = |message: &str| Why::new(Reason::Queued, format!("{message}; another follows"));
        match self.rules.policy.concurrency {
            Concurrency::Skip => {
                self.take_up();
                self.skip(Why::new(Reason::Running, message), causes, None);
            }
            Concurrency::Queue => self.skip_once(follows(message), causes, news),
            Concurrency::CancelPrevious => {
                self.cancel();
                self.skip_once(follows("the run before is stopped"), causes, news);
            }
        }
    }

    /// Asks for approval, or adds to what was asked.
    fn ask(&mut self, causes: Vec<Cause>) {
        let taken = self.take_up();
        if let Some(ask) = &self.record.asked {
            let message = format!("run {} waits for approval since {:.0}", ask.n, ask.at);
            return self.skip(Why::new(Reason::AwaitingApproval, message), &causes, None);
        }
        self.record.runs += 1;
        let (n, mut thread) = (self.record.runs, self.thread(&causes));
        let requested = RetrainingRequested {
            run: n,
            causes: causes.clone(),
            approval: Some("needed".into()),
            key: None,
            build: None,
            by: None,
        };
        self.tell(&mut thread, Says::Requested(requested));
        self.record.asked = Some(Ask { n, at: self.now, causes, thread, granted: None, taken });
    }

    /// The events that a run of these causes belongs to: those of the drift, if that is one of them.
    fn thread(&self, causes: &[Cause]) -> Thread {
        let drift = self.record.watch.drift.as_ref().filter(|_| causes.iter().any(|cause| cause.trigger == "drift"));
        let beginning = || format!("run {} {}", self.record.born, self.record.runs);
        drift.map_or_else(|| Thread::new(&self.record.model, &beginning()), |episode| episode.thread.clone())
    }

    /// Takes up what speaks for a training: it speaks for no second one.
    fn take_up(&mut self) -> Taken {
        let Record { watch, since, manual, .. } = &mut self.record;
        let taken = Taken { fired: watch.fired, since: *since, new_rows: watch.new_rows };
        (watch.fired, watch.new_rows, *since, *manual) = (watch.last, 0, self.now, None);
        taken
    }

    /// Lets it speak again.
    fn give_back(&mut self, taken: &Taken) {
        let Record { watch, since, .. } = &mut self.record;
        (watch.fired, *since) = (taken.fired, taken.since);
        watch.new_rows = watch.new_rows.saturating_add(taken.new_rows);
    }

    fn skip_once(&mut self, why: Why, causes: &[Cause], news: bool) {
        if news || self.record.skipped.as_deref() != Some(why.reason.name()) {
            self.skip(why, causes, None);
        }
    }

    /// Says why no training is begun.
    fn skip(&mut self, why: Why, causes: &[Cause], thread: Option<Thread>) {
        let mut thread = thread.unwrap_or_else(|| self.thread(causes));
        self.record.skipped = Some(why.reason.name().into());
        let Why { reason, message, until } = why;
        let skipped = RetrainingSkipped { reason: reason.name().into(), message, until, causes: causes.to_vec() };
        self.tell(&mut thread, Says::Skipped(skipped));
    }

    /// Says something; what is said next in this thread names it as its cause.
    fn tell(&mut self, thread: &mut Thread, says: Says) -> Told {
        self.record.told += 1;
        let model = self.record.model.clone();
        let id = Told::id(&model, self.record.born, self.record.told);
        let told = Told { model, id, at: self.now, thread: thread.clone(), says };
        thread.go_on(&told.id);
        self.told.push(told.clone());
        told
    }

    /// What follows from events that are stored hangs below them.
    fn stored(&mut self, stored: &BTreeMap<String, Option<String>>) {
        let Record { outbox, watch, asked, run, .. } = &mut self.record;
        outbox.retain(|told| !stored.contains_key(&told.id));
        let said = outbox.iter_mut().map(|told| &mut told.thread);
        let drift = watch.drift.as_mut().map(|drift| &mut drift.thread);
        let (asked, run) = (asked.as_mut().map(|ask| &mut ask.thread), run.as_mut().map(|run| &mut run.thread));
        said.chain(drift).chain(asked).chain(run).for_each(|thread| thread.published(stored));
    }

    /// Whether nothing was done yet about what this event asks.
    fn is_new(&mut self, id: String) -> bool {
        if self.record.handled.contains(&id) {
            return false;
        }
        self.record.handled.push_back(id);
        if self.record.handled.len() > HANDLED {
            self.record.handled.pop_front();
        }
        true
    }
}
