//! The thread that writes a ledger: group commit; a caller that waits for a write waits until it is durable.

use std::sync::{OnceLock, mpsc};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::LedgerError;
use super::faults::Faults;

/// The most waiting writes that share one commit.
const GROUP: usize = 256;

/// The writing thread. Dropping it waits for the thread, so that a process can't end before the file is complete.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<WriteJob>>,
    thread: Option<JoinHandle<()>>,
}

/// A write: done inside the group's transaction; its completion runs once that is durable.
type WriteJob = Box<dyn FnOnce(&Connection) -> Completion + Send>;
type Completion = Box<dyn FnOnce(Result<(), LedgerError>) + Send>;

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(super) fn start(connection: Connection, faults: Faults) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || write_all(connection, &queue, faults))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Does a write in the next group, and returns once it is durable.
    ///
    /// # Errors
    /// Those of `write`; or the ledger can't be written.
    pub(super) async fn transact<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (reply, message) = oneshot::channel();
        let job: WriteJob = Box::new(move |connection| {
            let made = savepoint(connection, write);
            Box::new(move |durable| {
                // The caller may no longer wait; the write is kept.
                let _ = reply.send(durable.and(made));
            })
        });
        let gone = || LedgerError::Poisoned("its thread has ended".to_owned());
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

/// The writing thread: groups waiting writes into one transaction. After a failed write, every later one fails.
fn write_all(mut connection: Connection, queue: &mpsc::Receiver<WriteJob>, mut faults: Faults) {
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
            (message, Ok(())) => message.into_iter().for_each(|tell| tell(Ok(()))),
            (message, Err(error)) => {
                let problem = error.to_string();
                for tell in message {
                    tell(Err(LedgerError::Poisoned(problem.clone())));
                }
                let _ = poison.set(problem);
                // Writes that still wait must not touch the file: give them one that is only in memory.
                if let Ok(nowhere) = Connection::open_in_memory() {
                    connection = nowhere;
                }
            }
        }
    }
    // Users copy only the one file, and would pay twice for what is only in the log beside it.
    let whole = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    if !matches!(whole, Ok(0i64)) {
        tracing::debug!(?whole, "the last commits stay in the log beside the ledger");
    }
}

fn commit(
    connection: &mut Connection,
    group: Vec<WriteJob>,
    faults: &mut Faults,
) -> (Vec<Completion>, Result<(), LedgerError>) {
    let transaction = match connection.transaction() {
        Ok(transaction) => transaction,
        Err(error) => return (Vec::new(), Err(error.into())),
    };
    let message = group.into_iter().map(|job| job(&transaction)).collect();
    let committed = match faults.before_commit() {
        Ok(()) => transaction.commit().map_err(LedgerError::from),
        fault => fault,
    };
    faults.after_commit();
    (message, committed)
}

/// A nested write within the group: one that fails leaves no trace, and does not affect the others.
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
