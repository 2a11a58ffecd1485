//! Rows to count: drawn from a seed, the numbers with all their digits.

use std::{collections::BTreeMap, num::NonZeroUsize};

use anyhow::Context as _;
use switchyard_drift::{Column, Fold, Kind, Profile, Survey};

/// How many columns there are of each kind.
pub(super) const NUMBERS: usize = 16;
pub(super) const NAMES: usize = 4;
/// How many different names a column has.
const DIFFERENT: usize = 20;
/// Rows of the reference.
const REFERENCE: usize = 50_000;

/// The columns' names, in the order in which a reference has them.
pub(super) fn columns() -> Vec<String> {
    (0..NAMES).map(|at| format!("name_{at}")).chain((0..NUMBERS).map(|at| format!("number_{at:02}"))).collect()
}

/// Numbers drawn from a seed (`SplitMix64`, Steele, Lea and Flood 2014).
pub(super) struct Draw(pub(super) u64);

impl Draw {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn number(&mut self) -> f64 {
        let unit = |bits: u64| f64::from(u32::try_from(bits >> 32).unwrap_or_default()) / f64::from(u32::MAX);
        unit(self.bits()) * 100.0 + unit(self.bits())
    }

    pub(super) fn name(&mut self) -> String {
        format!("value {}", self.bits() % DIFFERENT as u64)
    }
}

/// A reference of such rows.
pub(super) fn profile() -> anyhow::Result<Profile> {
    let mut draw = Draw(1);
    let names: Vec<Vec<String>> = (0..NAMES).map(|_| (0..REFERENCE).map(|_| draw.name()).collect()).collect();
    let names: Vec<Vec<Option<&str>>> =
        names.iter().map(|column| column.iter().map(|name| Some(name.as_str())).collect()).collect();
    let numbers: Vec<Vec<f64>> = (0..NUMBERS).map(|_| (0..REFERENCE).map(|_| draw.number()).collect()).collect();
    let slices = names.iter().map(|column| Column::Names(column)).chain(numbers.iter().map(|column| Column::Numbers(column)));
    let slices: Vec<Column<'_>> = slices.collect();
    let kind = |(at, name): (usize, String)| (name, if at < NAMES { Kind::Names } else { Kind::Numbers });
    let kinds: BTreeMap<String, Kind> = columns().into_iter().enumerate().map(kind).collect();
    let mut survey = Survey::new(&kinds, &[""; 0], NonZeroUsize::new(1024).context("bins")?)?;
    survey.see(&slices, REFERENCE)?;
    let frame = survey.frame()?;
    let fold = Fold::new(&frame);
    let mut counts = fold.window();
    fold.count(&mut counts, &slices, REFERENCE)?;
    Ok(frame.filled(&counts)?)
}

/// A row as a JSON object.
pub(super) fn object(draw: &mut Draw) -> String {
    let mut row = String::with_capacity(512);
    for (at, name) in columns().iter().enumerate() {
        row.push(if at == 0 { '{' } else { ',' });
        let value = if at < NAMES { format!("\"{}\"", draw.name()) } else { format!("{:?}", draw.number()) };
        row.extend(["\"", name.as_str(), "\":", value.as_str()]);
    }
    row.push('}');
    row
}
