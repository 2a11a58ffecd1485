//! Time limits as scheduled messages of the broker: nobody has to be alive while they run.

use std::{future::Future, str::FromStr as _};

use async_nats::{HeaderName, HeaderValue, header};
use jiff::Timestamp;
use switchyard_events::{Clock, Encoded, encode_owned};

use crate::{Bus, publish::headers};

/// A clock could not be armed or stopped.
#[derive(Debug, thiserror::Error)]
#[error("clock {subject}: {reason}")]
pub struct ClockError {
    /// Where it is armed.
    pub subject: String,
    /// What went wrong.
    pub reason: String,
}

/// Where clocks are counted.
pub trait Clocks: Send + Sync {
    /// Has a clock fire at a time; a past one fires at once. Arming again replaces it. `trace` is the build's own.
    fn arm(&self, clock: &Clock, at: Timestamp, trace: &str) -> impl Future<Output = Result<(), ClockError>> + Send;

    /// Stops a clock; one that has fired or was never armed is no error.
    fn disarm(&self, clock: &Clock) -> impl Future<Output = Result<(), ClockError>> + Send;
}

/// A clock that nobody has listened to for so long is history; the sweep has seen to it.
const KEPT: &str = "168h";

impl Clocks for Bus {
    async fn arm(&self, clock: &Clock, at: Timestamp, trace: &str) -> Result<(), ClockError> {
        let subject = clock.timer_subject();
        let failed = |reason: String| ClockError { subject: subject.clone(), reason };
        let event = clock.event(at, trace).map_err(|error| failed(error.to_string()))?;
        let Encoded { headers: pairs, payload } = encode_owned(event).map_err(|violation| failed(violation.to_string()))?;
        let mut headers = headers(pairs).ok_or_else(|| failed("cannot be written as headers".into()))?;
        let schedule = HeaderValue::from_str(&format!("@at {at:.3}")).map_err(|error| failed(error.to_string()))?;
        headers.insert(header::NATS_SCHEDULE, schedule);
        headers.insert(header::NATS_SCHEDULE_TARGET, clock.fire_subject().as_str());
        headers.insert(header::NATS_SCHEDULE_TTL, KEPT);
        if let (Ok(name), Ok(value)) = (HeaderName::from_str("traceparent"), HeaderValue::from_str(trace)) {
            headers.insert(name, value);
        }
        let sent =
            self.js.publish_with_headers(subject.clone(), headers, payload).await.map_err(|error| failed(error.to_string()))?;
        sent.await.map(drop).map_err(|error| failed(error.to_string()))
    }

    async fn disarm(&self, clock: &Clock) -> Result<(), ClockError> {
        let subject = clock.timer_subject();
        let failed = |reason: String| ClockError { subject: subject.clone(), reason };
        let stream = self.js.get_stream_no_info("TIMERS").await.map_err(|error| failed(error.to_string()))?;
        stream.purge().filter(&subject).await.map(drop).map_err(|error| failed(error.to_string()))
    }
}
