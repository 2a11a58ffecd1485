//! The one event that every attempt ends with, in the family of what asked for it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{About, EmitError, Outgoing};
use crate::{BuildKey, Class, Decided, Outcome, Reason, Record, Request, StepEnd, attempt_event_id, subject::yard};

/// What a finished event says beside its CDEvents content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildFinished {
    /// The build.
    pub build: BuildKey,
    /// Its attempt.
    pub attempt: u32,
    /// Where it ran or would have run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    /// The outcome, which `build.finished` has no field for.
    pub outcome: Outcome,
    /// The true reason.
    pub reason: Reason,
    /// Whose business that reason is.
    #[serde(default = "unknown_class")]
    pub class: Class,
    /// Which container the reason is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The machine that it ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What a person should know beside the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<String>,
    /// Whether another attempt follows.
    pub retry: bool,
    /// What the build itself reported: JSON where it is JSON, else text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// How each of its steps ended, as far as it said so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepEnd>,
    /// When it was routed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routed_at: Option<Timestamp>,
    /// When its pod was bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_at: Option<Timestamp>,
    /// When its pod began to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
}

/// The finished event of a decided attempt, out of its record alone; stored once for ever. `None` before it is decided.
///
/// # Errors
/// When the request holds what no event may hold.
pub fn finished(record: &Record, build: &BuildKey, n: u32) -> Result<Option<Outgoing>, EmitError> {
    let Some((attempt, decided)) = record.attempt(n).and_then(|attempt| Some((attempt, attempt.decided.as_ref()?))) else {
        return Ok(None);
    };
    let data = BuildFinished {
        build: build.clone(),
        attempt: n,
        executor: attempt.executor.clone(),
        outcome: decided.outcome,
        reason: decided.reason.clone(),
        class: decided.reason.class(),
        container: decided.container.clone(),
        node: decided.node.clone(),
        errors: errors(decided),
        retry: decided.retry,
        result: decided.result.as_ref().map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()))),
        steps: decided.steps.clone(),
        routed_at: attempt.routed_at,
        bound_at: attempt.bound.as_ref().map(|bound| bound.at),
        started_at: attempt.started_at,
    };
    let request = &record.request;
    let family = Family::of(request);
    let event_type = family.event_type("finished");
    let id = attempt_event_id(&request.source, &request.id, &event_type, build, n);
    let (subject_id, subject_source) = (&request.subject, Some(request.subject_source()));
    let about = About { event_type: &event_type, id, at: decided.at, subject_id, subject_source, request };
    let subject = yard(&event_type, &[build.as_str(), &n.to_string()]);
    Ok(Some(Outgoing { subject, event: about.event(Some(&family.finished(record, build, &data)), &data)?, once: true }))
}

/// Of an event that an earlier release wrote.
const fn unknown_class() -> Class {
    Class::User
}

/// A time-out says so in its first word, as CDEvents has no outcome for it.
fn errors(decided: &Decided) -> Option<String> {
    let said = decided.message.clone().unwrap_or_else(|| decided.reason.to_string());
    if decided.reason.is_timeout() {
        return Some(format!("timeout: {said}"));
    }
    decided.message.clone().or_else(|| (decided.outcome != Outcome::Success).then_some(said))
}

/// Which events answer a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Build,
    PipelineRun,
    TestSuiteRun,
    TestCaseRun,
}

impl Family {
    pub(super) fn of(request: &Request) -> Self {
        match request.r#type.split('.').nth(2) {
            Some("pipelinerun") => Self::PipelineRun,
            Some("testsuiterun") => Self::TestSuiteRun,
            Some("testcaserun") => Self::TestCaseRun,
            _ => Self::Build,
        }
    }

    pub(super) fn event_type(self, predicate: &str) -> String {
        let subject = match self {
            Self::Build => "build",
            Self::PipelineRun => "pipelinerun",
            Self::TestSuiteRun => "testsuiterun",
            Self::TestCaseRun => "testcaserun",
        };
        format!("dev.cdevents.{subject}.{predicate}.0.3.0")
    }

    /// The content of a started event: what the request said, and what the schema wants in any case.
    pub(super) fn started(self, record: &Record, build: &BuildKey) -> Value {
        match self {
            Self::Build => json!({}),
            Self::PipelineRun => pipeline(record, build),
            Self::TestSuiteRun => kept(record, &["environment", "testSuite", "trigger"]),
            Self::TestCaseRun => kept(record, &["environment", "testCase", "testSuiteRun", "trigger"]),
        }
    }

    fn finished(self, record: &Record, build: &BuildKey, end: &BuildFinished) -> Value {
        let mut content = match self {
            Self::Build => return json!({}),
            Self::PipelineRun => pipeline(record, build),
            Self::TestSuiteRun => kept(record, &["environment", "testSuite"]),
            Self::TestCaseRun => kept(record, &["environment", "testCase", "testSuiteRun"]),
        };
        content["outcome"] = end.outcome.name().into();
        if let Some(errors) = &end.errors {
            content[if self == Self::PipelineRun { "errors" } else { "reason" }] = errors.as_str().into();
        }
        content
    }
}

/// `pipelinerun.started` must have a name and a URI, which its request may have left out.
fn pipeline(record: &Record, build: &BuildKey) -> Value {
    let content = &record.request.content;
    let name = content["pipelineName"].as_str().or(record.pipeline.as_deref()).unwrap_or(&record.request.subject);
    let uri = content["uri"]
        .as_str()
        .or(content["url"].as_str())
        .map_or_else(|| format!("urn:switchyard:build:{build}"), str::to_owned);
    json!({"pipelineName": name, "uri": uri})
}

fn kept(record: &Record, fields: &[&str]) -> Value {
    let found = fields.iter().filter_map(|&field| Some((field.to_owned(), record.request.content.get(field)?.clone())));
    Value::Object(found.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attempt, CdEvent, ClockKind, Decision, custom_data, validate};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn ended(event_type: &str, content: Value, reason: Reason) -> (BuildKey, Record) {
        let request = Request {
            id: "e1".into(),
            source: "/ci/a".into(),
            r#type: event_type.into(),
            subject: "run 7".into(),
            chain_id: "c".into(),
            content,
            trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
            ..Request::default()
        };
        let build = BuildKey::of(&request.source, &request.subject, &request.id);
        let record = Record::open(request, "default".into(), Attempt { n: 1, ..Attempt::default() });
        (build, record.decide(1, Decision::new(reason, true), NOW).unwrap())
    }

    fn cdevent(build: &BuildKey, record: &Record) -> (String, CdEvent<'static>) {
        let outgoing = finished(record, build, 1).unwrap().unwrap();
        assert!(outgoing.once);
        (outgoing.subject, CdEvent::from_cloudevent(Box::leak(Box::new(outgoing.event))).unwrap())
    }

    #[test]
    fn every_family_ends_with_a_valid_event_of_its_own() {
        let environment = json!({"environment": {"id": "dev"}, "trigger": {"type": "manual"}});
        for (family, content) in [
            ("build", json!({})),
            ("pipelinerun", json!({})),
            ("testsuiterun", environment.clone()),
            ("testcaserun", environment),
        ] {
            let (build, record) = ended(&format!("dev.cdevents.{family}.queued.0.3.0"), content, Reason::ExitCode(2));
            let (subject, event) = cdevent(&build, &record);
            assert_eq!(event.context.ty, format!("dev.cdevents.{family}.finished.0.3.0"));
            assert_eq!(subject, format!("yard.dev.cdevents.{family}.finished.0.3.0.{build}.1"));
            assert_eq!(event.subject.id, "run 7");
            assert_eq!(event.context.causes(), ["e1"]);
            validate(&event).unwrap();
            let data: BuildFinished = custom_data(&event).unwrap();
            assert_eq!((data.outcome, data.reason), (Outcome::Failure, Reason::ExitCode(2)));
        }
    }

    #[test]
    fn a_time_out_is_an_error_that_begins_with_timeout() {
        let (build, record) =
            ended("dev.cdevents.pipelinerun.queued.0.3.0", json!({"pipelineName": "p"}), Reason::TimedOut(ClockKind::Running));
        let (_, event) = cdevent(&build, &record);
        assert_eq!(event.subject.content.outcome().unwrap(), "error");
        assert!(event.subject.content.text("errors").unwrap().starts_with("timeout: "));
    }

    #[test]
    fn the_same_record_always_gives_the_same_bytes() {
        let (build, record) = ended("dev.cdevents.build.queued.0.3.0", json!({}), Reason::Succeeded);
        let bytes = || crate::encode(&finished(&record, &build, 1).unwrap().unwrap().event).unwrap();
        assert_eq!(bytes(), bytes());
    }
}
