//! The sweep: the second line, for clocks that were lost.

use jiff::Timestamp;
use switchyard_events::{Attempt, BuildKey, ClockKind, Record, Standing, TimeLimit};

use crate::fire::after;

/// An attempt whose clock should have fired long ago, and the clock that fits it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reap {
    /// The build.
    pub build: BuildKey,
    /// The attempt.
    pub attempt: u32,
    /// Which fire to run.
    pub kind: ClockKind,
}

/// Clocks fire within a second; what is later than this by so much was forgotten.
const SLACK: TimeLimit = TimeLimit::seconds(15);

/// What the sweep of one executor's reaper has to see to.
#[must_use]
pub fn plan<'a>(records: impl IntoIterator<Item = &'a (BuildKey, Record)>, executor: &str, now: Timestamp) -> Vec<Reap> {
    let mut found = Vec::new();
    for (build, record) in records {
        for attempt in &record.attempts {
            if let Some(kind) = overdue(attempt, executor, now) {
                found.push(Reap { build: build.clone(), attempt: attempt.n, kind });
            }
        }
    }
    found
}

fn overdue(attempt: &Attempt, executor: &str, now: Timestamp) -> Option<ClockKind> {
    let limits = attempt.limits();
    let routed_here = attempt.executor.as_deref() == Some(executor);
    let bound = attempt.bound.as_ref().filter(|bound| bound.executor == executor);
    let (kind, due) = match attempt.standing() {
        Standing::Open => (ClockKind::Queued, after(attempt.routed_at.filter(|_| routed_here)?, limits.queued)),
        Standing::Bound => match attempt.started_at {
            Some(started) => (ClockKind::Running, after(started, limits.running)),
            None => (ClockKind::Pending, after(bound?.at, limits.pending)),
        },
        Standing::Condemned => (ClockKind::Teardown, after(attempt.condemned.as_ref()?.at, limits.teardown)),
        Standing::Decided => (ClockKind::Teardown, attempt.decided.as_ref()?.at),
        Standing::Closed => return None,
    };
    let mine = bound.is_some() || attempt.bound.is_none();
    (mine && after(due, SLACK) < now).then_some(kind)
}
