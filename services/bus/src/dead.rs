//! Dead letters: what cannot be handled is kept with its reason, and can be published again.

use async_nats::{HeaderMap, HeaderName, HeaderValue, header};
use bytes::Bytes;

use crate::Bus;

/// A message that no service could handle, with its original bytes.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The stream that it was in.
    pub stream: String,
    /// The consumer that gave up on it.
    pub durable: String,
    /// The subject that it was published on.
    pub subject: String,
    /// Its sequence in its stream.
    pub sequence: u64,
    /// Why it could not be handled.
    pub reason: String,
    /// Its original headers.
    pub headers: HeaderMap,
    /// Its original payload.
    pub payload: Bytes,
}

/// A dead letter could not be written, read or replayed.
#[derive(Debug, thiserror::Error)]
#[error("dead letter {0}: {1}")]
pub struct DeadLetterError(String, String);

const STREAM: &str = "Switchyard-Dead-Stream";
const DURABLE: &str = "Switchyard-Dead-Consumer";
const SUBJECT: &str = "Switchyard-Dead-Subject";
const SEQUENCE: &str = "Switchyard-Dead-Sequence";
const REASON: &str = "Switchyard-Dead-Reason";

impl Bus {
    /// Keeps a dead letter; twice the same one is kept once.
    pub(crate) async fn write_dead(&self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        let name = format!("{}/{}", letter.stream, letter.sequence);
        let failed = |error: String| DeadLetterError(name.clone(), error);
        let id = format!("dead:{}:{}:{}", letter.stream, letter.durable, letter.sequence);
        let mut headers = original(letter.headers);
        for (key, value) in [
            (STREAM, letter.stream.as_str()),
            (DURABLE, &letter.durable),
            (SUBJECT, &letter.subject),
            (SEQUENCE, &letter.sequence.to_string()),
            (REASON, &one_line(&letter.reason)),
        ] {
            headers.insert(HeaderName::from_static(key), HeaderValue::from(value));
        }
        headers.insert(header::NATS_MESSAGE_ID, id.as_str());
        let subject = switchyard_events::dead(&letter.stream, &letter.durable);
        let sent =
            self.js.publish_with_headers(subject, headers, letter.payload).await.map_err(|error| failed(error.to_string()))?;
        sent.await.map(drop).map_err(|error| failed(error.to_string()))
    }

    /// Publishes a dead letter again where it came from, once per letter.
    ///
    /// # Errors
    /// When it is not there, or the stream does not take it.
    pub async fn replay(&self, dead_sequence: u64) -> Result<DeadLetter, DeadLetterError> {
        let failed = |error: String| DeadLetterError(dead_sequence.to_string(), error);
        let stream = self.js.get_stream("DEAD").await.map_err(|error| failed(error.to_string()))?;
        let message = stream.get_raw_message(dead_sequence).await.map_err(|error| failed(error.to_string()))?;
        let letter = DeadLetter::of(message.headers, message.payload).ok_or_else(|| failed("is not one".into()))?;
        let mut headers = letter.headers.clone();
        headers.insert(header::NATS_MESSAGE_ID, format!("replay:{dead_sequence}").as_str());
        let sent = self.js.publish_with_headers(letter.subject.clone(), headers, letter.payload.clone()).await;
        sent.map_err(|error| failed(error.to_string()))?.await.map_err(|error| failed(error.to_string()))?;
        Ok(letter)
    }
}

impl DeadLetter {
    /// Reads a message of the DEAD stream; `None` where it is no dead letter.
    #[must_use]
    pub fn of(headers: HeaderMap, payload: Bytes) -> Option<Self> {
        let field = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
        Some(Self {
            stream: field(STREAM)?,
            durable: field(DURABLE)?,
            subject: field(SUBJECT)?,
            sequence: field(SEQUENCE)?.parse().ok()?,
            reason: field(REASON)?,
            headers: original(headers),
            payload,
        })
    }
}

/// The headers that the publisher wrote: not the broker's, not ours.
fn original(headers: HeaderMap) -> HeaderMap {
    let foreign = |name: &str| !name.starts_with("Nats-") && !name.starts_with("Switchyard-Dead-");
    headers
        .iter()
        .filter(|(name, _)| foreign(name.as_ref()))
        .flat_map(|(name, values)| values.iter().map(|v| (name.clone(), v.clone())))
        .collect()
}

/// A text that may stand in a header.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(2000).collect()
}
