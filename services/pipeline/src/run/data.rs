//! The steps from the source to what a command is given.

use std::{collections::BTreeSet, num::NonZeroUsize, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use switchyard_model::{By, Category, Fold, Rows, TableFormat, Task, Transform, Unknown};

use super::Job;
use crate::{
    cache::Made,
    error::{Error, Result},
    fetch::{Fetched, Wanted, fetch},
    filter::Filter,
    place::Source,
    preprocess::{Applier, Fit, Parts, Preprocessing, fit},
    profile::profile,
    split::{ByCategory, Cuts, CutsBy, FOLDS, Ratios, Splitter, name},
    table::{Field, Format, Input, parquet_writer, read_stored, survey, writer},
};

/// The file of fetched rows.
const FETCHED: &str = "rows.parquet";

/// The fewest rows of a fold from which anything can be learned or said.
const FEWEST: u64 = 2;

/// How many parts a column is cut into where nothing says so.
const BINS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// What the fetch says.
#[derive(Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) fields: Vec<Field>,
    #[serde(flatten)]
    pub(super) fetched: Fetched,
}

/// The file of a fold as it was fetched.
pub(super) fn raw(fold: Fold) -> String {
    format!("{}.parquet", name(fold))
}

impl<'a> Job<'a> {
    pub(super) fn fetch(&self) -> Result<Made<'a>> {
        let data = &self.model.data;
        let wanted = self.columns()?;
        let texts = self.texts();
        let newest = self.newest()?;
        let from = json!({
            "manifest": self.request.manifest.sha256, "where": data.filter, "select": data.select, "columns": wanted, "texts": texts,
            "format": data.format, "newest": newest, "ordered": self.ordered(), "seed": self.model.split.seed,
        });
        let made = self.cache.step("fetch", &[&from.to_string()], |folder| {
            let inputs = self.inputs(folder)?;
            let fields: Arc<[Field]> = survey(&inputs, &wanted, &texts)?.into();
            let required = self.required();
            let wanted = Wanted {
                inputs: &inputs,
                fields: &fields,
                required: &required,
                key: &data.key,
                event_time: data.event_time.as_deref(),
                filter: data.filter.as_deref(),
                select: data.select,
                newest,
                ordered: self.ordered(),
                seed: self.model.split.seed,
            };
            let fetched = fetch(&wanted, &folder.join(FETCHED))?;
            let _ = std::fs::remove_dir_all(folder.join("source"));
            noted(&Said { fields: fields.to_vec(), fetched })
        })?;
        let said: Said = made.note()?;
        self.tell(
            "fetch",
            &format!("{} of {} rows, {} columns", said.fetched.rows, said.fetched.source_rows, said.fields.len()),
            &made,
        );
        Ok(made)
    }

    /// Every column that is read: what the file names, what `where` looks at, and what the champion's preprocessing takes.
    fn columns(&self) -> Result<Vec<String>> {
        let mut columns: Vec<String> = self.model.columns().into_iter().map(str::to_owned).collect();
        let filter = self.model.data.filter.as_deref().map(Filter::new).transpose().map_err(|error| error.at("fetch"))?;
        let champion = self.champions_preprocessing()?;
        let inputs = champion.iter().flat_map(Preprocessing::inputs).map(|field| field.name);
        for name in filter.iter().flat_map(|filter| filter.columns().to_vec()).chain(inputs) {
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
        Ok(columns)
    }

    fn required(&self) -> Vec<String> {
        let data = &self.model.data;
        let named = [&data.key, &data.label.column].into_iter().chain(&data.event_time).map(String::as_str);
        named.chain(self.model.split.columns()).map(str::to_owned).collect()
    }

    /// The columns that are texts whatever they look like: names of rows, of classes and of categories, and features that are
    /// preprocessed as text.
    fn texts(&self) -> BTreeSet<String> {
        let data = &self.model.data;
        let names = [Some(&data.key), Some(&data.label.column).filter(|_| data.label.task == Task::Multiclass), self.category()];
        let names = names.into_iter().flatten().filter(|name| !data.features.contains(name));
        let features = self.model.preprocess.columns.iter().filter(|(_, transforms)| Transform::read_as_text(transforms));
        names.chain(features.map(|(name, _)| name)).cloned().collect()
    }

    fn category(&self) -> Option<&String> {
        match &self.model.split.by {
            By::Category(category) | By::Hybrid { category, .. } => Some(&category.column),
            By::Ratio | By::Index(_) => None,
        }
    }

    /// Whether a column is filled from the rows around it.
    fn ordered(&self) -> bool {
        use switchyard_model::Fill;
        let defaults = &self.model.preprocess.defaults;
        let all = self.model.preprocess.columns.values().chain([
            &defaults.float,
            &defaults.integer,
            &defaults.string,
            &defaults.boolean,
        ]);
        all.flatten().any(|transform| matches!(transform, Transform::Fill(Fill::Forward | Fill::Backward)))
    }

    /// The files of the manifest, here and unchanged.
    fn inputs(&self, folder: &Path) -> Result<Vec<Input>> {
        let source = Source::open(&self.model.data.source.url)?;
        let there = source.files()?;
        let mut inputs = Vec::new();
        for (at, listed) in self.manifest.files.iter().enumerate() {
            self.progress.at("fetch", &listed.url);
            let file = there.iter().find(|file| file.url == listed.url);
            let file =
                file.ok_or_else(|| Error::new("is in the manifest, and no longer in the source; run again").file(&listed.url))?;
            let scratch = folder.join("source").join(at.to_string());
            let (path, sha256, _) = source.fetch(file, &scratch)?;
            if sha256 != listed.sha256 {
                return Err(Error::new("has changed since the manifest was made; run again").file(&listed.url));
            }
            let format = self.model.data.format.map_or_else(|| Format::of(&listed.url), |format| Ok(Format::from(format)))?;
            inputs.push(Input { path, name: listed.url.clone(), format });
        }
        Ok(inputs)
    }

    pub(super) fn split(&self, fetched: &Made<'a>) -> Result<Made<'a>> {
        let split = noted(&self.model.split)?.to_string();
        let made = self.cache.step("split", &[&fetched.kept(FETCHED)?.sha256, &split, &self.model.data.key], |folder| {
            let rows = fetched.file(FETCHED)?;
            let said: Said = fetched.note()?;
            let splitter = self.splitter(&rows)?;
            let mut sinks = Vec::new();
            for fold in self.model.split.names() {
                sinks.push((fold, parquet_writer(&folder.join(raw(fold)), &said.fields)?, 0_u64));
            }
            for batch in read_stored(&rows, None)? {
                let batch = batch?;
                let folds = splitter.folds(&batch)?;
                for (fold, sink, count) in &mut sinks {
                    let part = batch.filter(&folds.iter().map(|it| *it == Some(*fold)).collect::<Vec<_>>());
                    *count += part.rows() as u64;
                    sink.write(&part)?;
                }
            }
            let mut counts = Rows::default();
            for (fold, sink, count) in sinks {
                sink.close()?;
                *of(&mut counts, fold) = count;
                if count < FEWEST {
                    let what = format!(
                        "the fold has {count} of the rows, and {FEWEST} are the least; give it a larger share, or more data"
                    );
                    return Err(Error::new(what).file(name(fold)));
                }
            }
            noted(&counts)
        })?;
        let Rows { train, eval, test } = made.note()?;
        self.tell("split", &format!("train {train}, eval {eval}, test {test} rows"), &made);
        Ok(made)
    }

    fn splitter(&self, rows: &Path) -> Result<Splitter> {
        let split = &self.model.split;
        let share = |fold| split.folds.0.get(&fold).copied().unwrap_or_default();
        let ratios = Ratios { train: share(Fold::Train), eval: share(Fold::Eval), test: share(Fold::Test) };
        Ok(match &split.by {
            By::Ratio => Splitter::Ratio { seed: split.seed, ratios, key: self.model.data.key.clone() },
            By::Category(category) => Splitter::Category(by_category(category, split.seed, ratios)),
            By::Index(index) => Splitter::Index { cuts: cuts(rows, &index.column, ratios, None)? },
            By::Hybrid { category, index } => {
                let category = by_category(category, split.seed, ratios);
                let cuts = cuts(rows, &index.column, ratios, Some(&category))?;
                Splitter::Hybrid { category, cuts }
            }
        })
    }

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
            std::fs::write(folder.join("preprocessing.json"), &bytes)
                .map_err(|error| Error::new(format!("cannot write: {error}")))?;
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

    pub(super) fn profile(&self, fetched: &Made<'a>, split: &Made<'a>) -> Result<Made<'a>> {
        let monitor = self.model.monitor.as_ref();
        let (fold, bins) = monitor.map_or((Fold::Train, BINS), |monitor| {
            (monitor.reference.fold, NonZeroUsize::try_from(monitor.reference.bins).unwrap_or(BINS))
        });
        let segments = monitor.map(|monitor| monitor.segments.clone()).unwrap_or_default();
        let from = json!({"bins": bins, "segments": segments, "features": self.model.data.features}).to_string();
        let made = self.cache.step("profile", &[&split.kept(&raw(fold))?.sha256, &from], |folder| {
            let said: Said = fetched.note()?;
            let wanted = |field: &Field| self.model.data.features.contains(&field.name);
            let features: Vec<Field> = said.fields.into_iter().filter(wanted).collect();
            let profile = profile(&split.file(&raw(fold))?, &features, &segments, bins)?;
            let bytes = serde_json::to_vec(&profile).map_err(|error| Error::new(error.to_string()))?;
            std::fs::write(folder.join("profile.json"), bytes).map_err(|error| Error::new(format!("cannot write: {error}")))?;
            Ok(json!({"columns": features.len()}))
        })?;
        self.tell("profile", &format!("of the fold {}", name(fold)), &made);
        Ok(made)
    }

    /// How commands read and write rows.
    pub(super) fn format(&self) -> Format {
        match self.model.train.format {
            TableFormat::Csv => Format::Csv,
            TableFormat::Parquet => Format::Parquet,
        }
    }

    /// What a file of rows for commands is called.
    pub(super) fn table(&self, of: &str) -> String {
        let ending = match self.model.train.format {
            TableFormat::Csv => "csv",
            TableFormat::Parquet => "parquet",
        };
        format!("{of}.{ending}")
    }

    pub(super) fn labelled(&self, fold: Fold) -> String {
        self.table(name(fold))
    }

    pub(super) fn unlabelled(&self) -> String {
        self.table("unlabelled")
    }

    /// The preprocessing that was fitted with the champion.
    pub(super) fn champions_preprocessing(&self) -> Result<Option<Preprocessing>> {
        let Some(champion) = self.champion().filter(|_| self.model.predict.is_some()) else { return Ok(None) };
        let bytes = crate::manifest::verified(self.store, &champion.preprocessing);
        bytes.and_then(|bytes| Preprocessing::read(&bytes)).map(Some).map_err(|error| error.at("champion"))
    }

    /// The newest row that the champion was trained on, where that matters.
    fn newest(&self) -> Result<Option<i64>> {
        use switchyard_model::Part;
        match (self.model.data.select.part, self.champion()) {
            (Part::New | Part::Mix { .. }, Some(champion)) => {
                super::Record::read(self.store, &champion.run).map(|record| record.data.newest).map_err(|error| error.at("fetch"))
            }
            (Part::All | Part::Tail(_), _) | (_, None) => Ok(None),
        }
    }
}

fn of(rows: &mut Rows, fold: Fold) -> &mut u64 {
    match fold {
        Fold::Train => &mut rows.train,
        Fold::Eval => &mut rows.eval,
        Fold::Test => &mut rows.test,
    }
}

fn by_category(category: &Category, seed: u64, ratios: Ratios) -> ByCategory {
    ByCategory {
        column: category.column.clone(),
        folds: category.folds.clone(),
        drawn: category.folds.is_empty().then_some((seed, ratios)),
        unknown: match category.unknown {
            Unknown::Skip => None,
            Unknown::Fold(fold) => Some(fold),
        },
    }
}

/// The cuts through the order of a column; within each category of the rows that categories have left.
fn cuts(rows: &Path, column: &str, ratios: Ratios, category: Option<&ByCategory>) -> Result<Cuts> {
    let mut by = CutsBy::new(column, ratios);
    for batch in read_stored(rows, None)? {
        let batch = batch?;
        match category {
            None => by.see(None, &batch)?,
            Some(category) => by.see(Some(&category.column), &batch.filter(&category.left(&batch)?))?,
        }
    }
    by.finish()
}

pub(super) fn noted<T: Serialize>(note: &T) -> Result<Value> {
    serde_json::to_value(note).map_err(|error| Error::new(error.to_string()))
}
