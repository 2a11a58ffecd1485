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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use switchyard_events::{Decision, Reason};

    use super::*;
    use crate::fixture::{at, bound, build, condemned, decided, open, records, swept};

    #[test]
    fn each_standing_has_its_own_clock() {
        let started = bound().start(1, at(10)).unwrap();
        for (record, due, kind) in [
            (open(), 100, ClockKind::Queued),
            (bound(), 200, ClockKind::Pending),
            (started, 410, ClockKind::Running),
            (condemned(), 250, ClockKind::Teardown),
            (decided(), 100, ClockKind::Teardown),
        ] {
            assert_eq!(swept(&record, "k8s", due + 15), [], "its own clock may still be on its way");
            assert_eq!(swept(&record, "k8s", due + 16), [(1, kind)]);
        }
    }

    #[test]
    fn what_is_elsewhere_or_closed_is_left_alone() {
        assert_eq!(swept(&bound(), "k8s-vm", 10_000), []);
        assert_eq!(swept(&open(), "k8s-vm", 10_000), []);
        assert_eq!(swept(&decided().close(1).unwrap(), "k8s", 10_000), []);
    }

    #[test]
    fn an_attempt_that_no_router_answered_is_everybodys() {
        let retried = bound().decide(1, Decision::new(Reason::Deleted, true), at(300)).unwrap().close(1).unwrap();
        let limit = i32::try_from(retried.attempts[1].limits().queued.duration().as_secs()).unwrap();
        for executor in ["k8s", "k8s-vm"] {
            assert_eq!(swept(&retried, executor, 300 + limit), []);
            assert_eq!(swept(&retried, executor, 316 + limit), [(2, ClockKind::Queued)]);
        }
    }

    proptest! {
        #[test]
        fn the_sweep_of_a_place_finds_whatever_is_left_there(record in records()) {
            let found = plan(&[(build(), record.clone())], "k8s", Timestamp::MAX);
            let left: Vec<_> =
                record.attempts.iter().filter(|a| a.standing() != Standing::Closed).map(|attempt| attempt.n).collect();
            prop_assert_eq!(found.iter().map(|reap| reap.attempt).collect::<Vec<_>>(), left);
        }

        #[test]
        fn what_was_overdue_stays_so_until_something_is_done(record in records(), seconds in 0..2000i32, later in 0..2000i32) {
            let (found, then) = (swept(&record, "k8s", seconds), swept(&record, "k8s", seconds + later));
            prop_assert!(found.iter().all(|reap| then.contains(reap)));
        }
    }
}
