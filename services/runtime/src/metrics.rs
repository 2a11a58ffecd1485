//! Counters, gauges and histograms in Prometheus' text format, as plain atomics.
//!
//! Ask for a metric once and keep the handle: changing its value takes no lock. The text is that of the exposition format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter, Write as _};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of a histogram's buckets, in seconds: 0.5 ms to 5 minutes.
const BOUNDS: [f64; 16] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 90.0, 300.0];

/// A number that only grows.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    /// Adds `n`, which may be negative.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Relaxed);
    }
}

/// How long things took.
#[derive(Debug, Clone, Default)]
pub struct Histogram(Arc<Times>);

#[derive(Debug, Default)]
struct Times {
    /// One per bound, and one for what is above them all. Not cumulative.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

impl Histogram {
    /// Counts one thing that took `time`.
    pub fn observe(&self, time: Duration) {
        let bucket = BOUNDS.partition_point(|bound| *bound < time.as_secs_f64());
        if let Some(count) = self.0.buckets.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.0.microseconds.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }
}

/// All metrics of this process. Clones share one set.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Mutex<BTreeMap<&'static str, Family>>>);

#[derive(Debug)]
struct Family {
    help: &'static str,
    series: BTreeMap<String, Series>,
}

#[derive(Debug, Clone)]
enum Series {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Metrics {
    /// The counter of this name and these labels, made on first use. By convention the name ends in `_total`.
    #[must_use]
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Counter {
        match self.series(name, help, labels, || Series::Counter(Counter::default())) {
            Series::Counter(counter) => counter,
            Series::Gauge(_) | Series::Histogram(_) => Counter::default(),
        }
    }

    /// The gauge of this name and these labels, made on first use.
    #[must_use]
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Gauge {
        match self.series(name, help, labels, || Series::Gauge(Gauge::default())) {
            Series::Gauge(gauge) => gauge,
            Series::Counter(_) | Series::Histogram(_) => Gauge::default(),
        }
    }

    /// The histogram of this name and these labels, made on first use. By convention the name ends in `_seconds`.
    #[must_use]
    pub fn histogram(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Histogram {
        match self.series(name, help, labels, || Series::Histogram(Histogram::default())) {
            Series::Histogram(histogram) => histogram,
            Series::Counter(_) | Series::Gauge(_) => Histogram::default(),
        }
    }

    /// A name that already stands for another kind gives a metric that is not shown: the first kind wins, as scrapers allow one only.
    fn series(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)], make: fn() -> Series) -> Series {
        let mut families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let family = families.entry(name).or_insert_with(|| Family { help, series: BTreeMap::new() });
        let new = make();
        if family.series.values().next().is_some_and(|one| one.kind() != new.kind()) {
            return new;
        }
        family.series.entry(label_text(labels)).or_insert(new).clone()
    }
}

impl Display for Metrics {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (name, family) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            let kind = family.series.values().next().map_or("untyped", Series::kind);
            writeln!(f, "# HELP {name} {}\n# TYPE {name} {kind}", family.help)?;
            for (labels, series) in &family.series {
                series.write(f, name, labels)?;
            }
        }
        Ok(())
    }
}

impl Series {
    fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Gauge(_) => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }

    fn write(&self, f: &mut Formatter<'_>, name: &str, labels: &str) -> fmt::Result {
        match self {
            Self::Counter(counter) => writeln!(f, "{name}{} {}", braced(labels), counter.value()),
            Self::Gauge(gauge) => writeln!(f, "{name}{} {}", braced(labels), gauge.0.load(Relaxed)),
            Self::Histogram(histogram) => histogram.write(f, name, labels),
        }
    }
}

impl Histogram {
    fn write(&self, f: &mut Formatter<'_>, name: &str, labels: &str) -> fmt::Result {
        let comma = if labels.is_empty() { "" } else { "," };
        let bounds = BOUNDS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        let mut count = 0;
        for (bound, bucket) in bounds.zip(&self.0.buckets) {
            count += bucket.load(Relaxed);
            writeln!(f, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}")?;
        }
        let seconds = Duration::from_micros(self.0.microseconds.load(Relaxed)).as_secs_f64();
        writeln!(f, "{name}_sum{0} {seconds}\n{name}_count{0} {count}", braced(labels))
    }
}

fn braced(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

fn label_text(labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{name}=\"{value}\"");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_and_labels_are_the_same_counter() {
        let metrics = Metrics::default();
        for _ in 0..2 {
            metrics.counter("switchyard_messages_total", "Messages.", &[("durable", "router")]).increment();
        }
        metrics.counter("switchyard_messages_total", "Messages.", &[("durable", "a \"b\"\n")]).add(5);
        assert_eq!(
            metrics.to_string(),
            "# HELP switchyard_messages_total Messages.\n# TYPE switchyard_messages_total counter\n\
             switchyard_messages_total{durable=\"a \\\"b\\\"\\n\"} 5\nswitchyard_messages_total{durable=\"router\"} 2\n"
        );
    }

    #[test]
    fn a_histogram_counts_up_to_each_bound() {
        let metrics = Metrics::default();
        let histogram = metrics.histogram("wait_seconds", "Waiting.", &[("clock", "queued")]);
        for milliseconds in [1, 20, 500_000] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        let text = metrics.to_string();
        for line in [
            "wait_seconds_bucket{clock=\"queued\",le=\"0.0005\"} 0",
            "wait_seconds_bucket{clock=\"queued\",le=\"0.001\"} 1",
            "wait_seconds_bucket{clock=\"queued\",le=\"300\"} 2",
            "wait_seconds_bucket{clock=\"queued\",le=\"+Inf\"} 3",
            "wait_seconds_sum{clock=\"queued\"} 500.021",
            "wait_seconds_count{clock=\"queued\"} 3",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} not in\n{text}");
        }
    }

    #[test]
    fn a_name_stands_for_one_kind_only() {
        let metrics = Metrics::default();
        metrics.gauge("slots", "Free slots.", &[]).set(-3);
        metrics.counter("slots", "Free slots.", &[("a", "b")]).increment();
        assert_eq!(metrics.to_string(), "# HELP slots Free slots.\n# TYPE slots gauge\nslots -3\n");
    }
}
