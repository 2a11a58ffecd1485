//! An event of the log, read once: every law and every reader wants to know what it is about.

use serde::Deserialize;
use switchyard_events::{BuildKey, BuildRouted, CdEvent, Outgoing, custom_data};

pub(crate) struct Told {
    pub(crate) outgoing: Outgoing,
    pub(crate) about: About,
    /// What it says, where it is a route.
    pub(crate) routed: Option<BuildRouted>,
}

/// What an event of ours is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) what: What,
    pub(crate) build: BuildKey,
    /// 0 where it is about no attempt.
    pub(crate) attempt: u32,
    pub(crate) executor: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Routed,
    Refused,
    Launched,
    Started,
    Finished,
    Requeued,
    Extended,
    CancelRequested,
}

#[derive(Deserialize)]
struct Data {
    build: BuildKey,
    #[serde(default)]
    attempt: u32,
    #[serde(default)]
    executor: Option<String>,
}

impl What {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Routed => "routed",
            Self::Refused => "refused",
            Self::Launched => "launched",
            Self::Started => "started",
            Self::Finished => "finished",
            Self::Requeued => "requeued",
            Self::Extended => "extended",
            Self::CancelRequested => "cancelrequested",
        }
    }

    fn of(event_type: &str) -> Self {
        use What::{CancelRequested, Extended, Finished, Launched, Refused, Requeued, Routed, Started};
        let all = [Routed, Refused, Launched, Started, Finished, Requeued, Extended, CancelRequested];
        let predicate = event_type.split('.').nth(3).unwrap();
        all.into_iter().find(|what| what.name() == predicate).unwrap_or_else(|| panic!("nobody reads {event_type}"))
    }
}

impl Told {
    pub(crate) fn read(outgoing: Outgoing) -> Self {
        let event = CdEvent::from_cloudevent(&outgoing.event).unwrap();
        let data: Data = custom_data(&event).unwrap();
        let what = What::of(&event.context.ty);
        let routed = (what == What::Routed).then(|| custom_data(&event).unwrap());
        let executor = usize::from(data.executor.as_deref() == Some("b"));
        let about = About { what, build: data.build, attempt: data.attempt, executor };
        Self { outgoing, about, routed }
    }
}
