//! The step that turns folds into what commands are given.

use std::path::Path;

use serde_json::{Value, json};
use switchyard_model::Fold;

use super::{Job, fetch::Said, files::raw};
use crate::{
    cache::Made,
    error::{Error, Result, Tried},
    preprocess::{Applier, Fit, Parts, Preprocessing, fit},
    split::{FOLDS, name},
    table::{read_stored, writer},
};

impl<'a> Job<'a> {
    pub(super) fn preprocess(&self, fetched: &Made<'a>, split: &Made<'a>) -> Result<Made<'a>> {
        let model = self.model;
        let evaluated = self.evaluated();
        let from = json!({
            "preprocess": model.preprocess, "format": model.train.format, "features": model.data.features, "label": model.data.label,
            "key": model.data.key, "evaluated": name(evaluated),
        });
        let folds: Vec<Fold> = FOLDS.into_iter().filter(|fold| split.has(&raw(*fold))).collect();
        let digests =
            folds.iter().map(|fold| split.kept(&raw(*fold)).map(|kept| kept.sha256.as_str())).collect::<Result<Vec<_>>>()?;
        let from = from.to_string();
        let parts: Vec<&str> = digests.into_iter().chain([from.as_str()]).collect();
        let made = self.cache.step("preprocess", &parts, |folder| {
            let preprocessing = self.fit(fetched, split)?;
            let bytes = preprocessing.to_bytes()?;
            std::fs::write(folder.join("preprocessing.json"), &bytes).tried("write", "preprocessing.json")?;
            for fold in folds {
                self.apply(&preprocessing, split, fold, Parts::Labelled, &folder.join(self.labelled(fold)))?;
            }
            self.apply(&preprocessing, split, evaluated, Parts::Features, &folder.join(self.unlabelled()))?;
            Ok(json!({"columns": preprocessing.features().len()}))
        })?;
        let said: Value = made.note()?;
        self.tell("preprocess", &format!("{} columns become {}", model.data.features.len(), said["columns"]), &made);
        Ok(made)
    }

    fn fit(&self, fetched: &Made<'a>, split: &Made<'a>) -> Result<Preprocessing> {
        let said: Said = fetched.note()?;
        let data = &self.model.data;
        let field = |name: &String| {
            let found = said.fields.iter().find(|field| field.name == *name);
            found.cloned().ok_or_else(|| Error::new("was not fetched").column(name))
        };
        let train = split.file(&raw(Fold::Train))?;
        fit(&Fit {
            train: &train,
            key: &field(&data.key)?,
            label: &field(&data.label.column)?,
            task: data.label.task,
            features: &data.features.iter().map(field).collect::<Result<Vec<_>>>()?,
            plan: &self.model.preprocess,
            told: &|column| self.progress.at("preprocess", column),
        })
    }

    pub(super) fn apply(
        &self,
        preprocessing: &Preprocessing,
        split: &Made<'a>,
        fold: Fold,
        parts: Parts,
        to: &Path,
    ) -> Result<()> {
        let rows = split.file(&raw(fold))?;
        let again = || read_stored(&rows, None);
        let mut applier = Applier::new(preprocessing, parts, again)?;
        let mut sink = writer(to, self.format(), applier.fields())?;
        for batch in again()? {
            sink.write(&applier.apply(&batch?)?)?;
        }
        sink.close()
    }
}
