//! Wraps lines for a terminal: between words, never within a path or a command that the user may copy.

use console::Term;
use textwrap::{Options, WordSeparator, WordSplitter};

/// `text` wrapped to fit `term`, with `indent` before every line but the first; unchanged if `term` is not a terminal.
pub(crate) fn wrap(term: &Term, text: &str, indent: &str) -> String {
    match term.is_term() {
        true => fill(text, usize::from(term.size().1), "", indent),
        false => text.to_owned(),
    }
}

/// `text` in lines of at most `columns` columns, unless a single word is longer.
pub(crate) fn fill(text: &str, columns: usize, first: &str, indent: &str) -> String {
    let options = Options::new(columns)
        .initial_indent(first)
        .subsequent_indent(indent)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .break_words(false);
    textwrap::fill(text, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_alone() {
        let text =
            "bad row: line 2: fix it, or continue with --skip-invalid and /some/long-path/of/an-image.png";
        let message = fill(text, 30, "", "  ");
        assert_eq!(
            message,
            "bad row: line 2: fix it, or\n  continue with --skip-invalid\n  and\n  /some/long-path/of/an-image.png"
        );
    }

    #[test]
    fn colours_take_no_room() {
        let red = console::style("bad row:").red().force_styling(true);
        assert_eq!(
            fill(&format!("{red} line 2"), 16, "", ""),
            format!("{red} line 2")
        );
    }
}
