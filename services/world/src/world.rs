//! What may happen, and how it happens: handlers begin, are polled effect by effect, finish or are dropped.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, LazyLock, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use futures::task::noop_waker_ref;
use jiff::Timestamp;
use switchyard_bus::{Delivery, Settle};
use switchyard_events::{
    BuildKey, BuildRefused, BuildRouted, BuildSpec, CancelRequested, CdEvent, Limits, Request, TimeLimit, Why, custom_data,
    derived_traceparent,
};
use switchyard_fleet::Fleet;
use switchyard_launcher::Launcher;
use switchyard_reaper::{Reaper, plan};

use crate::{
    cluster::Away,
    laws,
    site::{Site, now, set_now},
    state::{Consumer, EXECUTORS, Message, State, What},
};

const FLEET: &str = "
version: 1
executor:
  plugin: a
  a: {plugin: kubernetes}
  b: {plugin: kubernetes}
";

static ONE_FLEET: LazyLock<Arc<Fleet>> = LazyLock::new(|| Arc::new(Fleet::parse(FLEET).unwrap()));

const LIMITS: Limits = Limits {
    queued: TimeLimit::seconds(60),
    pending: TimeLimit::seconds(60),
    running: TimeLimit::seconds(120),
    running_max: TimeLimit::seconds(120),
    teardown: TimeLimit::seconds(30),
    grace: TimeLimit::seconds(10),
    linger: TimeLimit::seconds(20),
};

/// One thing that happens. The numbers choose among what there is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A message is delivered; unless `acknowledged`, it will be again.
    Deliver { which: u8, acknowledged: bool },
    /// A handler goes on, by so many effects.
    Go { which: u8, effects: u8 },
    /// A handler's replica dies.
    Crash(u8),
    /// A whole reaper dies: its handlers, and what its watch had in mind.
    Restart(u8),
    /// The watch tells the next thing.
    Watch { cluster: u8, which: u8 },
    /// Something happens in a cluster.
    There { cluster: u8, happening: Happening },
    /// Every message is delivered, and every handler and watch goes on as far as it can.
    Turn,
    /// Time passes until the next clock or look.
    Next,
    /// Time passes.
    Wait { seconds: u8 },
    /// A clock fires although it is not due.
    Early(u8),
    /// A clock is lost.
    Lose(u8),
    /// A reaper sweeps.
    Sweep(u8),
    /// Somebody cancels a build.
    Cancel(u8),
    /// The router answers a request, perhaps once more, perhaps otherwise.
    Route { build: u8, to: u8 },
    /// The router refuses a request.
    Refuse(u8),
}

/// What may happen in a cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    /// The node works on a pod.
    Work { which: u8, how: u8 },
    /// Somebody deletes a pod; with force, if its machine is lost.
    Delete { which: u8, force: bool },
    /// The API server goes away, or comes back.
    Away(Away),
    /// Admission refuses every pod from now on, or no longer.
    Reject,
}

type Handler = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What a handler comes to.
enum Done {
    Handled(Option<Timestamp>),
    Failed(Settle),
}

struct Flight {
    handler: Handler,
    of: Of,
}

/// What a handler works on.
#[derive(Clone)]
enum Of {
    Message { message: Message, acknowledged: bool },
    Pod { cluster: usize, build: BuildKey, attempt: u32, gone: Option<String> },
    Sweep,
}

pub(crate) struct World {
    state: Arc<Mutex<State>>,
    builds: Vec<BuildKey>,
    flights: Vec<Flight>,
    deserted: bool,
    launchers: [Arc<Launcher<Site, Site>>; 2],
    reapers: [Arc<Reaper<Site, Site>>; 2],
}

impl World {
    /// A world in which so many builds are asked for.
    pub(crate) fn new(builds: u8) -> Self {
        set_now("2026-01-01T00:00:00Z".parse().unwrap());
        let state = Arc::<Mutex<State>>::default();
        let site = |executor| Site { state: state.clone(), executor };
        let launcher = |n| Launcher::new(site(n), site(n), ONE_FLEET.clone()).told_the_time_by(now);
        let reaper = |n| Reaper::new(site(n), site(n)).told_the_time_by(now);
        Self {
            launchers: [0, 1].map(|n| Arc::new(launcher(n))),
            reapers: [0, 1].map(|n| Arc::new(reaper(n))),
            builds: (0..builds).map(|n| BuildKey::of("/ci", &n.to_string(), "e")).collect(),
            flights: Vec::new(),
            deserted: false,
            state,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Lets one thing happen, if it can; answers which law it broke.
    pub(crate) fn step(&mut self, step: Step) -> Option<String> {
        match step {
            Step::Deliver { which, acknowledged } => {
                let message = pick(&self.state().messages, which).cloned();
                if let Some(message) = message {
                    self.deliver(&message, acknowledged);
                }
            }
            Step::Go { which, effects } => self.go(usize::from(which), usize::from(effects)),
            Step::Crash(which) => self.crash(usize::from(which)),
            Step::Restart(which) => self.restart(usize::from(which) % 2),
            Step::Watch { cluster, which } => self.watch(usize::from(cluster) % 2, usize::from(which)),
            Step::Sweep(which) => self.sweep(usize::from(which) % 2),
            Step::Wait { seconds } => self.wait(now() + Duration::from_secs(seconds.into())),
            Step::Route { build, to } => self.route(usize::from(build), 1, usize::from(to) % 2),
            Step::Refuse(build) => self.refuse(usize::from(build)),
            Step::Cancel(build) => self.cancel(usize::from(build)),
            Step::Early(which) => self.early(usize::from(which), false),
            Step::Lose(which) => self.early(usize::from(which), true),
            Step::Turn => self.turn(),
            Step::Next => {
                let next = self.next_moment();
                self.wait(next.unwrap_or_else(now));
            }
            Step::There { cluster, happening } => self.happen(usize::from(cluster) % 2, happening),
        }
        laws::broken(&self.state())
    }

    fn happen(&self, n: usize, happening: Happening) {
        let mut state = self.state();
        let cluster = &mut state.clusters[n];
        match happening {
            Happening::Work { which, how } => {
                if let Some(uid) = pick(&cluster.pods, which).map(|pod| pod.uid.clone()) {
                    cluster.work(&uid, how, now());
                }
            }
            Happening::Delete { which, force } => {
                if let Some(uid) = pick(&cluster.pods, which).map(|pod| pod.uid.clone()) {
                    cluster.change(&uid, |pod| {
                        pod.deleting = true;
                        pod.forced |= force;
                    });
                }
            }
            Happening::Away(how) => cluster.away = how,
            Happening::Reject => cluster.rejects = !cluster.rejects,
        }
    }

    fn early(&self, which: usize, lost: bool) {
        let mut state = self.state();
        let Some(at) = which.checked_rem(state.timers.len()) else { return };
        if lost {
            state.timers.remove(at);
            state.forgetful = true;
        } else {
            state.fire(at);
        }
    }

    fn begin(&mut self, of: Of, handler: impl Future<Output = Done> + Send + 'static) {
        self.flights.push(Flight { handler: Box::pin(handler), of });
    }

    fn deliver(&mut self, message: &Message, acknowledged: bool) {
        let of = Of::Message { message: message.clone(), acknowledged };
        match (message.to, &message.what) {
            (Consumer::Router, What::Event { at, .. }) => {
                let requeued = self.state().requeued(*at);
                let build = self.builds.iter().position(|build| *build == requeued.build).unwrap();
                // Delivered again, it may be routed to somewhere else.
                self.route(build, requeued.attempt, self.flights.len() + build);
                self.settled(&of, &Done::Handled(None));
            }
            (Consumer::Launcher(n), What::Event { at, .. }) => {
                let event = CdEvent::from_cloudevent(&self.state().log[*at].event).unwrap();
                let (launcher, routed) = (self.launchers[n].clone(), custom_data::<BuildRouted>(&event).unwrap());
                self.begin(of, async move { done(launcher.launch(routed).await.map(|()| None)) });
            }
            (Consumer::Reaper(n), What::Event { at, .. }) => {
                let (reaper, delivery) = (self.reapers[n].clone(), self.delivery(*at));
                self.begin(of, async move { done(reaper.progress(delivery).await.map(|()| None)) });
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

    fn delivery(&self, at: usize) -> Delivery {
        let outgoing = self.state().log[at].clone();
        let (subject, event) = (outgoing.subject, outgoing.event);
        Delivery { subject, stream: "YARD".into(), sequence: at as u64 + 1, delivered: 1, stored: now(), event }
    }

    /// The watch tells of a pod that went, of one that changed, or looks at one again that it was asked to.
    fn watch(&mut self, n: usize, which: usize) {
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
        let pod = cluster.find(&build, attempt).map(crate::cluster::Pod::observed);
        drop(state);
        if let Some(pod) = pod {
            let of = Of::Pod { cluster: n, build, attempt, gone: None };
            self.begin(of, async move { done(reaper.seen(&pod).await) });
        }
    }

    fn sweep(&mut self, n: usize) {
        let records: Vec<_> = self.state().records.iter().map(|(build, (record, _))| (build.clone(), record.clone())).collect();
        for reap in plan(&records, EXECUTORS[n], now()) {
            let reaper = self.reapers[n].clone();
            self.begin(Of::Sweep, async move { done(reaper.fire(&reap.build, reap.attempt, reap.kind).await.map(|()| None)) });
        }
    }

    fn go(&mut self, which: usize, effects: usize) {
        if self.flights.is_empty() {
            return;
        }
        let at = which % self.flights.len();
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
            (Of::Pod { cluster, build, attempt, gone }, Done::Failed(Settle::Retry)) => match gone {
                Some(uid) => state.clusters[*cluster].gone.push((build.clone(), *attempt, uid.clone())),
                None => state.clusters[*cluster].again.push((now() + Duration::from_secs(1), build.clone(), *attempt)),
            },
        }
    }

    /// Whoever runs the handler dies; the one that watched does so with all it had in mind.
    fn crash(&mut self, which: usize) {
        if self.flights.is_empty() {
            return;
        }
        let at = which % self.flights.len();
        if let Of::Pod { cluster, .. } = self.flights.swap_remove(at).of {
            self.restart(cluster);
        }
    }

    fn restart(&mut self, n: usize) {
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

    fn wait(&self, until: Timestamp) {
        set_now(until.max(now()));
        self.state().fire_due(now());
    }

    fn route(&mut self, build: usize, attempt: u32, to: usize) {
        let build = &self.builds[build % self.builds.len()];
        let why = Why { rule: "default".into(), revision: "r".into(), eligible: vec![], excluded: vec![] };
        let routed = BuildRouted {
            build: build.clone(),
            attempt,
            executor: EXECUTORS[to % 2].to_owned(),
            request: request(build),
            tenant: "default".into(),
            spec: BuildSpec { image: "a".into(), ..BuildSpec::default() },
            limits: LIMITS,
            at: now(),
            why,
        };
        self.state().publish(routed.outgoing().unwrap());
    }

    fn refuse(&mut self, build: usize) {
        let build = &self.builds[build % self.builds.len()];
        let refused = BuildRefused {
            build: build.clone(),
            attempt: 1,
            request: request(build),
            tenant: "default".into(),
            pipeline: None,
            job: None,
            reason: "no executor may have it".into(),
            at: now(),
        };
        self.state().publish(refused.outgoing().unwrap());
    }

    fn cancel(&mut self, build: usize) {
        let build = self.builds[build % self.builds.len()].clone();
        let cancel = CancelRequested { build: build.clone() }.outgoing("default", "c", now(), None).unwrap();
        let mut state = self.state();
        state.publish(cancel);
        state.cancelled.push(build);
    }

    /// The trouble stops. Answers what does not come to rest, or not as it should, or not in time.
    ///
    /// Builds that run go on for ever where `endless`; where no clock was lost, nobody sweeps.
    pub(crate) fn settle_down(&mut self, endless: bool) -> Option<String> {
        let begun = now();
        for cluster in &mut self.state().clusters {
            (cluster.away, cluster.rejects) = (Away::No, false);
        }
        loop {
            let mut rounds = 0;
            while self.move_on(endless) {
                rounds += 1;
                if rounds > 100 {
                    return Some(format!("it never rests: {:?}", self.state().messages));
                }
                let broken = laws::broken(&self.state());
                if broken.is_some() {
                    return broken;
                }
            }
            if now() > begun + LONGEST {
                return Some(format!("it takes longer than it may: {:?}", self.state().timers));
            }
            if self.state().forgetful && laws::unfinished(&self.state()).is_some() {
                self.wait(now() + Duration::from_secs(30));
                self.sweep(0);
                self.sweep(1);
                continue;
            }
            let Some(next) = self.next_moment() else { return laws::unfinished(&self.state()) };
            self.wait(next);
        }
    }

    /// Everything that is possible without time passing, once; whether anything was.
    fn move_on(&mut self, endless: bool) -> bool {
        let ids = |world: &Self| world.state().messages.iter().map(|message| message.id).collect::<Vec<_>>();
        let before = ids(self);
        let mut moved = !self.flights.is_empty() || (0..EXECUTORS.len()).any(|n| self.has_news(n));
        self.turn();
        // What could not be handled now comes again, but later.
        moved |= ids(self) != before;
        self.nodes_work(endless) || moved
    }

    fn has_news(&self, n: usize) -> bool {
        let state = self.state();
        let cluster = &state.clusters[n];
        !cluster.gone.is_empty() || !cluster.changed.is_empty() || cluster.again.iter().any(|(at, ..)| *at <= now())
    }

    fn turn(&mut self) {
        let messages = self.state().messages.clone();
        for message in messages {
            if !(self.deserted && matches!(message.to, Consumer::Launcher(_))) {
                self.deliver(&message, true);
            }
        }
        for n in 0..EXECUTORS.len() {
            while self.has_news(n) {
                self.watch(n, 0);
            }
        }
        for _ in 0..self.flights.len() {
            self.go(0, ALL);
        }
        assert!(self.flights.is_empty(), "a handler never ends");
    }

    fn nodes_work(&self, endless: bool) -> bool {
        let mut moved = false;
        let mut state = self.state();
        for cluster in &mut state.clusters {
            let uids: Vec<_> = cluster.pods.iter().map(|pod| pod.uid.clone()).collect();
            for uid in uids {
                let before = cluster.pods.iter().find(|pod| pod.uid == uid).map(|pod| (pod.phase, pod.node));
                let told = cluster.changed.clone();
                cluster.work(&uid, if endless { 3 } else { 0 }, now());
                if cluster.pods.iter().find(|pod| pod.uid == uid).map(|pod| (pod.phase, pod.node)) == before {
                    cluster.changed = told;
                } else {
                    moved = true;
                }
            }
        }
        moved
    }

    fn next_moment(&self) -> Option<Timestamp> {
        let state = self.state();
        let again = state.clusters.iter().flat_map(|cluster| &cluster.again).map(|(at, ..)| *at);
        let heard = |message: &Message| !(self.deserted && matches!(message.to, Consumer::Launcher(_)));
        let redelivered = state.messages.iter().any(heard).then(|| now() + Duration::from_secs(5));
        state.timers.iter().map(|(_, at)| *at).chain(again).chain(redelivered).min()
    }
}

/// More effects than any handler has.
const ALL: usize = 1000;

/// Three attempts, each of which needs every limit twice at the most, and a little for looking again.
const LONGEST: Duration = Duration::from_mins(32);

impl Message {
    pub(crate) fn is_cancel_of(&self, build: &BuildKey) -> bool {
        matches!(&self.what, What::Cancel { build: found, .. } if found == build)
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

fn request(build: &BuildKey) -> Request {
    Request {
        id: "e".into(),
        source: "/ci".into(),
        r#type: "dev.cdevents.build.queued.0.3.0".into(),
        subject: build.to_string(),
        stream: "CI".into(),
        sequence: 1,
        chain_id: "c".into(),
        trace: derived_traceparent(build),
        ..Request::default()
    }
}

fn pick<T>(among: &[T], which: u8) -> Option<&T> {
    among.get(usize::from(which).checked_rem(among.len())?)
}
