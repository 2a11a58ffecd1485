//! Which of the wanted rows are taken. What depends on all of them (the newest row, the newest so many, a sample of a size) is
//! found in passes of its own.

use switchyard_model::Part;

use super::{Wanted, each, moments, newest};
use crate::{
    error::{Error, Result},
    sort::Sorter,
    split::place,
    table::Batch,
};

/// New rows, or all where nobody tells them apart.
const NEW: u64 = 0;

/// The rest of a mix.
const REST: u64 = 1;

/// From where on rows are taken.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// The earliest moment.
    from: Option<i64>,
    /// By class: the last in order that is taken; rows after it are not.
    last: [Option<(u64, u64)>; 2],
}

impl Chosen {
    /// Looks at the rows as often as is needed.
    pub(super) fn find(wanted: &Wanted<'_>) -> Result<Self> {
        let mut chosen = Self::default();
        if let Part::Tail(tail) = wanted.select.part {
            let tail = i64::try_from(tail.duration().as_micros()).unwrap_or(i64::MAX);
            chosen.from = latest(wanted)?.map(|last| last.saturating_sub(tail));
        }
        if wanted.select.limit.is_some() || matches!(wanted.select.part, Part::Mix { .. }) {
            chosen.last = chosen.cut(wanted)?;
        }
        Ok(chosen)
    }

    /// Which rows of a batch are taken.
    pub(super) fn keep(&self, wanted: &Wanted<'_>, batch: &Batch) -> Result<Vec<bool>> {
        let each = ranks(wanted, batch)?.into_iter().map(|rank| {
            let Some((class, rank)) = self.class(wanted, &rank) else { return false };
            self.last[usize::from(class == REST)].is_none_or(|last| rank <= last)
        });
        Ok(each.collect())
    }

    /// A row's class and its place in the class, unless it is left out whatever else there is.
    fn class(&self, wanted: &Wanted<'_>, row: &Row) -> Option<(u64, (u64, u64))> {
        let new = wanted.newest.is_none_or(|newest| row.at.is_none_or(|at| at > newest));
        let recent = self.from.is_none_or(|from| row.at.is_some_and(|at| at >= from));
        let newest_first = row.at.map_or(row.drawn, descending);
        match wanted.select.part {
            Part::New if !new => None,
            Part::Tail(_) if !recent => None,
            Part::Mix { .. } if !new => Some((REST, (row.drawn, row.drawn))),
            Part::All | Part::New | Part::Tail(_) | Part::Mix { .. } => Some((NEW, (newest_first, row.drawn))),
        }
    }

    fn cut(&self, wanted: &Wanted<'_>) -> Result<[Option<(u64, u64)>; 2]> {
        let mut sorter = Sorter::new();
        let mut counts = [0_u64; 2];
        let mut see = |batch: &Batch| {
            for row in ranks(wanted, batch)? {
                if let Some((class, rank)) = self.class(wanted, &row) {
                    counts[usize::from(class == REST)] += 1;
                    sorter.add([class, rank.0, rank.1])?;
                }
            }
            Ok(())
        };
        each(wanted, &mut |_, _, batch| see(batch), &mut 0)?;
        let quotas = quotas(wanted, counts);
        let mut last = [None; 2];
        let mut taken = [0_u64; 2];
        for record in sorter.sorted()? {
            let [class, one, other] = record?;
            let class = usize::from(class == REST);
            if taken[class] < quotas[class] {
                last[class] = Some((one, other));
            }
            taken[class] += 1;
        }
        // Nothing of a class is taken where its share is nothing.
        Ok([0, 1].map(|class| last[class].or((quotas[class] == 0).then_some((0, 0)))))
    }
}

/// How many rows of each class are taken.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares of counts")]
fn quotas(wanted: &Wanted<'_>, [new, rest]: [u64; 2]) -> [u64; 2] {
    let limit = wanted.select.limit.map(std::num::NonZero::get);
    let Part::Mix { new: of_new, rest: of_rest } = wanted.select.part else { return [limit.unwrap_or(u64::MAX), u64::MAX] };
    if wanted.newest.is_none() {
        return [limit.unwrap_or(u64::MAX), 0];
    }
    let share = |whole: f64| (whole * of_rest / (of_new + of_rest)).round() as u64;
    match limit {
        Some(limit) => {
            let of_rest = share(limit as f64).min(rest);
            [(limit - of_rest).min(new), of_rest]
        }
        None if of_new > 0.0 => [new, (new as f64 * of_rest / of_new).round() as u64],
        None => [0, u64::MAX],
    }
}

/// What decides about a row.
struct Row {
    at: Option<i64>,
    drawn: u64,
}

fn ranks(wanted: &Wanted<'_>, batch: &Batch) -> Result<Vec<Row>> {
    let moments = moments(wanted, batch).map_err(|(_, error)| error)?;
    let keys = batch.named(wanted.key).ok_or_else(|| Error::new("there is no such column").column(wanted.key))?;
    let each = keys.cells().enumerate().map(|(row, key)| Row {
        at: moments.get(row).copied(),
        drawn: place(wanted.seed, "select", &key.text().unwrap_or_default()).to_bits(),
    });
    Ok(each.collect())
}

/// Later moments first.
fn descending(at: i64) -> u64 {
    !(at.cast_unsigned() ^ (1 << 63))
}

fn latest(wanted: &Wanted<'_>) -> Result<Option<i64>> {
    let mut last = None;
    let mut see = |batch: &Batch| last = last.max(newest(wanted, batch));
    each(
        wanted,
        &mut |input, numbers, batch| {
            moments(wanted, batch).map_err(|(row, error)| error.row(numbers[row]).file(&input.name))?;
            see(batch);
            Ok(())
        },
        &mut 0,
    )?;
    Ok(last)
}
