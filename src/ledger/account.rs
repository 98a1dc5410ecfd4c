//! What the ledgers of one account share in a PostgreSQL database: the pace of its paid calls.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::database::{Database, Postgres, values};
use super::{LedgerError, Server};
use crate::enroll::{SharedPace, Spacing};

/// A turn whose answer took longer is not used: its call would leave late, beside the next one. Measured: without this, 22
/// calls left in a second at 20/s.
const VOID_AFTER: Duration = Duration::from_millis(20);
/// How much longer the interval is than one process's own, in percent: what remains of the lateness.
const SLOWER: u32 = 2;

/// The pace of an account, in a row that the payers of all its ledgers change. Times are the server's, in microseconds.
pub struct AccountPace {
    database: Mutex<Database>,
    account: String,
    interval: i64,
    tolerance: i64,
}

impl AccountPace {
    /// The pace of `account` in the database of `server`, for calls that leave so far apart. A ledger must be there.
    ///
    /// # Errors
    /// The server can't be reached or refuses.
    pub fn open(server: &Server, account: &str, spacing: Spacing) -> Result<Self, LedgerError> {
        let connection = Postgres::connect(server)?;
        // A turn that a crash of the server forgets is one turn; waiting for its disk would take longer than a turn.
        connection.set("synchronous_commit", "off")?;
        let database = Database::Postgres(connection);
        database.execute(
            "INSERT INTO castline_accounts.pace (account) VALUES (?1) ON CONFLICT DO NOTHING",
            values![account],
        )?;
        let micros = |length: Duration| i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
        Ok(Self {
            database: Mutex::new(database),
            account: account.to_owned(),
            interval: micros(spacing.interval * (100 + SLOWER) / 100),
            tolerance: micros(spacing.tolerance),
        })
    }

    fn database(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self) -> Result<Result<(), Duration>, LedgerError> {
        let database = self.database();
        let asked = Instant::now();
        let taken = database.execute(
            "UPDATE castline_accounts.pace SET due = greatest(due, castline_accounts.now()) + ?2
             WHERE account = ?1 AND greatest(due - ?3, paused_until) <= castline_accounts.now()",
            values![&self.account, self.interval, self.tolerance],
        )?;
        if taken > 0 {
            return Ok(match asked.elapsed() > VOID_AFTER {
                true => Err(Duration::ZERO),
                false => Ok(()),
            });
        }
        let wait: i64 = database.one(
            "SELECT greatest(due - ?2, paused_until) - castline_accounts.now() FROM castline_accounts.pace
             WHERE account = ?1",
            values![&self.account, self.tolerance],
            |row| row.get(0),
        )?;
        Ok(Err(Duration::from_micros(wait.max(0).unsigned_abs())))
    }
}

impl SharedPace for AccountPace {
    fn try_go(&self) -> Result<(), Duration> {
        self.ask().unwrap_or_else(|error| {
            tracing::warn!("{error}; calls keep this run's own pace");
            Ok(())
        })
    }

    fn pause(&self, length: Duration) {
        let length = i64::try_from(length.as_micros()).unwrap_or(i64::MAX / 4);
        let paused = self.database().execute(
            "UPDATE castline_accounts.pace SET paused_until = greatest(paused_until, castline_accounts.now() + ?2)
             WHERE account = ?1",
            values![&self.account, length],
        );
        if let Err(error) = paused {
            tracing::warn!("{error}; the other payers of the account do not wait");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_places::in_postgres;
    use super::super::{Ledger, OpenOptions, Place};
    use super::*;

    /// Several payers together never send more than the rate in any second of the server, and use nearly all of it.
    #[test]
    fn several_payers_keep_one_pace() {
        let Some(place) = in_postgres() else { return };
        let Place::Postgres(server) = &place else {
            unreachable!()
        };
        drop(Ledger::open(&place, OpenOptions::new("sandbox", true, "test")).unwrap());
        let rate: crate::enroll::Rate = "20/s".parse().unwrap();
        let start = Instant::now();
        let length = Duration::from_secs(3);
        let payers: Vec<_> = (0..3)
            .map(|_| {
                let pace = AccountPace::open(server, "one", Spacing::of(rate)).unwrap();
                std::thread::spawn(move || {
                    let mut left = Vec::new();
                    while start.elapsed() < length {
                        match pace.try_go() {
                            Ok(()) => left.push(start.elapsed()),
                            Err(wait) => std::thread::sleep(wait),
                        }
                    }
                    left
                })
            })
            .collect();
        let mut left: Vec<Duration> = payers
            .into_iter()
            .flat_map(|payer| payer.join().unwrap())
            .collect();
        left.sort();
        let most = left
            .windows(21)
            .filter(|calls| calls[20] - calls[0] < Duration::from_secs(1))
            .count();
        assert_eq!(most, 0, "21 calls within a second");
        assert!(left.len() > 20, "{} calls in {length:?}", left.len());
        let pace = AccountPace::open(server, "one", Spacing::of(rate)).unwrap();
        pace.pause(Duration::from_secs(100));
        assert!(pace.try_go().unwrap_err() > Duration::from_secs(90));
        let other = AccountPace::open(server, "another", Spacing::of(rate)).unwrap();
        assert_eq!(other.try_go(), Ok(()));
    }
}
