//! The decision: what a routed build still needs, out of its record.

use switchyard_events::{Bound, BuildRouted, Record, Standing};

/// What a launcher does next for a routed build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the attempt has ended, must end, was cancelled, or another executor has it.
    Nothing,
    /// Its pod is bound: let it run.
    Ungate(Bound),
    /// It has no pod yet.
    Create,
    /// The ledger does not know of such an attempt.
    Unknown,
}

/// What the routed build needs, as its record stands.
#[must_use]
pub fn next(record: Option<&Record>, routed: &BuildRouted) -> Next {
    let Some(record) = record else {
        return if routed.attempt == 1 { Next::Create } else { Next::Unknown };
    };
    let Some(attempt) = record.attempt(routed.attempt) else {
        return Next::Unknown;
    };
    match (attempt.standing(), &attempt.bound) {
        (Standing::Bound, Some(bound)) if bound.executor == routed.executor && record.cancelled.is_none() => {
            Next::Ungate(bound.clone())
        }
        (Standing::Open, _) if record.cancelled.is_none() => Next::Create,
        _ => Next::Nothing,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::Timestamp;
    use switchyard_events::{Attempt, BuildKey, BuildSpec, Decision, Limits, Reason, Request, TimeLimit, Why};

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    pub(crate) fn routed(executor: &str, attempt: u32) -> BuildRouted {
        let limit = TimeLimit::minutes(1);
        BuildRouted {
            build: BuildKey::of("/ci", "7", "e"),
            attempt,
            executor: executor.into(),
            request: Request { id: "e".into(), source: "/ci".into(), subject: "7".into(), ..Request::default() },
            tenant: "default".into(),
            spec: BuildSpec { image: "a".into(), ..BuildSpec::default() },
            limits: Limits {
                queued: limit,
                reroute_after: None,
                pending: limit,
                running: limit,
                running_max: limit,
                teardown: limit,
                grace: limit,
                linger: limit,
            },
            at: NOW,
            why: Why { rule: "default".into(), revision: "r".into(), eligible: vec![], excluded: vec![] },
        }
    }

    fn open() -> Record {
        Record::open(routed("k8s", 1).request, "default".into(), Attempt { n: 1, ..Attempt::default() })
    }

    fn bound(executor: &str) -> Record {
        open().bind(1, Bound { executor: executor.into(), uid: "u".into(), at: NOW }).unwrap()
    }

    #[test]
    fn an_open_attempt_gets_a_pod_also_before_its_record_exists() {
        assert_eq!(next(None, &routed("k8s", 1)), Next::Create);
        assert_eq!(next(Some(&open()), &routed("k8s", 1)), Next::Create);
    }

    #[test]
    fn seeing_ones_own_claim_again_lets_the_pod_run() {
        assert_eq!(
            next(Some(&bound("k8s")), &routed("k8s", 1)),
            Next::Ungate(Bound { executor: "k8s".into(), uid: "u".into(), at: NOW })
        );
    }

    #[test]
    fn what_another_executor_has_is_left_alone() {
        assert_eq!(next(Some(&bound("k8s-vm")), &routed("k8s", 1)), Next::Nothing);
    }

    #[test]
    fn what_has_ended_must_end_or_was_cancelled_never_runs() {
        let condemned = bound("k8s").condemn(1, Decision::new(Reason::Cancelled, false), NOW).unwrap();
        let decided = bound("k8s").decide(1, Decision::new(Reason::Succeeded, true), NOW).unwrap();
        for record in [condemned, decided, open().cancel("me", NOW).unwrap(), bound("k8s").cancel("me", NOW).unwrap()] {
            assert_eq!(next(Some(&record), &routed("k8s", 1)), Next::Nothing);
        }
    }

    #[test]
    fn an_old_route_does_not_run_beside_the_next_attempt() {
        let retried = bound("k8s").decide(1, Decision::new(Reason::Deleted, true), NOW).unwrap();
        assert_eq!(next(Some(&retried), &routed("k8s", 1)), Next::Nothing);
        assert_eq!(next(Some(&retried), &routed("k8s", 2)), Next::Create);
    }

    #[test]
    fn an_attempt_that_the_ledger_never_heard_of_is_unknown() {
        assert_eq!(next(None, &routed("k8s", 2)), Next::Unknown);
        assert_eq!(next(Some(&open()), &routed("k8s", 2)), Next::Unknown);
    }
}
