//! From rows to the verdict, for every measure: a profile is drawn, windows are counted, weighed and judged.

use std::{collections::BTreeMap, num::NonZeroUsize};

use switchyard_drift::{
    Column, Correction, Evidence, Fold, Kind, MISSING, Measure, Profile, Raise, Rule, Standing, Survey, Test, Turn, judge,
};

use crate::inputs::{CURRENT, REFERENCE, a_and_b};

/// Each measure of numbers on A and B: its effect is the one of the tools, but for what the bins of the reference lose.
#[test]
fn every_measure_of_numbers_sees_the_same_shift() {
    let (a, b) = a_and_b(2000);
    let effects = [
        (Measure::Ks, 0.102, 0.002),
        (Measure::Wasserstein, 0.250_474, 0.01),
        (Measure::Psi, 0.073, 0.03),
        (Measure::JensenShannon, 0.114, 0.03),
        (Measure::Hellinger, 0.096, 0.03),
        (Measure::TotalVariation, 0.1, 0.03),
        (Measure::Kl, 0.033, 0.015),
        (Measure::LInfinity, 0.04, 0.03),
        (Measure::ChiSquared, 0.13, 0.03),
    ];
    for (measure, effect, within) in effects {
        let weighed = weigh(&numbers(&a), &a, &b, measure);
        assert!((weighed.effect - effect).abs() < within, "{measure:?}: {}", weighed.effect);
        assert!((1.78e-9..3e-9).contains(&weighed.p), "{measure:?}: p {}", weighed.p);
        assert_eq!(turn(&weighed), Some(Turn::Detected), "{measure:?}");
        let same = weigh(&numbers(&a), &a, &a, measure);
        assert!(same.effect < 1e-9 && turn(&same).is_none(), "{measure:?}: {}", same.effect);
    }
}

#[test]
fn every_measure_of_names_has_the_effect_of_the_tools() {
    let effects = [
        (Measure::Psi, 0.037_311_895_927_356_72),
        (Measure::Kl, 0.017_647_350_409_903_54),
        (Measure::TotalVariation, 0.07),
        (Measure::LInfinity, 0.06),
        (Measure::Hellinger, 0.068_172_440_665_050_31),
        (Measure::JensenShannon, 0.081_739_469_974_661_71),
        (Measure::ChiSquared, (18.396_053_184_664_055f64 / 2000.0).sqrt()),
    ];
    let (reference, window) = (names(&REFERENCE), names(&CURRENT));
    for (measure, effect) in effects {
        let weighed = weigh_names(&reference, &window, measure);
        assert!((weighed.effect - effect).abs() < 1e-9, "{measure:?}: {}", weighed.effect);
        assert!((weighed.p / 0.000_364_400_607_940_338_5 - 1.0).abs() < 1e-6, "{measure:?}: p {}", weighed.p);
        assert_eq!(turn(&weighed), Some(Turn::Detected), "{measure:?}");
    }
    for measure in [Measure::Ks, Measure::Wasserstein] {
        assert!(weigh_names(&reference, &window, measure).effect.abs() < 1e-9, "{measure:?} needs an order");
    }
}

#[test]
fn missing_and_unseen_values_are_shares_of_rows() {
    let (a, _) = a_and_b(2000);
    let gone: Vec<f64> = a.iter().enumerate().map(|(at, value)| if at % 4 == 0 { MISSING } else { *value }).collect();
    let missing = weigh(&numbers(&a), &a, &gone, Measure::Missing);
    assert!((missing.effect - 0.25).abs() < 1e-9 && missing.p < 1e-9 && turn(&missing) == Some(Turn::Detected));
    let outside: Vec<f64> = a.iter().enumerate().map(|(at, value)| if at % 5 == 0 { 99.0 } else { *value }).collect();
    let unseen = weigh(&numbers(&a), &a, &outside, Measure::Unseen);
    assert!((unseen.effect - 0.2).abs() < 1e-9 && turn(&unseen) == Some(Turn::Detected));
    let unknown = weigh_names(&names(&[500, 500]), &names(&[400, 400, 200]), Measure::Unseen);
    assert!((unknown.effect - 0.2).abs() < 1e-9 && turn(&unknown) == Some(Turn::Detected));
}

#[test]
fn what_cannot_be_weighed_says_nothing() {
    let (a, _) = a_and_b(200);
    let weighed = weigh(&numbers(&a), &a, &[], Measure::Ks);
    assert_eq!((weighed.rows, weighed.effect.to_bits(), weighed.p.to_bits()), (0, 0, 1f64.to_bits()));
    let window = Fold::new(&numbers(&[1.0, 2.0])).window();
    assert!(numbers(&a).weigh(&window, "x", &rule(Measure::Ks)).is_err(), "counted with another reference");
    assert!(numbers(&a).weigh(&numbers(&a).window(), "y", &rule(Measure::Ks)).is_err(), "no such column");
}

#[test]
fn an_empty_window_and_thousands_of_names_give_no_nonsense() {
    let measures = [
        Measure::Psi,
        Measure::JensenShannon,
        Measure::Wasserstein,
        Measure::Ks,
        Measure::ChiSquared,
        Measure::LInfinity,
        Measure::Hellinger,
        Measure::TotalVariation,
        Measure::Kl,
        Measure::Missing,
        Measure::Unseen,
    ];
    let (a, _) = a_and_b(200);
    let names = |from: u32| (from..from + 10_000).map(|n| n.to_string()).collect::<Vec<String>>();
    let (known, foreign) = (names(0), names(20_000));
    let all = |names: &[String]| names.iter().map(|name| name.clone().leak() as &str).collect::<Vec<&'static str>>();
    let (known, foreign) = (all(&known), all(&foreign));
    for measure in measures {
        let empty = [weigh(&numbers(&a), &a, &[], measure), weigh_names(&["a", "b"], &[], measure)];
        for nothing in &empty {
            assert_eq!((nothing.rows, turn(nothing)), (0, None), "{measure:?}");
            assert!(nothing.effect.is_finite() && nothing.p.is_finite(), "{measure:?}: {nothing:?}");
        }
        for (what, window) in [("the same", &known), ("others", &foreign)] {
            let weighed = weigh_names(&known, window, measure);
            assert!(weighed.effect.is_finite() && weighed.p.is_finite(), "{measure:?} of {what}: {weighed:?}");
        }
    }
    let unseen = weigh_names(&known, &foreign, Measure::Unseen);
    // A reference keeps a thousand names by themselves: their tenth of the rows is gone.
    assert!((unseen.effect - 0.1).abs() < 1e-9 && turn(&unseen) == Some(Turn::Detected), "{unseen:?}");
}

fn weigh(frame: &Profile, reference: &[f64], window: &[f64], measure: Measure) -> Evidence {
    weighed(frame, &[Column::Numbers(reference)], reference.len(), &[Column::Numbers(window)], window.len(), measure)
}

fn weigh_names(reference: &[&str], window: &[&str], measure: Measure) -> Evidence {
    let (one, other) = (some(reference), some(window));
    let mut survey = Survey::new(&BTreeMap::from([("x".into(), Kind::Names)]), &[""; 0], bins(1024)).unwrap();
    survey.see(&[Column::Names(&one)], one.len()).unwrap();
    let frame = survey.frame().unwrap();
    weighed(&frame, &[Column::Names(&one)], one.len(), &[Column::Names(&other)], other.len(), measure)
}

fn weighed(frame: &Profile, one: &[Column<'_>], rows: usize, other: &[Column<'_>], others: usize, measure: Measure) -> Evidence {
    let fold = Fold::new(frame);
    let (mut reference, mut window) = (fold.window(), fold.window());
    fold.count(&mut reference, one, rows).unwrap();
    fold.count(&mut window, other, others).unwrap();
    frame.clone().filled(&reference).unwrap().weigh(&window, "x", &rule(measure)).unwrap()
}

fn numbers(values: &[f64]) -> Profile {
    let mut survey = Survey::new(&BTreeMap::from([("x".into(), Kind::Numbers)]), &[""; 0], bins(1024)).unwrap();
    survey.see(&[Column::Numbers(values)], values.len()).unwrap();
    survey.frame().unwrap()
}

fn names(counts: &[u64]) -> Vec<&'static str> {
    let names = ["a", "b", "c", "d"];
    counts.iter().zip(names).flat_map(|(rows, name)| std::iter::repeat_n(name, usize::try_from(*rows).unwrap())).collect()
}

fn some<'a>(names: &[&'a str]) -> Vec<Option<&'a str>> {
    names.iter().map(|name| Some(*name)).collect()
}

fn turn(evidence: &Evidence) -> Option<Turn> {
    let raise = Raise { windows: NonZeroUsize::MIN, of: NonZeroUsize::MIN };
    let test = Test { alpha: 0.01, correction: Correction::default(), min_samples: 50, raise };
    judge(&[(evidence.clone(), Standing::default())], &test).remove(0).turn
}

fn rule(measure: Measure) -> Rule {
    Rule { measure, threshold: 0.015, bins: bins(30) }
}

fn bins(many: usize) -> NonZeroUsize {
    NonZeroUsize::new(many).unwrap()
}
