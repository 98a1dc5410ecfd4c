//! Reads a cast: a CSV or a folder of character art.
//!
//! An error of the whole cast is one [`CastError`]; errors of single rows are collected, all at once, in
//! [`Cast::bad_rows`]. Each says where it is, what is wrong, and what to do. Only the CSV and folders are opened:
//! images are inspected by the next stage.
//!
//! A CSV needs the columns `name` and `image` and may have `kind`, `approve`, `consent` and `note`; all others are
//! carried to the manifest. `character` and `look` together stand for the name, and group the looks of a character. It is UTF-8 with or without a byte-order mark, separated by commas, semicolons or tabs.

mod character;
mod characters;
mod copy_name;
mod csv;
mod encoding;
mod error;
mod folder;
mod header;
mod name;
mod spreadsheet;
mod image_resolver;
mod look;
#[cfg(test)]
mod tests;
mod unique;

use std::path::{Path, PathBuf};

pub use crate::util::text::{DisallowedChar, printable};
pub use character::{Character, Kind, ParseKindError, Source};
pub use characters::Characters;
pub use error::{CastError, RowError};
pub use folder::PICTURE_EXTENSIONS;
pub use look::{LOOK_COLUMNS, Look, together};
pub use name::{MAX_NAME_CHARS, Name, NameError, NameKey};

/// A cast that was read.
#[derive(Debug, Clone)]
pub struct Cast {
    /// The CSV or the folder.
    pub path: PathBuf,
    /// The folder that holds the images: the CSV's, or `path` itself.
    pub root: PathBuf,
    /// The valid characters, in the order of the file, or of the paths in a folder. Their names are unique.
    pub characters: Characters,
    /// Errors of the other rows, from top to bottom; a row may have several, one for each mistake.
    pub bad_rows: Vec<RowError>,
}

/// Reads `image=Portrait`: castline's column, and the header that is used for it.
///
/// # Errors
/// What is wrong, and what to write instead.
pub fn column_mapping(text: &str) -> Result<(String, String), String> {
    let pair = text
        .split_once('=')
        .map(|(known, header)| (known.trim().to_lowercase(), header.trim().to_owned()));
    match pair {
        Some((known, header)) if header::is_known(&known) && !header.is_empty() => Ok((known, header)),
        _ => Err(format!(
            "{text:?}: write COLUMN=HEADER, such as image=Portrait; COLUMN is name, image, character, look, kind, approve, \
             consent or note"
        )),
    }
}

/// Which files may belong to a cast.
#[derive(Debug, Clone, Default)]
pub struct CastOptions {
    /// Whether images may be outside the cast's folder, through `..`, links or absolute paths.
    pub allow_outside: bool,
    /// In a folder, only use files that match one of these patterns; empty for all. As in `.gitignore`: `*.png`,
    /// `heroes/`, `act1/*.webp`.
    pub include: Vec<String>,
    /// In a folder, skip files that match one of these patterns.
    pub exclude: Vec<String>,
    /// Which of a CSV's headers stand for castline's columns: `("image", "Portrait")`.
    pub columns: Vec<(String, String)>,
    /// In a folder, take a subfolder for a character and its images for looks: `Alice/winter.png` is `Alice, winter`.
    pub looks: bool,
}

/// The path that means a CSV on standard input.
pub const STDIN: &str = "-";

/// Reads the CSV or the folder at `path`, or the CSV on standard input.
///
/// # Errors
/// The whole cast is unreadable: no such path, not UTF-8, a header without a required column, no characters.
pub fn read(path: &Path, options: &CastOptions) -> Result<Cast, CastError> {
    if path == Path::new(STDIN) {
        return csv::read_stdin(options);
    }
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => folder::read(path, options),
        Ok(_) if folder::is_picture(path) => folder::read_one(path),
        Ok(_) => csv::read(path, options),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(CastError::NotFound(path.to_owned()))
        }
        Err(error) => Err(CastError::Unreadable {
            path: path.to_owned(),
            error,
        }),
    }
}
