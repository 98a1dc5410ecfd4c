//! What was done and paid, run by run and call by call.

use serde::Serialize;

use super::database::values;
use super::totals::dollars;
use super::{LedgerError, LedgerView};
use crate::cast::NameKey;
use crate::util::money::Usd;

/// One run of a command that writes the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Its number.
    pub run: i64,
    /// The command.
    pub command: String,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// When it ended; `None` while it runs, and of one that was killed.
    pub ended_at: Option<String>,
    /// Its exit code.
    pub exit_code: Option<u8>,
    /// Who ran it, by the name that the system knows; `None` in ledgers of an earlier castline.
    pub by: Option<String>,
    /// How many characters it enrolled.
    pub enrolled: u64,
    /// What they cost.
    pub cost_usd: Usd,
    /// How many of its calls are in doubt.
    pub in_doubt: u64,
    /// What those may have cost.
    pub in_doubt_usd: Usd,
}

/// One paid call for a character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PastCall {
    /// The number of its run; 0 if it was taken over from elsewhere.
    pub run: i64,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// What became of it: `enrolled`, `refused`, `released`, `set_aside`, `in_doubt`, `forgotten` or `open`.
    pub outcome: String,
    /// The asset id that it gave.
    pub asset_id: Option<String>,
    /// The price: as reported, or as expected.
    pub price_usd: Usd,
    /// SHA-256 of the image, in hex.
    pub source_sha256: Option<String>,
    /// The reason: a fixed code.
    pub code: Option<String>,
    /// The human-readable reason.
    pub message: Option<String>,
}

impl LedgerView {
    /// All runs, the oldest first. Commands that neither paid nor ended a call are left out unless they are runs.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn runs(&self) -> Result<Vec<Run>, LedgerError> {
        let query = "SELECT runs.id, command, runs.started_at, runs.ended_at, exit_code, started_by,
                    count(CASE WHEN outcome = 'enrolled' THEN 1 END),
                    sum(CASE WHEN outcome = 'enrolled' THEN CAST(price AS DOUBLE PRECISION) END),
                    count(CASE WHEN outcome = 'in_doubt' OR attempts.id IS NOT NULL AND outcome IS NULL THEN 1 END),
                    sum(CASE WHEN outcome = 'in_doubt' OR outcome IS NULL THEN CAST(price AS DOUBLE PRECISION) END)
             FROM runs LEFT JOIN attempts ON attempts.run = runs.id
             GROUP BY runs.id HAVING command IN ('run', 'realface') OR count(attempts.id) > 0 ORDER BY runs.id";
        self.database().rows(query, values![], |row| {
            Ok(Run {
                run: row.get(0)?,
                command: row.get(1)?,
                started_at: row.get(2)?,
                ended_at: row.get(3)?,
                exit_code: row
                    .get::<Option<i64>>(4)?
                    .and_then(|code| u8::try_from(code).ok()),
                by: row.get(5)?,
                enrolled: row.get::<i64>(6)?.unsigned_abs(),
                cost_usd: dollars(row.get(7)?),
                in_doubt: row.get::<i64>(8)?.unsigned_abs(),
                in_doubt_usd: dollars(row.get(9)?),
            })
        })
    }

    /// All paid calls for a character, the oldest first.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn past_calls(&self, name: &NameKey) -> Result<Vec<PastCall>, LedgerError> {
        let database = self.database();
        let key = self.locate(&database, name)?;
        let query =
            "SELECT run, started_at, coalesce(outcome, 'open'), asset_id, price, source_sha256, code, message
             FROM attempts WHERE key = ?1 ORDER BY id";
        let text = |text: Option<String>| text.filter(|text| !text.is_empty());
        database.rows(query, values![key.as_str()], |row| {
            Ok(PastCall {
                run: row.get(0)?,
                started_at: row.get(1)?,
                outcome: row.get(2)?,
                asset_id: row.get(3)?,
                price_usd: Usd::from_micros(row.get::<i64>(4)?.unsigned_abs()),
                source_sha256: row.get(5)?,
                code: text(row.get(6)?),
                message: text(row.get(7)?),
            })
        })
    }
}
