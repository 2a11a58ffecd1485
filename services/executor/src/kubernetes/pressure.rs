//! What keeps an executor from taking more builds now: an API server that does not answer or asks to be left alone, a quota or
//! the executor's own slots that are used up, a runtime class that is not there.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use switchyard_events::BreakerState;
use tokio::time::Instant;

use super::{
    breaker::{Breaker, Policy},
    refusal::{Kind, Refusal},
};
use crate::{Condition, Observed, Seen};

/// The pressure on one executor, as this process feels it.
#[derive(Debug)]
pub(crate) struct Pressure {
    policy: Policy,
    slots: Option<u32>,
    felt: Mutex<Felt>,
}

/// What was felt so far.
#[derive(Debug, Default)]
struct Felt {
    breaker: Breaker,
    /// The last failure, for whoever asks why.
    failure: Option<String>,
    /// The API server asked to be left alone until then.
    paused: Option<Instant>,
    /// The quota was used up when somebody last tried.
    full: Option<(Instant, String)>,
    /// How many more builds the quota takes, where there is one.
    room: Option<u32>,
    pods: Pods,
    /// The runtime class that is missing.
    missing_class: Option<String>,
}

/// The uids of the executor's pods that have not ended.
#[derive(Debug, Default)]
struct Pods {
    live: HashSet<String>,
    /// Created by us; the watch has not told of them yet. What it does not know after two whole lists has gone.
    created: [HashSet<String>; 2],
    synced: bool,
}

impl Pressure {
    pub(crate) fn new(policy: Policy, slots: Option<u32>) -> Self {
        Self { policy, slots, felt: Mutex::default() }
    }

    /// How long one question may take.
    pub(crate) const fn timeout(&self) -> Duration {
        self.policy.timeout
    }

    fn felt(&self) -> MutexGuard<'_, Felt> {
        self.felt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the API server may be asked one more question.
    pub(crate) fn admit(&self, now: Instant) -> Result<(), Refusal> {
        let mut felt = self.felt();
        if let Some(until) = felt.paused.filter(|until| *until > now) {
            return Err(not_asked(until - now, "the API server asked to be left alone"));
        }
        match felt.breaker.admit(&self.policy, now) {
            Ok(breaker) => felt.breaker = breaker,
            Err(wait) => return Err(not_asked(wait, felt.failure.as_deref().unwrap_or("the API server does not answer"))),
        }
        Ok(())
    }

    /// Remembers how a question was answered.
    pub(crate) fn learn(&self, refusal: Option<&Refusal>, now: Instant) {
        let mut felt = self.felt();
        match refusal {
            Some(refusal) if refusal.kind.is_failure() => {
                felt.breaker = felt.breaker.failed(&self.policy, now);
                felt.failure = Some(refusal.said.clone());
            }
            _ => felt.breaker = Breaker::succeeded(),
        }
        let Some((refusal, after)) = refusal.and_then(|refusal| Some((refusal, refusal.after?))) else { return };
        if refusal.kind == Kind::Full {
            felt.full = Some((now + after, refusal.said.clone()));
        } else if matches!(refusal.kind, Kind::TooMany | Kind::Unavailable) {
            felt.paused = Some(now + after);
        }
    }

    /// A pod of ours exists now.
    pub(crate) fn created(&self, uid: &str) {
        self.felt().pods.created[0].insert(uid.to_owned());
    }

    /// The watch tells something.
    pub(crate) fn see(&self, seen: &Seen) {
        let mut felt = self.felt();
        if felt.pods.see(seen) {
            // Somebody has finished: there may be room again.
            felt.full = None;
        }
    }

    /// The quota leaves room for so many more builds, or there is none.
    pub(crate) fn room(&self, room: Option<u32>) {
        self.felt().room = room;
    }

    /// The runtime class of that name is missing; `None` where it is there, or none is wanted.
    pub(crate) fn missing_class(&self, name: Option<&str>) {
        self.felt().missing_class = name.map(str::to_owned);
    }

    /// Whether the runtime class was missing when somebody last looked.
    pub(crate) fn lacks_class(&self) -> bool {
        self.felt().missing_class.is_some()
    }

    /// All of it in one word.
    pub(crate) fn condition(&self, now: Instant) -> Condition {
        let felt = self.felt();
        let breaker = match felt.breaker {
            Breaker::Closed { .. } => BreakerState::Closed,
            Breaker::Open { until } if until > now => BreakerState::Open,
            Breaker::Open { .. } | Breaker::HalfOpen { .. } => BreakerState::HalfOpen,
        };
        let unasked = breaker == BreakerState::Open || felt.paused.is_some_and(|until| until > now);
        let full = felt.full.as_ref().filter(|(until, _)| *until > now);
        let unused = self.slots.map(|slots| if felt.pods.synced { slots.saturating_sub(felt.pods.count()) } else { 0 });
        let free = if unasked || full.is_some() { Some(0) } else { unused.into_iter().chain(felt.room).min() };
        let class = felt.missing_class.as_ref().map(|name| format!("there is no runtime class {name:?} in the cluster"));
        let failure = felt.failure.clone().filter(|_| breaker != BreakerState::Closed);
        let healthy = class.is_none() && failure.is_none();
        let no_room = || (free == Some(0)).then(|| "no slot is free".to_owned());
        let why = class.or(failure).or_else(|| full.map(|(_, said)| said.clone())).or_else(no_room);
        Condition { healthy, why, breaker, slots: self.slots, free }
    }
}

fn not_asked(after: Duration, why: &str) -> Refusal {
    Refusal { after: Some(after), ..Refusal::new(Kind::NotAsked, format!("not asked: {why}")) }
}

impl Pods {
    /// Answers whether one has ended or gone.
    fn see(&mut self, seen: &Seen) -> bool {
        match seen {
            Seen::Present(observed) => {
                let Observed { uid, dead, .. } = &**observed;
                self.told(uid);
                if *dead {
                    return self.live.remove(uid);
                }
                self.live.insert(uid.clone());
                false
            }
            Seen::Gone { uid, .. } => {
                self.told(uid);
                self.live.remove(uid)
            }
            Seen::Synced => {
                self.synced = true;
                self.created[1] = std::mem::take(&mut self.created[0]);
                false
            }
        }
    }

    fn told(&mut self, uid: &str) {
        for created in &mut self.created {
            created.remove(uid);
        }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.live.len() + self.created.iter().map(HashSet::len).sum::<usize>()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::{observe::observe, pod::tests::example};

    const POLICY: Policy = Policy { timeout: Duration::from_secs(10), max_failures: 2, reset: Duration::from_secs(3) };

    fn present(uid: &str, dead: bool) -> Seen {
        Seen::Present(Box::new(Observed { uid: uid.to_owned(), dead, ..observe(&example(1), &[]).unwrap() }))
    }

    fn answer(code: u16, message: &str, after: Option<u64>) -> Refusal {
        Refusal::of_answer(code, message.as_bytes(), after)
    }

    #[test]
    fn an_api_server_that_fails_is_left_alone_and_said_to_be_unwell() {
        let (pressure, now) = (Pressure::new(POLICY, None), Instant::now());
        assert_eq!(pressure.condition(now), Condition::default());
        for _ in 0..2 {
            pressure.admit(now).unwrap();
            pressure.learn(Some(&answer(500, "etcd is away", None)), now);
        }
        let refused = pressure.admit(now).unwrap_err();
        assert_eq!((refused.kind, refused.after), (Kind::NotAsked, Some(POLICY.reset)));
        let condition = pressure.condition(now);
        assert_eq!((condition.healthy, condition.breaker, condition.free), (false, BreakerState::Open, Some(0)));
        assert_eq!(condition.why.as_deref(), Some("500 etcd is away"));
        let later = now + POLICY.reset;
        assert_eq!(pressure.condition(later).free, None, "one may try");
        pressure.admit(later).unwrap();
        assert!(pressure.admit(later).is_err(), "and only one");
        pressure.learn(None, later);
        assert_eq!(pressure.condition(later), Condition::default());
    }

    #[test]
    fn the_time_that_the_api_server_asks_for_is_given_by_every_question() {
        let (pressure, now) = (Pressure::new(POLICY, None), Instant::now());
        pressure.learn(Some(&answer(429, "too many", Some(7))), now);
        assert_eq!(pressure.admit(now).unwrap_err().after, Some(Duration::from_secs(7)));
        assert_eq!((pressure.condition(now).healthy, pressure.condition(now).free), (true, Some(0)));
        assert!(pressure.admit(now + Duration::from_secs(7)).is_ok());
    }

    #[test]
    fn slots_are_what_is_not_used_by_pods_that_live() {
        let (pressure, now) = (Pressure::new(POLICY, Some(2)), Instant::now());
        let free = || pressure.condition(now).free.unwrap();
        assert_eq!(free(), 0, "nobody knows yet what is there");
        pressure.see(&present("a", false));
        pressure.see(&Seen::Synced);
        assert_eq!(free(), 1);
        pressure.created("b");
        assert_eq!((free(), pressure.condition(now).why.as_deref()), (0, Some("no slot is free")));
        pressure.see(&present("b", false));
        assert_eq!(free(), 0, "counted once");
        pressure.see(&present("a", true));
        assert_eq!(free(), 1);
        pressure.created("c");
        pressure.see(&Seen::Synced);
        assert_eq!(free(), 0, "the list may have been begun before it was created");
        pressure.see(&Seen::Synced);
        assert_eq!(free(), 1, "the watch would know of it by now");
    }

    #[test]
    fn a_quota_that_is_full_is_tried_again_when_somebody_has_ended_or_after_a_while() {
        let (pressure, now) = (Pressure::new(POLICY, None), Instant::now());
        let full = answer(403, "pods \"x\" is forbidden: exceeded quota: q", None);
        pressure.see(&present("a", false));
        pressure.learn(Some(&full), now);
        assert_eq!(pressure.condition(now).free, Some(0));
        assert!(pressure.admit(now).is_ok(), "other questions are asked");
        assert_eq!(pressure.condition(now + full.after.unwrap()).free, None);
        pressure.see(&present("a", true));
        assert_eq!(pressure.condition(now).free, None);
    }

    #[test]
    fn what_the_quota_leaves_counts_beside_the_slots() {
        let (pressure, now) = (Pressure::new(POLICY, Some(10)), Instant::now());
        pressure.see(&Seen::Synced);
        pressure.room(Some(3));
        assert_eq!(pressure.condition(now).free, Some(3));
        pressure.room(None);
        assert_eq!(pressure.condition(now).free, Some(10));
    }

    #[test]
    fn without_its_runtime_class_an_executor_is_unwell() {
        let (pressure, now) = (Pressure::new(POLICY, None), Instant::now());
        pressure.missing_class(Some("kata"));
        let condition = pressure.condition(now);
        assert_eq!(
            (condition.healthy, condition.why.as_deref()),
            (false, Some("there is no runtime class \"kata\" in the cluster"))
        );
        pressure.missing_class(None);
        assert!(pressure.condition(now).healthy);
    }
}
