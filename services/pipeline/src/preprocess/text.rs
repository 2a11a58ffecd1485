//! Words and runs of words.

/// The words of a text: runs of letters and digits, in lower case.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// All runs of one to `longest` words.
pub(super) fn runs(text: &str, longest: u32) -> Vec<String> {
    let words = words(text);
    (1..=words.len().min(longest as usize))
        .flat_map(|length| words.windows(length).map(|run| run.join(" ")).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_words_pairs_and_so_on() {
        assert_eq!(runs("Good, very good", 2), ["good", "very", "good", "good very", "very good"]);
        assert_eq!(runs("", 3), [""; 0]);
        assert_eq!(runs("one two", u32::MAX), ["one", "two", "one two"]);
    }
}
