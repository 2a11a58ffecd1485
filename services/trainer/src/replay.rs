//! What a model file would have done: its monitoring and its policy, run over what was seen. The same plain functions as live;
//! only trainings are imagined. Nothing is published and nothing is kept.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cloudevents::Event;
use jiff::{SignedDuration, Timestamp};
use switchyard_events::{BuildSpec, RunEnd, Says, Told};
use switchyard_model::{Artifact, Gate, Model, Outcome, Rows, RunResult};

use crate::{
    Judged, Pinned, Watch,
    policy::{Crowned, End, Promotion, Record, Resolved, Rules, Seen, Stage, step},
    windows::{Course, Part, State, Taken},
};

/// How often it is looked whether the time has come for something.
const TICK: SignedDuration = SignedDuration::from_mins(1);

/// How every training is imagined to go.
#[derive(Clone, Copy, Debug)]
pub struct Imagined {
    /// How long it takes.
    pub takes: Duration,
    /// How it ends.
    pub ends: RunEnd,
}

/// A model file over what was seen.
pub struct Replay {
    model: Model,
    rules: Rules,
    watch: Watch,
    pinned: Pinned,
    state: State,
    course: Course,
    record: Record,
    imagined: Imagined,
    /// When the training under way ends.
    ends: Option<Timestamp>,
    ticked: Timestamp,
    /// The last window as it was counted.
    last: Option<Arc<Part>>,
    skipped: u64,
}

/// Something that would have happened.
#[derive(Clone, Debug)]
pub enum Happened {
    /// A window was judged.
    Window(Box<Judged>),
    /// This would have been said.
    Said(Box<Told>),
}

/// The windows could not be judged.
#[derive(Debug, thiserror::Error)]
#[error("a window does not fit the reference that it was counted with")]
pub struct ReplayError;

impl Replay {
    /// A replay against a reference, from some time on; `None` where the file says nothing of monitoring.
    #[must_use]
    pub fn new(model: &Model, pinned: Pinned, imagined: Imagined, begin: Timestamp) -> Option<Self> {
        let watch = alone(Watch::new(model, pinned.clone(), 1)?);
        let course = Course::default().begin(&watch);
        Some(Self {
            rules: Rules::of(model),
            state: State::begin(&watch, 0),
            record: Record::new(&model.name, Some(pinned.run.clone()), begin),
            model: model.clone(),
            ticked: begin,
            ends: None,
            last: None,
            skipped: 0,
            watch,
            pinned,
            course,
            imagined,
        })
    }

    /// What would have followed from an event that was stored at that time.
    ///
    /// # Errors
    /// When a window cannot be judged.
    pub fn take(&mut self, event: &Event, stored: Timestamp) -> Result<Vec<Happened>, ReplayError> {
        let mut happened = Vec::new();
        self.pass(stored, &mut happened);
        match self.state.take(&self.watch, event, stored) {
            Taken::Rows(_) | Taken::Again => {}
            Taken::Files(_) | Taken::Unreadable(_) => self.skipped += 1,
        }
        while let Some(number) = self.state.parts.keys().next().copied() {
            let Some(part) = self.state.parts.remove(&number) else { break };
            self.course = self.course.judge(&self.watch, number, &part).map_err(|_| ReplayError)?;
            self.last = Some(part);
            let Some(judged) = self.course.last.clone() else { continue };
            let seen = Seen::Window((&judged).into());
            happened.push(Happened::Window(Box::new(judged)));
            self.see(seen, stored, &mut happened);
        }
        Ok(happened)
    }

    /// How many messages could not be counted: files by reference, and what cannot be read.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Time passes: what has waited for it happens.
    fn pass(&mut self, until: Timestamp, happened: &mut Vec<Happened>) {
        while let Some(next) = self.ticked.checked_add(TICK).ok().filter(|next| *next <= until) {
            self.ticked = next;
            if self.ends.is_some_and(|ends| ends <= next) {
                self.end(next, happened);
            }
            self.see(Seen::Tick, next, happened);
        }
    }

    fn see(&mut self, seen: Seen, now: Timestamp, happened: &mut Vec<Happened>) {
        let mut next = Some(seen);
        while let Some(seen) = next.take() {
            let (record, told) = step(&self.record, &self.rules, seen, now);
            self.record = record;
            self.record.outbox.clear();
            happened.extend(told.into_iter().map(|told| Happened::Said(Box::new(told))));
            let resolving = self.record.run.as_ref().filter(|run| run.stage == Stage::Resolving).map(|run| run.n);
            next = resolving.map(|n| {
                self.ends = now.checked_add(self.imagined.takes).ok();
                let (key, champion) = (format!("run-{n}"), self.record.reference.clone());
                let spec = BuildSpec { image: self.model.train.image.clone(), ..BuildSpec::default() };
                Seen::Resolved { n, found: Ok(Box::new(Resolved { key, champion, spec })) }
            });
        }
    }

    /// The training under way ends as it is imagined to.
    fn end(&mut self, now: Timestamp, happened: &mut Vec<Happened>) {
        self.ends = None;
        let Some(run) = self.record.run.clone() else { return };
        let Some(training) = run.training().cloned() else { return };
        let end = match (training.cancelled, self.imagined.ends) {
            (true, _) | (false, RunEnd::Cancelled) => End::Cancelled,
            (false, RunEnd::Failed) => End::Failed("as imagined".into()),
            (false, RunEnd::Promoted) => End::Result(Box::new(result(&training.key, training.champion.clone(), true))),
            (false, RunEnd::Rejected) => End::Result(Box::new(result(&training.key, training.champion.clone(), false))),
        };
        let used = self.imagined.takes;
        self.see(Seen::Finished { build: training.build, attempt: 1, used, end: Some(end) }, now, happened);
        if self.record.run.as_ref().is_some_and(|run| matches!(run.stage, Stage::Promoting(..))) {
            let crowned = Crowned {
                run: training.key.clone(),
                replaced: training.champion,
                sha256: "0".repeat(64),
                path: format!("runs/{}/profile.json", training.key),
                serving: Vec::new(),
            };
            self.see(Seen::Promoted { n: run.n, outcome: Promotion::Done(crowned) }, now, happened);
            self.repin(training.key);
        }
    }

    /// A model that is trained now knows data such as the last window's: that is the reference from here on.
    fn repin(&mut self, run: String) {
        let filled = self.last.take().and_then(|part| self.pinned.profile.clone().filled(&part.counts).ok());
        let profile = filled.unwrap_or_else(|| self.pinned.profile.clone());
        self.pinned = Pinned { run, profile, ..self.pinned.clone() };
        if let Some(watch) = Watch::new(&self.model, self.pinned.clone(), self.watch.version + 1) {
            self.watch = alone(watch);
            self.state = State::begin(&self.watch, 0);
            self.course = std::mem::take(&mut self.course).begin(&self.watch);
        }
    }
}

/// One reader reads everything: its windows are as large as those of all partitions together.
fn alone(watch: Watch) -> Watch {
    Watch { partitions: 1, ..watch }
}

fn result(key: &str, compared: Option<String>, passed: bool) -> RunResult {
    let artifact = |name: &str| Artifact { path: format!("runs/{key}/{name}"), sha256: "0".repeat(64) };
    let failed = if passed { Vec::new() } else { vec!["as imagined".to_owned()] };
    RunResult {
        run: key.to_owned(),
        outcome: if passed { Outcome::Passed } else { Outcome::Rejected },
        metrics: BTreeMap::new(),
        champion: BTreeMap::new(),
        compared,
        gate: Gate { failed },
        model: artifact("model"),
        preprocessing: artifact("preprocessing.json"),
        profile: artifact("profile.json"),
        manifest: artifact("manifest.json"),
        rows: Rows::default(),
    }
}

/// What is said, in a line for people.
#[must_use]
pub fn words(told: &Told) -> String {
    let names = |causes: &[switchyard_events::Cause]| {
        causes.iter().map(|cause| format!("{} ({})", cause.trigger, cause.detail)).collect::<Vec<_>>().join(", ")
    };
    match &told.says {
        Says::Detected(drift) => {
            let of = |it: &switchyard_events::Drifted| {
                format!("{} {} {:.4} over {:.4}", it.column, it.measure, it.effect, it.threshold)
            };
            format!("drift detected in window {}: {}", drift.window, drift.columns.iter().map(of).collect::<Vec<_>>().join(", "))
        }
        Says::Cleared(cleared) => format!("drift cleared: {}", cleared.reason),
        Says::Requested(asked) if asked.approval.is_some() => {
            format!("run {} would wait for approval: {}", asked.run, names(&asked.causes))
        }
        Says::Requested(asked) => format!("run {} requested: {}", asked.run, names(&asked.causes)),
        Says::Skipped(skipped) => {
            let until = skipped.until.map(|until| format!(", until {until:.0}")).unwrap_or_default();
            format!("no training: {}: {}{until}", skipped.reason, skipped.message)
        }
        Says::Finished(end) => format!("run {} finished: {}", end.run, end.outcome.name()),
        Says::Evaluated(model) => format!("{} evaluated", model.run),
        Says::Promoted(model) => format!("{} promoted", model.run),
        Says::Rejected(model) => format!("{} rejected: {}", model.run, model.reasons.join("; ")),
        Says::RolledBack(model) => format!("{} is the champion again", model.run),
        Says::Pinned(reference) => format!("reference of {} pinned", reference.run),
        Says::Build(build) => format!("build {} asked for", build.subject),
        Says::Cancel(_) => "the build under way cancelled".to_owned(),
        Says::Published(model) => format!("artifact {} published", model.artifact),
        Says::Service(service) => format!("service {} has {}", service.service, service.artifact),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        fixture::{MODEL, event, pinned},
        ingest::ROWS,
    };

    const BEGIN: i64 = 1_700_000_000;

    /// A batch of 100 rows each minute: from the 30th on all ages are higher by `shift`. What would have been said.
    fn said(policy: &str, ends: RunEnd, shift: f64) -> Vec<String> {
        let monitor = "{window: {rows: 500}, minSamples: 100}";
        let (model, _) = switchyard_model::read(&format!("{MODEL}monitor: {monitor}\npolicy: {policy}\n")).unwrap();
        let imagined = Imagined { takes: Duration::from_mins(10), ends };
        let begin = Timestamp::from_second(BEGIN).unwrap();
        let mut replay = Replay::new(&model, pinned("run"), imagined, begin).unwrap();
        let mut said = Vec::new();
        for minute in 0..120_u32 {
            let by = if minute < 30 { 0.0 } else { shift };
            let row = |row: u32| {
                let even = f64::from((minute * 100 + row) * 2473 % 4000) / 4000.0;
                json!({"id": row, "age": even + by, "score": even, "plan": (["free", "pro", "team"][row as usize % 3])})
            };
            let rows: Vec<_> = (0..100).map(row).collect();
            let stored = Timestamp::from_second(BEGIN + 60 * i64::from(minute)).unwrap();
            let event = event(&minute.to_string(), ROWS, &json!({"rows": rows}).to_string());
            for happened in replay.take(&event, stored).unwrap() {
                if let Happened::Said(told) = happened {
                    said.push(words(&told));
                }
            }
        }
        assert_eq!(replay.skipped(), 0);
        said
    }

    fn of<'a>(said: &'a [String], what: &str) -> Vec<&'a String> {
        said.iter().filter(|line| line.contains(what)).collect()
    }

    #[test]
    fn a_drift_is_found_trained_for_once_and_over_with_the_champion_that_knows_it() {
        let said = said("{mode: auto, triggers: [drift], warmup: 1}", RunEnd::Promoted, 0.5);
        assert_eq!((of(&said, "drift detected").len(), of(&said, "requested").len()), (1, 1), "{said:#?}");
        assert!(of(&said, "drift detected")[0].contains("age ks 0."), "{said:#?}");
        assert_eq!(of(&said, "finished: promoted").len(), 1);
        assert!(said.last().unwrap().contains("finished"), "nothing follows: {said:#?}");
        assert!(self::said("{mode: auto, triggers: [drift]}", RunEnd::Promoted, 0.0).is_empty());
    }

    #[test]
    fn another_policy_does_otherwise_with_the_same_data() {
        let often = said("{mode: auto, triggers: [drift], rejectBackoff: 5m}", RunEnd::Rejected, 0.5);
        let seldom =
            said("{mode: auto, triggers: [drift], rejectBackoff: 5m, budget: {runs: 1, per: 1d}}", RunEnd::Rejected, 0.5);
        let suggests = said("{mode: suggest, triggers: [drift], cooldown: 20m}", RunEnd::Rejected, 0.5);
        assert!(of(&often, "requested").len() > 1, "{often:#?}");
        assert_eq!(of(&seldom, "requested").len(), 1, "{seldom:#?}");
        assert!(!of(&seldom, "no training: budget").is_empty());
        assert!(of(&suggests, "requested").is_empty() && of(&suggests, "no training: suggested").len() > 1, "{suggests:#?}");
    }
}
