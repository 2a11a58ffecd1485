//! The sweep: the second line, for whatever clocks and watches have missed.

mod pods;
mod retention;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use jiff::Timestamp;
use switchyard_events::{Attempt, BuildKey, Clock, ClockKind, Record, Standing, TimeLimit};
use switchyard_executor::Observed;

use crate::fire::{after, moves_at, pending_until, queued_until, running_until};

/// One thing to see to, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Reap {
    /// The build.
    pub build: BuildKey,
    /// The attempt.
    pub attempt: u32,
    /// What was found.
    pub why: Why,
}

/// What a sweep may find. In order: none of it should ever be there.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// A clock should have fired long ago; this is the one that fits now.
    Overdue(ClockKind),
    /// A pod should have been let run, reported, ended or let go long ago.
    Overlooked(Box<Observed>),
    /// A pod is there that no record knows, though it is ours.
    Orphan(String),
    /// The pod that the record names is not there.
    PodGone(String),
    /// A pod must go and cannot: its machine does not exist any more.
    Stuck {
        /// Its uid.
        uid: String,
        /// The machine.
        node: String,
    },
    /// A clock counts for a build that nobody knows.
    StrayClock(ClockKind),
    /// It waits at an executor that is to become empty, and might begin elsewhere.
    Drained,
    /// A record has been kept long enough.
    Expired,
}

/// What a sweep looks at. What is seen of the pods must be older than the records.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// Every record.
    pub records: &'a [(BuildKey, Record)],
    /// Every pod of the executor; none where it did not answer: then nothing is assumed of any.
    pub pods: Option<&'a [Observed]>,
    /// Of the machines of pods that are to go: those that do not exist any more.
    pub gone_nodes: &'a BTreeSet<String>,
    /// The executor's clocks that are armed.
    pub clocks: &'a [Clock],
}

/// What a sweep may do, and when.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Which executor's pods and attempts it sees to.
    pub executor: String,
    /// Which installation's pods are ours; without one, no pod without a record is touched.
    pub installation: Option<String>,
    /// How old a pod without a record must be.
    pub orphan: TimeLimit,
    /// Whether a pod whose machine does not exist any more is forced out.
    pub force: bool,
    /// The most that one sweep sees to; the rest is left to the next.
    pub most: usize,
    /// How long the record of an ended build is kept, at least [`LEAST_KEPT`].
    pub keep: TimeLimit,
    /// Whether the executor is to become empty.
    pub draining: bool,
    /// How many ended builds of a pipeline are kept beyond [`LEAST_KEPT`]; without one, all.
    pub history: Option<usize>,
}

/// Streams keep events for seven days; a record that goes before them would let an old event begin its build again.
pub const LEAST_KEPT: TimeLimit = TimeLimit::minutes(8 * 24 * 60);

/// Clocks fire within a second, and watches tell as soon; what is later by so much was forgotten.
const SLACK: TimeLimit = TimeLimit::seconds(15);

impl Policy {
    /// What holds for an executor where nothing else is said.
    #[must_use]
    pub fn of(executor: &str) -> Self {
        Self {
            executor: executor.to_owned(),
            installation: None,
            orphan: TimeLimit::minutes(10),
            force: true,
            most: 500,
            keep: TimeLimit::minutes(30 * 24 * 60),
            draining: false,
            history: None,
        }
    }
}

/// What the sweep of one executor's reaper has to see to: limits first, what is only kept too long last.
#[must_use]
pub fn plan(sight: &Sight<'_>, now: Timestamp, policy: &Policy) -> Vec<Reap> {
    let records: HashMap<_, _> = sight.records.iter().map(|(build, record)| (build, record)).collect();
    let mut found: Vec<_> = sight.records.iter().flat_map(|(build, record)| overdue(build, record, now, policy)).collect();
    if let Some(pods) = sight.pods {
        found.extend(pods.iter().filter_map(|pod| pods::found(records.get(&pod.build).copied(), pod, sight, now, policy)));
        found.extend(pods::missing(sight.records, pods, now, policy));
    }
    found.extend(sight.clocks.iter().filter(|clock| !records.contains_key(&clock.build)).map(|clock| Reap {
        build: clock.build.clone(),
        attempt: clock.attempt,
        why: Why::StrayClock(clock.kind),
    }));
    found.extend(retention::expired(sight, now, policy));
    found.extend(sight.records.iter().filter(|_| policy.draining).filter_map(|(build, record)| drained(build, record, policy)));
    found.truncate(policy.most);
    found
}

fn overdue<'a>(build: &'a BuildKey, record: &'a Record, now: Timestamp, policy: &'a Policy) -> impl Iterator<Item = Reap> + 'a {
    record.attempts.iter().filter_map(move |attempt| {
        let kind = overdue_clock(record, attempt, &policy.executor, now)?;
        Some(Reap { build: build.clone(), attempt: attempt.n, why: Why::Overdue(kind) })
    })
}

/// An attempt that waits here although its executor is to become empty. What is overdue too is told as that.
fn drained(build: &BuildKey, record: &Record, policy: &Policy) -> Option<Reap> {
    let attempt = record.latest().filter(|attempt| attempt.standing() == Standing::Open)?;
    let here = attempt.executor.as_deref() == Some(policy.executor.as_str());
    (here && moves_at(record, attempt, true).is_some()).then(|| Reap {
        build: build.clone(),
        attempt: attempt.n,
        why: Why::Drained,
    })
}

fn overdue_clock(record: &Record, attempt: &Attempt, executor: &str, now: Timestamp) -> Option<ClockKind> {
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
    is_over(due, now).then_some(kind)
}

fn is_over(due: Timestamp, now: Timestamp) -> bool {
    after(due, SLACK) < now
}

impl Why {
    /// The words for metrics of all that may be found.
    pub const NAMES: [&str; 8] = ["overdue", "overlooked", "orphan", "pod_gone", "stuck", "stray_clock", "drained", "expired"];

    /// One word for metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Overdue(_) => "overdue",
            Self::Overlooked(_) => "overlooked",
            Self::Orphan(_) => "orphan",
            Self::PodGone(_) => "pod_gone",
            Self::Stuck { .. } => "stuck",
            Self::StrayClock(_) => "stray_clock",
            Self::Drained => "drained",
            Self::Expired => "expired",
        }
    }

    /// Whether it is a finding that should not be, rather than the course of time.
    #[must_use]
    pub const fn is_finding(&self) -> bool {
        !matches!(self, Self::Drained | Self::Expired)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overdue(kind) => write!(f, "its clock {kind} is overdue"),
            Self::Overlooked(pod) => write!(f, "its pod {} was overlooked", pod.uid),
            Self::Orphan(uid) => write!(f, "pod {uid} has no record"),
            Self::PodGone(uid) => write!(f, "its pod {uid} is not there"),
            Self::Stuck { uid, node } => write!(f, "pod {uid} cannot go: its node {node} does not exist any more"),
            Self::StrayClock(kind) => write!(f, "a clock {kind} counts for no record"),
            Self::Drained => f.write_str("it waits at an executor that is to become empty"),
            Self::Expired => f.write_str("its record has been kept long enough"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use switchyard_events::{Decision, Reason};

    use super::*;
    use crate::fixture::{at, bound, condemned, decided, movable, open, records, swept};

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

    #[test]
    fn what_waits_at_a_drained_executor_is_seen_to_and_is_no_finding() {
        let nodes = BTreeSet::new();
        let found = |record: Record, executor: &str, draining: bool| {
            let records = [(crate::fixture::build(), record)];
            let sight = Sight { records: &records, pods: None, gone_nodes: &nodes, clocks: &[] };
            plan(&sight, at(1), &Policy { draining, ..Policy::of(executor) })
        };
        let [reap] = &found(movable(), "k8s", true)[..] else { panic!() };
        assert_eq!((&reap.why, reap.why.is_finding()), (&Why::Drained, false));
        assert_eq!(found(movable(), "k8s", false), []);
        assert_eq!(found(movable(), "k8s-vm", true), []);
        assert_eq!(found(open(), "k8s", true), [], "nobody else might have it");
        assert_eq!(found(movable().bind(1, crate::fixture::pod_of("u")).unwrap(), "k8s", true), [], "it goes on");
    }

    #[test]
    fn one_sweep_does_only_so_much() {
        let all: Vec<_> = (0..9).map(|n| (BuildKey::of("/ci", &n.to_string(), "e"), bound())).collect();
        let nodes = BTreeSet::new();
        let sight = Sight { records: &all, pods: None, gone_nodes: &nodes, clocks: &[] };
        assert_eq!(plan(&sight, at(1000), &Policy { most: 4, ..Policy::of("k8s") }).len(), 4);
    }

    #[test]
    fn a_clock_of_a_build_that_nobody_knows_is_stopped() {
        let clock =
            |id: &str| Clock { executor: "k8s".into(), kind: ClockKind::Queued, build: BuildKey::of("/ci", id, "e"), attempt: 1 };
        let (nodes, records) = (BTreeSet::new(), [(crate::fixture::build(), open())]);
        let sight = Sight { records: &records, pods: None, gone_nodes: &nodes, clocks: &[clock("7"), clock("8")] };
        let found = plan(&sight, at(1), &Policy::of("k8s"));
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].build, &found[0].why), (&clock("8").build, &Why::StrayClock(ClockKind::Queued)));
    }

    proptest! {
        #[test]
        fn the_sweep_of_a_place_finds_whatever_is_left_there(record in records()) {
            let found = swept(&record, "k8s", i32::MAX);
            let left: Vec<_> =
                record.attempts.iter().filter(|a| a.standing() != Standing::Closed).map(|attempt| attempt.n).collect();
            prop_assert_eq!(found.iter().map(|(n, _)| *n).collect::<Vec<_>>(), left);
        }

        #[test]
        fn what_was_overdue_stays_so_until_something_is_done(record in records(), seconds in 0..2000i32, later in 0..2000i32) {
            let (found, then) = (swept(&record, "k8s", seconds), swept(&record, "k8s", seconds + later));
            prop_assert!(found.iter().all(|reap| then.contains(reap)));
        }
    }
}
