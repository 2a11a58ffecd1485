//! The sweep: the second line, for clocks that were lost.

use jiff::Timestamp;
use switchyard_events::{Attempt, BuildKey, ClockKind, Record, Standing, TimeLimit};

use crate::fire::{after, pending_until, queued_until, running_until};

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
            if let Some(kind) = overdue(record, attempt, executor, now) {
                found.push(Reap { build: build.clone(), attempt: attempt.n, kind });
            }
        }
    }
    found
}

fn overdue(record: &Record, attempt: &Attempt, executor: &str, now: Timestamp) -> Option<ClockKind> {
    let place = attempt.bound.as_ref().map(|bound| bound.executor.as_str()).or(attempt.executor.as_deref());
    // What is nowhere yet is everybody's.
    if place.is_some_and(|place| place != executor) {
        return None;
    }
    let (kind, due) = match attempt.standing() {
        Standing::Open => (ClockKind::Queued, queued_until(record, attempt)?),
        Standing::Bound if attempt.started_at.is_some() => (ClockKind::Running, running_until(attempt, None)),
        Standing::Bound => (ClockKind::Pending, pending_until(attempt)),
        Standing::Condemned => (ClockKind::Teardown, after(attempt.condemned.as_ref()?.at, attempt.limits().teardown)),
        Standing::Decided => (ClockKind::Teardown, attempt.decided.as_ref()?.at),
        Standing::Closed => return None,
    };
    (after(due, SLACK) < now).then_some(kind)
}
