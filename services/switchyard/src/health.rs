//! Keeps a router told how the executors are: by the heartbeats of their launchers.

use std::{collections::BTreeMap, time::Duration};

use futures::StreamExt as _;
use jiff::Timestamp;
use switchyard_bus::Bus;
use switchyard_events::Heartbeat;
use switchyard_router::{Current, Health};
use tracing::info;

/// A heartbeat that is not followed by another stops counting; so often that is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Never ends.
pub(crate) async fn follow(bus: &Bus, current: &Current) {
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
        let health = Health::of(&beats, now);
        if current.feel(health.clone()) {
            info!(unwell = %health, "routing by the health of the executors");
        }
    }
}
