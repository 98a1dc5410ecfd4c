//! The tables: creation, migration, and identification.

mod postgres;

use std::path::Path;

use rusqlite::Connection;

use super::database::{Database, values};
use super::integrity::{damaged, pragma};
use super::{LedgerError, Place};

pub(super) use self::postgres::{open as open_postgres, prepare as prepare_postgres};

/// `CAST` in ASCII: marks the file as a ledger of castline.
const APPLICATION: i64 = 0x4341_5354;
/// One script per schema, the oldest first; a ledger of schema *n* is migrated by the scripts after it.
const SCRIPTS: &[&str] = &[
    include_str!("001.sql"),
    include_str!("002.sql"),
    include_str!("003.sql"),
    include_str!("004.sql"),
    include_str!("005.sql"),
    include_str!("006.sql"),
    include_str!("007.sql"),
];

/// The identity of a new ledger.
pub(super) struct Identity<'a> {
    pub(super) provider: &'a str,
    pub(super) sandbox: bool,
}

/// Creates the tables, or migrates those of an older schema, in one transaction.
pub(super) fn prepare(
    connection: &mut Connection,
    path: &Path,
    identity: &Identity<'_>,
) -> Result<(), LedgerError> {
    migrate(connection, path, identity, SCRIPTS)
}

fn migrate(
    connection: &mut Connection,
    path: &Path,
    identity: &Identity<'_>,
    scripts: &[&str],
) -> Result<(), LedgerError> {
    let newest = scripts.len() as i64;
    let pages: i64 = pragma(connection, path, "page_count")?;
    let fresh = pages == 0;
    let version = if fresh {
        0
    } else {
        version(connection, path, newest)?
    };
    let scripts = scripts.get(version as usize..).unwrap_or_default();
    if scripts.is_empty() {
        return Ok(());
    }
    if !fresh {
        // Not a copy of the file: the last commits may be only in the log beside it.
        let copy = super::lock::beside(path, &format!("schema{version}.backup"));
        super::backup::copy(connection, &copy)?;
    }
    let transaction = connection.transaction()?;
    for script in scripts {
        transaction.execute_batch(script)?;
    }
    if fresh {
        let secret = secret(&path.into())?;
        let now = jiff::Timestamp::now().to_string();
        transaction.execute(
            "INSERT INTO ledger (provider, sandbox, key_secret, created_at) VALUES (?1, ?2, ?3, ?4)",
            (identity.provider, identity.sandbox, secret, now),
        )?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
    }
    transaction.pragma_update(None, "user_version", newest)?;
    transaction.commit()?;
    Ok(())
}

/// The ledger as queries expect it: one of an older schema is read from a copy in memory that is brought forward, since
/// only commands that write may change its file.
pub(super) fn current(connection: Connection, path: &Path) -> Result<Connection, LedgerError> {
    let version = version(&connection, path, SCRIPTS.len() as i64)?;
    let scripts = SCRIPTS.get(version as usize..).unwrap_or_default();
    if scripts.is_empty() {
        return Ok(connection);
    }
    let mut copy = Connection::open_in_memory()?;
    rusqlite::backup::Backup::new(&connection, &mut copy)?.run_to_completion(
        1000,
        std::time::Duration::ZERO,
        None,
    )?;
    for script in scripts {
        copy.execute_batch(script)?;
    }
    copy.pragma_update(None, "user_version", SCRIPTS.len() as i64)?;
    Ok(copy)
}

/// The provider of the ledger, and whether it is the sandbox's.
pub(super) fn identity(database: &Database, place: &Place) -> Result<(String, bool), LedgerError> {
    let query = "SELECT provider, sandbox FROM ledger";
    let row = database.one(query, values![], |row| Ok((row.get(0)?, row.get(1)?)));
    row.map_err(|error| match (error, place) {
        (LedgerError::Sqlite(error), Place::File(path)) => damaged(path, &error.to_string()),
        (error, _) => error,
    })
}

/// Checks that the ledger belongs to `ours`, or holds nothing that binds it to its owner.
pub(super) fn check_owner(
    database: &Database,
    place: &Place,
    ours: &Identity<'_>,
) -> Result<bool, LedgerError> {
    let (provider, sandbox) = identity(database, place)?;
    // Earlier versions kept the address as it was written.
    let same = provider.trim_end_matches('/') == ours.provider.trim_end_matches('/');
    if same && sandbox == ours.sandbox {
        return Ok(true);
    }
    // Inspections alone are the same for every provider.
    let bound: bool = database.one(
        "SELECT EXISTS (SELECT 1 FROM attempts) OR EXISTS (SELECT 1 FROM history)
             OR EXISTS (SELECT 1 FROM realface_sessions)
             OR EXISTS (SELECT 1 FROM character_fields WHERE state NOT IN ('seen', 'unsuitable', 'prepared')
                        OR asset_id IS NOT NULL)",
        values![],
        |row| row.get(0),
    )?;
    let named = |provider: &str, sandbox: bool| match sandbox {
        true => "the sandbox".to_owned(),
        false => provider.to_owned(),
    };
    match bound {
        false => Ok(false),
        true => Err(LedgerError::Foreign {
            place: place.clone(),
            theirs: named(&provider, sandbox),
            ours: named(ours.provider, ours.sandbox),
        }),
    }
}

/// Makes `ours` the owner of the ledger, unless something binds it to another one.
pub(super) fn bind(database: &Database, place: &Place, ours: &Identity<'_>) -> Result<(), LedgerError> {
    if !check_owner(database, place, ours)? {
        database.execute(
            "UPDATE ledger SET provider = ?1, sandbox = ?2",
            values![ours.provider, ours.sandbox],
        )?;
    }
    Ok(())
}

/// 32 random bytes.
fn secret(place: &Place) -> Result<[u8; 32], LedgerError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| LedgerError::Unreachable {
        server: place.to_string(),
        problem: error.to_string(),
    })?;
    Ok(secret)
}

/// The schema of a ledger; rejects other files, and newer schemas.
fn version(connection: &Connection, path: &Path, newest: i64) -> Result<i64, LedgerError> {
    let application: i64 = pragma(connection, path, "application_id")?;
    if application != APPLICATION {
        return Err(damaged(path, "it is not a castline ledger"));
    }
    let schema: i64 = pragma(connection, path, "user_version")?;
    if schema > newest {
        return Err(LedgerError::Newer {
            place: path.into(),
            schema,
        });
    }
    Ok(schema)
}

#[cfg(test)]
mod tests {
    use super::super::Reader as _;
    use super::*;

    const OURS: Identity<'static> = Identity {
        provider: "https://api.example",
        sandbox: false,
    };

    fn count(connection: &Connection, what: &str) -> i64 {
        connection
            .query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0))
            .unwrap()
    }

    /// A ledger of the current schema that holds one character, in WAL mode and not yet checkpointed.
    fn older(path: &Path) -> Connection {
        let mut connection = Connection::open(path).unwrap();
        prepare(&mut connection, path, &OURS).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection
            .execute(
                "INSERT INTO characters (key, state, record, digest) VALUES ('ada', 'enrolled', '{}', x'00')",
                [],
            )
            .unwrap();
        connection
    }

    #[test]
    fn a_ledger_of_an_older_schema_is_brought_forward_and_a_copy_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let mut connection = older(&path);
        let today = SCRIPTS.len() as i64;
        let scripts = [SCRIPTS, &["ALTER TABLE characters ADD COLUMN added TEXT"]].concat();
        migrate(&mut connection, &path, &OURS, &scripts).unwrap();

        assert_eq!(version(&connection, &path, today + 1).unwrap(), today + 1);
        assert_eq!(
            count(&connection, "characters WHERE added IS NULL AND key = 'ada'"),
            1
        );
        let copy = Connection::open(folder.path().join(format!("ledger.db.schema{today}.backup"))).unwrap();
        assert_eq!(version(&copy, &path, today).unwrap(), today);
        assert_eq!(
            count(&copy, "characters WHERE key = 'ada'"),
            1,
            "the copy lacks the last commit"
        );

        // Migrated once; after that there is nothing to do.
        migrate(&mut connection, &path, &OURS, &scripts).unwrap();
        // An older castline refuses it instead of misreading it.
        assert!(matches!(
            prepare(&mut connection, &path, &OURS),
            Err(LedgerError::Newer { schema, .. }) if schema == today + 1
        ));
    }

    #[test]
    fn a_ledger_of_any_older_schema_is_read_without_being_changed() {
        for schema in 1..SCRIPTS.len() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("ledger.db");
            let mut connection = Connection::open(&path).unwrap();
            migrate(&mut connection, &path, &OURS, &SCRIPTS[..schema]).unwrap();
            connection.pragma_update(None, "journal_mode", "WAL").unwrap();
            connection
                .execute(
                    "INSERT INTO attempts (key, run, request_digest, price, started_at, outcome)
                     VALUES ('ada', 1, '', 10000, '', 'enrolled')",
                    [],
                )
                .unwrap();
            let view = super::super::LedgerView::open(&path).unwrap().unwrap();
            assert_eq!(view.spend(None).unwrap().enrolled.micros(), 10_000);
            assert!(view.runs().unwrap().is_empty() && view.paid_unseen().unwrap().is_empty());
            drop(view);
            assert_eq!(version(&connection, &path, 100).unwrap(), schema as i64);
        }
    }

    #[test]
    fn a_ledger_is_bound_by_what_it_holds_of_a_provider_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let mut connection = Connection::open(&path).unwrap();
        prepare(&mut connection, &path, &OURS).unwrap();
        let (database, place) = (Database::Sqlite(connection), Place::from(&path));
        let theirs = Identity {
            provider: "https://other.example",
            sandbox: false,
        };
        let see = |key: &str, state: &str, record: &str| {
            let insert = "INSERT INTO characters (key, state, record, digest) VALUES (?1, ?2, ?3, x'00')";
            database.execute(insert, values![key, state, record]).unwrap();
        };
        see("ada", "prepared", "{}");
        bind(&database, &place, &theirs).unwrap();
        assert_eq!(identity(&database, &place).unwrap().0, theirs.provider);
        see("bo", "seen", r#"{"asset_id": "ta_1"}"#);
        assert!(matches!(
            bind(&database, &place, &OURS),
            Err(LedgerError::Foreign { .. })
        ));
        bind(&database, &place, &theirs).unwrap();
    }

    #[test]
    fn a_migration_that_fails_leaves_everything_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let mut connection = older(&path);
        let broken = ["DELETE FROM characters", "ALTER TABLE nowhere ADD COLUMN x"];
        let scripts = [SCRIPTS, &broken].concat();
        migrate(&mut connection, &path, &OURS, &scripts).unwrap_err();
        let today = SCRIPTS.len() as i64;
        assert_eq!(version(&connection, &path, today).unwrap(), today);
        assert_eq!(count(&connection, "characters"), 1);
    }
}
