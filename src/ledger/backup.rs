//! Copies a ledger.

use std::path::Path;

use rusqlite::Connection;

use super::LedgerError;
use super::integrity::quick_check;

/// Copies a ledger, including the contents of its log, over `target`.
pub(super) fn copy(connection: &Connection, target: &Path) -> Result<(), LedgerError> {
    let io = |error| LedgerError::Io {
        path: target.to_owned(),
        error,
    };
    let folder = target.parent().filter(|p| !p.as_os_str().is_empty());
    let beside = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(io)?;
    {
        let mut copy = Connection::open(beside.path())?;
        rusqlite::backup::Backup::new(connection, &mut copy)?.run_to_completion(
            1000,
            std::time::Duration::ZERO,
            None,
        )?;
        copy.pragma_update(None, "journal_mode", "DELETE")?;
        quick_check(&copy, target)?;
    }
    beside.as_file().sync_all().map_err(io)?;
    beside.persist(target).map_err(|e| io(e.error))?;
    Ok(())
}
