//! What is shown of a window, once it is decided: an event for whoever wants to know, and the counts of the last one.

use serde::{Deserialize, Serialize};
use switchyard_bus::{Bus, Events as _, StoredError};
use switchyard_drift::{Evidence, Verdict, WindowCounts};
use switchyard_events::{ColumnJudged, MetricJudged, WindowJudged};

use super::{judging::Course, model::course_key};
use crate::judged::Judged;

/// The counts of the last window that was judged: key `last.<model>` of bucket `trainer`. Nothing is decided by them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastWindow {
    /// The window.
    pub window: u64,
    /// The run that it was compared with.
    pub reference: String,
    /// Its counts.
    pub counts: WindowCounts,
}

impl LastWindow {
    /// The counts of a model's last window, if one was judged.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn read(bus: &Bus, model: &str) -> Result<Option<Self>, StoredError> {
        let kept = bus.state(&key(model)).await?;
        Ok(kept.and_then(|(bytes, _)| serde_json::from_slice(&bytes).ok()))
    }

    /// Keeps them, unless somebody else does so at the same time.
    pub(crate) async fn keep(&self, bus: &Bus, model: &str) -> anyhow::Result<()> {
        let key = key(model);
        let before = bus.state_revision(&key).await?;
        bus.keep_state(&key, serde_json::to_vec(self)?.into(), before).await?;
        Ok(())
    }
}

impl Judged {
    /// What a model's last window said, by the rules that it was judged by, if one was judged.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn last(bus: &Bus, model: &str) -> Result<Option<Self>, StoredError> {
        let kept = bus.state(&course_key(model)).await?;
        Ok(kept.and_then(|(bytes, _)| serde_json::from_slice::<Course>(&bytes).ok()?.last))
    }
}

fn key(model: &str) -> String {
    format!("last.{model}")
}

/// Says what a window says. It is stored once, however often it is said.
pub(crate) async fn say(bus: &Bus, judged: &Judged) -> anyhow::Result<()> {
    bus.publish(event(judged).outgoing()?).await?;
    Ok(())
}

fn event(judged: &Judged) -> WindowJudged {
    let performance = judged.performance.as_ref().map(|performed| MetricJudged {
        metric: performed.metric.clone(),
        value: performed.value,
        limit: performed.limit,
        rows: performed.rows,
        bad: performed.bad,
    });
    WindowJudged {
        model: judged.model.clone(),
        window: judged.window,
        reference: judged.reference.clone(),
        at: judged.at,
        rows: judged.rows,
        gaps: judged.gaps,
        unreadable: judged.unreadable,
        late: judged.late,
        drifted: judged.drifted_columns(),
        columns: judged.columns.iter().map(|(name, said)| (name.clone(), column(said))).collect(),
        performance,
    }
}

fn column((evidence, verdict): &(Evidence, Verdict)) -> ColumnJudged {
    let measure = serde_json::to_value(evidence.measure).ok();
    ColumnJudged {
        measure: measure.and_then(|measure| measure.as_str().map(str::to_owned)).unwrap_or_default(),
        effect: evidence.effect,
        threshold: evidence.threshold,
        p: evidence.p,
        drifted: verdict.standing.drifted,
        why: verdict.why.to_string(),
    }
}
