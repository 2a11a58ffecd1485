//! The exact p-value: which share of all lattice paths from (0,0) to (n,m) ever leaves the band (Hodges 1958).

use crate::number::real;

/// The chance that a path drawn at random touches `|i·m − j·n| ≥ distance`.
///
/// The mass of the paths goes from point to point, and what touches is taken out and added up. All terms are positive: a chance
/// of 10⁻⁹ has as many digits as one of a half.
pub(super) fn p(n: u64, m: u64, distance: u128) -> f64 {
    if distance == 0 {
        return 1.0;
    }
    // Few long columns are faster than many short ones.
    let (n, m) = (n.min(m), n.max(m));
    let (mut touched, mut column) = (0.0, vec![1.0]);
    // The points of a column that mass arrives at from the left.
    let (mut first, mut end) = (0, 1);
    for i in 0..=n {
        let (mut up, mut j, mut inner) = (0.0, first, None);
        let mut left = real(n - i) + real(m - first as u64);
        let mut apart = i128::from(i) * i128::from(m) - i128::from(first as u64) * i128::from(n);
        while j < end || up > 0.0 {
            if j == column.len() {
                column.push(0.0);
            }
            let mass = if j < end { column[j] + up } else { up };
            if apart.unsigned_abs() >= distance {
                touched += mass;
                (column[j], up) = (0.0, 0.0);
            } else {
                inner = inner.or(Some(j));
                // What does not hang on the mass is ready before it.
                let (right, above) = (real(n - i) / left, real(m - j as u64) / left);
                column[j] = if i < n { mass * right } else { 0.0 };
                up = if (j as u64) < m { mass * above } else { 0.0 };
            }
            (j, left, apart) = (j + 1, left - 1.0, apart - i128::from(n));
        }
        (first, end) = (inner.unwrap_or(j), j);
    }
    touched.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every path of a small lattice, counted one by one.
    fn counted(n: u64, m: u64, distance: u128) -> f64 {
        fn walk(at: (u64, u64), end: (u64, u64), distance: u128) -> (u64, u64) {
            if (u128::from(at.0 * end.1)).abs_diff(u128::from(at.1 * end.0)) >= distance {
                let all = (1..=end.1 - at.1).fold(1, |ways, k| ways * (end.0 - at.0 + k) / k);
                return (all, all);
            }
            let right = if at.0 < end.0 { walk((at.0 + 1, at.1), end, distance) } else { (0, 0) };
            let up = if at.1 < end.1 { walk((at.0, at.1 + 1), end, distance) } else { (0, 0) };
            let last = u64::from(at == end);
            (right.0 + up.0, right.1 + up.1 + last)
        }
        let (out, all) = walk((0, 0), (n, m), distance);
        real(out) / real(all)
    }

    #[test]
    fn the_mass_that_leaves_is_the_share_of_paths_that_leave() {
        for (n, m) in [(1, 1), (3, 3), (4, 6), (7, 5), (8, 1), (6, 9)] {
            for distance in 1..=u128::from(n * m) {
                let (got, want) = (p(n, m, distance), counted(n, m, distance));
                assert!((got - want).abs() <= 1e-14 * want.max(1e-9), "n {n} m {m} distance {distance}: {got} {want}");
            }
        }
    }
}
