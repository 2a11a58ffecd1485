//! What an incoming event asks for: a build, or nothing.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use switchyard_bus::{Received, Unreadable};
use switchyard_events::{
    BuildKey, BuildSpec, BuildView, CdEvent, CdEventError, CloudEvent, InvalidBuild, RequestView, SOURCE, TRAINER, Violation,
    derived_chain_id, tenant_of, validate,
};

use crate::Candidate;

/// A build that an event asks for.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Its key.
    pub build: BuildKey,
    /// Whose it is.
    pub tenant: Cow<'a, str>,
    /// What must be remembered of the event.
    pub request: RequestView<'a>,
    /// What is to be run, or why that cannot be.
    pub described: Result<Described<'a>, Unbuildable>,
}

impl Asked<'_> {
    /// The same before the rules; `spec` is what is to be run.
    #[must_use]
    pub fn candidate<'c>(&'c self, spec: &'c BuildView<'_>) -> Candidate<'c> {
        let (source, event_type) = (&*self.request.source, &*self.request.r#type);
        Candidate { build: &self.build, spec, tenant: &self.tenant, source, event_type }
    }
}

/// A build that can be run.
#[derive(Clone, Debug)]
pub struct Described<'a> {
    /// What is to be run, as far as routing looks at it.
    pub spec: BuildView<'a>,
    /// The whole of it in the words of the event: JSON text.
    pub words: Cow<'a, str>,
}

/// A build request that can be read, but not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbuildable {
    /// The build breaks a rule.
    #[error(transparent)]
    Build(#[from] InvalidBuild),
    /// The event around it breaks a rule of CDEvents.
    #[error("{0}")]
    Event(String),
}

/// The subjects of CDEvents whose `queued` may ask for a build.
const FAMILIES: [&str; 4] = ["build", "pipelinerun", "testsuiterun", "testcaserun"];

#[derive(Deserialize)]
struct CustomData<'a> {
    #[serde(borrow)]
    build: Option<&'a RawValue>,
}

/// Reads what a delivered event asks for; `None` where it only tells something.
///
/// # Errors
/// When it claims to be a queued event but cannot be read as one.
pub fn asked<'a>(received: &'a Received<'_>) -> Result<Option<Asked<'a>>, Unreadable> {
    if !is_request(&received.event.ty) {
        return Ok(None);
    }
    let Some((event, described)) = described(&received.event)? else { return Ok(None) };
    let build = key(received, &event);
    let tenant = tenant(received.subject, &event.context.source).map_err(Unreadable::Forged)?;
    Ok(Some(Asked { request: request(received, event, &build), build, tenant: tenant.into(), described }))
}

/// The build's key. Of the attributes in which it is hashed only the id may differ from the event's own.
fn key(received: &Received<'_>, event: &CdEvent<'_>) -> BuildKey {
    let CdEvent { context, subject, .. } = event;
    let agrees = received.event.subject.is_some() && received.event.id == context.id;
    let known = received.build.as_ref().filter(|_| agrees).cloned();
    known.unwrap_or_else(|| BuildKey::of(&context.source, &subject.id, &context.id))
}

/// An event that asks for a build, and that build.
type Describing<'a> = (CdEvent<'a>, Result<Described<'a>, Unbuildable>);

fn described<'a>(event: &'a CloudEvent<'_>) -> Result<Option<Describing<'a>>, CdEventError> {
    if let Some((event, (spec, words))) = CdEvent::asking(event) {
        let described = valid(&event).map(|()| Described { spec, words: words.into() });
        return Ok(Some((event, described)));
    }
    let mut event = CdEvent::of(event)?;
    let valid = valid(&event);
    let wanted = event.custom_data.take().and_then(wanted);
    Ok(wanted.map(|wanted| (event, valid.and_then(|()| Ok(wanted?)))))
}

fn valid(event: &CdEvent<'_>) -> Result<(), Unbuildable> {
    let said = |violations: Vec<Violation>| violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    validate(event).map_err(|violations| Unbuildable::Event(said(violations)))
}

/// Whose a request is: its subject proves it. One that gives itself out as ours could take the key of a training's build.
fn tenant<'a>(subject: &'a str, source: &str) -> Result<&'a str, String> {
    match tenant_of(subject) {
        Some(tenant) if source == SOURCE => Err(format!("a request of tenant {tenant} with our own source {SOURCE}")),
        Some(tenant) => Ok(tenant),
        None if subject.starts_with("yard.") => Ok(TRAINER),
        None => Ok("default"),
    }
}

/// The build that custom data asks for; `None` where it asks for none.
fn wanted(custom: Cow<'_, RawValue>) -> Option<Result<Described<'_>, InvalidBuild>> {
    match custom {
        Cow::Borrowed(custom) => wanted_in(custom.get()),
        Cow::Owned(custom) => wanted_in(custom.get()).map(|wanted| wanted.map(Described::into_owned)),
    }
}

fn wanted_in(custom: &str) -> Option<Result<Described<'_>, InvalidBuild>> {
    match serde_json::from_str::<CustomData<'_>>(custom) {
        Ok(CustomData { build }) => build.map(Described::read),
        // An object with two builds asks for one, and must not be passed over.
        Err(error) if custom.starts_with('{') => Some(Err(InvalidBuild { path: String::new(), rule: error.to_string() })),
        Err(_) => None,
    }
}

impl Described<'_> {
    fn read(words: &RawValue) -> Result<Described<'_>, InvalidBuild> {
        let spec = BuildSpec::parse(words.get())?.view().into_owned();
        Ok(Described { spec, words: Cow::Borrowed(words.get()) })
    }

    fn into_owned(self) -> Described<'static> {
        Described { spec: self.spec.into_owned(), words: Cow::Owned(self.words.into_owned()) }
    }
}

fn is_request(event_type: &str) -> bool {
    let Some(rest) = event_type.strip_prefix("dev.cdevents.") else { return false };
    let predicate = FAMILIES.iter().find_map(|subject| rest.strip_prefix(subject)?.strip_prefix(".queued"));
    predicate.is_some_and(|version| version.is_empty() || version.starts_with('.'))
}

fn request<'a>(received: &'a Received<'_>, event: CdEvent<'a>, build: &BuildKey) -> RequestView<'a> {
    RequestView {
        id: event.context.id,
        source: event.context.source,
        r#type: event.context.ty,
        subject: event.subject.id,
        subject_source: event.subject.source,
        stream: received.stream.into(),
        sequence: received.sequence,
        chain_id: event.context.chain_id.unwrap_or_else(|| derived_chain_id(build).into()),
        content: event.subject.content.readable(),
        trace: Cow::Borrowed(&received.trace),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_training_is_the_trainers_and_nobody_else_speaks_with_our_source() {
        assert_eq!(tenant("yard.dev.cdevents.pipelinerun.queued.0.3.0.churn.x", SOURCE), Ok(TRAINER));
        assert_eq!(tenant("ci.acme.dev.cdevents.pipelinerun.queued.0.3.0", "/jenkins"), Ok("acme"));
        assert!(tenant("ci.acme.dev.cdevents.pipelinerun.queued.0.3.0", SOURCE).is_err());
    }

    #[test]
    fn a_request_is_read_in_one_pass_as_in_two() {
        let said = |custom: &str, more: &str| {
            let context = r#"{"specversion":"0.5.1","id":"1","source":"/a","type":"dev.cdevents.build.queued.0.3.0","timestamp":"2026-01-02T03:04:05Z"}"#;
            let event = format!(r#"{{"context":{context},"subject":{{"id":"b","content":{{}}}},"customData":{custom}{more}}}"#);
            let event = CloudEvent::read([], event.as_bytes()).unwrap();
            let one_pass = CdEvent::asking(&event).is_some();
            let described = described(&event).unwrap();
            let build = described
                .map(|(_, described)| described.map(|Described { spec, words }| (spec.into_owned(), words.into_owned())));
            (one_pass, build)
        };
        for (build, right) in [
            (r#"{"image": "a", "cpu": 2}"#, true),
            (r#" {"image":"a", "env": {"A": "}\u00e9"}} "#, true),
            (r#"{"image": "\u00e9"}"#, false),
            (r#"{"image": ""}"#, false),
            ("{}", false),
            ("7", false),
            ("null", false),
        ] {
            let custom = format!(r#"{{ "build":{build}, "more": [1]}}"#);
            let ((one, first), (other, second)) =
                (said(&custom, ""), said(&custom, r#","customDataContentType":"application/json""#));
            assert_eq!((one, other), (right, false), "{build}");
            assert_eq!(first, second, "{build}");
        }
        assert!(!said(r#"{"build": {"image": "a"}, "build": {"image": "b"}}"#, "").0);
    }

    #[test]
    fn a_request_is_queued_and_of_one_of_four_families() {
        for ty in ["dev.cdevents.build.queued.0.3.0", "dev.cdevents.pipelinerun.queued", "dev.cdevents.testsuiterun.queued.9"] {
            assert!(is_request(ty), "{ty}");
        }
        for ty in [
            "dev.cdevents.build.queuedx.0.3.0",
            "dev.cdevents.builds.queued.0.3.0",
            "dev.cdeventsx.build.queued",
            "build.queued",
            "",
        ] {
            assert!(!is_request(ty), "{ty}");
        }
    }

    #[test]
    fn a_build_is_named_by_the_event_and_not_by_its_carrier() {
        let data = r#"{"context":{"specversion":"0.5.1","id":"1","source":"/a","type":"t","timestamp":"2026-01-02T03:04:05Z"},"subject":{"id":"b","content":{}}}"#;
        let named = |id, subject: Option<&'static str>| {
            let headers = [("ce-specversion", "1.0"), ("ce-id", id), ("ce-source", "/a"), ("ce-type", "t")];
            let event =
                CloudEvent::read(headers.into_iter().chain(subject.map(|subject| ("ce-subject", subject))), data.as_bytes())
                    .unwrap();
            let (trace, build) = event.starts();
            let received = Received {
                subject: "ci.default.t",
                stream: "CI",
                sequence: 1,
                delivered: 1,
                stored: Timestamp::UNIX_EPOCH,
                event,
                trace: trace.into(),
                build,
            };
            let event = received.cdevent().unwrap();
            key(&received, &event)
        };
        for (id, subject) in [("1", Some("b")), ("drawn", Some("b")), ("1", None)] {
            assert_eq!(named(id, subject), BuildKey::of("/a", "b", "1"), "{id} {subject:?}");
        }
    }

    #[test]
    fn what_asks_for_two_builds_is_refused_and_not_passed_over() {
        let twice = wanted_in(r#"{"build": {"image": "a"}, "build": {"image": "b"}}"#).unwrap().unwrap_err();
        assert!(twice.to_string().contains("duplicate field `build`"), "{twice}");
        assert!(wanted_in(r#"{"other": 1}"#).is_none());
        assert!(wanted_in(r#""aGVsbG8=""#).is_none());
        assert!(wanted_in("null").is_none());
    }
}
