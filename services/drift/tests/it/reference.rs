//! The statistics against the figures of the tools that people compare with, all of the inputs in `inputs.rs`.
//!
//! Effects hold to 1e-9, p-values to 1e-6 of themselves. Figures are scipy 1.17.1's unless said.
#![expect(clippy::unreadable_literal, reason = "figures stand as they were printed")]

use std::{num::NonZeroUsize, sync::Arc};

use switchyard_drift::{
    EMPTY, Edges, Histogram, Ks, Widest, benjamini_hochberg, benjamini_yekutieli, bonferroni, contingency, deviation,
    goodness_of_fit, hellinger, holm, jensen_shannon, jensen_shannon_divergence, kl, l_infinity, normalised, psi, shares,
    total_variation, upper_threshold, wasserstein_of_histograms, wasserstein_of_samples,
};

use crate::inputs::{CURRENT, REFERENCE, a_and_b, lcg, x_and_y};

#[test]
fn the_inputs_are_the_ones_that_were_measured() {
    let (x, y) = x_and_y();
    all("X", &x[..3], &[0.5823075897060335, 0.5198187492787838, 0.46597642498090863]);
    all("Y", &y[..3], &[0.5385402019488629, 0.23510768247339064, 0.26598354656019624]);
}

#[test]
fn kolmogorov_smirnov() {
    let (x, y) = x_and_y();
    ks("X, Y", &x, &y, 0.08233333333333333, 0.00022354028643927068, 0.00022143372948322423);
    let (a, b) = a_and_b(2000);
    ks("A, B", &a, &b, 0.102, 1.781417368743588e-09, 1.6429124417023306e-09);
    let (a, b) = a_and_b(200);
    ks("As, Bs", &a, &b, 0.105, 0.220541217580421, 0.20524779022188294);
    let xi = lcg(1, 300);
    let yi: Vec<f64> = lcg(2, 250).into_iter().map(|value| value * 1.1).collect();
    ks("xi, yi", &xi, &yi, 0.12333333333333334, 0.02887142102673759, 0.02918484931304481);
}

#[test]
fn where_two_samples_are_furthest_apart() {
    let (x, y) = x_and_y();
    let (a, b) = a_and_b(2000);
    let (small_a, small_b) = a_and_b(200);
    let xi = lcg(1, 300);
    let yi: Vec<f64> = lcg(2, 250).into_iter().map(|value| value * 1.1).collect();
    for (of, one, other, at, first_leads) in [
        ("X, Y", &x, &y, 0.5061287523811667, false),
        ("A, B", &a, &b, 0.45029187054070735, true),
        ("As, Bs", &small_a, &small_b, 0.4330203305877187, true),
        ("xi, yi", &xi, &yi, 0.8028055028989911, true),
        ("a few", &vec![1.0, 2.0, 3.0, 4.0, 5.0], &vec![1.0, 2.0, 3.0, 5.0, 6.0], 4.0, true),
    ] {
        let widest = apart(one, other).unwrap();
        assert_eq!(widest.first > widest.other, first_leads, "{of}");
        // Where several places are equally far apart, rounding chooses one for scipy; here it is the least.
        let upto = |sample: &[f64], value: f64| sample.iter().filter(|at| **at <= value + 1e-12).count();
        let lead = |value: f64| (upto(one, value) * other.len()).abs_diff(upto(other, value) * one.len());
        assert!(widest.at <= at + 1e-9 && lead(widest.at) == lead(at), "{of}: {} and {at}", widest.at);
        equal(of, (widest.first - widest.other).abs(), Ks::of_samples(one, other).unwrap().statistic());
        if !of.starts_with('A') {
            equal(of, widest.at, at);
        }
    }
    assert_eq!(apart(&[], &[1.0]), None);
}

#[test]
fn samples_of_a_few_values() {
    let ks = Ks::of_samples(&[1.0, 2.0, 3.0, 4.0, 5.0], &[1.0, 2.0, 3.0, 5.0, 6.0]).unwrap();
    equal("five values of which one differs", ks.statistic(), 0.2);
    equal("its p", ks.p(), 1.0);
    equal("wasserstein", wasserstein_of_samples(&[0.0, 1.0, 3.0], &[5.0, 6.0, 8.0]).unwrap(), 5.0);
}

#[test]
fn wasserstein() {
    let (x, y) = x_and_y();
    equal("X, Y", wasserstein_of_samples(&x, &y).unwrap(), 0.04518087457171744);
    let (a, b) = a_and_b(2000);
    equal("A, B", wasserstein_of_samples(&a, &b).unwrap(), 0.25039221130932543);
}

/// evidently 0.7.23.
#[test]
fn wasserstein_in_deviations() {
    let of = |(one, other): (Vec<f64>, Vec<f64>)| normalised(wasserstein_of_samples(&one, &other).unwrap(), deviation(&one));
    equal("X, Y", of(x_and_y()), 0.15581129509846062);
    equal("A, B", of(a_and_b(2000)), 0.2504740810547033);
    equal("As, Bs", of(a_and_b(200)), 0.251112358821203);
}

#[test]
fn distances_of_categories() {
    let (p, q) = (shares(&REFERENCE), shares(&CURRENT));
    equal("psi", psi(&p, &q, EMPTY), 0.03731189592735672);
    equal("kl", kl(&p, &q, EMPTY), 0.01764735040990354);
    equal("total variation", total_variation(&p, &q), 0.07);
    equal("l infinity", l_infinity(&p, &q), 0.06);
    equal("hellinger", hellinger(&p, &q), 0.06817244066505031);
    equal("jensen-shannon, base 2", jensen_shannon(&p, &q), 0.08173946997466171);
    equal("jensen-shannon, nats", nats(&p, &q), 0.06805257264099078);
    equal("jensen-shannon divergence", jensen_shannon_divergence(&p, &q), 0.006681340951738623);
    equal("half of each in common, nats", nats(&[0.5, 0.5, 0.0], &[0.0, 0.5, 0.5]), 0.5887050112577373);
    equal("disjoint, base 2", jensen_shannon(&[1.0, 0.0], &[0.0, 1.0]), 1.0);
    equal("disjoint, nats", nats(&[1.0, 0.0], &[0.0, 1.0]), 0.8325546111576977);
}

#[test]
fn chi_squared() {
    let table = contingency(&REFERENCE, &CURRENT);
    equal("contingency", table.statistic, 18.396053184664055);
    near("contingency", table.p, 0.0003644006079403385);
    assert_eq!(table.freedom, 3);
    let fit = goodness_of_fit(&REFERENCE, &CURRENT);
    equal("goodness of fit", fit.statistic, 44.58333333333333);
    near("goodness of fit", fit.p, 1.134517711195941e-09);
}

/// evidently 0.7.23: the current rows hold a category that the reference does not.
#[test]
fn a_category_that_the_reference_has_never_seen() {
    let (one, other) = ([400, 300, 200, 100, 0], [350, 310, 180, 150, 10]);
    let (p, q) = (shares(&one), shares(&other));
    equal("psi", psi(&p, &q, EMPTY), 0.0749761184193029);
    equal("jensen-shannon, nats", nats(&p, &q), 0.08438537658153925);
    equal("goodness of fit", goodness_of_fit(&one, &other).p, 0.0);
}

#[test]
fn corrections() {
    let p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205];
    all("bh", &benjamini_hochberg(&p), &[0.008, 0.032, 0.0672, 0.0672, 0.0672, 0.08, 0.08457142857142856, 0.205]);
    let by = [0.02174285714285714, 0.08697142857142856, 0.18264, 0.18264, 0.18264, 0.21742857142857136, 0.22985306122448973];
    all("by", &benjamini_yekutieli(&p), &[&by[..], &[0.5571607142857142]].concat());
    all("bonferroni", &bonferroni(&p), &[0.008, 0.064, 0.312, 0.328, 0.336, 0.48, 0.592, 1.0]);
    all("holm", &holm(&p), &[0.008, 0.056, 0.234, 0.234, 0.234, 0.234, 0.234, 0.234]);
}

/// evidently 0.7.23: bins after Sturges over both samples, nats.
#[test]
fn distances_of_numbers_in_bins_of_both() {
    let binned = |(one, other): (Vec<f64>, Vec<f64>)| {
        let both: Vec<f64> = one.iter().chain(&other).copied().collect();
        let bins = (f64::from(u32::try_from(both.len()).unwrap())).log2() + 1.0;
        let edges = even(&both, bins.ceil());
        ((counts(&edges, &one), counts(&edges, &other)), [edges[0], edges[edges.len() - 1]])
    };
    let (x_y, ends) = binned(x_and_y());
    all("X, Y ends", &ends, &[0.00017302529886364937, 0.9999267398195802]);
    assert_eq!(x_y.0, [117, 123, 89, 110, 128, 125, 114, 122, 113, 106, 112, 103, 138]);
    assert_eq!(x_y.1, [129, 111, 83, 116, 88, 101, 95, 99, 64, 73, 84, 83, 74]);
    four("X, Y", &x_y, [0.04216565808786607, 0.0724410500545809, 0.021314327777485282, 0.07252013841751154]);
    let a_b = [0.07313471579020484, 0.09508327246019108, 0.033264127276841846, 0.09665882201844647];
    four("A, B", &binned(a_and_b(2000)).0, a_b);
    let small = [0.06593605129142018, 0.09021265247909786, 0.031020359117886503, 0.09049573062078518];
    four("As, Bs", &binned(a_and_b(200)).0, small);
}

/// What an empty bin counts as decides the index: that is why it is always the same here, and said.
#[test]
fn stability_by_what_an_empty_bin_counts_as() {
    for (empty, printed) in [(1e-2, 0.0073), (1e-3, 0.057), (1e-4, 0.106), (1e-6, 0.198), (1e-8, 0.291)] {
        let got = psi(&[0.5, 0.5, 0.0], &[0.49, 0.49, 0.02], empty);
        assert!((got / printed - 1.0).abs() < 0.01, "{empty}: {got}, not {printed}");
    }
    assert!((EMPTY - 1e-4).abs() < 1e-12);
}

/// From which distance on KS alone is certain at 0.05, for two samples of one size: 1.3581 √(2/n).
#[test]
fn a_distance_that_is_certain_is_the_smaller_the_more_rows_there_are() {
    for (rows, printed) in [(1_000_u64, 0.061), (10_000, 0.019), (100_000, 0.0061), (1_000_000, 0.0019)] {
        let p = |more: u64| Ks::of_counts(&[rows / 2 + more, rows / 2 - more], &[rows / 2, rows / 2]).unwrap().p();
        let first = (1..rows / 2).find(|more| p(*more) <= 0.05).unwrap();
        let distance = f64::from(u32::try_from(first).unwrap()) / f64::from(u32::try_from(rows).unwrap());
        assert!((distance / printed - 1.0).abs() < 0.02, "{rows}: {distance}, not {printed}");
    }
}

/// What most people reckon: ten bins of equal mass of the reference, open at both ends.
#[test]
fn stability_in_tenths_of_the_reference() {
    let (x, y) = x_and_y();
    let mut sorted = x.clone();
    sorted.sort_by(f64::total_cmp);
    // Each cut lies between the last value of one tenth and the first of the next.
    let cuts: Vec<f64> = (1..10).map(|n| f64::midpoint(sorted[150 * n - 1], sorted[150 * n])).collect();
    let edges = Arc::new(Edges::try_from(cuts).unwrap());
    let of = |sample: &[f64]| {
        let mut histogram = Histogram::new(edges.clone());
        sample.iter().for_each(|value| histogram.add(Some(*value)));
        shares(histogram.counts())
    };
    equal("X, Y", psi(&of(&x), &of(&y), EMPTY), 0.039763214373630645);
}

/// `NannyML` 0.13.1: bins after Doane over the reference, what lies outside in one more, base 2.
#[test]
fn distances_of_numbers_in_bins_of_the_reference() {
    let binned = |(one, other): (Vec<f64>, Vec<f64>)| {
        let edges = even(&one, doane(&one));
        let with_outside = |sample: &[f64]| {
            let mut bins = counts(&edges, sample);
            bins.push(sample.len() as u64 - bins.iter().sum::<u64>());
            shares(&bins)
        };
        (with_outside(&one), with_outside(&other))
    };
    let (p, q) = binned(x_and_y());
    equal("X, Y jensen-shannon", jensen_shannon(&p, &q), 0.08554428104224579);
    equal("X, Y hellinger", hellinger(&p, &q), 0.07216442339235582);
    let (p, q) = binned(a_and_b(2000));
    equal("A, B jensen-shannon", jensen_shannon(&p, &q), 0.1154427772416661);
    equal("A, B hellinger", hellinger(&p, &q), 0.0980754833957331);
}

/// `NannyML` 0.13.1: three deviations above the mean over the reference's own chunks of 200, the last one shorter.
#[test]
fn thresholds_from_the_references_own_chunks() {
    let (x, y) = x_and_y();
    let upper = |of: &dyn Fn(&[f64]) -> f64| upper_threshold(&x.chunks(200).map(of).collect::<Vec<f64>>()).unwrap();
    let edges = even(&x, doane(&x));
    let binned = |sample: &[f64]| {
        let mut bins = counts(&edges, sample);
        bins.push(sample.len() as u64 - bins.iter().sum::<u64>());
        shares(&bins)
    };
    let whole = binned(&x);
    let distance = |sample: &[f64]| Ks::of_samples(&x, sample).unwrap().statistic();
    let work = |sample: &[f64]| wasserstein_of_samples(&x, sample).unwrap();
    equal("ks", upper(&distance), 0.07372590678012396);
    equal("wasserstein", upper(&work), 0.02634394888912527);
    equal("jensen-shannon", upper(&|sample| jensen_shannon(&whole, &binned(sample))), 0.1565281934356658);
    equal("hellinger", upper(&|sample| hellinger(&whole, &binned(sample))), 0.13065680412181185);
    assert!(distance(&y) > upper(&distance) && work(&y) > upper(&work));
    assert_eq!(upper_threshold(&[]), None);
}

/// The same, of a reference that is sorted, whose chunks are nothing like the whole; KS is 1 at most.
#[test]
fn thresholds_of_a_sorted_reference() {
    let (a, _) = a_and_b(2000);
    let upper = |of: &dyn Fn(&[f64]) -> f64| upper_threshold(&a.chunks(200).map(of).collect::<Vec<f64>>()).unwrap();
    let edges = even(&a, doane(&a));
    let binned = |sample: &[f64]| shares(&[counts(&edges, sample), vec![0]].concat());
    let whole = binned(&a);
    equal("ks", upper(&|sample| Ks::of_samples(&a, sample).unwrap().statistic()).min(1.0), 1.0);
    equal("wasserstein", upper(&|sample| wasserstein_of_samples(&a, sample).unwrap()), 2.1779736368322418);
    equal("jensen-shannon", upper(&|sample| jensen_shannon(&whole, &binned(sample))), 0.9121370026108445);
    equal("hellinger", upper(&|sample| hellinger(&whole, &binned(sample))), 0.8671891443266635);
}

#[test]
fn fine_bins_lose_at_most_one_bin_of_the_samples_own_distance() {
    let (x, y) = x_and_y();
    let edges = Arc::new(Edges::of_reference(&x, NonZeroUsize::new(1024).unwrap()).unwrap());
    let fold = |sample: &[f64]| {
        let mut histogram = Histogram::new(edges.clone());
        sample.iter().for_each(|value| histogram.add(Some(*value)));
        histogram
    };
    let (one, other) = (fold(&x), fold(&y));
    let binned = Ks::of_counts(one.counts(), other.counts()).unwrap().statistic();
    assert!((0.08233333333333333 - 2.0 / 1024.0..=0.08233333333333333).contains(&binned), "{binned}");
    let distance = wasserstein_of_histograms(&one, &other).unwrap();
    assert!((distance - 0.04518087457171744).abs() < 1.0 / 1024.0, "{distance}");
}

/// Where two samples are furthest apart, by histograms that have an edge right above each of their values.
fn apart(one: &[f64], other: &[f64]) -> Option<Widest> {
    let mut edges: Vec<f64> = one.iter().chain(other).map(|value| value.next_up()).collect();
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    let edges = Arc::new(Edges::try_from(edges).unwrap());
    let of = |sample: &[f64]| {
        let mut histogram = Histogram::new(edges.clone());
        sample.iter().for_each(|value| histogram.add(Some(*value)));
        histogram
    };
    Ks::widest(&of(one), &of(other))
}

fn ks(of: &str, one: &[f64], other: &[f64], statistic: f64, exact: f64, asymptotic: f64) {
    let ks = Ks::of_samples(one, other).unwrap();
    equal(of, ks.statistic(), statistic);
    near(of, ks.exact_p(), exact);
    near(of, ks.p(), exact);
    near(of, ks.asymptotic_p(), asymptotic);
}

fn four(of: &str, (one, other): &(Vec<u64>, Vec<u64>), [stability, distance, divergence, root]: [f64; 4]) {
    let (p, q) = (shares(one), shares(other));
    equal(of, psi(&p, &q, EMPTY), stability);
    equal(of, nats(&p, &q), distance);
    equal(of, kl(&whole(&p), &whole(&q), EMPTY), divergence);
    equal(of, hellinger(&p, &q), root);
}

/// Shares of which none is empty, and whose sum is one again: evidently makes them so for this divergence alone.
fn whole(shares: &[f64]) -> Vec<f64> {
    let filled: Vec<f64> = shares.iter().map(|share| if *share > 0.0 { *share } else { EMPTY }).collect();
    filled.iter().map(|share| share / filled.iter().sum::<f64>()).collect()
}

fn nats(p: &[f64], q: &[f64]) -> f64 {
    jensen_shannon(p, q) * std::f64::consts::LN_2.sqrt()
}

/// The number of bins after Doane (1976).
fn doane(sample: &[f64]) -> f64 {
    let size = f64::from(u32::try_from(sample.len()).unwrap());
    let mean = sample.iter().sum::<f64>() / size;
    let sigma = deviation(sample);
    let skewness = sample.iter().map(|value| ((value - mean) / sigma).powi(3)).sum::<f64>() / size;
    let error = (6.0 * (size - 2.0) / ((size + 1.0) * (size + 3.0))).sqrt();
    (1.0 + size.log2() + (1.0 + skewness.abs() / error).log2()).ceil()
}

/// Edges of bins of one width, from the least to the greatest value.
fn even(sample: &[f64], bins: f64) -> Vec<f64> {
    let least = sample.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = sample.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let inner = (0..).map(f64::from).take_while(|at| *at < bins).map(|at| least + at * ((greatest - least) / bins));
    inner.chain([greatest]).collect()
}

/// What lies within the edges, the last one included.
fn counts(edges: &[f64], sample: &[f64]) -> Vec<u64> {
    let mut ends = edges.to_vec();
    let last = ends.len() - 1;
    ends[last] = ends[last].next_up();
    let mut histogram = Histogram::new(Arc::new(Edges::try_from(ends).unwrap()));
    sample.iter().for_each(|value| histogram.add(Some(*value)));
    histogram.counts()[1..edges.len()].to_vec()
}

fn equal(of: &str, got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-9, "{of}: {got}, not {want}");
}

fn near(of: &str, got: f64, want: f64) {
    assert!((got / want - 1.0).abs() <= 1e-6, "{of}: p {got}, not {want}");
}

fn all(of: &str, got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    got.iter().zip(want).for_each(|(got, want)| equal(of, *got, *want));
}
