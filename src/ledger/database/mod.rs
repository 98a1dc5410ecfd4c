//! The database of a ledger: SQLite in a file, or a schema of PostgreSQL. Both take the same statements, in the part of SQL
//! that they share, with numbered parameters as SQLite writes them: `?1`.

mod postgres;
mod row;
mod value;

pub(super) use self::postgres::{Postgres, drive};
pub(super) use self::row::{Cell, Row};
pub(super) use self::value::{Value, values};
use super::LedgerError;

/// A connection to the database of a ledger.
pub(super) enum Database {
    Sqlite(rusqlite::Connection),
    Postgres(Postgres),
}

impl Database {
    /// Runs a statement; returns how many rows it wrote.
    ///
    /// # Errors
    /// The statement failed.
    pub(super) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, LedgerError> {
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                let written = statement.execute(rusqlite::params_from_iter(values))? as u64;
                #[cfg(test)]
                scans::count(&statement);
                Ok(written)
            }
            Self::Postgres(connection) => connection.execute(sql, values),
        }
    }

    /// Runs a query, and reads its rows.
    ///
    /// # Errors
    /// The query failed, or `read` did.
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, LedgerError>,
    ) -> Result<Vec<T>, LedgerError> {
        match self {
            Self::Sqlite(connection) => sqlite_rows(connection, sql, values, usize::MAX, read),
            Self::Postgres(connection) => {
                let rows = connection.query(sql, values)?;
                rows.iter().map(|row| read(&Row::Postgres(row))).collect()
            }
        }
    }

    /// Runs a query, and reads its first row, if there is any.
    ///
    /// # Errors
    /// As [`Database::rows`].
    pub(super) fn first<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, LedgerError>,
    ) -> Result<Option<T>, LedgerError> {
        match self {
            Self::Sqlite(connection) => Ok(sqlite_rows(connection, sql, values, 1, read)?.pop()),
            Self::Postgres(connection) => {
                let rows = connection.query(sql, values)?;
                rows.first().map(|row| read(&Row::Postgres(row))).transpose()
            }
        }
    }

    /// Runs a query that always has a row, such as a count, and reads it.
    ///
    /// # Errors
    /// As [`Database::rows`], or there is no row.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let row = self.first(sql, values, read)?;
        row.ok_or(LedgerError::Sqlite(rusqlite::Error::QueryReturnedNoRows))
    }

    /// Runs statements without parameters, such as `BEGIN`.
    ///
    /// # Errors
    /// One of them failed.
    pub(super) fn batch(&self, sql: &str) -> Result<(), LedgerError> {
        match self {
            Self::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Self::Postgres(connection) => connection.batch(sql),
        }
    }

    /// Whether the connection is lost.
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(connection) => connection.is_lost(),
        }
    }

    /// Makes everything since `BEGIN` durable.
    ///
    /// # Errors
    /// It isn't, or that is not known.
    pub(super) fn commit(&self) -> Result<(), LedgerError> {
        match self {
            Self::Sqlite(connection) => Ok(connection.execute_batch("COMMIT")?),
            Self::Postgres(connection) => connection.commit(),
        }
    }

    /// Reads with `work` what is there at one moment.
    ///
    /// # Errors
    /// Those of `work`, or the database can't be read.
    pub(super) fn snapshot<T>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        self.batch(match self {
            Self::Sqlite(_) => "BEGIN",
            // What is read may take long to be written elsewhere.
            Self::Postgres(_) => {
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = 0"
            }
        })?;
        let done = work(self);
        self.batch("ROLLBACK")?;
        done
    }

    /// Does `work` in one transaction: all of it, or nothing.
    ///
    /// # Errors
    /// Those of `work`, or the transaction failed.
    pub(super) fn transaction<T>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        self.batch("BEGIN")?;
        let done = work(self).and_then(|done| self.commit().map(|()| done));
        if done.is_err() {
            // Where the connection is lost, so is the transaction.
            let _ = self.batch("ROLLBACK");
        }
        done
    }
}

/// The first `most` rows of a query of SQLite.
fn sqlite_rows<T>(
    connection: &rusqlite::Connection,
    sql: &str,
    values: &[Value<'_>],
    most: usize,
    mut read: impl FnMut(&Row<'_>) -> Result<T, LedgerError>,
) -> Result<Vec<T>, LedgerError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut all = Vec::new();
    while all.len() < most
        && let Some(row) = rows.next()?
    {
        all.push(read(&Row::Sqlite(row))?);
    }
    drop(rows);
    #[cfg(test)]
    scans::count(&statement);
    Ok(all)
}

/// Counts what statements read row by row because no index leads to it: what is done for each character must not, or a
/// cast of twice the size takes four times as long.
#[cfg(test)]
pub(super) mod scans {
    use std::cell::Cell;

    use rusqlite::{Statement, StatementStatus};

    thread_local! {
        static STEPS: Cell<i64> = const { Cell::new(0) };
    }

    pub(super) fn count(statement: &Statement<'_>) {
        let steps = statement.reset_status(StatementStatus::FullscanStep);
        STEPS.set(STEPS.get() + i64::from(steps));
    }

    /// The rows that this thread has read so since it was last asked.
    pub(in super::super) fn take() -> i64 {
        STEPS.take()
    }
}
