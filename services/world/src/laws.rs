//! What must hold after every step, and what must hold in the end.

use switchyard_events::{Attempt, BuildKey, ClockKind, Record, Standing};
use switchyard_executor::Phase;

use crate::{
    state::State,
    told::{About, Told, What},
};

/// What a write to the ledger breaks: nothing that is written ever changes, and what is closed has been published.
pub(crate) fn written(state: &State, build: &BuildKey, new: &Record) -> Option<String> {
    let old = state.record(build)?;
    if old.cancelled.is_some() && (old.cancelled != new.cancelled || new.attempts.len() > old.attempts.len()) {
        return Some(format!("a cancelled build goes on: {new:?}"));
    }
    for (old, new) in old.attempts.iter().zip(&new.attempts) {
        let kept = (old.bound.is_none() || old.bound == new.bound)
            && (old.condemned.is_none() || old.condemned == new.condemned)
            && (old.decided.is_none() || old.decided == new.decided)
            && (!old.closed || new.closed);
        if !kept {
            return Some(format!("rewritten: {old:?} -> {new:?}"));
        }
        if new.closed && !old.closed && !is_known(state, build, new) {
            return Some(format!("closed before it was published: {new:?}"));
        }
    }
    let alive = new.attempts.iter().filter(|attempt| attempt.decided.is_none()).count();
    (alive > 1).then(|| format!("two attempts alive: {new:?}"))
}

fn is_known(state: &State, build: &BuildKey, attempt: &Attempt) -> bool {
    let stored = |predicate: &str, n: u32| {
        state.once.keys().any(|subject| subject.contains(predicate) && subject.ends_with(&format!(".{build}.{n}")))
    };
    let retries = attempt.decided.as_ref().is_some_and(|decided| decided.retry);
    stored(".finished.", attempt.n) && (!retries || stored(".requeued.", attempt.n + 1))
}

/// What an event breaks: it says what is so.
pub(crate) fn published(state: &State, about: &About) -> Option<String> {
    let About { what, build, attempt: n, .. } = about;
    let attempt = || state.record(build).and_then(|record| record.attempt(*n));
    match what {
        What::Finished => {
            let ended = attempt().is_some_and(|attempt| attempt.decided.is_some());
            (!ended).then(|| format!("finished before it was decided: {build} {n}"))
        }
        What::Launched | What::Started => {
            let gated = state
                .clusters
                .iter()
                .filter_map(|cluster| cluster.find(build, *n))
                .any(|pod| pod.phase == Phase::Gated && attempt().is_some_and(|attempt| attempt.is_bound_to(&pod.uid)));
            (gated || attempt().is_none_or(|attempt| attempt.bound.is_none()))
                .then(|| format!("launched before it was bound and ungated: {build} {n}"))
        }
        What::Routed | What::Refused | What::Requeued | What::Extended | What::CancelRequested => None,
    }
}

/// An end that is published again is the same end.
pub(crate) fn two_ends(before: &Told, now: &Told) -> Option<String> {
    let ends = matches!(now.about.what, What::Finished | What::Requeued);
    ends.then(|| format!("two different ends: {:?} and {:?}", before.outgoing.event, now.outgoing.event))
}

/// What must hold at any moment.
pub(crate) fn broken(state: &State) -> Option<String> {
    if state.broken.is_some() {
        return state.broken.clone();
    }
    for cluster in &state.clusters {
        for pod in cluster.pods.iter().filter(|pod| pod.phase != Phase::Gated) {
            let attempt = state.record(&pod.build).and_then(|record| record.attempt(pod.attempt));
            if !attempt.is_some_and(|attempt| attempt.is_bound_to(&pod.uid)) {
                return Some(format!("a pod runs that the ledger does not name: {pod:?}"));
            }
        }
    }
    state.records.iter().find_map(|(build, (record, _))| {
        let pods = || state.clusters.iter().flat_map(|cluster| &cluster.pods).filter(|pod| &pod.build == build);
        let unseen = state.clusters.iter().flat_map(|cluster| &cluster.unseen).filter(|other| *other == build).count();
        if pods().filter(|pod| pod.live()).count() + unseen > 1 {
            return Some(format!("two live pods of {build}: {:?}", pods().collect::<Vec<_>>()));
        }
        let ended = record.cancelled.is_some() || record.latest().is_some_and(|attempt| attempt.decided.is_some());
        let asked = state.cancelled.contains(build);
        if asked && !ended && !state.messages.iter().any(|message| message.is_cancel_of(build)) {
            return Some(format!("everybody has heard that {build} is cancelled, and nobody has written it down"));
        }
        record.attempts.iter().find_map(|attempt| forgotten(state, build, attempt))
    })
}

/// Whether nobody will be told any more of what is still to be done about an attempt: watches do not count, they may be lost.
fn forgotten(state: &State, build: &BuildKey, attempt: &Attempt) -> Option<String> {
    let n = attempt.n;
    let remembered = match attempt.standing() {
        // It is the one before that brings it about.
        Standing::Open if n > 1 => (n - 1..=n).any(|n| state.is_remembered(build, n, None)),
        Standing::Open | Standing::Bound | Standing::Condemned | Standing::Decided => state.is_remembered(build, n, None),
        Standing::Closed => {
            let bound = |uid: &str| attempt.is_bound_to(uid);
            let left = state.clusters.iter().any(|cluster| cluster.pods.iter().any(|pod| bound(&pod.uid)));
            !left || state.is_remembered(build, n, Some(ClockKind::Teardown))
        }
    };
    (!remembered && !state.forgetful).then(|| format!("attempt {n} of {build} is forgotten: {attempt:?}"))
}

/// What must hold when everything has come to rest.
pub(crate) fn unfinished(state: &State) -> Option<String> {
    for cluster in &state.clusters {
        if let Some(pod) = cluster.pods.first() {
            let record = state.record(&pod.build);
            return Some(format!("a pod is left: {pod:?} of {record:?}"));
        }
    }
    if let Some(build) = state.asked.iter().find(|build| !state.records.contains_key(*build)) {
        return Some(format!("{build} was routed, and nobody has written it down"));
    }
    state.records.iter().find_map(|(build, (record, _))| {
        let last = |subject: &String| subject.contains(".finished.") && subject.contains(&format!(".{build}."));
        let ends = state.once.keys().filter(|subject| last(subject)).count();
        let closed = record.is_closed() && ends == record.attempts.len();
        let last = record.latest().and_then(|attempt| attempt.decided.as_ref());
        (!closed || last.is_none_or(|decided| decided.retry)).then(|| format!("{build} has not ended: {ends} ends, {record:?}"))
    })
}
