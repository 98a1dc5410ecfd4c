//! The money that each run has spent, summed up as it is spent: the budget is checked before every paid call, and there
//! may be 50,000 of them.
//!
//! The sums are in a temporary table of the only writing connection. Triggers maintain them, so that they are rolled
//! back together with the rows that they sum up.

use rusqlite::Connection;

use super::LedgerError;
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
pub(super) fn begin(connection: &Connection) -> Result<(), LedgerError> {
    Ok(connection.execute_batch(TOTALS)?)
}

/// The amount that counts against a budget: of one run, or over the ledger's life.
pub(super) fn spent(connection: &Connection, run: Option<i64>) -> Result<Usd, LedgerError> {
    let mut query = connection.prepare_cached(
        "SELECT CAST(total(price) AS INTEGER) FROM temp.spent WHERE ?1 IS NULL OR run = ?1",
    )?;
    let micros: i64 = query.query_row([run], |row| row.get(0))?;
    Ok(Usd::from_micros(micros.unsigned_abs()))
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

    fn attempts() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("schema/001.sql")).unwrap();
        connection.execute_batch(include_str!("schema/002.sql")).unwrap();
        connection
    }

    fn intend(connection: &Connection, run: i64, price: i64) {
        connection
            .execute(
                "INSERT INTO attempts (key, run, request_digest, price, started_at) VALUES ('k', ?1, '', ?2, '')",
                (run, price),
            )
            .unwrap();
    }

    proptest! {
        #[test]
        fn the_sums_are_those_of_the_attempts_whatever_happens_to_them(
            steps in prop::collection::vec((1..4i64, 0..40_000i64, 0..8usize, any::<bool>()), 1..60),
        ) {
            let connection = attempts();
            intend(&connection, 1, 7);
            begin(&connection).unwrap();
            for (run, price, outcome, stays) in steps {
                connection.execute_batch("SAVEPOINT step").unwrap();
                match OUTCOMES.get(outcome) {
                    None => intend(&connection, run, price),
                    Some(outcome) => {
                        let of = "id = (SELECT max(id) FROM attempts WHERE run = ?1)";
                        let change = format!("UPDATE attempts SET outcome = ?2, price = ?3 WHERE {of}");
                        connection.execute(&change, (run, outcome, price)).unwrap();
                    }
                }
                let end = if stays { "RELEASE step" } else { "ROLLBACK TO step; RELEASE step" };
                connection.execute_batch(end).unwrap();
                for run in [None, Some(1), Some(2), Some(3)] {
                    let counted = crate::ledger::view::spend(&connection, run).unwrap().total();
                    prop_assert_eq!(spent(&connection, run).unwrap(), counted);
                }
            }
        }
    }

    #[test]
    fn no_price_makes_a_sum_fail() {
        let connection = attempts();
        begin(&connection).unwrap();
        for _ in 0..3 {
            intend(&connection, 1, i64::MAX);
        }
        assert!(spent(&connection, None).unwrap() >= Usd::from_micros(i64::MAX as u64));
        let message = crate::ledger::view::spend(&connection, None).unwrap().in_doubt;
        assert!(message >= Usd::from_micros(i64::MAX as u64));
    }
}
