//! What is decided, as log lines and metrics.

use switchyard_events::{RunEnd, Says, Told};
use switchyard_runtime::{Counter, Metrics};
use tracing::info;

use crate::policy::{Record, Rules};

/// Counts and logs what a change of the record has told.
pub(crate) fn count(metrics: &Metrics, before: &Record, after: &Record) {
    for told in after.outbox.iter().filter(|told| !before.outbox.iter().any(|old| old.id == told.id)) {
        counted(metrics, told);
        logged(told);
    }
}

fn counted(metrics: &Metrics, told: &Told) {
    let model = told.model.as_str();
    if let Says::Finished(end) = &told.says {
        ends(metrics, model, end.outcome).increment();
    }
    if let Says::Skipped(skipped) = &told.says {
        let labels = [("model", model), ("reason", skipped.reason.as_str())];
        let help = "How often something spoke for a training and none was begun.";
        metrics.counter("switchyard_trainings_skipped_total", help, &labels).increment();
    }
}

fn ends(metrics: &Metrics, model: &str, outcome: RunEnd) -> Counter {
    let labels = [("model", model), ("outcome", outcome.name())];
    metrics.counter("switchyard_trainings_total", "Trainings that have ended.", &labels)
}

fn logged(told: &Told) {
    let (id, model) = (&told.id, told.model.as_str());
    match &told.says {
        Says::Finished(end) => {
            let (outcome, reason) = (end.outcome.name(), end.reason.as_deref());
            info!(model, run = end.run, outcome, reason, id, "training finished");
        }
        Says::Skipped(skipped) => info!(model, reason = skipped.reason, message = skipped.message, id, "no training is begun"),
        Says::Requested(asked) => {
            let (key, approval) = (asked.key.as_deref(), asked.approval.as_deref());
            info!(model, run = asked.run, key, approval, id, "training requested");
        }
        Says::Promoted(promoted) => info!(model, run = promoted.run, id, "model promoted"),
        Says::Rejected(rejected) => info!(model, run = rejected.run, reasons = rejected.reasons.join("; "), id, "model rejected"),
        Says::RolledBack(back) => info!(model, run = back.run, from = back.from, id, "model rolled back"),
        Says::Detected(drift) => info!(model, window = drift.window, columns = drift.columns.len(), id, "data has drifted"),
        Says::Cleared(cleared) => info!(model, reason = cleared.reason, id, "drift cleared"),
        Says::Evaluated(_) | Says::Pinned(_) | Says::Build(_) | Says::Cancel(_) | Says::Published(_) | Says::Service(_) => {}
    }
}

/// Keeps what is true of a model now.
pub(crate) fn observe(metrics: &Metrics, record: &Record, rules: &Rules) {
    let labels = [("model", record.model.as_str())];
    let gauge = |name, help, is: bool| metrics.gauge(name, help, &labels).set(i64::from(is));
    gauge("switchyard_model_drifted", "Whether what the model sees has drifted.", record.watch.drift.is_some());
    gauge("switchyard_model_training", "Whether a training of the model is under way.", record.run.is_some());
    // Of a counter that comes into being with its first one, nobody sees the increase.
    for outcome in RunEnd::ALL {
        drop(ends(metrics, &record.model, outcome));
    }
    let cold = record.state(rules.policy.warmup) == "cold";
    gauge("switchyard_model_without_champion", "Whether the model has no champion yet.", cold);
}
