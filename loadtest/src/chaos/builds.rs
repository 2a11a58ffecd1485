//! The builds: most succeed, some fail, hang or are cancelled.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use switchyard_bus::Events as _;
use switchyard_events::{BuildKey, CancelRequested, CdEvent, Outgoing, ci};
use tokio::time::{Instant, sleep, sleep_until};

use super::{dice::Dice, yard::Yard};

const TYPE: &str = "dev.cdevents.build.queued.0.3.0";
const SOURCE: &str = "/ci/chaos";
/// Longer than any fault lasts: a CI system goes on trying.
const TRIES: u32 = 240;
const AGAIN: Duration = Duration::from_millis(500);

/// Publishes builds at a steady rate, whatever breaks; answers their keys.
pub(crate) async fn publish(yard: &Yard, rate: u32, mut dice: Dice, until: Instant) -> anyhow::Result<Vec<BuildKey>> {
    let mut builds = Vec::new();
    let mut next = Instant::now();
    let mut on_their_way = Vec::new();
    while next < until {
        sleep_until(next).await;
        next += Duration::from_secs(1) / rate;
        let id = format!("build-{}", builds.len());
        let build = BuildKey::of(SOURCE, &id, &id);
        on_their_way.push(store(yard, queued(&id, &build_of(&mut dice))?));
        if dice.below(12) == 0 {
            let cancel =
                CancelRequested { build: build.clone() }.outgoing("default", &format!("c-{id}"), Timestamp::now(), None)?;
            let after = dice.between(Duration::ZERO, Duration::from_secs(8));
            on_their_way.push(store_after(yard, after, cancel));
        }
        builds.push(build);
    }
    for stored in on_their_way {
        stored.await??;
    }
    Ok(builds)
}

fn build_of(dice: &mut Dice) -> Value {
    let run_for = format!("{}ms", 300 + dice.below(4000));
    let behave = match dice.below(20) {
        0 | 1 => "fail",
        2 => "hang",
        3 => "evict",
        _ => "complete",
    };
    let steering = json!({"dev.switchyard/behave": behave, "dev.switchyard/run-for": run_for});
    json!({"image": "registry.example/a:1", "cpu": "micro", "ram": "micro", "annotations": steering})
}

fn queued(id: &str, build: &Value) -> anyhow::Result<Outgoing> {
    let event = CdEvent::new(TYPE, id, SOURCE, Timestamp::now(), id).custom_data(&json!({"build": build}))?.to_cloudevent()?;
    Ok(Outgoing { subject: ci("default", TYPE), event, once: false })
}

type Stored = tokio::task::JoinHandle<anyhow::Result<()>>;

fn store(yard: &Yard, outgoing: Outgoing) -> Stored {
    store_after(yard, Duration::ZERO, outgoing)
}

/// Publishes until it is stored; the event's id keeps it from being stored twice.
fn store_after(yard: &Yard, after: Duration, outgoing: Outgoing) -> Stored {
    let bus = yard.bus.clone();
    tokio::spawn(async move {
        sleep(after).await;
        for _ in 1..TRIES {
            if bus.publish(outgoing.clone()).await.is_ok() {
                return Ok(());
            }
            sleep(AGAIN).await;
        }
        Ok(bus.publish(outgoing).await.map(drop)?)
    })
}
