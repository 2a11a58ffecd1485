//! The parts of a model's rows (`monitor.segments`): what the last window says of each, beside the whole.

use std::{cmp::Ordering, collections::BTreeMap};

use switchyard_drift::{Evidence, Profile, Verdict, Why, WindowCounts};
use switchyard_trainer::Judged;

use super::{
    chart,
    gather::{drawn, label},
    text::{chance, count, esc, number, percent},
    view::{Difference, Part, Segments},
};

/// How many parts are listed of a column.
const PARTS: usize = 20;
/// How many that have drifted are drawn.
const DRAWN: usize = 6;

/// The parts of the last window as they were judged, whatever the file has said since; nothing where `counts` are of another
/// reference.
pub(super) fn segments(judged: &Judged, profile: &Profile, counts: &WindowCounts) -> Vec<Segments> {
    let whole = (profile.rows().max(1) as f64, counts.rows().max(1) as f64);
    let of = |(by, parts): (&String, &BTreeMap<String, Profile>)| {
        let part = |name: &String| {
            let (profile, counts) = profile.part(counts, by, name)?;
            let columns = judged.segments.get(&format!("{by}={name}"))?;
            let rows = counts.rows();
            let (then, now) = (profile.rows() as f64 / whole.0, rows as f64 / whole.1);
            let differences = columns.iter().map(|(column, said)| (column.clone(), difference(profile, counts, column, said)));
            Some(Part { name: name.clone(), rows, then, now, differences: differences.collect() })
        };
        let mut parts: Vec<Part> = parts.keys().filter_map(part).collect();
        parts.sort_by(worst_first);
        let columns = parts.first().map(|part| part.differences.keys().cloned().collect()).unwrap_or_default();
        Segments { by: by.clone(), columns, parts }
    };
    if counts.frame() == profile.frame() { profile.segments().iter().map(of).collect() } else { Vec::new() }
}

fn difference(profile: &Profile, counts: &WindowCounts, column: &str, (evidence, verdict): &(Evidence, Verdict)) -> Difference {
    let measure = serde_json::to_value(evidence.measure).ok();
    let drifted = verdict.standing.drifted;
    Difference {
        measure: label(measure.as_ref().and_then(|measure| measure.as_str()).unwrap_or_default()).to_owned(),
        effect: evidence.effect,
        threshold: evidence.threshold,
        p: evidence.p,
        counted: !matches!(verdict.why, Why::TooFewRows { .. }),
        why: verdict.why.to_string(),
        drifted,
        // Only what has drifted is drawn.
        shape: if drifted { drawn(profile, Some(counts), column) } else { None },
    }
}

/// What has drifted first, then what differs most.
fn worst_first(one: &Part, other: &Part) -> Ordering {
    let worst = |part: &Part| {
        let of = |it: &Difference| (u8::from(it.drifted), it.effect / it.threshold.max(f64::MIN_POSITIVE));
        part.differences
            .values()
            .filter(|it| it.counted)
            .map(of)
            .fold((0, 0.0), |(drifted, effect), more| (drifted.max(more.0), f64::max(effect, more.1)))
    };
    let (one_is, other_is) = (worst(one), worst(other));
    other_is.0.cmp(&one_is.0).then(other_is.1.total_cmp(&one_is.1)).then_with(|| one.name.cmp(&other.name))
}

/// The section of the page.
pub(super) fn section(all: &[Segments]) -> String {
    if all.is_empty() {
        return String::new();
    }
    format!(
        "<h2>Segments<small>the same for parts of the rows, in the last window; those that differ most come first</small></h2>\n<p \
         class=\"key\"><span><i class=\"drifted\"></i>has drifted</span><span><i class=\"over\"></i>over the threshold, by chance or not in \
         windows enough</span></p>\n{}",
        all.iter().map(|segments| format!("{}{}", table(segments), cards(segments))).collect::<String>()
    )
}

/// Of which parts something has drifted, as a sentence; nothing where nothing has.
pub(super) fn drifted(all: &[Segments]) -> String {
    let drifted_of = |segments: &Segments| {
        let each = segments.parts.iter().flat_map(|part| part.differences.iter().map(move |it| (part, it)));
        let found = each.filter(|(_, (_, it))| it.drifted);
        found.map(|(part, (column, _))| format!("{column} where {} is {}", segments.by, part.name)).collect::<Vec<_>>()
    };
    let names: Vec<String> = all.iter().flat_map(drifted_of).collect();
    match names.len() {
        0 => String::new(),
        n if n > DRAWN => format!(" In parts of the rows there is drift, of {n} columns."),
        _ => format!(" In parts of the rows there is drift: {}.", esc(&names.join("; "))),
    }
}

fn table(segments: &Segments) -> String {
    let Segments { by, columns, parts } = segments;
    let heading = |column: &String| {
        let said = parts.first().and_then(|part| part.differences.get(column));
        let rule =
            said.map(|it| format!("<small>{}, from {}</small>", esc(&it.measure), number(it.threshold))).unwrap_or_default();
        format!("<th class=\"n\">{}{rule}</th>", esc(column))
    };
    let headings = columns.iter().map(heading).collect::<String>();
    let more = parts.len().saturating_sub(PARTS);
    let more =
        if more > 0 { format!("<p class=\"soft\">and {} more that differ less</p>", count(more as u64)) } else { String::new() };
    format!(
        "<section class=\"card\"><div class=\"head\"><h3>by {}</h3></div>\n<div class=\"scroll\"><table class=\"parts\"><thead><tr><th>Value</th>\
         <th class=\"n\">Rows</th><th class=\"n\">Share<small>then → now</small></th>{headings}</tr></thead><tbody>\n{}</tbody></table></div>{more}</section>\n",
        esc(by),
        parts.iter().take(PARTS).map(row).collect::<String>(),
    )
}

fn row(part: &Part) -> String {
    let cell = |it: &Difference| {
        let look = match (it.drifted, it.counted && it.effect >= it.threshold) {
            (true, _) => " bad",
            (false, true) => " warn",
            (false, false) => "",
        };
        let told = if it.drifted { "drifted: " } else { "" };
        let shown = if it.counted { number(it.effect) } else { "too few rows".to_owned() };
        let why = format!("{told}{}; {}", esc(&it.why), chance(it.p));
        format!("<td class=\"n\"><span class=\"chip{look}\" title=\"{why}\">{shown}</span></td>")
    };
    format!(
        "<tr><td class=\"name\">{}</td><td class=\"n\">{}</td><td class=\"n\">{} → {}</td>{}</tr>\n",
        esc(&part.name),
        count(part.rows),
        percent(part.then),
        percent(part.now),
        part.differences.values().map(cell).collect::<String>()
    )
}

/// What has drifted, as it was and as it is.
fn cards(segments: &Segments) -> String {
    let each = segments.parts.iter().flat_map(|part| part.differences.iter().map(move |it| (part, it)));
    let drawn = each.filter_map(|(part, (column, it))| Some((part, column, it, it.shape.as_ref()?)));
    let card = |(part, column, it, shape): (&Part, &String, &Difference, _)| {
        format!(
            "<figure><figcaption><b>{}</b> where {} is <b>{}</b>: {} {}; {}</figcaption>{}</figure>\n",
            esc(column),
            esc(&segments.by),
            esc(&part.name),
            esc(&it.measure),
            number(it.effect),
            esc(&it.why),
            chart::shape(shape)
        )
    };
    let cards: String = drawn.take(DRAWN).map(card).collect();
    if cards.is_empty() {
        String::new()
    } else {
        format!("<section class=\"card bad\"><div class=\"pair\">\n{cards}</div></section>\n")
    }
}
