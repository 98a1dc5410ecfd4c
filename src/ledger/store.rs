//! A ledger that this process may write: opening it, its reads and its writes.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use super::clock::now;
use super::database::{Database, values};
use super::faults::Faults;
use super::identity::{FileIdentity, create_private};
use super::lock::Lock;
use super::scope::Scope;
use super::step::{Interrupted, put_inspection, recover, release_expired, step};
use super::view::{LedgerView, Reader};
use super::worker::{LEASE, Lease, Worker};
use super::writer::{Turn, Writer};
use super::{
    Approval, FoundCall, INTERRUPTED, LedgerError, Place, Record, Spend, State, Transition, integrity,
    schema, totals,
};
use crate::cast::{Kind, Name, NameKey};
use crate::inspect::{ImageSignature, Inspection};
use crate::util::user::user_name;

/// The options of opening a ledger.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    provider: String,
    sandbox: bool,
    command: String,
    cast: Option<PathBuf>,
    lease: Duration,
    keep: fn(&str) -> bool,
    expired: fn(&str) -> bool,
}

impl OpenOptions {
    /// Options for the API at `provider`, on behalf of `command`.
    pub fn new(provider: &str, sandbox: bool, command: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            sandbox,
            command: command.to_owned(),
            cast: None,
            lease: LEASE,
            keep: |_| false,
            expired: |_| false,
        }
    }

    /// For one cast of the ledger, instead of the whole.
    #[must_use]
    pub fn for_cast(mut self, cast: Option<&Path>) -> Self {
        self.cast = cast.map(Path::to_owned);
        self
    }

    /// For how long a ledger in PostgreSQL is kept while nothing is heard of this process.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Leaves an interrupted paid call open if `keep` says that its payment can be resent, instead of bringing it into
    /// doubt: see [`Ledger::interrupted`].
    pub fn with_resumable_payments(mut self, keep: fn(&str) -> bool, expired: fn(&str) -> bool) -> Self {
        (self.keep, self.expired) = (keep, expired);
        self
    }
}

/// A ledger that only this process writes. Clones share it.
#[derive(Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
}

struct Shared {
    writer: Writer,
    view: LedgerView,
    key_secret: [u8; 32],
    file: Option<FileIdentity>,
    run: i64,
    recovered: usize,
    interrupted: Vec<Interrupted>,
    enrolled: AtomicU64,
    lease: Option<Arc<Lease>>,
    // Dropped last: the lock is released after the ledger.
    _lock: Option<Lock>,
}

/// A database that only this process writes.
struct Held {
    database: Database,
    file: Option<FileIdentity>,
    lock: Option<Lock>,
    worker: Option<Worker>,
    faults: Faults,
}

impl Ledger {
    /// Opens the ledger at `place`, or creates one, and takes its lock. An intent without outcome, left by an
    /// interrupted run, comes into doubt.
    ///
    /// # Errors
    /// The ledger is held by another process, damaged, foreign, or of a newer castline; or it can't be written.
    pub fn open(place: impl Into<Place>, options: OpenOptions) -> Result<Self, LedgerError> {
        let place = place.into();
        let identity = schema::Identity {
            provider: &options.provider,
            sandbox: options.sandbox,
        };
        let Held {
            database,
            file,
            lock,
            worker,
            faults,
        } = match &place {
            Place::File(path) => hold_file(path, &options.command, &identity)?,
            Place::Postgres(server) => {
                let database = schema::prepare_postgres(server, &identity)?;
                let worker = Worker::take(&database, &place, &options.command, options.lease)?;
                Held {
                    database,
                    file: None,
                    lock: None,
                    worker: Some(worker),
                    faults: Faults::from_environment(),
                }
            }
        };
        schema::bind(&database, &place, &identity)?;
        let secret: Vec<u8> = database.one("SELECT key_secret FROM ledger", values![], |row| row.get(0))?;
        let key_secret = secret.try_into().map_err(|_| LedgerError::Damaged {
            place: place.clone(),
            problem: "its key_secret has not 32 bytes".to_owned(),
        })?;
        let view = LedgerView::open_for(&place, options.cast.as_deref())?.expect("it was just created");
        let (recovered, interrupted) =
            recover(&database, worker.as_ref(), &place, view.scope(), options.keep)?;
        release_expired(&database, options.expired)?;
        totals::begin(&database)?;
        let run = database.one(
            "INSERT INTO runs (command, started_at, started_by) VALUES (?1, ?2, ?3) RETURNING id",
            values![&options.command, &now(), user_name().as_deref()],
            |row| row.get(0),
        )?;
        let lease = worker.as_ref().map(Worker::lease);
        let writer = Writer::start(database, worker, faults)
            .map_err(|error| LedgerError::Poisoned(error.to_string()))?;
        Ok(Self {
            shared: Arc::new(Shared {
                writer,
                view,
                key_secret,
                file,
                run,
                recovered,
                interrupted,
                enrolled: AtomicU64::new(0),
                lease,
                _lock: lock,
            }),
        })
    }

    /// Where the ledger is.
    pub fn place(&self) -> &Place {
        self.shared.view.place()
    }

    /// Whether nobody can have taken the ledger over: a paid call leaves only then. Always so for a file, which has a lock.
    pub fn is_ours(&self) -> bool {
        self.shared.lease.as_ref().is_none_or(|lease| lease.runs())
    }

    /// A read-only view of the ledger.
    pub fn view(&self) -> &LedgerView {
        &self.shared.view
    }

    /// The number of characters that came into doubt because an interrupted run left their outcome open.
    pub fn recovered(&self) -> usize {
        self.shared.recovered
    }

    /// Paid calls of an earlier run that were kept open: resend the same payment, and record its outcome.
    pub fn interrupted(&self) -> &[Interrupted] {
        &self.shared.interrupted
    }

    /// The number of asset ids of paid calls that were made durable since it was opened.
    pub fn enrolled(&self) -> u64 {
        self.shared.enrolled.load(Ordering::Relaxed)
    }

    /// 32 random bytes that make object keys unguessable, and stay the same for this ledger.
    pub fn key_secret(&self) -> &[u8; 32] {
        &self.shared.key_secret
    }

    /// The number of this run.
    pub fn run(&self) -> i64 {
        self.shared.run
    }

    /// Whether it contains no character yet.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn is_empty(&self) -> Result<bool, LedgerError> {
        self.shared.view.is_empty()
    }

    /// The money that this run has spent.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn spend(&self) -> Result<Spend, LedgerError> {
        self.shared.view.spend(Some(self.shared.run))
    }

    /// Applies transitions to one character, in order and in one commit; returns once they are durable.
    ///
    /// # Errors
    /// A transition is not allowed, a budget is reached (nothing is written then), or the ledger can't be written: from
    /// then on every write fails. An id that another character has is no error: the call is in doubt then.
    pub async fn write(
        &self,
        name: &Name,
        transitions: impl Into<Vec<Transition>>,
    ) -> Result<Record, LedgerError> {
        let (name, transitions) = (name.clone(), transitions.into());
        let (place, run, scope) = (
            self.place().clone(),
            self.shared.run,
            Arc::clone(self.view().scope()),
        );
        let pays = transitions.iter().any(|t| matches!(t, Transition::Intend { .. }));
        let file = self.shared.file.clone().filter(|_| pays);
        let enrolls = transitions
            .iter()
            .any(|t| matches!(t, Transition::Enrolled { .. }));
        let record = self.shared.writer.transact(move |database, turn| {
            if let Some(file) = &file {
                file.check()?;
            }
            let mut record = None;
            for transition in &transitions {
                let transition = match turn {
                    Turn::Ours => Cow::Borrowed(transition),
                    Turn::Late => Cow::Owned(late(database, &scope, &name, transition)?),
                };
                record = Some(step(database, &place, run, &scope, &name, &transition)?);
            }
            Ok(record.expect("at least one transition"))
        });
        let record = record.await?;
        let enrolled = enrolls && record.state == State::Enrolled;
        self.shared
            .enrolled
            .fetch_add(u64::from(enrolled), Ordering::Relaxed);
        Ok(record)
    }

    /// Applies these transitions in order, all in one commit or none; returns once they are durable.
    ///
    /// # Errors
    /// As [`Ledger::write`]; nothing is written then.
    pub async fn write_all(&self, transitions: Vec<(Name, Transition)>) -> Result<(), LedgerError> {
        let (place, run, scope) = (
            self.place().clone(),
            self.shared.run,
            Arc::clone(self.view().scope()),
        );
        self.transact(move |database| {
            for (name, transition) in &transitions {
                step(database, &place, run, &scope, name, transition)?;
            }
            Ok(())
        })
        .await
    }

    /// Stores the inspection of an image.
    ///
    /// # Errors
    /// The ledger can't be written.
    pub async fn put_inspection(
        &self,
        sha256: &str,
        fingerprint: &str,
        seen: &Inspection,
    ) -> Result<(), LedgerError> {
        let text = serde_json::to_string(seen).expect("an inspection is plain data");
        let (sha256, fingerprint) = (sha256.to_owned(), fingerprint.to_owned());
        let signature = seen.signature;
        self.transact(move |database| {
            put_inspection(database, &sha256, &fingerprint, &text, signature.as_ref())
        })
        .await
    }

    /// Stores how images look, by their SHA-256, where that is not known yet.
    ///
    /// # Errors
    /// The ledger can't be written.
    pub async fn put_signatures(&self, seen: Vec<(String, ImageSignature)>) -> Result<(), LedgerError> {
        self.transact(move |database| {
            let put =
                "INSERT INTO signatures (source_sha256, signature) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            for (sha256, signature) in &seen {
                database.execute(put, values![sha256, &signature.to_string()])?;
            }
            Ok(())
        })
        .await
    }

    /// Records how this run ended.
    ///
    /// # Errors
    /// The ledger can't be written.
    pub async fn end_run(&self, exit_code: u8) -> Result<(), LedgerError> {
        let run = self.shared.run;
        self.transact(move |database| {
            let end = "UPDATE runs SET ended_at = ?1, exit_code = ?2 WHERE id = ?3";
            database.execute(end, values![&now(), exit_code, run])?;
            Ok(())
        })
        .await
    }

    /// Does a write in the next group, and returns once it is durable.
    pub(super) async fn transact<T: Send + 'static>(
        &self,
        write: impl Fn(&Database) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let write = move |database: &Database, turn: Turn| match turn {
            Turn::Ours => write(database),
            Turn::Late => Err(LedgerError::Fenced),
        };
        self.shared.writer.transact(write).await
    }
}

/// A new ledger to copy another one into; the file of an existing one is left alone.
pub(super) fn new_database(place: &Place, identity: &schema::Identity<'_>) -> Result<Database, LedgerError> {
    match place {
        Place::Postgres(server) => schema::prepare_postgres(server, identity),
        Place::File(path) => {
            let taken = || LedgerError::Io {
                path: path.clone(),
                error: std::io::ErrorKind::AlreadyExists.into(),
            };
            if path.exists() {
                return Err(taken());
            }
            create_private(path)?;
            let mut connection = Connection::open(path)?;
            schema::prepare(&mut connection, path, identity)?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            Ok(Database::Sqlite(connection))
        }
    }
}

/// Opens a file of SQLite to write it, under its lock.
fn hold_file(path: &Path, command: &str, identity: &schema::Identity<'_>) -> Result<Held, LedgerError> {
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| LedgerError::Io {
            path: folder.to_owned(),
            error,
        })?;
    }
    let lock = Lock::take(path, command)?;
    create_private(path)?;
    let lock = lock.with_file(path)?;
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    schema::prepare(&mut connection, path, identity)?;
    let file = FileIdentity::of(path)?;
    integrity::quick_check(&connection, path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // On macOS, fsync alone leaves data in the disk's cache; elsewhere this changes nothing.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    let database = Database::Sqlite(connection);
    let faults = Faults::from_environment();
    faults.limit(&database)?;
    Ok(Held {
        database,
        file: Some(file),
        lock: Some(lock),
        worker: None,
        faults,
    })
}

/// What may still be written by a worker that another one took over: what became of its own call, which is in doubt since.
fn late(
    database: &Database,
    scope: &Scope,
    name: &Name,
    transition: &Transition,
) -> Result<Transition, LedgerError> {
    if !transition.is_outcome() {
        return Err(LedgerError::Fenced);
    }
    let key = scope.locate(database, &name.key())?;
    let ours = database.first(
        "SELECT coalesce(worker = current_setting('castline.worker', true) AND outcome = 'in_doubt' AND code = ?2, false)
         FROM attempts WHERE key = ?1 ORDER BY id DESC LIMIT 1",
        values![key.as_str(), INTERRUPTED],
        |row| row.get(0),
    )?;
    match ours {
        Some(true) => Ok(Transition::Late(Box::new(transition.clone()))),
        _ => Err(LedgerError::Fenced),
    }
}

impl Reader for Ledger {
    fn get(&self, key: &NameKey) -> Result<Option<Record>, LedgerError> {
        self.shared.view.get(key)
    }

    fn cached_inspection(&self, sha256: &str, fingerprint: &str) -> Result<Option<Inspection>, LedgerError> {
        self.shared.view.cached_inspection(sha256, fingerprint)
    }

    fn signature(&self, sha256: &str) -> Result<Option<ImageSignature>, LedgerError> {
        self.shared.view.signature(sha256)
    }

    fn paid_signatures(&self) -> Result<Vec<(String, ImageSignature)>, LedgerError> {
        self.shared.view.paid_signatures()
    }

    fn paid_pictures(&self) -> Result<Vec<(String, String)>, LedgerError> {
        self.shared.view.paid_pictures()
    }

    fn paid_unseen(&self) -> Result<Vec<Name>, LedgerError> {
        self.shared.view.paid_unseen()
    }

    fn paid_before(
        &self,
        name: &NameKey,
        kind: Kind,
        sha256: &str,
    ) -> Result<Option<FoundCall>, LedgerError> {
        self.shared.view.paid_before(name, kind, sha256)
    }

    fn approval(&self, key: &NameKey, sha256: &str) -> Result<Approval, LedgerError> {
        self.shared.view.approval(key, sha256)
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
