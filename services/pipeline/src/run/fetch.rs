//! The step that brings the rows of the source here: which columns, of which files.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::json;
use switchyard_model::{By, Fill, Part, Task, Transform};

use super::{Job, Record, files::noted};
use crate::{
    cache::Made,
    error::{Error, Result},
    fetch::{Fetched, Wanted, fetch},
    filter::Filter,
    place::{Brought, Source},
    preprocess::Preprocessing,
    table::{Field, Format, Input, Surveyed, survey},
};

/// The file of fetched rows.
pub(super) const FETCHED: &str = "rows.parquet";

/// What the fetch says.
#[derive(Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) fields: Vec<Field>,
    #[serde(flatten)]
    pub(super) fetched: Fetched,
}

impl<'a> Job<'a> {
    pub(super) fn fetch(&self) -> Result<Made<'a>> {
        let data = &self.model.data;
        let wanted = self.columns()?;
        let spare = self.spare(&wanted)?;
        let (texts, newest) = (self.texts(), self.newest()?);
        let from = json!({
            "manifest": self.request.manifest.sha256, "where": data.filter, "select": data.select, "columns": wanted, "spare": spare,
            "texts": texts, "format": data.format, "newest": newest, "ordered": self.ordered(), "seed": self.model.split.seed,
        });
        let made = self.cache.step("fetch", &[&from.to_string()], |folder| {
            let (inputs, brought) = self.inputs(folder)?;
            let said = self.read(&inputs, (&wanted, &spare, &texts), newest, folder);
            // What was read while somebody wrote into it may be neither the old nor the new, and its errors are not the data's.
            for (input, brought) in inputs.iter().zip(&brought) {
                brought.unchanged().map_err(|error| error.file(&input.name))?;
            }
            let _ = std::fs::remove_dir_all(folder.join("source"));
            noted(&said?)
        })?;
        let Said { fields, fetched } = made.note()?;
        self.tell("fetch", &format!("{} of {} rows, {} columns", fetched.rows, fetched.source_rows, fields.len()), &made);
        Ok(made)
    }

    fn read(
        &self,
        inputs: &[Input],
        (wanted, spare, texts): (&[String], &[String], &BTreeSet<String>),
        newest: Option<i64>,
        folder: &Path,
    ) -> Result<Said> {
        let data = &self.model.data;
        let Surveyed { fields, lacking } = survey(inputs, wanted, spare, texts)?;
        let fields: Arc<[Field]> = fields.into();
        let wanted = Wanted {
            inputs,
            fields: &fields,
            required: &self.required(),
            spare,
            key: &data.key,
            event_time: data.event_time.as_deref(),
            filter: data.filter.as_deref(),
            select: data.select,
            newest,
            ordered: self.ordered(),
            seed: self.model.split.seed,
        };
        let mut fetched = fetch(&wanted, &folder.join(FETCHED))?;
        fetched.lacking.extend(lacking);
        Ok(Said { fields: fields.to_vec(), fetched })
    }

    /// Every column that must be there: what the file names, and what `where` looks at.
    fn columns(&self) -> Result<Vec<String>> {
        let mut columns: Vec<String> = self.model.columns().into_iter().map(str::to_owned).collect();
        let filter = self.model.data.filter.as_deref().map(Filter::new).transpose().map_err(|error| error.at("fetch"))?;
        for name in filter.iter().flat_map(Filter::columns) {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        Ok(columns)
    }

    /// The columns that only the champion's preprocessing takes: without them it cannot be compared, and nothing else is missing.
    fn spare(&self, wanted: &[String]) -> Result<Vec<String>> {
        let champion = self.champions_preprocessing()?;
        let inputs = champion.iter().flat_map(Preprocessing::inputs).map(|field| field.name);
        Ok(inputs.filter(|name| !wanted.contains(name)).collect())
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
        let defaults = &self.model.preprocess.defaults;
        let all = self.model.preprocess.columns.values().chain([
            &defaults.float,
            &defaults.integer,
            &defaults.string,
            &defaults.boolean,
        ]);
        all.flatten().any(|transform| matches!(transform, Transform::Fill(Fill::Forward | Fill::Backward)))
    }

    /// The files of the manifest, here and as it says.
    fn inputs(&self, folder: &Path) -> Result<(Vec<Input>, Vec<Brought>)> {
        let source = Source::open(&self.model.data.source.url)?;
        let there = source.files()?;
        let mut inputs = Vec::new();
        for (at, listed) in self.manifest.files.iter().enumerate() {
            self.progress.at("fetch", &listed.url);
            let file = there.iter().find(|file| file.url == listed.url);
            let file =
                file.ok_or_else(|| Error::new("is in the manifest, and no longer in the source; run again").file(&listed.url))?;
            let scratch = folder.join("source").join(at.to_string());
            let brought = source.fetch(file, &scratch)?;
            if brought.sha256 != listed.sha256 {
                return Err(Error::new("has changed since the manifest was made; run again").file(&listed.url));
            }
            let format = self.model.data.format.map_or_else(|| Format::of(&listed.url), |format| Ok(Format::from(format)))?;
            inputs.push((Input { path: brought.path.clone(), name: listed.url.clone(), format }, brought));
        }
        Ok(inputs.into_iter().unzip())
    }

    /// The preprocessing that was fitted with the champion.
    pub(super) fn champions_preprocessing(&self) -> Result<Option<Preprocessing>> {
        let Some(champion) = self.champion().filter(|_| self.model.predict.is_some()) else { return Ok(None) };
        let bytes = crate::manifest::verified(self.store, &champion.preprocessing);
        bytes.and_then(|bytes| Preprocessing::read(&bytes)).map(Some).map_err(|error| error.at("champion"))
    }

    /// The newest row that the champion was trained on, where that matters.
    fn newest(&self) -> Result<Option<i64>> {
        match (self.model.data.select.part, self.champion()) {
            (Part::New | Part::Mix { .. }, Some(champion)) => {
                Record::read(self.store, &champion.run).map(|record| record.data.newest).map_err(|error| error.at("fetch"))
            }
            (Part::All | Part::Tail(_), _) | (_, None) => Ok(None),
        }
    }
}
