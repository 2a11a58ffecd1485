//! Transforms: each finds what it needs in what comes before it.

use switchyard_file::Desk;

use crate::{Fill, Model, Transform};

pub(super) fn check(model: &Model, desk: &mut Desk<'_>) {
    let defaults = &model.preprocess.defaults;
    let typed = [
        ("float", &defaults.float),
        ("integer", &defaults.integer),
        ("string", &defaults.string),
        ("boolean", &defaults.boolean),
    ];
    for (name, transforms) in typed {
        column(&["preprocess", "defaults", name], transforms, model, desk);
    }
    for (name, transforms) in &model.preprocess.columns {
        column(&["preprocess", name], transforms, model, desk);
        if transforms.is_empty() {
            desk.add(&["preprocess", name], "says nothing: write [none] to hand the column on as it is, or take the key out");
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
    /// Small whole numbers.
    Coded,
    /// Words.
    Words,
    /// Several columns of numbers, or handed on: nothing may follow.
    Done,
}

fn column(keys: &[&str], transforms: &[Transform], model: &Model, desk: &mut Desk<'_>) {
    let mut state = State::Raw;
    for (n, transform) in transforms.iter().enumerate() {
        match step(state, transform, n) {
            Ok(next) => state = next,
            Err(rule) => return desk.add(keys, format!("[{n}] {}: {rule}", transform.name())),
        }
        let ordered = matches!(transform, Transform::Fill(Fill::Forward | Fill::Backward));
        if ordered && model.data.event_time.is_none() {
            desk.add(keys, format!("[{n}] fill: rows have no order: name the column of their time under data.eventTime"));
        }
    }
}

fn step(state: State, transform: &Transform, n: usize) -> Result<State, &'static str> {
    let when = |fits: bool, next: State, rule: &'static str| if fits { Ok(next) } else { Err(rule) };
    let raw = state == State::Raw;
    if state == State::Done {
        return Err("nothing can follow what comes before it");
    }
    match transform {
        Transform::Fill(_) => when(n == 0, State::Raw, "must come first"),
        Transform::Scale(_) => when(raw, State::Scaled, "needs the column's own numbers: put it right after fill"),
        Transform::Vocabulary(_) | Transform::Hash(_) => {
            when(raw || state == State::Words, State::Coded, "needs the column's own values, or ngrams, before it")
        }
        Transform::Bucketize(_) => when(raw || state == State::Scaled, State::Coded, "needs numbers before it"),
        Transform::OneHot { .. } => {
            when(state == State::Coded, State::Done, "needs vocabulary, bucketize or hash right before it")
        }
        Transform::Ngrams { .. } => when(raw, State::Words, "needs the column's own texts: put it right after fill"),
        Transform::Tfidf(_) => when(raw || state == State::Words, State::Done, "needs texts or ngrams before it"),
        Transform::None => when(raw, State::Done, "hands the column on as it is: nothing but fill can stand before it"),
    }
}
