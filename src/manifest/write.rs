//! Writes a file atomically: a temporary one beside it, synced, then renamed.

use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use super::{Manifest, ManifestError, ManifestFormat, render};
use crate::util::fs::{write_atomic, write_atomic_with};

/// Writes a manifest to `path`.
///
/// # Errors
/// The file can't be written; an existing one is left unchanged.
pub fn write_file(path: &Path, manifest: &Manifest, format: ManifestFormat) -> Result<(), ManifestError> {
    if format == ManifestFormat::Json {
        return write_json_file(path, manifest);
    }
    let bytes = render(manifest, format)?;
    write_atomic(path, &bytes).map_err(|error| io(path, error))
}

/// Writes a manifest to `path` in its full JSON form, as its characters are read.
///
/// # Errors
/// They can't be read, or the file can't be written; an existing one is left unchanged.
pub fn write_json_file<C: Serialize>(path: &Path, manifest: &Manifest<C>) -> Result<(), ManifestError> {
    write_atomic_with(path, |out| write_json(out, manifest)).map_err(|error| io(path, error))
}

/// Writes a manifest in its full JSON form, as its characters are read.
///
/// # Errors
/// They can't be read, or not be written.
pub fn write_json<C: Serialize>(out: &mut dyn Write, manifest: &Manifest<C>) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, out);
    serde_json::to_writer_pretty(&mut out, manifest)?;
    out.write_all(b"\n")?;
    out.flush()
}

fn io(path: &Path, error: std::io::Error) -> ManifestError {
    let path = path.display().to_string();
    ManifestError::Io { path, error }
}
