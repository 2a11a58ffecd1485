//! Figures and foreign words, as the page shows them.

use jiff::Timestamp;

/// Foreign text: nothing in it is taken for the page's own.
pub(super) fn esc(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// A number with about three digits that say something.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e6).contains(&size) {
        return format!("{value:.1e}");
    }
    let digits = if size >= 100.0 {
        0
    } else if size >= 10.0 {
        1
    } else if size >= 1.0 {
        2
    } else {
        3
    };
    let text = format!("{value:.digits$}");
    if digits == 0 { grouped(&text) } else { text }
}

/// A metric: four digits, so that columns of them stand below each other.
pub(super) fn metric(value: f64) -> String {
    format!("{value:.4}")
}

/// A difference, with its sign.
pub(super) fn signed(value: f64) -> String {
    format!("{value:+.4}").replace('-', "−")
}

/// A share.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A count, in groups of three digits.
pub(super) fn count(count: u64) -> String {
    grouped(&count.to_string())
}

fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("−", digits));
    let mut text = String::new();
    for (n, c) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(c);
    }
    format!("{sign}{text}")
}

/// A chance.
pub(super) fn chance(p: f64) -> String {
    if p < 1e-4 { "p < 0.0001".to_owned() } else { format!("p = {p:.4}") }
}

/// A moment.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The beginning of a key.
pub(super) fn short(key: &str) -> String {
    esc(&key.chars().take(10).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        assert_eq!(esc("<script>\"a\" & 'b'\u{1b}"), "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39; ");
    }

    #[test]
    fn numbers_are_short_and_counts_grouped() {
        let shown: Vec<_> = [0.0, 0.12345, 1.5, 41.26, 123.4, 1_234_567.0, 0.000_01, -52_000.0].map(number).into();
        assert_eq!(shown, ["0", "0.123", "1.50", "41.3", "123", "1.2e6", "1.0e-5", "−52\u{202f}000"]);
        assert_eq!((count(1_234_567), count(12)), ("1\u{202f}234\u{202f}567".into(), "12".into()));
        assert_eq!((signed(-0.01), signed(0.01)), ("−0.0100".into(), "+0.0100".into()));
    }
}
