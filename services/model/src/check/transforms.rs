//! Transforms: each finds what it needs in what comes before it, and in what the column holds as far as that is known: of a
//! type's defaults, and of a named column from what is done with it.

use switchyard_file::Desk;

use crate::{Buckets, Fill, Model, Transform};

/// The most columns that one column may become.
const WIDEST: u32 = 1000;

/// The most ranges that numbers may be cut into.
const MOST_RANGES: u32 = 10_000;

pub(super) fn check(model: &Model, desk: &mut Desk<'_>) {
    let defaults = &model.preprocess.defaults;
    let typed = [
        ("float", &defaults.float, Holds::Numbers),
        ("integer", &defaults.integer, Holds::Numbers),
        ("string", &defaults.string, Holds::Texts),
        ("boolean", &defaults.boolean, Holds::Truths),
    ];
    for (name, transforms, holds) in typed {
        column(&["preprocess", "defaults", name], transforms, holds, model, desk);
    }
    for (name, transforms) in &model.preprocess.columns {
        column(&["preprocess", name], transforms, Holds::of(transforms), model, desk);
        if transforms.is_empty() {
            desk.add(&["preprocess", name], "says nothing: write [none] to hand the column on as it is, or take the key out");
        }
    }
}

/// What a column holds, as far as it is known.
#[derive(Clone, Copy, PartialEq)]
enum Holds {
    Numbers,
    Texts,
    Truths,
    /// Numbers or truth values.
    Measures,
    Anything,
}

impl Holds {
    /// What a column must hold for these transforms.
    fn of(transforms: &[Transform]) -> Self {
        if Transform::read_as_text(transforms) {
            return Self::Texts;
        }
        let measured = |transform: &Transform| match transform {
            Transform::Scale(_) | Transform::Bucketize(_) | Transform::Fill(Fill::Min | Fill::Max) => true,
            Transform::Fill(fill) => matches!(fill, Fill::Mean | Fill::Median),
            Transform::Vocabulary(_)
            | Transform::OneHot { .. }
            | Transform::Hash(_)
            | Transform::Ngrams { .. }
            | Transform::Tfidf(_)
            | Transform::None => false,
        };
        if transforms.iter().any(measured) { Self::Measures } else { Self::Anything }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Numbers => "numbers",
            Self::Texts => "texts",
            Self::Truths => "true and false",
            Self::Measures => "numbers, or true and false",
            Self::Anything => "values",
        }
    }
}

/// What a column is after some transforms.
#[derive(Clone, Copy, PartialEq)]
enum State {
    /// As it came.
    Raw,
    /// A number in some measure.
    Scaled,
    /// Small whole numbers, so many at most.
    Coded(u32),
    /// Runs of words, so many at most.
    Words(u32),
    /// Several columns of numbers, or handed on: nothing may follow.
    Done,
}

fn column(keys: &[&str], transforms: &[Transform], holds: Holds, model: &Model, desk: &mut Desk<'_>) {
    let mut state = State::Raw;
    for (n, transform) in transforms.iter().enumerate() {
        match step(state, transform, n).and_then(|next| fits(holds, transform).map(|()| next)) {
            Ok(next) => state = next,
            Err(rule) => return desk.add(keys, format!("[{n}] {}: {rule}", transform.name())),
        }
        let ordered = matches!(transform, Transform::Fill(Fill::Forward | Fill::Backward));
        if ordered && model.data.event_time.is_none() {
            desk.add(keys, format!("[{n}] fill: rows have no order: name the column of their time under data.eventTime"));
        }
    }
    if let State::Words(many) = state
        && many > WIDEST
    {
        desk.add(keys, wide(many));
    }
}

fn wide(many: u32) -> String {
    format!("the column would become {many} columns, and {WIDEST} are the most: keep fewer values, or hash them into fewer")
}

fn step(state: State, transform: &Transform, n: usize) -> Result<State, String> {
    let when = |fits: bool, next: State, rule: &str| if fits { Ok(next) } else { Err(rule.to_owned()) };
    let raw = state == State::Raw;
    let narrow = |many: u32| if many > WIDEST { Err(wide(many)) } else { Ok(State::Done) };
    match (transform, state) {
        (_, State::Done) => Err("nothing can follow what comes before it".to_owned()),
        (Transform::Fill(_), _) => when(n == 0, State::Raw, "must come first"),
        (Transform::Scale(_), _) => when(raw, State::Scaled, "needs the column's own numbers: put it right after fill"),
        (Transform::Vocabulary(size) | Transform::Tfidf(size), State::Words(many)) => narrow(size.get().min(many)),
        (Transform::Vocabulary(size) | Transform::Hash(size), _) => {
            when(raw, State::Coded(size.get()), "needs the column's own values before it; after ngrams comes tfidf, or nothing")
        }
        (Transform::Bucketize(Buckets::Quantiles(count)), _) if count.get() > MOST_RANGES => {
            Err(format!("at most {MOST_RANGES} ranges"))
        }
        (Transform::Bucketize(buckets), _) => {
            when(raw || state == State::Scaled, State::Coded(buckets.ranges()), "needs numbers before it")
        }
        (Transform::OneHot { .. }, State::Coded(many)) => narrow(many),
        (Transform::OneHot { .. }, _) => Err("needs vocabulary, bucketize or hash right before it".to_owned()),
        (Transform::Ngrams { size, .. }, _) => {
            when(raw, State::Words(size.get()), "needs the column's own texts: put it right after fill")
        }
        (Transform::Tfidf(size), _) => {
            let texts = when(raw, State::Done, "needs texts or ngrams before it");
            texts.and_then(|_| narrow(size.get()))
        }
        (Transform::None, _) => when(raw, State::Done, "hands the column on as it is: nothing but fill can stand before it"),
    }
}

/// Whether a transform can do with what the column holds.
fn fits(holds: Holds, transform: &Transform) -> Result<(), String> {
    match transform {
        Transform::Fill(fill) => fills(holds, fill),
        Transform::Scale(_) | Transform::Bucketize(_) if holds == Holds::Texts => {
            Err("needs numbers, and the column holds texts: use vocabulary or hash".to_owned())
        }
        Transform::Scale(_)
        | Transform::Bucketize(_)
        | Transform::Vocabulary(_)
        | Transform::OneHot { .. }
        | Transform::Hash(_)
        | Transform::Ngrams { .. }
        | Transform::Tfidf(_)
        | Transform::None => Ok(()),
    }
}

fn fills(holds: Holds, fill: &Fill) -> Result<(), String> {
    let numbers = "needs numbers, and the column is read as text for what follows: use mode or {value: …}";
    match fill {
        Fill::Min | Fill::Max | Fill::Mean | Fill::Median if holds == Holds::Texts => Err(numbers.to_owned()),
        Fill::Mean | Fill::Median if holds == Holds::Truths => Err("has no meaning for true and false: use mode".to_owned()),
        Fill::Value(value) => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let number = text.parse().is_ok_and(f64::is_finite);
            let truth = matches!(text.as_str(), "true" | "True" | "TRUE" | "false" | "False" | "FALSE");
            let fitting = match holds {
                Holds::Numbers => number,
                Holds::Truths => truth,
                Holds::Measures => number || truth,
                Holds::Texts | Holds::Anything => true,
            };
            let rule = || format!("{text:?} does not fit: the column holds {}", holds.words());
            if fitting { Ok(()) } else { Err(rule()) }
        }
        Fill::Min | Fill::Max | Fill::Mean | Fill::Median | Fill::Mode | Fill::Forward | Fill::Backward => Ok(()),
    }
}
