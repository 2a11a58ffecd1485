//! What stands where a column has nothing.

use switchyard_model::Fill;

use super::{
    super::{
        Fixed, Step,
        seen::{Summary, fixed, quantiles},
    },
    column::Of,
};
use crate::{
    error::{Error, Result},
    table::{Cell, Kind},
};

impl Of<'_> {
    pub(super) fn fill(&self, fill: &Fill) -> Result<Step> {
        let like = |value: f64| {
            if self.kind == Kind::Integer { fixed(&Cell::Float(value).text().unwrap_or_default(), self.kind) } else { None }
        };
        let number = |value: f64| Step::Fill(like(value).unwrap_or(Fixed::Float(value)));
        Ok(match fill {
            Fill::Min => self.extreme(|summary| summary.least, number)?,
            Fill::Max => self.extreme(|summary| summary.greatest, number)?,
            Fill::Mean => Step::Fill(Fixed::Float(self.measured()?.summary()?.mean)),
            Fill::Median => Step::Fill(Fixed::Float(self.median()?)),
            Fill::Mode => Step::Fill(self.mode()?),
            Fill::Forward => Step::Forward(self.edge(true)?),
            Fill::Backward => Step::Backward(self.edge(false)?),
            Fill::Value(value) => Step::Fill(self.constant(value)?),
        })
    }

    /// The least or the greatest value: a truth value of truth values.
    fn extreme(&self, of: impl Fn(&Summary) -> f64, number: impl Fn(f64) -> Step) -> Result<Step> {
        let value = of(&self.summary()?);
        Ok(if self.kind == Kind::Boolean { Step::Fill(Fixed::Boolean(value > 0.5)) } else { number(value) })
    }

    fn median(&self) -> Result<f64> {
        Ok(quantiles(self.measured()?.sorted()?, &[0.5])?.first().copied().unwrap_or_default())
    }

    /// The column, where something may lie between its values.
    fn measured(&self) -> Result<&Self> {
        if self.kind == Kind::Boolean { Err(Error::new("has no meaning for true or false; use mode")) } else { Ok(self) }
    }

    fn mode(&self) -> Result<Fixed> {
        self.counts()?.mode(self.kind).ok_or_else(|| Error::new("no row of the training fold has a value"))
    }

    /// The first or the last value of the training fold: what rows are filled with that have none before or after.
    fn edge(&self, first: bool) -> Result<Option<Fixed>> {
        if !self.first {
            return Err(Error::new("forward and backward look at other rows, and must come first"));
        }
        let mut edge = None;
        self.each(|cell| {
            if cell != Cell::Missing && !(first && edge.is_some()) {
                edge = Fixed::of(cell);
            }
            Ok(())
        })?;
        Ok(edge)
    }

    fn constant(&self, value: &serde_json::Value) -> Result<Fixed> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let kind = if self.kind == Kind::Integer && text.parse::<i64>().is_err() { Kind::Float } else { self.kind };
        fixed(&text, kind).ok_or_else(|| Error::new(format!("`{text}` does not fit: the column holds {}", self.kind.words())))
    }
}
