//! Whose turn it is to write a ledger in PostgreSQL: one command at a time, by a lease.
//!
//! A worker that is not heard of for the time of its lease is fenced by the next one. It then commits nothing more, but what
//! became of its own calls, which came into doubt meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::database::{Database, values};
use super::lock::Holder;
use super::{LedgerError, Place};
use crate::util::user::user_name;

/// How long a command that is not heard of keeps the ledger, unless `ledger.lease` says otherwise.
pub const LEASE: Duration = Duration::from_secs(30);

/// The worker of this process.
#[derive(Debug)]
pub(super) struct Worker {
    uid: String,
    lease: Arc<Lease>,
    /// The number of its commits, as far as it knows.
    commits: i64,
}

/// Until when nobody can have taken the ledger over, by the monotonic clock of this process.
#[derive(Debug)]
pub(super) struct Lease {
    length: Duration,
    start: Instant,
    /// In microseconds since the start.
    until: AtomicU64,
}

impl Lease {
    /// A lease that was renewed by a statement that was sent at `asked`.
    fn renew(&self, asked: Instant) {
        let until = asked.duration_since(self.start) + self.length;
        self.until.fetch_max(until.as_micros() as u64, Ordering::AcqRel);
    }

    /// Whether it runs.
    pub(super) fn runs(&self) -> bool {
        self.start.elapsed().as_micros() < u128::from(self.until.load(Ordering::Acquire))
    }
}

impl Worker {
    /// Takes the ledger for `command`, and fences those that are not heard of any more.
    ///
    /// # Errors
    /// [`LedgerError::Locked`], or the ledger can't be written.
    pub(super) fn take(
        database: &Database,
        place: &Place,
        command: &str,
        lease: Duration,
    ) -> Result<Self, LedgerError> {
        let Database::Postgres(connection) = database else {
            unreachable!("a file has a lock instead")
        };
        let mut uid = [0; 16];
        getrandom::fill(&mut uid).map_err(|error| LedgerError::Unreachable {
            server: place.to_string(),
            problem: error.to_string(),
        })?;
        let uid = hex::encode(uid);
        let milliseconds = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        let asked = Instant::now();
        database.transaction(|database| {
            // One at a time.
            database.one("SELECT true FROM ledger FOR UPDATE", values![], |_| Ok(()))?;
            let holder = database.first(
                "SELECT command, host, coalesce(started_by, ''), extract(epoch FROM clock_timestamp() - started_at)::float8
                 FROM workers WHERE ended_at IS NULL AND fenced_at IS NULL
                   AND seen_at > clock_timestamp() - lease_ms * interval '1 millisecond' LIMIT 1",
                values![],
                |row| {
                    let (command, host, by): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                    let since = Duration::try_from_secs_f64(row.get(3)?).unwrap_or_default();
                    let since = crate::util::duration::format_duration(since);
                    let by = if by.is_empty() { by } else { format!(" by {by}") };
                    Ok(Holder(format!("castline {command} on {host}{by}, since {since}")))
                },
            )?;
            if let Some(holder) = holder {
                let place = place.clone();
                return Err(LedgerError::Locked { place, holder });
            }
            database.execute(
                "UPDATE workers SET fenced_at = clock_timestamp() WHERE ended_at IS NULL AND fenced_at IS NULL",
                values![],
            )?;
            database.execute(
                "INSERT INTO workers (uid, command, host, started_by, lease_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
                values![&uid, command, &host(), user_name().as_deref(), milliseconds],
            )
        })?;
        connection.set("castline.worker", &uid)?;
        let lease = Lease {
            length: lease,
            start: asked,
            until: AtomicU64::new(0),
        };
        lease.renew(asked);
        Ok(Self {
            uid,
            lease: Arc::new(lease),
            commits: 0,
        })
    }

    /// Its lease.
    pub(super) fn lease(&self) -> Arc<Lease> {
        Arc::clone(&self.lease)
    }

    /// How often it must be heard of.
    pub(super) fn beat(&self) -> Duration {
        self.lease.length / 5
    }

    /// Counts a commit, within its transaction: it fails where another worker took over.
    ///
    /// # Errors
    /// [`LedgerError::Fenced`], or the ledger can't be written.
    pub(super) fn count(&self, database: &Database) -> Result<(), LedgerError> {
        let counted = database.execute(
            "UPDATE workers SET commits = ?2, seen_at = clock_timestamp() WHERE uid = ?1 AND fenced_at IS NULL",
            values![&self.uid, self.commits + 1],
        )?;
        match counted {
            0 => Err(LedgerError::Fenced),
            _ => Ok(()),
        }
    }

    /// Its commit was made, which began at `asked`.
    pub(super) fn counted(&mut self, asked: Instant) {
        self.commits += 1;
        self.lease.renew(asked);
    }

    /// Whether the commit was made whose reply was lost.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub(super) fn has_committed(&self, database: &Database) -> Result<bool, LedgerError> {
        let query = "SELECT commits FROM workers WHERE uid = ?1";
        let commits: i64 = database.one(query, values![&self.uid], |row| row.get(0))?;
        Ok(commits > self.commits)
    }

    /// Says that it is alive.
    ///
    /// # Errors
    /// [`LedgerError::Fenced`], or the ledger can't be written.
    pub(super) fn is_alive(&self, database: &Database) -> Result<(), LedgerError> {
        let asked = Instant::now();
        let heard = database.execute(
            "UPDATE workers SET seen_at = clock_timestamp() WHERE uid = ?1 AND fenced_at IS NULL",
            values![&self.uid],
        )?;
        match heard {
            0 => Err(LedgerError::Fenced),
            _ => {
                self.lease.renew(asked);
                Ok(())
            }
        }
    }

    /// Gives the ledger back.
    pub(super) fn end(&self, database: &Database) {
        let end = "UPDATE workers SET ended_at = clock_timestamp() WHERE uid = ?1";
        if let Err(error) = database.execute(end, values![&self.uid]) {
            tracing::debug!(%error, "the lease runs out by itself");
        }
    }
}

fn host() -> String {
    #[cfg(unix)]
    return gethostname::gethostname().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    return std::env::var("COMPUTERNAME").unwrap_or_else(|_| "another machine".to_owned());
}
