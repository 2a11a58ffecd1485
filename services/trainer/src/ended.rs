//! What the end of a build says of its training. Pure: the build may have said anything.

use std::time::Duration;

use jiff::Timestamp;
use switchyard_events::{BuildFinished, BuildKey, Outcome, Record as Ledgered};
use switchyard_model::RunResult;

use crate::policy::{End, Seen};

/// The most of what a build has said that becomes part of a reason.
const SAID: usize = 400;

/// What a finished event says.
pub(crate) fn ended(finished: &BuildFinished, at: Timestamp) -> Seen {
    let BuildFinished { build, attempt, retry, bound_at, .. } = finished;
    let used = bound_at.map_or(Duration::ZERO, |bound| Duration::try_from(at.duration_since(bound)).unwrap_or_default());
    Seen::Finished { build: build.clone(), attempt: *attempt, used, end: (!retry).then(|| end(finished)) }
}

/// The same out of the ledger, where the event was not heard: the last attempt, once it has ended for good.
pub(crate) fn in_ledger(build: &BuildKey, record: &Ledgered) -> Option<Seen> {
    let attempt = record.latest().filter(|attempt| attempt.closed)?;
    let decided = attempt.decided.as_ref().filter(|decided| !decided.retry)?;
    let finished = BuildFinished {
        build: build.clone(),
        attempt: attempt.n,
        executor: attempt.executor.clone(),
        outcome: decided.outcome,
        reason: decided.reason.clone(),
        class: decided.reason.class(),
        container: None,
        node: None,
        errors: decided.message.clone(),
        retry: false,
        result: decided.result.as_ref().map(|text| serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into())),
        steps: Vec::new(),
        routed_at: attempt.routed_at,
        bound_at: attempt.bound.as_ref().map(|bound| bound.at),
        started_at: attempt.started_at,
    };
    Some(ended(&finished, decided.at))
}

fn end(finished: &BuildFinished) -> End {
    let BuildFinished { outcome, reason, errors, result, .. } = finished;
    match (outcome, result) {
        (Outcome::Cancel, _) => End::Cancelled,
        (Outcome::Success, None) => End::Failed("the build ended well and left no result".into()),
        (Outcome::Success, Some(result)) => match serde_json::from_value::<RunResult>(result.clone()) {
            Ok(result) => End::Result(Box::new(result)),
            Err(error) => End::Failed(format!("its result is not one: {error}: {}", short(result))),
        },
        (Outcome::Failure | Outcome::Error, _) => {
            let said = result.as_ref().map(|result| format!(": {}", short(result))).unwrap_or_default();
            let errors = errors.as_deref().map(|errors| format!(": {errors}")).unwrap_or_default();
            End::Failed(format!("{reason}{errors}{said}"))
        }
    }
}

fn short(result: &serde_json::Value) -> String {
    let text = result.as_str().map_or_else(|| result.to_string(), str::to_owned);
    text.chars().take(SAID).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use switchyard_events::Reason;

    use super::*;

    fn finished(outcome: Outcome, reason: &Reason, result: Option<&Value>) -> BuildFinished {
        let build = BuildKey::of("a", "b", "c");
        let said = json!({"build": build, "attempt": 1, "outcome": outcome, "reason": reason, "retry": false, "result": result});
        serde_json::from_value(said).unwrap()
    }

    fn failed(finished: &BuildFinished) -> String {
        let Seen::Finished { end: Some(End::Failed(reason)), .. } = ended(finished, Timestamp::UNIX_EPOCH) else { panic!() };
        reason
    }

    #[test]
    fn garbage_as_a_result_is_a_failure_that_says_what_it_is() {
        for (result, wanted) in [
            (json!("hello\u{7}"), "its result is not one: "),
            (json!({"run": "r"}), "missing field"),
            (json!([1]), "its result is not one: "),
        ] {
            let reason = failed(&finished(Outcome::Success, &Reason::Succeeded, Some(&result)));
            assert!(reason.contains(wanted) && !reason.contains('\u{7}'), "{reason}");
        }
        assert!(failed(&finished(Outcome::Success, &Reason::Succeeded, None)).contains("left no result"));
    }

    #[test]
    fn a_failure_says_why_and_what_the_build_said() {
        let reason = failed(&finished(
            Outcome::Failure,
            &Reason::StepFailed("pipeline".into(), 1),
            Some(&json!("age: column is missing")),
        ));
        assert_eq!(reason, "StepFailed(pipeline, 1): age: column is missing");
        let cancelled = ended(&finished(Outcome::Cancel, &Reason::Cancelled, None), Timestamp::UNIX_EPOCH);
        assert!(matches!(cancelled, Seen::Finished { end: Some(End::Cancelled), .. }));
    }
}
