//! Bytes as people read them: offset, hex, and what of them is text.

use std::fmt::Write as _;

const ROW: usize = 16;

/// A hex dump, 16 bytes per line.
pub(super) fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (n, row) in bytes.chunks(ROW).enumerate() {
        let hex: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown: String = row.iter().map(|&b| if b.is_ascii_graphic() || b == b' ' { char::from(b) } else { '.' }).collect();
        // A string takes whatever is written to it.
        let _ = writeln!(text, "{:08x}  {:<width$}  |{shown}|", n * ROW, hex.join(" "), width = ROW * 3 - 1);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_sixteen_bytes_and_their_text() {
        let bytes: Vec<u8> = (b'a'..=b'q').chain([0xff]).collect();
        assert_eq!(
            dump(&bytes),
            "00000000  61 62 63 64 65 66 67 68 69 6a 6b 6c 6d 6e 6f 70  |abcdefghijklmnop|\n\
             00000010  71 ff                                            |q.|\n"
        );
    }
}
