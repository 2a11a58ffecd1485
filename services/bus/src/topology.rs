//! Which streams, buckets and durable consumers there are. Plain values: making them is `provision`'s business.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{self, AckPolicy, pull},
    stream::{Config, DiscardPolicy, StorageType},
};

use switchyard_events::TRAINER;

/// A durable consumer of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Durable {
    /// The stream that it reads.
    pub stream: &'static str,
    /// Its name there.
    pub name: String,
}

/// How large the streams may become, in bytes. A full one of events refuses; of what models see and builds say, the oldest goes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Incoming events.
    pub ci: i64,
    /// Our own events.
    pub yard: i64,
    /// What model servers send.
    pub inference: i64,
    /// Dead letters.
    pub dead: i64,
    /// What builds have said.
    pub logs: i64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { ci: 4 << 30, yard: 4 << 30, inference: 2 << 30, dead: 1 << 30, logs: 4 << 30 }
    }
}

/// The key-value buckets: the ledger, heartbeats of executors, the fleet's configuration, the trainer's checkpoints, what ended
/// builds have said.
pub const BUCKETS: [&str; 5] = ["builds", "executors", "config", "trainer", "logs"];

/// How long a consumer waits to be told what became of a message, or that somebody is still at work on it, before it delivers it
/// again. What a broker that is killed had on its way, or an acknowledgement that died with it, comes this much later: little
/// enough for a clock to be handled within 5 s of the broker's return.
pub const ACK_WAIT: Duration = Duration::from_secs(3);

/// How long what a build has said is kept.
pub(crate) const LOGS_KEPT: Duration = Duration::from_hours(30 * 24);

/// The largest message of a stream whose messages may become dead letters: these have more headers, and the server takes at
/// most 1 MiB of any message unless it is told otherwise.
const LARGEST: i32 = (1 << 20) - (16 << 10);

const DAY: Duration = Duration::from_hours(24);
const ROUTED: &str = "yard.dev.cdeventsx.switchyard-build.routed.*.*.*";
const LAUNCHED: &str = "yard.dev.cdeventsx.switchyard-build.launched.*.*.*";

/// Every stream.
#[must_use]
pub fn streams(sizes: &Sizes, replicas: usize) -> Vec<Config> {
    let stream = |name: &str, subjects: &[&str]| Config {
        name: name.to_owned(),
        subjects: subjects.iter().map(|&subject| subject.to_owned()).collect(),
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_age: 7 * DAY,
        duplicate_window: Duration::from_mins(10),
        allow_direct: true,
        num_replicas: replicas,
        ..Config::default()
    };
    vec![
        Config { max_bytes: sizes.ci, max_message_size: LARGEST, ..stream("CI", &["ci.>"]) },
        Config { max_bytes: sizes.yard, max_message_size: LARGEST, ..stream("YARD", &["yard.>"]) },
        Config {
            max_bytes: sizes.inference,
            max_age: DAY,
            discard: DiscardPolicy::Old,
            max_message_size: LARGEST,
            ..stream("INFERENCE", &["inference.>"])
        },
        Config {
            // The server schedules nothing on a stream that refuses; without any limit nothing is ever discarded.
            discard: DiscardPolicy::Old,
            max_age: Duration::ZERO,
            duplicate_window: Duration::from_mins(2),
            allow_message_schedules: true,
            allow_message_ttl: true,
            ..stream("TIMERS", &["timer.>", "fire.>"])
        },
        Config { max_bytes: sizes.dead, max_age: 30 * DAY, ..stream("DEAD", &["dead.>"]) },
    ]
}

impl Durable {
    /// What the router reads of the incoming events: all of them.
    #[must_use]
    pub fn requests() -> Self {
        Self { stream: "CI", name: "router".into() }
    }

    /// Whether others than we publish what it reads.
    pub(crate) fn is_others(&self) -> bool {
        self.stream == "CI"
    }

    /// The builds that want another attempt.
    #[must_use]
    pub fn requeued() -> Self {
        Self { stream: "YARD", name: "router-requeued".into() }
    }

    /// The builds that the trainer asks for, for the router.
    #[must_use]
    pub fn training_requests() -> Self {
        Self { stream: "YARD", name: "router-trainings".into() }
    }

    /// How trainings went, for the trainer: the ends of pipeline runs, others' among them.
    #[must_use]
    pub fn trainings() -> Self {
        Self { stream: "YARD", name: "trainer".into() }
    }

    /// What people ask of the trainer: approvals, rollbacks, trainings.
    #[must_use]
    pub fn asked() -> Self {
        Self { stream: "CI", name: "trainer".into() }
    }

    /// The builds routed to an executor, for its launchers.
    #[must_use]
    pub fn routed(executor: &str) -> Self {
        Self { stream: "YARD", name: format!("launcher-{executor}") }
    }

    /// What is routed to and launched on an executor, for its reapers.
    #[must_use]
    pub fn progress(executor: &str) -> Self {
        Self { stream: "YARD", name: format!("reaper-{executor}") }
    }

    /// What every reaper takes its share of: refused, started and finished builds.
    #[must_use]
    pub fn results() -> Self {
        Self { stream: "YARD", name: "reaper".into() }
    }

    /// Requests to cancel or to extend a build, for the reapers of an executor.
    #[must_use]
    pub fn cancels(executor: &str) -> Self {
        Self { stream: "CI", name: format!("cancel-{executor}") }
    }

    /// The clocks of an executor that have run out.
    #[must_use]
    pub fn clocks(executor: &str) -> Self {
        Self { stream: "TIMERS", name: format!("clocks-{executor}") }
    }
}

/// Every durable consumer, with what it reads.
#[must_use]
pub fn consumers(executors: &[&str]) -> Vec<(Durable, pull::Config)> {
    let mut all = vec![
        consumer(Durable::requests(), vec!["ci.>".into()]),
        consumer(Durable::requeued(), vec!["yard.dev.cdeventsx.switchyard-build.requeued.>".into()]),
        consumer(Durable::training_requests(), vec!["yard.dev.cdevents.pipelinerun.queued.>".into()]),
        consumer(Durable::trainings(), vec!["yard.dev.cdevents.pipelinerun.finished.>".into()]),
        consumer(
            Durable::asked(),
            ["retraining", "model"].map(|what| format!("ci.{TRAINER}.dev.cdeventsx.switchyard-{what}.>")).into(),
        ),
        consumer(
            Durable::results(),
            vec![
                "yard.dev.cdeventsx.switchyard-build.refused.>".into(),
                "yard.dev.cdevents.*.started.>".into(),
                "yard.dev.cdevents.*.finished.>".into(),
            ],
        ),
    ];
    for executor in executors {
        let token = switchyard_events::token(executor);
        all.push(consumer(Durable::routed(executor), vec![format!("{ROUTED}.{token}.>")]));
        all.push(consumer(Durable::progress(executor), vec![format!("{ROUTED}.{token}.>"), format!("{LAUNCHED}.{token}.>")]));
        let asked = ["cancelrequested", "extended"].map(|what| format!("ci.*.dev.cdeventsx.switchyard-build.{what}.>"));
        all.push(consumer(Durable::cancels(executor), asked.into()));
        all.push(consumer(Durable::clocks(executor), vec![format!("fire.{token}.>")]));
    }
    all
}

/// The subjects that a consumer reads; one that is empty stands for all.
pub(crate) fn reads(consumer: &consumer::Config) -> Vec<&str> {
    let (one, several) = (&consumer.filter_subject, &consumer.filter_subjects);
    if several.is_empty() { vec![one] } else { several.iter().map(String::as_str).collect() }
}

fn consumer(durable: Durable, filters: Vec<String>) -> (Durable, pull::Config) {
    let config = pull::Config {
        durable_name: Some(durable.name.clone()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_deliver: -1,
        max_ack_pending: 8192,
        filter_subjects: filters,
        ..pull::Config::default()
    };
    (durable, config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_consumers_share_a_name_and_each_stream_exists() {
        let consumers = consumers(&["k8s", "k8s-vm"]);
        let names: Vec<_> = streams(&Sizes::default(), 1).into_iter().map(|stream| stream.name).collect();
        for (n, (durable, config)) in consumers.iter().enumerate() {
            assert!(consumers[..n].iter().all(|(other, _)| other != durable), "{durable:?}");
            assert!(names.iter().any(|name| name == durable.stream));
            assert!(config.max_ack_pending > 8 * (256 + 2 * 200), "eight replicas with a full window each");
        }
    }

    #[test]
    fn only_inference_may_forget() {
        let forgets =
            |stream: &Config| stream.discard == DiscardPolicy::Old && (stream.max_bytes > 0 || stream.max_age > Duration::ZERO);
        let forgetful: Vec<_> = streams(&Sizes::default(), 1).into_iter().filter(forgets).map(|stream| stream.name).collect();
        assert_eq!(forgetful, ["INFERENCE"]);
    }
}
