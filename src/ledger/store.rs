//! Writes a ledger: one thread, group commit; whoever waits for a write waits until it is durable.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::faults::Faults;
use super::lock::Lock;
use super::view::{self, LedgerView, Reader};
use super::{Budget, LedgerError, Record, Resolution, Spend, Transition, apply, schema, totals};
use crate::cast::{Name, NameKey};
use crate::inspect::Inspection;
use crate::money::Usd;
use crate::plan::Approval;

/// So many waiting writes share one commit at most.
const GROUP: usize = 256;

/// How a ledger is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    provider: String,
    sandbox: bool,
    command: String,
    keep: fn(&str) -> bool,
}

impl OpenOptions {
    /// For the API at `provider`, on behalf of `command`.
    pub fn new(provider: &str, sandbox: bool, command: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            sandbox,
            command: command.to_owned(),
            keep: |_| false,
        }
    }

    /// Leaves a paid call that was interrupted open when `keep` says of its payment that it can be sent again,
    /// instead of bringing it into doubt: see [`Ledger::interrupted`].
    pub fn keeping(mut self, keep: fn(&str) -> bool) -> Self {
        self.keep = keep;
        self
    }
}

/// A paid call that an earlier run began, and whose payment can be sent again.
#[derive(Debug, Clone, PartialEq)]
pub struct Interrupted {
    /// Whom it is about.
    pub name: Name,
    /// What was made durable with its intent.
    pub payment: String,
}

/// A ledger that this process alone writes. Clones share it.
#[derive(Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
}

struct Shared {
    writer: Writer,
    view: LedgerView,
    key_secret: [u8; 32],
    run: i64,
    recovered: usize,
    interrupted: Vec<Interrupted>,
    enrolled: AtomicU64,
    // Dropped last: the lock goes with the ledger.
    _lock: Lock,
}

/// The writing thread. It is waited for when the ledger is dropped, so that a process can't end before the file is whole.
struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // It panics only where a write panicked, and whoever waited for that was told.
            let _ = thread.join();
        }
    }
}

/// A write: done inside the group's transaction; what it returns is told once that is durable.
type Job = Box<dyn FnOnce(&Connection) -> Told + Send>;
type Told = Box<dyn FnOnce(Result<(), LedgerError>) + Send>;

impl Ledger {
    /// Opens the ledger at `path`, or makes a new one; takes its lock. An intent without outcome, which
    /// an interrupted run left, comes into doubt.
    ///
    /// # Errors
    /// Another process holds it; it is damaged, foreign, or of a newer castline; it can't be written.
    pub fn open(path: &Path, options: OpenOptions) -> Result<Self, LedgerError> {
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| LedgerError::Io {
                path: folder.to_owned(),
                error,
            })?;
        }
        let lock = Lock::take(path, &options.command)?;
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        let identity = schema::Identity {
            provider: &options.provider,
            sandbox: options.sandbox,
        };
        schema::prepare(&mut connection, path, &identity)?;
        schema::quick_check(&connection, path)?;
        schema::bind(&connection, path, &identity)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let faults = Faults::from_environment();
        faults.limit(&connection)?;
        let key_secret = connection.query_row("SELECT key_secret FROM ledger", [], |row| row.get(0))?;
        let (recovered, interrupted) = recover(&mut connection, path, options.keep)?;
        totals::begin(&connection)?;
        connection.execute(
            "INSERT INTO runs (command, started_at) VALUES (?1, ?2)",
            (&options.command, now()),
        )?;
        let run = connection.last_insert_rowid();
        let view = LedgerView::open(path)?.expect("it was just opened");
        let (jobs, queue) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || write_all(connection, &queue, faults))
            .map_err(|error| LedgerError::Io {
                path: path.to_owned(),
                error,
            })?;
        Ok(Self {
            shared: Arc::new(Shared {
                writer: Writer {
                    jobs: Some(jobs),
                    thread: Some(thread),
                },
                view,
                key_secret,
                run,
                recovered,
                interrupted,
                enrolled: AtomicU64::new(0),
                _lock: lock,
            }),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.shared.view.path()
    }

    /// The same ledger, to read.
    pub fn view(&self) -> &LedgerView {
        &self.shared.view
    }

    /// How many characters came into doubt because an interrupted run left their outcome open.
    pub fn recovered(&self) -> usize {
        self.shared.recovered
    }

    /// Paid calls that an earlier run began and that were kept open: send the same payment again, and write what
    /// comes of it.
    pub fn interrupted(&self) -> &[Interrupted] {
        &self.shared.interrupted
    }

    /// How many asset ids of paid calls were made durable since it was opened.
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

    /// Whether it knows no character yet.
    ///
    /// # Errors
    /// It can't be read.
    pub fn is_empty(&self) -> Result<bool, LedgerError> {
        Ok(self.shared.view.all()?.is_empty())
    }

    /// What this run has spent.
    ///
    /// # Errors
    /// It can't be read.
    pub fn spend(&self) -> Result<Spend, LedgerError> {
        self.shared.view.spend(Some(self.shared.run))
    }

    /// Makes transitions of one character, in order and in one commit; returns once they are durable.
    ///
    /// # Errors
    /// A transition makes no sense, a budget is reached (nothing is written then), or the ledger can't
    /// be written: from then on every write fails.
    pub async fn write(
        &self,
        name: &Name,
        transitions: impl Into<Vec<Transition>>,
    ) -> Result<Record, LedgerError> {
        let (name, transitions) = (name.clone(), transitions.into());
        let (path, run) = (self.path().to_owned(), self.shared.run);
        let enrolls = transitions
            .iter()
            .any(|t| matches!(t, Transition::Enrolled { .. }));
        let record = self
            .transact(move |connection| {
                let mut record = None;
                for transition in &transitions {
                    record = Some(step(connection, &path, run, &name, transition)?);
                }
                Ok(record.expect("at least one transition"))
            })
            .await?;
        self.shared
            .enrolled
            .fetch_add(u64::from(enrolls), Ordering::Relaxed);
        Ok(record)
    }

    /// Makes one transition of each of these characters, all in one commit or none; returns once they are durable.
    ///
    /// # Errors
    /// As [`Ledger::write`]; nothing is written then.
    pub async fn write_all(&self, transitions: Vec<(Name, Transition)>) -> Result<(), LedgerError> {
        let (path, run) = (self.path().to_owned(), self.shared.run);
        self.transact(move |connection| {
            for (name, transition) in &transitions {
                step(connection, &path, run, name, transition)?;
            }
            Ok(())
        })
        .await
    }

    /// Keeps what was seen in a picture.
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
        self.transact(move |connection| {
            connection
                .prepare_cached("INSERT OR REPLACE INTO inspections VALUES (?1, ?2, ?3)")?
                .execute((sha256, fingerprint, text))?;
            Ok(())
        })
        .await
    }

    /// Keeps what a person said of a picture.
    ///
    /// # Errors
    /// The ledger can't be written.
    pub async fn decide(
        &self,
        key: &NameKey,
        sha256: &str,
        approved: bool,
        by: &str,
    ) -> Result<(), LedgerError> {
        let row = (
            key.as_str().to_owned(),
            sha256.to_owned(),
            approved,
            by.to_owned(),
            now(),
        );
        self.transact(move |connection| {
            connection
                .prepare_cached("INSERT OR REPLACE INTO decisions VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(row)?;
            Ok(())
        })
        .await
    }

    /// Takes back what a person said of a picture.
    ///
    /// # Errors
    /// The ledger can't be written.
    pub async fn undecide(&self, key: &NameKey, sha256: &str) -> Result<(), LedgerError> {
        let row = (key.as_str().to_owned(), sha256.to_owned());
        self.transact(move |connection| {
            connection
                .prepare_cached("DELETE FROM decisions WHERE key = ?1 AND source_sha256 = ?2")?
                .execute(row)?;
            Ok(())
        })
        .await
    }

    /// Writes down how this run ended.
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

    /// Does a write in the next group, and returns once that is durable.
    pub(super) async fn transact<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (reply, told) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let made = savepoint(connection, write);
            Box::new(move |durable| {
                // Whoever waited may be gone; the write stays.
                let _ = reply.send(durable.and(made));
            })
        });
        let gone = || LedgerError::Poisoned("its thread has ended".to_owned());
        let jobs = self.shared.writer.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(job).map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    }
}

impl Reader for Ledger {
    fn get(&self, key: &NameKey) -> Result<Option<Record>, LedgerError> {
        self.shared.view.get(key)
    }

    fn cached_inspection(&self, sha256: &str, fingerprint: &str) -> Result<Option<Inspection>, LedgerError> {
        self.shared.view.cached_inspection(sha256, fingerprint)
    }

    fn paid_inspections(&self, fingerprint: &str) -> Result<Vec<(String, Inspection)>, LedgerError> {
        self.shared.view.paid_inspections(fingerprint)
    }

    fn paid_pictures(&self) -> Result<Vec<(String, String)>, LedgerError> {
        self.shared.view.paid_pictures()
    }

    fn approval(&self, key: &NameKey, sha256: &str) -> Result<Approval, LedgerError> {
        self.shared.view.approval(key, sha256)
    }
}

/// The writing thread: groups what waits into one transaction. After a failed write, every later one fails.
fn write_all(mut connection: Connection, queue: &mpsc::Receiver<Job>, mut faults: Faults) {
    let poison: OnceLock<String> = OnceLock::new();
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        group.extend(queue.try_iter().take(GROUP - 1));
        if let Some(problem) = poison.get() {
            for job in group {
                job(&connection)(Err(LedgerError::Poisoned(problem.clone())));
            }
            continue;
        }
        match commit(&mut connection, group, &mut faults) {
            (told, Ok(())) => told.into_iter().for_each(|tell| tell(Ok(()))),
            (told, Err(error)) => {
                let problem = error.to_string();
                for tell in told {
                    tell(Err(LedgerError::Poisoned(problem.clone())));
                }
                let _ = poison.set(problem);
                // What still waits must not touch the file: give it one that is only in memory.
                if let Ok(nowhere) = Connection::open_in_memory() {
                    connection = nowhere;
                }
            }
        }
    }
    // People copy the one file, and pay twice for what stood only in the log beside it.
    let whole = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    if !matches!(whole, Ok(0i64)) {
        tracing::debug!(?whole, "the last commits stay in the log beside the ledger");
    }
}

fn commit(
    connection: &mut Connection,
    group: Vec<Job>,
    faults: &mut Faults,
) -> (Vec<Told>, Result<(), LedgerError>) {
    let transaction = match connection.transaction() {
        Ok(transaction) => transaction,
        Err(error) => return (Vec::new(), Err(error.into())),
    };
    let told = group.into_iter().map(|job| job(&transaction)).collect();
    let committed = match faults.before_commit() {
        Ok(()) => transaction.commit().map_err(LedgerError::from),
        fault => fault,
    };
    faults.after_commit();
    (told, committed)
}

/// A write of its own within the group: one that fails leaves no trace, and no other with it.
fn savepoint<T>(
    connection: &Connection,
    write: impl FnOnce(&Connection) -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    connection.execute_batch("SAVEPOINT job")?;
    let made = write(connection);
    let end = if made.is_ok() {
        "RELEASE job"
    } else {
        "ROLLBACK TO job; RELEASE job"
    };
    connection.execute_batch(end)?;
    made
}

/// One transition of one character, with what it means for its attempts.
fn step(
    connection: &Connection,
    path: &Path,
    run: i64,
    name: &Name,
    transition: &Transition,
) -> Result<Record, LedgerError> {
    let key = name.key();
    let before = view::get(connection, path, &key)?;
    let record = apply(name, before.as_ref(), transition)?;
    if let Some(before) = &before
        && before.asset_id != record.asset_id
        && let Some(old) = &before.asset_id
    {
        connection
            .prepare_cached("INSERT INTO history VALUES (?1, ?2, ?3, ?4)")?
            .execute((key.as_str(), old, &before.enrolled_sha256, now()))?;
    }
    attempt(connection, run, &key, transition)?;
    put(connection, &key, &record)?;
    Ok(record)
}

fn put(connection: &Connection, key: &NameKey, record: &Record) -> Result<(), LedgerError> {
    let text = serde_json::to_string(record).expect("a record is plain data");
    let digest = view::digest(&text);
    connection
        .prepare_cached(
            "INSERT INTO characters (key, state, record, digest) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (key) DO UPDATE SET state = ?2, record = ?3, digest = ?4",
        )?
        .execute((key.as_str(), record.state.as_str(), text, digest))?;
    Ok(())
}

/// What a transition means for the attempts at paying.
fn attempt(
    connection: &Connection,
    run: i64,
    key: &NameKey,
    transition: &Transition,
) -> Result<(), LedgerError> {
    let open = "(SELECT max(id) FROM attempts WHERE key = ?1)";
    let end = |outcome: &str, code: &str, message: &str| {
        connection
            .prepare_cached(&format!(
                "UPDATE attempts SET outcome = ?2, code = ?3, message = ?4, ended_at = ?5 WHERE id = {open}"
            ))?
            .execute((key.as_str(), outcome, code, message, now()))
    };
    match transition {
        Transition::Intend {
            request_digest,
            price,
            budget,
            payment,
        } => {
            // What was set aside expired since, or is what this call is made with.
            connection
                .prepare_cached(
                    "UPDATE attempts SET outcome = 'released' WHERE key = ?1 AND outcome = 'set_aside'",
                )?
                .execute([key.as_str()])?;
            within(connection, run, *price, *budget)?;
            connection
                .prepare_cached(
                    "INSERT INTO attempts (key, run, request_digest, price, started_at, payment) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute((key.as_str(), run, request_digest, money(*price), now(), payment))?;
        }
        Transition::Enrolled {
            asset_id,
            price,
            told,
            settlement,
            ..
        } => {
            end("enrolled", if *told { "priced" } else { "" }, "")?;
            connection
                .prepare_cached(&format!(
                    "UPDATE attempts SET asset_id = ?2, price = ?3, settlement = ?4 WHERE id = {open}"
                ))?
                .execute((key.as_str(), asset_id, money(*price), settlement))?;
        }
        Transition::Refuse { code, message } => _ = end("refused", code, message)?,
        Transition::Release { code, message } => _ = end("released", code, message)?,
        Transition::SetAside { code, message } => _ = end("set_aside", code, message)?,
        Transition::Doubt { code, message } => _ = end("in_doubt", code, message)?,
        Transition::Resolve(Resolution::Adopt { asset_id, .. }) => {
            end("enrolled", "adopted", "a person found the id")?;
            connection
                .prepare_cached(&format!("UPDATE attempts SET asset_id = ?2 WHERE id = {open}"))?
                .execute((key.as_str(), asset_id))?;
        }
        Transition::Resolve(Resolution::Forget) => {
            _ = end("forgotten", "forgotten", "a person says it was not charged")?
        }
        // The doubt stays as it is, counted as spent.
        Transition::Resolve(Resolution::Retry) => {}
        Transition::See { .. }
        | Transition::Judge { .. }
        | Transition::Publish { .. }
        | Transition::Fail { .. } => {}
        // A ledger that is built again counts what was paid before, or its budget would begin anew.
        Transition::Import {
            asset_id,
            price: Some(price),
            at,
            ..
        } => {
            let now = now();
            let at = at.as_ref().unwrap_or(&now);
            connection
                .prepare_cached(
                    "INSERT INTO attempts (key, run, request_digest, price, started_at, ended_at, outcome, code, message, asset_id)
                     VALUES (?1, ?2, '', ?3, ?4, ?4, 'enrolled', 'imported', 'from a manifest', ?5)",
                )?
                .execute((key.as_str(), run, money(*price), at, asset_id))?;
        }
        Transition::Import { price: None, .. } => {}
    }
    Ok(())
}

/// Whether one more call at `price` stays within the budget; in the transaction that writes the intent,
/// so that calls under way at once can't exceed it together.
fn within(connection: &Connection, run: i64, price: Usd, budget: Budget) -> Result<(), LedgerError> {
    let caps = [
        (budget.run, Some(run), "--max-cost"),
        (budget.life, None, "api.max_total_cost_usd"),
    ];
    for (cap, run, name) in caps {
        let Some(cap) = cap else { continue };
        let spent = totals::spent(connection, run)?;
        if spent + price > cap {
            let message = format!(
                "the budget is reached: {spent} of {cap} is spent or in doubt, and the next call costs {price}; \
                 raise {name} to go on"
            );
            return Err(LedgerError::BudgetReached { cap, spent, message });
        }
    }
    Ok(())
}

/// Intents without outcome come into doubt, but for those that `keep` keeps open.
fn recover(
    connection: &mut Connection,
    path: &Path,
    keep: fn(&str) -> bool,
) -> Result<(usize, Vec<Interrupted>), LedgerError> {
    let transaction = connection.transaction()?;
    let keys: Vec<String> = transaction
        .prepare("SELECT key FROM characters WHERE state = 'intent'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut kept = Vec::new();
    for key in &keys {
        let payment: Option<String> = transaction.query_row(
            "SELECT payment FROM attempts WHERE key = ?1 ORDER BY id DESC LIMIT 1",
            [key],
            |row| row.get(0),
        )?;
        let key = NameKey::from_stored(key.clone());
        let record = view::get(&transaction, path, &key)?.expect("it was just listed");
        if let Some(payment) = payment.filter(|payment| keep(payment)) {
            let name = record.name;
            kept.push(Interrupted { name, payment });
            continue;
        }
        let doubt = Transition::Doubt {
            code: "interrupted".to_owned(),
            message: "castline ended while this call was under way; it may have been charged".to_owned(),
        };
        step(&transaction, path, 0, &record.name, &doubt)?;
    }
    transaction.commit()?;
    Ok((keys.len() - kept.len(), kept))
}

/// Now, RFC 3339 in UTC.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// SQLite's integers are signed; no price comes near their end.
fn money(amount: Usd) -> i64 {
    i64::try_from(amount.micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
