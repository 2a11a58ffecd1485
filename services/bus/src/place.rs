//! Where a message lies in its stream: the broker writes it into the subject on which it wants to be told what became of it.

use async_nats::Message;
use jiff::Timestamp;

/// Which message of which stream, when that took it, and how often it was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) stream: &'a str,
    pub(crate) sequence: u64,
    /// From 1.
    pub(crate) delivered: u64,
    pub(crate) stored: Timestamp,
}

impl<'a> Place<'a> {
    pub(crate) fn of(message: &'a Message) -> Option<Self> {
        Self::read(message.reply.as_ref()?)
    }

    /// Reads `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<sequence>.<n>.<nanoseconds>.<pending>`, after which
    /// more may stand; the two forms of the NATS design record ADR-15.
    pub(crate) fn read(reply: &'a str) -> Option<Self> {
        let mut rest = reply.strip_prefix("$JS.ACK.")?;
        if rest.bytes().filter(|byte| *byte == b'.').count() > 6 {
            let (_domain, _account) = (token(&mut rest)?, token(&mut rest)?);
        }
        let (stream, _consumer) = (token(&mut rest)?, token(&mut rest)?);
        let (delivered, sequence, _) = (token(&mut rest)?.parse().ok()?, token(&mut rest)?.parse().ok()?, token(&mut rest)?);
        let stored = Timestamp::from_nanosecond(token(&mut rest)?.parse::<i64>().ok()?.into()).ok()?;
        Some(Self { stream, sequence, delivered, stored })
    }
}

/// What stands before the next dot, and that dot.
fn token<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let end = rest.bytes().position(|byte| byte == b'.')?;
    let token = &rest[..end];
    *rest = &rest[end + 1..];
    Some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let place = Place { stream: "CI", sequence: 7, delivered: 2, stored: "2026-01-02T03:04:05.000000006Z".parse().unwrap() };
        for reply in [
            "$JS.ACK.CI.router.2.7.5.1767323045000000006.0",
            "$JS.ACK._.hash.CI.router.2.7.5.1767323045000000006.0",
            "$JS.ACK.hub.hash.CI.router.2.7.5.1767323045000000006.0.random.more",
        ] {
            assert_eq!(Place::read(reply), Some(place), "{reply}");
        }
    }

    #[test]
    fn what_is_no_place_is_none() {
        for reply in
            ["", "_INBOX.a.b", "$JS.ACK.CI.router.2.7.5.1767323045000000006", "$JS.ACK.CI.router.x.7.5.1767323045000000006.0"]
        {
            assert_eq!(Place::read(reply), None, "{reply}");
        }
    }
}
