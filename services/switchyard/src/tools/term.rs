//! Text for a terminal: columns, colours, durations.

use std::io::{self, IsTerminal as _, Write as _};

use jiff::SignedDuration;

/// Writes to standard output at once.
pub(crate) fn say(text: &str) -> anyhow::Result<()> {
    write(text.as_bytes())
}

/// Writes bytes to standard output as they are.
pub(crate) fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Foreign text on one line; what could move a terminal's cursor becomes a space.
pub(crate) fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Whether text may be coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint(bool);

/// A colour of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Plain,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Paint {
    /// No colours.
    pub(crate) const PLAIN: Self = Self(false);

    /// Colours where standard output is a terminal, unless `NO_COLOR` is set.
    pub(crate) fn stdout() -> Self {
        Self(io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    pub(crate) fn on(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Plain => return text.to_owned(),
            Colour::Dim => 2,
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Cyan => 36,
        };
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// One field of a row.
#[derive(Clone, Debug)]
pub(crate) struct Cell(String, Colour);

impl Cell {
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self::coloured(text, Colour::Plain)
    }

    pub(crate) fn coloured(text: impl AsRef<str>, colour: Colour) -> Self {
        Self(line(text.as_ref()), colour)
    }
}

/// Rows as aligned columns, two spaces between them; the last column is as long as it is.
pub(crate) fn columns(rows: &[Vec<Cell>], paint: Paint) -> String {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.0.chars().count()).max();
    let widths: Vec<_> = (0..).map_while(width).collect();
    let mut text = String::new();
    for row in rows {
        let last = row.iter().rposition(|cell| !cell.0.is_empty());
        for (n, Cell(cell, colour)) in row.iter().enumerate().take_while(|(n, _)| Some(*n) <= last) {
            text.push_str(&paint.on(*colour, cell));
            if Some(n) < last {
                text.extend(std::iter::repeat_n(' ', widths[n] - cell.chars().count() + 2));
            }
        }
        text.push('\n');
    }
    text
}

/// A duration as people read it: `0.4s`, `42s`, `1m03s`, `2h05m`, `3d04h`.
pub(crate) fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match seconds {
        0..10 => format!("{:.1}s", duration.as_secs_f64().max(0.0)),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// A short duration, for spans: `0.42ms`, `12.3ms`, then as [`span`].
pub(crate) fn fine(duration: SignedDuration) -> String {
    let millis = duration.as_millis_f64();
    match millis {
        ..10.0 => format!("{millis:.2}ms"),
        ..1000.0 => format!("{millis:.1}ms"),
        _ => span(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_and_have_a_unit() {
        let of = |seconds: f64| span(SignedDuration::from_secs_f64(seconds));
        let all = [0.04, 9.96, 42.9, 63.0, 7500.0, 273_600.0, -1.0].map(of);
        assert_eq!(all, ["0.0s", "10.0s", "42s", "1m03s", "2h05m", "3d04h", "0.0s"]);
        let of = |micros: i64| fine(SignedDuration::from_micros(micros));
        assert_eq!([420, 12_300, 1_500_000, 63_000_000].map(of), ["0.42ms", "12.3ms", "1.5s", "1m03s"]);
    }

    #[test]
    fn columns_align_and_no_line_ends_in_a_space() {
        let rows = [["A", "LONG", "C"], ["aaa", "é", ""]].map(|row| row.map(Cell::new).to_vec());
        assert_eq!(columns(&rows, Paint::PLAIN), "A    LONG  C\naaa  é\n");
    }

    #[test]
    fn foreign_text_moves_no_cursor_and_colours_do_not_count_as_width() {
        let rows = [vec![Cell::coloured("a\x1b[2J\nb", Colour::Red), Cell::new("x")]];
        assert_eq!(columns(&rows, Paint(true)), "\x1b[31ma [2J b\x1b[0m  x\n");
    }
}
