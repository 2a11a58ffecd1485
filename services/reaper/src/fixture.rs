//! Records, pods and looks for the tests of the decisions: one of each kind, and any that can come about.

use jiff::Timestamp;
use proptest::prelude::*;
use switchyard_events::{
    Attempt, Bound, BuildKey, ClockKind, Decision, Limits, MAX_ATTEMPTS, Reason, Record, Request, Routing, TimeLimit,
};
use switchyard_executor::{Observed, Phase};

use crate::{Look, Places, Policy, Sight, Why, plan};

pub(crate) const LIMITS: Limits = Limits {
    queued: TimeLimit::seconds(100),
    reroute_after: Some(TimeLimit::seconds(20)),
    pending: TimeLimit::seconds(200),
    running: TimeLimit::seconds(400),
    running_max: TimeLimit::seconds(400),
    teardown: TimeLimit::seconds(50),
    grace: TimeLimit::seconds(10),
    linger: TimeLimit::seconds(30),
};

/// So many seconds after the build was routed and bound.
pub(crate) fn at(seconds: i32) -> Timestamp {
    Timestamp::constant(1_000_000, 0) + jiff::SignedDuration::from_secs(seconds.into())
}

pub(crate) fn build() -> BuildKey {
    BuildKey::of("/ci", "7", "e")
}

/// Routed to `k8s` and open.
pub(crate) fn open() -> Record {
    let first = Attempt { n: 1, ..Attempt::default() };
    Record::open(Request::default(), "default".into(), first).routed(1, routing(&[])).unwrap()
}

/// Routed to `k8s`, and others might have it too.
pub(crate) fn routing(elsewhere: &[&str]) -> Routing {
    let elsewhere = elsewhere.iter().map(|&name| name.to_owned()).collect();
    Routing { executor: "k8s".into(), at: at(0), limits: LIMITS, elsewhere }
}

/// Routed to `k8s` and open, and `k8s-vm` might have it too.
pub(crate) fn movable() -> Record {
    let first = Attempt { n: 1, ..Attempt::default() };
    Record::open(Request::default(), "default".into(), first).routed(1, routing(&["k8s-vm"])).unwrap()
}

/// Bound to pod `u` of `k8s`.
pub(crate) fn bound() -> Record {
    open().bind(1, pod_of("u")).unwrap()
}

pub(crate) fn condemned() -> Record {
    bound().condemn(1, Decision::new(Reason::TimedOut(ClockKind::Pending), false), at(200)).unwrap()
}

pub(crate) fn decided() -> Record {
    bound().decide(1, Decision::new(Reason::Succeeded, true), at(100)).unwrap()
}

pub(crate) fn pod_of(uid: &str) -> Bound {
    Bound { executor: "k8s".into(), uid: uid.into(), at: at(0) }
}

/// Pod `u` as it looks in this phase.
pub(crate) fn pod(phase: Phase) -> Observed {
    let running = !matches!(phase, Phase::Gated | Phase::Pending);
    Observed {
        build: build(),
        attempt: 1,
        uid: "u".into(),
        phase,
        since: at(0),
        created_at: at(0),
        started_at: running.then(|| at(10)),
        finished_at: phase.is_ended().then(|| at(20)),
        exit: phase.is_ended().then_some(i32::from(phase == Phase::Failed)),
        reason: None,
        container: None,
        message: None,
        result: None,
        steps: Vec::new(),
        deleting: false,
        dead: phase.is_ended(),
        forced: false,
        held: true,
        installation: None,
        traceparent: None,
        node: running.then(|| "n".into()),
    }
}

pub(crate) fn there(pod: Observed) -> Look {
    Look::Present(Box::new(pod))
}

pub(crate) fn kinds() -> impl Strategy<Value = ClockKind> {
    prop::sample::select(vec![ClockKind::Queued, ClockKind::Pending, ClockKind::Running, ClockKind::Teardown])
}

/// Any pod that an executor may show, of the first attempt.
pub(crate) fn pods() -> impl Strategy<Value = Observed> {
    let phase = prop::sample::select(vec![Phase::Gated, Phase::Pending, Phase::Running, Phase::Succeeded, Phase::Failed]);
    (phase, any::<bool>(), any::<bool>(), prop::bool::weighted(0.8)).prop_map(|(phase, deleting, forced, ours)| {
        let pod = pod(phase);
        let dead = pod.dead || (deleting && pod.node.is_none());
        let uid = if ours { "u" } else { "another" }.to_owned();
        Observed { deleting, dead, forced: forced && deleting && !dead, uid, ..pod }
    })
}

pub(crate) fn looks() -> impl Strategy<Value = Look> {
    let ours = pods().prop_map(|pod| there(Observed { uid: "u".into(), ..pod }));
    let places = any::<(bool, bool)>().prop_map(|(draining, elsewhere)| Look::Unbound(Places { draining, elsewhere }));
    prop_oneof![3 => ours, 1 => Just(Look::Absent), 1 => Just(Look::Unreachable), 1 => places]
}

/// Any record that can come about by what may be written to it.
pub(crate) fn records() -> impl Strategy<Value = Record> {
    let step = (0..6u8, prop::bool::ANY, 0..600i32);
    (prop::bool::ANY, prop::collection::vec(step, 0..12)).prop_map(|(movable_first, mut steps)| {
        steps.sort_by_key(|(_, _, seconds)| *seconds);
        steps.into_iter().fold(if movable_first { movable() } else { open() }, |record, (step, flag, seconds)| {
            let (n, now) = (record.attempts.last().map_or(1, |attempt| attempt.n), at(seconds));
            let changed = match step {
                0 => record.routed(n, Routing { at: now, ..routing(&["k8s-vm"]) }).or_else(|| record.bind(n, pod_of("u"))),
                1 => record.start(n, now),
                2 => record.condemn(n, Decision::new(Reason::TimedOut(ClockKind::Pending), false), now),
                3 if flag => record.cancel("me", now),
                3 => record.decide(n, Decision::new(Reason::Requeued, true), now),
                4 => record.decide(n, Decision::new(Reason::Deleted, flag), now),
                _ => (1..=MAX_ATTEMPTS).find_map(|n| record.close(n)),
            };
            changed.unwrap_or(record)
        })
    })
}

/// Which clocks the sweep of `executor` finds overdue after so many seconds.
pub(crate) fn swept(record: &Record, executor: &str, seconds: i32) -> Vec<(u32, ClockKind)> {
    let (records, gone_nodes) = ([(build(), record.clone())], std::collections::BTreeSet::new());
    let sight = Sight { records: &records, pods: None, gone_nodes: &gone_nodes, clocks: &[] };
    let found = plan(&sight, at(seconds), &Policy::of(executor)).into_iter();
    found.filter_map(|reap| if let Why::Overdue(kind) = reap.why { Some((reap.attempt, kind)) } else { None }).collect()
}
