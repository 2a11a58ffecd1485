//! The contract between the services: events, subjects, identity and the build ledger.
//!
//! Everything here is pure: no clock, no IO, no randomness, and no knowledge of NATS or Kubernetes. Time and
//! state are arguments. What crosses a process boundary is defined here and nowhere else.

mod build;
mod cdevent;
mod cloudevent;
mod emit;
mod heartbeat;
mod identity;
mod json;
mod ledger;
mod limit;
mod reason;
mod subject;
mod syntax;
mod violation;
mod vocabulary;
mod writer;

pub use build::{BuildClocks, BuildSpec, BuildView, InvalidBuild, ScrewdriverBuild, SecretRef, Step, StepEnd, Texts};
pub use cdevent::{CdEvent, CdEventError, Content, Context, SPECVERSION, Subject};
pub use cloudevent::{
    CloudEvent, DecodeError, Decoded, Encoded, Form, MAX_DATA, decode, encode, encode_owned, encode_structured, event_time,
    validate_cloudevent,
};
pub use emit::{
    Answer, ArtifactPublished, Asked, BuildExtended, BuildFinished, BuildLaunched, BuildReaped, BuildRefused, BuildRequeued,
    BuildRouted, BuildStarted, CancelRequested, Cause, Change, ColumnJudged, DriftCleared, DriftDetected, Drifted, EmitError,
    ExecutorHeard, MetricJudged, ModelEvaluated, ModelPromoted, ModelRejected, ModelRolledBack, OfRun, Outgoing, ReferencePinned,
    Retrain, RetrainingFinished, RetrainingRequested, RetrainingSkipped, RollBack, RoutedOf, RoutedView, RunEnd, SOURCE, Says,
    ServiceChanged, Thread, Told, TrainingBuild, Why, WhyOf, WindowJudged, Words, custom_data, finished, starting_trace,
};
pub use heartbeat::{BreakerState, Heartbeat};
pub use identity::{
    BuildKey, InvalidBuildKey, attempt_event_id, caused_event_id, content_digest, derived_chain_id, derived_traceparent,
    message_id,
};
pub use ledger::{
    Attempt, Bound, Cancelled, Condemned, Decided, Decision, MAX_ATTEMPTS, MAX_REROUTES, MAX_RESULT, Outcome, Record, Request,
    RequestOf, RequestView, Routing, Standing,
};
pub use limit::{InvalidTimeLimit, Limits, TimeLimit};
pub use reason::{Class, Reason};
pub use subject::{Clock, ClockKind, InvalidClock, TRAINER, ci, dead, tenant_of, token, yard};
pub use violation::Violation;
pub use vocabulary::{Definition, EventType, Field, Kind, Version, definitions, validate};
