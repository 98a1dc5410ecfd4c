//! The tables: made, migrated, and recognized.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use super::LedgerError;

/// `CAST` in ASCII: marks the file as a ledger of castline.
const APPLICATION: i64 = 0x4341_5354;
/// One script per schema, the oldest first; a ledger of schema *n* is brought forward by those after it.
const SCRIPTS: &[&str] = &[include_str!("001.sql")];

/// What a new ledger is.
pub(super) struct Identity<'a> {
    pub(super) provider: &'a str,
    pub(super) sandbox: bool,
}

/// Makes the tables, or brings those of an older schema forward, in one transaction.
pub(super) fn prepare(
    connection: &mut Connection,
    path: &Path,
    identity: &Identity<'_>,
) -> Result<(), LedgerError> {
    let pages: i64 = pragma(connection, path, "page_count")?;
    let fresh = pages == 0;
    let version = if fresh { 0 } else { version(connection, path)? };
    let scripts = SCRIPTS.get(version as usize..).unwrap_or_default();
    if scripts.is_empty() {
        return Ok(());
    }
    if !fresh {
        let copy = super::lock::beside(path, &format!("schema{version}.backup"));
        std::fs::copy(path, &copy).map_err(|error| LedgerError::Io { path: copy, error })?;
    }
    let transaction = connection.transaction()?;
    for script in scripts {
        transaction.execute_batch(script)?;
    }
    if fresh {
        let mut secret = [0u8; 32];
        getrandom::fill(&mut secret).map_err(|e| LedgerError::Io {
            path: path.to_owned(),
            error: std::io::Error::other(e.to_string()),
        })?;
        let now = jiff::Timestamp::now().to_string();
        transaction.execute(
            "INSERT INTO ledger (provider, sandbox, key_secret, created_at) VALUES (?1, ?2, ?3, ?4)",
            (identity.provider, identity.sandbox, secret, now),
        )?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
    }
    transaction.pragma_update(None, "user_version", SCRIPTS.len() as i64)?;
    transaction.commit()?;
    Ok(())
}

/// Provider, and whether it is the sandbox's.
pub(super) fn identity(connection: &Connection, path: &Path) -> Result<(String, bool), LedgerError> {
    version(connection, path)?;
    connection
        .query_row("SELECT provider, sandbox FROM ledger", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(|e| damaged(path, &e.to_string()))
}

/// Notices damage of the file's structure.
pub(super) fn quick_check(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    let answer: String = pragma(connection, path, "quick_check(1)")?;
    if answer == "ok" {
        Ok(())
    } else {
        Err(damaged(path, &answer))
    }
}

/// The schema of a ledger; refuses files that are none, and those of the future.
fn version(connection: &Connection, path: &Path) -> Result<i64, LedgerError> {
    let application: i64 = pragma(connection, path, "application_id")?;
    if application != APPLICATION {
        return Err(damaged(path, "it is no ledger of castline"));
    }
    let schema: i64 = pragma(connection, path, "user_version")?;
    if schema > SCRIPTS.len() as i64 {
        return Err(LedgerError::Newer {
            path: path.to_owned(),
            schema,
        });
    }
    Ok(schema)
}

fn pragma<T: rusqlite::types::FromSql>(
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

fn damaged(path: &Path, problem: &str) -> LedgerError {
    LedgerError::Damaged {
        path: path.to_owned(),
        problem: problem.to_owned(),
    }
}
