//! Reads a cast: a CSV or a folder of character art.
//!
//! What is wrong with the whole of it is one [`CastError`]; what is wrong with single rows is collected, all of
//! it at once, in [`Cast::bad_rows`]. Each tells where, what, and what to do. Nothing is opened but the CSV and
//! the folders: looking at images is the next station's work.
//!
//! A CSV needs the columns `name` and `image` and may have `kind`, `approve`, `consent` and `note`; all others are
//! carried to the manifest. It is UTF-8 with or without byte-order mark, with commas, semicolons or tabs.

mod character;
mod csv;
mod encoding;
mod error;
mod folder;
mod header;
mod name;
mod image_resolver;
#[cfg(test)]
mod tests;
mod unique;

use std::path::{Path, PathBuf};

pub use crate::util::text::{DisallowedChar, printable};
pub use character::{Character, Kind, ParseKindError, Source};
pub use error::{CastError, RowError};
pub use folder::PICTURE_EXTENSIONS;
pub use name::{MAX_NAME_CHARS, Name, NameError, NameKey};

/// A cast that was read.
#[derive(Debug, Clone)]
pub struct Cast {
    /// The CSV or the folder.
    pub path: PathBuf,
    /// The folder that holds the images: the CSV's, or `path` itself.
    pub root: PathBuf,
    /// Whoever can go on, in the order of the file, or of the paths in a folder. Their names are unique.
    pub characters: Vec<Character>,
    /// Whatever can't, from top to bottom; a row may be told several times, once for each mistake.
    pub bad_rows: Vec<RowError>,
}

/// What may belong to a cast.
#[derive(Debug, Clone, Default)]
pub struct CastOptions {
    /// Whether images may lie outside of the cast's folder, by `..`, by links or by absolute paths.
    pub allow_outside: bool,
    /// Of a folder, only files that match one of these patterns; empty for all. As in `.gitignore`: `*.png`,
    /// `heroes/`, `act1/*.webp`.
    pub include: Vec<String>,
    /// Of a folder, no files that match one of these.
    pub exclude: Vec<String>,
}

/// Reads the CSV or the folder at `path`.
///
/// # Errors
/// When the whole cast is unreadable: no such path, not UTF-8, a header that lacks a column, nobody in it.
pub fn read(path: &Path, options: &CastOptions) -> Result<Cast, CastError> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => folder::read(path, options),
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
