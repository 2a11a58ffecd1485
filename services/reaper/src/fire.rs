//! The decision when a clock has run out: the protocol's table, out of the record and a look at the pod.

use jiff::Timestamp;
use switchyard_events::{Attempt, ClockKind, Decision, Reason, Record, Standing, TimeLimit};
use switchyard_executor::{Observed, Phase};

use crate::Act;

/// What was found where the bound pod should be.
#[derive(Clone, Debug)]
pub enum Look {
    /// It is there.
    Present(Box<Observed>),
    /// It is gone, or another one is in its place.
    Absent,
    /// Nobody answered: nothing is assumed.
    Unreachable,
}

/// What is to be done, in this order, when a clock of attempt `n` has run out.
///
/// Empty only when nothing is left to do; otherwise the attempt ends here or another clock is armed.
#[must_use]
pub fn fire(kind: ClockKind, record: &Record, n: u32, look: &Look, now: Timestamp) -> Vec<Act> {
    let Some(attempt) = record.attempt(n) else { return Vec::new() };
    match attempt.standing() {
        Standing::Open => match kind {
            ClockKind::Queued => queued(record, attempt, now),
            ClockKind::Pending | ClockKind::Running | ClockKind::Teardown => Vec::new(),
        },
        Standing::Bound => match kind {
            ClockKind::Queued => vec![Act::Arm(ClockKind::Pending, pending_until(attempt))],
            ClockKind::Pending => pending(attempt, look, now),
            ClockKind::Running => running(attempt, look, now),
            ClockKind::Teardown => lost_or_ended(attempt, look, now),
        },
        Standing::Condemned => match kind {
            ClockKind::Queued | ClockKind::Pending | ClockKind::Running => doom(attempt, now),
            ClockKind::Teardown => end(ended(look), attempt, look, now),
        },
        Standing::Decided | Standing::Closed => match kind {
            ClockKind::Queued | ClockKind::Pending | ClockKind::Running => vec![Act::Settle],
            ClockKind::Teardown => [vec![Act::Settle], bury(attempt, look, now)].concat(),
        },
    }
}

fn queued(record: &Record, attempt: &Attempt, now: Timestamp) -> Vec<Act> {
    let limit = attempt.limits().queued;
    match queued_until(record, attempt) {
        Some(due) if is_early(due, now) => vec![Act::Arm(ClockKind::Queued, due)],
        _ => vec![Act::Decide(timed_out(ClockKind::Queued, limit, "no launcher took it", true)), Act::Settle],
    }
}

fn pending(attempt: &Attempt, look: &Look, now: Timestamp) -> Vec<Act> {
    let limit = attempt.limits().pending;
    let due = pending_until(attempt);
    match look {
        Look::Unreachable => vec![Act::Arm(ClockKind::Running, running_until(attempt, None))],
        Look::Present(pod) if pod.dead || pod.forced => vec![teardown(attempt, now)],
        Look::Present(pod) if pod.phase == Phase::Running => {
            vec![Act::Arm(ClockKind::Running, running_until(attempt, Some(pod)))]
        }
        Look::Present(_) | Look::Absent if is_early(due, now) => vec![Act::Arm(ClockKind::Pending, due)],
        Look::Present(pod) => condemn(
            attempt,
            timed_out(ClockKind::Pending, limit, pod.reason.as_deref().unwrap_or("it did not start"), false),
            now,
        ),
        Look::Absent => condemn(attempt, timed_out(ClockKind::Pending, limit, "its pod is gone", false), now),
    }
}

fn running(attempt: &Attempt, look: &Look, now: Timestamp) -> Vec<Act> {
    let due = match look {
        Look::Present(pod) if pod.dead || pod.forced => return vec![teardown(attempt, now)],
        Look::Present(pod) => running_until(attempt, Some(pod)),
        Look::Absent | Look::Unreachable => running_until(attempt, None),
    };
    if is_early(due, now) {
        return vec![Act::Arm(ClockKind::Running, due)];
    }
    condemn(attempt, timed_out(ClockKind::Running, attempt.limits().running, "it was still running", false), now)
}

/// Teardown of an attempt that nobody condemned: its pod had ended, or seemed so. One that is alive after all goes on.
fn lost_or_ended(attempt: &Attempt, look: &Look, now: Timestamp) -> Vec<Act> {
    match look {
        Look::Present(pod) if !pod.dead && !pod.forced => {
            vec![Act::Arm(ClockKind::Running, running_until(attempt, Some(pod)))]
        }
        Look::Present(_) | Look::Absent | Look::Unreachable => end(ended(look), attempt, look, now),
    }
}

fn end(decision: Decision, attempt: &Attempt, look: &Look, now: Timestamp) -> Vec<Act> {
    [vec![Act::Decide(decision), Act::Settle], bury(attempt, look, now)].concat()
}

/// How a pod ended, as far as a look tells; no retry without proof of death.
fn ended(look: &Look) -> Decision {
    match look {
        Look::Present(pod) => decision(pod),
        Look::Absent => Decision { message: Some("its pod is gone".into()), ..Decision::new(Reason::Lost, true) },
        Look::Unreachable => {
            Decision { message: Some("its executor cannot be reached".into()), ..Decision::new(Reason::Lost, false) }
        }
    }
}

/// How an ended pod ended, in its own words.
pub(crate) fn decision(pod: &Observed) -> Decision {
    let reason = pod.end().unwrap_or(Reason::Lost);
    Decision {
        message: pod.message.clone().or_else(|| pod.reason.clone()),
        result: pod.result.clone(),
        ..Decision::new(reason, pod.dead)
    }
}

/// What is left of a decided attempt's pod goes, once its logs could be collected; until it has gone the clock comes back.
fn bury(attempt: &Attempt, look: &Look, now: Timestamp) -> Vec<Act> {
    let again = teardown(attempt, now);
    let lingers_until = lingers_until(attempt, now);
    match look {
        Look::Absent => Vec::new(),
        Look::Present(pod) if (pod.dead || pod.forced) && is_early(lingers_until, now) => {
            vec![Act::Arm(ClockKind::Teardown, after(lingers_until, attempt.limits().teardown))]
        }
        Look::Present(pod) if pod.dead || pod.forced => vec![again, Act::Delete, Act::Release],
        Look::Present(_) | Look::Unreachable => vec![again, Act::Delete],
    }
}

fn condemn(attempt: &Attempt, decision: Decision, now: Timestamp) -> Vec<Act> {
    vec![Act::Condemn(decision.reason), teardown(attempt, now), Act::Delete]
}

/// What a condemned attempt needs. Asked for again and again, it does not live longer: its teardown stays where it was.
pub(crate) fn doom(attempt: &Attempt, now: Timestamp) -> Vec<Act> {
    let due = attempt.condemned.as_ref().map(|condemned| after(condemned.at, attempt.limits().teardown));
    let arm = due.filter(|due| *due > now).map_or_else(|| teardown(attempt, now), |due| Act::Arm(ClockKind::Teardown, due));
    vec![arm, Act::Delete]
}

fn teardown(attempt: &Attempt, now: Timestamp) -> Act {
    Act::Arm(ClockKind::Teardown, after(now, attempt.limits().teardown))
}

/// When an attempt has waited for a launcher long enough. One that nobody has routed waits since the one before it ended.
pub(crate) fn queued_until(record: &Record, attempt: &Attempt) -> Option<Timestamp> {
    let before = || record.attempt(attempt.n.checked_sub(1)?)?.decided.as_ref().map(|decided| decided.at);
    attempt.routed_at.or_else(before).map(|begun| after(begun, attempt.limits().queued))
}

pub(crate) fn pending_until(attempt: &Attempt) -> Timestamp {
    let begun = attempt.bound.as_ref().map(|bound| bound.at).or(attempt.routed_at).unwrap_or_default();
    after(begun, attempt.limits().pending)
}

/// When a bound attempt must have ended. Nothing moves it: not the hour at which a clock happens to fire, nor an executor that
/// cannot be reached; a pod of which no start is known counts from the last moment at which it could have started.
pub(crate) fn running_until(attempt: &Attempt, pod: Option<&Observed>) -> Timestamp {
    let started = pod.and_then(|pod| pod.started_at).or(attempt.started_at);
    after(started.unwrap_or_else(|| pending_until(attempt)), attempt.limits().running)
}

/// Until when the ended pod of a decided attempt is kept for its logs.
pub(crate) fn lingers_until(attempt: &Attempt, now: Timestamp) -> Timestamp {
    after(attempt.decided.as_ref().map_or(now, |decided| decided.at), attempt.limits().linger)
}

fn timed_out(clock: ClockKind, limit: TimeLimit, but: &str, dead: bool) -> Decision {
    Decision { message: Some(format!("{clock} longer than {limit}: {but}")), ..Decision::new(Reason::TimedOut(clock), dead) }
}

/// A clock of another machine may be a little fast.
fn is_early(due: Timestamp, now: Timestamp) -> bool {
    due.duration_since(now) > jiff::SignedDuration::from_secs(1)
}

/// The end of a limit that began then.
pub(crate) fn after(begun: Timestamp, limit: TimeLimit) -> Timestamp {
    begun.saturating_add(limit.duration()).unwrap_or(Timestamp::MAX)
}
