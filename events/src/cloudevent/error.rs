//! Why a message is no event that we read.

use crate::{CdEventError, Violation};

/// Why a message could not be read as an event. Names the attribute and the rule, or the place in the JSON text.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Nothing says what the message is: no header, no `specversion`, no `context` and `subject`.
    #[error("neither a CloudEvent nor a CDEvent: {0}")]
    Unrecognised(&'static str),
    /// Several events in one message, which the NATS binding does not know.
    #[error("a batch of CloudEvents: on NATS each event is a message of its own")]
    Batch,
    /// A CloudEvents format other than JSON.
    #[error("the event format `{0}` is not supported, only application/cloudevents+json")]
    Format(String),
    /// The data, or the message that holds it, is too large.
    #[error("{size} bytes, over the limit of {limit}")]
    TooLarge {
        /// The size seen.
        size: usize,
        /// The limit it is over.
        limit: usize,
    },
    /// The text is not JSON; says line and column.
    #[error("not a JSON event: {0}")]
    Json(#[from] serde_json::Error),
    /// An attribute breaks a rule of CloudEvents.
    #[error("CloudEvents attribute {0}")]
    Attribute(#[from] Violation),
    /// A bare CDEvent that cannot be read.
    #[error(transparent)]
    CdEvent(#[from] CdEventError),
}
