//! Reads a ledger without a lock, even during a run.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::clock::now;
use super::integrity::pragma;
use super::scope::{LedgerKey, Scope};
use super::{Approval, FoundCall, INTERRUPTED, LedgerError, Record, State, backup, records, schema};
use crate::cast::{Kind, Name, NameKey};
use crate::inspect::{ImageSignature, Inspection};
use crate::util::money::Usd;
use crate::util::provider_ids::ProviderIds;

/// The queries of the pipeline before it inspects an image.
pub trait Reader: Send + Sync {
    /// The record of a character.
    ///
    /// # Errors
    /// The ledger can't be read, or is damaged.
    fn get(&self, key: &NameKey) -> Result<Option<Record>, LedgerError>;
    /// The cached inspection of an image by the inspector with that fingerprint.
    ///
    /// # Errors
    /// The ledger can't be read.
    fn cached_inspection(&self, sha256: &str, fingerprint: &str) -> Result<Option<Inspection>, LedgerError>;
    /// The signature of an image, whatever inspected it.
    ///
    /// # Errors
    /// The ledger can't be read.
    fn signature(&self, sha256: &str) -> Result<Option<ImageSignature>, LedgerError>;
    /// The names of characters that were paid for, or perhaps were, each with the signature of the image that was paid
    /// for, where it is known.
    ///
    /// # Errors
    /// The ledger can't be read.
    fn paid_signatures(&self) -> Result<Vec<(String, ImageSignature)>, LedgerError>;
    /// The names of characters that were paid for, or perhaps were, each with the SHA-256 of the image that was paid
    /// for, where it is known.
    ///
    /// # Errors
    /// The ledger can't be read.
    fn paid_pictures(&self) -> Result<Vec<(String, String)>, LedgerError>;
    /// The call that was paid, or perhaps was, for a character of that name with the same image: earlier, before another
    /// image took its place, or in another cast of this ledger. The same name and image are paid for once.
    ///
    /// # Errors
    /// The ledger can't be read, or is damaged.
    fn paid_before(&self, name: &NameKey, kind: Kind, sha256: &str)
    -> Result<Option<FoundCall>, LedgerError>;
    /// The decision of a person about a character's image.
    ///
    /// # Errors
    /// The ledger can't be read.
    fn approval(&self, key: &NameKey, sha256: &str) -> Result<Approval, LedgerError>;
}

/// The money that was spent: for what is enrolled, and for what is in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spend {
    /// The amount that was paid.
    pub enrolled: Usd,
    /// The amount that was perhaps paid.
    pub in_doubt: Usd,
}

impl Spend {
    /// The amount that counts against a budget.
    pub fn total(self) -> Usd {
        self.enrolled + self.in_doubt
    }
}

/// A read-only ledger.
#[derive(Debug)]
pub struct LedgerView {
    connection: Mutex<Connection>,
    path: std::path::PathBuf,
    provider: String,
    sandbox: bool,
    scope: Arc<Scope>,
}

impl LedgerView {
    /// Opens the whole ledger at `path`; `None` if there is none, or one whose creation was interrupted.
    ///
    /// # Errors
    /// The ledger can't be read, is damaged, or was written by a newer castline.
    pub fn open(path: &Path) -> Result<Option<Self>, LedgerError> {
        Self::open_for(path, None)
    }

    /// Opens the ledger at `path` for one cast; without one, the whole ledger.
    ///
    /// # Errors
    /// As [`LedgerView::open`].
    pub fn open_for(path: &Path, cast: Option<&Path>) -> Result<Option<Self>, LedgerError> {
        if !path.exists() {
            return Ok(None);
        }
        undo_interrupted(path)?;
        let connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        let pages: i64 = pragma(&connection, path, "page_count")?;
        if pages == 0 {
            return Ok(None);
        }
        let (provider, sandbox) = schema::identity(&connection, path)?;
        let scope = Arc::new(Scope::new(&connection, path, cast)?);
        Ok(Some(Self {
            scope,
            connection: Mutex::new(connection),
            path: path.to_owned(),
            provider,
            sandbox,
        }))
    }

    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The provider that the ledger belongs to.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Whether it is the sandbox's.
    pub fn is_sandbox(&self) -> bool {
        self.sandbox
    }

    /// Checks that it can be used for the API at `provider`, or for the sandbox: it belongs to it, or holds nothing
    /// that binds it to another one.
    ///
    /// # Errors
    /// [`LedgerError::Foreign`], or the ledger can't be read.
    pub fn check_owner(&self, provider: &str, sandbox: bool) -> Result<(), LedgerError> {
        let ours = schema::Identity { provider, sandbox };
        schema::check_owner(&self.connection(), &self.path, &ours).map(drop)
    }

    /// The name of the cast that it was opened for: of its file or folder.
    pub fn cast_name(&self) -> Option<&str> {
        self.scope.cast_name()
    }

    /// The path of the ledger.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every character of the cast, or of the whole ledger, in the order in which they were first seen.
    ///
    /// # Errors
    /// The ledger can't be read, or is damaged.
    pub fn all(&self) -> Result<Vec<Record>, LedgerError> {
        let ours = |(key, _): &(LedgerKey, Record)| self.scope.includes(key);
        let all = self.whole()?.into_iter().filter(ours);
        Ok(all.map(|(_, record)| record).collect())
    }

    /// Every character of all casts, with its key.
    fn whole(&self) -> Result<Vec<(LedgerKey, Record)>, LedgerError> {
        let connection = self.connection();
        let mut query =
            connection.prepare_cached("SELECT record, digest, key FROM characters ORDER BY seq")?;
        let mut rows = query.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let record = records::checked(&self.path, records::raw(row)?)?;
            all.push((LedgerKey::from_stored(row.get(2)?), record));
        }
        Ok(all)
    }

    /// Where a character is stored.
    pub(super) fn locate(&self, connection: &Connection, name: &NameKey) -> Result<LedgerKey, LedgerError> {
        self.scope.locate(connection, name)
    }

    /// The cast that the view is for.
    pub(super) fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    /// Every asset id that a character has or ever had, with the name of that character.
    ///
    /// # Errors
    /// The ledger can't be read, or is damaged.
    pub fn asset_ids(&self) -> Result<HashMap<String, Name>, LedgerError> {
        let mut ids = HashMap::new();
        let mut names = HashMap::new();
        for (key, record) in self.whole()? {
            if let Some(id) = record.asset_id {
                ids.insert(id, record.name.clone());
            }
            names.insert(key.as_str().to_owned(), record.name);
        }
        let connection = self.connection();
        let mut query = connection.prepare_cached(
            "SELECT asset_id, key FROM history UNION SELECT asset_id, key FROM attempts WHERE asset_id IS NOT NULL",
        )?;
        for row in query.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))? {
            let (id, key) = row?;
            if let Some(name) = names.get(&key) {
                ids.entry(id).or_insert_with(|| name.clone());
            }
        }
        Ok(ids)
    }

    /// The money that was spent over the ledger's life, or in one run.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn spend(&self, run: Option<i64>) -> Result<Spend, LedgerError> {
        spend(&self.connection(), run)
    }

    /// The highest price that the API reported in the last run in which it reported any.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn reply_price(&self) -> Result<Option<Usd>, LedgerError> {
        let micros: Option<i64> = self.connection().query_row(
            "SELECT max(price) FROM attempts WHERE outcome = 'enrolled' AND code = 'priced' AND run =
             (SELECT run FROM attempts WHERE outcome = 'enrolled' AND code = 'priced' ORDER BY run DESC LIMIT 1)",
            [],
            |row| row.get(0),
        )?;
        Ok(micros.map(|micros| Usd::from_micros(micros.unsigned_abs())))
    }

    /// The signed payment of a character's last call, which was rejected, or is in doubt and is to be resent, if that
    /// may still be valid.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn set_aside(&self, key: &NameKey) -> Result<Option<String>, LedgerError> {
        let connection = self.connection();
        let mut query = connection.prepare_cached(
            "SELECT payment FROM attempts WHERE key = ?1
             AND (outcome = 'set_aside' OR outcome = 'in_doubt' AND code = 'retried') ORDER BY id DESC LIMIT 1",
        )?;
        let key = self.locate(&connection, key)?;
        let payment = query.query_row([key.as_str()], |row| row.get(0)).optional()?;
        Ok(payment.flatten())
    }

    /// When the last paid call for a character began.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn last_call(&self, key: &NameKey) -> Result<Option<String>, LedgerError> {
        let connection = self.connection();
        let mut query = connection
            .prepare_cached("SELECT started_at FROM attempts WHERE key = ?1 ORDER BY id DESC LIMIT 1")?;
        let key = self.locate(&connection, key)?;
        Ok(query.query_row([key.as_str()], |row| row.get(0)).optional()?)
    }

    /// The number of paid calls that ended in doubt since one last showed the API at work, by an id or a refusal. Those
    /// that a person has settled, that were taken over from elsewhere, or that ended with castline itself, say nothing of
    /// the API.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn consecutive_doubts(&self) -> Result<u32, LedgerError> {
        let count = self.connection().query_row(
            "SELECT count(*) FROM attempts WHERE outcome = 'in_doubt' AND code NOT IN ('retried', 'receipt', ?1)
             AND id > (SELECT coalesce(max(id), 0) FROM attempts WHERE outcome = 'refused'
                       OR outcome = 'enrolled' AND code NOT IN ('adopted', 'imported', 'receipt'))",
            [INTERRUPTED],
            |row| row.get(0),
        )?;
        Ok(count)
    }

    /// The number of the last run; 0 before the first.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn last_run(&self) -> Result<i64, LedgerError> {
        Ok(self
            .connection()
            .query_row("SELECT coalesce(max(id), 0) FROM runs", [], |row| row.get(0))?)
    }

    /// Whether `copy` was copied from this ledger at any time.
    ///
    /// # Errors
    /// One of them can't be read.
    pub fn is_copied_in(&self, copy: &Self) -> Result<bool, LedgerError> {
        let secret = |view: &Self| -> Result<Vec<u8>, LedgerError> {
            let connection = view.connection();
            Ok(connection.query_row("SELECT key_secret FROM ledger", [], |row| row.get(0))?)
        };
        Ok(secret(self)? == secret(copy)?)
    }

    /// Copies the ledger to `target`, complete and consistent, even during a run.
    ///
    /// # Errors
    /// The ledger can't be read, or the copy can't be written or verified.
    pub fn backup(&self, target: &Path) -> Result<(), LedgerError> {
        backup::copy(&self.connection(), target)
    }
}

/// Undoes a creation or migration that was interrupted, which only a connection that may write can do.
fn undo_interrupted(path: &Path) -> Result<(), LedgerError> {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    if Path::new(&journal).exists() {
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        pragma::<i64>(&connection, path, "page_count")?;
    }
    Ok(())
}

impl Reader for LedgerView {
    fn get(&self, key: &NameKey) -> Result<Option<Record>, LedgerError> {
        let connection = self.connection();
        let key = self.locate(&connection, key)?;
        records::get(&connection, &self.path, &key)
    }

    fn paid_before(
        &self,
        name: &NameKey,
        kind: Kind,
        sha256: &str,
    ) -> Result<Option<FoundCall>, LedgerError> {
        let connection = self.connection();
        let own = self.locate(&connection, name)?;
        if let Some(call) = earlier_call(&connection, &own, kind, sha256)? {
            return Ok(Some(call));
        }
        for key in self.scope.elsewhere(name) {
            let found = records::get(&connection, &self.path, &key)?;
            if let Some(call) = found.and_then(|record| paid_call_of(&record, kind, sha256)) {
                return Ok(Some(call));
            }
        }
        Ok(None)
    }

    fn cached_inspection(&self, sha256: &str, fingerprint: &str) -> Result<Option<Inspection>, LedgerError> {
        let connection = self.connection();
        let mut query = connection.prepare_cached(
            "SELECT inspection FROM inspections WHERE source_sha256 = ?1 AND fingerprint = ?2",
        )?;
        let text: Option<String> = query
            .query_row((sha256, fingerprint), |row| row.get(0))
            .optional()?;
        // An unreadable cached inspection only means that the image is inspected anew.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    fn signature(&self, sha256: &str) -> Result<Option<ImageSignature>, LedgerError> {
        let connection = self.connection();
        let mut query =
            connection.prepare_cached("SELECT signature FROM signatures WHERE source_sha256 = ?1")?;
        let text: Option<String> = query.query_row([sha256], |row| row.get(0)).optional()?;
        // One of an older version counts as missing: the image is inspected anew.
        Ok(text.and_then(|text| text.parse().ok()))
    }

    fn paid_signatures(&self) -> Result<Vec<(String, ImageSignature)>, LedgerError> {
        let connection = self.connection();
        let mut query = connection.prepare_cached(&format!(
            "SELECT paid.name, s.signature FROM ({PAID}) paid
             JOIN signatures s ON s.source_sha256 = paid.sha256 ORDER BY paid.seq"
        ))?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        let mut paid = Vec::new();
        for row in rows {
            let (name, text) = row?;
            paid.extend(text.parse().ok().map(|signature| (name, signature)));
        }
        Ok(paid)
    }

    fn paid_pictures(&self) -> Result<Vec<(String, String)>, LedgerError> {
        let connection = self.connection();
        let mut query = connection.prepare_cached(&format!(
            "SELECT name, sha256 FROM ({PAID}) WHERE sha256 IS NOT NULL ORDER BY seq"
        ))?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn approval(&self, key: &NameKey, sha256: &str) -> Result<Approval, LedgerError> {
        let connection = self.connection();
        let mut query = connection
            .prepare_cached("SELECT approved FROM decisions WHERE key = ?1 AND source_sha256 = ?2")?;
        let key = self.locate(&connection, key)?;
        let stored = query.query_row((key.as_str(), sha256), |row| row.get(0));
        Ok(Approval::from_stored(stored.optional()?))
    }
}

/// The last call of a character that has an id for that image.
fn earlier_call(
    connection: &Connection,
    key: &LedgerKey,
    kind: Kind,
    sha256: &str,
) -> Result<Option<FoundCall>, LedgerError> {
    let mut query = connection.prepare_cached(
        "SELECT asset_id, price, coalesce(ended_at, started_at) FROM attempts
         WHERE key = ?1 AND kind = ?2 AND source_sha256 = ?3 AND outcome = 'enrolled' ORDER BY id DESC LIMIT 1",
    )?;
    let call = query.query_row((key.as_str(), kind.as_str(), sha256), |row| {
        Ok(FoundCall {
            receipt: None,
            kind,
            source: String::new(),
            source_sha256: sha256.to_owned(),
            price: Usd::from_micros(row.get::<_, i64>(1)?.unsigned_abs()),
            at: row.get(2)?,
            asset_id: row.get(0)?,
            url: None,
            ids: ProviderIds::default(),
            extra: Vec::new(),
            signature: None,
        })
    });
    Ok(call.optional()?)
}

/// The paid call that a record tells of, if it was for that image.
fn paid_call_of(record: &Record, kind: Kind, sha256: &str) -> Option<FoundCall> {
    let open = matches!(record.state, State::Intent | State::InDoubt);
    let in_doubt = open && record.kind == kind && record.attempted_sha256.as_deref() == Some(sha256);
    let enrolled = record.enrolled_sha256.as_deref() == Some(sha256) && record.is_enrolled_as(kind, sha256);
    if !in_doubt && !enrolled {
        return None;
    }
    let price = if enrolled {
        record.price
    } else {
        record.attempted_price
    };
    Some(FoundCall {
        receipt: None,
        kind,
        source: record.source.clone(),
        source_sha256: sha256.to_owned(),
        price: price.unwrap_or_default(),
        at: record.enrolled_at.clone().unwrap_or_else(now),
        asset_id: record.asset_id.clone().filter(|_| enrolled),
        url: record.url.clone(),
        ids: match enrolled {
            true => record.ids.clone(),
            false => ProviderIds::default(),
        },
        extra: record.extra.clone(),
        signature: None,
    })
}

/// The images that were paid for, and their characters; includes paid calls that are in flight or in doubt, since they
/// may have been charged. A character that has an id and is paid for again has two rows.
const PAID: &str = "SELECT seq, json_extract(record, '$.name') AS name,
        json_extract(record, '$.enrolled_sha256') AS sha256
    FROM characters WHERE json_extract(record, '$.asset_id') IS NOT NULL
    UNION ALL SELECT seq, json_extract(record, '$.name'), json_extract(record, '$.attempted_sha256')
    FROM characters WHERE state IN ('intent', 'in_doubt')";

/// The sums are floating point, which no price overflows, and exact up to billions of dollars. A doubt that was retried
/// remains counted, and so does a payment that was set aside; what a person forgot, or the API released, does not.
pub(super) fn spend(connection: &Connection, run: Option<i64>) -> Result<Spend, LedgerError> {
    let mut query = connection.prepare_cached(
        "SELECT CAST(total(CASE WHEN outcome = 'enrolled' THEN price END) AS INTEGER),
                CAST(total(CASE WHEN outcome IN ('in_doubt', 'set_aside') OR outcome IS NULL THEN price END) AS INTEGER)
         FROM attempts WHERE ?1 IS NULL OR run = ?1",
    )?;
    let (enrolled, in_doubt): (i64, i64) = query.query_row([run], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let usd = |micros: i64| Usd::from_micros(micros.unsigned_abs());
    Ok(Spend {
        enrolled: usd(enrolled),
        in_doubt: usd(in_doubt),
    })
}
