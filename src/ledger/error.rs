//! The errors of a ledger, and how to fix them.

use std::path::PathBuf;

use super::lock::Holder;
use super::place::Place;
use super::server::said;
use super::state::IllegalTransition;
use crate::util::money::Usd;

/// An error of a ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It was paid for by another key or wallet.
    #[error(
        "{place} was paid for by another key or wallet ({theirs}) than yours ({ours}). If yours replaces that one, run \
         `castline ledger rebind`; for another account, use another ledger with --ledger"
    )]
    OtherPayer {
        /// The ledger.
        place: Place,
        /// The fingerprint of the other key or wallet.
        theirs: String,
        /// The fingerprint of the one that is configured.
        ours: String,
    },
    /// A name that several casts have, where no cast was given.
    #[error("{name} is in the casts {casts}: name the cast, as in `castline resolve cast.csv`")]
    Ambiguous {
        /// The case-folded name.
        name: String,
        /// Two of the casts, from the ledger's folder.
        casts: String,
    },
    /// Another process uses the ledger.
    #[error("the ledger {place} is held by {holder}; wait for it, or stop it")]
    Locked {
        /// The ledger.
        place: Place,
        /// The process that holds it.
        holder: Holder,
    },
    /// The file is not a ledger, or is damaged.
    #[error(
        "the ledger {place} is damaged ({problem}); nothing was changed. Restore a copy of it, or move it away and \
         rebuild it from the manifest with `castline ledger import manifest.json`"
    )]
    Damaged {
        /// The ledger.
        place: Place,
        /// What is wrong.
        problem: String,
    },
    /// A newer castline wrote the ledger.
    #[error("the ledger {place} was written by a newer castline (schema {schema}); update castline")]
    Newer {
        /// The ledger.
        place: Place,
        /// The schema of the ledger.
        schema: i64,
    },
    /// An older castline wrote the ledger, and this command may not change it.
    #[error(
        "the ledger {place} was written by an older castline (schema {schema}): a command that writes, such as `castline run`, \
         brings it forward"
    )]
    Older {
        /// The ledger.
        place: Place,
        /// The schema of the ledger.
        schema: i64,
    },
    /// The ledger belongs to another provider, or to the sandbox.
    #[error(
        "the ledger {place} belongs to {theirs}, not to {ours}: use another with --ledger; or, if it is the same account \
         under another address, `castline ledger rebind`"
    )]
    Foreign {
        /// The ledger.
        place: Place,
        /// The owner of the ledger.
        theirs: String,
        /// The expected owner.
        ours: String,
    },
    /// An adopted id belongs to another character: one asset is one character.
    #[error("{asset_id} is the id of {owner}, so {name} can't have it too; nothing was changed")]
    IdTaken {
        /// The id.
        asset_id: String,
        /// The character that has it.
        owner: String,
        /// The character that it was adopted for.
        name: String,
    },
    /// The file of the ledger has a second name.
    #[error(
        "the ledger {path} has a second name (a hard link), under which another run could pay at the same time: copy it, \
         and delete the links", path = .path.display()
    )]
    SecondName {
        /// The ledger.
        path: PathBuf,
    },
    /// The file of the ledger was deleted or replaced while it was open.
    #[error("the ledger {path} was deleted or replaced during the run", path = .path.display())]
    Replaced {
        /// The ledger.
        path: PathBuf,
    },
    /// A paid call would exceed the budget.
    #[error("{message}")]
    BudgetReached {
        /// The budget.
        cap: Usd,
        /// The amount that is spent or in doubt.
        spent: Usd,
        /// The human-readable message, with both amounts and how to continue.
        message: String,
    },
    /// A file beside the ledger can't be used.
    #[error("{path}: {error}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// SQLite failed: disk full, read-only, I/O error.
    #[error("the ledger can't be written: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The PostgreSQL server of the ledger can't be reached, or refuses.
    #[error("the ledger's {server}: {problem}")]
    Unreachable {
        /// The server.
        server: String,
        /// What is wrong.
        problem: String,
    },
    /// PostgreSQL failed.
    #[error("the ledger can't be read or written: PostgreSQL: {0}")]
    Postgres(String),
    /// A ledger can't be copied; nothing was.
    #[error("nothing was copied: {0}")]
    NotCopied(String),
    /// Another command took the ledger over while this one was stopped or cut off.
    #[error(
        "another command took the ledger over, since nothing was heard of this one; nothing more is paid"
    )]
    Fenced,
    /// An earlier write failed; nothing is written after that, and so nothing paid.
    #[error("the ledger can't be written any more: {0}")]
    Poisoned(String),
    /// A bug in castline.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
}

impl From<tokio_postgres::Error> for LedgerError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(said(&error))
    }
}
