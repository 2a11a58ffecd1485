//! What the trainer says of a model: decided in the model's record, and published from there as often as it takes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    CancelRequested, EmitError, Outgoing, SOURCE,
    retraining::{
        ArtifactPublished, DriftCleared, DriftDetected, ModelEvaluated, ModelPromoted, ModelRejected, ModelRolledBack,
        ReferencePinned, RetrainingFinished, RetrainingRequested, RetrainingSkipped, ServiceChanged, TrainingBuild,
    },
};
use crate::{
    BuildKey, CdEvent, caused_event_id, derived_traceparent,
    subject::{TRAINER, ci, yard},
};

/// What connects the events of one matter: a drift, what is decided of it, the training, its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// The chain that they all belong to.
    pub chain: String,
    /// The trace that they all belong to.
    pub trace: String,
    /// The id of the event before, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The context in which that one was published: what follows from it hangs below it. None until that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop: Option<String>,
}

/// One event about a model, as its record keeps it until it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The model.
    pub model: String,
    /// The event's id: [`Told::id`].
    pub id: String,
    /// When it was decided.
    pub at: Timestamp,
    /// What it belongs to.
    pub thread: Thread,
    /// What it says.
    pub says: Says,
}

/// What is said of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Says {
    /// The data has drifted.
    Detected(DriftDetected),
    /// It no longer does.
    Cleared(DriftCleared),
    /// A training is wanted.
    Requested(RetrainingRequested),
    /// None is begun, and why.
    Skipped(RetrainingSkipped),
    /// A training has ended.
    Finished(RetrainingFinished),
    /// What the candidate is worth.
    Evaluated(ModelEvaluated),
    /// It serves from now on.
    Promoted(ModelPromoted),
    /// It does not.
    Rejected(ModelRejected),
    /// An earlier one serves again.
    RolledBack(ModelRolledBack),
    /// Windows are weighed against another training fold.
    Pinned(ReferencePinned),
    /// The build of a training.
    Build(Box<TrainingBuild>),
    /// That build is to stop.
    Cancel(CancelRequested),
    /// A model is there to be served.
    Published(ArtifactPublished),
    /// A service has another model.
    Service(ServiceChanged),
}

impl Thread {
    /// The thread of a matter that begins with `beginning`.
    #[must_use]
    pub fn new(model: &str, beginning: &str) -> Self {
        let key = BuildKey::of(SOURCE, model, beginning);
        Self { chain: crate::derived_chain_id(&key), trace: derived_traceparent(&key), cause: None, hop: None }
    }

    /// Below what the next event of it hangs: the event before, as far as that is known.
    #[must_use]
    pub fn context(&self) -> &str {
        self.hop.as_deref().unwrap_or(&self.trace)
    }

    /// Takes note in which contexts events were published; the first that is heard of counts.
    pub fn published(&mut self, hops: &BTreeMap<String, Option<String>>) {
        if self.hop.is_none() {
            self.hop = self.cause.as_ref().and_then(|id| hops.get(id)).cloned().flatten();
        }
    }

    /// Goes on: from now on this event is the one before.
    pub fn go_on(&mut self, id: &str) {
        (self.cause, self.hop) = (Some(id.to_owned()), None);
    }
}

impl Told {
    /// The id of the `n`th event that a record tells; `born` is when the record was begun.
    #[must_use]
    pub fn id(model: &str, born: Timestamp, n: u64) -> String {
        caused_event_id(SOURCE, &format!("{born}/{n}"), "switchyard-trainer", model)
    }

    /// The event. All but a cancellation are stored once for ever.
    ///
    /// # Errors
    /// When something in it cannot stand in an event.
    pub fn outgoing(&self) -> Result<Outgoing, EmitError> {
        let (event_type, subject, content, data) = self.parts()?;
        let mut event = CdEvent::new(event_type, &self.id, SOURCE, self.at, &subject).chain_id(&self.thread.chain);
        if let Some(cause) = &self.thread.cause {
            event = event.link_path(cause);
        }
        if let Some(content) = content {
            event = event.content(&content)?;
        }
        let mut event = event.custom_data(&data)?.to_cloudevent()?;
        // A build's own trace begins where it was asked for, so that all of it hangs there.
        let begins = if matches!(self.says, Says::Build(_)) { self.thread.context() } else { &self.thread.trace };
        event.set_extension("traceparent", begins);
        if matches!(self.says, Says::Cancel(_)) {
            return Ok(Outgoing { subject: ci(TRAINER, event_type), event, once: false });
        }
        Ok(Outgoing { subject: yard(event_type, &[&self.model, &self.id]), event, once: true })
    }

    /// The build that this event asks for, if it asks for one.
    #[must_use]
    pub fn build(&self) -> Option<BuildKey> {
        let Says::Build(build) = &self.says else { return None };
        Some(BuildKey::of(SOURCE, &build.subject, &self.id))
    }

    /// Type, subject id, content and custom data.
    fn parts(&self) -> Result<(&'static str, String, Option<Value>, Value), serde_json::Error> {
        let model = || self.model.clone();
        let about = |event_type: &'static str, data: Result<Value, serde_json::Error>| {
            let mut data = data?;
            data["model"] = self.model.as_str().into();
            Ok((event_type, self.model.clone(), None, data))
        };
        match &self.says {
            Says::Detected(data) => about(DriftDetected::TYPE, serde_json::to_value(data)),
            Says::Cleared(data) => about(DriftCleared::TYPE, serde_json::to_value(data)),
            Says::Requested(data) => about(RetrainingRequested::TYPE, serde_json::to_value(data)),
            Says::Skipped(data) => about(RetrainingSkipped::TYPE, serde_json::to_value(data)),
            Says::Finished(data) => about(RetrainingFinished::TYPE, serde_json::to_value(data)),
            Says::Evaluated(data) => about(ModelEvaluated::TYPE, serde_json::to_value(data)),
            Says::Promoted(data) => about(ModelPromoted::TYPE, serde_json::to_value(data)),
            Says::Rejected(data) => about(ModelRejected::TYPE, serde_json::to_value(data)),
            Says::RolledBack(data) => about(ModelRolledBack::TYPE, serde_json::to_value(data)),
            Says::Pinned(data) => about(ReferencePinned::TYPE, serde_json::to_value(data)),
            Says::Build(build) => {
                let content = json!({"pipelineName": self.model, "uri": format!("urn:switchyard:model:{}", self.model)});
                let data = json!({"build": build.spec});
                Ok((TrainingBuild::TYPE, build.subject.clone(), Some(content), data))
            }
            Says::Cancel(data) => Ok((CancelRequested::TYPE, data.build.to_string(), None, serde_json::to_value(data)?)),
            Says::Published(data) => {
                let data_of = json!({"model": model(), "run": data.run, "location": data.location, "sha256": data.sha256});
                Ok((ArtifactPublished::TYPE, data.artifact.clone(), None, data_of))
            }
            Says::Service(data) => {
                let content = json!({"environment": {"id": data.environment}, "artifactId": data.artifact});
                Ok((data.change.event_type(), data.service.clone(), Some(content), json!({"model": model(), "run": data.run})))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        BuildSpec,
        emit::retraining::{Cause, Change, Drifted, RunEnd},
        encode, validate,
    };

    fn told(says: Says) -> Told {
        let thread = Thread { cause: Some("before".into()), ..Thread::new("churn", "7") };
        Told { model: "churn".into(), id: Told::id("churn", Timestamp::UNIX_EPOCH, 3), at: Timestamp::UNIX_EPOCH, thread, says }
    }

    fn every() -> Vec<Says> {
        let drifted = Drifted { column: "age".into(), measure: "ks".into(), effect: 0.2, threshold: 0.1, p: 1e-9 };
        let causes = vec![Cause { trigger: "drift".into(), detail: "age".into() }];
        let (run, artifact) = ("r".repeat(26), "pkg:generic/churn@r".to_owned());
        let service = |change| {
            let (service, environment) = ("scorer".into(), "production".into());
            Says::Service(ServiceChanged { change, service, environment, artifact: artifact.clone(), run: run.clone() })
        };
        vec![
            Says::Detected(DriftDetected { window: 4, rows: 5000, columns: vec![drifted] }),
            Says::Cleared(DriftCleared { window: Some(9), reason: "promoted".into() }),
            Says::Requested(RetrainingRequested {
                run: 1,
                causes: causes.clone(),
                approval: None,
                key: Some(run.clone()),
                build: None,
                by: None,
            }),
            Says::Skipped(RetrainingSkipped { reason: "cooldown".into(), message: "m".into(), until: None, causes }),
            Says::Finished(RetrainingFinished {
                run: 1,
                key: Some(run.clone()),
                outcome: RunEnd::Failed,
                reason: None,
                pod_seconds: 60,
            }),
            Says::Evaluated(ModelEvaluated {
                run: run.clone(),
                metrics: BTreeMap::from([("auc".into(), 0.8)]),
                champion: BTreeMap::new(),
                compared: None,
            }),
            Says::Promoted(ModelPromoted { run: run.clone(), replaced: None, metrics: BTreeMap::new() }),
            Says::Rejected(ModelRejected { run: run.clone(), reasons: vec!["auc".into()] }),
            Says::RolledBack(ModelRolledBack { run: run.clone(), from: "b".into(), by: "cli".into() }),
            Says::Pinned(ReferencePinned { run: run.clone(), sha256: "0".into(), path: "runs/r/profile.json".into() }),
            Says::Build(Box::new(TrainingBuild {
                subject: "churn/1".into(),
                spec: BuildSpec { image: "a".into(), ..BuildSpec::default() },
            })),
            Says::Cancel(CancelRequested { build: BuildKey::of("a", "b", "c") }),
            Says::Published(ArtifactPublished {
                artifact: artifact.clone(),
                run: run.clone(),
                location: "s3://ml/m".into(),
                sha256: "0".into(),
            }),
            service(Change::Deployed),
            service(Change::Upgraded),
            service(Change::RolledBack),
        ]
    }

    #[test]
    fn every_event_is_a_valid_one_of_its_thread_and_always_the_same() {
        for says in every() {
            let told = told(says);
            let outgoing = told.outgoing().unwrap();
            assert_eq!(encode(&outgoing.event).unwrap(), encode(&told.outgoing().unwrap().event).unwrap());
            let event = CdEvent::from_cloudevent(&outgoing.event).unwrap();
            validate(&event).unwrap_or_else(|wrong| panic!("{}: {wrong:?}", event.context.ty));
            assert_eq!(event.context.chain_id.as_deref(), Some(told.thread.chain.as_str()));
            assert_eq!(event.context.causes(), ["before"]);
            assert_eq!(super::super::starting_trace(&outgoing.event), told.thread.trace);
            let cancels = matches!(told.says, Says::Cancel(_));
            assert_eq!((outgoing.once, outgoing.subject.starts_with("yard.")), (!cancels, !cancels), "{}", outgoing.subject);
            let below =
                Thread { hop: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()), ..told.thread.clone() };
            let begins = Told { thread: below.clone(), ..told.clone() }.outgoing().unwrap();
            let is_build = matches!(told.says, Says::Build(_));
            let wanted = if is_build { below.context() } else { &told.thread.trace };
            assert_eq!(super::super::starting_trace(&begins.event), wanted, "only a build begins where it was asked for");
            let kept: Told = serde_json::from_str(&serde_json::to_string(&told).unwrap()).unwrap();
            assert_eq!(kept, told);
        }
    }
}
