//! Detects a damaged database file.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use super::LedgerError;

/// Checks the file's structure for damage.
pub(super) fn quick_check(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    let answer: String = pragma(connection, path, "quick_check(1)")?;
    if answer == "ok" {
        Ok(())
    } else {
        Err(damaged(path, &answer))
    }
}

/// The value of a pragma; a file that is not a database is reported as damaged.
pub(super) fn pragma<T: rusqlite::types::FromSql>(
    connection: &Connection,
    path: &Path,
    name: &str,
) -> Result<T, LedgerError> {
    connection
        .query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
        .map_err(|error| match &error {
            rusqlite::Error::SqliteFailure(failure, _)
                if matches!(failure.code, ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) =>
            {
                damaged(path, &error.to_string())
            }
            _ => error.into(),
        })
}

/// The error of a damaged file.
pub(super) fn damaged(path: &Path, problem: &str) -> LedgerError {
    LedgerError::Damaged {
        place: path.into(),
        problem: problem.to_owned(),
    }
}
