//! Characters that are invisible or change how others are displayed, and text for the terminal.

use std::fmt;

/// Why a character is not allowed in a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisallowedChar {
    /// C0, C1 and DEL: they control terminals and break lines.
    Control,
    /// Marks that change the text direction: they can make one name look like another.
    Bidi,
    /// Zero-width and filler characters: two names would look the same.
    Invisible,
    /// U+FFFD: the original character was lost when the text was saved.
    Replacement,
}

impl fmt::Display for DisallowedChar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "a control character",
            Self::Bidi => "an invisible mark that changes the text direction",
            Self::Invisible => "an invisible character",
            Self::Replacement => "a letter that was lost when the text was saved",
        })
    }
}

/// Whether `c` is a joiner or variation selector: invisible by itself, but needed by Persian, Indic scripts, Japanese
/// names and emoji.
pub(crate) fn is_joiner_or_selector(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}

/// Why `c` is not allowed in a name; `None` if it is.
pub(crate) fn disallowed(c: char) -> Option<DisallowedChar> {
    match c {
        c if c.is_control() => Some(DisallowedChar::Control),
        // Unicode's Bidi_Control, and its deprecated relatives.
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{206F}' => {
            Some(DisallowedChar::Bidi)
        }
        // Default_Ignorable_Code_Point except joiners and variation selectors; line separators; blank letters.
        '\u{00AD}'
        | '\u{034F}'
        | '\u{115F}'
        | '\u{1160}'
        | '\u{17B4}'
        | '\u{17B5}'
        | '\u{180B}'..='\u{180F}'
        | '\u{200B}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{2060}'..='\u{2065}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{FEFF}'
        | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFFB}'
        | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E00FF}'
        | '\u{E01F0}'..='\u{E0FFF}' => Some(DisallowedChar::Invisible),
        '\u{FFFD}' => Some(DisallowedChar::Replacement),
        _ => None,
    }
}

/// `text` made safe for a terminal: on one line, with `�` in place of every character that controls the terminal,
/// changes the text direction or is invisible.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
            c if disallowed(c).is_some() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

/// A count with its noun: `1 character`, `2 characters`. `one` is the singular; the plural adds an s.
pub fn pluralize(count: impl TryInto<u64>, one: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_terminal_gets_no_escape_sequence_and_no_turned_text() {
        assert_eq!(printable("Ana\u{1B}[2J"), "Ana�[2J");
        assert_eq!(printable("gpj.\u{202E}Ana\u{9B}1m"), "gpj.�Ana�1m");
        assert_eq!(printable("one\r\ntwo\tthree"), "one  two three");
    }

    #[test]
    fn what_people_write_stays() {
        for text in ["Zoë", "می‌خواهم", "👩‍🚀", "Đặng Thị", "O'Brien \"Bo\"", "⚔\u{FE0F}"]
        {
            assert_eq!(printable(text), text);
        }
    }

    proptest! {
        #[test]
        fn nothing_printable_is_unfit(text in any::<String>()) {
            let shown = printable(&text);
            prop_assert!(!shown.chars().any(|c| matches!(disallowed(c), Some(DisallowedChar::Control | DisallowedChar::Bidi))));
            prop_assert_eq!(printable(&shown), shown);
        }
    }

    #[test]
    fn one_is_not_several() {
        let message = [0usize, 1, 2].map(|count| pluralize(count, "bad row"));
        assert_eq!(message, ["0 bad rows", "1 bad row", "2 bad rows"]);
    }
}
