//! The decision when a pod is seen: whether it may live, has ended, or must go. Level-triggered: any sight is enough.

use jiff::Timestamp;
use switchyard_events::{Attempt, Decision, Reason, Record, Standing, TimeLimit};
use switchyard_executor::{Observed, Phase};

use crate::{
    Act,
    fire::{after, decision, lingers_until},
};

/// How soon a gated pod is looked at again that nobody has bound yet. Nothing may ever change about it, only about its record:
/// its launcher may be gone, or its attempt may end.
const UNBOUND: TimeLimit = TimeLimit::seconds(5);

/// What is to be done, in this order, about a pod that looks like this.
#[must_use]
pub fn see(record: Option<&Record>, pod: &Observed, now: Timestamp) -> Vec<Act> {
    // Without a record its launcher is still at work, or will be again.
    let Some((record, attempt)) = record.and_then(|record| Some((record, record.attempt(pod.attempt)?))) else {
        return vec![Act::LookAgain(after(now, UNBOUND))];
    };
    if !attempt.is_bound_to(&pod.uid) {
        let may_still_be_bound = attempt.standing() == Standing::Open && record.cancelled.is_none();
        return unbound(may_still_be_bound, pod, now);
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

/// A pod that no record names: gated, it has never run. Once dead it only stands in the way of the next one of its name.
fn unbound(may_still_be_bound: bool, pod: &Observed, now: Timestamp) -> Vec<Act> {
    if may_still_be_bound && !pod.dead { vec![Act::LookAgain(after(now, UNBOUND))] } else { vec![Act::Delete, Act::Release] }
}

fn alive(attempt: &Attempt, pod: &Observed) -> Vec<Act> {
    match pod.phase {
        Phase::Gated => vec![Act::Ungate],
        Phase::Running if attempt.started_at.is_none() => vec![Act::Start(pod.started_at.unwrap_or(pod.since))],
        Phase::Running | Phase::Pending | Phase::Succeeded | Phase::Failed => Vec::new(),
    }
}

fn bury(attempt: &Attempt, pod: &Observed, ended: bool, now: Timestamp) -> Vec<Act> {
    let lingers_until = lingers_until(attempt, now);
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
