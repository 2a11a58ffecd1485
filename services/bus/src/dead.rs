//! Dead letters: what cannot be handled is kept with its reason, and can be published again.

use async_nats::{
    HeaderMap, HeaderName, HeaderValue,
    datetime::DateTime,
    header,
    jetstream::{consumer::pull::OrderedConfig, message::StreamMessage},
};
use bytes::Bytes;
use futures::StreamExt as _;
use jiff::Timestamp;

use crate::{Bus, Published};

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

/// A dead letter where it is kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its sequence in the stream of dead letters: what it is called there.
    pub sequence: u64,
    /// When it was put there.
    pub at: Timestamp,
    /// How many bytes its payload has, also where a list leaves it out.
    pub size: usize,
    /// The letter.
    pub letter: DeadLetter,
}

/// A dead letter could not be written, read or replayed.
#[derive(Debug, thiserror::Error)]
#[error("dead letter {0}: {1}")]
pub struct DeadLetterError(String, String);

const DEAD: &str = "DEAD";
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
        let mut headers = original(&letter.headers);
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

    /// Every dead letter, the oldest first; without payloads.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn dead_letters(&self) -> Result<Vec<Kept>, DeadLetterError> {
        let failed = |error: String| DeadLetterError("list".into(), error);
        let stream = self.js.get_stream(DEAD).await.map_err(|error| failed(error.to_string()))?;
        let mut letters = Vec::new();
        if stream.cached_info().state.messages == 0 {
            return Ok(letters);
        }
        let config = OrderedConfig { headers_only: true, ..OrderedConfig::default() };
        let consumer = stream.create_consumer(config).await.map_err(|error| failed(error.to_string()))?;
        let mut messages = consumer.messages().await.map_err(|error| failed(error.to_string()))?;
        while let Some(message) = messages.next().await {
            let message = message.map_err(|error| failed(error.to_string()))?;
            let info = message.info().map_err(|error| failed(error.to_string()))?;
            let (sequence, at, pending) = (info.stream_sequence, info.published, info.pending);
            let kept = Kept::of(sequence, at, message.headers.clone().unwrap_or_default(), message.payload.clone());
            if kept.is_none() {
                tracing::warn!(sequence, "not a dead letter");
            }
            letters.extend(kept);
            if pending == 0 {
                break;
            }
        }
        Ok(letters)
    }

    /// One dead letter, whole.
    ///
    /// # Errors
    /// When it is not there, or is none.
    pub async fn dead_letter(&self, sequence: u64) -> Result<Kept, DeadLetterError> {
        let failed = |error: String| DeadLetterError(sequence.to_string(), error);
        let stream = self.js.get_stream_no_info(DEAD).await.map_err(|error| failed(error.to_string()))?;
        let StreamMessage { time, headers, payload, .. } =
            stream.get_raw_message(sequence).await.map_err(|error| failed(error.to_string()))?;
        Kept::of(sequence, time, headers, payload).ok_or_else(|| failed("is not one".into()))
    }

    /// Publishes a dead letter again where it came from, once per letter; it stays in DEAD. Says whether it was replayed before.
    ///
    /// # Errors
    /// When it is not there, or the stream does not take it.
    pub async fn replay(&self, sequence: u64) -> Result<(Kept, Published), DeadLetterError> {
        let failed = |error: String| DeadLetterError(sequence.to_string(), error);
        let kept = self.dead_letter(sequence).await?;
        let DeadLetter { subject, mut headers, payload, .. } = kept.letter.clone();
        headers.insert(header::NATS_MESSAGE_ID, format!("replay:{sequence}").as_str());
        let sent = self.js.publish_with_headers(subject, headers, payload).await;
        let ack = sent.map_err(|error| failed(error.to_string()))?.await.map_err(|error| failed(error.to_string()))?;
        Ok((kept, if ack.duplicate { Published::Already } else { Published::New }))
    }

    /// Removes a dead letter for good, and answers what it was.
    ///
    /// # Errors
    /// When it is not there, or the broker does not remove it.
    pub async fn drop_dead(&self, sequence: u64) -> Result<Kept, DeadLetterError> {
        let failed = |error: String| DeadLetterError(sequence.to_string(), error);
        let kept = self.dead_letter(sequence).await?;
        let stream = self.js.get_stream_no_info(DEAD).await.map_err(|error| failed(error.to_string()))?;
        stream.delete_message(sequence).await.map_err(|error| failed(error.to_string()))?;
        Ok(kept)
    }
}

impl Kept {
    fn of(sequence: u64, at: DateTime, headers: HeaderMap, payload: Bytes) -> Option<Self> {
        let at = Timestamp::from_nanosecond(at.unix_timestamp_nanos()).unwrap_or_default();
        // The broker says it where it leaves the payload out.
        let size = headers.get("Nats-Msg-Size").and_then(|size| size.as_str().parse().ok()).unwrap_or(payload.len());
        Some(Self { sequence, at, size, letter: DeadLetter::of(headers, payload)? })
    }
}

impl DeadLetter {
    /// Reads a message of the DEAD stream; `None` where it is no dead letter.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a letter is made out of the message that it was")]
    pub fn of(headers: HeaderMap, payload: Bytes) -> Option<Self> {
        let field = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
        Some(Self {
            stream: field(STREAM)?,
            durable: field(DURABLE)?,
            subject: field(SUBJECT)?,
            sequence: field(SEQUENCE)?.parse().ok()?,
            reason: field(REASON)?,
            headers: original(&headers),
            payload,
        })
    }
}

/// The headers that the publisher wrote: not the broker's, not ours.
fn original(headers: &HeaderMap) -> HeaderMap {
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
