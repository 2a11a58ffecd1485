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
    said(&reply.payload)
}

fn said(acknowledgement: &[u8]) -> Option<String> {
    // Where there is an error it stands before everything else.
    if acknowledgement.starts_with(br#"{"stream":"#) {
        return None;
    }
    match serde_json::from_slice::<Acknowledgement<'_>>(acknowledgement) {
        Ok(Acknowledgement { error: None }) => None,
        Ok(Acknowledgement { error: Some(problem) }) if problem.err_code == WRONG_LAST_SEQUENCE => None,
        Ok(Acknowledgement { error: Some(problem) }) => Some(problem.description.into_owned()),
        Err(error) => Some(format!("the broker's acknowledgement: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_stored_unless_the_broker_names_a_problem() {
        for stored in [
            r#"{"stream":"YARD", "seq":7}"#,
            r#"{"stream":"YARD","domain":"hub","seq":7,"duplicate":true}"#,
            r#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 3"},"stream":"YARD","seq":0}"#,
        ] {
            assert_eq!(said(stored.as_bytes()), None, "{stored}");
        }
        let full = r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"},"stream":"YARD","seq":0}"#;
        assert_eq!(said(full.as_bytes()).unwrap(), "maximum messages exceeded");
        assert!(said(b"-").unwrap().starts_with("the broker's acknowledgement: "));
    }
}
