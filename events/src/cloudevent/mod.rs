//! CloudEvents on NATS: every form that emitters use is read, binary mode is written.
//!
//! Headers are plain pairs here; this crate knows no NATS client. The event itself is the SDK's; reading, writing and checking
//! are ours, because the SDK knows neither binary mode nor percent-encoding on NATS and checks too little.

mod attributes;
mod decode;
mod encode;
mod error;
mod event;
mod percent;
mod structured;
mod validate;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use decode::{Decoded, Form, decode};
pub use encode::{Encoded, encode, encode_owned};
pub use error::DecodeError;
pub use event::CloudEvent;
pub use structured::encode_structured;
pub use validate::{event_time, validate as validate_cloudevent};

use attributes::Attributes;

/// The most bytes of data that an event may carry.
pub const MAX_DATA: usize = 512 * 1024;

/// The most that is parsed as JSON: [`MAX_DATA`] in base64 and the attributes, and what a NATS server takes by default.
const MAX_PAYLOAD: usize = 1024 * 1024;
