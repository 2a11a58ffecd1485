//! The ledger's record of one build, and the only ways in which it may change.
//!
//! (none) → open → bound → \[condemned\] → decided (and attempt n+1 in the same write, if it retries) → closed; an attempt that
//! was never bound: open → decided → closed. A transition returns the changed record, or `None` where it is not allowed or
//! has already happened. Fields are written once. Writing it down is compare-and-set, and the store's business.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use crate::{Limits, StepEnd, TimeLimit, reason::Reason};

/// How often a build is launched at most: once, and again after infrastructure failures.
pub const MAX_ATTEMPTS: u32 = 3;

/// How often a build that no launcher took is given to another executor. It is no retry, and does not count as one.
pub const MAX_REROUTES: u32 = 8;

/// The most bytes of a build's own result that are kept.
pub const MAX_RESULT: usize = 4096;

/// Everything that is known about one build. Unknown fields are kept: the next release may have written them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this layout: 1.
    pub v: u32,
    /// The event that asked for the build (of a build cancelled before it was seen: the cancelling one).
    pub request: Request,
    /// Whose build it is.
    pub tenant: String,
    /// The pipeline, if the request names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// The job, if the request names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Set once, never taken back: no attempt may start any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<Cancelled>,
    /// The attempts, numbered from 1 without gaps; only the last may be alive.
    pub attempts: Vec<Attempt>,
    /// What a later release has written.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// What must be remembered of the event that asked for a build: `T` are its texts, `C` is its content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "T: Deserialize<'de>, C: Deserialize<'de> + Default"))]
pub struct RequestOf<T, C> {
    /// The event's id.
    pub id: T,
    /// The event's source.
    pub source: T,
    /// The event's type.
    pub r#type: T,
    /// The CDEvents subject id: what the CI system calls the build.
    pub subject: T,
    /// The subject's own source, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_source: Option<T>,
    /// The stream that holds the event.
    pub stream: T,
    /// Its sequence there.
    pub sequence: u64,
    /// The chain that the event belongs to.
    pub chain_id: T,
    /// The subject's content, for the events that answer the request.
    #[serde(default)]
    pub content: C,
    /// The starting trace context (`traceparent`).
    pub trace: T,
}

/// What must be remembered of the event that asked for a build.
pub type Request = RequestOf<String, Value>;

/// What must be remembered of an event that still lies in its message.
pub type RequestView<'a> = RequestOf<Cow<'a, str>, Cow<'a, RawValue>>;

impl Request {
    /// The same, borrowed.
    #[must_use]
    pub fn view(&self) -> RequestView<'_> {
        RequestOf {
            id: Cow::Borrowed(&self.id),
            source: Cow::Borrowed(&self.source),
            r#type: Cow::Borrowed(&self.r#type),
            subject: Cow::Borrowed(&self.subject),
            subject_source: self.subject_source.as_deref().map(Cow::Borrowed),
            stream: Cow::Borrowed(&self.stream),
            sequence: self.sequence,
            chain_id: Cow::Borrowed(&self.chain_id),
            content: to_raw_value(&self.content).map_or(Cow::Borrowed(RawValue::NULL), Cow::Owned),
            trace: Cow::Borrowed(&self.trace),
        }
    }
}

impl RequestView<'_> {
    /// The same, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> Request {
        Request {
            id: self.id.into_owned(),
            source: self.source.into_owned(),
            r#type: self.r#type.into_owned(),
            subject: self.subject.into_owned(),
            subject_source: self.subject_source.map(Cow::into_owned),
            stream: self.stream.into_owned(),
            sequence: self.sequence,
            chain_id: self.chain_id.into_owned(),
            content: serde_json::from_str(self.content.get()).unwrap_or_default(),
            trace: self.trace.into_owned(),
        }
    }
}

impl Request {
    /// Who owns the subject: the subject's own source, else the event's (CDEvents, "subject").
    #[must_use]
    pub fn subject_source(&self) -> &str {
        self.subject_source.as_deref().unwrap_or(&self.source)
    }
}

/// Who cancelled a build, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// When it was taken note of.
    pub at: Timestamp,
    /// The source of the cancelling event.
    pub by: String,
}

/// One launch of a build.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number, from 1.
    pub n: u32,
    /// The executor that it was routed to; none before it is routed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    /// When it was routed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routed_at: Option<Timestamp>,
    /// Its limits; none before it is routed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Who else might have it by the rules, were nothing known of how the executors are; nobody, where it names its executor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<String>,
    /// What `running` was extended to, if somebody asked for it. It only ever grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended: Option<TimeLimit>,
    /// The one pod that may run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
    /// When the pod began to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Why its pod must die.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condemned: Option<Condemned>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Decided>,
    /// Whether everything that follows from its end has been published.
    #[serde(default)]
    pub closed: bool,
    /// What a later release has written.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Where an attempt was routed to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routing {
    /// The executor.
    pub executor: String,
    /// When.
    pub at: Timestamp,
    /// Its limits.
    pub limits: Limits,
    /// Who else might have it.
    pub elsewhere: Vec<String>,
}

/// The one pod of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Where it is.
    pub executor: String,
    /// Its unique id, given by the executor.
    pub uid: String,
    /// When it was bound.
    pub at: Timestamp,
}

/// A sentence over a pod that is still alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condemned {
    /// Why.
    pub reason: Reason,
    /// What a person should know beside the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Which container the reason is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The machine that the pod was given to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// The outcome, in the words of CDEvents.
    pub outcome: Outcome,
    /// The true reason.
    pub reason: Reason,
    /// What a person should know beside the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Which container the reason is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The machine that the pod was given to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Whether another attempt follows; it stands in the record from the same write on.
    pub retry: bool,
    /// What the build itself reported, at most [`MAX_RESULT`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// How each of its steps ended, as far as it said so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepEnd>,
}

/// CDEvents' outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The build did what it should.
    Success,
    /// The build ran and failed.
    Failure,
    /// Somebody stopped it.
    Cancel,
    /// It could not run, or not to its end.
    Error,
}

impl Outcome {
    /// The outcome as CDEvents write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancel => "cancel",
            Self::Error => "error",
        }
    }
}

/// What is to be decided over an attempt, or what it is to be condemned for.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The true reason; the outcome follows from it.
    pub reason: Reason,
    /// What a person should know beside the reason.
    pub message: Option<String>,
    /// Which container the reason is about.
    pub container: Option<String>,
    /// The machine that the pod was given to.
    pub node: Option<String>,
    /// Whether it is certain that no pod of this attempt runs or ever will: without it there is no retry.
    pub dead: bool,
    /// What the build itself reported.
    pub result: Option<String>,
    /// How each of its steps ended, as far as it said so.
    pub steps: Vec<StepEnd>,
}

impl Decision {
    /// A decision with nothing but its reason.
    #[must_use]
    pub fn new(reason: Reason, dead: bool) -> Self {
        Self { reason, message: None, container: None, node: None, dead, result: None, steps: Vec::new() }
    }
}

/// How far an attempt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Waiting to be bound.
    Open,
    /// A pod is bound to it.
    Bound,
    /// Its pod must die.
    Condemned,
    /// Its end is decided, but not yet all published.
    Decided,
    /// Nothing is left to do.
    Closed,
}

impl Attempt {
    /// How far the attempt has come.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match self {
            Self { closed: true, .. } => Standing::Closed,
            Self { decided: Some(_), .. } => Standing::Decided,
            Self { condemned: Some(_), .. } => Standing::Condemned,
            Self { bound: Some(_), .. } => Standing::Bound,
            _ => Standing::Open,
        }
    }

    /// Its limits as they are now; the standard ones before it is routed.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let limits = self.limits.unwrap_or(Limits::STANDARD);
        Limits { running: self.extended.unwrap_or_default().max(limits.running), ..limits }
    }

    /// Whether `uid` is the one pod that may run this attempt.
    #[must_use]
    pub fn is_bound_to(&self, uid: &str) -> bool {
        self.bound.as_ref().is_some_and(|bound| bound.uid == uid)
    }

    /// Writes down where it was routed to.
    pub fn fill(&mut self, Routing { executor, at, limits, elsewhere }: Routing) {
        (self.executor, self.routed_at, self.limits, self.elsewhere) = (Some(executor), Some(at), Some(limits), elsewhere);
    }

    /// Whether it ended because its build was to go to another executor.
    fn has_moved(&self) -> bool {
        self.decided.as_ref().is_some_and(|decided| decided.reason == Reason::Requeued)
    }

    /// What is told of its end: what it was condemned for goes before what its pod says.
    fn told(&self, decision: Decision) -> Decision {
        let Some(Condemned { reason, message, container, node, .. }) = self.condemned.clone() else { return decision };
        Decision { reason, message, container, node: node.or(decision.node), ..decision }
    }
}

impl Record {
    /// The record of a build whose first attempt is open.
    #[must_use]
    pub fn open(request: Request, tenant: String, first: Attempt) -> Self {
        let unknown = Map::new();
        Self { v: 1, request, tenant, pipeline: None, job: None, cancelled: None, attempts: vec![first], unknown }
    }

    /// The attempt of that number.
    #[must_use]
    pub fn attempt(&self, n: u32) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.n == n)
    }

    /// The latest attempt.
    #[must_use]
    pub fn latest(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// Whether every attempt is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.attempts.iter().all(|attempt| attempt.closed)
    }

    /// Fills in where attempt `n` was routed to, once.
    #[must_use]
    pub fn routed(&self, n: u32, routing: Routing) -> Option<Self> {
        self.change(n, |attempt| {
            (attempt.executor.is_none() && attempt.standing() == Standing::Open).then(|| attempt.fill(routing))
        })
    }

    /// Whether an attempt that nobody has bound may be given to another executor.
    #[must_use]
    pub fn may_move(&self) -> bool {
        self.cancelled.is_none() && self.moves() < MAX_REROUTES
    }

    /// The executor that the build has left last up to attempt `n` because nobody took it there: it is not to go back at once.
    #[must_use]
    pub fn left(&self, n: u32) -> Option<&str> {
        self.attempts.iter().rev().find(|attempt| attempt.n <= n && attempt.has_moved())?.executor.as_deref()
    }

    fn moves(&self) -> u32 {
        self.attempts.iter().map(|attempt| u32::from(attempt.has_moved())).sum()
    }

    /// Whether another attempt may follow one that has ended for that reason, and is certainly dead.
    fn may_go_on(&self, reason: &Reason) -> bool {
        let launches = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX) - self.moves();
        let again = if *reason == Reason::Requeued { self.may_move() } else { launches < MAX_ATTEMPTS };
        again && self.cancelled.is_none() && (*reason == Reason::Requeued || reason.is_infrastructure())
    }

    /// Binds the one pod of attempt `n`: only while it is open, unbound, and nobody has cancelled.
    #[must_use]
    pub fn bind(&self, n: u32, bound: Bound) -> Option<Self> {
        if self.cancelled.is_some() {
            return None;
        }
        self.change(n, |attempt| (attempt.standing() == Standing::Open).then(|| attempt.bound = Some(bound)))
    }

    /// Notes when the bound pod began to run, once.
    #[must_use]
    pub fn start(&self, n: u32, at: Timestamp) -> Option<Self> {
        self.change(n, |attempt| {
            (attempt.bound.is_some() && attempt.decided.is_none() && attempt.started_at.is_none())
                .then(|| attempt.started_at = Some(at))
        })
    }

    /// Lets the latest attempt run so long in all, at most `running_max`: only while it may still run, and only longer than it may.
    #[must_use]
    pub fn extend(&self, running: TimeLimit) -> Option<Self> {
        let n = self.latest().filter(|_| self.cancelled.is_none())?.n;
        self.change(n, |attempt| {
            let limits = attempt.limits();
            let longer = running.min(limits.running_max);
            let may_run = matches!(attempt.standing(), Standing::Open | Standing::Bound) && attempt.limits.is_some();
            (may_run && longer > limits.running).then(|| attempt.extended = Some(longer))
        })
    }

    /// Condemns the bound pod of attempt `n`, once.
    #[must_use]
    pub fn condemn(&self, n: u32, sentence: Decision, at: Timestamp) -> Option<Self> {
        let Decision { reason, message, container, node, .. } = sentence;
        self.change(n, |attempt| {
            (attempt.standing() == Standing::Bound)
                .then(|| attempt.condemned = Some(Condemned { reason, message, container, node, at }))
        })
    }

    /// Cancels the build and what is alive of it: an unbound attempt is decided, a bound one condemned.
    #[must_use]
    pub fn cancel(&self, by: &str, at: Timestamp) -> Option<Self> {
        if self.cancelled.is_some() || self.latest().is_none_or(|attempt| attempt.decided.is_some()) {
            return None;
        }
        let end = Decision { message: Some(format!("cancelled by {by}")), ..Decision::new(Reason::Cancelled, true) };
        let mut record = self.clone();
        record.cancelled = Some(Cancelled { at, by: by.to_owned() });
        let n = record.latest()?.n;
        let changed = match record.latest()?.standing() {
            Standing::Open => record.decide(n, end, at),
            Standing::Bound => record.condemn(n, end, at),
            Standing::Condemned | Standing::Decided | Standing::Closed => None,
        };
        Some(changed.unwrap_or(record))
    }

    /// Decides how attempt `n` ended, once; a condemned attempt ends by what it was condemned for.
    ///
    /// Where the reason is the infrastructure's, death is certain and nobody has cancelled, the next attempt is written at once;
    /// so it is where a build moves to another executor, which only one can that nobody has bound.
    #[must_use]
    pub fn decide(&self, n: u32, decision: Decision, at: Timestamp) -> Option<Self> {
        let attempt = self.attempt(n).filter(|attempt| attempt.decided.is_none())?;
        let Decision { reason, message, container, node, dead, result, steps } = attempt.told(decision);
        if reason == Reason::Requeued && attempt.standing() != Standing::Open {
            return None;
        }
        let last = self.latest().is_some_and(|latest| latest.n == n);
        let retry = dead && last && self.may_go_on(&reason);
        let result = result.map(|result| cut(&result, MAX_RESULT).to_owned());
        let mut record = self.change(n, |attempt| {
            let outcome = reason.outcome();
            attempt.decided = Some(Decided { outcome, reason, message, container, node, at, retry, result, steps });
            Some(())
        })?;
        if retry {
            record.attempts.push(Attempt { n: n + 1, ..Attempt::default() });
        }
        Some(record)
    }

    /// Closes attempt `n`, once it is decided.
    #[must_use]
    pub fn close(&self, n: u32) -> Option<Self> {
        self.change(n, |attempt| (attempt.standing() == Standing::Decided).then(|| attempt.closed = true))
    }

    fn change(&self, n: u32, change: impl FnOnce(&mut Attempt) -> Option<()>) -> Option<Self> {
        let mut record = self.clone();
        change(record.attempts.iter_mut().find(|attempt| attempt.n == n)?)?;
        Some(record)
    }
}

/// The first `most` bytes of a text, at a character's edge.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ClockKind;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn open() -> Record {
        let first = Attempt { n: 1, executor: Some("k8s".into()), ..Attempt::default() };
        Record::open(Request { id: "1".into(), source: "/ci".into(), ..Request::default() }, "default".into(), first)
    }

    fn pod(uid: &str) -> Bound {
        Bound { executor: "k8s".into(), uid: uid.into(), at: NOW }
    }

    fn bound() -> Record {
        open().bind(1, pod("a")).unwrap()
    }

    #[test]
    fn only_one_pod_is_ever_bound() {
        assert_eq!(bound().bind(1, pod("b")), None);
        assert!(bound().attempt(1).unwrap().is_bound_to("a"));
    }

    #[test]
    fn a_cancelled_build_binds_nothing_and_never_retries() {
        let cancelled = open().cancel("me", NOW).unwrap();
        assert_eq!(cancelled.bind(1, pod("a")), None);
        assert_eq!(cancelled.latest().unwrap().decided.as_ref().unwrap().outcome, Outcome::Cancel);
        let condemned = bound()
            .condemn(1, Decision::new(Reason::TimedOut(ClockKind::Pending), false), NOW)
            .unwrap()
            .cancel("me", NOW)
            .unwrap();
        let decided = condemned.decide(1, Decision::new(Reason::Deleted, true), NOW).unwrap();
        assert_eq!(decided.attempts.len(), 1);
        assert_eq!(decided.latest().unwrap().decided.as_ref().unwrap().reason, Reason::TimedOut(ClockKind::Pending));
    }

    #[test]
    fn a_condemned_reason_comes_before_the_pods_own() {
        let record = bound().condemn(1, Decision::new(Reason::TimedOut(ClockKind::Running), false), NOW).unwrap();
        let decided = record.decide(1, Decision::new(Reason::ExitCode(143), true), NOW).unwrap();
        assert_eq!(decided.attempt(1).unwrap().decided.as_ref().unwrap().reason, Reason::TimedOut(ClockKind::Running));
    }

    #[test]
    fn a_limit_is_extended_up_to_the_maximum_and_never_shortened() {
        let limits = Limits { running: TimeLimit::minutes(20), running_max: TimeLimit::minutes(60), ..Limits::STANDARD };
        let first = Attempt { n: 1, limits: Some(limits), ..Attempt::default() };
        let record = Record::open(Request::default(), "default".into(), first).bind(1, pod("a")).unwrap();
        let running = |record: &Record| record.attempts[0].limits().running;
        let longer = record.extend(TimeLimit::minutes(30)).unwrap();
        assert_eq!(running(&longer), TimeLimit::minutes(30));
        assert_eq!(longer.extend(TimeLimit::minutes(25)), None);
        assert_eq!(running(&longer.extend(TimeLimit::minutes(600)).unwrap()), TimeLimit::minutes(60));
        assert_eq!(record.cancel("me", NOW).unwrap().extend(TimeLimit::minutes(30)), None);
        let condemned = record.condemn(1, Decision::new(Reason::TimedOut(ClockKind::Running), false), NOW).unwrap();
        assert_eq!(condemned.extend(TimeLimit::minutes(30)), None, "it is too late");
    }

    #[test]
    fn an_attempt_is_decided_once() {
        let decided = bound().decide(1, Decision::new(Reason::Succeeded, true), NOW).unwrap();
        assert_eq!(decided.decide(1, Decision::new(Reason::Cancelled, true), NOW), None);
        assert_eq!(decided.cancel("me", NOW), None);
        assert_eq!(decided.condemn(1, Decision::new(Reason::Cancelled, false), NOW), None);
    }

    #[test]
    fn a_retry_needs_proof_of_death_and_is_written_with_the_decision() {
        let retried = bound().decide(1, Decision::new(Reason::Deleted, true), NOW).unwrap();
        assert_eq!(retried.latest().unwrap().n, 2);
        assert_eq!(retried.latest().unwrap().standing(), Standing::Open);
        assert_eq!(bound().decide(1, Decision::new(Reason::Deleted, false), NOW).unwrap().attempts.len(), 1);
        assert_eq!(bound().decide(1, Decision::new(Reason::ExitCode(1), true), NOW).unwrap().attempts.len(), 1);
    }

    #[test]
    fn retries_end() {
        let mut record = open();
        for n in 1..=MAX_ATTEMPTS {
            record = record.bind(n, pod("x")).unwrap().decide(n, Decision::new(Reason::Lost, true), NOW).unwrap();
        }
        assert_eq!(record.attempts.len(), MAX_ATTEMPTS as usize);
    }

    #[test]
    fn moving_to_another_executor_is_no_retry_and_ends_too() {
        let moved = |record: &Record, n| record.decide(n, Decision::new(Reason::Requeued, true), NOW);
        let mut record = open();
        for n in 1..=MAX_REROUTES {
            assert!(record.may_move());
            record = moved(&record, n).unwrap();
            assert_eq!(record.latest().unwrap().n, n + 1);
        }
        assert!(!record.may_move());
        for n in MAX_REROUTES + 1..=MAX_REROUTES + MAX_ATTEMPTS {
            record = record.bind(n, pod("x")).unwrap().decide(n, Decision::new(Reason::Lost, true), NOW).unwrap();
        }
        assert_eq!(record.attempts.len(), (MAX_REROUTES + MAX_ATTEMPTS) as usize, "all retries are left, and no more");
        assert_eq!(moved(&open(), 1).unwrap().left(1), Some("k8s"));
        assert_eq!(moved(&bound(), 1), None, "its pod may run");
        assert!(!open().cancel("me", NOW).unwrap().may_move());
    }

    #[test]
    fn a_result_is_cut_at_a_characters_edge() {
        let decision = Decision { result: Some("é".repeat(MAX_RESULT)), ..Decision::new(Reason::Succeeded, true) };
        let decided = bound().decide(1, decision, NOW).unwrap();
        assert_eq!(decided.attempt(1).unwrap().decided.as_ref().unwrap().result.as_ref().unwrap().len(), MAX_RESULT);
    }

    #[test]
    fn what_a_later_release_wrote_is_kept() {
        let mut json = serde_json::to_value(bound()).unwrap();
        json["later"] = serde_json::json!({"a": 1});
        json["attempts"][0]["later"] = 2.into();
        json["attempts"][0]["condemned"] = serde_json::json!({"reason": "Moved", "at": NOW});
        let record: Record = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(record).unwrap(), json);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Bind,
        Start,
        Condemn(Reason),
        Cancel,
        Decide(Reason, bool),
        Close,
    }

    fn steps() -> impl Strategy<Value = Vec<(u32, Step)>> {
        let reason = || {
            prop::sample::select(vec![
                Reason::Succeeded,
                Reason::Deleted,
                Reason::TimedOut(ClockKind::Pending),
                Reason::ExitCode(1),
                Reason::Requeued,
            ])
        };
        let step = prop_oneof![
            Just(Step::Bind),
            Just(Step::Start),
            reason().prop_map(Step::Condemn),
            Just(Step::Cancel),
            (reason(), any::<bool>()).prop_map(|(reason, dead)| Step::Decide(reason, dead)),
            Just(Step::Close)
        ];
        prop::collection::vec((1..=MAX_ATTEMPTS + 2, step), 0..40)
    }

    proptest! {
        #[test]
        fn nothing_that_is_written_ever_changes(steps in steps()) {
            let mut record = open();
            for (at, (n, step)) in steps.into_iter().enumerate() {
                let next = match step {
                    Step::Bind => record.bind(n, pod(&format!("pod-{at}"))),
                    Step::Start => record.start(n, NOW),
                    Step::Condemn(reason) => record.condemn(n, Decision::new(reason, false), NOW),
                    Step::Cancel => record.cancel("me", NOW),
                    Step::Decide(reason, dead) => record.decide(n, Decision::new(reason, dead), NOW),
                    Step::Close => record.close(n),
                };
                let Some(next) = next else { continue };
                prop_assert!(record.cancelled.is_none() || record.cancelled == next.cancelled);
                for (old, new) in record.attempts.iter().zip(&next.attempts) {
                    prop_assert!(old.bound.is_none() || old.bound == new.bound);
                    prop_assert!(old.condemned.is_none() || old.condemned == new.condemned);
                    prop_assert!(old.decided.is_none() || old.decided == new.decided);
                    prop_assert!(!old.closed || new.closed);
                    prop_assert!(!new.closed || new.decided.is_some());
                }
                let alive = next.attempts.iter().filter(|attempt| attempt.decided.is_none()).count();
                prop_assert!(alive <= 1 && next.attempts.len() <= (MAX_ATTEMPTS + MAX_REROUTES) as usize);
                if next.cancelled.is_some() {
                    prop_assert!(next.attempts.len() == record.attempts.len(), "a cancelled build retried");
                }
                record = next;
            }
        }
    }
}
