//! What a window says of a model: what the monitoring hands to the policy.

use std::{collections::BTreeMap, future::Future};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use switchyard_drift::{Evidence, Turn, Verdict};

/// One window of a model, judged. The same rows give the same, whoever counted them and however often he was killed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Judged {
    /// The model.
    pub model: String,
    /// Its number: windows of a model are counted from 1, without gaps, through all its references.
    pub window: u64,
    /// The run whose rows it was compared with.
    pub reference: String,
    /// When the last of its rows was stored.
    pub at: Timestamp,
    /// How many rows it holds.
    pub rows: u64,
    /// How many messages may have been lost before they were read. Where there are any, the window is not whole.
    pub gaps: u64,
    /// How many messages could not be read; they are in stream DEAD.
    pub unreadable: u64,
    /// How many rows came after their window had closed, and were not counted.
    pub late: u64,
    /// What it says of each column that is watched.
    pub columns: BTreeMap<String, (Evidence, Verdict)>,
    /// The same of parts of the rows: `plan=pro`, then the columns.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub segments: BTreeMap<String, BTreeMap<String, (Evidence, Verdict)>>,
    /// How good the model was on the rows whose labels came in this window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performance: Option<Performed>,
    /// Whether a column has drifted now, of all rows or of a part.
    pub drifted: bool,
    /// How many rows all windows since the reference was pinned have held, with this one.
    pub new_rows: u64,
}

/// How good a model was on rows whose labels have come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Performed {
    /// The metric.
    pub metric: String,
    /// Its value; nothing where no label came, or where it is not defined.
    pub value: Option<f64>,
    /// What it has to keep to; nothing where it may not drop and nobody knows from where.
    pub limit: Option<f64>,
    /// How many labels came.
    pub rows: u64,
    /// Whether that changes anything.
    pub turn: Option<Turn>,
    /// Whether the model has become bad.
    pub bad: bool,
}

impl Judged {
    /// Whether messages may be missing from it.
    #[must_use]
    pub const fn lossy(&self) -> bool {
        self.gaps > 0
    }

    /// The columns that have drifted now; those of a part with its name: `plan=pro/age`.
    #[must_use]
    pub fn drifted_columns(&self) -> Vec<String> {
        let drifted = |columns: &BTreeMap<String, (Evidence, Verdict)>, part: &str| {
            let names = columns.iter().filter(|(_, (_, verdict))| verdict.standing.drifted);
            names.map(|(name, _)| format!("{part}{name}")).collect::<Vec<String>>()
        };
        let parts = self.segments.iter().flat_map(|(part, columns)| drifted(columns, &format!("{part}/")));
        drifted(&self.columns, "").into_iter().chain(parts).collect()
    }
}

/// Who decides what a window means. Told a window twice, he decides once.
pub trait Decide: Send + Sync + 'static {
    /// Takes note of a window, so that nobody forgets it again.
    fn see(&self, judged: &Judged) -> impl Future<Output = anyhow::Result<()>> + Send;
}
