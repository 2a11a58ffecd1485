//! Messages whose headers the client library cannot read.
//!
//! The broker does not look at headers, so a publisher may send what are none. Whoever is handed such a message loses the connection;
//! a carriage return inside a value even ends the task of the library that keeps it. And then the message is delivered again. So
//! before a consumer is asked on a new connection, what was delivered and not answered is looked at in the form in which headers are
//! bytes, and what cannot be read goes to DEAD and off its stream.

use std::str::FromStr as _;

use async_nats::{
    HeaderMap, HeaderName, HeaderValue,
    jetstream::{AckKind, ErrorCode, consumer::Info, response::Response},
};
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::json;
use tracing::warn;

use crate::{Bus, ConsumeError, DeadLetter, Durable};

/// How far back from the last message that was delivered: one that cannot be read is delivered again every few seconds.
const LOOK_BACK: u64 = 2000;

/// How much of a line is told.
const TOLD: usize = 200;

#[derive(Deserialize)]
struct Removed {}

#[derive(Deserialize)]
struct Found {
    message: Stored,
}

/// A message as the broker's own interface shows it: bytes are in base64.
#[derive(Deserialize)]
struct Stored {
    subject: String,
    seq: u64,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
}

impl Bus {
    /// Puts the messages of a consumer that nobody can read among the dead letters. Only others' streams hold any.
    pub(crate) async fn bury_malformed(&self, durable: &Durable, consumer: &Info) -> Result<(), ConsumeError> {
        if durable.stream != "CI" || consumer.num_ack_pending == 0 {
            return Ok(());
        }
        let last = consumer.delivered.stream_sequence;
        let first = (consumer.ack_floor.stream_sequence + 1).max(last.saturating_sub(LOOK_BACK));
        let filters = match (consumer.config.filter_subject.as_str(), &consumer.config.filter_subjects[..]) {
            ("", []) => vec![">"],
            ("", many) => many.iter().map(String::as_str).collect(),
            (one, _) => vec![one],
        };
        for filter in filters {
            let mut from = first;
            while let Some(stored) = self.stored_from(durable, from, filter).await?.filter(|stored| stored.seq <= last) {
                from = stored.seq + 1;
                self.bury_if_malformed(durable, stored).await?;
            }
        }
        Ok(())
    }

    /// The first message from there on, if there is any.
    async fn stored_from(&self, durable: &Durable, sequence: u64, filter: &str) -> Result<Option<Stored>, ConsumeError> {
        let wanted = json!({"seq": sequence, "next_by_subj": filter});
        match self.js.request(format!("STREAM.MSG.GET.{}", durable.stream), &wanted).await {
            Ok(Response::Ok(Found { message })) => Ok(Some(message)),
            Ok(Response::Err { error }) if error.code() == 404 => Ok(None),
            Ok(Response::Err { error }) => Err(ConsumeError::of(durable, error)),
            Err(error) => Err(ConsumeError::of(durable, error)),
        }
    }

    async fn bury_if_malformed(
        &self,
        durable: &Durable,
        Stored { subject, seq, hdrs, data }: Stored,
    ) -> Result<(), ConsumeError> {
        let bytes = |text: &str| BASE64.decode(text.as_bytes()).map_err(|error| ConsumeError::of(durable, error));
        let (headers, wrong) = read(&bytes(&hdrs)?);
        let Some(reason) = wrong.filter(|_| !hdrs.is_empty()) else { return Ok(()) };
        warn!(durable = durable.name, sequence = seq, %reason, "refused");
        let (stream, durable_name, payload) = (durable.stream.to_owned(), durable.name.clone(), bytes(&data)?.into());
        let letter = DeadLetter { stream, durable: durable_name, subject, sequence: seq, reason, headers, payload };
        self.write_dead(letter).await.map_err(|error| ConsumeError::of(durable, error))?;
        // Of the place the broker reads nothing but the sequence in the stream.
        let place = format!("$JS.ACK.{}.{}.1.{seq}.1.0.0", durable.stream, durable.name);
        self.tell(place.into(), AckKind::Term).await;
        self.remove(durable, seq).await
    }

    /// Takes a message off its stream, so that nobody else is handed it. Somebody may have done so before.
    async fn remove(&self, durable: &Durable, sequence: u64) -> Result<(), ConsumeError> {
        let wanted = json!({"seq": sequence, "no_erase": true});
        match self.js.request(format!("STREAM.MSG.DELETE.{}", durable.stream), &wanted).await {
            Ok(Response::Ok(Removed {})) => Ok(()),
            Ok(Response::Err { error }) if matches!(error.error_code(), ErrorCode::STREAM_MESSAGE_DELETE_FAILED) => Ok(()),
            Ok(Response::Err { error }) => Err(ConsumeError::of(durable, error)),
            Err(error) => Err(ConsumeError::of(durable, error)),
        }
    }
}

/// The headers that can be read, and what is wrong with the first of the others.
fn read(block: &[u8]) -> (HeaderMap, Option<String>) {
    let text = String::from_utf8_lossy(block);
    let mut lines = text.lines();
    let (version, mut headers) = (lines.next().unwrap_or_default(), HeaderMap::new());
    let told = |line: &str| line.chars().take(TOLD).collect::<String>();
    let mut wrong = match (std::str::from_utf8(block), version.trim_end()) {
        (Err(_), _) => Some("its headers are not UTF-8".to_owned()),
        (Ok(_), "NATS/1.0") => None,
        (Ok(_), other) => Some(format!("its headers begin with {:?}, not with NATS/1.0 alone", told(other))),
    };
    for line in whole(lines) {
        let header = line
            .split_once(':')
            .and_then(|(name, value)| Some((HeaderName::from_str(name).ok()?, HeaderValue::from_str(value.trim()).ok()?)));
        match header {
            Some((name, value)) => headers.append(name, value),
            None => {
                wrong.get_or_insert_with(|| {
                    format!("{:?} is not a header: <name>: <value>, without control characters", told(&line))
                });
            }
        }
    }
    (headers, wrong)
}

/// The lines, each with those that continue it.
fn whole<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut whole: Vec<String> = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        match whole.last_mut().filter(|_| line.starts_with(char::is_whitespace)) {
            Some(begun) => begun.push_str(line),
            None => whole.push(line.to_owned()),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_header_is_kept_and_the_first_that_is_none_is_told() {
        let block = "NATS/1.0\r\na: b\r\nc: d\re\r\nf g: h\r\ni:  j\r\n k\r\n\r\n";
        let (headers, wrong) = read(block.as_bytes());
        let kept = ["a", "i", "c"].map(|name| headers.get(name).map(HeaderValue::as_str));
        assert_eq!((kept, headers.len()), ([Some("b"), Some("j k"), None], 2));
        assert_eq!(wrong.unwrap(), r#""c: d\re" is not a header: <name>: <value>, without control characters"#);
        for (block, rule) in [
            (&b"NATS/1.0\r\na: \xff\r\n\r\n"[..], "its headers are not UTF-8"),
            (b"NATS/1.0 503\r\n\r\n", r#"its headers begin with "NATS/1.0 503", not with NATS/1.0 alone"#),
            (b"NATS/1.0\r\nno header\r\n\r\n", r#""no header" is not a header: <name>: <value>, without control characters"#),
        ] {
            assert_eq!(read(block).1.as_deref(), Some(rule));
        }
        assert_eq!(read(b"NATS/1.0\r\nce-id: \xc3\xa9:1\r\n\r\n").1, None);
    }
}
