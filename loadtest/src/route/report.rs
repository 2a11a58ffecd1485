//! What was measured, for people and for programs.

use std::{fmt, time::Duration};

use serde::Serialize;

use super::throughput::Pass;
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
    p999_ms: f64,
    ceiling_p50_ms: f64,
    ceiling_p99_ms: f64,
    /// Processor time of one build, in microseconds.
    client_us: f64,
    server_us: f64,
    ceiling_client_us: f64,
    ceiling_server_us: f64,
}

/// The medians of all runs, and the runs.
#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    median: Run,
    runs: &'a [Run],
}

impl Run {
    /// Of our router and of the ceiling: a pass over the same requests, and sorted latencies.
    pub(crate) fn of((ours, latencies): (&Pass, &[Duration]), (ceiling, at_least): (&Pass, &[Duration])) -> Self {
        let at = |latencies, per_mille| rounded(milliseconds(quantile(latencies, per_mille)), 3);
        Self {
            ratio: rounded(ceiling.took.as_secs_f64() / ours.took.as_secs_f64(), 4),
            per_second: ours.per_second(),
            ceiling_per_second: ceiling.per_second(),
            p50_ms: at(latencies, 500),
            p99_ms: at(latencies, 990),
            p999_ms: at(latencies, 999),
            ceiling_p50_ms: at(at_least, 500),
            ceiling_p99_ms: at(at_least, 990),
            client_us: ours.each(ours.cpu.client),
            server_us: ours.each(ours.cpu.server),
            ceiling_client_us: ceiling.each(ceiling.cpu.client),
            ceiling_server_us: ceiling.each(ceiling.cpu.server),
        }
    }
}

impl Pass {
    fn per_second(&self) -> f64 {
        (f64::from(self.events) / self.took.as_secs_f64()).round()
    }

    /// Microseconds a build.
    fn each(&self, time: Duration) -> f64 {
        rounded(time.as_secs_f64() * 1e6 / f64::from(self.events), 1)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ratio, per_second, ceiling_per_second, p99_ms, .. } = self;
        write!(f, "{per_second:.0}/s of {ceiling_per_second:.0}/s = {ratio:.3}, p99 {p99_ms:.2} ms")
    }
}

/// Prints the table.
pub(crate) fn print(runs: &[Run]) {
    let row = |name: &str, decimals: usize, figure: fn(&Run) -> f64| {
        let Spread { least, median, greatest } = Spread::of(runs.iter().map(figure));
        [name.to_owned(), format!("{median:.decimals$}"), format!("{least:.decimals$}"), format!("{greatest:.decimals$}")]
    };
    let rows = [
        row("routed a second", 0, |run| run.per_second),
        row("ceiling a second", 0, |run| run.ceiling_per_second),
        row("ratio", 3, |run| run.ratio),
        row("router's CPU a build (µs)", 1, |run| run.client_us),
        row("ceiling's CPU a build (µs)", 1, |run| run.ceiling_client_us),
        row("server's CPU a build, router (µs)", 1, |run| run.server_us),
        row("server's CPU a build, ceiling (µs)", 1, |run| run.ceiling_server_us),
        row("latency p50 (ms)", 2, |run| run.p50_ms),
        row("latency p99 (ms)", 2, |run| run.p99_ms),
        row("latency p99.9 (ms)", 2, |run| run.p999_ms),
        row("ceiling's latency p50 (ms)", 2, |run| run.ceiling_p50_ms),
        row("ceiling's latency p99 (ms)", 2, |run| run.ceiling_p99_ms),
    ];
    table::print(["", "median", "least", "greatest"], &rows);
}

/// The medians and the runs as one JSON object.
pub(crate) fn json(runs: &[Run]) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Report { median: median(runs), runs })
}

fn median(runs: &[Run]) -> Run {
    let median = |figure: fn(&Run) -> f64| Spread::of(runs.iter().map(figure)).median;
    Run {
        ratio: median(|run| run.ratio),
        per_second: median(|run| run.per_second),
        ceiling_per_second: median(|run| run.ceiling_per_second),
        p50_ms: median(|run| run.p50_ms),
        p99_ms: median(|run| run.p99_ms),
        p999_ms: median(|run| run.p999_ms),
        ceiling_p50_ms: median(|run| run.ceiling_p50_ms),
        ceiling_p99_ms: median(|run| run.ceiling_p99_ms),
        client_us: median(|run| run.client_us),
        server_us: median(|run| run.server_us),
        ceiling_client_us: median(|run| run.ceiling_client_us),
        ceiling_server_us: median(|run| run.ceiling_server_us),
    }
}
