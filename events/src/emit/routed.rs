//! What the router says: where a build goes and why, or why it goes nowhere.

use std::borrow::Cow;

use bytes::BytesMut;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer, ser::Error as _};
use serde_json::{Value, value::RawValue};

use super::{About, Answer, EmitError, Outgoing, envelope::Envelope, written};
use crate::{Attempt, BuildKey, BuildSpec, Limits, Record, Request, RequestOf, Routing, attempt_event_id, subject::yard};

/// A build has been given to an executor. It carries all that a launcher needs: the build `S`, texts `T`, the request's content `C`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "S: Deserialize<'de>, T: Deserialize<'de>, C: Deserialize<'de> + Default"))]
pub struct RoutedOf<S, T, C> {
    /// The build.
    pub build: BuildKey,
    /// Its attempt, from 1.
    pub attempt: u32,
    /// Where it goes.
    pub executor: T,
    /// The event that asked for it.
    pub request: RequestOf<T, C>,
    /// Whose it is.
    pub tenant: T,
    /// What is to be run.
    pub spec: S,
    /// How long each part of its life may take.
    pub limits: Limits,
    /// When it was routed.
    pub at: Timestamp,
    /// Why it goes there.
    pub why: WhyOf<T>,
}

/// A build has been given to an executor.
///
/// Who writes it may leave the build as the JSON text of its request: it is read by the same rules there and here.
pub type BuildRouted<S = BuildSpec> = RoutedOf<S, String, Value>;

/// A routed build whose parts lie where they were read.
pub type RoutedView<'a> = RoutedOf<Words<'a>, Cow<'a, str>, Cow<'a, RawValue>>;

/// A build in the words of its request: JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words<'a>(pub &'a str);

impl Serialize for Words<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(self.0).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// Why a build went where it went, so that the choice can be explained and made again.
pub type Why = WhyOf<String>;

/// Why a build went where it went, so that the choice can be explained and made again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyOf<T> {
    /// The rule that decided: `annotation`, `weight` or `default`.
    pub rule: T,
    /// The revision of the fleet file.
    pub revision: T,
    /// The executors that could have had it.
    pub eligible: Vec<T>,
    /// The others, with what spoke against each.
    pub excluded: Vec<(T, T)>,
}

impl Why {
    /// What stands before a reason that is not the rules': how an executor is, and not what it may have.
    pub const PASSED_OVER: [&str; 3] = ["unwell: ", "draining: ", "left: "];
}

impl<T: AsRef<str>> WhyOf<T> {
    /// Those that were passed over because of how they were, and not by the rules.
    pub fn passed_over(&self) -> impl Iterator<Item = (&str, &str)> {
        let passed = |why: &str| Why::PASSED_OVER.iter().any(|prefix| why.starts_with(prefix));
        self.excluded.iter().map(|(name, why)| (name.as_ref(), why.as_ref())).filter(move |(_, why)| passed(why))
    }

    /// Who else might have the build by the rules, were nothing known of how the executors are.
    pub fn elsewhere(&self, executor: &str) -> impl Iterator<Item = &str> {
        let named = self.rule.as_ref() == "annotation";
        let all = self.eligible.iter().map(AsRef::as_ref).chain(self.passed_over().map(|(name, _)| name));
        all.filter(move |name| !named && *name != executor)
    }
}

impl BuildRouted {
    /// The event's type.
    pub const TYPE: &str = "dev.cdeventsx.switchyard-build.routed.0.1.0";

    /// The record of a build that nobody has written down yet: its attempt is open.
    #[must_use]
    pub fn open(&self) -> Record {
        let mut first = Attempt { n: self.attempt, ..Attempt::default() };
        first.fill(self.routing());
        let mut record = Record::open(self.request.clone(), self.tenant.clone(), first);
        record.pipeline.clone_from(&self.spec.pipeline);
        record.job.clone_from(&self.spec.job);
        record
    }

    /// What the record keeps of it.
    #[must_use]
    pub fn routing(&self) -> Routing {
        let elsewhere = self.why.elsewhere(&self.executor).map(str::to_owned).collect();
        Routing { executor: self.executor.clone(), at: self.at, limits: self.limits, elsewhere }
    }
}

impl<S: Serialize, T: AsRef<str> + Serialize, C: Serialize> RoutedOf<S, T, C> {
    /// The event, on the subject that the executor's launchers read.
    ///
    /// # Errors
    /// When the request holds what no event may hold.
    pub fn outgoing(&self) -> Result<Outgoing, EmitError> {
        let subject = self.subject();
        let event = about(BuildRouted::TYPE, &self.request, &self.build, self.attempt, self.at).event(None, self)?;
        Ok(Outgoing { subject, event, once: false })
    }
}

impl<S, T: AsRef<str>, C> RoutedOf<S, T, C> {
    fn subject(&self) -> String {
        yard(BuildRouted::TYPE, &[self.executor.as_ref(), self.build.as_str(), &self.attempt.to_string()])
    }
}

impl RoutedView<'_> {
    /// The event as an answer: the same message as [`BuildRouted::outgoing`]'s. It is written in `paper`, of which many may share
    /// one piece of memory.
    #[must_use]
    pub fn answer(self, paper: &mut BytesMut) -> Answer {
        let About { id, at, .. } = about(BuildRouted::TYPE, &self.request, &self.build, self.attempt, self.at);
        let (subject, data) = (self.subject(), written::routed(&id, &self, paper));
        let (about, trace) = (self.build.into(), self.request.trace.into_owned());
        Answer { subject, id, event_type: BuildRouted::TYPE, about, at, trace, data }
    }
}

/// A build that nobody will run. It finishes too, with outcome `error`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildRefused {
    /// The build.
    pub build: BuildKey,
    /// Its attempt, from 1.
    pub attempt: u32,
    /// The event that asked for it.
    pub request: Request,
    /// Whose it is.
    pub tenant: String,
    /// Its pipeline, as far as it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// Its job, as far as it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Why: which field or rule, and what would help.
    pub reason: String,
    /// When it was refused.
    pub at: Timestamp,
}

impl BuildRefused {
    /// The event's type.
    pub const TYPE: &str = "dev.cdeventsx.switchyard-build.refused.0.1.0";

    /// The record of a build that nobody has written down yet: its attempt is open.
    #[must_use]
    pub fn open(&self) -> Record {
        let first = Attempt { n: self.attempt, ..Attempt::default() };
        let mut record = Record::open(self.request.clone(), self.tenant.clone(), first);
        record.pipeline.clone_from(&self.pipeline);
        record.job.clone_from(&self.job);
        record
    }

    /// The event.
    ///
    /// # Errors
    /// When the request holds what no event may hold.
    pub fn outgoing(&self) -> Result<Outgoing, EmitError> {
        self.answer()?.outgoing()
    }

    /// The event as an answer.
    ///
    /// # Errors
    /// When the request holds what has no JSON form.
    pub fn answer(&self) -> Result<Answer, EmitError> {
        let about = about(Self::TYPE, &self.request, &self.build, self.attempt, self.at);
        let data = Envelope::new(&about, None, self).to_vec()?.into();
        let (subject, trace) = (yard(Self::TYPE, &[self.build.as_str(), &self.attempt.to_string()]), self.request.trace.clone());
        Ok(Answer { subject, id: about.id, event_type: Self::TYPE, about: self.build.to_string(), at: self.at, trace, data })
    }
}

/// A build wants its next attempt: after a failure of the infrastructure, or at another executor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildRequeued {
    /// The build.
    pub build: BuildKey,
    /// The attempt that is to be routed.
    pub attempt: u32,
    /// The event that asked for it: the router reads it again, by stream and sequence.
    pub request: Request,
    /// Whose it is.
    pub tenant: String,
    /// Why the attempt before ended.
    pub after: String,
    /// The executor that the build has left because nobody took it there, if it has: it is not to go back there at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
    /// When that was decided.
    pub at: Timestamp,
}

impl BuildRequeued {
    /// The event's type.
    pub const TYPE: &str = "dev.cdeventsx.switchyard-build.requeued.0.1.0";

    /// The event.
    ///
    /// # Errors
    /// When the request holds what no event may hold.
    pub fn outgoing(&self) -> Result<Outgoing, EmitError> {
        let subject = yard(Self::TYPE, &[self.build.as_str(), &self.attempt.to_string()]);
        let event = about(Self::TYPE, &self.request, &self.build, self.attempt, self.at).event(None, self)?;
        Ok(Outgoing { subject, event, once: true })
    }
}

/// What our own events about an attempt have in common: their subject is the build's key.
pub(super) fn about<'a, T: AsRef<str>, C>(
    event_type: &'a str,
    request: &'a RequestOf<T, C>,
    build: &'a BuildKey,
    attempt: u32,
    at: Timestamp,
) -> About<'a, T, C> {
    let id = attempt_event_id(request.source.as_ref(), request.id.as_ref(), event_type, build, attempt);
    About { event_type, id, at, subject_id: build.as_str(), subject_source: None, request }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, value::RawValue};

    use super::*;
    use crate::{CdEvent, custom_data};

    #[test]
    fn a_build_in_the_words_of_its_request_is_read_as_the_same_build() {
        let words = r#" {"image": "node:20", "cpu": 2, "env": {"CI": true, "N": 1.10, "A": "1", "A": "\u00e9"}, "timeout": 45, "labels": {}} "#;
        let spec = BuildSpec::parse(words).unwrap();
        let why = Why { rule: "default".into(), revision: "1".into(), eligible: vec!["k8s".into()], excluded: Vec::new() };
        let words: Box<RawValue> = serde_json::from_str(words).unwrap();
        let (build, request, tenant) =
            (BuildKey::of("/a", "b", "c"), Request { source: "/a".into(), ..Request::default() }, "t".into());
        let (executor, limits, at) = ("k8s".to_owned(), Limits::STANDARD, Timestamp::UNIX_EPOCH);
        let routed = BuildRouted { build, attempt: 1, executor, request, tenant, spec: words, limits, at, why };
        let event = routed.outgoing().unwrap().event;
        let read: BuildRouted = custom_data(&CdEvent::from_cloudevent(&event).unwrap()).unwrap();
        assert_eq!(read.spec, spec);
        assert_eq!(json!(read.spec.env), json!({"CI": "true", "N": "1.1", "A": "\u{e9}"}));
    }
}
