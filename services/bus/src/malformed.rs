//! Messages that the client library cannot read.
//!
//! The broker looks neither at headers nor at the characters of a subject, so a publisher may send what are none. Whoever is handed
//! such a message loses the connection; a carriage return inside a header's value even ends the task of the library that keeps it.
//! And then the message is delivered again. So before a consumer is asked on a new connection, what was delivered and not answered
//! is looked at in the form in which headers are bytes, and what cannot be read goes to DEAD and off its stream.

use std::str::FromStr as _;

use async_nats::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    jetstream::{AckKind, ErrorCode, consumer::Info, response::Response},
};
use data_encoding::BASE64;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tracing::warn;

use crate::{Bus, DeadLetter, Durable, topology::reads};

/// So many messages are looked at behind the last that is answered with all before it, and as many up to the last that was delivered;
/// together no fewer than may be unanswered (`max_ack_pending`).
const FAR: u64 = 4096;

/// How much of a line is told.
const TOLD: usize = 200;

/// How many bytes of headers are kept: the broker takes 64 KiB of them, and a dead letter has some of its own.
const KEPT: usize = 8 << 10;

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
    /// Puts what a consumer has delivered and nobody can read among the dead letters. Where that fails it is said, and reading goes on.
    pub(crate) async fn bury_malformed(&self, durable: &Durable, consumer: &Info) {
        if consumer.num_ack_pending == 0 {
            return;
        }
        let (floor, last) = (consumer.ack_floor.stream_sequence, consumer.delivered.stream_sequence);
        for filter in reads(&consumer.config) {
            let filter = if filter.is_empty() { ">" } else { filter };
            let looked = async {
                let next = self.look(durable, filter, (floor + 1, last)).await?;
                self.look(durable, filter, (next.max(last.saturating_sub(FAR - 1)), last)).await
            };
            if let Err(error) = looked.await {
                warn!(durable = durable.name, %error, "whether there are messages that nobody can read is not known");
                return;
            }
        }
    }

    /// Looks at `FAR` messages at most, and says where the next would be.
    async fn look(&self, durable: &Durable, filter: &str, (mut from, to): (u64, u64)) -> Result<u64, String> {
        for _ in 0..FAR {
            let Some(stored) = self.stored_from(durable, filter, from).await?.filter(|stored| stored.seq <= to) else {
                return Ok(to + 1);
            };
            from = stored.seq + 1;
            if let Err(error) = self.bury_if_malformed(durable, stored).await {
                warn!(durable = durable.name, sequence = from - 1, %error, "nobody can read it, and it cannot be buried yet");
            }
        }
        Ok(from)
    }

    /// The first message from there on, if there is any.
    async fn stored_from(&self, durable: &Durable, filter: &str, sequence: u64) -> Result<Option<Stored>, String> {
        match self.ask("STREAM.MSG.GET", durable, json!({"seq": sequence, "next_by_subj": filter})).await? {
            Response::Ok(Found { message }) => Ok(Some(message)),
            Response::Err { error } if error.code() == 404 => Ok(None),
            Response::Err { error } => Err(error.to_string()),
        }
    }

    async fn ask<T: DeserializeOwned>(&self, what: &str, durable: &Durable, wanted: Value) -> Result<Response<T>, String> {
        self.js.request(format!("{what}.{}", durable.stream), &wanted).await.map_err(|error| error.to_string())
    }

    async fn bury_if_malformed(&self, durable: &Durable, message: Stored) -> Result<(), String> {
        let bytes = |text: &str| BASE64.decode(text.as_bytes()).map_err(|error| error.to_string());
        let Stored { subject, seq: sequence, hdrs, data } = message;
        let (headers, wrong) = if hdrs.is_empty() { (HeaderMap::new(), None) } else { read(&bytes(&hdrs)?) };
        let Some(reason) = wrong.or_else(|| wrong_subject(&subject, !hdrs.is_empty())) else { return Ok(()) };
        warn!(durable = durable.name, sequence, %reason, "refused");
        let (stream, by, payload) = (durable.stream.to_owned(), durable.name.clone(), bytes(&data)?.into());
        let letter = DeadLetter { stream, durable: by, subject, sequence, reason, headers, payload };
        self.write_dead(letter).await.map_err(|error| error.to_string())?;
        // Of the place the broker reads nothing but the sequence in the stream.
        let place = format!("$JS.ACK.{}.{}.1.{sequence}.1.0.0", durable.stream, durable.name);
        self.tell(place.into(), AckKind::Term).await;
        // That nobody else is handed it. Another consumer's reader may have done so before.
        match self.ask::<Value>("STREAM.MSG.DELETE", durable, json!({"seq": sequence, "no_erase": true})).await? {
            Response::Err { error } if error.error_code() != ErrorCode::SEQUENCE_NOT_FOUND => Err(error.to_string()),
            Response::Ok(_) | Response::Err { .. } => Ok(()),
        }
    }
}

/// The headers that the library reads, as it reads them, and what is wrong with the first of the others.
fn read(block: &[u8]) -> (HeaderMap, Option<String>) {
    let mut headers = HeaderMap::new();
    let Ok(text) = std::str::from_utf8(block) else { return (headers, Some("its headers are not UTF-8".to_owned())) };
    let mut lines = text.lines().peekable();
    let version = lines.next().unwrap_or_default();
    let mut wrong = (!is_version(version)).then(|| format!("its headers begin with {:?}, not with NATS/1.0", told(version)));
    let mut no_header = |line: &str| {
        wrong.get_or_insert_with(|| format!("{:?} is no header: <name>: <value>, no control characters", told(line)));
    };
    let mut kept = 0;
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let Some((name, value)) = line.split_once(':') else {
            no_header(line);
            continue;
        };
        // Blanks go in front of the first line of a value, and behind its last.
        let mut value = value.trim_start().to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            value.push_str(more);
        }
        let value = value.trim_end();
        kept += name.len() + ": ".len() + value.len() + "\r\n".len();
        match (HeaderName::from_str(name), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) if kept <= KEPT => headers.append(name, value),
            (Ok(_), Ok(_)) => {}
            _ => no_header(&format!("{name}: {value}")),
        }
    }
    (headers, wrong)
}

/// `NATS/1.0`, behind which a status may stand.
fn is_version(line: &str) -> bool {
    let Some(status) = line.strip_prefix("NATS/1.0").map(str::trim) else { return false };
    let code = status.split_once(' ').map_or(status, |(code, _)| code.trim());
    code.is_empty() || code.parse::<StatusCode>().is_ok()
}

/// What is wrong with a subject: the broker's interface shows bytes that are no UTF-8 as U+FFFD, and a message with headers is told
/// apart at every kind of blank.
fn wrong_subject(subject: &str, has_headers: bool) -> Option<String> {
    if subject.contains('\u{fffd}') {
        return Some("its subject is not UTF-8".to_owned());
    }
    (has_headers && subject.contains(char::is_whitespace)).then(|| format!("its subject {:?} holds a blank", told(subject)))
}

fn told(text: &str) -> String {
    text.chars().take(TOLD).collect()
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
        assert_eq!(wrong.unwrap(), r#""c: d\re" is no header: <name>: <value>, no control characters"#);
        let long = format!("NATS/1.0\r\na: {}\r\nb: c\r\n\r\n", "x".repeat(KEPT));
        assert_eq!(read(long.as_bytes()), (HeaderMap::new(), None), "too long to be kept, but not wrong");
    }

    #[test]
    fn what_the_library_reads_is_left_alone() {
        for right in [
            "NATS/1.0\r\n\r\n",
            "NATS/1.0  \r\nce-id: \u{e9}:1\r\nce-id:\r\na:\tb \r\n\r\n",
            "NATS/1.0 503\r\n\r\n",
            "NATS/1.0 408 Request Timeout\n: no name\nlast: line ends in a return\r",
            "NATS/1.0\r\na: b\r\n c\r\n\t\r\n\r\n",
        ] {
            assert_eq!(read(right.as_bytes()).1, None, "{right:?}");
        }
    }

    #[test]
    fn what_the_library_breaks_over_is_told() {
        let none = |line: &str| format!("{line:?} is no header: <name>: <value>, no control characters");
        let version = |line: &str| format!("its headers begin with {line:?}, not with NATS/1.0");
        for (block, rule) in [
            (&b"NATS/1.0\r\na: \xff\r\n\r\n"[..], "its headers are not UTF-8".to_owned()),
            (b"", version("")),
            (b"NATS/1.0 no status\r\n\r\n", version("NATS/1.0 no status")),
            (b"NATS/1.0\r\nno header\r\n\r\n", none("no header")),
            (b"NATS/1.0\r\na\r\n b: c\r\n\r\n", none("a")),
            (b"NATS/1.0\r\na:\r\n\rb\r\n\r\n", none("a: \rb")),
            (b"NATS/1.0\r\na: b\r\n\r\n c\r\n\r\n", none(" c")),
        ] {
            assert_eq!(read(block).1, Some(rule));
        }
    }

    #[test]
    fn a_subject_may_break_it_too() {
        assert_eq!(wrong_subject("ci.a\u{fffd}", false).unwrap(), "its subject is not UTF-8");
        assert_eq!(wrong_subject("ci.a\u{a0}b", true).unwrap(), "its subject \"ci.a\\u{a0}b\" holds a blank");
        assert_eq!((wrong_subject("ci.a\u{a0}b", false), wrong_subject("ci.\u{e9}", true)), (None, None));
    }
}
