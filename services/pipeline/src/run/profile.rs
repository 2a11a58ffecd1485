//! The steps that make what windows are compared with: before the training of what the model will see, because a column that
//! cannot be watched should not cost a training; after it, of what the model answers too.

use std::{num::NonZeroUsize, path::Path};

use serde_json::{Value, json};
use switchyard_drift::Profile;
use switchyard_model::{Fold, PREDICTION, Task};

use super::{Done, Job, fetch::Said, files::raw, read};
use crate::{
    cache::Made,
    error::{Error, Result, Tried},
    profile::{answers, profile},
    split::name,
    table::{Field, Input, Kind},
};

/// How many parts a column is cut into where nothing says so.
const BINS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// What is known before the training.
const COLUMNS: &str = "columns.json";
/// All of it.
const PROFILE: &str = "profile.json";

impl<'a> Job<'a> {
    /// Profiles what the model will see.
    pub(super) fn survey(&self, fetched: &Made<'a>, split: &Made<'a>) -> Result<Made<'a>> {
        let (fold, bins) = self.watched();
        let segments = self.model.monitor.as_ref().map(|monitor| monitor.segments.clone()).unwrap_or_default();
        let from = json!({"bins": bins, "segments": segments, "features": self.model.data.features}).to_string();
        let made = self.cache.step("columns", &[&split.kept(&raw(fold))?.sha256, &from], |folder| {
            let said: Said = fetched.note()?;
            let wanted = |field: &Field| self.model.data.features.contains(&field.name);
            let features: Vec<Field> = said.fields.into_iter().filter(wanted).collect();
            write(&folder.join(COLUMNS), &profile(&split.file(&raw(fold))?, &features, &segments, bins)?)
        });
        let made = made.map_err(|error| error.at("profile"))?;
        self.tell("profile", &format!("of the fold {}", name(fold)), &made);
        Ok(made)
    }

    /// Adds what the model has answered about the evaluated fold.
    pub(super) fn profile(&self, done: &Done<'a>) -> Result<Made<'a>> {
        let ((_, bins), file) = (self.watched(), self.predictions());
        let predicted = done.predicted.as_ref().unwrap_or(&done.trained);
        let from = [&done.columns.kept(COLUMNS)?.sha256, &predicted.kept(&file)?.sha256];
        let (bins_of, task) = (bins.to_string(), self.model.data.label.task.to_string());
        self.cache.step("profile", &[from[0], from[1], &bins_of, &task], |folder| {
            let columns = serde_json::from_slice::<Profile>(&read(&done.columns.file(COLUMNS)?)?);
            let columns = columns.map_err(|error| Error::new(error.to_string()))?;
            let input = Input { path: predicted.file(&file)?, name: "SWITCHYARD_PREDICTIONS".into(), format: self.format() };
            let kind = if self.model.data.label.task == Task::Multiclass { Kind::String } else { Kind::Float };
            write(&folder.join(PROFILE), &columns.beside(answers(&input, &Field::new(PREDICTION, kind), bins)?))
        })
    }

    /// The fold that windows are compared with, and into how many parts its columns are cut.
    fn watched(&self) -> (Fold, NonZeroUsize) {
        self.model.monitor.as_ref().map_or((Fold::Train, BINS), |monitor| {
            (monitor.reference.fold, NonZeroUsize::try_from(monitor.reference.bins).unwrap_or(BINS))
        })
    }
}

fn write(path: &Path, profile: &Profile) -> Result<Value> {
    let bytes = serde_json::to_vec(profile).map_err(|error| Error::new(error.to_string()))?;
    std::fs::write(path, bytes).tried("write", path.display())?;
    Ok(Value::Null)
}
