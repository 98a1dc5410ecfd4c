//! What can be wrong with a cast: the whole of it, or one row.

use std::fmt;
use std::path::PathBuf;

use crate::util::text::printable;

/// The cast as a whole can't be read. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum CastError {
    /// There is no such file or folder.
    #[error("{}: there is no such file or folder — name a CSV or a folder of images", .0.display())]
    NotFound(PathBuf),
    /// The file or the folder can't be opened.
    #[error("{}: can't be read: {error} — check that you may read it", .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A spreadsheet, an image or anything else that is no text.
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
        /// The word in question, if it makes sense in Windows-1252.
        guess: Option<String>,
    },
    /// The header lacks a column, or holds one twice.
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
    /// Nobody is in it.
    #[error("{}: {what} — {hint}", .path.display())]
    Empty {
        /// The file or folder.
        path: PathBuf,
        /// What is not there.
        what: &'static str,
        /// What to do.
        hint: String,
    },
    /// An include or exclude pattern that is none.
    #[error("{pattern:?} is not a pattern for files: {problem} — write one such as \"*.png\" or \"drafts/\"")]
    Glob {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// One row of a CSV, or one image of a folder, that can't be used. `Display` gives one line:
/// where, what, and after a dash the mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The line of the CSV on which the row begins, counted from 1; `None` in a folder.
    pub line: Option<u64>,
    /// The column, by its header in the documentation: `name`, `image`, `kind` … or `row`.
    pub field: &'static str,
    /// The name as the row gives it, if it gives one.
    pub name: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What a person can do about it.
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
