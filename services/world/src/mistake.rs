//! Mistakes that a build protocol could make, each on purpose: what the laws are worth shows when one of them is broken.
//!
//! Each takes one precaution out of the real launcher and reaper, or out of the servers as they reach them, and leaves the rest
//! as it is.

use jiff::Timestamp;
use switchyard_events::{
    Attempt, BuildKey, BuildRouted, Clock, ClockKind, Decision, MAX_ATTEMPTS, Outgoing, Reason, Record, Standing, finished,
};
use switchyard_executor::Observed;
use switchyard_launcher::{Next, next};
use switchyard_reaper::{Act, Decisions, Look, fire, see};

use crate::{site::Service, state::State};

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// A message is acknowledged before anything is done about it.
    AcknowledgeFirst,
    /// A pod is created without a gate.
    CreateUngated,
    /// A new attempt is allowed although the old pod may still run.
    RequeueWithoutProof,
    /// A clock is not armed again when the API server does not answer.
    ForgetClockWhenAway,
    /// An end is published before it is decided.
    PublishBeforeDeciding,
    /// Whoever finds its own claim thinks that all is done.
    TrustOwnClaim,
    /// A clock of waiting that finds a pod bound thinks that others will see to it.
    TrustTheLauncher,
    /// A clock that is armed a second time is taken for the same message.
    DeduplicateClocks,
    /// The finalizer is taken off before the end is decided.
    ReleaseFirst,
    /// A cancellation forbids no retry.
    RetryCancelled,
    /// A gated pod that nobody bound is left alone.
    IgnoreUnbound,
    /// The end of a build stops the clock of its teardown, too.
    StopTeardown,
    /// A clock of waiting that finds nobody else is not armed again.
    AskOnce,
    /// What may already have a pod is given to another executor.
    MoveBound,
    /// No record is opened before a launcher does.
    OpenNoRecord,
}

pub(crate) fn launcher(mistake: Option<Mistake>) -> fn(Option<&Record>, &BuildRouted) -> Next {
    if mistake == Some(Mistake::TrustOwnClaim) { trust_own_claim } else { next }
}

pub(crate) fn reaper(mistake: Option<Mistake>) -> Decisions {
    let right = Decisions::default();
    match mistake {
        Some(Mistake::RequeueWithoutProof) => Decisions { fire: without_proof, ..right },
        Some(Mistake::ForgetClockWhenAway) => Decisions { fire: forget_when_away, ..right },
        Some(Mistake::TrustTheLauncher) => Decisions { fire: trust_the_launcher, ..right },
        Some(Mistake::TrustOwnClaim) => Decisions { see: ungate_nothing, ..right },
        Some(Mistake::AskOnce) => Decisions { fire: ask_once, ..right },
        Some(Mistake::MoveBound) => Decisions { fire: move_bound, ..right },
        Some(Mistake::ReleaseFirst) => Decisions { see: release_first, ..right },
        Some(Mistake::IgnoreUnbound) => Decisions { see: ignore_unbound, ..right },
        _ => right,
    }
}

fn trust_own_claim(record: Option<&Record>, routed: &BuildRouted) -> Next {
    match next(record, routed) {
        Next::Ungate(_) => Next::Nothing,
        other @ (Next::Nothing | Next::Create | Next::Unknown) => other,
    }
}

fn without_proof(kind: ClockKind, record: &Record, n: u32, look: &Look, now: Timestamp) -> Vec<Act> {
    let assume = |act| if let Act::Decide(decision) = act { Act::Decide(Decision { dead: true, ..decision }) } else { act };
    fire(kind, record, n, look, now).into_iter().map(assume).collect()
}

fn forget_when_away(kind: ClockKind, record: &Record, n: u32, look: &Look, now: Timestamp) -> Vec<Act> {
    let mut acts = fire(kind, record, n, look, now);
    acts.retain(|act| !(matches!(look, Look::Unreachable) && matches!(act, Act::Arm(..))));
    acts
}

fn trust_the_launcher(kind: ClockKind, record: &Record, n: u32, look: &Look, now: Timestamp) -> Vec<Act> {
    let bound = record.attempt(n).is_some_and(|attempt| attempt.standing() == Standing::Bound);
    if bound && kind == ClockKind::Queued { Vec::new() } else { fire(kind, record, n, look, now) }
}

fn ask_once(kind: ClockKind, record: &Record, n: u32, look: &Look, now: Timestamp) -> Vec<Act> {
    let acts = fire(kind, record, n, look, now);
    let waits = matches!(look, Look::Unbound(_)) && matches!(acts[..], [Act::Arm(ClockKind::Queued, at)] if at > now);
    if waits { Vec::new() } else { acts }
}

fn move_bound(kind: ClockKind, record: &Record, n: u32, look: &Look, now: Timestamp) -> Vec<Act> {
    let bound = record.attempt(n).is_some_and(|attempt| attempt.standing() == Standing::Bound);
    if !(bound && kind == ClockKind::Queued) {
        return fire(kind, record, n, look, now);
    }
    vec![Act::Decide(Decision::new(Reason::Deleted, true)), Act::Settle]
}

fn ungate_nothing(record: Option<&Record>, pod: &Observed, now: Timestamp) -> Vec<Act> {
    let mut acts = see(record, pod, now);
    acts.retain(|act| *act != Act::Ungate);
    acts
}

fn release_first(record: Option<&Record>, pod: &Observed, now: Timestamp) -> Vec<Act> {
    let acts = see(record, pod, now);
    let ends = acts.iter().any(|act| matches!(act, Act::Decide(_)));
    if ends { [vec![Act::Delete, Act::Release], acts].concat() } else { acts }
}

fn ignore_unbound(record: Option<&Record>, pod: &Observed, now: Timestamp) -> Vec<Act> {
    let attempt = record.and_then(|record| record.attempt(pod.attempt));
    if attempt.is_some_and(|attempt| attempt.is_bound_to(&pod.uid)) { see(record, pod, now) } else { Vec::new() }
}

/// Whether a record that is to be created is not.
pub(crate) fn leaves_unrecorded(state: &State, service: Service, record: &Record) -> bool {
    let open = record.attempts.iter().all(|attempt| attempt.standing() == Standing::Open);
    state.mistake == Some(Mistake::OpenNoRecord) && service == Service::Reaper && open
}

/// The end that is told before the record with it is written.
pub(crate) fn published_too_early(mistake: Option<Mistake>, record: &Record, build: &BuildKey) -> Option<Outgoing> {
    let ended = record.attempts.iter().find(|attempt| attempt.standing() == Standing::Decided)?;
    (mistake == Some(Mistake::PublishBeforeDeciding)).then(|| finished(record, build, ended.n).unwrap()).flatten()
}

/// What is written in the place of a record.
pub(crate) fn written(mistake: Option<Mistake>, record: &Record) -> Record {
    let mut record = record.clone();
    let again = record.cancelled.is_some() && (record.attempts.len() as u64) < u64::from(MAX_ATTEMPTS);
    if let (Some(Mistake::RetryCancelled), true, Some(last)) = (mistake, again, record.attempts.last_mut())
        && let Some(decided) = last.decided.as_mut().filter(|decided| decided.reason.is_infrastructure() && !decided.retry)
    {
        decided.retry = true;
        let n = last.n + 1;
        record.attempts.push(Attempt { n, ..Attempt::default() });
    }
    record
}

/// The clock that is stopped beside the one that should be.
pub(crate) fn also_stopped(state: &State, clock: &Clock) -> Option<Clock> {
    let running = clock.kind == ClockKind::Running && state.mistake == Some(Mistake::StopTeardown);
    running.then(|| Clock { kind: ClockKind::Teardown, ..clock.clone() })
}

pub(crate) fn is_deduplicated(state: &State, clock: &Clock) -> bool {
    state.mistake == Some(Mistake::DeduplicateClocks) && state.fired.contains(clock)
}
