//! Faults for tests: the process dies at a commit, its thread panics, or the disk is full. Only in builds with debug assertions; a release
//! build ignores the variable.

use super::LedgerError;
use super::database::{Database, values};

/// The faults in `CASTLINE_TEST_LEDGER`: `before:N` or `after:N` aborts at the Nth commit of the process; `pages:N`
/// lets SQLite grow the file by only N pages, after which the disk is full; `full:N` makes the disk full at the Nth
/// commit; `panic:N` panics there.
#[derive(Debug, Default)]
pub(super) struct Faults {
    commits: u64,
    abort: Option<(bool, u64)>,
    pages: Option<i64>,
    full: Option<u64>,
    panic: Option<u64>,
}

impl Faults {
    pub(super) fn from_environment() -> Self {
        let mut faults = Self::default();
        if !cfg!(debug_assertions) {
            return faults;
        }
        let text = std::env::var("CASTLINE_TEST_LEDGER").unwrap_or_default();
        match text.split_once(':') {
            Some(("before", number)) => faults.abort = number.parse().ok().map(|n| (true, n)),
            Some(("after", number)) => faults.abort = number.parse().ok().map(|n| (false, n)),
            Some(("pages", number)) => faults.pages = number.parse().ok(),
            Some(("full", number)) => faults.full = number.parse().ok(),
            Some(("panic", number)) => faults.panic = number.parse().ok(),
            _ => {}
        }
        faults
    }

    /// Lets the file grow by only so many pages.
    pub(super) fn limit(&self, database: &Database) -> Result<(), LedgerError> {
        if let Some(more) = self.pages {
            let now: i64 = database.one("PRAGMA page_count", values![], |row| row.get(0))?;
            let limit = format!("PRAGMA max_page_count = {}", now + more);
            database.one(&limit, values![], |_| Ok(()))?;
        }
        Ok(())
    }

    pub(super) fn before_commit(&mut self) -> Result<(), LedgerError> {
        self.commits += 1;
        if self.abort == Some((true, self.commits)) {
            std::process::abort();
        }
        assert_ne!(self.panic, Some(self.commits), "a fault that a test asked for");
        if self.full == Some(self.commits) {
            let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
            return Err(rusqlite::Error::SqliteFailure(full, None).into());
        }
        Ok(())
    }

    pub(super) fn after_commit(&self) {
        if self.abort == Some((false, self.commits)) {
            std::process::abort();
        }
    }
}
