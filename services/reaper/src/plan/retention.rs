//! How long the records of ended builds are kept.

use std::collections::HashMap;

use jiff::Timestamp;
use switchyard_events::Record;

use super::{LEAST_KEPT, Policy, Reap, Sight, Why};
use crate::fire::after;

/// The records that have been kept long enough: none before [`LEAST_KEPT`], and none of which a pod may still be there.
///
/// Where the executor does not answer, nothing expires. Each executor's reaper sees to the records that ended there, or nowhere;
/// those of an executor that has no reaper any more are everybody's as much later.
pub(super) fn expired(sight: &Sight<'_>, now: Timestamp, policy: &Policy) -> Vec<Reap> {
    let Some(pods) = sight.pods else { return Vec::new() };
    let mut ended: Vec<_> = sight.records.iter().filter_map(|(build, record)| Some((ended_at(record)?, build, record))).collect();
    ended.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    let mut ranks = HashMap::<_, usize>::new();
    let mut found = Vec::new();
    for (at, build, record) in ended {
        let rank = ranks.entry((&record.tenant, &record.pipeline)).or_default();
        *rank += 1;
        let crowded = record.pipeline.is_some() && policy.history.is_some_and(|most| *rank > most);
        let long_enough = (crowded || after(at, policy.keep) < now) && after(at, LEAST_KEPT) < now;
        let last = record.latest();
        let place = last.and_then(|attempt| attempt.executor.as_deref());
        let deserted = after(after(at, policy.keep), LEAST_KEPT) < now;
        let ours = deserted || place.is_none_or(|place| place == policy.executor);
        if long_enough && ours && !pods.iter().any(|pod| pod.build == *build) {
            found.push(Reap { build: build.clone(), attempt: last.map_or(1, |attempt| attempt.n), why: Why::Expired });
        }
    }
    found
}

/// When a build ended of which nothing is left to do.
fn ended_at(record: &Record) -> Option<Timestamp> {
    record
        .attempts
        .iter()
        .map(|attempt| attempt.decided.as_ref().filter(|_| attempt.closed).map(|end| end.at))
        .max()
        .flatten()
        .filter(|_| record.is_closed())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use switchyard_events::BuildKey;
    use switchyard_executor::{Observed, Phase};

    use super::*;
    use crate::{
        fixture::{at, build, decided, pod},
        plan,
    };

    const DAY: i32 = 24 * 3600;

    fn closed(id: &str, pipeline: Option<&str>) -> (BuildKey, Record) {
        let record = Record { pipeline: pipeline.map(str::to_owned), ..decided().close(1).unwrap() };
        (BuildKey::of("/ci", id, "e"), record)
    }

    fn gone(records: &[(BuildKey, Record)], pods: Option<&[Observed]>, policy: &Policy, days: i32) -> usize {
        let gone_nodes = BTreeSet::new();
        let sight = Sight { records, pods, gone_nodes: &gone_nodes, clocks: &[] };
        plan(&sight, at(days * DAY), policy).iter().filter(|reap| reap.why == Why::Expired).count()
    }

    #[test]
    fn a_record_is_kept_as_long_as_the_policy_says_and_never_less_than_the_streams_keep_its_events() {
        let records = [(build(), decided().close(1).unwrap())];
        let month = Policy::of("k8s");
        let day = Policy { keep: switchyard_events::TimeLimit::minutes(24 * 60), ..Policy::of("k8s") };
        for (policy, days, found) in [(&month, 29, 0), (&month, 31, 1), (&day, 7, 0), (&day, 9, 1)] {
            assert_eq!(gone(&records, Some(&[]), policy, days), found, "after {days} days");
        }
    }

    #[test]
    fn what_has_not_ended_or_has_a_pod_or_cannot_be_seen_is_kept() {
        let policy = Policy::of("k8s");
        assert_eq!(gone(&[(build(), decided())], Some(&[]), &policy, 100), 0, "not closed");
        let records = [(build(), decided().close(1).unwrap())];
        assert_eq!(gone(&records, Some(&[pod(Phase::Succeeded)]), &policy, 100), 0);
        assert_eq!(gone(&records, None, &policy, 100), 0, "the executor is away");
        assert_eq!(gone(&records, Some(&[]), &Policy::of("k8s-vm"), 38), 0, "another's");
        assert_eq!(gone(&records, Some(&[]), &Policy::of("k8s-vm"), 39), 1, "nobody else seems to see to it");
    }

    #[test]
    fn a_pipelines_history_has_a_limit() {
        let records = [closed("1", Some("a")), closed("2", Some("a")), closed("3", Some("b")), closed("4", None)];
        let policy = Policy { history: Some(1), ..Policy::of("k8s") };
        assert_eq!(gone(&records, Some(&[]), &policy, 9), 1);
        assert_eq!(gone(&records, Some(&[]), &policy, 7), 0, "its events are still there");
    }
}
