//! How good the candidate is, and the champion on the same rows.

use serde_json::json;

use super::{Done, Job, bring, data::noted, data::raw};
use crate::{
    cache::Made,
    error::Result,
    gate::{Champion, gate, shown},
    metrics::Measured,
    predictions::{Predicted, measure},
    preprocess::{Parts, Preprocessing},
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
        let champion = self.measured_champion(done, preprocessing)?;
        let mut took = vec![("evaluate", measured.took, measured.cached)];
        took.extend(champion.iter().flat_map(|(_, took)| took.clone()));
        let champion = champion.map(|(champion, _)| champion);
        let side = match (self.champion(), &champion) {
            (None, _) => Champion::None,
            (Some(_), Some(measured)) => Champion::Measured(measured),
            (Some(_), None) => Champion::Unmeasured("the file has no `predict`, by which its model could be asked"),
        };
        let rule = self.model.gate();
        let failed = gate(&rule, self.better(&rule.metric), &candidate, &side).map_err(|error| error.at("gate"))?;
        let value = candidate.metrics.get(&rule.metric).copied().unwrap_or_default();
        self.tell("evaluate", &format!("{} {}", rule.metric, shown(value)), &measured);
        Ok(Rated { candidate, champion, failed, took })
    }

    fn better(&self, metric: &str) -> switchyard_model::Better {
        let own = self.model.metrics().into_iter().find(|own| crate::metrics::name(*own) == metric);
        let custom = self.model.evaluate.custom.as_ref().map(|custom| custom.better);
        own.map(switchyard_model::Metric::better).or(custom).unwrap_or(switchyard_model::Better::More)
    }

    /// Measures predictions of the evaluated fold.
    fn measure(&self, predictions: &Made<'a>, done: &Done<'a>, preprocessing: &Preprocessing) -> Result<Made<'a>> {
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

    /// The champion on the candidate's rows: preprocessed as it was trained, predicted by its own model.
    #[expect(clippy::type_complexity, reason = "what was measured, and what each part took")]
    fn measured_champion(
        &self,
        done: &Done<'a>,
        preprocessing: &Preprocessing,
    ) -> Result<Option<(Measured, Vec<(&'static str, std::time::Duration, bool)>)>> {
        let (Some(champion), Some(fitted)) = (self.champion(), self.champions_preprocessing()?) else { return Ok(None) };
        let fold = self.evaluated();
        let digests = [&done.split.kept(&raw(fold))?.sha256, &champion.preprocessing.sha256];
        let rows = self.cache.step("champion", &[digests[0], digests[1], &self.unlabelled()], |folder| {
            self.apply(&fitted, &done.split, fold, Parts::Features, &folder.join(self.unlabelled()))?;
            Ok(serde_json::Value::Null)
        })?;
        let model = self.cache.scratch().join("champion-model");
        bring(self.store, &champion.model, &model).map_err(|error| error.at("champion"))?;
        let predicted = self.predict("champion", (&model, &champion.model.sha256), &rows)?;
        let measured = self.measure(&predicted, done, preprocessing).map_err(|error| error.at("champion"))?;
        let took = [("champion-rows", &rows), ("champion-predict", &predicted), ("champion-evaluate", &measured)];
        Ok(Some((measured.note()?, took.map(|(step, made)| (step, made.took, made.cached)).to_vec())))
    }
}
