//! The distribution of the Kolmogorov–Smirnov statistic of one sample, two-sided, after Simard and L'Ecuyer, "Computing the
//! two-sided Kolmogorov–Smirnov distribution" (Journal of Statistical Software 39(11), 2011): a formula for each region.

mod durbin;
mod pelz_good;
mod smirnov;

/// From here on both sides are never left at once, within 10⁻⁸ of p: twice the one-sided chance is exact (Miller 1956).
const TAIL: f64 = 3.2;
/// How wide Durbin's matrix may be: below, half as wide as its side.
const WIDEST: f64 = 30.0;

/// P(D ≥ d) for a sample of n.
pub(super) fn upper(n: f64, d: f64) -> f64 {
    if n * d <= 0.5 {
        return 1.0;
    }
    if d >= 1.0 {
        return 0.0;
    }
    let p = if d >= 0.5 || n * d * d >= TAIL {
        2.0 * smirnov::upper(n, d)
    } else if n * d <= WIDEST {
        1.0 - durbin::lower(n, d)
    } else {
        1.0 - pelz_good::lower(n, d)
    };
    p.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_regions_meet() {
        for n in [60.0, 141.0, 250.0] {
            let d = f64::sqrt(TAIL / n);
            let (matrix, tail) = (1.0 - durbin::lower(n, d), 2.0 * smirnov::upper(n, d));
            assert!((matrix / tail - 1.0).abs() < 1e-7, "n {n}: {matrix} {tail}");
        }
        for z in [0.5, 0.8, 1.2, 1.7] {
            let n = f64::powi(WIDEST / z, 2).round();
            let (matrix, series) = (durbin::lower(n, z / n.sqrt()), pelz_good::lower(n, z / n.sqrt()));
            assert!((matrix - series).abs() < 0.5 / (n * n), "z {z}: {matrix} {series}, what is left out is of order 1/n²");
        }
        for z in [1.8, 2.5, 3.2] {
            let (n, d) = (20_000.0, z / f64::sqrt(20_000.0));
            let (sum, expanded) = (smirnov::summed(n, d), smirnov::expanded(n, d));
            assert!((sum / expanded - 1.0).abs() < 1e-3, "z {z}: {sum} {expanded}");
        }
    }

    #[test]
    fn a_sample_of_one_is_known() {
        for d in [0.5f64, 0.6, 0.75, 0.99] {
            assert!((upper(1.0, d) - 2.0 * (1.0 - d)).abs() < 1e-12, "{d}");
        }
    }

    #[test]
    fn p_never_rises_with_the_distance() {
        for n in [1.0, 7.0, 136.0, 1000.0, 90_000.0] {
            let ps: Vec<f64> = (0..400).map(|step| upper(n, f64::from(step) / 100.0 / f64::sqrt(n))).collect();
            assert!(ps.windows(2).all(|pair| pair[1] <= pair[0] + 1e-7), "n {n}");
        }
    }
}
