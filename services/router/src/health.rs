//! How the executors are, as far as anybody says so.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use switchyard_events::{Heartbeat, Why};

/// The executors on which nothing can be launched now, and why.
///
/// It turns a build away only as long as there is another place: where no eligible executor is well, the build is routed as if
/// all were, and waits there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    unwell: BTreeMap<String, String>,
}

/// What stands before the reason in `why.excluded` of a routed event.
const UNWELL: &str = "unwell: ";

impl Health {
    /// What heartbeats say at a time.
    #[must_use]
    pub fn of(beats: &[Heartbeat], now: Timestamp) -> Self {
        let unwell = beats
            .iter()
            .filter_map(|beat| Heartbeat::unwell(beats, &beat.executor, now).map(|why| (beat.executor.clone(), why.to_owned())));
        Self { unwell: unwell.collect() }
    }

    /// How the executors were when a build was routed.
    #[must_use]
    pub fn then(why: &Why) -> Self {
        let unwell = why.excluded.iter().filter_map(|(name, why)| Some((name.clone(), why.strip_prefix(UNWELL)?.to_owned())));
        Self { unwell: unwell.collect() }
    }

    /// Whether every executor is well, as far as anybody knows.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.unwell.is_empty()
    }

    /// What speaks against an executor, in the words of a routed event.
    pub(crate) fn against(&self, executor: &str) -> Option<String> {
        self.unwell.get(executor).map(|why| format!("{UNWELL}{why}"))
    }

    pub(crate) fn allows(&self, executor: &str) -> bool {
        self.unwell.is_empty() || !self.unwell.contains_key(executor)
    }
}

impl fmt::Display for Health {
    /// `k8s: it does not answer; …`, or `nobody`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unwell.is_empty() {
            return f.write_str("nobody");
        }
        let each = self.unwell.iter().map(|(name, why)| format!("{name}: {why}"));
        f.write_str(&each.collect::<Vec<_>>().join("; "))
    }
}
