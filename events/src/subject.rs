//! The subjects that events and clocks travel on.

use std::{fmt, str::FromStr};

use crate::BuildKey;

/// The tenant whose builds are trainings. No publisher writes as it: its requests are on `yard.`, and on `ci.trainer.` there is
/// only what people ask of it, and what it asks to have stopped.
pub const TRAINER: &str = "trainer";

/// The subject of an incoming event: `ci.<tenant>.<type>`. The tenant is proved by the publisher's permissions.
#[must_use]
pub fn ci(tenant: &str, event_type: &str) -> String {
    format!("ci.{}.{}", token(tenant), tokens(event_type))
}

/// The subject of an event of ours: `yard.<type>` and what consumers filter by.
#[must_use]
pub fn yard(event_type: &str, last: &[&str]) -> String {
    let length = last.iter().map(|part| 1 + part.len().max(1)).sum::<usize>();
    let mut subject = String::with_capacity("yard.".len() + event_type.len() + length);
    subject.push_str("yard.");
    push_tokens(&mut subject, event_type);
    for part in last {
        subject.push('.');
        push_token(&mut subject, part);
    }
    subject
}

/// The subject of a dead letter: `dead.<stream>.<durable>`.
#[must_use]
pub fn dead(stream: &str, durable: &str) -> String {
    format!("dead.{}.{}", token(stream), token(durable))
}

/// The tenant that published on this subject, if it is one of `ci.<tenant>.>`.
#[must_use]
pub fn tenant_of(subject: &str) -> Option<&str> {
    subject.strip_prefix("ci.")?.split('.').next().filter(|tenant| !tenant.is_empty())
}

/// One token of a subject: what NATS would not take as a literal token becomes `_`.
#[must_use]
pub fn token(text: &str) -> String {
    let mut token = String::with_capacity(text.len());
    push_token(&mut token, text);
    token
}

fn push_token(subject: &mut String, text: &str) {
    match text {
        "" => subject.push('_'),
        _ if text.bytes().all(|b| b != b'.' && is_literal(b.into())) => subject.push_str(text),
        _ => subject.extend(text.chars().map(|c| if c == '.' { '_' } else { literal(c) })),
    }
}

fn tokens(event_type: &str) -> String {
    let mut subject = String::with_capacity(event_type.len());
    push_tokens(&mut subject, event_type);
    subject
}

/// Event types are dotted already; an empty token or a wildcard in a foreign one becomes `_`.
fn push_tokens(subject: &mut String, event_type: &str) {
    if are_tokens(event_type) {
        return subject.push_str(event_type);
    }
    for (n, part) in event_type.split('.').enumerate() {
        if n > 0 {
            subject.push('.');
        }
        push_token(subject, part);
    }
}

/// Whether these are tokens as they should be, with a dot between each and the next.
fn are_tokens(text: &str) -> bool {
    let mut before = b'.';
    let in_order =
        text.bytes().all(|byte| is_literal(byte.into()) && (byte, std::mem::replace(&mut before, byte)) != (b'.', b'.'));
    in_order && before != b'.'
}

fn literal(c: char) -> char {
    if is_literal(c) { c } else { '_' }
}

fn is_literal(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '*' | '>')
}

/// A time limit that is being counted for one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Clock {
    /// The executor whose reaper counts it.
    pub executor: String,
    /// Which limit.
    pub kind: ClockKind,
    /// Of which build.
    pub build: BuildKey,
    /// Of which attempt, from 1.
    pub attempt: u32,
}

/// Which time limit a clock counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClockKind {
    /// Routed to bound.
    Queued,
    /// Bound to running.
    Pending,
    /// Running to ended.
    Running,
    /// Delete asked to gone.
    Teardown,
}

/// A subject that is not one of a fired clock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not fire.<executor>.<clock>.<build>.<attempt>")]
pub struct InvalidClock(String);

impl ClockKind {
    /// Every clock.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Pending, Self::Running, Self::Teardown];

    /// The clock of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The clock's name, as in subjects, events and the fleet file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Teardown => "teardown",
        }
    }
}

impl fmt::Display for ClockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Clock {
    /// Where the clock is armed: publishing again replaces it, purging it cancels it.
    #[must_use]
    pub fn timer_subject(&self) -> String {
        format!("timer.{}", self.tail())
    }

    /// The clock that is armed there.
    ///
    /// # Errors
    /// When nothing is ever armed there.
    pub fn armed(timer_subject: &str) -> Result<Self, InvalidClock> {
        let tail = timer_subject.strip_prefix("timer.").ok_or_else(|| InvalidClock(timer_subject.to_owned()))?;
        format!("fire.{tail}").parse()
    }

    /// Where it fires.
    #[must_use]
    pub fn fire_subject(&self) -> String {
        format!("fire.{}", self.tail())
    }

    fn tail(&self) -> String {
        format!("{}.{}.{}.{}", token(&self.executor), self.kind, self.build, self.attempt)
    }
}

impl FromStr for Clock {
    type Err = InvalidClock;

    fn from_str(subject: &str) -> Result<Self, InvalidClock> {
        let invalid = || InvalidClock(subject.to_owned());
        let parts: Vec<_> = subject.split('.').collect();
        let ["fire", executor, kind, build, attempt] = parts[..] else { return Err(invalid()) };
        Ok(Self {
            executor: executor.to_owned(),
            kind: ClockKind::named(kind).ok_or_else(invalid)?,
            build: build.parse().map_err(|_| invalid())?,
            attempt: attempt.parse().map_err(|_| invalid())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fired_clock_names_what_was_armed() {
        let clock = Clock { executor: "k8s-vm".into(), kind: ClockKind::Running, build: BuildKey::of("a", "b", "c"), attempt: 2 };
        assert_eq!(clock.fire_subject().parse(), Ok(clock.clone()));
        assert!("fire.k8s.running.short.1".parse::<Clock>().is_err());
        assert!(clock.timer_subject().parse::<Clock>().is_err());
        assert_eq!(Clock::armed(&clock.timer_subject()), Ok(clock.clone()));
        assert!(Clock::armed(&clock.fire_subject()).is_err());
    }

    #[test]
    fn the_tenant_stands_in_the_subject() {
        assert_eq!(tenant_of("ci.acme.dev.cdevents.build.queued.0.3.0"), Some("acme"));
        assert_eq!(tenant_of("yard.acme.x"), None);
        assert_eq!(tenant_of("ci."), None);
    }

    proptest! {
        #[test]
        fn no_foreign_type_can_make_a_wildcard_or_an_empty_token(tenant in ".*", event_type in ".*") {
            let subject = ci(&tenant, &event_type);
            prop_assert!(subject.split('.').all(|t| !t.is_empty() && t != "*" && t != ">"), "{}", subject);
            prop_assert!(subject.bytes().all(|b| b.is_ascii_graphic()));
        }
    }
}
