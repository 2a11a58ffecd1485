//! The decision when a pod is seen: whether it may live, has ended, or must go. Level-triggered: any sight is enough.

use jiff::Timestamp;
use switchyard_events::{Attempt, Decision, Reason, Record, Standing};
use switchyard_executor::{Observed, Phase};

use crate::{
    Act,
    fire::{after, decision},
};

/// What is to be done, in this order, about a pod that looks like this.
#[must_use]
pub fn see(record: Option<&Record>, pod: &Observed, now: Timestamp) -> Vec<Act> {
    // Without a record its launcher is still at work, or will be again: gated, it can wait.
    let Some((record, attempt)) = record.and_then(|record| Some((record, record.attempt(pod.attempt)?))) else {
        return Vec::new();
    };
    if !attempt.is_bound_to(&pod.uid) {
        let may_still_be_bound = attempt.standing() == Standing::Open && record.cancelled.is_none();
        return if may_still_be_bound { Vec::new() } else { vec![Act::Delete, Act::Release] };
    }
    let ended = pod.dead || pod.forced;
    match attempt.standing() {
        Standing::Bound | Standing::Condemned if ended => {
            vec![Act::Decide(decision(pod)), Act::Settle, Act::LookAgain(after(now, attempt.limits().linger))]
        }
        Standing::Condemned if pod.deleting => Vec::new(),
        Standing::Condemned => vec![Act::Delete],
        Standing::Bound => alive(attempt, pod),
        Standing::Decided | Standing::Closed => [vec![Act::Settle], bury(attempt, pod, ended, now)].concat(),
        Standing::Open => Vec::new(),
    }
}

fn alive(attempt: &Attempt, pod: &Observed) -> Vec<Act> {
    match pod.phase {
        Phase::Gated => vec![Act::Ungate],
        Phase::Running if attempt.started_at.is_none() => vec![Act::Start(pod.started_at.unwrap_or(pod.since))],
        Phase::Running | Phase::Pending | Phase::Succeeded | Phase::Failed => Vec::new(),
    }
}

fn bury(attempt: &Attempt, pod: &Observed, ended: bool, now: Timestamp) -> Vec<Act> {
    let lingers_until = attempt.decided.as_ref().map_or(now, |decided| after(decided.at, attempt.limits().linger));
    match (ended, pod.deleting) {
        (true, _) if now < lingers_until => vec![Act::LookAgain(lingers_until)],
        (true, _) => vec![Act::Delete, Act::Release],
        (false, true) => Vec::new(),
        (false, false) => vec![Act::Delete],
    }
}

/// What is to be done about a pod that is no longer there, though nobody released it.
#[must_use]
pub fn gone(record: Option<&Record>, n: u32, uid: &str) -> Vec<Act> {
    let Some(attempt) = record.and_then(|record| record.attempt(n)).filter(|attempt| attempt.is_bound_to(uid)) else {
        return Vec::new();
    };
    match attempt.standing() {
        Standing::Bound | Standing::Condemned => {
            let message = Some("its pod is gone".to_owned());
            vec![Act::Decide(Decision { message, ..Decision::new(Reason::Lost, true) }), Act::Settle]
        }
        Standing::Decided => vec![Act::Settle],
        Standing::Open | Standing::Closed => Vec::new(),
    }
}
