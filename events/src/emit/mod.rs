//! The events that we emit: what each says, its id, and the subject it travels on.
//!
//! Ids, times and bytes come from the arguments alone, so that whoever emits an event a second time emits the same one.

mod answer;
mod asked;
mod cancel;
mod datawindow;
mod ended;
mod envelope;
mod reaped;
mod retraining;
mod routed;
mod training;
mod under_way;
mod written;

pub use answer::Answer;
pub use asked::{Asked, OfRun, Retrain, RollBack};
pub use cancel::{BuildExtended, CancelRequested};
pub use datawindow::{ColumnJudged, MetricJudged, WindowJudged};
pub use ended::{BuildFinished, finished};
pub use reaped::{BuildReaped, ExecutorHeard};
pub use retraining::{
    ArtifactPublished, Cause, Change, DriftCleared, DriftDetected, Drifted, ModelEvaluated, ModelPromoted, ModelRejected,
    ModelRolledBack, ReferencePinned, RetrainingFinished, RetrainingRequested, RetrainingSkipped, RunEnd, ServiceChanged,
    TrainingBuild,
};
pub use routed::{BuildRefused, BuildRequeued, BuildRouted, RoutedOf, RoutedView, Why, WhyOf, Words};
pub use training::{Says, Thread, Told};
pub use under_way::{BuildLaunched, BuildStarted};

use cloudevents::{Event, EventBuilder as _, EventBuilderV10};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use envelope::Envelope;

use crate::{
    BuildKey, CdEvent, CdEventError, Clock, CloudEvent, RequestOf, caused_event_id, cdevent::attributes, derived_traceparent,
};

/// The source of every event that Switchyard emits: one constant per installation.
pub const SOURCE: &str = "/switchyard";

/// An event of ours, ready to be stored.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where it goes.
    pub subject: String,
    /// What it says.
    pub event: Event,
    /// Whether its subject may hold only one event, ever.
    pub once: bool,
}

/// An event of ours that cannot be written: its cause holds something that no event may hold.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// An attribute is not valid.
    #[error(transparent)]
    Attribute(#[from] CdEventError),
    /// A value has no JSON form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// What every event about a build has in common.
struct About<'a, T = String, C = serde_json::Value> {
    event_type: &'a str,
    id: String,
    at: Timestamp,
    subject_id: &'a str,
    subject_source: Option<&'a str>,
    request: &'a RequestOf<T, C>,
}

impl<T: AsRef<str>, C> About<'_, T, C> {
    fn event(&self, content: Option<&serde_json::Value>, custom_data: &impl Serialize) -> Result<Event, EmitError> {
        let data = Envelope::new(self, content, custom_data).to_vec()?;
        let mut event = attributes(&self.id, SOURCE, self.event_type, self.subject_id, self.at)?;
        event.set_data_unchecked(data);
        event.set_extension("traceparent", self.request.trace.as_ref());
        Ok(event)
    }
}

/// Reads the custom data of an event of ours.
///
/// # Errors
/// When there is none, or it is not what `T` wants.
pub fn custom_data<T: DeserializeOwned>(event: &CdEvent<'_>) -> Result<T, serde_json::Error> {
    serde_json::from_str(event.custom_data.as_deref().map_or("null", serde_json::value::RawValue::get))
}

/// As [`CloudEvent::starting_trace`], of an event of the SDK's.
#[must_use]
pub fn starting_trace(event: &Event) -> String {
    CloudEvent::of(event).starting_trace()
}

impl CloudEvent<'_> {
    /// The trace that an event starts or belongs to: its `traceparent` extension, else one derived from what it names.
    #[must_use]
    pub fn starting_trace(&self) -> String {
        self.starts().0
    }

    /// The same, and the key of the build that the event names, where the trace is derived from that.
    #[must_use]
    pub fn starts(&self) -> (String, Option<BuildKey>) {
        if let Some(carried) = self.extension("traceparent").filter(|text| is_traceparent(text)) {
            return (carried.to_owned(), None);
        }
        let build = BuildKey::of(&self.source, self.subject.as_deref().unwrap_or_default(), &self.id);
        (derived_traceparent(&build), Some(build))
    }
}

/// W3C Trace Context, version 00: `00-<32 hex>-<16 hex>-<2 hex>`, neither id all zeros.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let hex = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let [version, trace, span, flags] = parts[..] else { return false };
    let some = |id: &str| id.bytes().any(|b| b != b'0');
    hex(version, 2) && version != "ff" && hex(trace, 32) && some(trace) && hex(span, 16) && some(span) && hex(flags, 2)
}

impl Clock {
    const TYPE: &str = "dev.cdeventsx.switchyard-clock.fired.0.1.0";

    /// What is delivered when the clock runs out.
    ///
    /// # Errors
    /// When `trace` cannot stand in an event.
    pub fn event(&self, at: Timestamp, trace: &str) -> Result<Event, EmitError> {
        let subject = self.fire_subject();
        let id = caused_event_id(SOURCE, &at.to_string(), Self::TYPE, &subject);
        let builder =
            EventBuilderV10::new().id(id).source(SOURCE).ty(Self::TYPE).subject(subject).extension("traceparent", trace);
        builder
            .build()
            .map_err(|_| EmitError::Attribute(CdEventError::Envelope(crate::Violation::new("traceparent", "must be text"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_taken_only_where_it_is_one() {
        let with = |text: &str| {
            let mut event = EventBuilderV10::new().id("1").source("/a").ty("t").subject("s").build().unwrap();
            event.set_extension("traceparent", text);
            starting_trace(&event)
        };
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(with(good), good);
        let derived = derived_traceparent(&BuildKey::of("/a", "s", "1"));
        for bad in ["", "00-0-0-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "garbage"] {
            assert_eq!(with(bad), derived, "{bad}");
        }
    }
}
