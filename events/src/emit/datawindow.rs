//! What a window of inference says of a model, for whoever wants to know it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EmitError, Outgoing, SOURCE};
use crate::{CdEvent, caused_event_id, subject::yard};

/// A window was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowJudged {
    /// The model.
    pub model: String,
    /// The window's number: counted from 1, without gaps, through all references.
    pub window: u64,
    /// The run whose rows it was compared with.
    pub reference: String,
    /// When the last of its rows was stored.
    pub at: Timestamp,
    /// How many rows it holds.
    pub rows: u64,
    /// How many messages may be missing from it.
    pub gaps: u64,
    /// How many messages could not be read.
    pub unreadable: u64,
    /// How many rows came too late.
    pub late: u64,
    /// The columns that have drifted; those of a part with its name: `plan=pro/age`.
    pub drifted: Vec<String>,
    /// What it says of each column that is watched, of all rows.
    pub columns: BTreeMap<String, ColumnJudged>,
    /// How good the model was on the rows whose labels came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performance: Option<MetricJudged>,
}

/// What a window says of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ColumnJudged {
    /// How the difference is measured.
    pub measure: String,
    /// How great it is.
    pub effect: f64,
    /// From which effect on it counts.
    pub threshold: f64,
    /// The chance of a difference as great where nothing has changed.
    pub p: f64,
    /// Whether the column has drifted.
    pub drifted: bool,
    /// What decided, in words.
    pub why: String,
}

/// How good a model was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricJudged {
    /// The metric.
    pub metric: String,
    /// Its value, where there is one.
    pub value: Option<f64>,
    /// What it has to keep to, where that is known.
    pub limit: Option<f64>,
    /// How many labels came.
    pub rows: u64,
    /// Whether the model has become bad.
    pub bad: bool,
}

/// Columns that fit into one message whatever they are called.
const MOST_COLUMNS: usize = 1000;

impl WindowJudged {
    /// The event's type.
    pub const TYPE: &str = "dev.cdeventsx.switchyard-datawindow.judged.0.1.0";

    /// The event, stored once for ever. Where there are more columns than a message holds, it speaks of those that have drifted.
    ///
    /// # Errors
    /// When something in it cannot stand in an event.
    pub fn outgoing(mut self) -> Result<Outgoing, EmitError> {
        if self.columns.len() > MOST_COLUMNS {
            self.columns.retain(|_, column| column.drifted);
        }
        let window = self.window.to_string();
        let id = caused_event_id(SOURCE, &window, Self::TYPE, &self.model);
        let event = CdEvent::new(Self::TYPE, &id, SOURCE, self.at, &self.model).custom_data(&self)?.to_cloudevent()?;
        Ok(Outgoing { subject: yard(Self::TYPE, &[&self.model, &window]), event, once: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{custom_data, encode, validate};

    fn judged(columns: usize) -> WindowJudged {
        let column = |n: usize| {
            let (measure, why) = ("ks".to_owned(), "why".to_owned());
            let judged = ColumnJudged { measure, effect: 0.1, threshold: 0.1, p: 0.5, drifted: n == 7, why };
            (format!("c{n}"), judged)
        };
        let performance = MetricJudged { metric: "auc".into(), value: None, limit: Some(0.8), rows: 0, bad: false };
        WindowJudged {
            model: "churn".into(),
            window: 12,
            reference: "r".into(),
            at: Timestamp::UNIX_EPOCH,
            rows: 500,
            gaps: 0,
            unreadable: 1,
            late: 2,
            drifted: vec!["c7".into()],
            columns: (0..columns).map(column).collect(),
            performance: Some(performance),
        }
    }

    #[test]
    fn a_window_is_a_valid_event_and_always_the_same() {
        let outgoing = judged(20).outgoing().unwrap();
        assert_eq!(outgoing.subject, "yard.dev.cdeventsx.switchyard-datawindow.judged.0.1.0.churn.12");
        let event = CdEvent::from_cloudevent(&outgoing.event).unwrap();
        validate(&event).unwrap();
        assert_eq!(custom_data::<WindowJudged>(&event).unwrap(), judged(20));
        assert_eq!(encode(&outgoing.event).unwrap(), encode(&judged(20).outgoing().unwrap().event).unwrap());
    }

    #[test]
    fn a_window_of_very_many_columns_speaks_of_those_that_have_drifted() {
        let outgoing = judged(5000).outgoing().unwrap();
        let event = CdEvent::from_cloudevent(&outgoing.event).unwrap();
        assert_eq!(custom_data::<WindowJudged>(&event).unwrap().columns.into_keys().collect::<Vec<_>>(), ["c7"]);
    }
}
