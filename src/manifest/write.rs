//! A file that is never half there: a temporary one beside it, synced, then renamed.

use std::io::Write;
use std::path::Path;

use super::{Manifest, ManifestError, ManifestFormat, render};

/// Writes a manifest to `path`.
///
/// # Errors
/// The file can't be written; one that was there stays as it was.
pub fn write_file(path: &Path, manifest: &Manifest, format: ManifestFormat) -> Result<(), ManifestError> {
    let bytes = render(manifest, format)?;
    durable(path, &bytes).map_err(|error| ManifestError::Io {
        path: path.display().to_string(),
        error,
    })
}

fn durable(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".manifest").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The rename itself is durable once the folder is; only Unix opens folders.
    #[cfg(unix)]
    std::fs::File::open(folder)?.sync_all()?;
    Ok(())
}
