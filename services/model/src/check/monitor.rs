//! Monitoring and policy: windows that can speak, triggers that can fire, limits that can be met.

use switchyard_events::TimeLimit;
use switchyard_file::Desk;

use crate::{Model, Monitor, PREDICTION, Size, Statistic, Task, Transform, Trigger, Watched};

/// Edges and counts of a column are kept for every window.
const MOST_BINS: u32 = 4096;
const MOST_PARTITIONS: u16 = 256;

pub(super) fn check(model: &Model, desk: &mut Desk<'_>) {
    if let Some(monitor) = &model.monitor {
        check_monitor(model, monitor, desk);
    }
    check_policy(model, desk);
    check_triggers(model, desk);
}

fn check_monitor(model: &Model, monitor: &Monitor, desk: &mut Desk<'_>) {
    match monitor.window.size {
        Size::Rows(rows) if rows < monitor.min_samples => {
            let rule = format!(
                "a window of {rows} rows never has the {} of minSamples: no verdict could ever be given",
                monitor.min_samples
            );
            desk.add(&["monitor", "window", "rows"], rule);
        }
        Size::Rows(rows) if rows.get() < u64::from(monitor.input.partitions.get()) => {
            desk.add(&["monitor", "window", "rows"], "there are more partitions than rows in a window");
        }
        Size::Rows(_) if monitor.window.lateness != TimeLimit::ZERO => {
            desk.warn(&["monitor", "window", "lateness"], "has no effect on windows of rows: they close when they are full");
        }
        Size::Every(TimeLimit::ZERO) => desk.add(&["monitor", "window", "every"], "must be more than 0"),
        Size::Rows(_) | Size::Every(_) => {}
    }
    if monitor.input.partitions.get() > MOST_PARTITIONS {
        desk.add(&["monitor", "input", "partitions"], format!("must be at most {MOST_PARTITIONS}"));
    }
    if !(2..=MOST_BINS).contains(&monitor.reference.bins.get()) {
        desk.add(&["monitor", "reference", "bins"], format!("must be from 2 to {MOST_BINS}"));
    }
    if !model.split.names().contains(&monitor.reference.fold) {
        desk.add(&["monitor", "reference", "fold"], "there is no such fold in split.folds");
    }
    if !(monitor.test.alpha > 0.0 && monitor.test.alpha < 1.0) {
        desk.add(&["monitor", "test", "alpha"], "must be more than 0 and less than 1, such as 0.01");
    }
    if monitor.raise.windows > monitor.raise.of {
        desk.add(&["monitor", "raise", "windows"], "must be at most `of`: so many of so many windows");
    }
    check_columns(model, monitor, desk);
    if let Some(performance) = monitor.performance
        && !performance.metric.fits(model.data.label.task)
    {
        let rule = format!("{} says nothing about a {} task", performance.metric, model.data.label.task);
        desk.add(&["monitor", "performance", "metric"], rule);
    }
}

/// What is text, or read as text, has no measure of numbers.
fn check_columns(model: &Model, monitor: &Monitor, desk: &mut Desk<'_>) {
    for (column, watched) in &monitor.columns {
        let why = if column == PREDICTION {
            (model.data.label.task == Task::Multiclass).then_some("the model answers with classes")
        } else {
            let text = model.preprocess.columns.get(column).is_some_and(|transforms| Transform::read_as_text(transforms));
            text.then_some("the column is read as text for its preprocessing")
        };
        if let (Some(why), Watched::Over { statistic: statistic @ (Statistic::Ks | Statistic::Wasserstein), .. }) = (why, watched)
        {
            desk.add(&["monitor", "columns", column], format!("{} needs numbers, and {why}: use js", statistic.word()));
        }
    }
}

fn check_policy(model: &Model, desk: &mut Desk<'_>) {
    let Some(budget) = &model.policy.budget else { return };
    if budget.runs.is_none() && budget.pod_hours.is_none() {
        desk.add(&["policy", "budget"], "limits nothing: name runs, podHours or both");
    }
    if budget.pod_hours.is_some_and(|hours| hours <= 0.0) {
        desk.add(&["policy", "budget", "podHours"], "must be more than 0");
    }
    if budget.per == TimeLimit::ZERO {
        desk.add(&["policy", "budget", "per"], "must be more than 0");
    }
    if let Some(runs) = budget.runs
        && let Ok(most) = u32::try_from(budget.per.duration().as_secs() / model.policy.cooldown.duration().as_secs().max(1))
        && model.policy.cooldown != TimeLimit::ZERO
        && most < runs.get()
    {
        desk.warn(&["policy", "budget", "runs"], format!("is never reached: the cooldown allows {most} or fewer in that time"));
    }
}

fn check_triggers(model: &Model, desk: &mut Desk<'_>) {
    let triggers = &model.policy.triggers;
    let mut needs = |found: bool, rule: &str| {
        if found {
            desk.add(&["policy", "triggers"], rule);
        }
    };
    let (monitor, performance) = (model.monitor.as_ref(), |monitor: &Monitor| monitor.performance.is_some());
    needs(
        monitor.is_none() && triggers.has(&|trigger| matches!(trigger, Trigger::Drift)),
        "drift is never found where nothing is watched: write `monitor`",
    );
    needs(
        monitor.is_none() && triggers.has(&|trigger| matches!(trigger, Trigger::NewRows(_))),
        "new rows are never counted where nothing is watched: write `monitor`",
    );
    needs(
        !monitor.is_some_and(performance) && triggers.has(&|trigger| matches!(trigger, Trigger::Performance)),
        "performance is never known where it is not watched: write `monitor.performance`",
    );
    needs(
        triggers.has(&|trigger| matches!(trigger, Trigger::AtLeast { n, of } if n.get() as usize > of.len())),
        "atLeast asks for more triggers than `of` names: no number of them would ever be enough",
    );
}
