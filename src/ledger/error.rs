//! What can go wrong with a ledger, and the mend.

use std::path::PathBuf;

use super::lock::Holder;
use super::state::IllegalTransition;
use crate::util::money::Usd;

/// What can go wrong with a ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process works on it.
    #[error("the ledger {path} is held by {holder}; wait for it, or stop it", path = .path.display())]
    Locked {
        /// The ledger.
        path: PathBuf,
        /// Who holds it.
        holder: Holder,
    },
    /// It is no ledger, or it is damaged.
    #[error(
        "the ledger {path} is damaged ({problem}); nothing was changed. Bring back a copy of it, or move it away and \
         build it again from the manifest with `castline adopt manifest.json`", path = .path.display()
    )]
    Damaged {
        /// The ledger.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A newer castline wrote it.
    #[error("the ledger {path} was written by a newer castline (schema {schema}); update castline", path = .path.display())]
    Newer {
        /// The ledger.
        path: PathBuf,
        /// Its schema.
        schema: i64,
    },
    /// It belongs to another provider, or to the sandbox.
    #[error(
        "the ledger {path} is that of {theirs}, not of {ours}: use another one with --ledger", path = .path.display()
    )]
    Foreign {
        /// The ledger.
        path: PathBuf,
        /// Whose it is.
        theirs: String,
        /// Whose it should be.
        ours: String,
    },
    /// A paid call would exceed what may be spent.
    #[error("{message}")]
    BudgetReached {
        /// What may be spent.
        cap: Usd,
        /// What is spent or in doubt.
        spent: Usd,
        /// Both, for people, with the mend.
        message: String,
    },
    /// A file beside it can't be used.
    #[error("{path}: {error}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// SQLite failed: disk full, read-only, I/O error.
    #[error("the ledger can't be written: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// An earlier write failed; nothing is written, and so nothing paid, after that.
    #[error("the ledger can't be written any more: {0}")]
    Poisoned(String),
    /// A mistake in castline.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
}
