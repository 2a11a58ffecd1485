//! The table of builds, one line each, the oldest first.

use jiff::{SignedDuration, Timestamp};
use switchyard_events::{BuildKey, Record};

use super::{State, View};
use crate::tools::term::{Cell, Colour, Paint, columns, span};

const HEAD: [&str; 10] = ["BUILD", "NAME", "STATE", "EXECUTOR", "TRY", "QUEUED", "PENDING", "RUNNING", "TRACE", "REASON"];

/// Never fewer characters of a key than this; as many more as tell the builds apart.
const SHORTEST: usize = 8;

/// The table. Keys are cut to what every command takes for an id.
pub(crate) fn table(records: &[(BuildKey, Record)], now: Timestamp, paint: Paint) -> String {
    let mut ordered: Vec<&(BuildKey, Record)> = records.iter().collect();
    ordered.sort_by(|a, b| began(a).cmp(&began(b)));
    let length = distinct(records.iter().map(|(build, _)| build.as_str()).collect());
    let head = HEAD.map(|name| Cell::coloured(name, Colour::Dim)).to_vec();
    let rows = ordered.into_iter().map(|(build, record)| row(&View::of(build, record, now), length));
    columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), paint)
}

/// Puts records into the table's order.
pub(super) fn in_order(records: &mut [(BuildKey, Record)]) {
    records.sort_by(|a, b| began(a).cmp(&began(b)));
}

/// When the build was first heard of, as far as the ledger knows; builds of the same moment stay apart by their keys.
fn began((build, record): &(BuildKey, Record)) -> (Timestamp, &BuildKey) {
    let first = record.attempts.first();
    let time = first.and_then(|attempt| attempt.routed_at.or(attempt.decided.as_ref().map(|decided| decided.at)));
    (time.or(record.cancelled.as_ref().map(|cancelled| cancelled.at)).unwrap_or(Timestamp::MAX), build)
}

/// How many characters tell the keys apart.
fn distinct(mut keys: Vec<&str>) -> usize {
    keys.sort_unstable();
    let shared = |(a, b): (&&str, &&str)| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    keys.iter().zip(keys.iter().skip(1)).map(|pair| shared(pair) + 1).max().unwrap_or(0).max(SHORTEST)
}

fn row(view: &View, length: usize) -> Vec<Cell> {
    let (latest, times) = (&view.latest, &view.latest.times);
    let time = |duration: Option<SignedDuration>| Cell::new(duration.map(span).unwrap_or_default());
    vec![
        Cell::new(view.build.get(..length).unwrap_or(&view.build)),
        Cell::new(view.name()),
        Cell::coloured(latest.state.name(), colour(latest.state)),
        Cell::new(latest.place().as_deref().unwrap_or("-")),
        Cell::new(latest.attempt.to_string()),
        time(times.queued),
        time(times.pending),
        time(times.running),
        Cell::coloured(&view.trace, Colour::Dim),
        Cell::new(latest.ending().unwrap_or_default()),
    ]
}

/// The colour of a state.
pub(super) fn colour(state: State) -> Colour {
    match state {
        State::Queued | State::Pending => Colour::Plain,
        State::Running => Colour::Cyan,
        State::Stopping | State::Cancelled => Colour::Yellow,
        State::Succeeded => Colour::Green,
        State::Failed | State::Error => Colour::Red,
    }
}

#[cfg(test)]
mod tests {
    use switchyard_events::{Decision, Reason};

    use super::*;
    use crate::tools::builds::view::tests::{at, key, routed, running};

    #[test]
    fn a_line_per_build_says_where_it_is_and_since_when() {
        let decision = Decision { message: Some("make: *** [all] Error 2".into()), ..Decision::new(Reason::ExitCode(2), true) };
        let ended = running().decide(1, decision, at(70)).unwrap();
        let text = table(&[(key('c'), ended), (key('b'), routed())], at(100), Paint::PLAIN);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "BUILD     NAME   STATE   EXECUTOR  TRY  QUEUED  PENDING  RUNNING  TRACE                             REASON",
                "baaaaaaa  run 7  queued  k8s       1    1m40s                     0af7651916cd43dd8448eb211c80319c",
                "caaaaaaa  run 7  failed  k8s       1    2.0s    3.0s     1m05s    0af7651916cd43dd8448eb211c80319c  ExitCode(2): make: *** [all] Error 2",
            ]
        );
    }

    #[test]
    fn keys_are_as_long_as_they_must_be() {
        assert_eq!(distinct(vec![]), SHORTEST);
        assert_eq!(distinct(vec!["abcdefghijk", "abcdefghijz", "b"]), 11);
    }

    #[test]
    fn an_empty_ledger_is_a_head_alone() {
        assert_eq!(table(&[], at(0), Paint::PLAIN).lines().count(), 1);
    }
}
