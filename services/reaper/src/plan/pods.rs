//! What a sweep finds about pods: those that nobody saw to, those that nobody knows, those that are missing or cannot go.

use jiff::Timestamp;
use switchyard_events::{Attempt, BuildKey, Record, Standing};
use switchyard_executor::Observed;

use super::{Policy, Reap, Sight, Why, is_over};
use crate::{
    Act,
    fire::{after, lingers_until},
    see,
};

/// What is wrong with a pod that is there.
pub(super) fn found(record: Option<&Record>, pod: &Observed, sight: &Sight<'_>, now: Timestamp, policy: &Policy) -> Option<Reap> {
    let why = match record.and_then(|record| Some((record, record.attempt(pod.attempt)?))) {
        None => orphan(pod, now, policy),
        Some((record, attempt)) => stuck(attempt, pod, sight, now, policy).or_else(|| overlooked(record, attempt, pod, now)),
    };
    why.map(|why| Reap { build: pod.build.clone(), attempt: pod.attempt, why })
}

/// Another installation's pods have their records elsewhere.
fn orphan(pod: &Observed, now: Timestamp, policy: &Policy) -> Option<Why> {
    let ours = policy.installation.is_some() && pod.installation == policy.installation;
    (ours && after(pod.created_at, policy.orphan) < now).then(|| Why::Orphan(pod.uid.clone()))
}

fn stuck(attempt: &Attempt, pod: &Observed, sight: &Sight<'_>, now: Timestamp, policy: &Policy) -> Option<Why> {
    let asked = attempt.condemned.as_ref().map(|condemned| condemned.at).or(attempt.decided.as_ref().map(|end| end.at))?;
    let node = pod.node.as_ref().filter(|node| sight.gone_nodes.contains(*node))?;
    let goes = pod.deleting && !pod.dead && !pod.forced;
    let late = is_over(after(asked, attempt.limits().teardown), now);
    (policy.force && goes && late).then(|| Why::Stuck { uid: pod.uid.clone(), node: node.clone() })
}

fn overlooked(record: &Record, attempt: &Attempt, pod: &Observed, now: Timestamp) -> Option<Why> {
    let acts = see(Some(record), pod, now);
    let idle = acts.iter().all(|act| matches!(act, Act::LookAgain(_) | Act::Settle));
    (!idle && is_over(due(attempt, pod, now), now)).then(|| Why::Overlooked(Box::new(pod.clone())))
}

/// Since when there is something to do about a pod, at the latest.
fn due(attempt: &Attempt, pod: &Observed, now: Timestamp) -> Timestamp {
    let lingers = attempt.decided.is_some() && attempt.is_bound_to(&pod.uid) && (pod.dead || pod.forced);
    [
        attempt.bound.as_ref().map(|bound| bound.at),
        attempt.condemned.as_ref().map(|condemned| condemned.at),
        attempt.decided.as_ref().map(|decided| decided.at),
        pod.finished_at,
        lingers.then(|| lingers_until(attempt, now)),
    ]
    .into_iter()
    .flatten()
    .fold(pod.since, Timestamp::max)
}

/// The attempts whose pod should be there and is not.
pub(super) fn missing<'a>(
    records: &'a [(BuildKey, Record)],
    pods: &'a [Observed],
    now: Timestamp,
    policy: &'a Policy,
) -> impl Iterator<Item = Reap> + 'a {
    let there = |uid: &str| pods.iter().any(|pod| pod.uid == uid);
    records.iter().flat_map(|(build, record)| record.attempts.iter().map(move |attempt| (build, attempt))).filter_map(
        move |(build, attempt)| {
            let bound = attempt.bound.as_ref().filter(|bound| bound.executor == policy.executor)?;
            let alive = matches!(attempt.standing(), Standing::Bound | Standing::Condemned);
            (alive && is_over(bound.at, now) && !there(&bound.uid)).then(|| Reap {
                build: build.clone(),
                attempt: attempt.n,
                why: Why::PodGone(bound.uid.clone()),
            })
        },
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use switchyard_executor::Phase;

    use super::*;
    use crate::{
        fixture::{at, bound, build, condemned, decided, pod},
        plan,
    };

    const OURS: &str = "this";

    fn ours(pod: Observed) -> Observed {
        Observed { installation: Some(OURS.into()), ..pod }
    }

    fn policy() -> Policy {
        Policy { installation: Some(OURS.into()), ..Policy::of("k8s") }
    }

    fn whys(record: Option<Record>, pods: &[Observed], gone: &[&str], seconds: i32) -> Vec<Why> {
        let records: Vec<_> = record.into_iter().map(|record| (build(), record)).collect();
        let gone_nodes: BTreeSet<_> = gone.iter().map(|&node| node.to_owned()).collect();
        let sight = Sight { records: &records, pods: Some(pods), gone_nodes: &gone_nodes, clocks: &[] };
        let found = plan(&sight, at(seconds), &policy()).into_iter().map(|reap| reap.why);
        found.filter(|why| !matches!(why, Why::Overdue(_))).collect()
    }

    #[test]
    fn only_this_installations_pods_can_be_orphans() {
        let gated = pod(Phase::Gated);
        let foreign = Observed { installation: Some("another".into()), ..gated.clone() };
        for (pod, seconds, found) in
            [(ours(gated.clone()), 601, true), (ours(gated.clone()), 599, false), (foreign, 9999, false), (gated, 9999, false)]
        {
            assert_eq!(whys(None, &[pod], &[], seconds) == [Why::Orphan("u".into())], found);
        }
        let blind = Policy { installation: None, ..policy() };
        let sight = Sight { records: &[], pods: Some(&[ours(pod(Phase::Gated))]), gone_nodes: &BTreeSet::new(), clocks: &[] };
        assert!(plan(&sight, at(9999), &blind).is_empty());
    }

    #[test]
    fn a_closed_attempts_pod_is_found_once_its_logs_had_their_time() {
        let closed = decided().close(1).unwrap();
        let ended = pod(Phase::Succeeded);
        assert_eq!(whys(Some(closed.clone()), std::slice::from_ref(&ended), &[], 145), []);
        assert!(matches!(whys(Some(closed), &[ended], &[], 146)[..], [Why::Overlooked(_)]));
    }

    #[test]
    fn a_pod_that_nobody_let_run_reported_or_ended_is_found() {
        for (record, phase) in [(bound(), Phase::Gated), (bound(), Phase::Running), (bound(), Phase::Failed)] {
            assert!(matches!(whys(Some(record), &[pod(phase)], &[], 100)[..], [Why::Overlooked(_)]), "{phase:?}");
        }
        assert_eq!(whys(Some(bound().start(1, at(10)).unwrap()), &[pod(Phase::Running)], &[], 100), []);
    }

    #[test]
    fn a_record_whose_pod_is_missing_is_found_and_nothing_is_assumed_of_a_cluster_that_is_away() {
        assert_eq!(whys(Some(bound()), &[], &[], 16), [Why::PodGone("u".into())]);
        assert_eq!(whys(Some(bound()), &[], &[], 15), [], "it may be younger than the look");
        assert_eq!(whys(Some(decided()), &[], &[], 99), []);
        let (records, gone_nodes) = ([(build(), bound())], BTreeSet::new());
        let sight = Sight { records: &records, pods: None, gone_nodes: &gone_nodes, clocks: &[] };
        assert!(plan(&sight, at(100), &policy()).is_empty());
    }

    #[test]
    fn a_pod_is_forced_out_only_where_its_machine_does_not_exist_any_more() {
        let dying = Observed { deleting: true, ..pod(Phase::Running) };
        let forced = Observed { forced: true, ..dying.clone() };
        let stuck = Why::Stuck { uid: "u".into(), node: "n".into() };
        assert_eq!(whys(Some(condemned()), std::slice::from_ref(&dying), &["n"], 266), [stuck]);
        assert_eq!(whys(Some(condemned()), std::slice::from_ref(&dying), &["n"], 265), [], "its machine may only be late");
        assert_eq!(whys(Some(condemned()), std::slice::from_ref(&dying), &[], 9999), []);
        assert!(!whys(Some(condemned()), &[forced], &["n"], 266).iter().any(|why| matches!(why, Why::Stuck { .. })));
        let sight = Sight {
            records: &[(build(), condemned())],
            pods: Some(&[dying]),
            gone_nodes: &BTreeSet::from(["n".to_owned()]),
            clocks: &[],
        };
        let forbidden = Policy { force: false, ..policy() };
        assert!(plan(&sight, at(266), &forbidden).iter().all(|reap| matches!(reap.why, Why::Overdue(_))));
    }
}
