//! What the ledgers of one account share in a PostgreSQL database: the pace of its paid calls.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::database::{Database, Postgres, values};
use super::{LedgerError, Server};
use crate::enroll::{Rate, SharedPace, Spacing, departure_window};

/// An answer that took so much longer than the quickest is asked for again: its call would leave late, beside the next ones.
const LATE: Duration = Duration::from_millis(20);

/// The pace of an account, in a row that the payers of all its ledgers change. Times are the server's, in microseconds.
pub struct AccountPace {
    connection: Mutex<Asked>,
    account: String,
    interval: i64,
    tolerance: i64,
    calls: i64,
    window: i64,
}

/// A connection, and how long its quickest answer took.
struct Asked {
    database: Database,
    quickest: Duration,
}

impl AccountPace {
    /// The pace of `account` in the database of `server`, for calls at this rate. A ledger must be there.
    ///
    /// # Errors
    /// The server can't be reached or refuses.
    pub fn open(server: &Server, account: &str, rate: Rate) -> Result<Self, LedgerError> {
        let connection = Postgres::connect(server)?;
        // A turn that a crash of the server forgets is one turn; waiting for its disk would take longer than a turn.
        connection.set("synchronous_commit", "off")?;
        let database = Database::Postgres(connection);
        database.execute(
            "INSERT INTO castline_accounts.pace (account) VALUES (?1) ON CONFLICT DO NOTHING",
            values![account],
        )?;
        let micros = |length: Duration| i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
        let (spacing, (calls, window)) = (Spacing::of(rate), departure_window(rate));
        let quickest = Duration::MAX;
        Ok(Self {
            connection: Mutex::new(Asked { database, quickest }),
            account: account.to_owned(),
            interval: micros(spacing.interval),
            tolerance: micros(spacing.tolerance),
            calls: i64::try_from(calls).unwrap_or(i64::MAX),
            window: micros(window),
        })
    }

    fn connection(&self) -> MutexGuard<'_, Asked> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> Result<Result<(), Duration>, LedgerError> {
        let Asked { database, .. } = &*self.connection();
        // Due later than a call can put it: the server's clock was set back.
        let taken = database.execute(
            "UPDATE castline_accounts.pace
             SET due = CASE WHEN due > castline_accounts.now() + ?2 + ?3 THEN castline_accounts.now()
                       ELSE greatest(due, castline_accounts.now()) END + ?2
             WHERE account = ?1 AND paused_until <= castline_accounts.now()
               AND (due - ?3 <= castline_accounts.now() OR due > castline_accounts.now() + ?2 + ?3)",
            values![&self.account, self.interval, self.tolerance],
        )?;
        if taken > 0 {
            return Ok(Ok(()));
        }
        let wait: i64 = database.one(
            "SELECT greatest(due - ?2, paused_until) - castline_accounts.now() FROM castline_accounts.pace
             WHERE account = ?1",
            values![&self.account, self.tolerance],
            |row| row.get(0),
        )?;
        Ok(Err(Duration::from_micros(wait.max(0).unsigned_abs())))
    }

    fn send(&self) -> Result<Result<(), Duration>, LedgerError> {
        let Asked { database, quickest } = &mut *self.connection();
        let asked = Instant::now();
        // The last ones, this one among them; of the one that it follows by a window, there may be none.
        let noted = database.execute(
            "UPDATE castline_accounts.pace
             SET sent = sent[greatest(cardinality(sent) - ?2 + 2, 1)::int:] || castline_accounts.now()
             WHERE account = ?1
               AND coalesce(sent[(cardinality(sent) - ?2 + 1)::int], 0)
                   NOT BETWEEN castline_accounts.now() - ?3 + 1 AND castline_accounts.now()",
            values![&self.account, self.calls, self.window],
        )?;
        if noted > 0 {
            let took = asked.elapsed();
            *quickest = took.min(*quickest);
            return Ok(match took > *quickest + LATE {
                true => Err(Duration::ZERO),
                false => Ok(()),
            });
        }
        let wait: i64 = database.one(
            "SELECT coalesce(sent[(cardinality(sent) - ?2 + 1)::int], 0) + ?3 - castline_accounts.now()
             FROM castline_accounts.pace WHERE account = ?1",
            values![&self.account, self.calls, self.window],
            |row| row.get(0),
        )?;
        Ok(Err(Duration::from_micros(wait.max(0).unsigned_abs())))
    }
}

/// Where the database fails, a call goes: the process's own limiter holds.
fn or_go(asked: Result<Result<(), Duration>, LedgerError>) -> Result<(), Duration> {
    asked.unwrap_or_else(|error| {
        tracing::warn!("{error}; calls keep this run's own pace");
        Ok(())
    })
}

impl SharedPace for AccountPace {
    fn try_go(&self) -> Result<(), Duration> {
        or_go(self.turn())
    }

    fn try_send(&self) -> Result<(), Duration> {
        or_go(self.send())
    }

    fn pause(&self, length: Duration) {
        let length = i64::try_from(length.as_micros()).unwrap_or(i64::MAX / 4);
        let paused = self.connection().database.execute(
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
    use crate::enroll::shared_pace_tests::{assert_paced, left_by};

    /// Several payers together never send more than the rate in any second of the server, and use nearly all of it.
    #[test]
    fn several_payers_keep_one_pace() {
        let Some(place) = in_postgres() else { return };
        let Place::Postgres(server) = &place else {
            unreachable!()
        };
        drop(Ledger::open(&place, OpenOptions::new("sandbox", true, "test")).unwrap());
        let rate: crate::enroll::Rate = "20/s".parse().unwrap();
        let left = left_by(3, Duration::from_secs(3), || {
            AccountPace::open(server, "one", rate).unwrap()
        });
        assert_paced(&left, 20);
        let pace = AccountPace::open(server, "one", rate).unwrap();
        pace.pause(Duration::from_secs(100));
        assert!(pace.try_go().unwrap_err() > Duration::from_secs(90));
        let other = AccountPace::open(server, "another", rate).unwrap();
        assert_eq!(other.try_go(), Ok(()));
        // The server's clock was set back by a year.
        let later = "UPDATE castline_accounts.pace SET due = due + 31536000000000,
                     sent = array(SELECT castline_accounts.now() + 31536000000000 FROM generate_series(1, 20))
                     WHERE account = 'another'";
        other.connection().database.execute(later, values![]).unwrap();
        assert_eq!(other.try_go(), Ok(()));
        assert_eq!(other.try_send(), Ok(()));
    }
}
