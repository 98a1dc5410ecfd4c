//! Makes untrusted text fit for terminals, ledgers and reports.

/// How many characters of a message are kept.
const LONGEST: usize = 300;

/// Cleans text of a reply or of a library: one line, limited in length, without control, bidi or invisible characters,
/// without the queries of addresses (which may be signatures), and without anything that looks like an API key.
pub(super) fn clean(text: &str) -> String {
    // Masked before it is shortened: half a secret is still a secret.
    let masked = mask(text);
    let mut kept = String::new();
    let words = masked
        .split(|c: char| c.is_whitespace() || c.is_control())
        .map(|word| word.chars().filter(|&c| !invisible(c)).collect::<String>())
        .filter(|word| !word.is_empty());
    for word in words {
        if !kept.is_empty() {
            kept.push(' ');
        }
        kept.push_str(&word);
    }
    match kept.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &kept[..end]),
        None => kept,
    }
}

/// Whether a character is invisible or changes the text around it: zero-width and bidi marks, separators, tags, and
/// noncharacters.
fn invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{fffd}' | '\u{e0000}'..='\u{e007f}')
}

/// Masks what may be secret: the query of an address, and keys that begin with `sk-`.
fn mask(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    let end = |s: &str| {
        s.find(|c: char| c.is_whitespace() || c.is_control() || "\"'<>`".contains(c))
            .unwrap_or(s.len())
    };
    while let Some(at) = [rest.find("://"), rest.find("sk-")].into_iter().flatten().min() {
        let (before, from) = rest.split_at(at);
        kept.push_str(before);
        let (token, after) = from.split_at(end(from));
        if token.starts_with("sk-") {
            // "risk-free" is a word, not a key.
            let inside = before.ends_with(|c: char| c.is_ascii_alphanumeric());
            kept.push_str(if inside || token.len() < 8 {
                token
            } else {
                "sk-***"
            });
        } else {
            match token.find(['?', '#']) {
                Some(query) => {
                    kept.push_str(&token[..query]);
                    kept.push_str("?…");
                }
                None => kept.push_str(token),
            }
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_would_disturb_a_terminal_is_gone() {
        assert_eq!(clean("a\u{1b}[31mb\r\n c\u{202e}d\u{200b}\u{7}"), "a [31mb cd");
        assert_eq!(clean("  Ünïcödé 東京  "), "Ünïcödé 東京");
        let long = clean(&"é".repeat(1000));
        assert_eq!(long.chars().count(), LONGEST + 1);
    }

    #[test]
    fn signatures_and_keys_are_gone() {
        for (text, expected) in [
            (
                "no image at https://b.example/k.jpg?X-Amz-Signature=canary, sorry",
                "no image at https://b.example/k.jpg?… sorry",
            ),
            (
                r#"{"url":"https://b.example/k?canary","key":"sk-canary01"}"#,
                r#"{"url":"https://b.example/k?…","key":"sk-***"}"#,
            ),
            ("a risk-free task", "a risk-free task"),
            ("https://b.example/plain.jpg", "https://b.example/plain.jpg"),
        ] {
            assert_eq!(clean(text), expected);
        }
    }

    proptest! {
        #[test]
        fn cleaning_is_final_and_never_long(text in ".{0,600}") {
            let once = clean(&text);
            prop_assert!(once.chars().count() <= LONGEST + 1);
            prop_assert!(!once.chars().any(|c| c.is_control() || invisible(c)));
        }

        #[test]
        fn no_query_survives(before in "\\PC{0,40}", query in "[a-zA-Z0-9=&%-]{12,60}") {
            let text = format!("{before} https://host.example/path?{query} after");
            prop_assert!(!clean(&text).contains(&query));
        }
    }
}
