//! The page itself: one file, no script, nothing from the network.

use switchyard_drift::Widest;

use super::{
    chart::{self, Frame},
    segments,
    text::{chance, count, esc, metric, moment, number, percent, short, signed},
    view::{Candidate, Column, Page, Performance, Run, Skipped, Window},
};

const STYLE: &str = include_str!("style.css");

/// How many windows stand in the table.
const WINDOWS: usize = 20;

/// The page as text.
pub(super) fn page(page: &Page) -> String {
    let parts = [
        head(page),
        tiles(page),
        columns(page),
        segments::section(&page.segments),
        page.performance.as_ref().map(performance).unwrap_or_default(),
        page.candidate.as_ref().map(candidate).unwrap_or_default(),
        runs(&page.runs),
        skipped(&page.skipped),
        windows(&page.windows),
    ];
    let (model, at) = (esc(&page.model), moment(page.at));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{model}: model report</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{}<footer>Made by <code>switchyard model report</code>, {at} UTC. \
         All times are UTC.</footer>\n</main>\n</body>\n</html>\n",
        parts.concat()
    )
}

fn chip(kind: &str, text: &str) -> String {
    format!("<span class=\"chip {kind}\">{}</span>", esc(text))
}

/// How a state looks.
fn kind(state: &str) -> &'static str {
    match state {
        "watching" | "promoted" | "passed" => "good",
        "drifted" | "failed" => "bad",
        "suspected" | "rejected" | "cancelled" | "requested" | "training" | "evaluated" | "asked" | "running" => "warn",
        _ => "",
    }
}

fn head(page: &Page) -> String {
    let champion = page.champion.as_ref().map_or_else(
        || "No model serves yet.".to_owned(),
        |champion| {
            format!(
                "Run <code title=\"{}\">{}</code> serves since {}.",
                esc(&champion.run),
                short(&champion.run),
                moment(champion.since)
            )
        },
    );
    let drifted: Vec<&str> = page.columns.iter().filter(|column| column.drifted).map(|column| column.name.as_str()).collect();
    let data = match (drifted.len(), page.columns.len()) {
        (_, 0) => "No window has been judged yet.".to_owned(),
        _ if page.fresh => {
            "No window has been compared with its data yet; what stands below is of the champion before.".to_owned()
        }
        (0, all) => format!("What it sees is like what it was trained on, in all {all} columns that are watched."),
        (n, all) => format!("{n} of {all} columns that are watched have drifted: {}.", esc(&drifted.join(", "))),
    };
    let parts = if page.fresh { String::new() } else { segments::drifted(&page.segments) };
    let gaps = page.windows.last().map_or(0, |window| window.gaps);
    let gaps = match gaps {
        0 => String::new(),
        n => format!(" The last window is not whole: {} messages may have been lost before they were read.", count(n)),
    };
    format!(
        "<header><h1>{}</h1>{}<span class=\"soft\">revision <code>{}</code></span></header>\n<p class=\"lead\">{champion} {data}{parts}{gaps}</p>\n",
        esc(&page.model),
        chip(kind(&page.state), &page.state),
        esc(&page.revision),
    )
}

fn tile(figure: &str, what: &str) -> String {
    format!("<div class=\"tile\"><b>{figure}</b><span>{what}</span></div>\n")
}

fn tiles(page: &Page) -> String {
    let mut tiles = String::new();
    if let Some(last) = page.windows.last() {
        let rows = page.windows.iter().map(|window| window.rows).sum();
        tiles += &tile(&count(last.number), &format!("windows; {} rows in the last {}", count(rows), page.windows.len()));
    }
    if !page.columns.is_empty() && !page.fresh {
        let drifted = page.columns.iter().filter(|column| column.drifted).count();
        tiles += &tile(&format!("{drifted} of {}", page.columns.len()), "columns have drifted");
    }
    if let Some((performance, last)) = page.performance.as_ref().and_then(|all| Some((all, all.points.last()?))) {
        let limit = performance.limit.map(|limit| format!(", limit {}", metric(limit))).unwrap_or_default();
        tiles += &tile(&metric(last.value), &format!("{} in the last window{limit}", esc(&performance.metric)));
    }
    for (name, value) in page.champion.iter().flat_map(|champion| &champion.metrics).take(2) {
        tiles += &tile(&metric(*value), &format!("{} when it was evaluated", esc(name)));
    }
    if !page.runs.is_empty() {
        let promoted = page.runs.iter().filter(|run| run.outcome == "promoted").count();
        tiles += &tile(&count(page.runs.len() as u64), &format!("trainings, {promoted} promoted"));
    }
    format!("<div class=\"tiles\">\n{tiles}</div>\n")
}

fn columns(page: &Page) -> String {
    if page.columns.is_empty() {
        return String::new();
    }
    let mut order: Vec<&Column> = page.columns.iter().collect();
    let weight =
        |column: &Column| column.points.last().map_or(0.0, |point| point.value / column.threshold.max(f64::MIN_POSITIVE));
    order.sort_by(|a, b| b.drifted.cmp(&a.drifted).then(weight(b).total_cmp(&weight(a))));
    let cards: String = order.into_iter().map(column).collect();
    format!(
        "<h2>Columns<small>those that differ most come first</small></h2>\n<p class=\"key\"><span><i class=\"then\"></i>reference: \
         what the champion was trained on</span><span><i class=\"now\"></i>last window</span><span><i class=\"limit\"></i>threshold</span>\
         <span><i class=\"anew\"></i>a new reference</span></p>\n{cards}"
    )
}

fn column(column: &Column) -> String {
    let last = column.points.last();
    let state = if column.drifted { chip("bad", "drifted") } else { String::new() };
    let effect =
        last.map(|last| format!("{} {}, threshold {}", esc(&column.measure), number(last.value), number(column.threshold)));
    let p = column.p.map(|p| format!(", {}", chance(p))).unwrap_or_default();
    let shape = column.shape.as_ref().map_or_else(|| "<p class=\"none\">not counted yet</p>".to_owned(), chart::shape);
    let apart = column.widest.map(|Widest { at, first, other }| {
        let (at, then, now) = (number(at), percent(first), percent(other));
        format!("; furthest apart at {at}: below it lie {now} of the values, and {then} did")
    });
    let apart = apart.unwrap_or_default();
    let course = chart::series(&column.points, &Frame { limit: Some(column.threshold), from_zero: true, wide: Frame::HALF });
    format!(
        "<section class=\"card{}\"><div class=\"head\"><h3>{}</h3>{state}<span class=\"soft\">{}{p}</span><span class=\"why\">{}</span></div>\n\
         <div class=\"pair\"><figure><figcaption>Values{apart}</figcaption>{shape}</figure>\n<figure><figcaption>{} by window</figcaption>{course}\
         </figure></div></section>\n",
        if column.drifted { " bad" } else { "" },
        esc(&column.name),
        effect.unwrap_or_default(),
        esc(&column.why),
        esc(&column.measure),
    )
}

fn performance(performance: &Performance) -> String {
    let Performance { metric: name, limit, points, bad } = performance;
    let state = if *bad { chip("bad", "no longer good enough") } else { String::new() };
    let course = chart::series(points, &Frame { limit: *limit, from_zero: false, wide: Frame::WHOLE });
    let course = if points.is_empty() { "<p class=\"none\">No label has come yet.</p>".to_owned() } else { course };
    format!(
        "<h2>Performance<small>on rows whose labels have come</small></h2>\n<section class=\"card{}\"><div class=\"head\"><h3>{}</h3>{state}</div>\
         <figure>{course}</figure></section>\n",
        if *bad { " bad" } else { "" },
        esc(name)
    )
}

fn candidate(candidate: &Candidate) -> String {
    let Candidate { run, compared, metrics, outcome, reasons } = candidate;
    let rows: String = metrics
        .iter()
        .map(|(name, value, champion, less)| {
            let difference = champion.map(|champion| value - champion);
            let better = difference.map(|difference| if *less { -difference } else { difference });
            let look = better.map_or("", |better| {
                if better > 0.0 {
                    "good"
                } else if better < 0.0 {
                    "bad"
                } else {
                    ""
                }
            });
            let shown = difference.map_or_else(|| "–".to_owned(), |difference| chip(look, &signed(difference)));
            let champion = champion.map_or_else(|| "–".to_owned(), metric);
            format!(
                "<tr><td>{}{}</td><td class=\"n\">{champion}</td><td class=\"n\">{}</td><td class=\"n\">{shown}</td></tr>\n",
                esc(name),
                if *less { " <span class=\"soft\">less is better</span>" } else { "" },
                metric(*value)
            )
        })
        .collect();
    let against = compared.as_ref().map_or_else(
        || "there was no champion to beat".to_owned(),
        |champion| format!("against <code title=\"{}\">{}</code>, on the same rows", esc(champion), short(champion)),
    );
    let reasons: String = reasons.iter().map(|reason| format!("<p class=\"soft\">{}</p>", esc(reason))).collect();
    format!(
        "<h2>Champion and candidate<small>the last model that was measured</small></h2>\n<section class=\"card\"><div class=\"head\"><h3>Run \
         <code title=\"{}\">{}</code></h3>{}<span class=\"soft\">{against}</span></div>\n<div class=\"scroll\"><table><thead><tr><th>Metric</th>\
         <th class=\"n\">Champion</th><th class=\"n\">Candidate</th><th class=\"n\">Difference</th></tr></thead><tbody>\n{rows}</tbody></table></div>\
         {reasons}</section>\n",
        esc(run),
        short(run),
        chip(kind(outcome), outcome),
    )
}

fn runs(runs: &[Run]) -> String {
    let row = |run: &Run| {
        let pods = run.pod_seconds.map_or_else(|| "–".to_owned(), |seconds| format!("{} s", count(seconds)));
        format!(
            "<tr><td class=\"n\">{}</td><td class=\"t\">{}</td><td><code title=\"{}\">{}</code></td><td>{}</td><td class=\"n\">{pods}</td>\
             <td class=\"w\">{}{}</td></tr>\n",
            run.number,
            moment(run.at),
            esc(&run.key),
            short(&run.key),
            chip(kind(&run.outcome), &run.outcome),
            esc(&run.causes.join("; ")),
            if run.reason.is_empty() { String::new() } else { format!("<br><span class=\"soft\">{}</span>", esc(&run.reason)) },
        )
    };
    let heading = "<th class=\"n\">Run</th><th>Asked for</th><th>Key</th><th>Outcome</th><th class=\"n\">Pods</th><th>Why</th>";
    table("Trainings", "", heading, &runs.iter().map(row).collect::<String>(), "Nothing has been trained yet.")
}

fn skipped(skipped: &[Skipped]) -> String {
    let row = |skipped: &Skipped| {
        format!(
            "<tr><td class=\"t\">{}</td><td>{}</td><td class=\"w\">{}<br><span class=\"soft\">{}</span></td><td class=\"t\">{}</td></tr>\n",
            moment(skipped.at),
            chip("", &skipped.reason.replace('_', " ")),
            esc(&skipped.message),
            esc(&skipped.causes.join("; ")),
            skipped.until.map_or_else(|| "–".to_owned(), moment),
        )
    };
    let rows = skipped.iter().map(row).collect::<String>();
    let heading = "<th>When</th><th>Reason</th><th>What spoke for it, and against</th><th>Until</th>";
    table("Trainings that were not begun", "each with its reason", heading, &rows, "Nothing was ever held back.")
}

fn windows(windows: &[Window]) -> String {
    let row = |window: &Window| {
        let state = if window.drifted.is_empty() { String::new() } else { esc(&window.drifted.join(", ")) };
        format!(
            "<tr><td class=\"n\">{}</td><td class=\"t\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"w\">{state}</td></tr>\n",
            window.number,
            moment(window.at),
            count(window.rows),
            if window.gaps > 0 { chip("warn", &count(window.gaps)) } else { "0".to_owned() },
            count(window.unreadable),
            count(window.late),
        )
    };
    let rows = windows.iter().rev().take(WINDOWS).map(row).collect::<String>();
    let heading = "<th class=\"n\">Window</th><th>Last row</th><th class=\"n\">Rows</th><th class=\"n\">Gaps</th>\
                   <th class=\"n\">Unreadable</th><th class=\"n\">Late</th><th>Drifted</th>";
    table("Windows", "the newest first", heading, &rows, "No window has been judged yet.")
}

fn table(title: &str, small: &str, heading: &str, rows: &str, none: &str) -> String {
    let body = if rows.is_empty() {
        format!("<p class=\"none\">{none}</p>")
    } else {
        format!("<div class=\"scroll\"><table><thead><tr>{heading}</tr></thead><tbody>\n{rows}</tbody></table></div>")
    };
    let small = if small.is_empty() { String::new() } else { format!("<small>{small}</small>") };
    format!("<h2>{title}{small}</h2>\n<section class=\"card\">{body}</section>\n")
}
