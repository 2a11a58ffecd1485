//! Prints figures in columns: the first to the left, the others to the right.

/// Prints a heading and its rows.
pub(crate) fn print<const N: usize>(heading: [&str; N], rows: &[[String; N]]) {
    let width = |n: usize| rows.iter().map(|row| row[n].chars().count()).chain([heading[n].len()]).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    println!("{}", line(&heading, &widths));
    for row in rows {
        println!("{}", line(&std::array::from_fn(|n| row[n].as_str()), &widths));
    }
}

fn line<const N: usize>(cells: &[&str; N], widths: &[usize; N]) -> String {
    let mut line = String::new();
    for (n, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = if n == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") };
        line.push_str(&cell);
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_left_and_figures_right() {
        assert_eq!(line(&["a", "1"], &[3, 4]), "a       1");
        assert_eq!(line(&["abc", "1234"], &[3, 4]), "abc  1234");
    }
}
