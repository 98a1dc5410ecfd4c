//! Errors of a cast as a whole, or of one row.

use std::fmt;
use std::path::PathBuf;

use crate::util::text::printable;

/// Why a cast as a whole can't be read. Each message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum CastError {
    /// There is no such file or folder.
    #[error("{}: no such file or folder — pass a CSV or a folder of images", .0.display())]
    NotFound(PathBuf),
    /// The file or the folder can't be opened.
    #[error("{}: can't be read: {error} — check its permissions", .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// A spreadsheet, an image or another file that is not text.
    #[error("{}: {what}, not a CSV — {hint}", .path.display())]
    NotCsv {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// Text in another encoding.
    #[error(
        "{}: line {line} is not UTF-8{} — save the file as UTF-8 (in Excel: \"CSV UTF-8\")",
        .path.display(), .guess.as_ref().map_or_else(String::new, |g| format!(" (in Windows-1252 it would read \"{g}\")"))
    )]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The first line that is not UTF-8, counted from 1.
        line: u64,
        /// The affected word decoded as Windows-1252, if that gives a word.
        guess: Option<String>,
    },
    /// The header lacks a column, or has one twice.
    #[error("{}: line {line}: {problem} — {hint}", .path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// The line of the header.
        line: u64,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// The cast has no characters.
    #[error("{}: {what} — {hint}", .path.display())]
    Empty {
        /// The file or folder.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
        /// What to do.
        hint: String,
    },
    /// An invalid include or exclude pattern.
    #[error("{pattern:?} is not a valid file pattern: {problem} — use one such as \"*.png\" or \"drafts/\"")]
    Glob {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// One row of a CSV, or one image of a folder, that can't be used. `Display` gives one line:
/// where, what, and after a dash how to fix it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The line of the CSV on which the row begins, counted from 1; `None` in a folder.
    pub line: Option<u64>,
    /// The column, by its documented header: `name`, `image`, `kind` … or `row`.
    pub field: &'static str,
    /// The name in the row, if it has one.
    pub name: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}, ")?;
        }
        write!(
            f,
            "{}: {} — {}",
            self.field,
            printable(&self.problem),
            printable(&self.hint)
        )
    }
}
