//! What the broker says of an event that was published.

use std::borrow::Cow;

use async_nats::{Message, StatusCode};
use serde::Deserialize;

/// The broker's acknowledgement of a publish, as far as it matters.
#[derive(Deserialize)]
struct Acknowledgement<'a> {
    #[serde(borrow)]
    error: Option<Problem<'a>>,
}

#[derive(Deserialize)]
struct Problem<'a> {
    err_code: u32,
    #[serde(borrow, default)]
    description: Cow<'a, str>,
}

/// What an event that may exist only once gets the second time.
const WRONG_LAST_SEQUENCE: u32 = 10071;

/// Why an answer is not stored; none where it is, or was before.
pub(crate) fn problem(reply: &Message) -> Option<String> {
    if reply.status == Some(StatusCode::NO_RESPONDERS) {
        return Some("no stream takes the answer's subject".into());
    }
    match serde_json::from_slice::<Acknowledgement<'_>>(&reply.payload) {
        Ok(Acknowledgement { error: None }) => None,
        Ok(Acknowledgement { error: Some(problem) }) if problem.err_code == WRONG_LAST_SEQUENCE => None,
        Ok(Acknowledgement { error: Some(problem) }) => Some(problem.description.into_owned()),
        Err(error) => Some(format!("the broker's acknowledgement: {error}")),
    }
}
