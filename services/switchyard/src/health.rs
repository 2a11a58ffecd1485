//! Keeps a router and a reaper told how the executors are: by the heartbeats of their launchers.

use std::{collections::BTreeMap, time::Duration};

use futures::StreamExt as _;
use jiff::Timestamp;
use switchyard_bus::Bus;
use switchyard_events::Heartbeat;
use switchyard_fleet::Fleet;
use switchyard_reaper::{Elsewhere, taking};
use switchyard_router::{Current, Health};
use tracing::info;

/// A heartbeat that is not followed by another stops counting; so often that is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Keeps a router told who is unwell. Never ends.
pub(crate) async fn follow(bus: &Bus, current: &Current) {
    beats(bus, |beats, now| {
        let health = Health::of(beats, now);
        if current.feel(health.clone()) {
            info!(unwell = %health, "routing by the health of the executors");
        }
    })
    .await;
}

/// Keeps a reaper told who takes builds. Never ends.
pub(crate) async fn taken(bus: &Bus, fleet: &Fleet, elsewhere: &Elsewhere) {
    beats(bus, |beats, now| elsewhere.learn(taking(fleet, beats, now))).await;
}

async fn beats(bus: &Bus, mut tell: impl FnMut(&[Heartbeat], Timestamp)) {
    let mut said = std::pin::pin!(bus.follow_heartbeats());
    let mut last: BTreeMap<String, Heartbeat> = BTreeMap::new();
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            beat = said.next() => last.extend(beat.map(|beat| (beat.key(), beat))),
            _ = look.tick() => {}
        }
        let now = Timestamp::now();
        last.retain(|_, beat| beat.is_fresh(now));
        let beats: Vec<_> = last.values().cloned().collect();
        tell(&beats, now);
    }
}
