//! Exactly, by a power of a matrix (Durbin 1973; Marsaglia, Tsang and Wang 2003). For small n·d.

use crate::{
    gamma::ln_factorial,
    number::{length, whole},
};

/// P(D < d) for a sample of n.
pub(super) fn lower(n: f64, d: f64) -> f64 {
    let k = whole((n * d).floor()) + 1;
    let base = Matrix::of_band(2 * k - 1, length(k) - n * d);
    let (mut power, mut square, mut left) = (Matrix::unit(base.side), base, whole(n));
    while left > 0 {
        if left % 2 == 1 {
            power = power.times(&square);
        }
        left /= 2;
        if left > 0 {
            square = square.times(&square);
        }
    }
    let middle = power.cells[(k - 1) * power.side + k - 1];
    (middle.ln() + power.scale + ln_factorial(whole(n) as u64) - n * n.ln()).exp().min(1.0)
}

/// A square matrix times e^scale: its powers soon leave what a double can hold.
struct Matrix {
    side: usize,
    cells: Vec<f64>,
    scale: f64,
}

impl Matrix {
    /// Durbin's matrix, where the band ends `h` before the next whole number.
    fn of_band(side: usize, h: f64) -> Self {
        let mut cells = vec![0.0; side * side];
        let power = |base: f64, of: usize| (0..of).fold(1.0, |product, _| product * base);
        for row in 0..side {
            for column in 0..side.min(row + 2) {
                let taken = [(column == 0, row + 1), (row == side - 1, side - column)];
                let mut cell = 1.0 - taken.iter().filter(|(at, _)| *at).map(|&(_, of)| power(h, of)).sum::<f64>();
                if column == 0 && row == side - 1 {
                    cell += power((2.0 * h - 1.0).max(0.0), side);
                }
                cells[row * side + column] = (1..=row + 1 - column).fold(cell, |cell, k| cell / length(k));
            }
        }
        Self { side, cells, scale: 0.0 }
    }

    fn unit(side: usize) -> Self {
        let mut cells = vec![0.0; side * side];
        for cell in cells.iter_mut().step_by(side + 1) {
            *cell = 1.0;
        }
        Self { side, cells, scale: 0.0 }
    }

    fn times(&self, other: &Self) -> Self {
        let side = self.side;
        let mut cells = vec![0.0; side * side];
        for (row, into) in self.cells.chunks(side).zip(cells.chunks_mut(side)) {
            for (factor, line) in row.iter().zip(other.cells.chunks(side)) {
                for (cell, value) in into.iter_mut().zip(line) {
                    *cell += factor * value;
                }
            }
        }
        let greatest = cells.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        for cell in &mut cells {
            *cell /= greatest;
        }
        Self { side, cells, scale: self.scale + other.scale + greatest.ln() }
    }
}
