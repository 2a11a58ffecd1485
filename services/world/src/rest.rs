//! The trouble stops, and everything must come to rest: as it should, and in time.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    cluster::Away,
    laws,
    site::now,
    state::{Consumer, EXECUTORS, Message},
    world::World,
};

/// More effects than any handler has.
const ALL: usize = 1000;

/// Three attempts, each of which needs every limit twice at the most, and a little for looking again.
const LONGEST: Duration = Duration::from_mins(32);

impl World {
    /// The trouble stops. Answers what does not come to rest, or not as it should, or not in time.
    ///
    /// First without the replicas that were stopped, and without what the clusters still have to do; then these come back too.
    /// Builds that run go on for ever where `endless`; where no clock was lost, nobody sweeps.
    pub(crate) fn settle_down(&mut self, endless: bool) -> Option<String> {
        self.all_is_well();
        let broken = self.come_to_rest(endless);
        if broken.is_some() {
            return broken;
        }
        for flight in &mut self.flights {
            flight.paused = false;
        }
        for cluster in &mut self.state().clusters {
            for request in std::mem::take(&mut cluster.late) {
                drop(cluster.perform(&request, now()));
            }
        }
        self.come_to_rest(endless)
    }

    fn all_is_well(&self) {
        let mut state = self.state();
        state.broker = Away::No;
        for cluster in &mut state.clusters {
            (cluster.away, cluster.rejects) = (Away::No, false);
        }
    }

    fn come_to_rest(&mut self, endless: bool) -> Option<String> {
        let begun = now();
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
                let state = self.state();
                return Some(format!("it takes longer than it may: {:?} {:?}", state.timers, state.messages));
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
        let awake = self.flights.iter().any(|flight| !flight.paused);
        let mut moved = awake || (0..EXECUTORS.len()).any(|n| self.has_news(n));
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

    /// Every message is delivered, and every handler and watch goes on as far as it can.
    pub(crate) fn turn(&mut self) {
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
        assert!(self.flights.iter().all(|flight| flight.paused), "a handler never ends");
    }

    fn nodes_work(&self, endless: bool) -> bool {
        let mut moved = false;
        let mut state = self.state();
        for cluster in &mut state.clusters {
            moved |= cluster.collect_lost();
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

    /// When something happens by itself next: a clock, a look, a redelivery.
    pub(crate) fn next_moment(&self) -> Option<Timestamp> {
        let state = self.state();
        let again = state.clusters.iter().flat_map(|cluster| &cluster.again).map(|(at, ..)| *at);
        let heard = |message: &Message| !(self.deserted && matches!(message.to, Consumer::Launcher(_)));
        let redelivered = state.messages.iter().any(heard).then(|| now() + Duration::from_secs(5));
        state.timers.iter().map(|(_, at)| *at).chain(again).chain(redelivered).min()
    }
}
