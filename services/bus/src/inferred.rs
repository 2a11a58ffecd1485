//! Reading what models have seen: one partition of stream INFERENCE, in order, from a place that the reader knows.

use std::time::Duration;

use async_nats::{
    HeaderMap,
    jetstream::consumer::{AckPolicy, DeliverPolicy, pull},
};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use jiff::Timestamp;

use crate::{Bus, DeadLetter, StoredError};

const INFERENCE: &str = "INFERENCE";

/// How much is on its way to a reader at most: messages are up to a megabyte, and a server cuts off whoever has 64 MB waiting.
const BATCH: usize = 500;
const BYTES: usize = 8 << 20;

/// How long one request for messages stands, and how often the server says that it still does.
const EXPIRES: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Who a dead letter of this stream is from.
const TRAINER: &str = "trainer";

/// A message of a partition, not read yet.
#[derive(Clone, Debug)]
pub struct Inferred {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// When the stream took it.
    pub stored: Timestamp,
    /// How many of the partition come after it.
    pub pending: u64,
    /// Its subject.
    pub subject: String,
    /// Its headers.
    pub headers: Option<HeaderMap>,
    /// Its payload.
    pub payload: Bytes,
}

/// A consumer that is gone with its reader: nothing of it is kept, and nothing is acknowledged.
fn reader(subject: &str, deliver_policy: DeliverPolicy) -> pull::Config {
    pull::Config {
        filter_subject: subject.to_owned(),
        deliver_policy,
        ack_policy: AckPolicy::None,
        max_deliver: 1,
        inactive_threshold: 2 * EXPIRES,
        num_replicas: 1,
        memory_storage: true,
        ..pull::Config::default()
    }
}

impl Bus {
    /// What is on a subject of stream INFERENCE after a sequence, in order, and then whatever comes. Whoever gets an error reads
    /// on from the last message that he has.
    ///
    /// # Errors
    /// When the broker does not answer; an item where it no longer does, or where messages were lost on their way.
    pub async fn inferred(
        &self,
        subject: &str,
        after: u64,
    ) -> Result<impl Stream<Item = Result<Inferred, StoredError>> + Send + use<>, StoredError> {
        let what = subject.to_owned();
        let failed = move |error: String| StoredError::new(what.clone(), error);
        let stream = self.js.get_stream_no_info(INFERENCE).await.map_err(|error| failed(error.to_string()))?;
        let deliver_policy = DeliverPolicy::ByStartSequence { start_sequence: after + 1 };
        let consumer =
            stream.create_consumer(reader(subject, deliver_policy)).await.map_err(|error| failed(error.to_string()))?;
        let pulling = consumer.stream().max_messages_per_batch(BATCH).max_bytes_per_batch(BYTES);
        let messages =
            pulling.expires(EXPIRES).heartbeat(HEARTBEAT).messages().await.map_err(|error| failed(error.to_string()))?;
        let mut delivered = 0;
        Ok(messages.map(move |message| {
            let message = message.map_err(|error| failed(error.to_string()))?;
            let info = message.info().map_err(|error| failed(error.to_string()))?;
            if info.consumer_sequence != delivered + 1 {
                return Err(failed(format!("delivery {} came after {delivered}: messages were lost", info.consumer_sequence)));
            }
            delivered = info.consumer_sequence;
            let (sequence, pending) = (info.stream_sequence, info.pending);
            let stored = Timestamp::from_nanosecond(info.published.unix_timestamp_nanos()).unwrap_or_default();
            let async_nats::Message { subject, headers, payload, .. } = message.message;
            Ok(Inferred { sequence, stored, pending, subject: subject.to_string(), headers, payload })
        }))
    }

    /// The first sequence that stream INFERENCE still has: what was before it and not read is lost.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn first_inferred(&self) -> Result<u64, StoredError> {
        let failed = |error: String| StoredError::new(INFERENCE, error);
        let stream = self.js.get_stream(INFERENCE).await.map_err(|error| failed(error.to_string()))?;
        Ok(stream.cached_info().state.first_sequence)
    }

    /// Keeps a message of stream INFERENCE that cannot be read, with the reason; twice the same one is kept once.
    ///
    /// # Errors
    /// When stream DEAD does not take it.
    pub async fn bury_inferred(&self, message: &Inferred, reason: String) -> Result<(), StoredError> {
        let letter = DeadLetter {
            stream: INFERENCE.to_owned(),
            durable: TRAINER.to_owned(),
            subject: message.subject.clone(),
            sequence: message.sequence,
            reason,
            headers: message.headers.clone().unwrap_or_default(),
            payload: message.payload.clone(),
        };
        self.write_dead(letter).await.map_err(|error| StoredError::new("DEAD", error.to_string()))
    }
}
