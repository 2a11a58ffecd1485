//! Looking at what is stored: a message by its place, the records of the ledger.

use async_nats::jetstream::{
    kv::{Entry, Operation},
    message::StreamMessage,
    stream::{LastRawMessageErrorKind, RawMessageErrorKind},
};
use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use switchyard_events::{BuildKey, Clock, Record, starting_trace};

use crate::{Bus, Delivery, delivery::read_event, publish::log_key};

/// What is stored could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {error}")]
pub struct StoredError {
    what: String,
    error: String,
}

impl StoredError {
    /// What could not be read, and why.
    pub fn new(what: impl Into<String>, error: impl Into<String>) -> Self {
        Self { what: what.into(), error: error.into() }
    }
}

impl StoredError {
    pub(crate) fn of(what: String, error: String) -> Self {
        Self { what, error }
    }
}

impl Bus {
    /// The event at that place of a stream; `None` where the stream no longer has it, or it can no longer be read.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn fetch(&self, stream: &str, sequence: u64) -> Result<Option<Delivery>, StoredError> {
        let failed = |error: String| StoredError { what: format!("{stream}/{sequence}"), error };
        let handle = self.js.get_stream_no_info(stream).await.map_err(|error| failed(error.to_string()))?;
        let message = match handle.get_raw_message(sequence).await {
            Ok(message) => message,
            Err(error) if matches!(error.kind(), RawMessageErrorKind::NoMessageFound) => return Ok(None),
            Err(error) => return Err(failed(error.to_string())),
        };
        Ok(delivery(stream, &message))
    }

    /// The last event on a subject of a stream; `None` where there is none, or it can no longer be read.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn last(&self, stream: &str, subject: &str) -> Result<Option<Delivery>, StoredError> {
        let failed = |error: String| StoredError { what: format!("{stream} {subject}"), error };
        let handle = self.js.get_stream_no_info(stream).await.map_err(|error| failed(error.to_string()))?;
        match handle.get_last_raw_message_by_subject(subject).await {
            Ok(message) => Ok(delivery(stream, &message)),
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => Ok(None),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Every record of the ledger; one that cannot be read is left out with a warning.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn records(&self) -> Result<Vec<(BuildKey, Record)>, StoredError> {
        let failed = |error: async_nats::Error| StoredError { what: "ledger".into(), error: error.to_string() };
        let store = self.builds().await.map_err(failed)?;
        // Not `store.status()`: that is what was true when the bucket was opened.
        if store.stream.get_info().await.map_err(|error| failed(error.into()))?.state.messages == 0 {
            return Ok(Vec::new());
        }
        let mut entries = store.watch_with_history(">").await.map_err(|error| failed(error.into()))?;
        let mut records = Vec::new();
        while let Some(entry) = entries.next().await {
            let entry = entry.map_err(|error| failed(error.into()))?;
            records.extend(record(&entry));
            if entry.delta == 0 {
                break;
            }
        }
        Ok(records)
    }

    /// The clocks of an executor that are armed.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn armed(&self, executor: &str) -> Result<Vec<Clock>, StoredError> {
        let failed = |error: String| StoredError { what: format!("clocks of {executor}"), error };
        let stream = self.js.get_stream_no_info("TIMERS").await.map_err(|error| failed(error.to_string()))?;
        let filter = format!("timer.{}.>", switchyard_events::token(executor));
        let mut subjects = stream.info_with_subjects(filter).await.map_err(|error| failed(error.to_string()))?;
        let mut clocks = Vec::new();
        while let Some(subject) = subjects.next().await {
            let (subject, _) = subject.map_err(|error| failed(error.to_string()))?;
            clocks.extend(Clock::armed(&subject));
        }
        Ok(clocks)
    }

    /// The end of what an attempt has said, where it was kept.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn log(&self, build: &BuildKey, attempt: u32) -> Result<Option<String>, StoredError> {
        let failed = |error: String| StoredError { what: format!("log of build {build}"), error };
        let store = self.js.get_key_value("logs").await.map_err(|error| failed(error.to_string()))?;
        let kept = store.get(log_key(build, attempt)).await.map_err(|error| failed(error.to_string()))?;
        Ok(kept.map(|text| String::from_utf8_lossy(&text).into_owned()))
    }

    /// A name for this installation, which no other has: it begins when its ledger is made.
    ///
    /// # Errors
    /// When the broker does not answer, or has no ledger yet.
    pub async fn installation(&self) -> Result<String, StoredError> {
        let failed = |error: async_nats::Error| StoredError { what: "ledger".into(), error: error.to_string() };
        let store = self.builds().await.map_err(failed)?;
        Ok(format!("{:x}", store.stream.cached_info().created.unix_timestamp_nanos()))
    }

    /// Every record of the ledger as it stands, and then each again whenever it changes; it never ends by itself.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn follow(&self) -> Result<impl Stream<Item = Result<(BuildKey, Record), StoredError>> + use<>, StoredError> {
        let failed = |error: async_nats::Error| StoredError { what: "ledger".into(), error: error.to_string() };
        let store = self.builds().await.map_err(failed)?;
        let entries = store.watch_with_history(">").await.map_err(|error| failed(error.into()))?;
        Ok(entries.filter_map(move |entry| {
            std::future::ready(entry.map_or_else(|error| Some(Err(failed(error.into()))), |entry| record(&entry).map(Ok)))
        }))
    }
}

fn delivery(stream: &str, message: &StreamMessage) -> Option<Delivery> {
    let event = read_event(Some(&message.headers), &message.payload).ok()?;
    Some(Delivery {
        subject: message.subject.to_string(),
        stream: stream.to_owned(),
        sequence: message.sequence,
        delivered: 1,
        stored: Timestamp::from_nanosecond(message.time.unix_timestamp_nanos()).unwrap_or_default(),
        trace: starting_trace(&event),
        event,
    })
}

fn record(entry: &Entry) -> Option<(BuildKey, Record)> {
    if entry.operation != Operation::Put {
        return None;
    }
    match (entry.key.parse(), serde_json::from_slice(&entry.value)) {
        (Ok(build), Ok(record)) => return Some((build, record)),
        (_, Err(error)) => tracing::warn!(key = entry.key, %error, "not a record"),
        (Err(error), _) => tracing::warn!(key = entry.key, %error, "not a build"),
    }
    None
}
