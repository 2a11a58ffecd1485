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
    /// There is no bound pod yet; this is known of where the build waits.
    Unbound(Places),
}

/// What is known of the executor at which a build waits for a launcher, and of those that might have it too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Its own is to become empty.
    pub draining: bool,
    /// Another says that it takes builds now.
    pub elsewhere: bool,
}

/// What is to be done, in this order, when a clock of attempt `n` has run out.
///
/// Empty only when nothing is left to do; otherwise the attempt ends here or another clock is armed.
#[must_use]
pub fn fire(kind: ClockKind, record: &Record, n: u32, look: &Look, now: Timestamp) -> Vec<Act> {
    let Some(attempt) = record.attempt(n) else { return Vec::new() };
    match attempt.standing() {
        Standing::Open => match kind {
            ClockKind::Queued => queued(record, attempt, look, now),
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

fn queued(record: &Record, attempt: &Attempt, look: &Look, now: Timestamp) -> Vec<Act> {
    let Some(due) = queued_until(record, attempt).filter(|due| is_early(*due, now)) else {
        let limit = attempt.limits().queued;
        return vec![Act::Decide(timed_out(ClockKind::Queued, limit, "no launcher took it", true)), Act::Settle];
    };
    let places = if let Look::Unbound(places) = look { *places } else { Places::default() };
    match moves_at(record, attempt, places.draining) {
        Some(at) if is_early(at, now) => vec![Act::Arm(ClockKind::Queued, at.min(due))],
        Some(_) if places.elsewhere => vec![Act::Decide(moved(attempt, places.draining)), Act::Settle],
        // It is asked again and again: somebody may have room later.
        Some(_) => {
            let again = attempt.limits().reroute_after.map_or(due, |pause| after(now, pause));
            vec![Act::Arm(ClockKind::Queued, again.min(due))]
        }
        None => vec![Act::Arm(ClockKind::Queued, due)],
    }
}

/// When an attempt that waits is first to be given to another executor, if it ever is: at once where its own is to become empty.
pub(crate) fn moves_at(record: &Record, attempt: &Attempt, draining: bool) -> Option<Timestamp> {
    let routed_at = attempt.routed_at.filter(|_| record.may_move() && !attempt.elsewhere.is_empty())?;
    if draining { Some(routed_at) } else { attempt.limits().reroute_after.map(|limit| after(routed_at, limit)) }
}

fn moved(attempt: &Attempt, draining: bool) -> Decision {
    let why = if draining { "is drained" } else { "has not begun it in time" };
    let message = format!("executor {} {why}, and another takes builds", attempt.executor.as_deref().unwrap_or_default());
    Decision { message: Some(message), ..Decision::new(Reason::Requeued, true) }
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
        Look::Present(_) | Look::Absent | Look::Unbound(_) if is_early(due, now) => vec![Act::Arm(ClockKind::Pending, due)],
        Look::Present(pod) => condemn(attempt, blamed(ClockKind::Pending, limit, "it did not start", pod), now),
        Look::Absent | Look::Unbound(_) => condemn(attempt, timed_out(ClockKind::Pending, limit, "its pod is gone", false), now),
    }
}

fn running(attempt: &Attempt, look: &Look, now: Timestamp) -> Vec<Act> {
    let due = match look {
        Look::Present(pod) if pod.dead || pod.forced => return vec![teardown(attempt, now)],
        Look::Present(pod) => running_until(attempt, Some(pod)),
        Look::Absent | Look::Unbound(_) | Look::Unreachable => running_until(attempt, None),
    };
    if is_early(due, now) {
        return vec![Act::Arm(ClockKind::Running, due)];
    }
    let (limit, but) = (attempt.limits().running, "it was still running");
    let sentence = match look {
        Look::Present(pod) => blamed(ClockKind::Running, limit, but, pod),
        Look::Absent | Look::Unbound(_) | Look::Unreachable => timed_out(ClockKind::Running, limit, but, false),
    };
    condemn(attempt, sentence, now)
}

/// Teardown of an attempt that nobody condemned: its pod had ended, or seemed so. One that is alive after all goes on.
fn lost_or_ended(attempt: &Attempt, look: &Look, now: Timestamp) -> Vec<Act> {
    match look {
        Look::Present(pod) if !pod.dead && !pod.forced => {
            vec![Act::Arm(ClockKind::Running, running_until(attempt, Some(pod)))]
        }
        Look::Present(_) | Look::Absent | Look::Unbound(_) | Look::Unreachable => end(ended(look), attempt, look, now),
    }
}

fn end(decision: Decision, attempt: &Attempt, look: &Look, now: Timestamp) -> Vec<Act> {
    [vec![Act::Decide(decision), Act::Settle], bury(attempt, look, now)].concat()
}

/// How a pod ended, as far as a look tells; no retry without proof of death.
fn ended(look: &Look) -> Decision {
    match look {
        Look::Present(pod) => decision(pod),
        Look::Absent | Look::Unbound(_) => {
            Decision { message: Some("its pod is gone".into()), ..Decision::new(Reason::Lost, true) }
        }
        Look::Unreachable => {
            Decision { message: Some("its executor cannot be reached".into()), ..Decision::new(Reason::Lost, false) }
        }
    }
}

/// How an ended pod ended, in its own words.
pub(crate) fn decision(pod: &Observed) -> Decision {
    let lost = || if pod.reason == Some(Reason::NodeLost) { Reason::NodeLost } else { Reason::Lost };
    Decision {
        message: pod.message.clone(),
        container: pod.container.clone(),
        node: pod.node.clone(),
        result: pod.result.clone(),
        steps: pod.steps.clone(),
        ..Decision::new(pod.end().unwrap_or_else(lost), pod.dead)
    }
}

/// A limit that a pod has overstepped: by what keeps it from starting or from being heard of, where that is known.
fn blamed(clock: ClockKind, limit: TimeLimit, but: &str, pod: &Observed) -> Decision {
    let late = timed_out(clock, limit, pod.message.as_deref().unwrap_or(but), false);
    let reason = pod.reason.clone().unwrap_or_else(|| late.reason.clone());
    Decision { reason, container: pod.container.clone(), node: pod.node.clone(), ..late }
}

/// What is left of a decided attempt's pod goes, once its logs could be collected; until it has gone the clock comes back.
fn bury(attempt: &Attempt, look: &Look, now: Timestamp) -> Vec<Act> {
    let again = teardown(attempt, now);
    let lingers_until = lingers_until(attempt, now);
    match look {
        Look::Absent | Look::Unbound(_) => Vec::new(),
        Look::Present(pod) if (pod.dead || pod.forced) && is_early(lingers_until, now) => {
            vec![Act::Arm(ClockKind::Teardown, after(lingers_until, attempt.limits().teardown))]
        }
        Look::Present(pod) if pod.dead || pod.forced => vec![again, Act::Delete, Act::Release],
        Look::Present(_) | Look::Unreachable => vec![again, Act::Delete],
    }
}

fn condemn(attempt: &Attempt, decision: Decision, now: Timestamp) -> Vec<Act> {
    vec![Act::Condemn(decision), teardown(attempt, now), Act::Delete]
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

/// When an attempt has waited for a launcher long enough. One that nobody has routed waits since the one before it ended, and one
/// that came from another executor since it began to wait there: moving it prolongs nothing.
pub(crate) fn queued_until(record: &Record, attempt: &Attempt) -> Option<Timestamp> {
    let earlier = |n: u32| record.attempt(n.checked_sub(1)?);
    let has_moved = |attempt: &&Attempt| attempt.decided.as_ref().is_some_and(|decided| decided.reason == Reason::Requeued);
    let first = std::iter::successors(Some(attempt), |attempt| earlier(attempt.n).filter(has_moved)).last()?;
    let before = || earlier(first.n)?.decided.as_ref().map(|decided| decided.at);
    first.routed_at.or_else(before).map(|begun| after(begun, attempt.limits().queued))
}

/// When the clock of an attempt that waits fires next: when it may be given to another executor, and at the latest when it has
/// waited long enough.
pub(crate) fn waits_until(record: &Record, attempt: &Attempt, draining: bool) -> Option<Timestamp> {
    let due = queued_until(record, attempt)?;
    Some(moves_at(record, attempt, draining).map_or(due, |at| at.min(due)))
}

pub(crate) fn pending_until(attempt: &Attempt) -> Timestamp {
    let begun = attempt.bound.as_ref().map(|bound| bound.at).or(attempt.routed_at).unwrap_or_default();
    after(begun, attempt.limits().pending)
}

/// When a bound attempt must have ended. Nothing moves it: not the hour at which a clock happens to fire, nor an executor that
/// cannot be reached; a pod of which no start is known counts from the last moment at which it could have started.
pub(crate) fn running_until(attempt: &Attempt, pod: Option<&Observed>) -> Timestamp {
    let started = attempt.started_at.or_else(|| pod?.started_at);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use switchyard_events::{MAX_REROUTES, Routing};

    use crate::fixture::{at, bound, condemned, decided, kinds, looks, movable, open, pod, records, routing, there};

    fn arms(kind: ClockKind, seconds: i32) -> Act {
        Act::Arm(kind, at(seconds))
    }

    /// The record after its attempt was decided by these steps.
    fn after_deciding(record: &Record, acts: &[Act]) -> Record {
        let decision = acts.iter().find_map(|act| if let Act::Decide(decision) = act { Some(decision) } else { None });
        record.decide(1, decision.unwrap().clone(), at(500)).unwrap()
    }

    #[test]
    fn a_bound_attempt_is_watched_although_every_launcher_is_gone() {
        assert_eq!(fire(ClockKind::Queued, &bound(), 1, &Look::Unreachable, at(100)), [arms(ClockKind::Pending, 200)]);
    }

    #[test]
    fn an_attempt_that_nobody_took_ends_and_is_not_tried_again() {
        let acts = fire(ClockKind::Queued, &open(), 1, &Look::Absent, at(100));
        assert_eq!(acts.last(), Some(&Act::Settle));
        let record = after_deciding(&open(), &acts);
        assert_eq!(record.attempts[0].decided.as_ref().unwrap().reason, Reason::TimedOut(ClockKind::Queued));
        assert_eq!(record.attempts.len(), 1);
    }

    /// An attempt that `k8s-vm` might have too, what is known of both after so many seconds, and what comes of it.
    fn waits(places: Places, seconds: i32) -> Vec<Act> {
        fire(ClockKind::Queued, &movable(), 1, &Look::Unbound(places), at(seconds))
    }

    #[test]
    fn an_attempt_that_nobody_took_in_time_goes_to_another_executor_that_takes_builds() {
        let (nobody, somebody) = (Places::default(), Places { elsewhere: true, ..Places::default() });
        assert_eq!(waits(somebody, 5), [arms(ClockKind::Queued, 20)], "it is not time yet");
        assert_eq!(waits(nobody, 20), [arms(ClockKind::Queued, 40)], "it is asked again");
        assert_eq!(waits(nobody, 90), [arms(ClockKind::Queued, 100)], "and not beyond its limit");
        let moved = after_deciding(&movable(), &waits(somebody, 20));
        let ended = moved.attempts[0].decided.as_ref().unwrap();
        assert_eq!((&ended.reason, ended.retry, moved.attempts.len()), (&Reason::Requeued, true, 2));
    }

    #[test]
    fn what_waits_at_a_drained_executor_goes_at_once_where_somebody_takes_it() {
        let drained = |elsewhere| Places { draining: true, elsewhere };
        assert_eq!(after_deciding(&movable(), &waits(drained(true), 1)).attempts.len(), 2);
        assert_eq!(waits(drained(false), 1), [arms(ClockKind::Queued, 21)]);
    }

    #[test]
    fn nothing_moves_that_names_its_executor_is_bound_or_has_moved_too_often() {
        let places = Look::Unbound(Places { draining: true, elsewhere: true });
        assert_eq!(fire(ClockKind::Queued, &open(), 1, &places, at(50)), [arms(ClockKind::Queued, 100)]);
        assert_eq!(fire(ClockKind::Queued, &bound(), 1, &places, at(50)), [arms(ClockKind::Pending, 200)]);
        let moved = |record: Record, n: u32| record.decide(n, Decision::new(Reason::Requeued, true), at(1)).unwrap();
        let often = (1..=MAX_REROUTES).fold(open(), moved).routed(MAX_REROUTES + 1, routing(&["k8s-vm"])).unwrap();
        assert_eq!(fire(ClockKind::Queued, &often, MAX_REROUTES + 1, &places, at(50)), [arms(ClockKind::Queued, 100)]);
    }

    #[test]
    fn moving_prolongs_no_wait() {
        let moved = movable().decide(1, Decision::new(Reason::Requeued, true), at(30)).unwrap();
        let routed = Routing { at: at(31), ..routing(&["k8s"]) };
        let again = moved.routed(2, routed).unwrap();
        for record in [moved, again] {
            assert_eq!(queued_until(&record, &record.attempts[1]), Some(after(at(0), record.attempts[1].limits().queued)));
        }
    }

    #[test]
    fn a_clock_that_is_early_is_armed_again_for_when_it_is_due() {
        let pending = there(pod(Phase::Pending));
        assert_eq!(fire(ClockKind::Queued, &open(), 1, &Look::Absent, at(50)), [arms(ClockKind::Queued, 100)]);
        assert_eq!(fire(ClockKind::Pending, &bound(), 1, &pending, at(50)), [arms(ClockKind::Pending, 200)]);
        assert_eq!(fire(ClockKind::Running, &bound(), 1, &there(pod(Phase::Running)), at(50)), [arms(ClockKind::Running, 410)]);
    }

    #[test]
    fn an_attempt_that_nobody_has_routed_waits_since_the_one_before_it_ended() {
        let retried = bound().decide(1, Decision::new(Reason::Deleted, true), at(300)).unwrap();
        let limit = retried.attempts[1].limits().queued;
        let due = after(at(300), limit);
        assert_eq!(fire(ClockKind::Queued, &retried, 2, &Look::Absent, at(301)), [Act::Arm(ClockKind::Queued, due)]);
    }

    #[test]
    fn an_executor_that_is_away_moves_no_limit() {
        for now in [200, 300, 10_000] {
            let acts = fire(ClockKind::Pending, &bound(), 1, &Look::Unreachable, at(now));
            assert_eq!(acts, [arms(ClockKind::Running, 200 + 400)]);
        }
        let started = bound().start(1, at(10)).unwrap();
        assert_eq!(fire(ClockKind::Pending, &started, 1, &Look::Unreachable, at(200)), [arms(ClockKind::Running, 410)]);
    }

    #[test]
    fn a_pod_is_condemned_before_it_is_deleted_and_its_teardown_is_armed_in_between() {
        let waiting = fire(ClockKind::Pending, &bound(), 1, &there(pod(Phase::Pending)), at(200));
        let absent = fire(ClockKind::Pending, &bound(), 1, &Look::Absent, at(200));
        let overrun = fire(ClockKind::Running, &bound(), 1, &there(pod(Phase::Running)), at(410));
        for (acts, kind, due) in
            [(waiting, ClockKind::Pending, 250), (absent, ClockKind::Pending, 250), (overrun, ClockKind::Running, 460)]
        {
            let Act::Condemn(sentence) = &acts[0] else { panic!("{acts:?}") };
            assert_eq!(sentence.reason, Reason::TimedOut(kind));
            assert_eq!(acts[1..], [arms(ClockKind::Teardown, due), Act::Delete]);
        }
    }

    #[test]
    fn a_pod_is_condemned_for_what_keeps_it_from_starting_or_from_being_heard_of() {
        for (phase, reason, kind, now) in [
            (Phase::Pending, Reason::ImagePull, ClockKind::Pending, 200),
            (Phase::Pending, Reason::SandboxFailed, ClockKind::Pending, 200),
            (Phase::Running, Reason::NodeLost, ClockKind::Running, 410),
        ] {
            let (container, node) = (Some("build".to_owned()), Some("n".to_owned()));
            let message = Some("no".to_owned());
            let pod = Observed { reason: Some(reason.clone()), container, node, message, ..pod(phase) };
            let acts = fire(kind, &bound(), 1, &there(pod), at(now));
            let Act::Condemn(sentence) = &acts[0] else { panic!("{acts:?}") };
            assert_eq!((&sentence.reason, sentence.dead), (&reason, false));
            let place = (sentence.container.as_deref(), sentence.node.as_deref());
            assert_eq!(place, (Some("build"), Some("n")));
            assert!(sentence.message.as_deref().unwrap().ends_with(": no"), "{sentence:?}");
        }
    }

    #[test]
    fn a_reaper_that_died_between_condemning_and_arming_makes_up_for_it() {
        let acts = fire(ClockKind::Pending, &condemned(), 1, &Look::Unreachable, at(300));
        assert_eq!(acts, [arms(ClockKind::Teardown, 350), Act::Delete]);
        let soon = fire(ClockKind::Running, &condemned(), 1, &Look::Unreachable, at(201));
        assert_eq!(soon, [arms(ClockKind::Teardown, 250), Act::Delete], "asking again must not prolong its life");
    }

    #[test]
    fn a_teardown_is_armed_again_while_the_executor_is_away() {
        for record in [condemned(), decided()] {
            let acts = fire(ClockKind::Teardown, &record, 1, &Look::Unreachable, at(500));
            assert_eq!(acts[acts.len() - 2..], [arms(ClockKind::Teardown, 550), Act::Delete]);
        }
    }

    #[test]
    fn without_proof_of_death_there_is_no_retry() {
        let dying = Observed { deleting: true, ..pod(Phase::Running) };
        for (look, attempts) in [(Look::Unreachable, 1), (there(dying), 1), (Look::Absent, 2), (there(pod(Phase::Failed)), 2)] {
            let acts = fire(ClockKind::Teardown, &condemned(), 1, &look, at(500));
            assert_eq!(after_deciding(&condemned(), &acts).attempts.len(), attempts, "{look:?}");
        }
    }

    #[test]
    fn a_condemned_reason_comes_before_the_pods_own() {
        let acts = fire(ClockKind::Teardown, &condemned(), 1, &there(pod(Phase::Succeeded)), at(500));
        let record = after_deciding(&condemned(), &acts);
        assert_eq!(record.attempts[0].decided.as_ref().unwrap().reason, Reason::TimedOut(ClockKind::Pending));
    }

    #[test]
    fn a_teardown_that_is_early_leaves_the_logs_their_time() {
        let ended = there(pod(Phase::Succeeded));
        let early = fire(ClockKind::Teardown, &decided(), 1, &ended, at(110));
        assert_eq!(early, [Act::Settle, arms(ClockKind::Teardown, 130 + 50)]);
        let due = fire(ClockKind::Teardown, &decided(), 1, &ended, at(180));
        assert_eq!(due, [Act::Settle, arms(ClockKind::Teardown, 230), Act::Delete, Act::Release]);
        assert_eq!(fire(ClockKind::Teardown, &decided(), 1, &Look::Absent, at(180)), [Act::Settle]);
    }

    #[test]
    fn a_teardown_of_a_pod_that_lives_and_was_never_condemned_gives_it_back_its_limit() {
        let acts = fire(ClockKind::Teardown, &bound(), 1, &there(pod(Phase::Running)), at(50));
        assert_eq!(acts, [arms(ClockKind::Running, 410)]);
    }

    proptest! {
        #[test]
        fn a_fire_ends_the_attempt_or_arms_a_clock_unless_nothing_is_left(
            record in records(), kind in kinds(), look in looks(), seconds in 0..2000i32, n in 1..=3u32
        ) {
            let Some(attempt) = record.attempt(n) else {
                prop_assert!(fire(kind, &record, n, &look, at(seconds)).is_empty());
                return Ok(());
            };
            let acts = fire(kind, &record, n, &look, at(seconds));
            let goes_on = acts.iter().any(|act| matches!(act, Act::Settle | Act::Arm(..)));
            // No other clock of an open attempt is ever armed.
            let idle = attempt.standing() == Standing::Open && kind != ClockKind::Queued;
            prop_assert!(goes_on || idle, "{kind} of {attempt:?} on {look:?} does {acts:?}");
        }

        #[test]
        fn what_a_pod_must_suffer_comes_after_what_must_be_remembered(
            record in records(), kind in kinds(), look in looks(), seconds in 0..2000i32
        ) {
            let acts = fire(kind, &record, 1, &look, at(seconds));
            let touches = |act: &Act| matches!(act, Act::Delete | Act::Release | Act::Ungate);
            let first = acts.iter().position(touches).unwrap_or(acts.len());
            prop_assert!(acts[first..].iter().all(touches), "an executor that is away would hide {acts:?}");
            let writes = acts.iter().filter(|act| matches!(act, Act::Condemn(_) | Act::Decide(_) | Act::Start(_))).count();
            prop_assert!(writes <= 1, "only the first of two writes would be checked: {acts:?}");
            prop_assert!(!acts.contains(&Act::Release) || record.attempts[0].decided.is_some() || writes == 1);
        }

        #[test]
        fn a_retry_needs_a_pod_that_is_dead_or_gone(record in records(), kind in kinds(), look in looks(), seconds in 0..2000i32) {
            for act in fire(kind, &record, 1, &look, at(seconds)) {
                let Act::Decide(decision) = act else { continue };
                let proof = match &look {
                    Look::Present(pod) => pod.dead,
                    Look::Absent | Look::Unbound(_) => true,
                    Look::Unreachable => false,
                };
                let proof = proof || record.attempts[0].bound.is_none();
                prop_assert!(!decision.dead || proof, "{decision:?} on {look:?}");
            }
        }
    }
}
