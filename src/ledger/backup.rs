//! Copies a ledger.

use std::path::Path;

use rusqlite::Connection;

use super::LedgerError;
use super::identity::create_private;
use super::integrity::quick_check;

/// Copies a ledger, including the contents of its log, over `target`.
pub(super) fn copy(connection: &Connection, target: &Path) -> Result<(), LedgerError> {
    replace(target, |beside| {
        create_private(beside)?;
        let mut copy = Connection::open(beside)?;
        rusqlite::backup::Backup::new(connection, &mut copy)?.run_to_completion(
            1000,
            std::time::Duration::ZERO,
            None,
        )?;
        copy.pragma_update(None, "journal_mode", "DELETE")?;
        quick_check(&copy, target)
    })
}

/// Replaces `target` by the file that `write` makes in the same folder, once that is complete and durable.
pub(super) fn replace(
    target: &Path,
    write: impl FnOnce(&Path) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    let io = |error| LedgerError::Io {
        path: target.to_owned(),
        error,
    };
    let folder = target.parent().filter(|p| !p.as_os_str().is_empty());
    // A folder of its own, for the user alone: SQLite keeps a journal beside a file.
    let beside = tempfile::Builder::new()
        .prefix(".castline")
        .tempdir_in(folder.unwrap_or(Path::new(".")))
        .map_err(io)?;
    let file = beside.path().join("ledger.db");
    write(&file)?;
    std::fs::File::options()
        .write(true)
        .open(&file)
        .and_then(|file| file.sync_all())
        .map_err(io)?;
    std::fs::rename(&file, target).map_err(io)
}
