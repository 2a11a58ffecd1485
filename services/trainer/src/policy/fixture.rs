//! Values for the tests of the policy.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use switchyard_events::{BuildSpec, Drifted, Says, TimeLimit, Told};
use switchyard_model::{Artifact, Gate, Outcome, RunResult};

use super::{Crowned, End, Promotion, Record, Resolved, Rules, Seen, Stage, Window, step};

pub(super) fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + minutes * 60).unwrap()
}

/// Rules out of the `policy` of a model file.
pub(super) fn rules(policy: &str) -> Rules {
    let file = format!(
        "{{version: 1, model: churn, store: {{url: 'file:///s'}}, data: {{source: {{url: 'file:///d/*.csv'}}, key: id, label: \
         {{column: y, task: binary}}, features: [age]}}, split: {{seed: 1, folds: {{train: 0.7, eval: 0.1, test: 0.2}}}}, train: {{image: a, \
         command: [t], timeout: 1h}}, evaluate: {{metrics: [auc], gate: {{metric: auc}}}}, monitor: {{input: {{format: rows, partitions: 1}}, window: {{rows: 1000}}, performance: {{metric: auc, min: 0.7}}}}, policy: {policy}}}"
    );
    let (model, _) = switchyard_model::read(&file).unwrap_or_else(|wrong| panic!("{wrong}"));
    Rules::of(&model)
}

/// A policy whose tests read well.
pub(super) const AUTO: &str = "{mode: auto, triggers: [drift], cooldown: 60, rejectBackoff: 30}";

pub(super) fn window(reference: &str, number: u64, drifted: bool) -> Seen {
    let column = Drifted { column: "age".into(), measure: "ks".into(), effect: 0.5, threshold: 0.1, p: 0.0 };
    let drifted = if drifted { vec![column] } else { Vec::new() };
    Seen::Window(Window { reference: reference.into(), number, rows: 100, new_rows: 100, drifted, ..Window::default() })
}

pub(super) fn resolved(record: &Record, key: &str) -> Seen {
    let n = record.run.as_ref().map_or(0, |run| run.n);
    let spec = BuildSpec { image: "a".into(), ..BuildSpec::default() };
    Seen::Resolved { n, found: Ok(Box::new(Resolved { key: key.into(), champion: record.reference.clone(), spec })) }
}

pub(super) fn finished(record: &Record, end: impl FnOnce(&str, Option<&str>) -> End) -> Option<Seen> {
    let training = record.run.as_ref()?.training()?;
    let end = Some(end(&training.key, training.champion.as_deref()));
    Some(Seen::Finished { build: training.build.clone(), attempt: 1, used: Duration::from_mins(10), end })
}

pub(super) fn result(key: &str, compared: Option<&str>, passed: bool) -> End {
    let artifact = |name: &str| Artifact { path: format!("runs/{key}/{name}"), sha256: "a".repeat(64) };
    let failed = if passed { Vec::new() } else { vec!["auc 0.7 is below 0.8".to_owned()] };
    End::Result(Box::new(RunResult {
        run: key.into(),
        outcome: if passed { Outcome::Passed } else { Outcome::Rejected },
        metrics: BTreeMap::from([("auc".into(), 0.9)]),
        champion: BTreeMap::new(),
        compared: compared.map(str::to_owned),
        gate: Gate { failed },
        model: artifact("model"),
        preprocessing: artifact("preprocessing.json"),
        profile: artifact("profile.json"),
        manifest: artifact("manifest.json"),
        rows: switchyard_model::Rows::default(),
    }))
}

pub(super) fn crowned(record: &Record) -> Option<Seen> {
    let run = record.run.as_ref().filter(|run| matches!(run.stage, Stage::Promoting(..)))?;
    let key = run.training()?.key.clone();
    let path = format!("runs/{key}/profile.json");
    let crowned = Crowned { run: key, replaced: record.reference.clone(), sha256: "a".repeat(64), path, serving: Vec::new() };
    Some(Seen::Promoted { n: run.n, outcome: Promotion::Done(crowned) })
}

/// A record, what it has told in short, and the time.
pub(super) struct Life {
    pub(super) record: Record,
    pub(super) rules: Rules,
    pub(super) now: i64,
}

impl Life {
    /// A model with a champion, `champ`.
    pub(super) fn new(policy: &str) -> Self {
        Self { record: Record::new("churn", Some("champ".into()), at(0)), rules: rules(policy), now: 0 }
    }

    pub(super) fn see(&mut self, seen: Seen) -> Vec<String> {
        let (record, told) = step(&self.record, &self.rules, seen, at(self.now));
        self.record = record;
        told.iter().map(short).collect()
    }

    pub(super) fn window(&mut self, number: u64, drifted: bool) -> Vec<String> {
        let reference = self.record.reference.clone().unwrap_or_default();
        self.see(window(&reference, number, drifted))
    }

    pub(super) fn train(&mut self, key: &str) -> Vec<String> {
        self.see(resolved(&self.record, key))
    }

    pub(super) fn end(&mut self, end: impl FnOnce(&str, Option<&str>) -> End) -> Vec<String> {
        let seen = finished(&self.record, end).expect("a build is under way");
        self.see(seen)
    }

    pub(super) fn passes(&mut self) -> Vec<String> {
        self.end(|key, compared| result(key, compared, true))
    }

    pub(super) fn crown(&mut self) -> Vec<String> {
        let seen = crowned(&self.record).expect("a run has passed");
        self.see(seen)
    }

    pub(super) fn later(&mut self, minutes: i64) -> Vec<String> {
        self.now += minutes;
        self.see(Seen::Tick)
    }
}

pub(super) fn short(told: &Told) -> String {
    match &told.says {
        Says::Detected(_) => "detected".into(),
        Says::Cleared(cleared) => format!("cleared {}", cleared.reason),
        Says::Requested(requested) if requested.approval.is_some() => "asked".into(),
        Says::Requested(_) => "requested".into(),
        Says::Skipped(skipped) => format!("skipped {}", skipped.reason),
        Says::Finished(finished) => format!("finished {}", finished.outcome.name()),
        Says::Evaluated(_) => "evaluated".into(),
        Says::Promoted(_) => "promoted".into(),
        Says::Rejected(_) => "rejected".into(),
        Says::RolledBack(_) => "rolled back".into(),
        Says::Pinned(_) => "pinned".into(),
        Says::Build(_) => "build".into(),
        Says::Cancel(_) => "cancel".into(),
        Says::Published(_) => "published".into(),
        Says::Service(_) => "service".into(),
    }
}

pub(super) const LIMIT: TimeLimit = TimeLimit::minutes(60);
