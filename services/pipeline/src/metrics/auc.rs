//! The area under the ROC curve: how often a row of the positive class is said to be likelier than one of the negative
//! (Mann and Whitney 1947; a tie counts half).

use std::collections::BTreeMap;

use crate::{
    error::Result,
    sort::{Record, Sorter},
};

#[derive(Default)]
struct Group {
    negatives: u64,
    positives: u64,
    /// Twice the pairs that stand in the right order, ties counting one.
    won: u128,
    score: Option<u64>,
    tied: [u64; 2],
}

/// AUC by the first number of records of group, score and class. A group of one class has none.
pub(super) fn by_group(sorter: Sorter) -> Result<BTreeMap<u64, f64>> {
    let mut areas = BTreeMap::new();
    let mut current: Option<(u64, Group)> = None;
    for record in sorter.sorted()? {
        let [id, score, class]: Record = record?;
        if current.as_ref().is_none_or(|(of, _)| *of != id) {
            close(current.take(), &mut areas);
        }
        let (_, group) = current.get_or_insert_with(|| (id, Group::default()));
        group.see(score, class);
    }
    close(current, &mut areas);
    Ok(areas)
}

fn close(group: Option<(u64, Group)>, areas: &mut BTreeMap<u64, f64>) {
    if let Some((id, mut group)) = group {
        group.settle();
        if let Some(area) = group.area() {
            areas.insert(id, area);
        }
    }
}

impl Group {
    fn see(&mut self, score: u64, class: u64) {
        if self.score != Some(score) {
            self.settle();
            self.score = Some(score);
        }
        self.tied[usize::from(class != 0)] += 1;
    }

    fn settle(&mut self) {
        let [negatives, positives] = std::mem::take(&mut self.tied);
        self.won += u128::from(positives) * (2 * u128::from(self.negatives) + u128::from(negatives));
        self.negatives += negatives;
        self.positives += positives;
    }

    #[expect(clippy::cast_precision_loss, reason = "a quotient of counts")]
    fn area(&self) -> Option<f64> {
        let pairs = 2 * u128::from(self.negatives) * u128::from(self.positives);
        (pairs > 0).then(|| self.won as f64 / pairs as f64)
    }
}
