//! What a closed window says, given what the windows before it said. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use switchyard_drift::{Evidence, Measure, MergeError, Standing, Verdict, WindowCounts, judge};
use switchyard_model::PREDICTION;

use super::state::Part;
use crate::{
    Watch,
    judged::{Judged, Performed},
};

/// What is remembered of a model between windows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Course {
    /// What the windows are counted by.
    pub(crate) basis: String,
    /// How new that is.
    pub(crate) version: u64,
    /// The run whose rows they are compared with.
    pub(crate) reference: String,
    /// The next window of this basis.
    pub(crate) next: u64,
    /// How many windows were judged, of all bases.
    pub(crate) windows: u64,
    /// How many rows they held since the reference was pinned.
    pub(crate) rows: u64,
    /// The standing of each column; of a part's with its name: `plan=pro/age`.
    pub(crate) standings: BTreeMap<String, Standing>,
    /// That of the metric.
    #[serde(default)]
    pub(crate) performance: Standing,
    /// The last window: whoever decides may not have seen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Judged>,
}

impl Course {
    /// Windows begin anew by another basis; their numbers go on.
    pub(crate) fn begin(self, watch: &Watch) -> Self {
        let rows = if self.reference == watch.reference { self.rows } else { 0 };
        let (basis, reference) = (watch.basis.clone(), watch.reference.clone());
        Self { basis, reference, version: watch.version, windows: self.windows, rows, last: self.last, ..Self::default() }
    }

    /// Judges window `number` of this basis, which holds `whole`.
    ///
    /// # Errors
    /// It was counted with another reference.
    pub(crate) fn judge(&self, watch: &Watch, number: u64, whole: &Part) -> Result<Self, MergeError> {
        let asked = asked(watch, &whole.counts)?;
        let standing =
            |(key, evidence): &(Key, Evidence)| (evidence.clone(), self.standings.get(&key.name()).cloned().unwrap_or_default());
        let verdicts = judge(&asked.iter().map(standing).collect::<Vec<_>>(), &watch.test);
        let standings = asked.iter().zip(&verdicts).map(|((key, _), verdict)| (key.name(), verdict.standing.clone())).collect();
        let (performance, performed) = self.perform(watch, whole);
        let drifted = verdicts.iter().any(|verdict| verdict.standing.drifted);
        let (windows, rows) = (self.windows + 1, self.rows + whole.counts.rows());
        let (columns, segments) = sorted(asked, verdicts);
        let judged = Judged {
            model: watch.model.clone(),
            window: windows,
            reference: watch.reference.clone(),
            at: Timestamp::from_microsecond(whole.at).unwrap_or_default(),
            rows: whole.counts.rows(),
            gaps: whole.counts.gaps(),
            unreadable: whole.unreadable,
            late: whole.late,
            columns,
            segments,
            performance: performed,
            drifted,
            new_rows: rows,
        };
        let (basis, reference, version) = (self.basis.clone(), self.reference.clone(), self.version);
        Ok(Self { basis, reference, version, next: number + 1, windows, rows, standings, performance, last: Some(judged) })
    }

    /// How good the model was, where labels are joined.
    fn perform(&self, watch: &Watch, whole: &Part) -> (Standing, Option<Performed>) {
        let Some(asked) = &watch.performance else { return (Standing::default(), None) };
        let value = whole.scores.metric(watch.task, asked.metric);
        let missed = value.and_then(|value| watch.missed(value));
        let (effect, rows) = missed.map_or((0.0, 0), |(missed, _)| (missed, whole.scores.rows));
        // From nothing on it counts, and no chance is reckoned with: the limit is the user's own.
        let evidence = Evidence { measure: Measure::Missing, effect, threshold: 0.0, p: 0.0, reference: 0, rows };
        let verdict = judge(&[(evidence, self.performance.clone())], &watch.test).remove(0);
        let limit = watch.missed(0.0).map(|(_, limit)| limit);
        let metric =
            serde_json::to_value(asked.metric).ok().and_then(|metric| metric.as_str().map(str::to_owned)).unwrap_or_default();
        let bad = verdict.standing.drifted;
        let performed = Performed { metric, value, limit, rows: whole.scores.rows, turn: verdict.turn, bad };
        (verdict.standing, Some(performed))
    }
}

/// A column of all rows, or of a part.
#[derive(Clone, Debug)]
struct Key {
    part: Option<String>,
    column: String,
}

impl Key {
    fn name(&self) -> String {
        self.part.as_ref().map_or_else(|| self.column.clone(), |part| format!("{part}/{}", self.column))
    }
}

/// The evidence of every column that is watched, of all rows and of each part.
fn asked(watch: &Watch, counts: &WindowCounts) -> Result<Vec<(Key, Evidence)>, MergeError> {
    let key = |part: Option<&String>, column: &String| Key { part: part.cloned(), column: column.clone() };
    let mut asked = Vec::new();
    for (column, rule) in &watch.rules {
        asked.push((key(None, column), watch.profile.weigh(counts, column, rule)?));
    }
    for (by, parts) in watch.profile.segments() {
        // What the model answered is not counted by parts, and all rows of a part have one name.
        let rules: Vec<_> = watch.rules.iter().filter(|(column, _)| column != by && column != PREDICTION).collect();
        for name in parts.keys() {
            let (profile, counts) = watch.profile.part(counts, by, name).ok_or(MergeError)?;
            let part = format!("{by}={name}");
            for (column, rule) in &rules {
                asked.push((key(Some(&part), column), profile.weigh(counts, column, rule)?));
            }
        }
    }
    Ok(asked)
}

type Columns = BTreeMap<String, (Evidence, Verdict)>;

fn sorted(asked: Vec<(Key, Evidence)>, verdicts: Vec<Verdict>) -> (Columns, BTreeMap<String, Columns>) {
    let (mut columns, mut segments) = (Columns::new(), BTreeMap::<String, Columns>::new());
    for ((Key { part, column }, evidence), verdict) in asked.into_iter().zip(verdicts) {
        let columns = match part {
            None => &mut columns,
            Some(part) => segments.entry(part).or_default(),
        };
        columns.insert(column, (evidence, verdict));
    }
    (columns, segments)
}
