//! Whether a column has drifted. One window is never enough to say so, nor is a small difference that is certain, nor a great
//! one that is not.

use std::{collections::VecDeque, fmt, num::NonZeroUsize};

use serde::{Deserialize, Serialize};

use crate::{correction::Correction, evidence::Evidence};

/// A drifted column counts as drifted down to this part of its threshold: one that wavers around it does not flicker.
const LEAVE: f64 = 0.8;

/// What is asked of every column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// How likely chance may explain a difference that still counts, after the correction.
    pub alpha: f64,
    /// What makes up for there being many columns.
    #[serde(default)]
    pub correction: Correction,
    /// How many rows a window must hold to say anything.
    pub min_samples: u64,
    /// How many windows it takes.
    pub raise: Raise,
}

/// In how many of the last windows a column must differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raise {
    /// So many.
    pub windows: NonZeroUsize,
    /// Of so many.
    pub of: NonZeroUsize,
}

/// What is remembered of a column between windows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The last windows that had rows enough, the newest last.
    pub recent: VecDeque<Level>,
    /// Whether it has drifted.
    pub drifted: bool,
}

/// How a window differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Not, or not certainly.
    Below,
    /// Enough to stay drifted, too little to become it.
    Between,
    /// Enough to drift.
    Over,
}

/// What one window means for a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether that changes anything.
    pub turn: Option<Turn>,
    /// What decided.
    pub why: Why,
    /// What is remembered for the next window.
    pub standing: Standing,
}

/// A change of a column's standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    /// It has drifted.
    Detected,
    /// It no longer does.
    Cleared,
}

/// What decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The window held too few rows, and is not counted.
    TooFewRows {
        /// So many.
        rows: u64,
        /// Of so many.
        least: u64,
    },
    /// The difference is too small.
    EffectTooSmall {
        /// So great.
        effect: f64,
        /// From here on it would count.
        level: f64,
    },
    /// Chance explains the difference.
    NotSignificant {
        /// Its p-value, corrected for the other columns.
        p: f64,
        /// Up to here it would count.
        alpha: f64,
    },
    /// This window differs; how many of the last ones do decides.
    Windows {
        /// So many do.
        differ: usize,
        /// So many it takes.
        needed: usize,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewRows { rows, least } => write!(f, "{rows} rows are too few: it takes {least}"),
            Self::EffectTooSmall { level, .. } => write!(f, "less than {level:.3}"),
            Self::NotSignificant { p, alpha } => write!(f, "chance explains it: p = {p:.4}, which is not under {alpha}"),
            Self::Windows { differ, needed } if differ >= needed => {
                write!(f, "{differ} of the last windows differ, and it takes {needed}")
            }
            Self::Windows { differ, needed } => write!(f, "{differ} of the last windows differ; it takes {needed}"),
        }
    }
}

/// Judges one window of every column. Columns with too few rows are not part of the correction.
///
/// The same evidence and standings always give the same verdicts.
#[must_use]
pub fn judge(columns: &[(Evidence, Standing)], test: &Test) -> Vec<Verdict> {
    let counted: Vec<usize> = (0..columns.len()).filter(|&at| columns[at].0.rows >= test.min_samples).collect();
    let raw: Vec<f64> = counted.iter().map(|&at| columns[at].0.p).collect();
    let mut adjusted = vec![None; columns.len()];
    for (at, p) in counted.into_iter().zip(test.correction.adjust(&raw)) {
        adjusted[at] = Some(p);
    }
    columns.iter().zip(adjusted).map(|((evidence, standing), p)| one(evidence, p, standing, test)).collect()
}

fn one(evidence: &Evidence, p: Option<f64>, standing: &Standing, test: &Test) -> Verdict {
    let Some(p) = p else {
        let why = Why::TooFewRows { rows: evidence.rows, least: test.min_samples };
        return Verdict { turn: None, why, standing: standing.clone() };
    };
    let level = level(evidence, p, test.alpha);
    let mut recent = standing.recent.clone();
    recent.push_back(level);
    while recent.len() > test.raise.of.get() {
        recent.pop_front();
    }
    let counts = |level: Level| if standing.drifted { level != Level::Below } else { level == Level::Over };
    let (differ, needed) = (recent.iter().filter(|level| counts(**level)).count(), test.raise.windows.get());
    let turn = match (standing.drifted, differ >= needed) {
        (false, true) => Some(Turn::Detected),
        (true, false) => Some(Turn::Cleared),
        (false, false) | (true, true) => None,
    };
    let why = if counts(level) { Why::Windows { differ, needed } } else { too_little(evidence, p, standing, test) };
    Verdict { turn, why, standing: Standing { recent, drifted: differ >= needed } }
}

fn level(evidence: &Evidence, p: f64, alpha: f64) -> Level {
    if p > alpha || evidence.effect < LEAVE * evidence.threshold {
        Level::Below
    } else if evidence.effect < evidence.threshold {
        Level::Between
    } else {
        Level::Over
    }
}

fn too_little(evidence: &Evidence, p: f64, standing: &Standing, test: &Test) -> Why {
    let level = if standing.drifted { LEAVE * evidence.threshold } else { evidence.threshold };
    if evidence.effect < level {
        Why::EffectTooSmall { effect: evidence.effect, level }
    } else {
        Why::NotSignificant { p, alpha: test.alpha }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Measure;

    const CERTAIN: f64 = 1e-9;

    #[test]
    fn a_column_drifts_in_two_of_three_windows_and_not_before() {
        let turns = play(&[(0.2, CERTAIN, 500), (0.0, 1.0, 500), (0.2, CERTAIN, 500)]);
        assert_eq!(turns, [None, None, Some(Turn::Detected)]);
        assert_eq!(play(&[(0.2, CERTAIN, 500), (0.0, 1.0, 500), (0.0, 1.0, 500), (0.2, CERTAIN, 500)]), [None; 4]);
    }

    #[test]
    fn it_stays_drifted_down_to_four_fifths_of_the_threshold() {
        let drifted = [(0.2, CERTAIN, 500); 3];
        let then = |effect| play(&[&drifted[..], &[(effect, CERTAIN, 500); 4]].concat())[3..].to_vec();
        assert_eq!(then(0.085), [None; 4]);
        assert_eq!(then(0.075), [None, Some(Turn::Cleared), None, None]);
        assert_eq!(play(&[(0.085, CERTAIN, 500); 5]), [None; 5]);
    }

    #[test]
    fn a_great_difference_that_chance_explains_and_a_certain_one_that_is_small_count_for_nothing() {
        assert_eq!(play(&[(0.9, 0.02, 500); 5]), [None; 5]);
        assert_eq!(play(&[(0.05, 0.0, 1_000_000); 5]), [None; 5]);
    }

    #[test]
    fn a_window_with_too_few_rows_neither_raises_nor_clears() {
        assert_eq!(play(&[(0.9, 0.0, 49); 5]), [None; 5]);
        let few = (0.0, 1.0, 49);
        let turns = play(&[(0.2, CERTAIN, 500), few, few, (0.2, CERTAIN, 500), few, few, few, few]);
        assert_eq!(turns, [None, None, None, Some(Turn::Detected), None, None, None, None]);
    }

    #[test]
    fn every_window_says_what_decided() {
        let why = |effect, p, rows| judge(&[(evidence((effect, p, rows)), Standing::default())], &test())[0].why.clone();
        assert_eq!(why(0.2, CERTAIN, 49), Why::TooFewRows { rows: 49, least: 50 });
        assert_eq!(why(0.09, CERTAIN, 50), Why::EffectTooSmall { effect: 0.09, level: 0.1 });
        assert_eq!(why(0.2, 0.02, 50), Why::NotSignificant { p: 0.02, alpha: 0.01 });
        assert_eq!(why(0.2, CERTAIN, 50), Why::Windows { differ: 1, needed: 2 });
    }

    #[test]
    fn more_columns_ask_more_of_each() {
        let columns = |others: usize| {
            let quiet = std::iter::repeat_n((evidence((0.0, 1.0, 500)), Standing::default()), others);
            std::iter::once((evidence((0.2, 0.004, 500)), Standing::default())).chain(quiet).collect::<Vec<_>>()
        };
        assert_eq!(judge(&columns(1), &test())[0].standing.recent, [Level::Over]);
        assert_eq!(judge(&columns(4), &test())[0].standing.recent, [Level::Below]);
    }

    fn play(windows: &[(f64, f64, u64)]) -> Vec<Option<Turn>> {
        let mut standing = Standing::default();
        let step = |&window: &(f64, f64, u64)| {
            let verdict = judge(&[(evidence(window), standing.clone())], &test()).remove(0);
            standing = verdict.standing;
            verdict.turn
        };
        windows.iter().map(step).collect()
    }

    fn evidence((effect, p, rows): (f64, f64, u64)) -> Evidence {
        Evidence { measure: Measure::Ks, effect, threshold: 0.1, p, reference: 10_000, rows }
    }

    fn test() -> Test {
        let raise = Raise { windows: NonZeroUsize::new(2).unwrap(), of: NonZeroUsize::new(3).unwrap() };
        Test { alpha: 0.01, correction: Correction::default(), min_samples: 50, raise }
    }
}
