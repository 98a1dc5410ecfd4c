//! Reads the image files of a cast.

use std::path::Path;

/// The maximum size of a source file in bytes. Larger ones are refused unread.
const MAX_SOURCE_BYTES: u64 = 256 << 20;

/// Reads a source file, unless it is too large.
///
/// # Errors
/// A message for the user why it can't be read.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    let message = |e: std::io::Error| format!("{}: {e}", path.display());
    let file = std::fs::metadata(path).map_err(message)?;
    if !file.is_file() {
        return Err(format!("{}: it is not a regular file", path.display()));
    }
    let length = file.len();
    if length > MAX_SOURCE_BYTES {
        return Err(format!(
            "the file has {length} bytes; the maximum is {MAX_SOURCE_BYTES}"
        ));
    }
    std::fs::read(path).map_err(message)
}
