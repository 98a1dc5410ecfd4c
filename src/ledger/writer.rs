//! The thread that writes a ledger: group commit; a caller that waits for a write waits until it is durable.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::LedgerError;
use super::database::{Database, values};
use super::faults::Faults;
use super::worker::Worker;

/// The most waiting writes that share one commit.
const GROUP: usize = 256;
/// A file needs no sign of life.
const NEVER: Duration = Duration::from_secs(1 << 30);

/// The writing thread. Dropping it waits for the thread, so that a process can't end before the ledger is complete.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Box<dyn WriteJob>>>,
    thread: Option<JoinHandle<()>>,
}

/// What a write may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// This process writes the ledger.
    Ours,
    /// Another one took it over: what may still be written is what became of this one's own calls.
    Late,
}

/// A write: done inside the group's transaction, again if that was lost; its caller learns of it once that is durable.
trait WriteJob: Send {
    fn run(&mut self, database: &Database, turn: Turn);
    fn has_failed(&self) -> bool;
    fn end(self: Box<Self>, durable: Result<(), LedgerError>);
}

struct Job<T, F> {
    write: F,
    made: Result<T, LedgerError>,
    reply: oneshot::Sender<Result<T, LedgerError>>,
}

impl<T: Send, F: Fn(&Database, Turn) -> Result<T, LedgerError> + Send> WriteJob for Job<T, F> {
    fn run(&mut self, database: &Database, turn: Turn) {
        self.made = savepoint(database, |database| (self.write)(database, turn));
    }

    fn has_failed(&self) -> bool {
        self.made.is_err()
    }

    fn end(self: Box<Self>, durable: Result<(), LedgerError>) {
        // The caller may no longer wait; the write is kept.
        let _ = self.reply.send(durable.and(self.made));
    }
}

impl Writer {
    /// Starts the thread; `worker` is that of a ledger in PostgreSQL.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(super) fn start(database: Database, worker: Option<Worker>, faults: Faults) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || {
                let mut thread = WritingThread {
                    database,
                    worker,
                    faults,
                    broken: None,
                    turn: Turn::Ours,
                };
                thread.write_all(&queue);
                thread.end();
            })?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Does a write in the next group, and returns once it is durable. It may be done again, where the connection to the
    /// database was lost.
    ///
    /// # Errors
    /// Those of `write`; or the ledger can't be written.
    pub(super) async fn transact<T: Send + 'static>(
        &self,
        write: impl Fn(&Database, Turn) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (reply, message) = oneshot::channel();
        let gone = || LedgerError::Poisoned("its thread has ended".to_owned());
        let job = Box::new(Job {
            write,
            made: Err(gone()),
            reply,
        });
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(job).map_err(|_| gone())?;
        message.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // It panics only if a write panicked, and the caller of that write got the error.
            let _ = thread.join();
        }
    }
}

/// The state of the writing thread.
struct WritingThread {
    database: Database,
    worker: Option<Worker>,
    faults: Faults,
    /// Why nothing can be written any more.
    broken: Option<String>,
    turn: Turn,
}

impl WritingThread {
    /// Groups waiting writes into one transaction. After a failed one, every later write fails.
    fn write_all(&mut self, queue: &mpsc::Receiver<Box<dyn WriteJob>>) {
        loop {
            let beat = self.worker.as_ref().map_or(NEVER, Worker::beat);
            let first = match queue.recv_timeout(beat) {
                Ok(first) => first,
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.sign_of_life();
                    continue;
                }
            };
            let mut group = vec![first];
            group.extend(queue.try_iter().take(GROUP - 1));
            if let Some(problem) = &self.broken {
                for job in group {
                    job.end(Err(LedgerError::Poisoned(problem.clone())));
                }
                continue;
            }
            let mut done = self.commit(&mut group);
            if matches!(done, Err(LedgerError::Fenced)) {
                self.turn = Turn::Late;
                done = self.commit(&mut group);
            }
            match done {
                Ok(()) => group.into_iter().for_each(|job| job.end(Ok(()))),
                Err(error) => {
                    let problem = error.to_string();
                    for job in group {
                        job.end(Err(LedgerError::Poisoned(problem.clone())));
                    }
                    self.broken = Some(problem);
                }
            }
        }
    }

    /// Commits a group. Where the connection to the database was lost, finds out whether that was before or after the commit.
    fn commit(&mut self, group: &mut [Box<dyn WriteJob>]) -> Result<(), LedgerError> {
        loop {
            let asked = Instant::now();
            match self.try_commit(group) {
                Err(error) if self.is_lost() => {
                    tracing::warn!("{error}; connecting again");
                    self.reconnect()?;
                    if self.turn == Turn::Ours
                        && let Some(worker) = &mut self.worker
                        && worker.has_committed(&self.database)?
                    {
                        worker.counted(asked);
                        return Ok(());
                    }
                }
                done => return done,
            }
        }
    }

    fn try_commit(&mut self, group: &mut [Box<dyn WriteJob>]) -> Result<(), LedgerError> {
        let Self {
            database,
            worker,
            faults,
            turn,
            ..
        } = self;
        let (turn, asked) = (*turn, Instant::now());
        let counts = worker.as_mut().filter(|_| turn == Turn::Ours);
        database.transaction(|database| {
            if let Some(worker) = &counts {
                worker.count(database)?;
            }
            for job in &mut *group {
                job.run(database, turn);
                // What failed with the connection is done again.
                if job.has_failed() && database.is_lost() {
                    return Err(LedgerError::Postgres("the connection is lost".to_owned()));
                }
            }
            faults.before_commit()
        })?;
        faults.after_commit();
        if let Some(worker) = counts {
            worker.counted(asked);
        }
        Ok(())
    }

    fn sign_of_life(&mut self) {
        let Some(worker) = &self.worker else { return };
        if self.turn == Turn::Late || self.broken.is_some() {
            return;
        }
        let mut heard = worker.is_alive(&self.database);
        if heard.is_err() && self.is_lost() && self.reconnect().is_ok() {
            heard = self
                .worker
                .as_ref()
                .map_or(Ok(()), |worker| worker.is_alive(&self.database));
        }
        match heard {
            Err(LedgerError::Fenced) => self.turn = Turn::Late,
            Err(error) => tracing::warn!("{error}"),
            Ok(()) => {}
        }
    }

    fn is_lost(&self) -> bool {
        self.database.is_lost()
    }

    fn reconnect(&self) -> Result<(), LedgerError> {
        match &self.database {
            Database::Sqlite(_) => Ok(()),
            Database::Postgres(connection) => connection.reconnect(),
        }
    }

    /// Leaves the ledger complete.
    fn end(&self) {
        if self.broken.is_some() {
            return;
        }
        match (&self.database, &self.worker) {
            (Database::Sqlite(_), _) => {
                // Users copy only the one file, and would pay twice for what is only in the log beside it.
                let whole: Result<i64, LedgerError> =
                    self.database
                        .one("PRAGMA wal_checkpoint(TRUNCATE)", values![], |row| row.get(0));
                if !matches!(whole, Ok(0)) {
                    tracing::debug!(?whole, "the last commits stay in the log beside the ledger");
                }
            }
            (database, Some(worker)) => worker.end(database),
            (_, None) => {}
        }
    }
}

/// A nested write within the group: one that fails leaves no trace, and does not affect the others.
fn savepoint<T>(
    database: &Database,
    write: impl FnOnce(&Database) -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    // Prepared once: twice a write, parsing them takes a tenth of its time.
    database.execute("SAVEPOINT job", values![])?;
    let made = write(database);
    match made {
        Ok(_) => drop(database.execute("RELEASE job", values![])?),
        Err(_) => database.batch("ROLLBACK TO job; RELEASE job")?,
    }
    made
}
