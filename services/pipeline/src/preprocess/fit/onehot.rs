//! A column of 0 and 1 for each number that the step before can give.

use switchyard_model::Unseen;

use super::{
    super::{Step, step::Beyond},
    column::Of,
};
use crate::{
    error::{Error, Result},
    table::Cell,
};

/// How many columns of 0 and 1 one column may become where nothing bounds them.
const WIDEST: usize = 1000;

impl Of<'_> {
    pub(super) fn onehot(&self, unknown: Unseen) -> Result<Vec<Step>> {
        let unknown = match unknown {
            Unseen::Bucket => Beyond::Bucket,
            Unseen::Zero => Beyond::Zero,
            Unseen::Error => Beyond::Error,
        };
        let (mut names, vocabulary, open) = match self.before.last() {
            Some(Step::Vocabulary { terms }) => (terms.clone(), None, true),
            Some(Step::Hash(size)) => ((0..*size).map(|place| place.to_string()).collect(), None, false),
            Some(Step::Bucketize { edges }) => (ranges(edges), None, false),
            _ => {
                let terms = self.terms(WIDEST + 1)?;
                (terms.clone(), Some(Step::Vocabulary { terms }), true)
            }
        };
        if names.len() > WIDEST {
            return Err(Error::new(format!(
                "the column would become more than {WIDEST} columns; put `vocabulary: 100` or `hash: 100` before it"
            )));
        }
        if open && unknown == Beyond::Bucket {
            names.push(unlike(&names));
        }
        let unknown = if !open && unknown == Beyond::Bucket { Beyond::Zero } else { unknown };
        Ok(vocabulary.into_iter().chain([Step::OneHot { names, unknown }]).collect())
    }
}

/// What the column of unknown values is called: `?`, or more of them where that is a value.
fn unlike(names: &[String]) -> String {
    let mut name = "?".to_owned();
    while names.contains(&name) {
        name.push('?');
    }
    name
}

/// What ranges between edges are called.
fn ranges(edges: &[f64]) -> Vec<String> {
    let text = |edge: &f64| Cell::Float(*edge).text().unwrap_or_default().into_owned();
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else { return vec!["any".to_owned()] };
    let between = edges.windows(2).map(|pair| format!("{}..{}", text(&pair[0]), text(&pair[1])));
    std::iter::once(format!("<{}", text(first))).chain(between).chain([format!(">={}", text(last))]).collect()
}
