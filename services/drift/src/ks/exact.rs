//! The exact p-value: which share of all lattice paths from (0,0) to (n,m) ever leaves the band (Hodges 1958).

use std::collections::VecDeque;

use crate::number::real;

/// The chance that a path drawn at random touches `|i·m − j·n| ≥ distance`.
///
/// The mass of the paths goes from point to point, and what touches is taken out and added up. All terms are positive: a chance
/// of 10⁻⁹ has as many digits as one of a half.
pub(super) fn p(n: u64, m: u64, distance: u128) -> f64 {
    if distance == 0 {
        return 1.0;
    }
    let (mut touched, mut row) = (0.0, VecDeque::from([1.0]));
    let mut first = 0;
    for i in 0..=n {
        let mut next = VecDeque::new();
        let (mut up, mut j, mut next_first) = (0.0, first, first);
        while let Some(mass) = arrive(&mut row, &mut up) {
            if (u128::from(i) * u128::from(m)).abs_diff(u128::from(j) * u128::from(n)) >= distance {
                touched += mass;
                if next.is_empty() {
                    next_first = j + 1;
                } else {
                    next.push_back(0.0);
                }
            } else {
                let left = real(n - i) + real(m - j);
                next.push_back(if i < n { mass * real(n - i) / left } else { 0.0 });
                up = if j < m { mass * real(m - j) / left } else { 0.0 };
            }
            j += 1;
        }
        (row, first) = (next, next_first);
    }
    touched.min(1.0)
}

/// The mass that arrives at the next point of a column: from the left while there is any, and from below.
fn arrive(row: &mut VecDeque<f64>, up: &mut f64) -> Option<f64> {
    let below = std::mem::take(up);
    match row.pop_front() {
        Some(left) => Some(left + below),
        None => (below > 0.0).then_some(below),
    }
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
