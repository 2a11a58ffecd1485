//! How one run goes, from the decision to its end. There is never more than one.

use std::{collections::BTreeMap, time::Duration};

use switchyard_events::{
    BuildKey, CancelRequested, Cause, ModelEvaluated, ModelPromoted, ModelRejected, ModelRolledBack, ReferencePinned,
    RetrainingFinished, RetrainingRequested, RunEnd, Says, Thread, TrainingBuild,
};
use switchyard_model::{Outcome, RunResult};

use super::{
    Ask, Backoff, Crowned, Desk, End, Ended, NO_MANIFEST, NO_NEW_DATA, Promotion, Reason, Resolved, Run, Spent, Stage, Trained,
    Training, Waiting, Watch, Why,
    gate::{after, gate, is_overspent, milliseconds},
    record::TRAINED,
};

/// The back-off stops doubling here: 64 times the first.
const DOUBLINGS: u32 = 6;

impl Desk<'_> {
    /// A run that was approved begins as soon as nothing keeps it.
    pub(super) fn begin_approved(&mut self) {
        let Some(ask) = self.record.asked.take() else { return };
        if let Err(why) = gate(&self.record, self.rules, self.now, (true, false)) {
            if self.record.skipped.as_deref() != Some(why.reason.name()) {
                self.skip(why, &ask.causes, Some(ask.thread.clone()));
            }
            self.record.asked = Some(ask);
            return;
        }
        let Ask { n, causes, thread, granted, taken, .. } = ask;
        self.set_about(Run { n, at: self.now, causes, by: granted, thread, taken, stage: Stage::Resolving });
    }

    /// Begins a run: which data it has is looked up first, and nothing is said before that is known.
    pub(super) fn begin(&mut self, causes: Vec<Cause>, by: Option<String>) {
        self.record.asked = None;
        self.record.runs += 1;
        let (n, thread, taken) = (self.record.runs, self.thread(&causes), self.take_up());
        self.set_about(Run { n, at: self.now, causes, by, thread, taken, stage: Stage::Resolving });
    }

    fn set_about(&mut self, run: Run) {
        let ms = milliseconds(self.rules.run_time.duration());
        self.record.spent.push(Spent { n: run.n, at: self.now, ms, open: true });
        self.record.look_again = None;
        self.record.run = Some(run);
    }

    pub(super) fn resolved(&mut self, n: u64, found: Result<Box<Resolved>, String>) {
        let Some(mut run) = self.record.run.take_if(|run| run.n == n && run.stage == Stage::Resolving) else { return };
        match found {
            Ok(found) if self.record.trained.contains_key(&found.key) => {
                let message = format!("run {} has this key already, and its result stands", found.key);
                self.nothing_to_train(&run, Why::new(Reason::NoNewData, message), NO_NEW_DATA);
            }
            Ok(found) => {
                self.request(&mut run, *found);
                self.record.run = Some(run);
            }
            Err(reason) => {
                self.give_back(&run.taken);
                self.nothing_to_train(&run, Why::new(Reason::NoManifest, reason), NO_MANIFEST);
            }
        }
    }

    fn nothing_to_train(&mut self, run: &Run, why: Why, again: Duration) {
        self.record.spent.retain(|spent| spent.n != run.n);
        let until = after(self.now, again);
        let reason = why.reason.name().to_owned();
        self.record.look_again = Some(Waiting { until, reason: reason.clone(), message: why.message.clone() });
        // A model without a champion looks again and again: that is said once.
        if run.by.is_some() || self.record.skipped.as_ref() != Some(&reason) || run.causes.iter().any(|c| c.trigger != "first") {
            self.skip(Why { until: Some(until), ..why }, &run.causes, Some(run.thread.clone()));
        }
    }

    /// Asks for the build.
    fn request(&mut self, run: &mut Run, found: Resolved) {
        let Resolved { key, champion, spec } = found;
        let subject = format!("{}/{}", self.record.model, run.n);
        // The request names its build, whose key follows from the id of the event after it.
        let asks = switchyard_events::Told::id(&self.record.model, self.record.born, self.record.told + 2);
        let build = BuildKey::of(switchyard_events::SOURCE, &subject, &asks);
        let requested = RetrainingRequested {
            run: run.n,
            causes: run.causes.clone(),
            approval: None,
            key: Some(key.clone()),
            build: Some(build.clone()),
            by: run.by.clone(),
        };
        self.tell(&mut run.thread, Says::Requested(requested));
        self.tell(&mut run.thread, Says::Build(Box::new(TrainingBuild { subject, spec })));
        let (at, used) = (self.now, BTreeMap::new());
        run.stage = Stage::Training(Training { key, build, champion, at, cancelled: false, used });
        (self.record.last, self.record.skipped) = (Some(at), None);
        self.record.spent.iter_mut().filter(|spent| spent.n == run.n).for_each(|spent| spent.at = at);
    }

    /// Has the run under way stopped, so that another can follow.
    pub(super) fn cancel(&mut self) {
        let Some(run) = &mut self.record.run else { return };
        // One that has no build yet will have the newest data in any case; one that has passed only waits for its crown.
        if let Stage::Training(training) = &mut run.stage
            && !training.cancelled
        {
            training.cancelled = true;
            let (build, mut thread) = (training.build.clone(), run.thread.clone());
            self.tell(&mut thread, Says::Cancel(CancelRequested { build }));
        }
    }

    pub(super) fn finished(&mut self, build: &BuildKey, attempt: u32, used: Duration, end: Option<End>) {
        let is_it = |run: &mut Run| matches!(&run.stage, Stage::Training(training) if training.build == *build);
        let Some(mut run) = self.record.run.take_if(is_it) else { return };
        if let Stage::Training(training) = &mut run.stage {
            training.used.entry(attempt).or_insert(milliseconds(used));
        }
        match end {
            None => {
                self.record.run = Some(run);
                self.set_aside_again();
            }
            Some(End::Cancelled) => self.close(&run, RunEnd::Cancelled, Some("its build was cancelled".into())),
            Some(End::Failed(reason)) => self.fail(&run, reason),
            Some(End::Result(result)) => match check(&run, &result) {
                Ok(()) => self.evaluated(run, result),
                Err(reason) => self.fail(&run, format!("its result is not one: {reason}")),
            },
        }
    }

    /// An attempt has failed, and the build is tried again: that may take as long once more. Where the budget has no room for it,
    /// the build is stopped.
    fn set_aside_again(&mut self) {
        let Some(Run { n, stage: Stage::Training(training), causes, thread, .. }) = &self.record.run else { return };
        let (n, causes, thread, stopped) = (*n, causes.clone(), thread.clone(), training.cancelled);
        let used = training.used.values().fold(milliseconds(self.rules.run_time.duration()), |sum, ms| sum.saturating_add(*ms));
        self.record.spent.iter_mut().filter(|spent| spent.n == n).for_each(|spent| spent.ms = used);
        if !stopped && is_overspent(&self.record, self.rules, self.now) {
            let message = format!("run {n} is stopped: an attempt has failed, and another may take {}", self.rules.run_time);
            self.skip(Why::new(Reason::Budget, message), &causes, Some(thread));
            self.cancel();
        }
    }

    fn evaluated(&mut self, mut run: Run, result: Box<RunResult>) {
        let RunResult { run: key, metrics, champion, compared, gate, outcome, .. } = &*result;
        let (metrics, champion) = (metrics.clone(), champion.clone());
        let evaluated = ModelEvaluated { run: key.clone(), metrics, champion, compared: compared.clone() };
        self.tell(&mut run.thread, Says::Evaluated(evaluated));
        let passed = *outcome == Outcome::Passed;
        self.record.trained.insert(key.clone(), Trained { n: run.n, passed });
        if self.record.trained.len() > TRAINED
            && let Some(oldest) = self.record.trained.iter().min_by_key(|(_, trained)| trained.n).map(|(key, _)| key.clone())
        {
            self.record.trained.remove(&oldest);
        }
        match (passed, run.stage) {
            (true, Stage::Training(mut training)) => {
                training.at = self.now;
                run.stage = Stage::Promoting(training, result);
                self.record.run = Some(run);
            }
            (_, stage) => {
                run.stage = stage;
                self.back_off();
                self.reject(run, gate.failed.clone());
            }
        }
    }

    fn reject(&mut self, mut run: Run, reasons: Vec<String>) {
        let reason = reasons.join("; ");
        let key = run.training().map(|training| training.key.clone()).unwrap_or_default();
        self.tell(&mut run.thread, Says::Rejected(ModelRejected { run: key, reasons }));
        self.close(&run, RunEnd::Rejected, Some(reason));
    }

    /// It came to nothing usable: what spoke for it stands again once the back-off is over.
    fn fail(&mut self, run: &Run, reason: String) {
        self.give_back(&run.taken);
        self.back_off();
        self.close(run, RunEnd::Failed, Some(reason));
    }

    fn back_off(&mut self) {
        let times = self.record.backoff.map_or(0, |backoff| backoff.times) + 1;
        let time = self.rules.policy.reject_backoff.duration().saturating_mul(1 << (times - 1).min(DOUBLINGS));
        self.record.backoff = Some(Backoff { times, until: after(self.now, time) });
    }

    /// The end of a run, whatever it was.
    fn close(&mut self, run: &Run, outcome: RunEnd, reason: Option<String>) {
        let Some(Training { key, used, .. }) = run.training() else { return };
        let ms = used.values().fold(0, |sum: u64, ms| sum.saturating_add(*ms));
        for spent in self.record.spent.iter_mut().filter(|spent| spent.n == run.n) {
            (spent.ms, spent.open) = (ms, false);
        }
        let (n, key, pod_seconds) = (run.n, key.clone(), ms.div_ceil(1000));
        self.record.ended = Some(Ended { n, key: key.clone(), outcome, reason: reason.clone(), at: self.now });
        let finished = RetrainingFinished { run: n, key: Some(key), outcome, reason, pod_seconds };
        self.tell(&mut run.thread.clone(), Says::Finished(finished));
        self.consider(false);
    }

    pub(super) fn promoted(&mut self, n: u64, outcome: Promotion) {
        let is_it = |run: &mut Run| run.n == n && matches!(run.stage, Stage::Promoting(..));
        let Some(mut run) = self.record.run.take_if(is_it) else { return };
        match outcome {
            Promotion::Done(crowned) => {
                let metrics = match &run.stage {
                    Stage::Promoting(_, result) => result.metrics.clone(),
                    Stage::Resolving | Stage::Training(_) => BTreeMap::new(),
                };
                let promoted = ModelPromoted { run: crowned.run.clone(), replaced: crowned.replaced.clone(), metrics };
                self.tell(&mut run.thread, Says::Promoted(promoted));
                self.crown(&mut run.thread, crowned, "promoted");
                self.close(&run, RunEnd::Promoted, None);
            }
            Promotion::Superseded(reason) => self.reject(run, vec![reason]),
            Promotion::Unusable(reason) => {
                if let Some(training) = run.training() {
                    self.record.trained.remove(&training.key);
                }
                self.fail(&run, reason);
            }
        }
    }

    /// There is another champion: it is watched from the beginning.
    fn crown(&mut self, thread: &mut Thread, crowned: Crowned, reason: &str) {
        let Crowned { run, sha256, path, serving, .. } = crowned;
        self.tell(thread, Says::Pinned(ReferencePinned { run: run.clone(), sha256, path }));
        for says in serving {
            self.tell(thread, says);
        }
        self.cleared(reason, None);
        self.record.watch = Watch::default();
        (self.record.reference, self.record.backoff, self.record.look_again) = (Some(run), None, None);
    }

    pub(super) fn rolled_back(&mut self, outcome: Result<Crowned, String>) {
        let Some(wanted) = self.record.rollback.take() else { return };
        let mut thread = Thread::new(&self.record.model, &format!("rollback {}", wanted.at));
        match outcome {
            Ok(crowned) => {
                let (run, from) = (crowned.run.clone(), crowned.replaced.clone().unwrap_or_default());
                self.tell(&mut thread, Says::RolledBack(ModelRolledBack { run, from, by: wanted.by }));
                self.crown(&mut thread, crowned, "rolledback");
            }
            Err(reason) => self.skip(Why::new(Reason::NoRollback, reason), &[], Some(thread)),
        }
    }
}

/// Whether a result is of this run and can be true. It comes out of a build, where anything may happen.
fn check(run: &Run, result: &RunResult) -> Result<(), String> {
    let Some(training) = run.training() else { return Err("the run has no build".into()) };
    if result.run != training.key {
        return Err(format!("it is of run {:.40}, not of {}", result.run, training.key));
    }
    // A champion that could not be asked about the new data is not followed; that is a result too.
    let uncompared = result.compared.is_none() && result.outcome == Outcome::Rejected;
    if result.compared != training.champion && !uncompared {
        return Err(format!("it is compared with {:?}, not with {:?}", result.compared, training.champion));
    }
    let numbers = result.metrics.iter().chain(&result.champion);
    if let Some((name, value)) = numbers.into_iter().find(|(_, value)| !value.is_finite()) {
        return Err(format!("metric {name:.40} is {value}"));
    }
    if (result.outcome == Outcome::Passed) != result.gate.failed.is_empty() {
        return Err("its outcome is not what its gate says".into());
    }
    let folder = format!("runs/{}/", training.key);
    for artifact in [&result.model, &result.preprocessing, &result.profile, &result.manifest] {
        let inside = artifact.path.strip_prefix(&folder).is_some_and(|rest| !rest.split('/').any(|part| part == ".."));
        let digest = artifact.sha256.len() == 64 && artifact.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !inside || !digest {
            return Err(format!("{:.80} with digest {:.70} is no artifact of it", artifact.path, artifact.sha256));
        }
    }
    Ok(())
}
