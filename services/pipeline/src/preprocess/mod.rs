//! How columns become what a model is trained on. Fitted on the training fold alone, kept as an artifact, and applied to every
//! other fold, to the champion's test rows and to rows at serving in the very same way.

mod apply;
mod exact;
mod fit;
mod label;
mod seen;
mod step;
#[cfg(test)]
mod tests;
mod text;

use serde::{Deserialize, Serialize};

pub(crate) use apply::{Applier, Parts};
pub(crate) use fit::{Fit, fit};
pub(crate) use label::{Label, Truth};
pub(crate) use step::{Fixed, Step};

use crate::{
    error::{Error, Result},
    table::{Field, Kind},
};

/// What this program's artifacts are called.
pub(crate) const VERSION: u32 = 1;

/// The fitted preprocessing: `preprocessing.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preprocessing {
    /// The form of this file.
    pub(crate) version: u32,
    /// The column by which rows are told apart; handed on as it is.
    pub(crate) key: Field,
    /// The label.
    pub(crate) label: Label,
    /// The features, in the model file's order.
    pub(crate) columns: Vec<Fitted>,
}

/// A feature and what happens to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fitted {
    /// The column.
    #[serde(flatten)]
    pub(crate) field: Field,
    /// What happens to it, one after the other.
    pub(crate) steps: Vec<Step>,
}

impl Preprocessing {
    /// Reads an artifact.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        let read: Self = serde_json::from_slice(bytes)
            .map_err(|error| Error::new(format!("this is no preprocessing that a run has fitted: {error}")))?;
        if read.version != VERSION {
            return Err(Error::new(format!(
                "its version is {}, and this program knows {VERSION}; take the program of its run",
                read.version
            )));
        }
        Ok(read)
    }

    /// The artifact. The same preprocessing gives the same bytes.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|error| Error::new(error.to_string()))
    }

    /// The columns that it takes: the key and the features.
    pub(crate) fn inputs(&self) -> Vec<Field> {
        std::iter::once(self.key.clone()).chain(self.columns.iter().map(|column| column.field.clone())).collect()
    }

    /// The columns that features become.
    pub(crate) fn features(&self) -> Vec<Field> {
        self.columns.iter().flat_map(Fitted::outputs).collect()
    }
}

impl Fitted {
    /// The columns that this one becomes.
    fn outputs(&self) -> Vec<Field> {
        let mut kind = self.field.kind;
        for step in &self.steps {
            if let Some((names, kind)) = step.columns() {
                return names.iter().map(|name| Field::new(format!("{}={name}", self.field.name), kind)).collect();
            }
            kind = step.gives(kind);
        }
        let bare = self.steps.iter().any(|step| matches!(step, Step::None));
        let kind = if kind == Kind::Boolean && !bare { Kind::Integer } else { kind };
        vec![Field::new(&self.field.name, kind)]
    }
}
