//! The tables in PostgreSQL: creation, migration, and opening.

use super::super::database::{Database, Postgres, values};
use super::super::server::Server;
use super::super::{LedgerError, Place};
use super::{Identity, secret};

/// One script per schema, the oldest first.
const SCRIPTS: &[&str] = &[include_str!("postgres/001.sql"), include_str!("postgres/002.sql")];
/// The lock under which a ledger is created or migrated: `CAST` in ASCII.
const LOCK: i64 = 0x4341_5354;

/// Opens a ledger to read it; `None` if there is none.
///
/// # Errors
/// The server can't be reached, or the ledger was written by a newer castline, or by an older one.
pub(in super::super) fn open(server: &Server) -> Result<Option<Database>, LedgerError> {
    let database = Database::Postgres(Postgres::connect(server)?);
    match version(&database, server)? {
        None => Ok(None),
        Some(version) if version == SCRIPTS.len() as i64 => Ok(Some(database)),
        Some(version) => Err(LedgerError::Older {
            place: Place::Postgres(server.clone()),
            schema: version,
        }),
    }
}

/// Opens a ledger to write it: creates its tables, or migrates those of an older schema, in one transaction.
///
/// # Errors
/// The server can't be reached or refuses, a pooler is in between, or the ledger was written by a newer castline.
pub(in super::super) fn prepare(server: &Server, identity: &Identity<'_>) -> Result<Database, LedgerError> {
    let database = Database::Postgres(server.connect_to_write()?);
    database.transaction(|database| {
        // pg_advisory_xact_lock returns nothing that can be read.
        let lock = format!("SELECT true FROM (SELECT pg_advisory_xact_lock({LOCK})) locked");
        database.one(&lock, values![], |_| Ok(()))?;
        let version = version(database, server)?;
        if version == Some(SCRIPTS.len() as i64) {
            return Ok(());
        }
        if version.is_none() {
            database.batch(&format!("CREATE SCHEMA IF NOT EXISTS {}", server.quoted_schema()))?;
        }
        for script in &SCRIPTS[version.unwrap_or_default() as usize..] {
            database.batch(script)?;
        }
        database.execute("UPDATE castline SET version = ?1", values![SCRIPTS.len() as i64])?;
        if version.is_none() {
            let secret = secret(&Place::Postgres(server.clone()))?;
            database.execute(
                "INSERT INTO ledger (provider, sandbox, key_secret, created_at) VALUES (?1, ?2, ?3, ?4)",
                values![
                    identity.provider,
                    identity.sandbox,
                    &secret[..],
                    &jiff::Timestamp::now().to_string()
                ],
            )?;
        }
        Ok(())
    })?;
    Ok(database)
}

/// The schema of the ledger; `None` if there is none.
fn version(database: &Database, server: &Server) -> Result<Option<i64>, LedgerError> {
    let query = "SELECT EXISTS (SELECT 1 FROM information_schema.tables
                 WHERE table_schema::text = ?1 AND table_name = 'castline')";
    if !database.one(query, values![server.schema()], |row| row.get::<bool>(0))? {
        return Ok(None);
    }
    let version: i64 = database.one("SELECT version FROM castline", values![], |row| row.get(0))?;
    match version > SCRIPTS.len() as i64 {
        true => Err(LedgerError::Newer {
            place: Place::Postgres(server.clone()),
            schema: version,
        }),
        false => Ok(Some(version)),
    }
}
