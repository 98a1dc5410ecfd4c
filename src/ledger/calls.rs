//! What becomes of a paid call, and its receipt in the bucket: the ledger knows which receipts are not written yet.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::database::{Database, Value, values};
use super::records;
use super::{INTERRUPTED, Ledger, LedgerError, LedgerView, Record};
use crate::cast::{Kind, NameKey};
use crate::inspect::ImageSignature;
use crate::util::money::Usd;

/// What became of a paid call, as its receipt says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// It is about to leave, or has left.
    Open,
    /// It was rejected unpaid, but the payment signed for it can still be charged.
    SetAside,
    /// Its outcome is unknown.
    InDoubt,
    /// It has an asset id.
    Enrolled,
    /// It was not charged.
    NotCharged,
    /// Its outcome is unknown, and a person decided to pay again.
    Retried,
}

impl CallState {
    /// The word in the ledger and in receipts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::SetAside => "set_aside",
            Self::InDoubt => "in_doubt",
            Self::Enrolled => "enrolled",
            Self::NotCharged => "not_charged",
            Self::Retried => "retried",
        }
    }

    /// Whether nothing that is learned later changes it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Enrolled | Self::NotCharged | Self::Retried)
    }

    fn of(text: &str) -> Self {
        match text {
            "set_aside" => Self::SetAside,
            "in_doubt" => Self::InDoubt,
            "enrolled" => Self::Enrolled,
            "not_charged" => Self::NotCharged,
            "retried" => Self::Retried,
            _ => Self::Open,
        }
    }
}

/// The receipt that belongs to a paid call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptRef {
    /// The number of the receipt among those of the same character and image, from 1.
    pub number: u32,
    /// The random id of the call, the same in the receipt.
    pub call: String,
}

/// A paid call that has a receipt.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The record of the character, as it is now.
    pub record: Record,
    /// Its receipt.
    pub receipt: ReceiptRef,
    /// How the character was enrolled.
    pub kind: Kind,
    /// SHA-256 of the image, in hex.
    pub source_sha256: String,
    /// The price.
    pub price: Usd,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// When it ended, RFC 3339.
    pub ended_at: Option<String>,
    /// What became of it.
    pub state: CallState,
    /// The reason: a fixed code.
    pub code: Option<String>,
    /// The asset id.
    pub asset_id: Option<String>,
    /// The signed payment, in wallet mode.
    pub payment: Option<String>,
    /// How the image looks, if it was inspected.
    pub signature: Option<ImageSignature>,
}

/// A paid call in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its receipt; `None` if it has none.
    pub receipt: Option<ReceiptRef>,
    /// What became of it.
    pub state: CallState,
    /// SHA-256 of the image, in hex; `None` in ledgers of a castline without receipts.
    pub source_sha256: Option<String>,
    /// The signed payment, in wallet mode.
    pub payment: Option<String>,
}

/// The word of [`CallState`] for a row of `attempts`.
const STATE: &str = "CASE WHEN outcome IS NULL THEN 'open'
    WHEN outcome = 'in_doubt' AND code = 'retried' THEN 'retried'
    WHEN outcome IN ('set_aside', 'in_doubt', 'enrolled') THEN outcome
    ELSE 'not_charged' END";

/// The number of a receipt, as it is stored.
fn number(stored: i64) -> u32 {
    u32::try_from(stored).unwrap_or_default()
}

impl LedgerView {
    /// The calls whose receipts don't say yet what became of them, of one character or of all.
    ///
    /// # Errors
    /// The ledger can't be read, or is damaged.
    pub fn unwritten_receipts(&self, of: Option<&NameKey>) -> Result<Vec<Call>, LedgerError> {
        let database = self.database();
        let of = of.map(|name| self.locate(&database, name)).transpose()?;
        // A statement for both would read the calls of all for each one.
        let whose = of.as_ref().map_or("", |_| "key = ?1 AND");
        let key: Vec<Value<'_>> = of.iter().map(|key| Value::from(key.as_str())).collect();
        let query = format!(
            "SELECT c.record, c.digest, receipt_number, receipt_call, source_sha256, kind, price, started_at, ended_at,
                    {STATE}, code, attempts.asset_id, payment, signature
             FROM attempts JOIN characters c USING (key) LEFT JOIN signatures USING (source_sha256)
             WHERE {whose} receipt_call IS NOT NULL AND receipt_written IS DISTINCT FROM {STATE}
             ORDER BY id"
        );
        database.rows(&query, &key, |row| {
            let kind: Option<String> = row.get(5)?;
            let price: i64 = row.get(6)?;
            Ok(Call {
                record: records::checked(self.place(), records::raw(row)?)?,
                receipt: ReceiptRef {
                    number: number(row.get(2)?),
                    call: row.get(3)?,
                },
                source_sha256: row.get::<Option<String>>(4)?.unwrap_or_default(),
                kind: kind.and_then(|kind| kind.parse().ok()).unwrap_or_default(),
                price: Usd::from_micros(price.unsigned_abs()),
                started_at: row.get(7)?,
                ended_at: row.get(8)?,
                state: CallState::of(&row.get::<String>(9)?),
                code: row.get(10)?,
                asset_id: row.get(11)?,
                payment: row.get(12)?,
                signature: row.get::<Option<String>>(13)?.and_then(|text| text.parse().ok()),
            })
        })
    }

    /// The last paid call for a character.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn last_attempt(&self, key: &NameKey) -> Result<Option<Attempt>, LedgerError> {
        let database = self.database();
        let key = self.locate(&database, key)?;
        let query = format!(
            "SELECT receipt_number, receipt_call, {STATE}, source_sha256, payment FROM attempts
             WHERE key = ?1 ORDER BY id DESC LIMIT 1"
        );
        database.first(&query, values![key.as_str()], |row| {
            let (stored, call): (Option<i64>, Option<String>) = (row.get(0)?, row.get(1)?);
            let receipt = |(stored, call)| ReceiptRef {
                number: number(stored),
                call,
            };
            Ok(Attempt {
                receipt: stored.zip(call).map(receipt),
                state: CallState::of(&row.get::<String>(2)?),
                source_sha256: row.get(3)?,
                payment: row.get(4)?,
            })
        })
    }

    /// The signed payment of a character's last call, which was rejected, or is in doubt and is to be resent, if that
    /// may still be valid.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn set_aside(&self, key: &NameKey) -> Result<Option<String>, LedgerError> {
        let database = self.database();
        let key = self.locate(&database, key)?;
        let payment: Option<Option<String>> = database.first(
            "SELECT payment FROM attempts WHERE key = ?1
             AND (outcome = 'set_aside' OR outcome = 'in_doubt' AND code = 'retried') ORDER BY id DESC LIMIT 1",
            values![key.as_str()],
            |row| row.get(0),
        )?;
        Ok(payment.flatten())
    }

    /// How long the reply to the call of a doubt may still come, where a worker made it that was taken over: it may wait for
    /// as long as `timeout` after its lease. `None` where it can't come any more.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn may_be_answered(&self, key: &NameKey, timeout: Duration) -> Result<Option<Duration>, LedgerError> {
        let database = self.database();
        let Database::Postgres(_) = &*database else {
            return Ok(None);
        };
        let key = self.locate(&database, key)?;
        let seconds: Option<f64> = database.first(
            "SELECT extract(epoch FROM workers.fenced_at - clock_timestamp())::float8
             FROM attempts JOIN workers ON uid = worker
             WHERE key = ?1 AND outcome = 'in_doubt' AND code = ?2 AND workers.ended_at IS NULL
               AND workers.fenced_at IS NOT NULL ORDER BY attempts.id DESC LIMIT 1",
            values![key.as_str(), INTERRUPTED],
            |row| row.get(0),
        )?;
        let left = seconds.map(|seconds| seconds + timeout.as_secs_f64());
        Ok(left.and_then(|left| Duration::try_from_secs_f64(left).ok()))
    }

    /// When the last paid call for a character began.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn last_call(&self, key: &NameKey) -> Result<Option<String>, LedgerError> {
        let database = self.database();
        let key = self.locate(&database, key)?;
        let query = "SELECT started_at FROM attempts WHERE key = ?1 ORDER BY id DESC LIMIT 1";
        database.first(query, values![key.as_str()], |row| row.get(0))
    }

    /// The number of paid calls that ended in doubt since one last showed the API at work, by an id or a refusal. Those
    /// that a person has settled, that were taken over from elsewhere, or that ended with castline itself, say nothing of
    /// the API.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn consecutive_doubts(&self) -> Result<u32, LedgerError> {
        let count: i64 = self.database().one(
            "SELECT count(*) FROM attempts WHERE outcome = 'in_doubt' AND code NOT IN ('retried', 'receipt', ?1)
             AND id > (SELECT coalesce(max(id), 0) FROM attempts WHERE outcome = 'refused'
                       OR outcome = 'enrolled' AND code NOT IN ('adopted', 'imported', 'receipt'))",
            values![INTERRUPTED],
            |row| row.get(0),
        )?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// What the ledger knows of the call with that id.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn call_state(&self, call: &str) -> Result<Option<CallState>, LedgerError> {
        let query = format!("SELECT {STATE} FROM attempts WHERE receipt_call = ?1 ORDER BY id DESC LIMIT 1");
        let word: Option<String> = self.database().first(&query, values![call], |row| row.get(0))?;
        Ok(word.as_deref().map(CallState::of))
    }
}

impl Ledger {
    /// Records that the receipt of a call says `state`.
    ///
    /// # Errors
    /// The ledger can't be written.
    pub async fn receipt_written(&self, call: &str, state: CallState) -> Result<(), LedgerError> {
        let call = call.to_owned();
        self.transact(move |database| {
            let written = "UPDATE attempts SET receipt_written = ?2 WHERE receipt_call = ?1";
            database.execute(written, values![&call, state.as_str()])?;
            Ok(())
        })
        .await
    }
}
