//! What was measured, for people and for programs.

use std::{fmt, time::Duration};

use serde::Serialize;

use super::pass::Pass;
use crate::{
    figures::{Spread, milliseconds, quantile, rounded},
    table,
};

/// What one run measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Run {
    ratio: f64,
    per_second: f64,
    ceiling_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    ceiling_p50_ms: f64,
    ceiling_p99_ms: f64,
    /// Processor time of one build, in microseconds: of this process and of each server.
    client_us: f64,
    nats_us: f64,
    apiserver_us: f64,
    etcd_us: f64,
    ceiling_client_us: f64,
    ceiling_apiserver_us: f64,
    ceiling_etcd_us: f64,
}

/// The medians of all runs, and the runs.
#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    median: Run,
    runs: &'a [Run],
}

impl Run {
    /// Of our launcher and of the loop: a pass over as many builds, and sorted latencies.
    pub(crate) fn of((ours, latencies): (&Pass, &[Duration]), (ceiling, at_least): (&Pass, &[Duration])) -> Self {
        let at = |latencies, per_mille| rounded(milliseconds(quantile(latencies, per_mille)), 2);
        Self {
            ratio: rounded(ours.per_second() / ceiling.per_second(), 4),
            per_second: rounded(ours.per_second(), 1),
            ceiling_per_second: rounded(ceiling.per_second(), 1),
            p50_ms: at(latencies, 500),
            p99_ms: at(latencies, 990),
            ceiling_p50_ms: at(at_least, 500),
            ceiling_p99_ms: at(at_least, 990),
            client_us: ours.each(ours.spent.client),
            nats_us: ours.each(ours.spent.nats),
            apiserver_us: ours.each(ours.spent.apiserver),
            etcd_us: ours.each(ours.spent.etcd),
            ceiling_client_us: ceiling.each(ceiling.spent.client),
            ceiling_apiserver_us: ceiling.each(ceiling.spent.apiserver),
            ceiling_etcd_us: ceiling.each(ceiling.spent.etcd),
        }
    }
}

impl Pass {
    fn per_second(&self) -> f64 {
        f64::from(self.builds) / self.took.as_secs_f64()
    }

    /// Microseconds a build.
    fn each(&self, time: Duration) -> f64 {
        (time.as_secs_f64() * 1e6 / f64::from(self.builds)).round()
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ratio, per_second, ceiling_per_second, p99_ms, ceiling_p99_ms, .. } = self;
        write!(f, "{per_second:.0}/s of {ceiling_per_second:.0}/s = {ratio:.3}, p99 {p99_ms:.1} ms of {ceiling_p99_ms:.1} ms")
    }
}

/// A figure's name, itself and its decimals.
type Figure = (&'static str, fn(&Run) -> f64, usize);

const FIGURES: [Figure; 14] = [
    ("launched a second", |run| run.per_second, 1),
    ("bare loop a second", |run| run.ceiling_per_second, 1),
    ("ratio", |run| run.ratio, 3),
    ("CPU a build (µs): launcher", |run| run.client_us, 0),
    ("CPU a build (µs): nats-server", |run| run.nats_us, 0),
    ("CPU a build (µs): API server", |run| run.apiserver_us, 0),
    ("CPU a build (µs): etcd", |run| run.etcd_us, 0),
    ("bare loop's CPU a build (µs): client", |run| run.ceiling_client_us, 0),
    ("bare loop's CPU a build (µs): API server", |run| run.ceiling_apiserver_us, 0),
    ("bare loop's CPU a build (µs): etcd", |run| run.ceiling_etcd_us, 0),
    ("latency p50 (ms)", |run| run.p50_ms, 1),
    ("latency p99 (ms)", |run| run.p99_ms, 1),
    ("bare loop's latency p50 (ms)", |run| run.ceiling_p50_ms, 1),
    ("bare loop's latency p99 (ms)", |run| run.ceiling_p99_ms, 1),
];

/// Prints the table.
pub(crate) fn print(runs: &[Run]) {
    let row = |(name, figure, decimals): Figure| {
        let Spread { least, median, greatest } = Spread::of(runs.iter().map(figure));
        [name.to_owned(), format!("{median:.decimals$}"), format!("{least:.decimals$}"), format!("{greatest:.decimals$}")]
    };
    table::print(["", "median", "least", "greatest"], &FIGURES.map(row));
}

/// The medians and the runs as one JSON object.
pub(crate) fn json(runs: &[Run]) -> Result<String, serde_json::Error> {
    let median = |figure: fn(&Run) -> f64| Spread::of(runs.iter().map(figure)).median;
    let median = Run {
        ratio: median(|run| run.ratio),
        per_second: median(|run| run.per_second),
        ceiling_per_second: median(|run| run.ceiling_per_second),
        p50_ms: median(|run| run.p50_ms),
        p99_ms: median(|run| run.p99_ms),
        ceiling_p50_ms: median(|run| run.ceiling_p50_ms),
        ceiling_p99_ms: median(|run| run.ceiling_p99_ms),
        client_us: median(|run| run.client_us),
        nats_us: median(|run| run.nats_us),
        apiserver_us: median(|run| run.apiserver_us),
        etcd_us: median(|run| run.etcd_us),
        ceiling_client_us: median(|run| run.ceiling_client_us),
        ceiling_apiserver_us: median(|run| run.ceiling_apiserver_us),
        ceiling_etcd_us: median(|run| run.ceiling_etcd_us),
    };
    serde_json::to_string(&Report { median, runs })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::pass::Spent;

    fn pass(millis: u64, client: u64) -> Pass {
        let spent = Spent { client: Duration::from_millis(client), nats: Duration::from_millis(2), ..Spent::default() };
        Pass { builds: 10, took: Duration::from_millis(millis), spent }
    }

    #[test]
    fn the_json_object_has_what_the_page_says() {
        let ms = Duration::from_millis;
        let run = Run::of((&pass(125, 30), &[ms(1), ms(3)]), (&pass(100, 20), &[ms(1), ms(2)]));
        let json: serde_json::Value = serde_json::from_str(&json(&[run]).unwrap()).unwrap();
        for (field, wanted) in [
            ("ratio", 0.8),
            ("per_second", 80.0),
            ("ceiling_per_second", 100.0),
            ("p50_ms", 1.0),
            ("p99_ms", 3.0),
            ("client_us", 3000.0),
            ("nats_us", 200.0),
            ("ceiling_client_us", 2000.0),
        ] {
            assert!((json[field].as_f64().unwrap() - wanted).abs() < 1e-9, "{field}: {json}");
        }
        assert_eq!(json["runs"].as_array().unwrap().len(), 1);
    }
}
