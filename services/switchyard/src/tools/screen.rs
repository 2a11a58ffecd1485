//! Text on a terminal that is redrawn in place.

use std::{fmt::Write as _, io};

use super::term::say;

/// Text on a terminal that is replaced by its next state.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    drawn: usize,
}

impl Screen {
    /// Draws over what was drawn before. The first line and as many of the last ones as there is room for are shown.
    pub(crate) fn draw(&mut self, text: &str) -> anyhow::Result<()> {
        let size = rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_row));
        // A terminal that does not know its size says 0.
        let rows = if size == 0 { 24 } else { size.max(4) };
        let lines = fitting(text, rows - 1);
        // Without wrapping a long line is cut and takes one row.
        let mut frame = String::from("\x1b[?7l\r");
        if self.drawn > 0 {
            let _ = write!(frame, "\x1b[{}A", self.drawn);
        }
        for line in &lines {
            frame.push_str(line);
            frame.push_str("\x1b[K\n");
        }
        frame.push_str("\x1b[J\x1b[?7h");
        self.drawn = lines.len();
        say(&frame)
    }
}

/// The first line and the last ones, `most` together.
fn fitting(text: &str, most: usize) -> Vec<&str> {
    let lines: Vec<_> = text.lines().collect();
    match lines.split_first() {
        Some((first, rest)) if lines.len() > most => {
            let kept = &rest[rest.len() - most.saturating_sub(1)..];
            std::iter::once(*first).chain(kept.iter().copied()).collect()
        }
        _ => lines,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_loses_its_middle() {
        assert_eq!(fitting("head\n1\n2\n3\n", 3), ["head", "2", "3"]);
        assert_eq!(fitting("head\n1", 3), ["head", "1"]);
    }
}
