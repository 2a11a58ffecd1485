//! How good the candidate is, and the champion on the same rows.

use serde_json::json;

use super::{
    Done, Job,
    files::{noted, raw},
    rival::Rival,
};
use crate::{
    cache::Made,
    error::Result,
    gate::{Champion, gate, shown},
    metrics::Measured,
    predictions::{Predicted, measure},
    preprocess::Preprocessing,
};

/// What was measured, and what the gate says of it.
pub(super) struct Rated {
    pub(super) candidate: Measured,
    pub(super) champion: Option<Measured>,
    pub(super) failed: Vec<String>,
    /// What each part of it took.
    pub(super) took: Vec<(&'static str, std::time::Duration, bool)>,
}

impl<'a> Job<'a> {
    pub(super) fn rate(&self, done: &Done<'a>, preprocessing: &Preprocessing) -> Result<Rated> {
        let predictions = done.predicted.as_ref().unwrap_or(&done.trained);
        let measured = self.measure(predictions, done, preprocessing)?;
        let candidate: Measured = measured.note()?;
        let rival = self.rival(done, preprocessing)?;
        let mut took = vec![("evaluate", measured.took, measured.cached)];
        let side = match &rival {
            Rival::None => Champion::None,
            Rival::Unmeasured(why) => Champion::Unmeasured(why),
            Rival::Measured(measured, parts) => {
                took.extend(parts);
                Champion::Measured(measured)
            }
        };
        let rule = self.model.gate();
        let failed = gate(&rule, self.better(&rule.metric), &candidate, &side).map_err(|error| error.at("gate"))?;
        let value = candidate.metrics.get(&rule.metric).copied().unwrap_or_default();
        self.tell("evaluate", &format!("{} {}", rule.metric, shown(value)), &measured);
        let champion = match rival {
            Rival::Measured(measured, _) => Some(measured),
            Rival::None | Rival::Unmeasured(_) => None,
        };
        Ok(Rated { candidate, champion, failed, took })
    }

    fn better(&self, metric: &str) -> switchyard_model::Better {
        let own = self.model.metrics().into_iter().find(|own| crate::metrics::name(*own) == metric);
        let custom = self.model.evaluate.custom.as_ref().map(|custom| custom.better);
        own.map(switchyard_model::Metric::better).or(custom).unwrap_or(switchyard_model::Better::More)
    }

    /// Measures predictions of the evaluated fold.
    pub(super) fn measure(&self, predictions: &Made<'a>, done: &Done<'a>, preprocessing: &Preprocessing) -> Result<Made<'a>> {
        let evaluate = &self.model.evaluate;
        let rows = raw(self.evaluated());
        let labelled = self.labelled(self.evaluated());
        let from = json!({"metrics": self.model.metrics(), "slices": evaluate.slices, "custom": evaluate.custom,
            "label": preprocessing.label, "key": self.model.data.key})
        .to_string();
        let digests = [&predictions.kept(&self.predictions())?.sha256, &done.split.kept(&rows)?.sha256];
        let code = match &evaluate.custom {
            None => String::new(),
            Some(custom) => super::commands::files(&custom.command, &self.folder)?,
        };
        self.cache.step("evaluate", &[digests[0], digests[1], &from, &code], |_| {
            let path = predictions.file(&self.predictions())?;
            let mut measured = measure(&Predicted {
                predictions: &path,
                format: self.format(),
                rows: &done.split.file(&rows)?,
                key: &self.model.data.key,
                label: &preprocessing.label,
                metrics: &self.model.metrics(),
                slices: &evaluate.slices,
            })?;
            if let Some(custom) = &evaluate.custom {
                measured.metrics.extend(self.custom(&custom.command, &path, &done.preprocessed.file(&labelled)?)?);
            }
            noted(&measured)
        })
    }
}
