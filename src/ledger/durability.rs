//! Whether a PostgreSQL server keeps what it acknowledged.

use super::database::{Database, values};
use super::{LedgerError, LedgerView, Place};

/// The oldest PostgreSQL that castline is tested with.
const OLDEST: i64 = 150_000;

/// What endangers a ledger in a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dangers {
    /// An id that was paid for can be lost.
    pub bad: Vec<String>,
    /// It can be lost under conditions, or commands may fail.
    pub odd: Vec<String>,
}

impl LedgerView {
    /// What endangers the ledger; nothing where it is a file.
    ///
    /// # Errors
    /// The server can't be asked.
    pub fn dangers(&self) -> Result<Dangers, LedgerError> {
        match self.place() {
            Place::File(_) => Ok(Dangers::default()),
            Place::Postgres(_) => dangers(&self.database()),
        }
    }
}

fn dangers(database: &Database) -> Result<Dangers, LedgerError> {
    let setting = |name: &str| -> Result<String, LedgerError> {
        database.one("SELECT current_setting(?1)", values![name], |row| row.get(0))
    };
    let mut found = Dangers::default();
    let version = setting("server_version_num")?.parse().unwrap_or(0);
    if version < OLDEST {
        found.odd.push(format!(
            "the server is PostgreSQL {}, older than those that castline is tested with (15 and newer)",
            setting("server_version")?
        ));
    }
    for (name, lost) in [
        ("fsync", "a crash of the server's machine loses it all"),
        ("full_page_writes", "a crash of the server's machine damages it"),
        ("synchronous_commit", "a crash of the server loses the last ids"),
    ] {
        if setting(name)? == "off" {
            found.bad.push(format!("{name} is off: {lost}; turn it on"));
        }
    }
    let behind: i64 = database.one(
        "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'async'",
        values![],
        |row| row.get(0),
    )?;
    if behind > 0 && setting("synchronous_standby_names")?.is_empty() {
        found.odd.push(
            "its standby is asynchronous: a failover can lose the last ids; name it in synchronous_standby_names"
                .to_owned(),
        );
    }
    Ok(found)
}
