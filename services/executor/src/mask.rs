//! What must not stand in a log that is kept: the values of variables that look like secrets, and what looks like one by itself.

/// What stands in the place of a secret.
const MASK: &str = "***";

/// A shorter value is too common a text to be taken out everywhere.
const SHORTEST: usize = 6;

/// Words in the name of a variable whose value is a secret.
const NAMES: [&str; 9] = ["SECRET", "TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "APIKEY", "API_KEY", "PRIVATE"];

/// How tokens of well-known makers begin.
const TOKENS: [&str; 11] = ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "eyJ"];

/// The shortest of these.
const SHORTEST_TOKEN: usize = 16;

/// Whether the value of a variable of that name is a secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    NAMES.iter().any(|word| name.contains(word)) || name.ends_with("_KEY") || name == "KEY"
}

/// The text without these values, without tokens, passwords in addresses and private keys.
pub(crate) fn masked<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let mut secrets: Vec<_> = secrets.into_iter().map(str::trim).filter(|secret| secret.len() >= SHORTEST).collect();
    // The longer first: one may be a part of another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let text = secrets.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, MASK));
    let mut inside_key = false;
    let lines = text.split_inclusive('\n').map(|line| {
        let begins = line.contains("-----BEGIN ") && line.contains("PRIVATE KEY-----");
        let was_inside = inside_key;
        inside_key = (was_inside || begins) && !line.contains("-----END ");
        if was_inside || begins { format!("{MASK}{}", if line.ends_with('\n') { "\n" } else { "" }) } else { line_of(line) }
    });
    lines.collect()
}

fn line_of(line: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut masked = String::with_capacity(line.len());
    let mut rest = line;
    while !rest.is_empty() {
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        let is_token = word.len() >= SHORTEST_TOKEN && TOKENS.iter().any(|token| word.starts_with(token));
        masked.push_str(if is_token { MASK } else { word });
        let next = after.chars().next().map_or(0, char::len_utf8);
        masked.push_str(&after[..next]);
        rest = &after[next..];
    }
    without_password(&masked)
}

/// `https://user:password@host` without the password.
fn without_password(line: &str) -> String {
    let Some((before, after)) = line.split_once("://") else { return line.to_owned() };
    let authority = after.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'')).unwrap_or(after.len());
    let shown = match after[..authority].rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
        Some((user, host)) => format!("{user}:{MASK}@{host}"),
        None => after[..authority].to_owned(),
    };
    format!("{before}://{shown}{}", without_password(&after[authority..]))
}

/// How much of a log is kept.
pub(crate) const KEPT: usize = 64 << 10;

/// The last `most` bytes of a text, from the beginning of a line where there is one.
pub(crate) fn tail(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let cut = &text[text.ceil_char_boundary(text.len() - most)..];
    cut.split_once('\n').map_or(cut, |(_, lines)| lines)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_not_kept() {
        for (text, kept) in [
            ("login hunter2hunter2 ok\n", "login *** ok\n"),
            ("GITHUB_TOKEN=ghp_0123456789abcdef0123\n", "GITHUB_TOKEN=***\n"),
            ("Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc\n", "Authorization: Bearer ***\n"),
            ("cloning https://me:s3cret@git.example/a and http://b/c", "cloning https://me:***@git.example/a and http://b/c"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nafter", "***\n***\n***\nafter"),
            ("eyJ is short, ghp_ too, and a@b:c is no address", "eyJ is short, ghp_ too, and a@b:c is no address"),
        ] {
            assert_eq!(masked(text, ["hunter2hunter2", "a"]), kept);
        }
    }

    #[test]
    fn a_variable_is_secret_by_its_name() {
        for name in ["NPM_TOKEN", "db_password", "AWS_SECRET_ACCESS_KEY", "Api_Key", "SIGNING_KEY"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["PATH", "KEYBOARD", "MONKEY", "BUILD"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn the_end_of_a_log_begins_with_a_whole_line() {
        assert_eq!(tail("one\ntwo\nthree\n", 8), "three\n");
        assert_eq!(tail("short", 64), "short");
        assert_eq!(tail("ééééé", 5), "éé");
    }

    proptest! {
        #[test]
        fn no_secret_value_survives(before in ".{0,20}", secret in "[a-z0-9]{6,20}", after in ".{0,20}") {
            let text = format!("{before}{secret}{after}");
            let kept = masked(&text, [secret.as_str()]);
            prop_assert!(!kept.contains(&secret), "{}", kept);
        }

        #[test]
        fn any_text_can_be_masked_and_cut(text in ".{0,200}", most in 0usize..100) {
            let masked = masked(&text, []);
            prop_assert!(tail(&masked, most).len() <= most);
        }
    }
}
