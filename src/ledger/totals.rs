//! The money that each run has spent, summed up as it is spent: the budget is checked before every paid call, and there
//! may be 50,000 of them.
//!
//! The sums are in a temporary table of the only writing connection. Triggers maintain them, so that they are rolled
//! back together with the rows that they sum up.

use super::LedgerError;
use super::database::{Database, values};
use crate::util::money::Usd;

/// Counts as [`view::spend`](super::view::spend) does: enrolled, in doubt, set aside, or without outcome.
const TOTALS: &str = "
    PRAGMA temp_store = MEMORY;
    CREATE TEMP TABLE spent (run INTEGER PRIMARY KEY, price INTEGER NOT NULL);
    INSERT INTO spent SELECT run, CAST(total(price) AS INTEGER) FROM main.attempts
    WHERE coalesce(outcome, 'in_doubt') IN ('enrolled', 'in_doubt', 'set_aside') GROUP BY run;

    CREATE TEMP TRIGGER spent_more AFTER INSERT ON main.attempts BEGIN
        INSERT OR IGNORE INTO spent VALUES (NEW.run, 0);
        UPDATE spent SET price = price
            + NEW.price * (coalesce(NEW.outcome, 'in_doubt') IN ('enrolled', 'in_doubt', 'set_aside'))
        WHERE run = NEW.run;
    END;
    CREATE TEMP TRIGGER spent_otherwise AFTER UPDATE OF outcome, price ON main.attempts BEGIN
        INSERT OR IGNORE INTO spent VALUES (NEW.run, 0);
        UPDATE spent SET price = price
            - OLD.price * (coalesce(OLD.outcome, 'in_doubt') IN ('enrolled', 'in_doubt', 'set_aside'))
            + NEW.price * (coalesce(NEW.outcome, 'in_doubt') IN ('enrolled', 'in_doubt', 'set_aside'))
        WHERE run = NEW.run;
    END;
";

/// Starts the sums on this connection.
pub(super) fn begin(database: &Database) -> Result<(), LedgerError> {
    match database {
        Database::Sqlite(_) => database.batch(TOTALS),
        // PostgreSQL's schema maintains them.
        Database::Postgres(_) => Ok(()),
    }
}

/// What an amount is the sum of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Total {
    /// One run.
    Run(i64),
    /// All runs of the ledger.
    Ledger,
    /// All ledgers of its account in the same database.
    Account,
}

/// The amount that counts against a budget.
pub(super) fn spent(database: &Database, of: Total) -> Result<Usd, LedgerError> {
    let sum = match (of, database) {
        (Total::Run(run), _) => database.one(
            "SELECT sum(CAST(price AS DOUBLE PRECISION)) FROM spent WHERE run = ?1",
            values![run],
            |row| row.get(0),
        )?,
        // Locked, so that the payer of another ledger waits until this call counts.
        (Total::Account, Database::Postgres(_)) => database
            .first(
                "SELECT CAST(price AS DOUBLE PRECISION) FROM castline_accounts.spent
                 WHERE account = (SELECT payer FROM ledger) FOR UPDATE",
                values![],
                |row| row.get(0),
            )?
            .flatten(),
        (Total::Ledger | Total::Account, _) => database.one(
            "SELECT sum(CAST(price AS DOUBLE PRECISION)) FROM spent",
            values![],
            |row| row.get(0),
        )?,
    };
    Ok(dollars(sum))
}

/// A sum of micro-dollars. It is in floating point, which no price overflows, and exact up to billions of dollars.
pub(super) fn dollars(sum: Option<f64>) -> Usd {
    Usd::from_micros(sum.unwrap_or_default().max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OUTCOMES: [Option<&str>; 7] = [
        None,
        Some("enrolled"),
        Some("refused"),
        Some("released"),
        Some("set_aside"),
        Some("in_doubt"),
        Some("forgotten"),
    ];

    fn attempts() -> Database {
        let database = Database::Sqlite(rusqlite::Connection::open_in_memory().unwrap());
        database.batch(include_str!("schema/001.sql")).unwrap();
        database.batch(include_str!("schema/002.sql")).unwrap();
        database
    }

    fn intend(database: &Database, run: i64, price: i64) {
        let insert =
            "INSERT INTO attempts (key, run, request_digest, price, started_at) VALUES ('k', ?1, '', ?2, '')";
        database.execute(insert, values![run, price]).unwrap();
    }

    proptest! {
        #[test]
        fn the_sums_are_those_of_the_attempts_whatever_happens_to_them(
            steps in prop::collection::vec((1..4i64, 0..40_000i64, 0..8usize, any::<bool>()), 1..60),
        ) {
            let database = attempts();
            intend(&database, 1, 7);
            begin(&database).unwrap();
            for (run, price, outcome, stays) in steps {
                database.batch("SAVEPOINT step").unwrap();
                match OUTCOMES.get(outcome) {
                    None => intend(&database, run, price),
                    Some(outcome) => {
                        let of = "id = (SELECT max(id) FROM attempts WHERE run = ?1)";
                        let change = format!("UPDATE attempts SET outcome = ?2, price = ?3 WHERE {of}");
                        database.execute(&change, values![run, *outcome, price]).unwrap();
                    }
                }
                let end = if stays { "RELEASE step" } else { "ROLLBACK TO step; RELEASE step" };
                database.batch(end).unwrap();
                for run in [None, Some(1), Some(2), Some(3)] {
                    let counted = crate::ledger::view::spend(&database, run).unwrap().total();
                    let of = run.map_or(Total::Ledger, Total::Run);
                    prop_assert_eq!(spent(&database, of).unwrap(), counted);
                }
            }
        }
    }

    #[test]
    fn no_price_makes_a_sum_fail() {
        let database = attempts();
        begin(&database).unwrap();
        for _ in 0..3 {
            intend(&database, 1, i64::MAX);
        }
        assert!(spent(&database, Total::Ledger).unwrap() >= Usd::from_micros(i64::MAX as u64));
        let message = crate::ledger::view::spend(&database, None).unwrap().in_doubt;
        assert!(message >= Usd::from_micros(i64::MAX as u64));
    }
}
