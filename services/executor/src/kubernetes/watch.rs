//! A watch of one executor's pods that never ends.

use std::{collections::HashMap, time::Duration};

use futures::{StreamExt as _, stream::BoxStream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        utils::Backoff,
        watcher::{self, Config, Event, watcher},
    },
};
use switchyard_events::BuildKey;

use super::{marks, observe::observe, refusal::with_causes};
use crate::{Seen, Unreachable};

/// How long one watch request lasts before it is made again, in seconds. A dead connection is found soon after.
pub(crate) const REQUEST: u32 = 30;

/// Watches the pods of `executor`, page by page at first, then every change.
pub(crate) fn watch(pods: Api<Pod>, executor: &str) -> BoxStream<'static, Result<Seen, Unreachable>> {
    let config = Config::default().labels(&format!("{}={executor}", marks::EXECUTOR)).timeout(REQUEST);
    let events = watcher(pods, config).backoff(Reconnect::default());
    let seen = events.scan(Known::default(), |known, event| std::future::ready(Some(known.see(event))));
    seen.flat_map(futures::stream::iter).boxed()
}

/// Which uids are there: after a reconnect the API server does not tell what has gone meanwhile.
#[derive(Default)]
struct Known {
    now: HashMap<String, (BuildKey, u32)>,
    /// What was there before the list that is being read.
    before: HashMap<String, (BuildKey, u32)>,
}

impl Known {
    fn see(&mut self, event: watcher::Result<Event<Pod>>) -> Vec<Result<Seen, Unreachable>> {
        match event {
            Ok(Event::Apply(pod) | Event::InitApply(pod)) => self.present(&pod).into_iter().map(Ok).collect(),
            Ok(Event::Delete(pod)) => self.gone(&pod).into_iter().map(Ok).collect(),
            Ok(Event::Init) => {
                // A list that was broken off is begun again: what it had found is as old as what was there before.
                self.before.extend(self.now.drain());
                Vec::new()
            }
            Ok(Event::InitDone) => {
                let gone = self.before.drain().filter(|(uid, _)| !self.now.contains_key(uid));
                let gone = gone.map(|(uid, (build, attempt))| Ok(Seen::Gone { build, attempt, uid }));
                gone.chain([Ok(Seen::Synced)]).collect()
            }
            Err(error) => vec![Err(Unreachable(with_causes(&error)))],
        }
    }

    fn present(&mut self, pod: &Pod) -> Option<Seen> {
        let observed = observe(pod)?;
        self.now.insert(observed.uid.clone(), (observed.build.clone(), observed.attempt));
        Some(Seen::Present(Box::new(observed)))
    }

    fn gone(&mut self, pod: &Pod) -> Option<Seen> {
        let (uid, (build, attempt)) = (pod.uid()?, marks::attempt_of(pod)?);
        self.now.remove(&uid);
        Some(Seen::Gone { build, attempt, uid })
    }
}

/// 0.2 s, doubled up to 5 s: one watch per replica is no load, and a restarted API server is back within seconds.
#[derive(Default)]
struct Reconnect {
    failures: u32,
}

impl Iterator for Reconnect {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let delay = Duration::from_millis(200 << self.failures.min(5));
        self.failures = self.failures.saturating_add(1);
        Some(delay.min(Duration::from_secs(5)))
    }
}

impl Backoff for Reconnect {
    fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::pod::tests::example;

    fn pod(attempt: u32, uid: &str) -> Pod {
        let mut pod = example(attempt);
        pod.metadata.uid = Some(uid.to_owned());
        pod
    }

    fn told(known: &mut Known, event: Event<Pod>) -> Vec<String> {
        let name = |seen: Result<Seen, Unreachable>| match seen.unwrap() {
            Seen::Present(observed) => format!("present {}", observed.uid),
            Seen::Gone { uid, attempt, .. } => format!("gone {uid} of {attempt}"),
            Seen::Synced => "synced".to_owned(),
        };
        known.see(Ok(event)).into_iter().map(name).collect()
    }

    #[test]
    fn what_went_while_nothing_was_heard_is_told_after_the_next_list() {
        let mut known = Known::default();
        for (event, wanted) in vec![
            (Event::Init, vec![]),
            (Event::InitApply(pod(1, "a")), vec!["present a"]),
            (Event::InitApply(pod(2, "b")), vec!["present b"]),
            (Event::InitDone, vec!["synced"]),
            (Event::Apply(pod(3, "c")), vec!["present c"]),
            (Event::Delete(pod(3, "c")), vec!["gone c of 3"]),
            (Event::Init, vec![]),
            (Event::InitApply(pod(1, "a")), vec!["present a"]),
            (Event::Init, vec![]),
            (Event::InitApply(pod(1, "d")), vec!["present d"]),
            (Event::InitApply(pod(2, "b")), vec!["present b"]),
            (Event::InitDone, vec!["gone a of 1", "synced"]),
        ] {
            assert_eq!(told(&mut known, event), wanted);
        }
    }

    #[test]
    fn reconnects_come_slower_and_slower_up_to_five_seconds() {
        let mut delays = Reconnect::default();
        let first: Vec<u128> = delays.by_ref().take(8).map(|delay| delay.as_millis()).collect();
        assert_eq!(first, [200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        delays.reset();
        assert_eq!(delays.next(), Some(Duration::from_millis(200)));
    }
}
