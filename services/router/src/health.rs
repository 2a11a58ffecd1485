//! How the executors are, as far as anybody says so.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use switchyard_events::{Heartbeat, Why, WhyOf};
use switchyard_fleet::Fleet;

/// The executors that are passed over now, and why: nothing can be launched there, their operator drains them, or the build has
/// just left them.
///
/// It turns a build away only as long as there is another place: where no eligible executor is well, the build is routed as if
/// all were, and waits there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    unwell: BTreeMap<String, String>,
}

/// What stands before the reason in `why.excluded` of a routed event, for each of the three.
const UNWELL: &str = Why::PASSED_OVER[0];
const DRAINING: &str = Why::PASSED_OVER[1];
const LEFT: &str = Why::PASSED_OVER[2];

impl Health {
    /// What heartbeats say at a time.
    #[must_use]
    pub fn of(beats: &[Heartbeat], now: Timestamp) -> Self {
        let unwell = beats.iter().filter_map(|beat| {
            Some((beat.executor.clone(), format!("{UNWELL}{}", Heartbeat::unwell(beats, &beat.executor, now)?)))
        });
        Self { unwell: unwell.collect() }
    }

    /// The same, and a fleet's drained executors are passed over too.
    #[must_use]
    pub fn and_drained(mut self, fleet: &Fleet) -> Self {
        let drained = fleet.executors().iter().filter(|executor| executor.draining);
        self.unwell.extend(drained.map(|executor| (executor.name.clone(), format!("{DRAINING}its operator wants it empty"))));
        self
    }

    /// The same, for a build that has left an executor because nobody took it there.
    #[must_use]
    pub fn and_left(mut self, executor: &str) -> Self {
        self.unwell.entry(executor.to_owned()).or_insert_with(|| format!("{LEFT}no launcher took it there"));
        self
    }

    /// How the executors were when a build was routed.
    #[must_use]
    pub fn then<T: AsRef<str>>(why: &WhyOf<T>) -> Self {
        Self { unwell: why.passed_over().map(|(name, why)| (name.to_owned(), why.to_owned())).collect() }
    }

    /// Whether every executor is well, as far as anybody knows.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.unwell.is_empty()
    }

    /// What speaks against an executor, in the words of a routed event.
    #[must_use]
    pub fn against(&self, executor: &str) -> Option<String> {
        self.unwell.get(executor).cloned()
    }

    pub(crate) fn allows(&self, executor: &str) -> bool {
        self.unwell.is_empty() || !self.unwell.contains_key(executor)
    }
}

impl fmt::Display for Health {
    /// `k8s: unwell: it does not answer; …`, or `nobody`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unwell.is_empty() {
            return f.write_str("nobody");
        }
        let each = self.unwell.iter().map(|(name, why)| format!("{name}: {why}"));
        f.write_str(&each.collect::<Vec<_>>().join("; "))
    }
}
