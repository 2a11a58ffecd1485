//! Whether a candidate may take the champion's place. Pure.

use switchyard_model::{Better, GateRule};

use crate::{
    error::{Error, Result},
    metrics::Measured,
};

/// A slice with fewer rows says nothing.
const FEWEST: u64 = 30;

/// The champion's side of the comparison.
pub(crate) enum Champion<'a> {
    /// There is none.
    None,
    /// It was measured on the same rows.
    Measured(&'a Measured),
    /// It could not be measured, and why.
    Unmeasured(&'a str),
}

/// What speaks against a candidate, in words; nothing where it may take the champion's place.
///
/// # Errors
/// The metric that decides was not measured.
pub(crate) fn gate(rule: &GateRule, better: Better, candidate: &Measured, champion: &Champion<'_>) -> Result<Vec<String>> {
    let metric = &rule.metric;
    let value = *candidate.metrics.get(metric).ok_or_else(|| {
        Error::new(format!("the metric `{metric}` decides, and nobody has measured it; let evaluate.custom write it"))
    })?;
    let mut failed = Vec::new();
    if let Some(min) = rule.min.filter(|min| value < *min) {
        failed.push(format!("{metric} is {}, less than {}", shown(value), shown(min)));
    }
    if let Some(max) = rule.max.filter(|max| value > *max) {
        failed.push(format!("{metric} is {}, more than {}", shown(value), shown(max)));
    }
    match champion {
        // A champion is followed only by what was compared with it, whatever else is asked for.
        Champion::Unmeasured(why) => failed.push(format!("it cannot be compared with the champion: {why}")),
        Champion::None => {}
        Champion::Measured(champion) => failed.extend(compared(rule, better, candidate, champion)),
    }
    Ok(failed)
}

fn compared(rule: &GateRule, better: Better, candidate: &Measured, champion: &Measured) -> Vec<String> {
    let metric = &rule.metric;
    let (Some(value), Some(before)) = (candidate.metrics.get(metric), champion.metrics.get(metric)) else {
        return vec![format!("it cannot be compared with the champion: {metric} of the champion was not measured")];
    };
    let gained = gain(better, *value, *before);
    let short = rule.gain.filter(|least| gained < *least).map(|least| {
        let (value, before) = (shown(*value), shown(*before));
        format!("{metric} is {value}, the champion's {before}: better by {}, and {} is asked for", shown(gained), shown(least))
    });
    let Some(most) = rule.max_slice_drop else { return short.into_iter().collect() };
    short.into_iter().chain(dropped(metric, most, better, candidate, champion)).collect()
}

fn dropped(metric: &str, most: f64, better: Better, candidate: &Measured, champion: &Measured) -> Vec<String> {
    let of = |(column, value, slice): (&String, &String, &crate::metrics::Slice)| {
        let after = *slice.metrics.get(metric)?;
        let before = *champion.slices.get(column)?.get(value)?.metrics.get(metric)?;
        let drop = -gain(better, after, before);
        (slice.rows >= FEWEST && drop > most).then(|| {
            let (after, before) = (shown(after), shown(before));
            format!(
                "{metric} where {column} is `{value}` is {after}, the champion's {before}: worse by more than {}",
                shown(most)
            )
        })
    };
    let slices =
        candidate.slices.iter().flat_map(|(column, values)| values.iter().map(move |(value, slice)| (column, value, slice)));
    slices.filter_map(of).collect()
}

/// By how much a value is better than another.
fn gain(better: Better, value: f64, than: f64) -> f64 {
    match better {
        Better::More => value - than,
        Better::Less => than - value,
    }
}

/// A number as a person reads it.
pub(crate) fn shown(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Slice;

    fn measured(auc: f64, paid: f64) -> Measured {
        let slice = Slice { rows: 100, metrics: [("auc".to_owned(), paid)].into() };
        Measured {
            metrics: [("auc".to_owned(), auc)].into(),
            slices: [("plan".to_owned(), [("paid".to_owned(), slice)].into())].into(),
        }
    }

    fn rule() -> GateRule {
        GateRule { metric: "auc".into(), min: Some(0.8), max: None, gain: Some(0.01), max_slice_drop: Some(0.02) }
    }

    #[test]
    fn a_candidate_must_reach_the_minimum_and_beat_the_champion_everywhere() {
        let failed = |candidate: &Measured, champion: &Champion<'_>| gate(&rule(), Better::More, candidate, champion).unwrap();
        let champion = measured(0.85, 0.85);
        assert_eq!(failed(&measured(0.9, 0.9), &Champion::None), [""; 0]);
        assert_eq!(failed(&measured(0.9, 0.9), &Champion::Measured(&champion)), [""; 0]);
        assert!(failed(&measured(0.7, 0.9), &Champion::None)[0].contains("less than 0.8"));
        assert!(failed(&measured(0.855, 0.9), &Champion::Measured(&champion))[0].contains("better by 0.005, and 0.01"));
        assert!(failed(&measured(0.9, 0.8), &Champion::Measured(&champion))[0].contains("where plan is `paid`"));
        assert!(failed(&measured(0.9, 0.9), &Champion::Unmeasured("no predict"))[0].contains("no predict"));
        let rule = GateRule { gain: None, max_slice_drop: None, ..rule() };
        let failed = gate(&rule, Better::More, &measured(0.9, 0.9), &Champion::Unmeasured("no predict")).unwrap();
        assert_eq!(failed, ["it cannot be compared with the champion: no predict"]);
    }

    #[test]
    fn where_less_is_better_the_champion_is_beaten_from_below() {
        let rule = GateRule { metric: "auc".into(), min: None, max: Some(1.0), gain: Some(0.1), max_slice_drop: None };
        let champion = measured(0.5, 0.5);
        assert!(gate(&rule, Better::Less, &measured(0.3, 0.3), &Champion::Measured(&champion)).unwrap().is_empty());
        assert_eq!(gate(&rule, Better::Less, &measured(0.6, 0.3), &Champion::Measured(&champion)).unwrap().len(), 1);
        assert!(gate(&rule, Better::Less, &measured(1.1, 0.3), &Champion::None).unwrap()[0].contains("more than 1"));
    }

    #[test]
    fn a_metric_that_nobody_measured_is_an_error() {
        let rule = GateRule { metric: "profit".into(), ..rule() };
        assert!(gate(&rule, Better::More, &measured(0.9, 0.9), &Champion::None).unwrap_err().to_string().contains("`profit`"));
    }
}
