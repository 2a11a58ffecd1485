//! All that is known about one build, one fact per line.

use jiff::{SignedDuration, Timestamp};
use switchyard_events::{Limits, Outcome, Record, Why};

use super::{
    View,
    table::colour,
    view::{AttemptView, Times},
};
use crate::tools::term::{Cell, Paint, columns, span};

/// The facts, and those of each attempt.
pub(super) fn details(view: &View, record: &Record, paint: Paint) -> String {
    let mut facts = Facts::default();
    facts.say("build", &view.build);
    facts.0.push(vec![Cell::new("state"), Cell::coloured(view.latest.words(), colour(view.latest.state))]);
    facts.say("name", view.name());
    facts.say("tenant", &view.tenant);
    facts.say("request", format!("{} from {}", view.request, view.source));
    facts.say("type", &view.r#type);
    facts.say("stored", format!("{} {}", record.request.stream, record.request.sequence));
    facts.say("subject", &view.subject);
    facts.say("trace", &view.trace);
    if let (Some(at), Some(by)) = (view.cancelled_at, &view.cancelled_by) {
        facts.say("cancelled", format!("{} by {by}", time(at)));
    }
    for (n, (attempt, recorded)) in view.attempts.iter().zip(&record.attempts).enumerate() {
        facts.say("attempt", attempt.attempt.to_string());
        let why = view.why.as_ref().and_then(|why| why.get(n)).and_then(Option::as_ref);
        facts.attempt(attempt, why, recorded.limits);
    }
    columns(&facts.0, paint)
}

#[derive(Default)]
struct Facts(Vec<Vec<Cell>>);

impl Facts {
    fn say(&mut self, name: &str, fact: impl AsRef<str>) {
        self.0.push(vec![Cell::new(name), Cell::new(fact)]);
    }

    fn may(&mut self, name: &str, fact: Option<impl AsRef<str>>) {
        if let Some(fact) = fact {
            self.say(name, fact);
        }
    }

    fn attempt(&mut self, attempt: &AttemptView, why: Option<&Why>, limits: Option<Limits>) {
        let Times { routed_at, bound_at, started_at, ended_at, queued, pending, running } = attempt.times;
        self.0.push(vec![Cell::new("  state"), Cell::coloured(attempt.state.name(), colour(attempt.state))]);
        self.may("  executor", attempt.place());
        self.may("  why", why.map(because));
        self.may("  limits", limits.map(within));
        self.may(if attempt.isolation.is_some() { "  process" } else { "  pod" }, attempt.pod.as_ref());
        self.may("  routed", routed_at.map(time));
        self.may("  bound", bound_at.map(|at| after(at, queued, "queued")));
        self.may("  started", started_at.map(|at| after(at, pending, "pending")));
        self.may("  condemned", attempt.condemned.as_ref());
        let last =
            running.map(|running| (running, "running")).or(pending.map(|d| (d, "pending"))).or(queued.map(|d| (d, "queued")));
        self.may("  ended", ended_at.map(|at| after(at, last.map(|last| last.0), last.map_or("", |last| last.1))));
        self.may("  outcome", attempt.outcome.map(Outcome::name));
        self.may("  reason", attempt.reason.as_ref());
        self.may("  class", attempt.class);
        self.may("  container", attempt.container.as_ref());
        self.may("  node", attempt.node.as_ref());
        self.may("  message", attempt.message.as_ref());
        self.may("  retry", attempt.retry.then_some("yes: another attempt follows"));
        self.may("  result", attempt.result.as_ref());
    }
}

fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}

fn after(at: Timestamp, duration: Option<SignedDuration>, what: &str) -> String {
    duration.map_or_else(|| time(at), |duration| format!("{} after {} {what}", time(at), span(duration)))
}

fn within(Limits { queued, pending, running, teardown, .. }: Limits) -> String {
    format!("queued {queued}, pending {pending}, running {running}, teardown {teardown}")
}

fn because(why: &Why) -> String {
    let excluded: Vec<_> = why.excluded.iter().map(|(executor, reason)| format!("{executor} ({reason})")).collect();
    let excluded = if excluded.is_empty() { String::new() } else { format!("; not {}", excluded.join(", ")) };
    format!("by {} out of {}{excluded}; fleet revision {}", why.rule, why.eligible.join(", "), why.revision)
}

#[cfg(test)]
mod tests {
    use switchyard_events::{Decision, Reason};

    use super::*;
    use crate::tools::builds::view::tests::{at, key, running};

    #[test]
    fn every_attempt_is_told_with_its_why() {
        let record = running().decide(1, Decision::new(Reason::Lost, true), at(65)).unwrap();
        let mut view = View::of(&key('b'), &record, at(70));
        let why = Why {
            rule: "weight".into(),
            revision: "r1".into(),
            eligible: vec!["k8s".into(), "vm".into()],
            excluded: vec![("old".into(), "its image".into())],
        };
        view.why = Some(vec![Some(why), None]);
        let text = details(&view, &record, Paint::PLAIN);
        for fact in [
            "build baaaaaaaaaaaaaaaaaaaaaaaaa",
            "state queued",
            "why by weight out of k8s, vm; not old (its image); fleet revision r1",
            "started 2026-09-21T14:13:25.000Z after 3.0s pending",
            "ended 2026-09-21T14:14:25.000Z after 1m00s running",
            "reason Lost",
            "retry yes: another attempt follows",
            "attempt 2",
        ] {
            assert!(text.lines().any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") == fact), "{fact} in\n{text}");
        }
    }
}
