//! Spans as a tree of text.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::tools::term::{Cell, Colour, Paint, columns, fine};

/// One span.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) id: String,
    pub(super) parent: Option<String>,
    pub(super) service: String,
    pub(super) name: String,
    pub(super) begin: Timestamp,
    pub(super) duration: SignedDuration,
    /// The spans that it is linked to, besides its parent.
    pub(super) links: Vec<String>,
    /// How often its message had been delivered, from 1.
    pub(super) delivery: u64,
    /// How the build ended, in the span of a whole attempt.
    pub(super) result: Option<String>,
    /// What went wrong, if something did.
    pub(super) error: Option<String>,
}

/// The trace: a line about the whole, then a line per span under its parent, in the order of their begins.
///
/// A span whose parent is missing, because it has ended elsewhere or was never exported, stands at the root.
pub(super) fn tree(trace: &str, spans: &[Span], paint: Paint) -> String {
    let Some(begin) = spans.iter().map(|span| span.begin).min() else { return format!("trace {trace}: no spans\n") };
    let end = spans.iter().map(|span| span.begin + span.duration).max().unwrap_or(begin);
    let services: BTreeSet<_> = spans.iter().map(|span| span.service.as_str()).collect();
    let mut rows = vec![["SPAN", "SERVICE", "AT", "TOOK", ""].map(|name| Cell::coloured(name, Colour::Dim)).to_vec()];
    let mut walk = Walk { children: children(spans), begin, rows: &mut rows, spans };
    walk.below(None, "");
    format!(
        "trace {trace}: {} of {}, {} from {begin:.3}\n{}",
        count(spans.len(), "span"),
        count(services.len(), "service"),
        fine(end.duration_since(begin)),
        columns(&rows, paint)
    )
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The spans below each span; `None` is the root. Whatever the parents say, every span is in it once, and it has no circle.
fn children(spans: &[Span]) -> BTreeMap<Option<usize>, Vec<usize>> {
    let place: BTreeMap<_, _> = spans.iter().enumerate().map(|(n, span)| (span.id.as_str(), n)).collect();
    let parent = |n: usize| spans[n].parent.as_deref().and_then(|id| place.get(id).copied()).filter(|&parent| parent != n);
    let circular = |n: usize| {
        let above = std::iter::successors(parent(n), |&m| parent(m));
        above.take(spans.len()).any(|m| m == n)
    };
    let mut children: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for n in 0..spans.len() {
        children.entry(parent(n).filter(|_| !circular(n))).or_default().push(n);
    }
    for below in children.values_mut() {
        below.sort_by_key(|&n| (spans[n].begin, n));
    }
    children
}

struct Walk<'a> {
    children: BTreeMap<Option<usize>, Vec<usize>>,
    begin: Timestamp,
    rows: &'a mut Vec<Vec<Cell>>,
    spans: &'a [Span],
}

impl Walk<'_> {
    fn below(&mut self, parent: Option<usize>, indent: &str) {
        let children = self.children.remove(&parent).unwrap_or_default();
        let last = children.len().saturating_sub(1);
        for (place, n) in children.into_iter().enumerate() {
            let (branch, deeper) = match (parent, place == last) {
                (None, _) => ("", ""),
                (Some(_), false) => ("├─ ", "│  "),
                (Some(_), true) => ("└─ ", "   "),
            };
            self.row(&self.spans[n], &format!("{indent}{branch}"));
            self.below(Some(n), &format!("{indent}{deeper}"));
        }
    }

    fn row(&mut self, span: &Span, branch: &str) {
        let colour = if span.error.is_some() { Colour::Red } else { Colour::Plain };
        self.rows.push(vec![
            Cell::coloured(format!("{branch}{}", span.name), colour),
            Cell::new(&span.service),
            Cell::new(format!("+{}", fine(span.begin.duration_since(self.begin)))),
            Cell::new(fine(span.duration)),
            Cell::coloured(self.notes(span), colour),
        ]);
    }

    /// How it ended, and what it is linked to. A link of a message that came again is its redelivery.
    fn notes(&self, span: &Span) -> String {
        let mut notes = Vec::new();
        notes.extend(span.result.clone());
        if let Some(error) = &span.error {
            notes.push(if error.is_empty() { "error".to_owned() } else { format!("error: {error}") });
        }
        if span.delivery > 1 {
            notes.push(format!("redelivery {}", span.delivery));
        }
        for link in &span.links {
            let to = self.spans.iter().find(|span| span.id == *link).map_or(link.as_str(), |span| span.name.as_str());
            notes.push(format!("linked to {to}"));
        }
        notes.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: Option<&str>, service: &str, millis: i64) -> Span {
        Span {
            id: id.into(),
            parent: parent.map(str::to_owned),
            service: service.into(),
            name: format!("span {id}"),
            begin: Timestamp::from_millisecond(1_790_000_000_000 + millis).unwrap(),
            duration: SignedDuration::from_millis(5),
            links: Vec::new(),
            delivery: 1,
            result: None,
            error: None,
        }
    }

    fn lines(spans: &[Span]) -> Vec<String> {
        tree("t", spans, Paint::PLAIN).lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_span_stands_under_its_parent_in_the_order_of_time() {
        let spans = [
            span("c", Some("a"), "reaper", 1500),
            span("d", Some("b"), "router", 2),
            span("b", Some("a"), "router", 1),
            span("a", None, "cli", 0),
        ];
        assert_eq!(
            lines(&spans),
            [
                "trace t: 4 spans of 3 services, 1.5s from 2026-09-21T14:13:20.000Z",
                "SPAN          SERVICE  AT       TOOK",
                "span a        cli      +0.00ms  5.00ms",
                "├─ span b     router   +1.00ms  5.00ms",
                "│  └─ span d  router   +2.00ms  5.00ms",
                "└─ span c     reaper   +1.5s    5.00ms",
            ]
        );
    }

    #[test]
    fn a_span_without_its_parent_stands_at_the_root() {
        let lines = lines(&[span("a", Some("gone"), "cli", 0), span("b", Some("a"), "cli", 1)]);
        assert!(lines[2].starts_with("span a") && lines[3].starts_with("└─ span b"), "{lines:?}");
    }

    #[test]
    fn spans_in_a_circle_are_all_shown() {
        let lines = lines(&[
            span("a", Some("b"), "x", 0),
            span("b", Some("a"), "x", 1),
            span("c", Some("c"), "x", 2),
            span("d", Some("a"), "x", 3),
        ]);
        assert_eq!(lines.len(), 2 + 4, "{lines:?}");
    }

    #[test]
    fn results_errors_and_redeliveries_are_marked() {
        let failed = Span { result: Some("failure".into()), error: Some("ExitCode(2)".into()), ..span("a", None, "reaper", 0) };
        let again = Span { delivery: 2, links: vec!["a".into(), "far".into()], ..span("b", Some("a"), "router", 1) };
        let lines = lines(&[failed, again]);
        assert!(lines[2].ends_with("failure, error: ExitCode(2)"), "{}", lines[2]);
        assert!(lines[3].ends_with("redelivery 2, linked to span a, linked to far"), "{}", lines[3]);
    }

    #[test]
    fn an_empty_trace_says_so() {
        assert_eq!(lines(&[]), ["trace t: no spans"]);
    }
}
