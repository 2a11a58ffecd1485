//! The champion on the candidate's rows: preprocessed as it was trained, predicted by its own model. Data that it cannot be asked
//! about is no failure of the run: the gate says that the two cannot be compared, and the champion stays.

use std::time::Duration;

use switchyard_model::Champion;

use super::{
    Done, Job, bring,
    fetch::Said,
    files::{noted, raw},
};
use crate::{
    cache::Made,
    error::Result,
    metrics::Measured,
    preprocess::{Parts, Preprocessing},
    table::{Field, Kind},
};

/// What became of the comparison.
pub(super) enum Rival {
    /// There is no champion.
    None,
    /// It was measured; and what each part of that took.
    Measured(Measured, Vec<(&'static str, Duration, bool)>),
    /// It cannot be, and why.
    Unmeasured(String),
}

impl<'a> Job<'a> {
    pub(super) fn rival(&self, done: &Done<'a>, preprocessing: &Preprocessing) -> Result<Rival> {
        let Some(champion) = self.champion() else { return Ok(Rival::None) };
        let Some(fitted) = self.champions_preprocessing()? else {
            return Ok(Rival::Unmeasured("the file has no `predict`, by which its model could be asked".into()));
        };
        if let Some(why) = unfit(&fitted, preprocessing, &done.fetched.note()?) {
            return Ok(Rival::Unmeasured(why));
        }
        match self.rivals_rows(done, champion, &fitted) {
            // A row that its preprocessing cannot take; anything else has failed.
            Err(error) if error.is_of_a_column() => Ok(Rival::Unmeasured(error.to_string())),
            rows => self.ask(done, preprocessing, champion, &rows?),
        }
    }

    fn rivals_rows(&self, done: &Done<'a>, champion: &Champion, fitted: &Preprocessing) -> Result<Made<'a>> {
        let fold = self.evaluated();
        let digests = [&done.split.kept(&raw(fold))?.sha256, &champion.preprocessing.sha256];
        self.cache.step("champion", &[digests[0], digests[1], &self.unlabelled()], |folder| {
            self.apply(fitted, &done.split, fold, Parts::Features, &folder.join(self.unlabelled()))?;
            noted(&())
        })
    }

    fn ask(&self, done: &Done<'a>, preprocessing: &Preprocessing, champion: &Champion, rows: &Made<'a>) -> Result<Rival> {
        let model = self.cache.scratch().join("champion-model");
        bring(self.store, &champion.model, &model).map_err(|error| error.at("champion"))?;
        let predicted = self.predict("champion", (&model, &champion.model.sha256), rows)?;
        let measured = self.measure(&predicted, done, preprocessing).map_err(|error| error.at("champion"))?;
        let took = [("champion-rows", rows), ("champion-predict", &predicted), ("champion-evaluate", &measured)];
        Ok(Rival::Measured(measured.note()?, took.map(|(step, made)| (step, made.took, made.cached)).to_vec()))
    }
}

/// Why a champion cannot be asked about these rows.
fn unfit(champion: &Preprocessing, candidate: &Preprocessing, said: &Said) -> Option<String> {
    let (was, is) = (&champion.label, &candidate.label);
    if (&was.column, was.task) != (&is.column, is.task) {
        return Some(format!("it predicts `{}` ({}), and the candidate `{}` ({})", was.column, was.task, is.column, is.task));
    }
    if champion.key.name != candidate.key.name {
        return Some(format!("its rows are told apart by `{}`, the candidate's by `{}`", champion.key.name, candidate.key.name));
    }
    champion.columns.iter().find_map(|column| lacking(&column.field, said))
}

fn lacking(wanted: &Field, said: &Said) -> Option<String> {
    let takes = |why: &str| Some(format!("its preprocessing takes the column `{}`: {why}", wanted.name));
    if let Some(why) = said.fetched.lacking.get(&wanted.name) {
        return takes(why);
    }
    match said.fields.iter().find(|field| field.name == wanted.name) {
        None => takes("it was not fetched"),
        Some(there) if comparable(wanted.kind, there.kind) => None,
        Some(there) => takes(&format!("it held {}, and holds {} now", wanted.kind.words(), there.kind.words())),
    }
}

/// Whether a column of one kind can be taken for one of another: numbers for numbers, and anything as text; what is read as text
/// for the candidate's sake is read again as it was, value by value.
fn comparable(was: Kind, is: Kind) -> bool {
    was == is || was.is_number() && is.is_number() || was == Kind::String || is == Kind::String
}
