//! A watch of one executor's pods that never ends.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    runtime::watcher::{self, Config, Event, watcher},
};
use switchyard_events::BuildKey;
use tokio::time::Instant;

use super::{
    marks,
    observe::observe,
    pressure::Pressure,
    refusal::{Kind, Refusal, with_causes},
};
use crate::{Seen, Unreachable};

/// How long one watch request lasts before it is made again, in seconds. A dead connection is found soon after.
const REQUEST: u32 = 30;

/// Watches the pods of `executor`, page by page at first, then every change; after an error from the beginning.
pub(crate) fn watch(pods: Api<Pod>, executor: &str, pressure: Arc<Pressure>) -> BoxStream<'static, Result<Seen, Unreachable>> {
    let config = Config::default().labels(&format!("{}={executor}", marks::EXECUTOR)).timeout(REQUEST);
    let known = Known::of(executor);
    let watching = Watching { pods, config, pressure, events: None, reconnect: Reconnect::default(), known };
    stream::unfold(watching, |mut watching| async { Some((watching.next().await, watching)) }).flat_map(stream::iter).boxed()
}

struct Watching {
    pods: Api<Pod>,
    config: Config,
    pressure: Arc<Pressure>,
    events: Option<BoxStream<'static, watcher::Result<Event<Pod>>>>,
    reconnect: Reconnect,
    known: Known,
}

impl Watching {
    /// What the next event tells. An error ends the watch that it comes from: only a new list proves that nothing was missed.
    async fn next(&mut self) -> Vec<Result<Seen, Unreachable>> {
        if self.events.is_none() {
            tokio::time::sleep(self.reconnect.delay()).await;
        }
        let begin = || watcher(self.pods.clone(), self.config.clone()).boxed();
        match self.events.get_or_insert_with(begin).next().await {
            Some(Ok(event)) => {
                if matches!(event, Event::InitDone) {
                    self.reconnect = Reconnect::default();
                    self.pressure.learn(None, Instant::now());
                }
                self.known.see(event).into_iter().map(Ok).collect()
            }
            Some(Err(error)) => {
                self.events = None;
                let refusal = refusal(error);
                self.pressure.learn(Some(&refusal), Instant::now());
                vec![Err(refusal.into())]
            }
            None => {
                self.events = None;
                Vec::new()
            }
        }
    }
}

fn refusal(error: watcher::Error) -> Refusal {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => Refusal::from(error),
        error @ (watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion) => {
            Refusal::new(Kind::Conflict, with_causes(&error))
        }
    }
}

/// Which uids are there: after a reconnect the API server does not tell what has gone meanwhile.
struct Known {
    executor: String,
    now: HashMap<String, (BuildKey, u32)>,
    /// What was there before the list that is being read.
    before: HashMap<String, (BuildKey, u32)>,
}

impl Known {
    fn of(executor: &str) -> Self {
        Self { executor: executor.to_owned(), now: HashMap::new(), before: HashMap::new() }
    }

    fn see(&mut self, event: Event<Pod>) -> Vec<Seen> {
        match event {
            Event::Apply(pod) | Event::InitApply(pod) => self.present(&pod).into_iter().collect(),
            Event::Delete(pod) => self.gone(&pod).into_iter().collect(),
            Event::Init => {
                // A list that was broken off is begun again: what it had found is as old as what was there before.
                self.before.extend(self.now.drain());
                Vec::new()
            }
            Event::InitDone => {
                let gone = self.before.drain().filter(|(uid, _)| !self.now.contains_key(uid));
                let gone = gone.map(|(uid, (build, attempt))| Seen::Gone { build, attempt, uid });
                gone.chain([Seen::Synced]).collect()
            }
        }
    }

    fn present(&mut self, pod: &Pod) -> Option<Seen> {
        // One that was made for another executor is not ours because somebody has written our name on it.
        let observed = observe(pod, &[]).filter(|_| marks::is_of(pod, &self.executor))?;
        self.now.insert(observed.uid.clone(), (observed.build.clone(), observed.attempt));
        Some(Seen::Present(Box::new(observed)))
    }

    fn gone(&mut self, pod: &Pod) -> Option<Seen> {
        let (uid, (build, attempt)) = (pod.uid()?, marks::attempt_of(pod)?);
        self.now.remove(&uid);
        Some(Seen::Gone { build, attempt, uid })
    }
}

/// No delay at first, then 0.2 s, doubled up to 5 s: one watch per replica is no load, and a restarted API server is back soon.
#[derive(Default)]
struct Reconnect {
    tries: u32,
}

impl Reconnect {
    fn delay(&mut self) -> Duration {
        let tries = self.tries;
        self.tries = tries.saturating_add(1);
        match tries {
            0 => Duration::ZERO,
            _ => Duration::from_millis(100 << tries.min(6)).min(Duration::from_secs(5)),
        }
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
        let name = |seen: Seen| match seen {
            Seen::Present(observed) => format!("present {}", observed.uid),
            Seen::Gone { uid, attempt, .. } => format!("gone {uid} of {attempt}"),
            Seen::Synced => "synced".to_owned(),
        };
        known.see(event).into_iter().map(name).collect()
    }

    #[test]
    fn what_went_while_nothing_was_heard_is_told_after_the_next_list() {
        let mut known = Known::of(&pod(1, "a").labels()[marks::EXECUTOR]);
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
    fn a_pod_that_was_made_for_another_executor_stays_anothers_whatever_its_label_says() {
        let mut known = Known::of("mine");
        let mut strange = pod(1, "a");
        strange.labels_mut().insert(marks::EXECUTOR.to_owned(), "mine".to_owned());
        assert!(told(&mut known, Event::Apply(strange.clone())).is_empty());
        strange.annotations_mut().remove(marks::EXECUTOR);
        assert_eq!(told(&mut known, Event::Apply(strange)), ["present a"], "an earlier release made it");
    }

    #[test]
    fn reconnects_come_slower_and_slower_up_to_five_seconds() {
        let mut reconnect = Reconnect::default();
        let delays: Vec<u128> = (0..9).map(|_| reconnect.delay().as_millis()).collect();
        assert_eq!(delays, [0, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    }
}
