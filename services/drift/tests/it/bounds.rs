//! How often the verdict is wrong: on windows where nothing has changed, and on windows where something has.

use std::{num::NonZeroUsize, sync::Arc};

use switchyard_drift::{
    Categories, Correction, Edges, Evidence, Histogram, Measure, Raise, Reference, Rule, Standing, Test, Turn, Window, judge,
    weigh,
};

use crate::inputs::Draw;

const WINDOWS: u32 = 2000;
const ALPHA: f64 = 0.01;

/// Each window is one of numbers and one of names. A false alarm is a window in which either differs, without regard to how
/// many windows in a row it takes. First by the rule as it is recommended; then by certainty alone, without any least effect,
/// each window against a reference of its own: that is the rate that α promises.
#[test]
fn false_alarms_stay_within_the_configured_rate() {
    let bound = binomial_bound(WINDOWS, ALPHA, 0.999);
    for rows in [100, 1_000, 100_000, 1_000_000] {
        let (rule, certainty) = (false_alarms(rows, 0.1, 7), false_alarms(rows, 0.0, 11));
        println!("n {rows}: {rule} of {WINDOWS} windows by effect and certainty, {certainty} by certainty; bound {bound}");
        assert!(rule <= bound && certainty <= bound, "n {rows}: {rule}, {certainty} of {WINDOWS}, bound {bound}");
    }
}

#[test]
fn a_shift_of_half_a_deviation_is_found_within_three_windows() {
    let mut draw = Draw(3);
    let reference: Vec<Option<f64>> = (0..10_000).map(|_| Some(draw.normal())).collect();
    let reference = Reference::numeric(&reference, bins(1024)).unwrap();
    let (streams, mut found) = (500, 0);
    for _ in 0..streams {
        let mut standing = Standing::default();
        for _ in 0..3 {
            let evidence = weigh(&reference, &shifted(&reference, 0.5, &mut draw), &rule(0.1)).unwrap();
            let verdict = judge(&[(evidence, standing)], &test(2, 3)).remove(0);
            found += u32::from(verdict.turn == Some(Turn::Detected));
            standing = verdict.standing;
        }
    }
    println!("found in {found} of {streams} streams");
    assert!(f64::from(found) >= 0.99 * f64::from(streams), "{found} of {streams}");
}

/// That the other test's bound is worth something: without any drift, the same streams are quiet.
#[test]
fn without_a_shift_nothing_is_found() {
    let mut draw = Draw(4);
    let values: Vec<Option<f64>> = (0..10_000).map(|_| Some(draw.normal())).collect();
    let reference = Reference::numeric(&values, bins(1024)).unwrap();
    let quiet = |_| {
        let evidence = weigh(&reference, &shifted(&reference, 0.0, &mut draw), &rule(0.1)).unwrap();
        judge(&[(evidence, Standing::default())], &test(1, 1)).remove(0).turn.is_none()
    };
    assert!((0..500).all(quiet));
}

/// What a threshold alone makes of chance where rows are few: how often the index is 0.1 or more without any drift, as computed in
/// 4,000 trials elsewhere. The verdict asks for certainty too.
#[test]
fn a_great_index_of_few_rows_is_no_alarm() {
    let bound = binomial_bound(WINDOWS, ALPHA, 0.999);
    for (parts, rows, wanted) in [(10, 100, 0.85), (10, 200, 0.37), (20, 200, 0.96), (20, 500, 0.19)] {
        let mut draw = Draw(rows * parts);
        let rule = Rule { measure: Measure::Psi, ..rule(0.1) };
        let (mut great, mut alarms) = (0, 0);
        for _ in 0..WINDOWS {
            let (reference, window) = (even(parts, rows, &mut draw), even(parts, rows, &mut draw));
            let evidence = weigh(&Reference::Categorical(reference), &Window::Categorical(window), &rule).unwrap();
            great += u32::from(evidence.effect >= 0.1);
            alarms += u32::from(judge(&[(evidence, Standing::default())], &test(1, 1))[0].turn.is_some());
        }
        let share = f64::from(great) / f64::from(WINDOWS);
        println!("{parts} parts, {rows} rows: {share:.3} by the threshold alone, {alarms} alarms of {WINDOWS}; bound {bound}");
        assert!((share - wanted).abs() < 0.04 && alarms <= bound, "{parts} parts, {rows} rows: {share}, {alarms}");
    }
}

/// So many rows, each in one of the parts, which are of the same chance.
fn even(parts: u64, rows: u64, draw: &mut Draw) -> Categories {
    let mut counted = Categories::new((0..parts).map(|part| part.to_string()));
    (0..rows).for_each(|_| counted.add(Some(&(draw.bits() % parts).to_string())));
    counted
}

fn shifted(reference: &Reference, shift: f64, draw: &mut Draw) -> Window {
    let Reference::Numeric { histogram, .. } = reference else { panic!("numbers") };
    let mut window = Histogram::new(Arc::new(histogram.edges().clone()));
    (0..1000).for_each(|_| window.add(Some(draw.normal() + shift)));
    Window::Numeric(window)
}

fn false_alarms(rows: u64, threshold: f64, seed: u64) -> u32 {
    let mut draw = Draw(seed.wrapping_mul(rows));
    let test = test(1, 1);
    let mut reference = (numbers(100_000, &mut draw), names(100_000, &mut draw));
    let mut alarms = 0;
    for _ in 0..WINDOWS {
        if threshold == 0.0 {
            reference = (numbers(5_000, &mut draw), names(5_000, &mut draw));
        }
        let ks = numeric(&reference.0, &numbers(rows, &mut draw), threshold);
        let chi = categorical(&reference.1, &names(rows, &mut draw), threshold);
        let columns = [(ks, Standing::default()), (chi, Standing::default())];
        alarms += u32::from(judge(&columns, &test).iter().any(|verdict| verdict.turn.is_some()));
    }
    alarms
}

fn numeric(reference: &[u64], window: &[u64], threshold: f64) -> Evidence {
    let reference = Reference::Numeric { histogram: histogram(reference), deviation: 1.0 };
    weigh(&reference, &Window::Numeric(histogram(window)), &rule(threshold)).unwrap()
}

fn categorical(reference: &Categories, window: &Categories, threshold: f64) -> Evidence {
    let rule = Rule { measure: Measure::JensenShannon, ..rule(threshold) };
    weigh(&Reference::Categorical(reference.clone()), &Window::Categorical(window.clone()), &rule).unwrap()
}

/// 1,024 bins of equal chance, as the quantiles of a reference make them.
fn numbers(rows: u64, draw: &mut Draw) -> Vec<u64> {
    draw.counts(rows, 10)
}

/// Four names with chances of 1/2, 1/4, 1/8 and 1/8.
fn names(rows: u64, draw: &mut Draw) -> Categories {
    let eighths = draw.counts(rows, 3);
    let mut counted = Categories::new(["a", "b", "c", "d"]);
    for (name, rows) in [("a", eighths[..4].iter().sum()), ("b", eighths[4] + eighths[5]), ("c", eighths[6]), ("d", eighths[7])] {
        counted.add_rows(Some(name), rows);
    }
    counted
}

/// A histogram that has counted so many rows in each bin, the same as if they had come one by one.
fn histogram(counts: &[u64]) -> Histogram {
    let edges: Vec<f64> = (0..=u32::try_from(counts.len()).unwrap()).map(f64::from).collect();
    let mut histogram = Histogram::new(Arc::new(Edges::try_from(edges.clone()).unwrap()));
    edges.iter().zip(counts).for_each(|(edge, rows)| histogram.add_rows(Some(*edge), *rows));
    histogram
}

/// The least count that a binomial of `many` tries exceeds with a chance below `1 − confidence`.
fn binomial_bound(many: u32, chance: f64, confidence: f64) -> u32 {
    let (mut term, mut sum, mut count) = ((1.0 - chance).powf(f64::from(many)), 0.0, 0);
    loop {
        sum += term;
        if sum >= confidence {
            return count;
        }
        count += 1;
        term *= chance / (1.0 - chance) * f64::from(many - count + 1) / f64::from(count);
    }
}

fn rule(threshold: f64) -> Rule {
    Rule { measure: Measure::Ks, threshold, bins: bins(10) }
}

fn test(windows: usize, of: usize) -> Test {
    Test {
        alpha: ALPHA,
        correction: Correction::default(),
        min_samples: 50,
        raise: Raise { windows: bins(windows), of: bins(of) },
    }
}

fn bins(many: usize) -> NonZeroUsize {
    NonZeroUsize::new(many).unwrap()
}
