//! What a reaper counts for those who watch it.

use switchyard_events::{Class, ClockKind, Reason};
use switchyard_runtime::{Counter, Metrics};

use crate::Why;

/// The metrics of one reaper.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched(pub(crate) Metrics);

impl Watched {
    /// Tells 0 of everything that may be counted: of a counter that comes into being with its first one, nobody sees the increase.
    pub(crate) fn begin(&self) {
        for reason in Reason::kinds() {
            drop(self.ends(&reason));
        }
        for class in [Class::User, Class::Infrastructure, Class::Policy] {
            drop(self.condemnations(class));
        }
        for why in Why::NAMES {
            drop(self.findings(why));
        }
    }

    /// An attempt has ended.
    pub(crate) fn ended(&self, reason: &Reason) {
        self.ends(reason).increment();
    }

    /// A pod was condemned.
    pub(crate) fn condemned(&self, reason: &Reason) {
        self.condemnations(reason.class()).increment();
    }

    /// The sweep has found something.
    pub(crate) fn found(&self, why: &Why) {
        self.findings(why.name()).increment();
    }

    fn ends(&self, reason: &Reason) -> Counter {
        let (name, class) = (reason.to_string(), reason.class().name());
        let name = name.split('(').next().unwrap_or_default();
        // Of a time-out it matters which: the clocks are few, unlike exit codes and steps.
        let name = if let Reason::TimedOut(kind) = reason { format!("TimedOut({kind})") } else { name.to_owned() };
        let labels = [("reason", name.as_str()), ("class", class)];
        self.0.counter("switchyard_attempts_ended_total", "Attempts whose end this reaper has decided, by reason.", &labels)
    }

    fn condemnations(&self, class: Class) -> Counter {
        let help = "Pods that this reaper has condemned, by class of the reason.";
        self.0.counter("switchyard_pods_condemned_total", help, &[("class", class.name())])
    }

    fn findings(&self, why: &str) -> Counter {
        let help = "What the sweep found: all but `expired` and `drained` should stay 0.";
        self.0.counter("switchyard_sweep_findings_total", help, &[("why", why)])
    }

    /// A clock has fired so many milliseconds after it was due.
    pub(crate) fn fired(&self, kind: ClockKind, late: std::time::Duration) {
        let labels = [("clock", kind.name())];
        self.0.histogram("switchyard_clock_lateness_seconds", "How late clocks were handled.", &labels).observe(late);
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

#[cfg(test)]
mod tests {
    use switchyard_executor::Phase;

    use super::*;
    use crate::fixture::pod;

    #[test]
    fn all_that_may_be_counted_is_told_from_the_start() {
        let watched = Watched::default();
        watched.begin();
        let told = || watched.0.to_string().lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
        let before = told();
        assert!(before.iter().all(|line| line.ends_with(" 0")), "{before:?}");
        for reason in Reason::kinds() {
            watched.ended(&reason);
            watched.condemned(&reason);
        }
        let (uid, node) = ("u".to_owned(), "n".to_owned());
        let pods = [Why::Overlooked(Box::new(pod(Phase::Gated))), Why::Orphan(uid.clone()), Why::PodGone(uid.clone())];
        let clocks = [Why::Overdue(ClockKind::Queued), Why::StrayClock(ClockKind::Queued)];
        for why in pods.into_iter().chain(clocks).chain([Why::Stuck { uid, node }, Why::Drained, Why::Expired]) {
            watched.found(&why);
        }
        assert!(told().iter().all(|line| !line.ends_with(" 0")), "{:?}", told());
        assert_eq!(told().len(), before.len(), "one has come into being with its first: {:?}", told());
    }
}
