//! Reads a ledger without a lock, even during a run.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags};

use super::clock::now;
use super::database::{Database, Row, values};
use super::integrity::pragma;
use super::scope::{LedgerKey, Scope};
use super::totals::dollars;
use super::{Approval, FoundCall, LedgerError, Place, Record, State, backup, records, schema};
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
    /// The names of characters that were paid for, or perhaps were, with an image whose signature is not known.
    ///
    /// # Errors
    /// The ledger can't be read.
    fn paid_unseen(&self) -> Result<Vec<Name>, LedgerError>;
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
pub struct LedgerView {
    database: Mutex<Database>,
    place: Place,
    provider: String,
    sandbox: bool,
    scope: Arc<Scope>,
}

impl LedgerView {
    /// Opens the whole ledger at `place`; `None` if there is none, or one whose creation was interrupted.
    ///
    /// # Errors
    /// The ledger can't be read, is damaged, or was written by a newer castline.
    pub fn open(place: impl Into<Place>) -> Result<Option<Self>, LedgerError> {
        Self::open_for(place, None)
    }

    /// Opens the ledger at `place` for one cast; without one, the whole ledger.
    ///
    /// # Errors
    /// As [`LedgerView::open`].
    pub fn open_for(place: impl Into<Place>, cast: Option<&Path>) -> Result<Option<Self>, LedgerError> {
        let place = place.into();
        let database = match &place {
            Place::File(path) => open_file(path)?,
            Place::Postgres(server) => schema::open_postgres(server)?,
        };
        let Some(database) = database else { return Ok(None) };
        let (provider, sandbox) = schema::identity(&database, &place)?;
        let scope = Arc::new(Scope::new(&database, &place, cast)?);
        Ok(Some(Self {
            scope,
            database: Mutex::new(database),
            place,
            provider,
            sandbox,
        }))
    }

    pub(super) fn database(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
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
        schema::check_owner(&self.database(), &self.place, &ours).map(drop)
    }

    /// The name of the cast that it was opened for: of its file or folder.
    pub fn cast_name(&self) -> Option<&str> {
        self.scope.cast_name()
    }

    /// Where the ledger is.
    pub fn place(&self) -> &Place {
        &self.place
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

    /// Whether it has no character of the cast, or none at all.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn is_empty(&self) -> Result<bool, LedgerError> {
        let query = "SELECT key FROM characters";
        let key = |row: &Row<'_>| Ok(LedgerKey::from_stored(row.get(0)?));
        let keys = self.database().rows(query, values![], key)?;
        Ok(!keys.iter().any(|key| self.scope.includes(key)))
    }

    /// Every character of all casts, with its key.
    fn whole(&self) -> Result<Vec<(LedgerKey, Record)>, LedgerError> {
        let query = "SELECT record, digest, key FROM characters ORDER BY seq";
        self.database().rows(query, values![], |row| {
            let record = records::checked(&self.place, records::raw(row)?)?;
            Ok((LedgerKey::from_stored(row.get(2)?), record))
        })
    }

    /// Where a character is stored.
    pub(super) fn locate(&self, database: &Database, name: &NameKey) -> Result<LedgerKey, LedgerError> {
        self.scope.locate(database, name)
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
        let query = "SELECT asset_id, key FROM history UNION SELECT asset_id, key FROM attempts WHERE asset_id IS NOT NULL";
        let pair = |row: &Row<'_>| Ok((row.get(0)?, row.get::<String>(1)?));
        for (id, key) in self.database().rows(query, values![], pair)? {
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
        spend(&self.database(), run)
    }

    /// The highest price that the API reported in the last run in which it reported any.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn reply_price(&self) -> Result<Option<Usd>, LedgerError> {
        let micros: Option<i64> = self.database().one(
            "SELECT max(price) FROM attempts WHERE outcome = 'enrolled' AND code = 'priced' AND run =
             (SELECT run FROM attempts WHERE outcome = 'enrolled' AND code = 'priced' ORDER BY run DESC LIMIT 1)",
            values![],
            |row| row.get(0),
        )?;
        Ok(micros.map(|micros| Usd::from_micros(micros.unsigned_abs())))
    }

    /// The number of the last run; 0 before the first.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn last_run(&self) -> Result<i64, LedgerError> {
        let query = "SELECT coalesce(max(id), 0) FROM runs";
        self.database().one(query, values![], |row| row.get(0))
    }

    /// Whether `copy` was copied from this ledger at any time.
    ///
    /// # Errors
    /// One of them can't be read.
    pub fn is_copied_in(&self, copy: &Self) -> Result<bool, LedgerError> {
        let secret = |view: &Self| -> Result<Vec<u8>, LedgerError> {
            let query = "SELECT key_secret FROM ledger";
            view.database().one(query, values![], |row| row.get(0))
        };
        Ok(secret(self)? == secret(copy)?)
    }

    /// Copies the ledger into a file of SQLite at `target`, complete and consistent, even during a run.
    ///
    /// # Errors
    /// The ledger can't be read, or the copy can't be written or verified.
    pub fn backup(&self, target: &Path) -> Result<(), LedgerError> {
        if let Database::Sqlite(connection) = &*self.database() {
            return backup::copy(connection, target);
        }
        backup::replace(target, |beside| {
            super::copy(self, &Place::File(beside.to_owned())).map(drop)
        })
    }
}

/// Opens a file of SQLite to read it; `None` if there is no ledger in it.
fn open_file(path: &Path) -> Result<Option<Database>, LedgerError> {
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
    Ok(Some(Database::Sqlite(schema::current(connection, path)?)))
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
        let database = self.database();
        // Nearly every character is stored under its own key: one query is enough for it.
        let own = self.scope.own(key);
        if let Some(record) = records::get(&database, &self.place, &own)? {
            return Ok(Some(record));
        }
        match self.locate(&database, key)? {
            elsewhere if elsewhere != own => records::get(&database, &self.place, &elsewhere),
            _ => Ok(None),
        }
    }

    fn paid_before(
        &self,
        name: &NameKey,
        kind: Kind,
        sha256: &str,
    ) -> Result<Option<FoundCall>, LedgerError> {
        let database = self.database();
        let own = self.locate(&database, name)?;
        if let Some(call) = earlier_call(&database, &own, kind, sha256)? {
            return Ok(Some(call));
        }
        for key in self.scope.elsewhere(name) {
            let found = records::get(&database, &self.place, &key)?;
            if let Some(call) = found.and_then(|record| paid_call_of(&record, kind, sha256)) {
                return Ok(Some(call));
            }
        }
        Ok(None)
    }

    fn cached_inspection(&self, sha256: &str, fingerprint: &str) -> Result<Option<Inspection>, LedgerError> {
        let query = "SELECT inspection FROM inspections WHERE source_sha256 = ?1 AND fingerprint = ?2";
        let text: Option<String> = self
            .database()
            .first(query, values![sha256, fingerprint], |row| row.get(0))?;
        // An unreadable cached inspection only means that the image is inspected anew.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    fn signature(&self, sha256: &str) -> Result<Option<ImageSignature>, LedgerError> {
        let query = "SELECT signature FROM signatures WHERE source_sha256 = ?1";
        let text: Option<String> = self.database().first(query, values![sha256], |row| row.get(0))?;
        // One of an older version counts as missing: the image is inspected anew.
        Ok(text.and_then(|text| text.parse().ok()))
    }

    fn paid_signatures(&self) -> Result<Vec<(String, ImageSignature)>, LedgerError> {
        let query = format!(
            "SELECT paid.name, s.signature FROM ({PAID}) paid
             JOIN signatures s ON s.source_sha256 = paid.sha256 ORDER BY paid.seq"
        );
        let paid = self.database().rows(&query, values![], |row| {
            let (name, text): (String, String) = (row.get(0)?, row.get(1)?);
            Ok(text.parse().ok().map(|signature| (name, signature)))
        })?;
        Ok(paid.into_iter().flatten().collect())
    }

    fn paid_pictures(&self) -> Result<Vec<(String, String)>, LedgerError> {
        let query = format!("SELECT name, sha256 FROM ({PAID}) paid WHERE sha256 IS NOT NULL ORDER BY seq");
        self.database()
            .rows(&query, values![], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn paid_unseen(&self) -> Result<Vec<Name>, LedgerError> {
        // One of an older version counts as missing.
        let query = format!(
            "SELECT paid.name FROM ({PAID}) paid LEFT JOIN signatures s
               ON s.source_sha256 = paid.sha256 AND (substr(s.signature, 1, 2) = ?1 OR length(s.signature) = ?2)
             WHERE s.source_sha256 IS NULL"
        );
        let known = values![ImageSignature::VERSION, ImageSignature::UNVERSIONED];
        let names = self
            .database()
            .rows(&query, known, |row| Ok(Name::new(&row.get::<String>(0)?).ok()))?;
        Ok(names.into_iter().flatten().collect())
    }

    fn approval(&self, key: &NameKey, sha256: &str) -> Result<Approval, LedgerError> {
        let database = self.database();
        let key = self.locate(&database, key)?;
        let query = "SELECT approved FROM decisions WHERE key = ?1 AND source_sha256 = ?2";
        let stored = database.first(query, values![key.as_str(), sha256], |row| row.get(0))?;
        Ok(Approval::from_stored(stored))
    }
}

/// The last call of a character that has an id for that image.
fn earlier_call(
    database: &Database,
    key: &LedgerKey,
    kind: Kind,
    sha256: &str,
) -> Result<Option<FoundCall>, LedgerError> {
    let query = "SELECT asset_id, price, coalesce(ended_at, started_at) FROM attempts
         WHERE key = ?1 AND kind = ?2 AND source_sha256 = ?3 AND outcome = 'enrolled' ORDER BY id DESC LIMIT 1";
    database.first(query, values![key.as_str(), kind.as_str(), sha256], |row| {
        Ok(FoundCall {
            receipt: None,
            kind,
            source: String::new(),
            source_sha256: sha256.to_owned(),
            price: Usd::from_micros(row.get::<i64>(1)?.unsigned_abs()),
            at: row.get(2)?,
            asset_id: row.get(0)?,
            url: None,
            ids: ProviderIds::default(),
            extra: Vec::new(),
            signature: None,
        })
    })
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
const PAID: &str =
    "SELECT seq, name, enrolled_sha256 AS sha256 FROM character_fields WHERE asset_id IS NOT NULL
    UNION ALL SELECT seq, name, attempted_sha256 FROM character_fields WHERE state IN ('intent', 'in_doubt')";

/// What was spent, in all or in one run. A doubt that was retried
/// remains counted, and so does a payment that was set aside; what a person forgot, or the API released, does not.
pub(super) fn spend(database: &Database, run: Option<i64>) -> Result<Spend, LedgerError> {
    let query = "SELECT sum(CASE WHEN outcome = 'enrolled' THEN CAST(price AS DOUBLE PRECISION) END),
                sum(CASE WHEN outcome IN ('in_doubt', 'set_aside') OR outcome IS NULL
                    THEN CAST(price AS DOUBLE PRECISION) END)
         FROM attempts WHERE run = ?1 OR ?1 IS NULL";
    database.one(query, values![run], |row| {
        Ok(Spend {
            enrolled: dollars(row.get(0)?),
            in_doubt: dollars(row.get(1)?),
        })
    })
}
