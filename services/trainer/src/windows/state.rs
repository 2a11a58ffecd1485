//! What is known of one partition of a model: counts, and the place in the stream up to which they go. Pure: the same messages in
//! the same order always give the same bytes, whoever reads them and wherever he begins again.

use std::{collections::BTreeMap, sync::Arc};

use cloudevents::{AttributesReader as _, Event};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use switchyard_drift::WindowCounts;
use switchyard_events::event_time;

use super::{
    scores::Scores,
    seen::Seen,
    waiting::{Pair, Waiting, hash},
};
use crate::{
    Watch,
    ingest::{self, Batch, Brought, Labelled, Unreadable},
};

/// How far behind the clock the time of a partition stays that nothing comes on: microseconds.
const BEHIND: i64 = 10_000_000;

/// What is known of one partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// What it was counted by: [`Watch`]'s digest.
    pub(crate) basis: String,
    /// How new that is.
    pub(crate) version: u64,
    /// Everything up to this sequence of the stream is in it.
    pub(crate) position: u64,
    /// The first window that is not closed.
    pub(crate) closed: u64,
    /// Windows that rows still go into, by number.
    pub(crate) open: BTreeMap<u64, Part>,
    /// Windows that are closed and not judged yet.
    pub(crate) parts: BTreeMap<u64, Arc<Part>>,
    /// The time of the newest event: microseconds since 1970.
    pub(crate) latest: i64,
    pub(crate) seen: Seen,
    #[serde(default, skip_serializing_if = "is_empty")]
    pub(crate) waiting: Waiting,
}

/// What one partition has of one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub(crate) counts: WindowCounts,
    #[serde(default, skip_serializing_if = "no_scores")]
    pub(crate) scores: Scores,
    /// Messages that could not be read.
    pub(crate) unreadable: u64,
    /// Rows that came too late.
    pub(crate) late: u64,
    /// Messages that came again.
    pub(crate) again: u64,
    /// When the last message was stored: microseconds since 1970.
    pub(crate) at: i64,
}

/// What became of a message.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It is counted: so many rows.
    Rows(u64),
    /// It came before.
    Again,
    /// These files are to be counted, and the counts then given to [`State::add_counts`].
    Files(Vec<String>),
    /// It cannot be read.
    Unreadable(Unreadable),
}

fn is_empty(waiting: &Waiting) -> bool {
    *waiting == Waiting::default()
}

fn no_scores(scores: &Scores) -> bool {
    *scores == Scores::default()
}

impl State {
    /// Nothing counted yet, up to a place in the stream.
    pub(crate) fn begin(watch: &Watch, position: u64) -> Self {
        Self {
            basis: watch.basis.clone(),
            version: watch.version,
            position,
            closed: 0,
            open: BTreeMap::new(),
            parts: BTreeMap::new(),
            latest: 0,
            seen: Seen::default(),
            waiting: Waiting::default(),
        }
    }

    /// Forgets windows that were judged; says whether there were any.
    pub(crate) fn judged(&mut self, next: u64) -> bool {
        let still = self.parts.split_off(&next);
        !std::mem::replace(&mut self.parts, still).is_empty()
    }

    /// Takes an event that was stored at that time.
    pub(crate) fn take(&mut self, watch: &Watch, event: &Event, stored: Timestamp) -> Taken {
        let (time, stored) = times(event, stored);
        if !self.seen.is_new(hash(&[event.source(), event.id(), event.ty()])) {
            self.current(watch, time, stored).again += 1;
            return Taken::Again;
        }
        match ingest::read(&watch.schema, event) {
            Ok(Brought::Rows(batch)) => {
                let rows = batch.rows as u64;
                self.add_rows(watch, event.id(), &batch, (time, stored));
                Taken::Rows(rows)
            }
            Ok(Brought::Answers(answers)) => {
                self.add_answers(watch, event.id(), answers, (time, stored));
                Taken::Rows(0)
            }
            Ok(Brought::Labels(labels)) => {
                self.add_labels(watch, labels, (time, stored));
                Taken::Rows(0)
            }
            Ok(Brought::Files(urls)) => Taken::Files(urls),
            Err(why) => {
                self.unreadable(watch, stored);
                Taken::Unreadable(why)
            }
        }
    }

    /// Notes a message that cannot be read.
    pub(crate) fn unreadable(&mut self, watch: &Watch, stored: i64) {
        self.current(watch, stored, stored).unreadable += 1;
    }

    /// Notes messages that were lost before they could be read.
    pub(crate) fn lose(&mut self, watch: &Watch, messages: u64, stored: i64) {
        self.current(watch, stored, stored).counts.lose(messages);
    }

    /// Adds what was counted of files, whole: a window is not cut inside of a file.
    pub(crate) fn add_counts(&mut self, watch: &Watch, counts: &WindowCounts, event: &Event, stored: Timestamp) -> bool {
        let (time, stored) = times(event, stored);
        let fits = self.current(watch, time, stored).counts.merge(counts).is_ok();
        self.close(watch, time);
        fits
    }

    /// Nothing comes: the time goes on nevertheless. Of effect for windows of time.
    pub(crate) fn idle(&mut self, watch: &Watch, now: Timestamp) {
        if watch.rows().is_none() {
            self.close(watch, now.as_microsecond() - BEHIND);
        }
    }

    fn add_rows(&mut self, watch: &Watch, id: &str, batch: &Batch, (time, stored): (i64, i64)) {
        let mut newest = i64::MIN;
        let mut row = 0;
        while row < batch.rows {
            let at = batch.times.get(row).copied().flatten().map_or(time, |at| at.min(stored));
            newest = newest.max(at);
            let upto = self.upto(watch, batch, row, (time, stored));
            let number = self.number(watch, at);
            if number < self.closed {
                self.current(watch, at, stored).late += (upto - row) as u64;
            } else {
                let part = self.part(watch, number, stored);
                // The schema made the columns, and the window is of the same reference: they fit.
                let fold = watch.schema.fold();
                let _ = fold.count(&mut part.counts, &batch.slices(&watch.schema, row..upto), upto - row);
                if !batch.predictions.is_empty() && watch.schema.prediction().is_some() {
                    let _ = fold.count_beside(&mut part.counts, &batch.answers(&watch.schema, row..upto), upto - row);
                }
            }
            if watch.performance.is_some() {
                self.predictions(watch, id, batch, row..upto, (at, stored));
            }
            row = upto;
            if watch.rows().is_some() {
                self.close(watch, at);
            }
        }
        self.close(watch, newest);
    }

    /// Up to which row the rows from `row` on belong to one window.
    fn upto(&self, watch: &Watch, batch: &Batch, row: usize, (time, stored): (i64, i64)) -> usize {
        if let Some(most) = watch.rows() {
            let room = most.saturating_sub(self.open.get(&self.closed).map_or(0, |part| part.counts.rows())).max(1);
            return batch.rows.min(row.saturating_add(usize::try_from(room).unwrap_or(usize::MAX)));
        }
        if batch.times.is_empty() {
            return batch.rows;
        }
        let at = |row: usize| batch.times.get(row).copied().flatten().map_or(time, |at| at.min(stored));
        let number = self.number(watch, at(row));
        (row..batch.rows).find(|row| self.number(watch, at(*row)) != number).unwrap_or(batch.rows)
    }

    fn predictions(&mut self, watch: &Watch, id: &str, batch: &Batch, rows: std::ops::Range<usize>, at: (i64, i64)) {
        for row in rows {
            let Some(Some(prediction)) = batch.predictions.get(row) else { continue };
            let id = match batch.ids.get(row).filter(|id| !id.is_empty()) {
                Some(id) => id.clone(),
                None => id_of(id, row, batch.rows),
            };
            let pair = self.waiting.predicted(&id, prediction.clone(), at.1 / 1_000_000, watch.wait);
            self.score(watch, pair, at);
        }
    }

    fn add_answers(&mut self, watch: &Watch, id: &str, answers: Vec<Option<String>>, at: (i64, i64)) {
        if watch.schema.prediction().is_some() {
            let batch = watch.schema.answered(&answers);
            let part = self.current(watch, at.0, at.1);
            let _ = watch.schema.fold().count_beside(&mut part.counts, &batch.answers(&watch.schema, 0..batch.rows), batch.rows);
        }
        if watch.performance.is_none() {
            return;
        }
        let rows = answers.len();
        for (row, answer) in answers.into_iter().enumerate() {
            let Some(answer) = answer else { continue };
            let pair = self.waiting.predicted(&id_of(id, row, rows), answer, at.1 / 1_000_000, watch.wait);
            self.score(watch, pair, at);
        }
    }

    fn add_labels(&mut self, watch: &Watch, labels: Vec<Labelled>, at: (i64, i64)) {
        if watch.performance.is_none() {
            return;
        }
        for Labelled { id, label } in labels {
            let pair = self.waiting.labelled(&id, label, at.1 / 1_000_000, watch.wait);
            self.score(watch, pair, at);
        }
    }

    fn score(&mut self, watch: &Watch, pair: Option<Pair>, (time, stored): (i64, i64)) {
        if let Some((prediction, label)) = pair {
            self.current(watch, time, stored).scores.add(watch.task, &prediction, &label);
        }
    }

    /// Closes what is full, or over.
    fn close(&mut self, watch: &Watch, time: i64) {
        self.latest = self.latest.max(time);
        let before = self.closed;
        if let Some(most) = watch.rows() {
            let full = self.open.get(&self.closed).is_some_and(|part| part.counts.rows() >= most);
            self.closed += u64::from(full);
        } else {
            let (_, lateness) = watch.times();
            self.closed = self.closed.max(self.number(watch, self.latest.saturating_sub(lateness)));
        }
        if self.closed == before {
            return;
        }
        let still = self.open.split_off(&self.closed);
        let over = std::mem::replace(&mut self.open, still);
        self.parts.extend(over.into_iter().map(|(number, part)| (number, Arc::new(part))));
        self.waiting.forget(self.latest / 1_000_000 - watch.wait);
    }

    /// The window that a time belongs to.
    fn number(&self, watch: &Watch, time: i64) -> u64 {
        match watch.rows() {
            Some(_) => self.closed,
            None => u64::try_from(time.div_euclid(watch.times().0)).unwrap_or(0),
        }
    }

    /// The window that something of that time is noted in, which is not closed.
    fn current(&mut self, watch: &Watch, time: i64, stored: i64) -> &mut Part {
        let number = self.number(watch, time).max(self.closed);
        self.part(watch, number, stored)
    }

    fn part(&mut self, watch: &Watch, number: u64, stored: i64) -> &mut Part {
        let part = self.open.entry(number).or_insert_with(|| Part::empty(watch));
        part.at = part.at.max(stored);
        part
    }
}

impl Part {
    /// Nothing of a window.
    pub(crate) fn empty(watch: &Watch) -> Self {
        let counts = watch.schema.fold().window();
        Self { counts, scores: Scores::default(), unreadable: 0, late: 0, again: 0, at: 0 }
    }

    /// Adds another partition's part; `false` where it was counted with another reference.
    pub(crate) fn merge(&mut self, other: &Self) -> bool {
        self.scores.merge(&other.scores);
        self.unreadable += other.unreadable;
        self.late += other.late;
        self.again += other.again;
        self.at = self.at.max(other.at);
        self.counts.merge(&other.counts).is_ok()
    }
}

/// When an event happened, and when it was stored: microseconds since 1970. None happens after it was stored.
fn times(event: &Event, stored: Timestamp) -> (i64, i64) {
    let stored = stored.as_microsecond();
    (event_time(event).map_or(stored, Timestamp::as_microsecond).min(stored), stored)
}

/// What labels call a row: the id of its event, with its place where there are more.
fn id_of(id: &str, row: usize, rows: usize) -> String {
    if rows == 1 { id.to_owned() } else { format!("{id}/{row}") }
}
