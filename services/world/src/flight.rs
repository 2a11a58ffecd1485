//! Handlers under way: they begin, are polled effect by effect, finish, stand still or are dropped.

use std::{
    collections::BTreeSet,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::task::noop_waker_ref;
use jiff::Timestamp;
use switchyard_bus::{Delivery, Settle};
use switchyard_events::{BuildKey, starting_trace};
use switchyard_reaper::{Policy, Reap, Sight, plan};

use crate::{
    cluster::Away,
    mistake::Mistake,
    pod::Pod,
    site::now,
    state::{Consumer, EXECUTORS, Message, What},
    told::About,
    world::World,
};

type Handler = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What a handler comes to.
pub(crate) enum Done {
    Handled(Option<Timestamp>),
    Failed(Settle),
}

pub(crate) struct Flight {
    handler: Handler,
    pub(crate) of: Of,
    /// Whether its replica is stopped.
    pub(crate) paused: bool,
}

/// What a handler works on.
#[derive(Clone)]
pub(crate) enum Of {
    Message { message: Message, acknowledged: bool },
    Pod { cluster: usize, build: BuildKey, attempt: u32, gone: Option<String> },
    Sweep,
}

impl World {
    fn begin(&mut self, of: Of, handler: impl Future<Output = Done> + Send + 'static) {
        self.flights.push(Flight { handler: Box::pin(handler), of, paused: false });
    }

    pub(crate) fn deliver(&mut self, message: &Message, acknowledged: bool) {
        if self.state().mistake == Some(Mistake::AcknowledgeFirst) {
            self.state().messages.retain(|other| other.id != message.id);
        }
        let of = Of::Message { message: message.clone(), acknowledged };
        match (message.to, &message.what) {
            (Consumer::Router, What::Event { at, .. }) => self.reroute(*at, &of),
            (Consumer::Launcher(n), What::Event { at, .. }) => {
                let routed = self.state().log[*at].routed.clone().unwrap();
                let launcher = self.launchers[n].clone();
                self.begin(of, async move { done(launcher.launch(routed, true).await.map(|()| None)) });
            }
            (Consumer::Reaper(n), What::Event { at, .. }) => {
                let (reaper, delivery) = (self.reapers[n].clone(), self.delivery(*at));
                let asked = delivery.subject.starts_with("ci.");
                self.begin(of, async move {
                    let done_so = if asked { reaper.asked(delivery).await } else { reaper.progress(delivery).await };
                    done(done_so.map(|()| None))
                });
            }
            (Consumer::Reaper(n), What::Cancel { at, .. }) => {
                let (reaper, delivery) = (self.reapers[n].clone(), self.delivery(*at));
                self.begin(of, async move { done(reaper.cancel(delivery).await.map(|()| None)) });
            }
            (Consumer::Reaper(n), What::Fire(clock)) => {
                let (reaper, clock) = (self.reapers[n].clone(), clock.clone());
                let fire = async move { done(reaper.fire(&clock.build, clock.attempt, clock.kind).await.map(|()| None)) };
                self.begin(of, fire);
            }
            (Consumer::Router | Consumer::Launcher(_), other) => panic!("not for {:?}: {other:?}", message.to),
        }
    }

    /// The router hears that an attempt is wanted. Told again, it may say something else.
    fn reroute(&mut self, at: usize, of: &Of) {
        let About { build, attempt, .. } = self.state().log[at].about.clone();
        let build = self.builds.iter().position(|known| *known == build).unwrap();
        self.route(build, attempt, self.flights.len() + build);
        self.settled(of, &Done::Handled(None));
    }

    fn delivery(&self, at: usize) -> Delivery {
        let outgoing = self.state().log[at].outgoing.clone();
        let (subject, event, trace) = (outgoing.subject, outgoing.event.clone(), starting_trace(&outgoing.event));
        Delivery { subject, stream: "YARD".into(), sequence: at as u64 + 1, delivered: 1, stored: now(), event, trace }
    }

    /// The watch tells of a pod that went, of one that changed, or looks at one again that it was asked to.
    pub(crate) fn watch(&mut self, n: usize, which: usize) {
        let reaper = self.reapers[n].clone();
        let mut state = self.state();
        let cluster = &mut state.clusters[n];
        if !cluster.gone.is_empty() {
            let (build, attempt, uid) = cluster.gone.remove(0);
            drop(state);
            let of = Of::Pod { cluster: n, build: build.clone(), attempt, gone: Some(uid.clone()) };
            return self.begin(of, async move { done(reaper.gone(&build, attempt, &uid).await.map(|()| None)) });
        }
        if cluster.changed.is_empty() {
            let Some(at) = cluster.again.iter().position(|(at, ..)| *at <= now()) else { return };
            let (_, build, attempt) = cluster.again.remove(at);
            drop(state);
            let of = Of::Pod { cluster: n, build: build.clone(), attempt, gone: None };
            return self.begin(of, async move { done(reaper.look_again(&build, attempt).await) });
        }
        let at = which % cluster.changed.len();
        let (build, attempt) = cluster.changed.remove(at);
        let pod = cluster.find(&build, attempt).map(Pod::observed);
        drop(state);
        if let Some(pod) = pod {
            let of = Of::Pod { cluster: n, build, attempt, gone: None };
            self.begin(of, async move { done(reaper.seen(&pod).await) });
        }
    }

    pub(crate) fn sweep(&mut self, n: usize) {
        for reap in self.found(n) {
            let reaper = self.reapers[n].clone();
            self.begin(Of::Sweep, async move { done(reaper.reap(&reap).await.map(|()| None)) });
        }
    }

    /// What a sweep of the executor's reaper finds now.
    fn found(&self, n: usize) -> Vec<Reap> {
        let state = self.state();
        let records: Vec<_> = state.records.iter().map(|(build, (record, _))| (build.clone(), record.clone())).collect();
        let cluster = &state.clusters[n];
        let pods: Vec<_> = cluster.pods.iter().map(Pod::observed).collect();
        let clocks: Vec<_> =
            state.timers.iter().map(|(clock, _)| clock.clone()).filter(|clock| clock.executor == EXECUTORS[n]).collect();
        let pods = (cluster.away == Away::No).then_some(&pods[..]);
        let sight = Sight { records: &records, pods, gone_nodes: &BTreeSet::new(), clocks: &clocks };
        let draining = self.draining[n];
        plan(&sight, now(), &Policy { installation: Some("world".to_owned()), draining, ..Policy::of(EXECUTORS[n]) })
    }

    /// One of the handlers whose replica is not stopped goes on, by so many effects.
    pub(crate) fn go(&mut self, which: usize, effects: usize) {
        let awake: Vec<_> = (0..self.flights.len()).filter(|at| !self.flights[*at].paused).collect();
        let Some(at) = which.checked_rem(awake.len()).map(|which| awake[which]) else { return };
        for _ in 0..effects {
            let flight = &mut self.flights[at];
            if let Poll::Ready(done) = flight.handler.as_mut().poll(&mut Context::from_waker(noop_waker_ref())) {
                let flight = self.flights.remove(at);
                return self.settled(&flight.of, &done);
            }
        }
    }

    /// What the consumer or the watch does about a handler that has come to its end.
    fn settled(&mut self, of: &Of, done: &Done) {
        let mut state = self.state();
        match (of, done) {
            (_, Done::Failed(Settle::Refuse(reason))) => state.breaks(|| format!("to DEAD: {reason}")),
            (Of::Message { message, acknowledged: true }, Done::Handled(_)) => {
                state.messages.retain(|other| other.id != message.id);
            }
            (Of::Message { .. } | Of::Sweep, _) | (Of::Pod { .. }, Done::Handled(None)) => {}
            (Of::Pod { cluster, build, attempt, .. }, Done::Handled(Some(at))) => {
                state.clusters[*cluster].again.push((*at, build.clone(), *attempt));
            }
            (Of::Pod { cluster, build, attempt, gone }, Done::Failed(Settle::Retry | Settle::After(_))) => match gone {
                Some(uid) => state.clusters[*cluster].gone.push((build.clone(), *attempt, uid.clone())),
                None => state.clusters[*cluster].again.push((now() + Duration::from_secs(1), build.clone(), *attempt)),
            },
        }
    }

    /// The replica that runs a handler is stopped where it stands, or goes on. What it has seen of a pod, another has seen too.
    pub(crate) fn pause(&mut self, which: usize) {
        let Some(at) = which.checked_rem(self.flights.len()) else { return };
        let flight = &mut self.flights[at];
        flight.paused = !flight.paused;
        if let (true, Of::Pod { cluster, build, attempt, gone }) = (flight.paused, flight.of.clone()) {
            let cluster = &mut self.state().clusters[cluster];
            match gone {
                Some(uid) => cluster.gone.push((build, attempt, uid)),
                None => cluster.changed.push((build, attempt)),
            }
        }
    }

    /// Whoever runs the handler dies; the one that watched does so with all it had in mind.
    pub(crate) fn crash(&mut self, which: usize) {
        if self.flights.is_empty() {
            return;
        }
        let at = which % self.flights.len();
        if let Of::Pod { cluster, .. } = self.flights.swap_remove(at).of {
            self.restart(cluster);
        }
    }

    pub(crate) fn restart(&mut self, n: usize) {
        self.flights.retain(|flight| match &flight.of {
            Of::Message { message, .. } => message.to != Consumer::Reaper(n),
            Of::Pod { cluster, .. } => *cluster != n,
            Of::Sweep => true,
        });
        self.state().clusters[n].restart_watch();
    }

    /// Every launcher is gone, for good.
    pub(crate) fn desert(&mut self) {
        self.flights
            .retain(|flight| !matches!(&flight.of, Of::Message { message, .. } if matches!(message.to, Consumer::Launcher(_))));
        self.deserted = true;
    }
}

fn done<E>(result: Result<Option<Timestamp>, E>) -> Done
where
    for<'a> Settle: From<&'a E>,
{
    match result {
        Ok(again) => Done::Handled(again),
        Err(error) => Done::Failed(Settle::from(&error)),
    }
}
