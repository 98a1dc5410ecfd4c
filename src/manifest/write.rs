//! Writes a file atomically: a temporary one beside it, synced, then renamed.

use std::path::Path;

use super::{Manifest, ManifestError, ManifestFormat, render};

/// Writes a manifest to `path`.
///
/// # Errors
/// The file can't be written; an existing one is left unchanged.
pub fn write_file(path: &Path, manifest: &Manifest, format: ManifestFormat) -> Result<(), ManifestError> {
    let bytes = render(manifest, format)?;
    crate::util::fs::write_atomic(path, &bytes).map_err(|error| ManifestError::Io {
        path: path.display().to_string(),
        error,
    })
}
