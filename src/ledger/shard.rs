//! What a shard of a cast writes: inspections alone, into a ledger that others may hold.

use super::database::{Database, Postgres};
use super::server::Server;
use super::step::put_inspection;
use super::{LedgerError, Place, schema};
use crate::inspect::{ImageSignature, Inspection};

/// The inspections that are written together.
const GROUP: usize = 32;

/// Writes inspections into a ledger in a database. The same one may be written twice, by two machines at once.
pub struct InspectionWriter {
    database: Database,
    waiting: Vec<Seen>,
    written: usize,
}

/// An inspection that is not written yet.
struct Seen {
    sha256: String,
    fingerprint: String,
    text: String,
    signature: Option<ImageSignature>,
}

impl InspectionWriter {
    /// Opens the ledger on `server`, and creates it where there is none.
    ///
    /// # Errors
    /// The server can't be reached or refuses, or the ledger belongs to another provider.
    pub fn open(server: &Server, provider: &str, sandbox: bool) -> Result<Self, LedgerError> {
        let identity = schema::Identity { provider, sandbox };
        let database = schema::prepare_postgres(server, &identity)?;
        schema::check_owner(&database, &Place::Postgres(server.clone()), &identity)?;
        Ok(Self {
            database,
            waiting: Vec::new(),
            written: 0,
        })
    }

    /// How many inspections are durable.
    pub fn written(&self) -> usize {
        self.written
    }

    /// Adds an inspection, and writes a group once there is one.
    ///
    /// # Errors
    /// The ledger can't be written.
    pub fn put(&mut self, sha256: &str, fingerprint: &str, seen: &Inspection) -> Result<(), LedgerError> {
        self.waiting.push(Seen {
            sha256: sha256.to_owned(),
            fingerprint: fingerprint.to_owned(),
            text: serde_json::to_string(seen).expect("an inspection is plain data"),
            signature: seen.signature,
        });
        match self.waiting.len() < GROUP {
            true => Ok(()),
            false => self.flush(),
        }
    }

    /// Makes what was added durable.
    ///
    /// # Errors
    /// The ledger can't be written.
    pub fn flush(&mut self) -> Result<(), LedgerError> {
        // In one order: two writers that wait for each other's rows would wait for ever.
        self.waiting.sort_by(|a, b| a.sha256.cmp(&b.sha256));
        let mut done = self.try_flush();
        if let (Err(_), Database::Postgres(connection)) = (&done, &self.database)
            && connection.is_lost()
        {
            // Whether the last one was written or not: it may be written again.
            done = Postgres::reconnect(connection).and_then(|()| self.try_flush());
        }
        done?;
        self.written += self.waiting.len();
        self.waiting.clear();
        Ok(())
    }

    fn try_flush(&self) -> Result<(), LedgerError> {
        self.database.transaction(|database| {
            for seen in &self.waiting {
                let Seen {
                    sha256,
                    fingerprint,
                    text,
                    signature,
                } = seen;
                put_inspection(database, sha256, fingerprint, text, signature.as_ref())?;
            }
            Ok(())
        })
    }
}
