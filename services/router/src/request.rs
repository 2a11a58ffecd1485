//! What an incoming event asks for: a build, or nothing.

use serde::Deserialize;
use serde_json::value::RawValue;
use switchyard_bus::{Delivery, Unreadable};
use switchyard_events::{
    BuildKey, BuildSpec, CdEvent, InvalidBuild, Request, SOURCE, TRAINER, derived_chain_id, tenant_of, validate,
};

/// A build that an event asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its key.
    pub build: BuildKey,
    /// Whose it is.
    pub tenant: String,
    /// What must be remembered of the event.
    pub request: Request,
    /// What is to be run, or why that cannot be.
    pub described: Result<Described, Unbuildable>,
}

/// A build that can be run.
#[derive(Clone, Debug)]
pub struct Described {
    /// What is to be run.
    pub spec: BuildSpec,
    /// The same in the words of the event.
    pub words: Box<RawValue>,
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
pub fn asked(delivery: &Delivery) -> Result<Option<Asked>, Unreadable> {
    if !is_request(&delivery.event) {
        return Ok(None);
    }
    let event = delivery.cdevent()?;
    let custom = event.custom_data.as_deref().map_or("null", RawValue::get);
    let Some(wanted) = wanted(custom) else { return Ok(None) };
    let described = match validate(&event) {
        Ok(()) => wanted.map_err(Unbuildable::from),
        Err(violations) => Err(Unbuildable::Event(violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))),
    };
    let build = BuildKey::of(&event.context.source, &event.subject.id, &event.context.id);
    let tenant = tenant(&delivery.subject, &event.context.source).map_err(Unreadable::Forged)?.to_owned();
    Ok(Some(Asked { request: request(delivery, &event, &build), build, tenant, described }))
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
fn wanted(custom: &str) -> Option<Result<Described, InvalidBuild>> {
    match serde_json::from_str::<CustomData<'_>>(custom) {
        Ok(CustomData { build }) => build.map(Described::read),
        // An object with two builds asks for one, and must not be passed over.
        Err(error) if custom.starts_with('{') => Some(Err(InvalidBuild { path: String::new(), rule: error.to_string() })),
        Err(_) => None,
    }
}

impl Described {
    fn read(words: &RawValue) -> Result<Self, InvalidBuild> {
        Ok(Self { spec: BuildSpec::parse(words.get())?, words: words.to_owned() })
    }
}

fn is_request(event: &cloudevents::Event) -> bool {
    use cloudevents::AttributesReader as _;
    let mut tokens = event.ty().split('.');
    let prefix = (tokens.next(), tokens.next()) == (Some("dev"), Some("cdevents"));
    prefix && tokens.next().is_some_and(|subject| FAMILIES.contains(&subject)) && tokens.next() == Some("queued")
}

fn request(delivery: &Delivery, event: &CdEvent<'_>, build: &BuildKey) -> Request {
    Request {
        id: event.context.id.to_string(),
        source: event.context.source.to_string(),
        r#type: event.context.ty.to_string(),
        subject: event.subject.id.to_string(),
        subject_source: event.subject.source.as_deref().map(str::to_owned),
        stream: delivery.stream.clone(),
        sequence: delivery.sequence,
        chain_id: event.context.chain_id.as_deref().map_or_else(|| derived_chain_id(build), str::to_owned),
        content: event.subject.content.parse().unwrap_or_default(),
        trace: delivery.trace.clone(),
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
    fn what_asks_for_two_builds_is_refused_and_not_passed_over() {
        let twice = wanted(r#"{"build": {"image": "a"}, "build": {"image": "b"}}"#).unwrap().unwrap_err();
        assert!(twice.to_string().contains("duplicate field `build`"), "{twice}");
        assert!(wanted(r#"{"other": 1}"#).is_none());
        assert!(wanted(r#""aGVsbG8=""#).is_none());
        assert!(wanted("null").is_none());
    }
}
