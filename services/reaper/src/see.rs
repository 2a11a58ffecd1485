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
        Standing::Bound => alive(attempt, pod, now),
        Standing::Decided | Standing::Closed => [vec![Act::Settle], bury(attempt, pod, ended, now)].concat(),
        Standing::Open => Vec::new(),
    }
}

/// A pod that no record names: gated, it has never run. Once dead it only stands in the way of the next one of its name.
fn unbound(may_still_be_bound: bool, pod: &Observed, now: Timestamp) -> Vec<Act> {
    if may_still_be_bound && !pod.dead { vec![Act::LookAgain(after(now, UNBOUND))] } else { vec![Act::Delete, Act::Release] }
}

fn alive(attempt: &Attempt, pod: &Observed, now: Timestamp) -> Vec<Act> {
    match pod.phase {
        Phase::Gated => vec![Act::Ungate],
        Phase::Running if attempt.started_at.is_none() => vec![Act::Start(started(attempt, pod, now))],
        Phase::Running | Phase::Pending | Phase::Succeeded | Phase::Failed => Vec::new(),
    }
}

/// When a pod began to run, out of what its executor tells: that may be rounded, but no pod runs before it is bound.
fn started(attempt: &Attempt, pod: &Observed, now: Timestamp) -> Timestamp {
    let bound = attempt.bound.as_ref().map_or(now, |bound| bound.at);
    pod.started_at.unwrap_or(pod.since).min(now).max(bound)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use switchyard_events::ClockKind;

    use super::*;
    use crate::fixture::{at, bound, condemned, decided, open, pod, pods, records};

    fn reason(acts: &[Act], record: &Record) -> Reason {
        let Act::Decide(decision) = &acts[0] else { panic!("{acts:?}") };
        record.decide(1, decision.clone(), at(50)).unwrap().attempts[0].decided.as_ref().unwrap().reason.clone()
    }

    fn of(uid: &str) -> Observed {
        Observed { uid: uid.into(), ..pod(Phase::Gated) }
    }

    #[test]
    fn a_gated_pod_that_may_still_be_bound_is_left_alone_but_not_forgotten() {
        for record in [None, Some(&open())] {
            assert_eq!(see(record, &pod(Phase::Gated), at(1)), [Act::LookAgain(at(6))]);
        }
    }

    #[test]
    fn a_pod_created_after_its_attempt_had_ended_goes() {
        let ended = open().decide(1, Decision::new(Reason::TimedOut(ClockKind::Queued), true), at(100)).unwrap();
        assert_eq!(see(Some(&ended), &pod(Phase::Gated), at(101)), [Act::Delete, Act::Release]);
        assert_eq!(see(Some(&open().cancel("me", at(1)).unwrap()), &pod(Phase::Gated), at(2)), [Act::Delete, Act::Release]);
    }

    #[test]
    fn a_pod_beside_the_bound_one_goes() {
        for record in [bound(), condemned(), decided()] {
            assert_eq!(see(Some(&record), &of("another"), at(500)), [Act::Delete, Act::Release]);
        }
    }

    #[test]
    fn a_gated_pod_that_others_have_deleted_makes_room_for_the_next() {
        let deleted = Observed { deleting: true, dead: true, ..pod(Phase::Gated) };
        assert_eq!(see(Some(&open()), &deleted, at(1)), [Act::Delete, Act::Release]);
        assert_eq!(see(None, &deleted, at(1)), [Act::LookAgain(at(6))], "its record will come");
    }

    #[test]
    fn a_bound_pod_is_ungated_and_its_start_is_told_once() {
        assert_eq!(see(Some(&bound()), &pod(Phase::Gated), at(1)), [Act::Ungate]);
        assert_eq!(see(Some(&bound()), &pod(Phase::Running), at(12)), [Act::Start(at(10))]);
        assert_eq!(see(Some(&bound().start(1, at(10)).unwrap()), &pod(Phase::Running), at(12)), []);
    }

    #[test]
    fn an_end_is_decided_before_the_pod_is_let_go() {
        let acts = see(Some(&bound()), &pod(Phase::Succeeded), at(50));
        assert_eq!(reason(&acts, &bound()), Reason::Succeeded);
        assert_eq!(acts[1..], [Act::Settle, Act::LookAgain(at(80))]);
        assert_eq!(see(Some(&decided()), &pod(Phase::Succeeded), at(120)), [Act::Settle, Act::LookAgain(at(130))]);
        assert_eq!(see(Some(&decided()), &pod(Phase::Succeeded), at(130)), [Act::Settle, Act::Delete, Act::Release]);
    }

    #[test]
    fn a_condemned_reason_comes_before_the_pods_own() {
        let acts = see(Some(&condemned()), &pod(Phase::Succeeded), at(210));
        assert_eq!(reason(&acts, &condemned()), Reason::TimedOut(ClockKind::Pending));
    }

    #[test]
    fn a_forced_end_is_no_proof_of_death() {
        let forced = Observed { deleting: true, forced: true, ..pod(Phase::Running) };
        let acts = see(Some(&bound()), &forced, at(50));
        let Act::Decide(decision) = &acts[0] else { panic!("{acts:?}") };
        assert!(!decision.dead);
    }

    #[test]
    fn what_must_die_is_deleted_until_somebody_has_heard_it() {
        let lost = bound().decide(1, Decision::new(Reason::Lost, false), at(100)).unwrap();
        let dying = Observed { deleting: true, ..pod(Phase::Running) };
        assert_eq!(see(Some(&condemned()), &pod(Phase::Running), at(210)), [Act::Delete]);
        assert_eq!(see(Some(&condemned()), &dying, at(210)), []);
        assert_eq!(see(Some(&lost), &pod(Phase::Running), at(210)), [Act::Settle, Act::Delete]);
        assert_eq!(see(Some(&lost), &dying, at(210)), [Act::Settle]);
    }

    #[test]
    fn a_bound_pod_that_is_gone_is_lost_and_another_one_is_nobodys() {
        assert_eq!(reason(&gone(Some(&bound()), 1, "u"), &bound()), Reason::Lost);
        assert_eq!(gone(Some(&bound()), 1, "another"), []);
        assert_eq!(gone(Some(&open()), 1, "u"), []);
        assert_eq!(gone(Some(&decided()), 1, "u"), [Act::Settle]);
        assert_eq!(gone(None, 1, "u"), []);
    }

    /// The record after what these steps write to it.
    fn written(record: &Record, acts: &[Act], now: Timestamp) -> Record {
        acts.iter().fold(record.clone(), |record, act| {
            let changed = match act {
                Act::Condemn(sentence) => record.condemn(1, sentence.clone(), now),
                Act::Decide(decision) => record.decide(1, decision.clone(), now),
                Act::Start(at) => record.start(1, *at),
                Act::Settle => record.close(1),
                Act::Arm(..) | Act::Ungate | Act::Delete | Act::Release | Act::LookAgain(_) => None,
            };
            changed.unwrap_or(record)
        })
    }

    proptest! {
        #[test]
        fn seeing_the_same_pod_twice_writes_nothing_new(record in records(), pod in pods(), seconds in 0..2000i32) {
            let now = at(seconds);
            let once = written(&record, &see(Some(&record), &pod, now), now);
            let twice = written(&once, &see(Some(&once), &pod, now), now);
            prop_assert_eq!(once, twice);
        }

        #[test]
        fn only_the_bound_pod_is_ungated_and_only_a_decided_or_unbound_one_released(
            record in records(), pod in pods(), seconds in 0..2000i32
        ) {
            let acts = see(Some(&record), &pod, at(seconds));
            let attempt = &record.attempts[0];
            let ours = attempt.is_bound_to(&pod.uid);
            if acts.contains(&Act::Ungate) {
                prop_assert!(ours && attempt.standing() == Standing::Bound);
            }
            if acts.contains(&Act::Release) {
                prop_assert!(!ours || (attempt.decided.is_some() && (pod.dead || pod.forced)));
            }
            let writes = acts.iter().filter(|act| matches!(act, Act::Condemn(_) | Act::Decide(_) | Act::Start(_))).count();
            prop_assert!(writes <= 1, "only the first of two writes would be checked: {acts:?}");
        }

        #[test]
        fn what_has_no_record_is_never_touched(pod in pods(), seconds in 0..2000i32) {
            prop_assert!(matches!(see(None, &pod, at(seconds))[..], [Act::LookAgain(_)]));
        }
    }
}
