//! What a reaper counts for those who watch it.

use switchyard_events::{ClockKind, Reason};
use switchyard_runtime::Metrics;

use crate::Why;

/// The metrics of one reaper.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched(pub(crate) Metrics);

impl Watched {
    /// An attempt has ended.
    pub(crate) fn ended(&self, reason: &Reason) {
        let (name, class) = (reason.to_string(), reason.class().name());
        let name = name.split('(').next().unwrap_or_default();
        // Of a time-out it matters which: the clocks are few, unlike exit codes and steps.
        let name = if let Reason::TimedOut(kind) = reason { format!("TimedOut({kind})") } else { name.to_owned() };
        let labels = [("reason", name.as_str()), ("class", class)];
        self.0
            .counter("switchyard_attempts_ended_total", "Attempts whose end this reaper has decided, by reason.", &labels)
            .increment();
    }

    /// A pod was condemned.
    pub(crate) fn condemned(&self, reason: &Reason) {
        let labels = [("class", reason.class().name())];
        self.0
            .counter("switchyard_pods_condemned_total", "Pods that this reaper has condemned, by class of the reason.", &labels)
            .increment();
    }

    /// A clock has fired so many milliseconds after it was due.
    pub(crate) fn fired(&self, kind: ClockKind, late: std::time::Duration) {
        let labels = [("clock", kind.name())];
        self.0.histogram("switchyard_clock_lateness_seconds", "How late clocks were handled.", &labels).observe(late);
    }

    /// The sweep has found something.
    pub(crate) fn found(&self, why: &Why) {
        let labels = [("why", why.name())];
        self.0
            .counter(
                "switchyard_sweep_findings_total",
                "What the sweep found: all but `expired` and `drained` should stay 0.",
                &labels,
            )
            .increment();
    }

    /// So many clocks are overdue now.
    pub(crate) fn overdue(&self, clocks: usize) {
        let clocks = i64::try_from(clocks).unwrap_or(i64::MAX);
        self.0
            .gauge("switchyard_clocks_overdue", "Attempts whose clock should have fired, as the last sweep saw them.", &[])
            .set(clocks);
    }

    /// Whether the executor answers.
    pub(crate) fn reachable(&self, executor: &str, reachable: bool) {
        let labels = [("executor", executor)];
        self.0
            .gauge("switchyard_executor_reachable", "Whether the executor's watch hears anything: 1 or 0.", &labels)
            .set(reachable.into());
    }
}
