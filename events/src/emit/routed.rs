//! What the router says: where a build goes and why, or why it goes nowhere.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{About, EmitError, Outgoing};
use crate::{Attempt, BuildKey, BuildSpec, Limits, Record, Request, Routing, attempt_event_id, subject::yard};

/// A build has been given to an executor. It carries all that a launcher needs.
///
/// Who writes it may leave the build as the JSON text of its request: it is read by the same rules there and here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildRouted<S = BuildSpec> {
    /// The build.
    pub build: BuildKey,
    /// Its attempt, from 1.
    pub attempt: u32,
    /// Where it goes.
    pub executor: String,
    /// The event that asked for it.
    pub request: Request,
    /// Whose it is.
    pub tenant: String,
    /// What is to be run.
    pub spec: S,
    /// How long each part of its life may take.
    pub limits: Limits,
    /// When it was routed.
    pub at: Timestamp,
    /// Why it goes there.
    pub why: Why,
}

/// Why a build went where it went, so that the choice can be explained and made again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// The rule that decided: `annotation`, `weight` or `default`.
    pub rule: String,
    /// The revision of the fleet file.
    pub revision: String,
    /// The executors that could have had it.
    pub eligible: Vec<String>,
    /// The others, with what spoke against each.
    pub excluded: Vec<(String, String)>,
}

impl Why {
    /// What stands before a reason that is not the rules': how an executor is, and not what it may have.
    pub const PASSED_OVER: [&str; 3] = ["unwell: ", "draining: ", "left: "];

    /// Who else might have the build by the rules, were nothing known of how the executors are.
    pub fn elsewhere(&self, executor: &str) -> impl Iterator<Item = &str> {
        let passed = |why: &str| Self::PASSED_OVER.iter().any(|prefix| why.starts_with(prefix));
        let passed = self.excluded.iter().filter(move |(_, why)| passed(why)).map(|(name, _)| name);
        let named = self.rule == "annotation";
        self.eligible.iter().chain(passed).map(String::as_str).filter(move |name| !named && *name != executor)
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

impl<S: Serialize> BuildRouted<S> {
    /// The event, on the subject that the executor's launchers read.
    ///
    /// # Errors
    /// When the request holds what no event may hold.
    pub fn outgoing(&self) -> Result<Outgoing, EmitError> {
        let subject = yard(BuildRouted::TYPE, &[&self.executor, self.build.as_str(), &self.attempt.to_string()]);
        let event = about(BuildRouted::TYPE, &self.request, &self.build, self.attempt, self.at).event(None, self)?;
        Ok(Outgoing { subject, event, once: false })
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
        let subject = yard(Self::TYPE, &[self.build.as_str(), &self.attempt.to_string()]);
        let event = about(Self::TYPE, &self.request, &self.build, self.attempt, self.at).event(None, self)?;
        Ok(Outgoing { subject, event, once: false })
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
pub(super) fn about<'a>(
    event_type: &'a str,
    request: &'a Request,
    build: &'a BuildKey,
    attempt: u32,
    at: Timestamp,
) -> About<'a> {
    let id = attempt_event_id(&request.source, &request.id, event_type, build, attempt);
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
