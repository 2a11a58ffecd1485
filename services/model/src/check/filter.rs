//! `data.where`: an expression that can be read, and that can be true or false of a row.
//!
//! Which columns a source has is not known here, nor what they hold: a name that no column has is found by the run.

use std::sync::Arc;

use cel::{Context, Env, ExecutionError, ParseErrors, Program, Value};
use switchyard_file::Desk;

use crate::Model;

/// The most columns of which every mixture of types is tried; of more, all are of one type at a time.
const MIXED: usize = 3;

pub(super) fn check(model: &Model, desk: &mut Desk<'_>) {
    if let Some(text) = &model.data.filter
        && let Err(rule) = understood(text)
    {
        desk.add(&["data", "where"], rule);
    }
}

fn understood(text: &str) -> Result<(), String> {
    let env = Arc::new(Env::stdlib());
    let program = env.compile(text).map_err(|errors| unread(text, &errors))?;
    answers(text, &program, &env)
}

fn unread(text: &str, errors: &ParseErrors) -> String {
    let first = errors.errors.first().map_or_else(String::new, |error| {
        let (_, column) = error.pos;
        format!(" at its character {}: {}", column.max(1), error.msg.lines().next().unwrap_or_default())
    });
    format!("`{text}` is no CEL expression{first}; write a condition over columns: \"plan != 'test' && age >= 18.0\"")
}

/// Tries the expression on rows of every type, for what can be said without the data: a function that there is not, an answer
/// that is neither true nor false.
fn answers(text: &str, program: &Program, env: &Arc<Env>) -> Result<(), String> {
    let references = program.references();
    let columns = references.variables();
    let (mut chooses, mut other) = (false, None);
    for row in rows(columns.len()) {
        let mut context = Context::with_env(Arc::clone(env));
        for (name, value) in columns.iter().zip(row) {
            context.add_variable_from_value(*name, value);
        }
        match program.execute(&context) {
            Ok(Value::Bool(_)) => chooses = true,
            Ok(value) => other = Some(value.type_of()),
            Err(ExecutionError::UndeclaredReference(name)) => {
                return Err(format!(
                    "`{text}`: there is no function {name}; CEL has size, contains, startsWith, endsWith, matches"
                ));
            }
            Err(_) => {}
        }
    }
    match other.filter(|_| !chooses) {
        Some(kind) => Err(format!("`{text}` is never true or false, but {kind}; make it a comparison: \"plan != 'test'\"")),
        None => Ok(()),
    }
}

fn rows(columns: usize) -> Vec<Vec<Value>> {
    let cells = || [Value::Null, Value::Bool(true), Value::Int(1), Value::Float(0.5), Value::from("1")];
    if columns > MIXED {
        return cells().map(|cell| vec![cell; columns]).to_vec();
    }
    (0..columns).fold(vec![Vec::new()], |rows, _| {
        rows.iter().flat_map(|row| cells().map(|cell| row.iter().cloned().chain([cell]).collect())).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_over_columns_is_understood_whatever_they_hold() {
        for text in [
            "plan != 'test'",
            "plan != 'test' && (age == null || age > 18.0)",
            "plan.startsWith('a') && plan.matches('^[a-z]+$') && size(plan) < 20",
            "double(age) > 3.0",
            "plan.contains('x') ? open : age in [1, 2, 3]",
            "[1, 2].exists(one, one == age)",
            "open",
            "a == b && c == d && e > 0",
            "score == score",
            "true",
        ] {
            assert_eq!(understood(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_can_never_choose_a_row_is_refused_with_what_to_write() {
        for (text, wanted) in [
            ("plan ==", "`plan ==` is no CEL expression at its character"),
            ("plan = 'test'", "write a condition over columns"),
            ("plan != \"test", "is no CEL expression"),
            ("age > 18 AND plan == 'x'", "is no CEL expression"),
            ("", "is no CEL expression"),
            ("lower(plan) == 'test'", "there is no function lower"),
            ("plan.lower() == 'test'", "there is no function lower"),
            ("3", "is never true or false, but int"),
            ("age", ""),
            ("size(plan)", "is never true or false, but int; make it a comparison"),
        ] {
            match understood(text) {
                Ok(()) => assert_eq!(wanted, "", "{text}"),
                Err(rule) => assert!(rule.contains(wanted) && !wanted.is_empty() && !rule.contains('\n'), "{text}: {rule}"),
            }
        }
    }
}
