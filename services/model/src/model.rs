//! The model file as a whole: read, checked, and written in the one form that has a digest.

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use switchyard_file::{Desk, Invalid, Place, Problem, Problems, Read as _, Version, canonical, keys};

use crate::{
    Command, Data, Evaluate, Fold, GateRule, Location, Metric, Monitor, Policy, Preprocess, Serve, Split, Train, Trigger,
    check::check, rest::rest,
};

/// What the file is called where something about it is said.
const FILE: &str = "model file";

keys! {
    written
    /// One model: from its data to the policy by which it is trained again.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Model {
        /// The file's layout: 1.
        version: Version = "version",
        /// The model's name: a-z, 0-9 and -, at most 40.
        name: String = "model",
        /// Where caches, models, predictions and reports are kept.
        store: Location = "store",
        /// What the model is made from.
        data: Data = "data",
        /// Which rows are trained on.
        split: Split = "split",
        /// How columns become what a model can be trained on: a list of transforms for each column.
        preprocess: Preprocess = "preprocess",
        /// How a model is trained.
        train: Train = "train",
        /// The command that predicts; without it, the training command writes the predictions itself.
        predict: Option<Command> = "predict",
        /// What a candidate is measured by.
        evaluate: Evaluate = "evaluate",
        /// What is said when a model takes over.
        serve: Option<Serve> = "serve",
        /// How what the model sees is compared with what it was trained on.
        monitor: Option<Monitor> = "monitor",
        /// What makes a model be trained again.
        policy: Policy = "policy",
    }
}

/// Reads and checks a model file; also says what in it has no effect, or is worth a second look.
///
/// # Errors
/// When a key is unknown, missing, given twice or of the wrong type, a value breaks its rule, or two of them contradict each
/// other: everything at once.
pub fn read(yaml: &str) -> Result<(Model, Vec<Problem>), Invalid> {
    let mut problems = Problems::of(FILE);
    let tree = switchyard_file::parse(yaml, &mut problems);
    let mut model = tree.as_ref().and_then(|tree| Model::read(tree, &Place::root(), &mut problems));
    if let Some((model, tree)) = model.as_mut().zip(tree.as_ref()) {
        model.complete();
        check(model, &mut Desk::new(tree, &mut problems));
    } else if let Some(tree) = &tree {
        rest(tree, &mut problems);
    }
    let warnings = problems.into_warnings()?;
    model.map(|model| (model, warnings)).ok_or_else(|| Invalid::nothing(FILE))
}

/// The JSON Schema of the file, for editors.
#[must_use]
pub fn schema() -> Value {
    let mut schema = <Model as switchyard_file::Read>::schema();
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Switchyard model".into();
    schema["$defs"] = json!({"trigger": Trigger::definition()});
    schema
}

impl Model {
    /// Everything that the file says and that holds without it, as JSON: the same for any order of keys, any comments, and any
    /// spelling of numbers and times. It reads back as the same model.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical(&self.value())
    }

    /// The SHA-256 of the canonical form, hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(self.canonical()))
    }

    /// Reads the canonical form.
    ///
    /// # Errors
    /// As [`read`].
    pub fn from_canonical(text: &str) -> Result<Self, Invalid> {
        read(text).map(|(model, _)| model)
    }

    /// The canonical form as a tree.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// What the training's chance begins with.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.train.seed.unwrap_or(self.split.seed)
    }

    /// The fold that candidates are measured on.
    #[must_use]
    pub fn evaluated(&self) -> Fold {
        let last = || self.split.names().last().copied().unwrap_or(Fold::Train);
        self.evaluate.fold.unwrap_or_else(last)
    }

    /// The metrics that are computed.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        if self.evaluate.metrics.is_empty() { Metric::of(self.data.label.task) } else { self.evaluate.metrics.clone() }
    }

    /// What a candidate must reach.
    #[must_use]
    pub fn gate(&self) -> GateRule {
        let first = || self.metrics().first().map_or_else(String::new, |metric| metric.word().to_owned());
        let unsaid = || GateRule { metric: first(), min: None, max: None, gain: Some(0.0), max_slice_drop: None };
        self.evaluate.gate.clone().unwrap_or_else(unsaid)
    }

    /// The columns that a training reads: the key, the time, the label, the features, and those that rows are split by.
    #[must_use]
    pub fn columns(&self) -> Vec<&str> {
        let data = &self.data;
        let named = [Some(&data.key), data.event_time.as_ref(), Some(&data.label.column)].into_iter().flatten();
        let mut columns: Vec<&str> = Vec::new();
        for column in named.map(String::as_str).chain(data.features.iter().map(String::as_str)).chain(self.split.columns()) {
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        columns
    }

    /// Writes down what holds where nothing is said, so that saying it changes no digest.
    pub(crate) fn complete(&mut self) {
        self.train.seed = Some(self.seed());
        self.evaluate.fold = Some(self.evaluated());
        self.evaluate.metrics = self.metrics();
        self.evaluate.gate = Some(self.gate());
    }
}
