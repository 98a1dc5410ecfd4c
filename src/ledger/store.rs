//! A ledger that this process may write: opening it, its reads and its writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use super::clock::now;
use super::faults::Faults;
use super::identity::{FileIdentity, create_private};
use super::lock::Lock;
use super::step::{Interrupted, put_signature, recover, release_expired, step};
use super::view::{LedgerView, Reader};
use super::writer::Writer;
use super::{Approval, FoundCall, LedgerError, Record, Spend, State, Transition, integrity, schema, totals};
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
    file: FileIdentity,
    run: i64,
    recovered: usize,
    interrupted: Vec<Interrupted>,
    enrolled: AtomicU64,
    // Dropped last: the lock is released after the ledger.
    _lock: Lock,
}

impl Ledger {
    /// Opens the ledger at `path`, or creates one, and takes its lock. An intent without outcome, left by an
    /// interrupted run, comes into doubt.
    ///
    /// # Errors
    /// The ledger is held by another process, damaged, foreign, or of a newer castline; or it can't be written.
    pub fn open(path: &Path, options: OpenOptions) -> Result<Self, LedgerError> {
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| LedgerError::Io {
                path: folder.to_owned(),
                error,
            })?;
        }
        let lock = Lock::take(path, &options.command)?;
        create_private(path)?;
        let lock = lock.with_file(path)?;
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        let identity = schema::Identity {
            provider: &options.provider,
            sandbox: options.sandbox,
        };
        schema::prepare(&mut connection, path, &identity)?;
        let file = FileIdentity::of(path)?;
        integrity::quick_check(&connection, path)?;
        schema::bind(&connection, path, &identity)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // On macOS, fsync alone leaves data in the disk's cache; elsewhere this changes nothing.
        connection.pragma_update(None, "fullfsync", true)?;
        connection.pragma_update(None, "checkpoint_fullfsync", true)?;
        let faults = Faults::from_environment();
        faults.limit(&connection)?;
        let key_secret = connection.query_row("SELECT key_secret FROM ledger", [], |row| row.get(0))?;
        let view = LedgerView::open_for(path, options.cast.as_deref())?.expect("it was just created");
        let (recovered, interrupted) = recover(&mut connection, path, view.scope(), options.keep)?;
        release_expired(&connection, options.expired)?;
        totals::begin(&connection)?;
        connection.execute(
            "INSERT INTO runs (command, started_at, started_by) VALUES (?1, ?2, ?3)",
            (&options.command, now(), user_name()),
        )?;
        let run = connection.last_insert_rowid();
        let writer = Writer::start(connection, faults).map_err(|error| LedgerError::Io {
            path: path.to_owned(),
            error,
        })?;
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
                _lock: lock,
            }),
        })
    }

    /// The path of the ledger.
    pub fn path(&self) -> &Path {
        self.shared.view.path()
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
        Ok(self.shared.view.all()?.is_empty())
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
        let (path, run, scope) = (
            self.path().to_owned(),
            self.shared.run,
            Arc::clone(self.view().scope()),
        );
        let pays = transitions.iter().any(|t| matches!(t, Transition::Intend { .. }));
        let file = pays.then(|| self.shared.file.clone());
        let enrolls = transitions
            .iter()
            .any(|t| matches!(t, Transition::Enrolled { .. }));
        let record = self
            .transact(move |connection| {
                if let Some(file) = file {
                    file.check()?;
                }
                let mut record = None;
                for transition in &transitions {
                    record = Some(step(connection, &path, run, &scope, &name, transition)?);
                }
                Ok(record.expect("at least one transition"))
            })
            .await?;
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
        let (path, run, scope) = (
            self.path().to_owned(),
            self.shared.run,
            Arc::clone(self.view().scope()),
        );
        self.transact(move |connection| {
            for (name, transition) in &transitions {
                step(connection, &path, run, &scope, name, transition)?;
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
        self.transact(move |connection| {
            put_signature(connection, &sha256, signature.as_ref())?;
            connection
                .prepare_cached("INSERT OR REPLACE INTO inspections VALUES (?1, ?2, ?3)")?
                .execute((sha256, fingerprint, text))?;
            Ok(())
        })
        .await
    }

    /// Stores how images look, by their SHA-256, where that is not known yet.
    ///
    /// # Errors
    /// The ledger can't be written.
    pub async fn put_signatures(&self, seen: Vec<(String, ImageSignature)>) -> Result<(), LedgerError> {
        self.transact(move |connection| {
            let mut put = connection.prepare_cached("INSERT OR IGNORE INTO signatures VALUES (?1, ?2)")?;
            for (sha256, signature) in &seen {
                put.execute((sha256, signature.to_string()))?;
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
        self.transact(move |connection| {
            connection.execute(
                "UPDATE runs SET ended_at = ?1, exit_code = ?2 WHERE id = ?3",
                (now(), exit_code, run),
            )?;
            Ok(())
        })
        .await
    }

    /// Does a write in the next group, and returns once it is durable.
    pub(super) async fn transact<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.shared.writer.transact(write).await
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
