//! 200 builds and more, and something is killed in the middle: every build ends exactly once, no pod runs twice, none is left.

use std::time::Duration;

use serde_json::json;
use switchyard_bus::Durable;
use switchyard_events::{Attempt, BuildKey, Outcome, Reason};

use crate::yard::{Yard, until};

const BUILDS: usize = 200;
const PATIENCE: Duration = Duration::from_mins(2);

async fn publish(yard: &Yard, from: usize, to: usize) -> Vec<BuildKey> {
    let mut builds = Vec::new();
    for n in from..to {
        let build = json!({"image": "registry.example/a:1", "cpu": "micro", "ram": "micro", "annotations": {"dev.switchyard/run-for": "1500ms"}});
        builds.push(yard.publish(&format!("build-{n}"), build).await);
    }
    builds
}

async fn all_succeeded(yard: &Yard, builds: &[BuildKey]) {
    for (build, record) in yard.audit(builds, PATIENCE).await {
        let decided = record.latest().unwrap().decided.clone().unwrap();
        assert_eq!(decided.outcome, Outcome::Success, "build {build}: {decided:?}");
        assert_eq!(record.attempts.len(), 1, "build {build}: nothing but a service died, so nothing was to be tried again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_that_are_killed_or_stopped_lose_and_double_nothing() {
    let yard = Yard::start(false, 1).await;
    let mut builds = publish(&yard, 0, 40).await;
    let names: Vec<_> = yard.services.iter().map(|(name, _)| name.to_owned()).collect();
    for (n, name) in names.iter().enumerate() {
        let service = yard.services.get(name).unwrap();
        builds.extend(publish(&yard, builds.len(), builds.len() + 16).await);
        service.kill().await;
        builds.extend(publish(&yard, builds.len(), builds.len() + 8).await);
        service.restart().await.unwrap();
        builds.extend(publish(&yard, builds.len(), builds.len() + 8).await);
        assert_eq!(service.stop(Duration::from_secs(25)).await.code, Some(0), "{name} (the {n}.) ends by itself on SIGTERM");
        service.restart().await.unwrap();
    }
    assert!(builds.len() >= BUILDS, "{}", builds.len());
    all_succeeded(&yard, &builds).await;
    yard.stop().await;
}

/// Much longer than a message waits for its acknowledgement ([`switchyard_bus::ACK_WAIT`], 3 s) before another replica is told, and than anybody waits for an answer.
const STOPPED: Duration = Duration::from_secs(35);

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stood_still_longer_than_its_messages_wait_does_no_harm_when_it_wakes() {
    assert!(STOPPED > 10 * switchyard_bus::ACK_WAIT);
    let yard = Yard::start(false, 2).await;
    let mut builds = publish(&yard, 0, 40).await;
    let stopped: Vec<_> = yard.services.iter().filter(|(name, _)| name.ends_with("-0")).map(|(_, service)| service).collect();
    // Caught at work: some of what they have begun is taken over by the other replicas.
    for service in &stopped {
        service.pause();
        builds.extend(publish(&yard, builds.len(), builds.len() + 10).await);
    }
    let wake = tokio::time::Instant::now() + STOPPED;
    builds.extend(publish(&yard, builds.len(), builds.len() + 20).await);
    tokio::time::sleep_until(wake).await;
    for service in &stopped {
        service.resume();
    }
    builds.extend(publish(&yard, builds.len(), builds.len() + 20).await);
    all_succeeded(&yard, &builds).await;
    // Of each kind somebody was stopped with messages at hand, which were given to another, too.
    let executors = ["k8s", "k8s-vm"];
    assert!(given(&yard, &[Durable::requests()]).await > builds.len(), "routers");
    assert!(given(&yard, &executors.map(Durable::routed)).await > builds.len(), "launchers");
    assert!(given(&yard, &executors.map(Durable::progress)).await > 2 * builds.len(), "reapers");
    yard.stop().await;
}

/// How often consumers were given a message: more often than there are messages, where one was given twice.
async fn given(yard: &Yard, durables: &[Durable]) -> usize {
    let mut given = 0;
    for durable in durables {
        given += yard.bus.lag(durable).await.unwrap().delivered;
    }
    usize::try_from(given).unwrap()
}

/// So many builds for the launchers to be killed and stopped in.
const MANY: usize = 500;

/// What of it went on for the builds to run in; the whole must be over before this.
const TROUBLE: Duration = Duration::from_mins(8);

/// A sequence of numbers that is the same for the same seed (the constants of Knuth's MMIX).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn launchers_that_are_killed_and_stopped_and_api_servers_that_restart_lose_and_double_nothing() {
    let seed = jiff::Timestamp::now().as_microsecond().unsigned_abs();
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let yard = Yard::start(false, 2).await;
    let launchers: Vec<_> =
        yard.services.iter().filter(|(name, _)| name.starts_with("launcher")).map(|(_, service)| service).collect();
    assert_eq!(launchers.len(), 4, "two replicas for each of two executors");
    let api = yard.stack.control_plane().unwrap().apiserver();
    let mut builds = publish(&yard, 0, 50).await;
    for round in 0..15 {
        builds.extend(publish(&yard, builds.len(), builds.len() + 15).await);
        let launcher = launchers[usize::try_from(dice.roll(4)).unwrap()];
        // Both signals in any case.
        let kills = round == 0 || round > 1 && dice.roll(3) == 0;
        if kills {
            launcher.kill().await;
            builds.extend(publish(&yard, builds.len(), builds.len() + 15).await);
            launcher.restart().await.unwrap();
        } else {
            launcher.pause();
            builds.extend(publish(&yard, builds.len(), builds.len() + 15).await);
            tokio::time::sleep(Duration::from_millis(500 + dice.roll(3000))).await;
            launcher.resume();
        }
        if round % 5 == 2 {
            api.kill().await;
            tokio::time::sleep(Duration::from_millis(dice.roll(1500))).await;
            api.restart().await.unwrap();
        }
    }
    assert_eq!(builds.len(), MANY);
    for (build, record) in yard.audit(&builds, TROUBLE).await {
        let decided = record.latest().unwrap().decided.clone().unwrap();
        assert_eq!(decided.outcome, Outcome::Success, "build {build}: {decided:?}");
        // On a busy machine a build that nobody has begun may move to the other executor; it leaves no pod behind.
        let (last, moved) = record.attempts.split_last().unwrap();
        let has_moved = |attempt: &Attempt| {
            attempt.bound.is_none() && attempt.decided.as_ref().is_some_and(|end| end.reason == Reason::Requeued)
        };
        assert!(last.bound.is_some() && moved.iter().all(has_moved), "build {build}: nothing but services died: {record:?}");
    }
    yard.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_loses_and_doubles_nothing() {
    let yard = Yard::start(false, 1).await;
    let mut builds = publish(&yard, 0, 100).await;
    yard.stack.nats().server().kill().await;
    yard.stack.nats().server().restart().await.unwrap();
    builds.extend(publish(&yard, 100, BUILDS).await);
    all_succeeded(&yard, &builds).await;
    yard.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_killed_loses_and_doubles_nothing() {
    let yard = Yard::start(false, 1).await;
    let mut builds = publish(&yard, 0, 100).await;
    let running =
        yard.record(&builds[0], "the first build runs", |record| record.latest().is_some_and(|attempt| attempt.bound.is_some()));
    running.await;
    let api = yard.stack.control_plane().unwrap().apiserver();
    api.kill().await;
    builds.extend(publish(&yard, 100, BUILDS).await);
    is_told(&yard, "unreachable", 0).await;
    until("a build waits for the API server", PATIENCE, async || {
        let records = yard.bus.records().await.ok()?;
        records.iter().any(|(_, record)| record.latest().is_some_and(|attempt| attempt.bound.is_none())).then_some(())
    })
    .await;
    api.restart().await.unwrap();
    is_told(&yard, "reachable", 1).await;
    all_succeeded(&yard, &builds).await;
    yard.stop().await;
}

/// Of each executor an event and a metric say whether it answers.
async fn is_told(yard: &Yard, predicate: &str, reachable: u8) {
    for executor in ["k8s", "k8s-vm"] {
        let subject = format!("yard.dev.cdeventsx.switchyard-executor.{predicate}.0.1.0.{executor}");
        let event = async || yard.bus.last("YARD", &subject).await.ok().flatten();
        until(&format!("{subject} is stored"), PATIENCE, event).await;
        let ready = yard.services.get(&format!("reaper-{executor}-0")).unwrap().address().unwrap();
        let metric = format!("switchyard_executor_reachable{{executor=\"{executor}\"}} {reachable}");
        until(&metric, PATIENCE, async || {
            let told = reqwest::get(ready.replace("/readyz", "/metrics")).await.ok()?.text().await.ok()?;
            told.lines().any(|line| line == metric).then_some(())
        })
        .await;
    }
}
