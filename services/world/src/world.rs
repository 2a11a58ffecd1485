//! The world: who is there, and how each thing that may happen does.

use std::{
    sync::{Arc, LazyLock, Mutex, MutexGuard},
    time::Duration,
};

use jiff::Timestamp;
use switchyard_events::{BuildKey, Limits, TimeLimit};
use switchyard_fleet::Fleet;
use switchyard_launcher::Launcher;
use switchyard_reaper::{Elsewhere, Reaper};

use crate::{
    flight::Flight,
    laws,
    mistake::{self, Mistake},
    site::{Service, Site, now, set_now},
    state::{EXECUTORS, State},
    step::{Happening, Step},
};

const FLEET: &str = "
version: 1
executor:
  plugin: a
  a: {plugin: kubernetes}
  b: {plugin: kubernetes}
";

static ONE_FLEET: LazyLock<Arc<Fleet>> = LazyLock::new(|| Arc::new(Fleet::parse(FLEET).unwrap()));

pub(crate) const LIMITS: Limits = Limits {
    queued: TimeLimit::seconds(60),
    reroute_after: Some(TimeLimit::seconds(15)),
    pending: TimeLimit::seconds(60),
    running: TimeLimit::seconds(120),
    running_max: TimeLimit::seconds(180),
    teardown: TimeLimit::seconds(30),
    grace: TimeLimit::seconds(10),
    linger: TimeLimit::seconds(20),
};

/// What somebody may have changed in the fleet file.
const SHORT: Limits =
    Limits { queued: TimeLimit::seconds(20), running: TimeLimit::seconds(30), linger: TimeLimit::ZERO, ..LIMITS };

pub(crate) struct World {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) builds: Vec<BuildKey>,
    pub(crate) flights: Vec<Flight>,
    /// Every launcher is gone, for good.
    pub(crate) deserted: bool,
    /// What the fleet file says now.
    pub(crate) limits: Limits,
    pub(crate) refusing: bool,
    pub(crate) launchers: [Arc<Launcher<Site, Site>>; 2],
    pub(crate) reapers: [Arc<Reaper<Site, Site>>; 2],
    /// What each reaper knows of the executors.
    pub(crate) known: [Elsewhere; 2],
    /// Whether each executor is to become empty.
    pub(crate) draining: [bool; 2],
}

impl World {
    /// A world in which so many builds are asked for, and one thing is done wrong, if so.
    pub(crate) fn new(builds: u8, mistake: Option<Mistake>) -> Self {
        set_now("2026-01-01T00:00:00Z".parse().unwrap());
        let state = State { mistake, ..State::default() };
        let state = Arc::new(Mutex::new(state));
        for (n, cluster) in state.lock().unwrap().clusters.iter_mut().enumerate() {
            cluster.name = EXECUTORS[n];
            cluster.ungated = mistake == Some(Mistake::CreateUngated);
        }
        let site = |executor, service| Site { state: state.clone(), executor, service };
        let launcher = |n| {
            let (bus, executor) = (site(n, Service::Launcher), site(n, Service::Launcher));
            let launcher = Launcher::new(bus, executor, ONE_FLEET.clone()).told_the_time_by(now);
            launcher.deciding_by(mistake::launcher(mistake))
        };
        let known = [(); 2].map(|()| Elsewhere::default());
        let reaper = |n: usize| {
            let reaper = Reaper::new(site(n, Service::Reaper), site(n, Service::Reaper)).told_the_time_by(now);
            reaper.knowing(known[n].clone()).deciding_by(mistake::reaper(mistake))
        };
        Self {
            launchers: [0, 1].map(|n| Arc::new(launcher(n))),
            reapers: [0, 1].map(|n| Arc::new(reaper(n))),
            builds: (0..builds).map(|n| BuildKey::of("/ci", &n.to_string(), "e")).collect(),
            flights: Vec::new(),
            deserted: false,
            limits: LIMITS,
            refusing: false,
            known,
            draining: [false; 2],
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
            Step::Pause(which) => self.pause(usize::from(which)),
            Step::Crash(which) => self.crash(usize::from(which)),
            Step::Restart(which) => self.restart(usize::from(which) % 2),
            Step::Watch { cluster, which } => self.watch(usize::from(cluster) % 2, usize::from(which)),
            Step::Sweep(which) => self.sweep(usize::from(which) % 2),
            Step::Wait { seconds } => self.wait(now() + Duration::from_secs(seconds.into())),
            Step::Route { build, to } => self.route(usize::from(build), 1, usize::from(to) % 2),
            Step::Refuse(build) => self.refuse(usize::from(build), 1),
            Step::Repeat(which) => self.repeat(usize::from(which)),
            Step::Configure(which) => {
                self.limits = if which.is_multiple_of(2) { LIMITS } else { SHORT };
                self.refusing = which % 8 >= 6;
            }
            Step::Fleet { executor, draining, takes } => self.know(usize::from(executor) % 2, draining, takes),
            Step::Extend { build, seconds } => self.extend(usize::from(build), u64::from(seconds)),
            Step::Cancel(build) => self.cancel(usize::from(build)),
            Step::Early(which) => self.early(usize::from(which), false),
            Step::Lose(which) => self.early(usize::from(which), true),
            Step::Overlook(which) => {
                let mut state = self.state();
                state.clusters[usize::from(which) % 2].overlook();
                state.forgetful = true;
            }
            Step::Turn => self.turn(),
            Step::Next => self.wait(self.next_moment().unwrap_or_else(now)),
            Step::Broker(how) => self.state().broker = how,
            Step::There { cluster, happening } => self.happen(usize::from(cluster) % 2, happening),
        }
        laws::broken(&self.state())
    }

    fn happen(&self, n: usize, happening: Happening) {
        let mut state = self.state();
        let cluster = &mut state.clusters[n];
        let uid = |which| pick(&cluster.pods, which).map(|pod| pod.uid.clone()).unwrap_or_default();
        match happening {
            Happening::Work { which, how } => cluster.work(&uid(which), how, now()),
            Happening::Delete { which, force } => cluster.change(&uid(which), |pod| {
                pod.deleting = true;
                pod.forced |= force;
            }),
            Happening::Machine { which, lost } => cluster.change(&uid(which), |pod| pod.lost = lost && pod.node),
            Happening::Away(how) => cluster.away = how,
            Happening::Arrive(which) => {
                if let Some(at) = usize::from(which).checked_rem(cluster.late.len()) {
                    let request = cluster.late.remove(at);
                    drop(cluster.perform(&request, now()));
                }
            }
            Happening::Reject => cluster.rejects = !cluster.rejects,
        }
    }

    /// The reapers of an executor hear whether it is to become empty, and whether the other one takes builds.
    pub(crate) fn know(&mut self, n: usize, draining: bool, takes: bool) {
        self.known[n].drain(draining);
        self.draining[n] = draining;
        self.known[n].learn(takes.then(|| EXECUTORS[1 - n].to_owned()).into_iter().collect());
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

    fn repeat(&self, which: usize) {
        let mut state = self.state();
        if let Some(at) = which.checked_rem(state.log.len()) {
            state.announce(at);
        }
    }

    pub(crate) fn wait(&self, until: Timestamp) {
        set_now(until.max(now()));
        self.state().fire_due(now());
    }
}

fn pick<T>(among: &[T], which: u8) -> Option<&T> {
    among.get(usize::from(which).checked_rem(among.len())?)
}
