//! One build as people and programs see it: its record, told as a state and times.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use switchyard_events::{Attempt, BuildKey, Outcome, Record, Standing, Why};
use switchyard_executor::is_unisolated;

/// How far a build has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Waits for a launcher.
    Queued,
    /// Has a pod that does not run yet.
    Pending,
    /// Runs.
    Running,
    /// Must end, and has not yet.
    Stopping,
    /// Did what it should.
    Succeeded,
    /// Ran and failed.
    Failed,
    /// Was stopped by somebody.
    Cancelled,
    /// Could not run, or not to its end.
    Error,
}

impl State {
    fn of(attempt: &Attempt) -> Self {
        if let Some(decided) = &attempt.decided {
            return match decided.outcome {
                Outcome::Success => Self::Succeeded,
                Outcome::Failure => Self::Failed,
                Outcome::Cancel => Self::Cancelled,
                Outcome::Error => Self::Error,
            };
        }
        match (attempt.standing(), attempt.started_at) {
            (Standing::Condemned, _) => Self::Stopping,
            (Standing::Bound, Some(_)) => Self::Running,
            (Standing::Bound, None) => Self::Pending,
            (Standing::Open | Standing::Decided | Standing::Closed, _) => Self::Queued,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Error => "error",
        }
    }
}

/// A build. Its JSON form is documented in the command's help.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View {
    pub(crate) build: String,
    pub(crate) tenant: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pipeline: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<String>,
    pub(crate) subject: String,
    pub(crate) source: String,
    pub(crate) request: String,
    pub(crate) r#type: String,
    pub(crate) trace: String,
    /// The latest attempt is what the build is at.
    #[serde(flatten)]
    pub(crate) latest: AttemptView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cancelled_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cancelled_by: Option<String>,
    pub(crate) attempts: Vec<AttemptView>,
    /// Per attempt; only where it was looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<Vec<Option<Why>>>,
}

/// One attempt of a build.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttemptView {
    pub(crate) attempt: u32,
    pub(crate) state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) executor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pod: Option<String>,
    /// `none` where nothing separates the build from the machine that it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) isolation: Option<&'static str>,
    #[serde(flatten)]
    pub(crate) times: Times,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) condemned: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Whose business that reason is: `user`, `infrastructure` or `policy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) class: Option<&'static str>,
    /// Which container the reason is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) container: Option<String>,
    /// The machine that it ran on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) retry: bool,
    pub(crate) closed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<String>,
}

/// When an attempt reached each part of its life, and how long each took or has taken so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Times {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) routed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bound_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended_at: Option<Timestamp>,
    #[serde(rename = "queuedSeconds", serialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub(crate) queued: Option<SignedDuration>,
    #[serde(rename = "pendingSeconds", serialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub(crate) pending: Option<SignedDuration>,
    #[serde(rename = "runningSeconds", serialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub(crate) running: Option<SignedDuration>,
}

#[expect(clippy::ref_option, reason = "the form that serde calls")]
fn seconds<S: serde::Serializer>(duration: &Option<SignedDuration>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.map_or(0.0, |duration| duration.as_secs_f64()))
}

impl Times {
    fn of(attempt: &Attempt, now: Timestamp) -> Self {
        let (routed_at, started_at) = (attempt.routed_at, attempt.started_at);
        let bound_at = attempt.bound.as_ref().map(|bound| bound.at);
        let ended_at = attempt.decided.as_ref().map(|decided| decided.at);
        let end = ended_at.unwrap_or(now);
        // The clocks of several machines took these times: none of them is negative to people.
        let from = |from: Option<Timestamp>, to: Timestamp| from.map(|from| to.duration_since(from).max(SignedDuration::ZERO));
        Self {
            routed_at,
            bound_at,
            started_at,
            ended_at,
            queued: from(routed_at, bound_at.unwrap_or(end)),
            pending: from(bound_at, started_at.unwrap_or(end)),
            running: from(started_at, end),
        }
    }
}

impl AttemptView {
    fn of(attempt: &Attempt, now: Timestamp) -> Self {
        let decided = attempt.decided.as_ref();
        Self {
            attempt: attempt.n,
            state: State::of(attempt),
            executor: attempt.bound.as_ref().map(|bound| bound.executor.clone()).or_else(|| attempt.executor.clone()),
            pod: attempt.bound.as_ref().map(|bound| bound.uid.clone()),
            isolation: attempt.bound.as_ref().filter(|bound| is_unisolated(&bound.uid)).map(|_| "none"),
            times: Times::of(attempt, now),
            condemned: attempt.condemned.as_ref().map(|condemned| condemned.reason.to_string()),
            outcome: decided.map(|decided| decided.outcome),
            reason: decided.map(|decided| decided.reason.to_string()),
            class: decided.map(|decided| decided.reason.class().name()),
            container: decided.and_then(|decided| decided.container.clone()),
            node: decided.and_then(|decided| decided.node.clone()),
            message: decided.and_then(|decided| decided.message.clone()),
            retry: decided.is_some_and(|decided| decided.retry),
            closed: attempt.closed,
            result: decided.and_then(|decided| decided.result.clone()),
        }
    }

    /// The executor, with a word where it does not isolate what it runs.
    pub(crate) fn place(&self) -> Option<String> {
        let executor = self.executor.as_ref()?;
        Some(if self.isolation.is_some() { format!("{executor} (no isolation)") } else { executor.clone() })
    }

    /// The state with where and why, in one line: `running on k8s`, `error: Refused: no executor …`.
    pub(crate) fn words(&self) -> String {
        let place = self.place().map_or(String::new(), |place| format!(" on {place}"));
        let why = self.ending().map_or(String::new(), |why| format!(": {why}"));
        format!("{}{place}{why}", self.state.name())
    }

    /// Why it ended or must end, with what a person should know beside it.
    pub(crate) fn ending(&self) -> Option<String> {
        let reason = self.reason.as_ref().or(self.condemned.as_ref())?;
        Some(self.message.as_ref().map_or_else(|| reason.clone(), |message| format!("{reason}: {message}")))
    }
}

impl View {
    /// A build as it is at `now`.
    pub(crate) fn of(build: &BuildKey, record: &Record, now: Timestamp) -> Self {
        let request = &record.request;
        let attempts: Vec<_> = record.attempts.iter().map(|attempt| AttemptView::of(attempt, now)).collect();
        Self {
            build: build.to_string(),
            tenant: record.tenant.clone(),
            pipeline: record.pipeline.clone(),
            job: record.job.clone(),
            subject: request.subject.clone(),
            source: request.source.clone(),
            request: request.id.clone(),
            r#type: request.r#type.clone(),
            trace: request.trace.split('-').nth(1).unwrap_or_default().to_owned(),
            latest: attempts.last().cloned().unwrap_or_else(|| AttemptView::of(&Attempt::default(), now)),
            cancelled_at: record.cancelled.as_ref().map(|cancelled| cancelled.at),
            cancelled_by: record.cancelled.as_ref().map(|cancelled| cancelled.by.clone()),
            attempts,
            why: None,
        }
    }

    /// `pipeline/job`, or what there is of it, or the subject.
    pub(crate) fn name(&self) -> String {
        match (&self.pipeline, &self.job) {
            (Some(pipeline), Some(job)) => format!("{pipeline}/{job}"),
            (Some(name), None) | (None, Some(name)) => name.clone(),
            (None, None) => self.subject.clone(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use switchyard_events::{Bound, ClockKind, Decision, Reason, Request, Routing};

    use super::*;

    pub(crate) fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    pub(crate) fn key(first: char) -> BuildKey {
        format!("{first:a<26}").parse().unwrap()
    }

    /// A build that is routed at second 0.
    pub(crate) fn routed() -> Record {
        let request = Request {
            id: "e1".into(),
            source: "/ci".into(),
            subject: "run 7".into(),
            trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
            ..Request::default()
        };
        let open = Record::open(request, "default".into(), Attempt { n: 1, ..Attempt::default() });
        open.routed(1, Routing { executor: "k8s".into(), at: at(0), ..Routing::default() }).unwrap()
    }

    /// Bound at second 2, running from second 5.
    pub(crate) fn running() -> Record {
        bound().start(1, at(5)).unwrap()
    }

    fn bound() -> Record {
        routed().bind(1, Bound { executor: "k8s".into(), uid: "pod-1".into(), at: at(2) }).unwrap()
    }

    fn view(record: &Record) -> AttemptView {
        View::of(&key('b'), record, at(10)).latest
    }

    #[test]
    fn a_record_tells_its_state() {
        let decided = |reason| running().decide(1, Decision::new(reason, true), at(9)).unwrap();
        for (record, state) in [
            (routed(), State::Queued),
            (bound(), State::Pending),
            (running(), State::Running),
            (running().condemn(1, Decision::new(Reason::Cancelled, false), at(6)).unwrap(), State::Stopping),
            (decided(Reason::Succeeded), State::Succeeded),
            (decided(Reason::ExitCode(2)), State::Failed),
            (decided(Reason::Cancelled), State::Cancelled),
            (decided(Reason::TimedOut(ClockKind::Running)), State::Error),
            (decided(Reason::Lost), State::Queued),
        ] {
            assert_eq!(view(&record).state, state);
        }
    }

    #[test]
    fn each_part_of_a_life_is_timed_and_the_present_one_still_counts() {
        let seconds = |record: &Record| {
            let times = view(record).times;
            [times.queued, times.pending, times.running].map(|duration| duration.map(|duration| duration.as_secs()))
        };
        assert_eq!(seconds(&routed()), [Some(10), None, None]);
        assert_eq!(seconds(&bound()), [Some(2), Some(8), None]);
        assert_eq!(seconds(&running()), [Some(2), Some(3), Some(5)]);
        let ended = running().decide(1, Decision::new(Reason::Succeeded, true), at(9)).unwrap();
        assert_eq!(seconds(&ended), [Some(2), Some(3), Some(4)]);
    }

    #[test]
    fn a_build_is_named_by_pipeline_and_job_or_else_by_its_subject() {
        let mut record = routed();
        let name = |record: &Record| View::of(&key('b'), record, at(0)).name();
        assert_eq!(name(&record), "run 7");
        record.pipeline = Some("shop".into());
        assert_eq!(name(&record), "shop");
        record.job = Some("test".into());
        assert_eq!(name(&record), "shop/test");
    }

    #[test]
    fn the_json_object_has_the_documented_fields() {
        let decision = Decision { message: Some("oom".into()), ..Decision::new(Reason::Failed, true) };
        let ended = running().decide(1, decision, at(9)).unwrap();
        let json = serde_json::to_value(View::of(&key('b'), &ended, at(10))).unwrap();
        assert_eq!(json["state"], "failed");
        assert_eq!(json["trace"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(json["runningSeconds"], 4.0);
        assert_eq!(json["attempts"][0]["reason"], "Failed");
        assert_eq!(json["message"], "oom");
        assert!(json.get("condemned").is_none() && json.get("why").is_none(), "{json}");
    }
}
