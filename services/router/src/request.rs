//! What an incoming event asks for: a build, or nothing.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use switchyard_bus::{Received, Unreadable};
use switchyard_events::{
    BuildKey, BuildSpec, CdEvent, InvalidBuild, RequestView, SOURCE, TRAINER, derived_chain_id, tenant_of, validate,
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
    pub fn candidate<'c>(&'c self, spec: &'c BuildSpec) -> Candidate<'c> {
        let (source, event_type) = (&*self.request.source, &*self.request.r#type);
        Candidate { build: &self.build, spec, tenant: &self.tenant, source, event_type }
    }
}

/// A build that can be run.
#[derive(Clone, Debug)]
pub struct Described<'a> {
    /// What is to be run.
    pub spec: BuildSpec,
    /// The same in the words of the event: JSON text.
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
    let mut event = received.cdevent()?;
    let valid = validate(&event);
    let Some(wanted) = event.custom_data.take().and_then(wanted) else { return Ok(None) };
    let described = match valid {
        Ok(()) => wanted.map_err(Unbuildable::from),
        Err(violations) => Err(Unbuildable::Event(violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))),
    };
    let build = BuildKey::of(&event.context.source, &event.subject.id, &event.context.id);
    let tenant = tenant(received.subject, &event.context.source).map_err(Unreadable::Forged)?;
    Ok(Some(Asked { request: request(received, event, &build), build, tenant: tenant.into(), described }))
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
    if let Some(found) = alone(custom) {
        return Some(Ok(found));
    }
    match serde_json::from_str::<CustomData<'_>>(custom) {
        Ok(CustomData { build }) => build.map(Described::read),
        // An object with two builds asks for one, and must not be passed over.
        Err(error) if custom.starts_with('{') => Some(Err(InvalidBuild { path: String::new(), rule: error.to_string() })),
        Err(_) => None,
    }
}

/// The build of custom data that hold nothing else, as most do, read without looking for its end first. Says nothing of errors.
fn alone(custom: &str) -> Option<Described<'_>> {
    let text = custom.strip_prefix("{\"build\":")?;
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<BuildSpec>();
    let spec = values.next()?.ok()?.checked().ok()?;
    let (words, rest) = text.split_at_checked(values.byte_offset())?;
    (rest.trim_ascii() == "}").then_some(Described { spec, words: Cow::Borrowed(words) })
}

impl Described<'_> {
    fn read(words: &RawValue) -> Result<Described<'_>, InvalidBuild> {
        Ok(Described { spec: BuildSpec::parse(words.get())?, words: Cow::Borrowed(words.get()) })
    }

    fn into_owned(self) -> Described<'static> {
        Described { spec: self.spec, words: Cow::Owned(self.words.into_owned()) }
    }
}

fn is_request(event_type: &str) -> bool {
    let mut tokens = event_type.split('.');
    let prefix = (tokens.next(), tokens.next()) == (Some("dev"), Some("cdevents"));
    prefix && tokens.next().is_some_and(|subject| FAMILIES.contains(&subject)) && tokens.next() == Some("queued")
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
    use super::*;

    #[test]
    fn a_training_is_the_trainers_and_nobody_else_speaks_with_our_source() {
        assert_eq!(tenant("yard.dev.cdevents.pipelinerun.queued.0.3.0.churn.x", SOURCE), Ok(TRAINER));
        assert_eq!(tenant("ci.acme.dev.cdevents.pipelinerun.queued.0.3.0", "/jenkins"), Ok("acme"));
        assert!(tenant("ci.acme.dev.cdevents.pipelinerun.queued.0.3.0", SOURCE).is_err());
    }

    #[test]
    fn a_build_that_stands_alone_is_read_as_any_other() {
        for build in
            [r#"{"image": "a", "cpu": 2}"#, r#" {"image":"\u00e9", "env": {"A": "}"}} "#, r#"{"image": ""}"#, "{}", "7", "null"]
        {
            let [one, other] = [format!("{{\"build\":{build}}}"), format!("{{ \"build\" : {build}, \"more\": 1}}")];
            let said = |custom: &str| {
                wanted_in(custom).map(|wanted| wanted.map(|Described { spec, words }| (spec, words.trim().to_owned())))
            };
            assert_eq!(said(&one), said(&other), "{build}");
        }
        let valid = alone(r#"{"build": {"image": "a"} }"#).unwrap();
        assert_eq!((valid.spec.image.as_str(), &*valid.words), ("a", r#" {"image": "a"}"#));
        assert!(alone(r#"{"build": {"image": "a"}, "build": {"image": "b"}}"#).is_none());
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
