//! The steps that the user's commands do.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use serde_json::{Value, json};
use switchyard_model::{Fold, Model};

use super::{Job, bring};
use crate::{
    cache::Made,
    command::{self, Run},
    digest,
    error::{Error, Result, Tried},
    split::FOLDS,
};

type Variables = Vec<(&'static str, String)>;

/// The digest of the files that a command names: where the file names no commit, they are its code. Nothing where it names none.
pub(super) fn files(command: &[String], folder: &Path) -> Result<String> {
    let named = command.iter().map(|word| folder.join(word)).filter(|path| path.is_file());
    let digests: Vec<String> = named.map(|path| digest::of_file(&path).map(|(digest, _)| digest)).collect::<Result<_>>()?;
    Ok(if digests.is_empty() { String::new() } else { digest::of_parts(&digests) })
}

impl<'a> Job<'a> {
    pub(super) fn train(&self, preprocessed: &Made<'a>) -> Result<Made<'a>> {
        let model = self.model;
        let train = &model.train;
        let before = self.champion().filter(|_| train.warm_start);
        let folds = self.given(preprocessed);
        let writes = model.predict.is_none();
        let mut from = vec![
            json!({"command": train.command, "params": train.params, "image": train.image, "code": train.code, "seed": model.seed()}).to_string(),
            files(&train.command, &self.folder)?,
            before.map(|champion| champion.model.sha256.clone()).unwrap_or_default(),
        ];
        for name in folds.iter().map(|(_, name)| name.clone()).chain(writes.then(|| self.unlabelled())) {
            from.push(preprocessed.kept(&name)?.sha256.clone());
        }
        let from: Vec<&str> = from.iter().map(String::as_str).collect();
        let made = self.cache.step("train", &from, |folder| {
            let out = folder.join("model");
            let mut variables = self.common(model)?;
            for (variable, name) in &folds {
                variables.push((variable, shown(&preprocessed.file(name)?)));
            }
            variables.push(("SWITCHYARD_MODEL_OUT", shown(&out)));
            if let Some(champion) = before {
                let path = self.cache.scratch().join("champion");
                bring(self.store, &champion.model, &path)?;
                variables.push(("SWITCHYARD_MODEL_IN", shown(&path)));
            }
            if writes {
                variables.push(("SWITCHYARD_TEST", shown(&preprocessed.file(&self.unlabelled())?)));
                variables.push(("SWITCHYARD_PREDICTIONS", shown(&folder.join(self.predictions()))));
            }
            self.run_command("train", &train.command, variables)?;
            made_file(&out, "SWITCHYARD_MODEL_OUT", "model")?;
            if writes {
                made_file(
                    &folder.join(self.predictions()),
                    "SWITCHYARD_PREDICTIONS",
                    "predictions, and the file has no `predict`",
                )?;
            }
            Ok(Value::Null)
        })?;
        self.tell("train", &format!("a model of {} bytes", made.kept("model")?.size), &made);
        Ok(made)
    }

    /// The folds that training is given: never the one that candidates are measured on, unless there is no other.
    fn given(&self, preprocessed: &Made<'_>) -> Vec<(&'static str, String)> {
        let variable = |fold: Fold| match fold {
            Fold::Train => Some("SWITCHYARD_TRAIN"),
            Fold::Eval => Some("SWITCHYARD_EVAL"),
            Fold::Test => None,
        };
        let folds = FOLDS.into_iter().filter_map(|fold| Some((variable(fold)?, self.labelled(fold))));
        folds.filter(|(_, name)| preprocessed.has(name)).collect()
    }

    /// Predicts the evaluated fold with a model.
    pub(super) fn predict(&self, step: &'static str, model: (&Path, &str), rows: &Made<'a>) -> Result<Made<'a>> {
        let command = self.model.predict.as_ref().map(|predict| predict.command.as_slice()).unwrap_or_default();
        let asked =
            json!({"command": command, "image": self.model.train.image, "code": self.model.train.code, "seed": self.model.seed(),
            "params": self.model.train.params})
            .to_string();
        let given = &rows.kept(&self.unlabelled())?.sha256;
        let made = self.cache.step("predict", &[model.1, given, &asked, &files(command, &self.folder)?], |folder| {
            let out = folder.join(self.predictions());
            let mut variables = self.common(self.model)?;
            variables.push(("SWITCHYARD_TEST", shown(&rows.file(&self.unlabelled())?)));
            variables.push(("SWITCHYARD_MODEL_IN", shown(model.0)));
            variables.push(("SWITCHYARD_PREDICTIONS", shown(&out)));
            self.run_command(step, command, variables)?;
            made_file(&out, "SWITCHYARD_PREDICTIONS", "predictions")?;
            Ok(Value::Null)
        });
        let made = made.map_err(|error| error.at(step))?;
        self.tell(step, "predictions of the evaluated fold", &made);
        Ok(made)
    }

    /// Runs a command that measures more, and reads what it has measured.
    pub(super) fn custom(&self, command: &[String], predictions: &Path, rows: &Path) -> Result<Vec<(String, f64)>> {
        let out = self.cache.scratch().join("metrics.json");
        let _ = std::fs::remove_file(&out);
        let mut variables = self.common(self.model)?;
        variables.push(("SWITCHYARD_TEST", shown(rows)));
        variables.push(("SWITCHYARD_PREDICTIONS", shown(predictions)));
        variables.push(("SWITCHYARD_METRICS", shown(&out)));
        self.run_command("evaluate", command, variables)?;
        made_file(&out, "SWITCHYARD_METRICS", "metrics")?;
        let place = |error: Error| error.file("SWITCHYARD_METRICS");
        let read: Value = serde_json::from_slice(&super::read(&out)?)
            .map_err(|error| place(Error::new(format!("is no JSON object of numbers: {error}"))))?;
        let object = read.as_object().ok_or_else(|| place(Error::new("is no JSON object of numbers")))?;
        let number = |(name, value): (&String, &Value)| {
            let number = value.as_f64().filter(|number| number.is_finite());
            number
                .map(|number| (name.clone(), number))
                .ok_or_else(|| place(Error::new(format!("{value} is no number")).column(name)))
        };
        object.iter().map(number).collect()
    }

    fn common(&self, model: &Model) -> Result<Variables> {
        let params = self.cache.scratch().join("params.json");
        let text = serde_json::to_vec_pretty(&model.train.params).map_err(|error| Error::new(error.to_string()))?;
        std::fs::write(&params, text).tried("write", params.display())?;
        Ok(vec![("SWITCHYARD_PARAMS", shown(&params)), ("SWITCHYARD_SEED", model.seed().to_string())])
    }

    fn run_command(&self, step: &str, command: &[String], variables: Variables) -> Result<()> {
        self.progress.aside(step, &format!("running `{}`", command.join(" ")));
        let limit = self.deadline.saturating_duration_since(Instant::now());
        command::run(&Run { command, variables, folder: self.folder.clone(), limit })
    }

    /// What a file of predictions is called.
    pub(super) fn predictions(&self) -> String {
        self.table("predictions")
    }
}

fn shown(path: &Path) -> String {
    PathBuf::from(path).display().to_string()
}

fn made_file(path: &Path, variable: &str, what: &str) -> Result<()> {
    let told = |what: String| Err(Error::new(what).file(variable));
    match std::fs::metadata(path) {
        Err(_) => told(format!("the command ended well, and wrote no {what}; write the file that this variable names")),
        Ok(found) if found.is_dir() => told("is a folder; write one file there (an archive, where there are more)".into()),
        Ok(found) if found.len() == 0 => told(format!("the command ended well, and left an empty file; write the {what}")),
        Ok(_) => Ok(()),
    }
}
