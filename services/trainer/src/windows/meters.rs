//! What the windows tell of themselves to who watches the service.

use switchyard_runtime::{Counter, Gauge, Histogram, Metrics};

/// Of one partition.
#[derive(Clone, Debug)]
pub(crate) struct Meters {
    pub(crate) rows: Counter,
    pub(crate) messages: Counter,
    pub(crate) again: Counter,
    pub(crate) unreadable: Counter,
    pub(crate) gaps: Counter,
    pub(crate) lost: Counter,
    pub(crate) pending: Gauge,
    pub(crate) behind: Gauge,
    pub(crate) waiting: Gauge,
}

/// Of one model.
#[derive(Clone, Debug)]
pub(crate) struct ModelMeters {
    pub(crate) windows: Counter,
    pub(crate) late: Counter,
    pub(crate) lossy: Counter,
    pub(crate) decision: Histogram,
}

impl Meters {
    pub(crate) fn new(metrics: &Metrics, model: &str, partition: u16) -> Self {
        let partition = partition.to_string();
        let labels = [("model", model), ("partition", partition.as_str())];
        let counter = |name, help| metrics.counter(name, help, &labels);
        Self {
            rows: counter("switchyard_trainer_rows_total", "Rows that this replica has counted."),
            messages: counter("switchyard_trainer_messages_total", "Messages of inference that this replica has read."),
            again: counter("switchyard_trainer_duplicates_total", "Messages that came again and were not counted."),
            unreadable: counter("switchyard_trainer_unreadable_total", "Messages that could not be read; they are in DEAD."),
            gaps: counter("switchyard_trainer_gaps_total", "Messages that may have been lost before they were read."),
            lost: counter("switchyard_trainer_checkpoints_lost_total", "Checkpoints that another replica wrote first."),
            pending: metrics.gauge("switchyard_trainer_pending", "Messages of inference that are still to be read.", &labels),
            behind: metrics.gauge("switchyard_trainer_behind_seconds", "How old the message was that was read last.", &labels),
            waiting: metrics.gauge(
                "switchyard_trainer_windows_waiting",
                "Closed windows that wait for another partition.",
                &labels,
            ),
        }
    }
}

impl ModelMeters {
    pub(crate) fn new(metrics: &Metrics, model: &str) -> Self {
        let labels = [("model", model)];
        let counter = |name, help| metrics.counter(name, help, &labels);
        let help = "From when the last row of a window was stored until the window was decided.";
        Self {
            windows: counter("switchyard_trainer_windows_total", "Windows that this replica has judged."),
            late: counter("switchyard_trainer_late_rows_total", "Rows that came after their window had closed."),
            lossy: counter("switchyard_trainer_lossy_windows_total", "Windows that messages may be missing from."),
            decision: metrics.histogram("switchyard_trainer_decision_seconds", help, &labels),
        }
    }
}
