//! What speaks for a training.

use jiff::Timestamp;
use switchyard_events::Cause;
use switchyard_model::Trigger;

use super::Record;

/// What speaks for a training of the model; nothing where nothing does.
pub(super) fn causes(record: &Record, trigger: &Trigger, warmup: u32, now: Timestamp) -> Vec<Cause> {
    if record.reference.is_some() {
        return fires(trigger, record, warmup, now).unwrap_or_default();
    }
    let idle = record.run.is_none() && record.asked.is_none();
    if idle { vec![cause("first", "the model has no champion yet")] } else { Vec::new() }
}

/// Whether a drift is watched only, as the champion is too young.
pub(super) fn is_warming_up(record: &Record, warmup: u32) -> bool {
    record.watch.windows <= warmup
}

fn fires(trigger: &Trigger, record: &Record, warmup: u32, now: Timestamp) -> Option<Vec<Cause>> {
    let (watch, all) = (&record.watch, |parts: &[Trigger]| -> Vec<_> {
        parts.iter().filter_map(|part| fires(part, record, warmup, now)).collect()
    });
    let told = watch.is_fresh() && !is_warming_up(record, warmup);
    let enough = |fired: Vec<Vec<Cause>>, n: usize| (fired.len() >= n.max(1)).then(|| fired.concat());
    match trigger {
        Trigger::Drift => {
            let columns = watch.drift.as_ref().filter(|_| told)?.columns.iter().map(|drifted| drifted.column.as_str());
            Some(vec![cause("drift", columns.collect::<Vec<_>>().join(", "))])
        }
        Trigger::Performance => Some(vec![cause("performance", watch.poor.clone().filter(|_| told)?)]),
        Trigger::NewRows(n) => {
            let enough = watch.new_rows >= n.get();
            enough.then(|| vec![cause("newRows", format!("{} new rows", watch.new_rows))])
        }
        Trigger::Cron(cron) => {
            let due = cron.next(record.since).filter(|due| *due <= now)?;
            Some(vec![cause("cron", format!("{cron}, due since {due}"))])
        }
        Trigger::Any(parts) => enough(all(parts), 1),
        Trigger::All(parts) => enough(all(parts), parts.len()),
        Trigger::AtLeast { n, of } => enough(all(of), n.get() as usize),
    }
}

pub(super) fn cause(trigger: &str, detail: impl Into<String>) -> Cause {
    Cause { trigger: trigger.into(), detail: detail.into() }
}
