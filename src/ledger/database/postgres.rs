//! A connection to PostgreSQL, on a thread of its own: its callers wait as they do for SQLite, inside an async runtime and
//! outside.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio_postgres::error::Severity;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Connection, Row, Statement};

use super::Value;
use super::value::Owned;
use crate::ledger::LedgerError;
use crate::ledger::server::Server;

/// How long a statement may wait for a lock, and a transaction for its next statement: a partition must not leave others
/// waiting on its rows.
const SESSION: &str = "SET lock_timeout = '20s'; SET idle_in_transaction_session_timeout = '10s'; \
                       SET application_name = 'castline'; SET client_min_messages = warning;";
/// How long to wait for a reply to a statement: as long as a lock may take, and then some. A server that does not answer
/// has the statement or has not.
const REPLY: Duration = Duration::from_secs(40);
/// How long to try to connect again: a restart or a failover takes seconds, a person some minutes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connection to PostgreSQL, made anew where it is lost and nothing is lost with it.
pub(in super::super) struct Postgres {
    server: Server,
    link: RefCell<Link>,
    in_transaction: Cell<bool>,
    /// What is set in every session of this connection.
    settings: RefCell<String>,
}

/// A connection as long as it lasts.
struct Link {
    requests: Option<mpsc::UnboundedSender<Request>>,
    thread: Option<JoinHandle<()>>,
    notices: Notices,
    lost: Cell<bool>,
}

/// What the server said unasked.
type Notices = Arc<Mutex<Vec<String>>>;
type Reply<T> = std_mpsc::Sender<Result<T, tokio_postgres::Error>>;

/// What the thread is asked for.
enum Request {
    Execute(String, Vec<Owned>, Reply<u64>),
    Query(String, Vec<Owned>, Reply<Vec<Row>>),
    Batch(String, Reply<()>),
}

impl Postgres {
    /// Connects, and makes the schema of the ledger the one that statements use.
    ///
    /// # Errors
    /// The server can't be reached, or refuses.
    pub(in super::super) fn connect(server: &Server) -> Result<Self, LedgerError> {
        let settings = format!("{SESSION} SET search_path = {};", server.quoted_schema());
        let link = Link::connect(server)?;
        link.batch(&settings)?;
        Ok(Self {
            server: server.clone(),
            link: RefCell::new(link),
            in_transaction: Cell::new(false),
            settings: RefCell::new(settings),
        })
    }

    /// Sets a parameter of the session, in this one and in those that take its place. `value` must be plain.
    ///
    /// # Errors
    /// The server refuses.
    pub(in super::super) fn set(&self, name: &str, value: &str) -> Result<(), LedgerError> {
        let setting = format!(" SET {name} = '{value}';");
        self.batch(&setting)?;
        self.settings.borrow_mut().push_str(&setting);
        Ok(())
    }

    /// Whether the connection is lost, or its server no longer answers.
    pub(in super::super) fn is_lost(&self) -> bool {
        self.link.borrow().lost.get()
    }

    /// Connects again, trying for [`PATIENCE`]. An open transaction is gone.
    ///
    /// # Errors
    /// The server can't be reached.
    pub(in super::super) fn reconnect(&self) -> Result<(), LedgerError> {
        self.in_transaction.set(false);
        let start = Instant::now();
        let mut pause = Duration::from_millis(50);
        loop {
            let again = Link::connect(&self.server).and_then(|link| {
                link.batch(&self.settings.borrow())?;
                Ok(link)
            });
            match again {
                Ok(link) => {
                    *self.link.borrow_mut() = link;
                    return Ok(());
                }
                Err(error) if start.elapsed() > PATIENCE => return Err(error),
                Err(error) => tracing::warn!("{error}; trying again"),
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_secs(3));
        }
    }

    pub(super) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, LedgerError> {
        self.link.borrow().execute(sql, values)
    }

    /// Queries. Outside a transaction nothing is lost with the connection, and it is asked again.
    pub(super) fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, LedgerError> {
        let first = self.link.borrow().query(sql, values);
        if first.is_ok() || self.in_transaction.get() || !self.is_lost() {
            return first;
        }
        self.reconnect()?;
        self.link.borrow().query(sql, values)
    }

    pub(in super::super) fn batch(&self, sql: &str) -> Result<(), LedgerError> {
        if sql.starts_with("BEGIN") || sql == "ROLLBACK" {
            self.in_transaction.set(sql != "ROLLBACK");
        }
        self.link.borrow().batch(sql)
    }

    /// Commits. What the server warns of at a commit is a failure: that a standby was not waited for, say.
    pub(super) fn commit(&self) -> Result<(), LedgerError> {
        let link = self.link.borrow();
        // A transaction in which a statement failed would be rolled back without an error.
        link.query("SELECT true", &[])?;
        link.said().clear();
        link.batch("COMMIT")?;
        self.in_transaction.set(false);
        match link.said().first() {
            None => Ok(()),
            // It may be in this server alone, which a failover would lose: nothing goes on from there.
            Some(warning) => Err(LedgerError::Postgres(format!("at a commit: {warning}"))),
        }
    }
}

impl Link {
    fn connect(server: &Server) -> Result<Self, LedgerError> {
        let (requests, asked) = mpsc::unbounded_channel();
        let (ready, is_ready) = std_mpsc::channel();
        let notices = Notices::default();
        let (server_of, notices_of) = (server.clone(), Arc::clone(&notices));
        let thread = std::thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || serve(&server_of, &notices_of, asked, &ready))
            .map_err(|error| server.unreachable(&error.to_string()))?;
        match is_ready.recv() {
            Ok(Ok(())) => Ok(Self {
                requests: Some(requests),
                thread: Some(thread),
                notices,
                lost: Cell::new(false),
            }),
            Ok(Err(problem)) => Err(server.unreachable(&problem)),
            Err(_) => Err(server.unreachable("its thread has ended")),
        }
    }

    fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, LedgerError> {
        let values = values.iter().map(Owned::from).collect();
        self.ask(|reply| Request::Execute(sql.to_owned(), values, reply))
    }

    fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, LedgerError> {
        let values = values.iter().map(Owned::from).collect();
        self.ask(|reply| Request::Query(sql.to_owned(), values, reply))
    }

    fn batch(&self, sql: &str) -> Result<(), LedgerError> {
        self.ask(|reply| Request::Batch(sql.to_owned(), reply))
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, LedgerError> {
        let gone = |problem: &str| {
            self.lost.set(true);
            LedgerError::Postgres(problem.to_owned())
        };
        let (reply, answer) = std_mpsc::channel();
        let requests = self.requests.as_ref().expect("open until it is dropped");
        requests
            .send(request(reply))
            .map_err(|_| gone("the connection is lost"))?;
        match answer.recv_timeout(REPLY) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                // An error of the server's own leaves the connection as it is, except at its end.
                let stays = error.as_db_error().is_some_and(|error| {
                    !matches!(
                        error.parsed_severity(),
                        Some(Severity::Fatal | Severity::Panic) | None
                    )
                });
                self.lost.set(self.lost.get() || !stays);
                Err(error.into())
            }
            Err(_) => Err(gone("the server does not answer")),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        drop(self.requests.take());
        let thread = self.thread.take();
        // A server that does not answer is not waited for.
        if let Some(thread) = thread.filter(|_| !self.lost.get()) {
            let _ = thread.join();
        }
    }
}

/// The thread of a connection.
fn serve(
    server: &Server,
    notices: &Notices,
    mut asked: mpsc::UnboundedReceiver<Request>,
    ready: &std_mpsc::Sender<Result<(), String>>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error.to_string()))),
    };
    runtime.block_on(async {
        let client = match server.connect(notices).await {
            Ok(client) => client,
            Err(problem) => return drop(ready.send(Err(problem))),
        };
        let _ = ready.send(Ok(()));
        let mut statements = HashMap::new();
        while let Some(request) = asked.recv().await {
            // Nobody may wait any more: a caller has given up.
            match request {
                Request::Execute(sql, values, reply) => {
                    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
                    let done = match prepared(&client, &mut statements, sql).await {
                        Ok(statement) => client.execute(&statement, &values).await,
                        Err(error) => Err(error),
                    };
                    let _ = reply.send(done);
                }
                Request::Query(sql, values, reply) => {
                    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
                    let done = match prepared(&client, &mut statements, sql).await {
                        Ok(statement) => client.query(&statement, &values).await,
                        Err(error) => Err(error),
                    };
                    let _ = reply.send(done);
                }
                Request::Batch(sql, reply) => {
                    let _ = reply.send(client.batch_execute(&sql).await);
                }
            }
        }
    });
}

/// The statement of a text, with PostgreSQL's parameters: `$1`.
async fn prepared(
    client: &Client,
    statements: &mut HashMap<String, Statement>,
    sql: String,
) -> Result<Statement, tokio_postgres::Error> {
    if let Some(statement) = statements.get(&sql) {
        return Ok(statement.clone());
    }
    let statement = client.prepare(&sql.replace('?', "$")).await?;
    statements.insert(sql, statement.clone());
    Ok(statement)
}

/// Keeps a connection going, and remembers the server's warnings.
pub(in super::super) async fn drive<S, T>(mut connection: Connection<S, T>, notices: Arc<Mutex<Vec<String>>>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    loop {
        let message = futures_util::future::poll_fn(|context| connection.poll_message(context));
        match message.fuse().await {
            Some(Ok(AsyncMessage::Notice(notice))) => {
                let mut all = notices.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(notice.message().to_owned());
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
}
