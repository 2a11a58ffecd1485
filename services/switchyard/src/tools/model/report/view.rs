//! What the page shows, apart from where it comes from.

use std::collections::BTreeMap;

use jiff::Timestamp;
use switchyard_drift::Widest;

/// Everything on the page.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    pub(super) model: String,
    /// The revision of the model's file.
    pub(super) revision: String,
    /// When the page was made.
    pub(super) at: Timestamp,
    /// Where the model stands, in one word.
    pub(super) state: String,
    pub(super) champion: Option<Champion>,
    /// Whether no window has been compared with this champion's data yet.
    pub(super) fresh: bool,
    /// The windows that are known, the oldest first.
    pub(super) windows: Vec<Window>,
    pub(super) columns: Vec<Column>,
    /// The same of parts of the rows, in the last window.
    pub(super) segments: Vec<Segments>,
    pub(super) performance: Option<Performance>,
    pub(super) candidate: Option<Candidate>,
    /// The newest first.
    pub(super) runs: Vec<Run>,
    /// The newest first.
    pub(super) skipped: Vec<Skipped>,
}

/// The model that serves.
#[derive(Clone, Debug, Default)]
pub(super) struct Champion {
    pub(super) run: String,
    pub(super) since: Timestamp,
    pub(super) metrics: BTreeMap<String, f64>,
}

/// A window that was judged.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    pub(super) number: u64,
    pub(super) at: Timestamp,
    pub(super) rows: u64,
    pub(super) gaps: u64,
    pub(super) unreadable: u64,
    pub(super) late: u64,
    pub(super) drifted: Vec<String>,
}

/// A column, then and now.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) shape: Option<Shape>,
    /// Where numbers of the reference and of the last window are furthest apart.
    pub(super) widest: Option<Widest>,
    /// How the difference is measured, and from where on it counts.
    pub(super) measure: String,
    pub(super) threshold: f64,
    pub(super) points: Vec<Point>,
    /// What the last window says.
    pub(super) p: Option<f64>,
    pub(super) why: String,
    pub(super) drifted: bool,
}

/// The rows of the last window, parted by a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Segments {
    pub(super) by: String,
    /// What is compared of each part.
    pub(super) columns: Vec<String>,
    pub(super) parts: Vec<Part>,
}

/// The rows of one value.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) rows: u64,
    /// Their share of all rows, in the reference and in the window.
    pub(super) then: f64,
    pub(super) now: f64,
    /// By the columns that are compared.
    pub(super) differences: BTreeMap<String, Difference>,
}

/// What the last window says of a column of a part.
#[derive(Clone, Debug, Default)]
pub(super) struct Difference {
    pub(super) measure: String,
    pub(super) effect: f64,
    pub(super) threshold: f64,
    pub(super) p: f64,
    /// Whether there were rows enough to say anything.
    pub(super) counted: bool,
    pub(super) why: String,
    pub(super) drifted: bool,
    pub(super) shape: Option<Shape>,
}

/// What one window says of a column or a metric.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Point {
    pub(super) window: u64,
    pub(super) value: f64,
    pub(super) drifted: bool,
    /// Whether another reference held than in the window before.
    pub(super) anew: bool,
}

/// The values of a column in the reference and in the last window.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Numbers { low: f64, high: f64, reference: Vec<f64>, current: Vec<f64> },
    Names { names: Vec<String>, reference: Vec<f64>, current: Vec<f64> },
}

/// How good the model was on rows whose labels have come.
#[derive(Clone, Debug, Default)]
pub(super) struct Performance {
    pub(super) metric: String,
    pub(super) limit: Option<f64>,
    pub(super) points: Vec<Point>,
    pub(super) bad: bool,
}

/// The last model that was measured, beside the champion on the same rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidate {
    pub(super) run: String,
    pub(super) compared: Option<String>,
    /// Each with the candidate's value and the champion's, and whether less is better.
    pub(super) metrics: Vec<(String, f64, Option<f64>, bool)>,
    pub(super) outcome: String,
    pub(super) reasons: Vec<String>,
}

/// A training.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    pub(super) number: u64,
    pub(super) key: String,
    pub(super) at: Timestamp,
    pub(super) causes: Vec<String>,
    pub(super) outcome: String,
    pub(super) reason: String,
    pub(super) pod_seconds: Option<u64>,
}

/// A decision that nothing is trained.
#[derive(Clone, Debug, Default)]
pub(super) struct Skipped {
    pub(super) at: Timestamp,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) until: Option<Timestamp>,
    pub(super) causes: Vec<String>,
}
