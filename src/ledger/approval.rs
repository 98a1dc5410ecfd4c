//! The decisions of people about a character's image.

use std::path::Path;

use super::{Ledger, LedgerError, LedgerView};
use crate::cast::NameKey;
use crate::inspect::{Inspection, ReasonCode};

/// The decision of a person about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Approval {
    /// No decision.
    #[default]
    None,
    /// Enroll it, although it needs review.
    Approved,
    /// Enroll it, although it was judged unsuitable: the verdict is wrong.
    Overridden,
    /// Don't enroll it.
    Rejected,
}

impl Approval {
    /// Whether it is to be enrolled.
    pub fn is_yes(self) -> bool {
        matches!(self, Self::Approved | Self::Overridden)
    }

    /// How it counts for an image: only a verdict on its face can be overridden, not the limits of the API, nor a file that
    /// can't be read.
    pub fn for_image(self, inspection: &Inspection) -> Self {
        self.unless(|| inspection.reasons.iter().any(|reason| is_fixed(&reason.code)))
    }

    /// The same by the codes that the ledger keeps of the reasons, separated by commas.
    pub(crate) fn for_codes(self, codes: Option<&str>) -> Self {
        self.unless(|| {
            let mut codes = codes.unwrap_or_default().split(',');
            codes.any(|code| FIXED.iter().any(|fixed| fixed.to_string() == code))
        })
    }

    fn unless(self, fixed: impl FnOnce() -> bool) -> Self {
        match self {
            Self::Overridden if fixed() => Self::None,
            other => other,
        }
    }

    /// As the ledger stores it: 0 rejected, 1 approved, 2 overridden; `None` for no decision.
    fn stored(self) -> Option<i64> {
        match self {
            Self::None => None,
            Self::Rejected => Some(0),
            Self::Approved => Some(1),
            Self::Overridden => Some(2),
        }
    }

    pub(super) fn from_stored(stored: Option<i64>) -> Self {
        match stored {
            None => Self::None,
            Some(0) => Self::Rejected,
            Some(2) => Self::Overridden,
            Some(_) => Self::Approved,
        }
    }
}

/// What nobody can override.
const FIXED: [ReasonCode; 5] = [
    ReasonCode::TooSmall,
    ReasonCode::BadRatio,
    ReasonCode::Truncated,
    ReasonCode::Unreadable,
    ReasonCode::TooLarge,
];

fn is_fixed(code: &ReasonCode) -> bool {
    FIXED.contains(code)
}

/// A decision, with who made it and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The decision.
    pub approval: Approval,
    /// The person.
    pub by: String,
    /// When, RFC 3339 in UTC.
    pub at: String,
}

impl LedgerView {
    /// The decision about a character's image; `None` without one.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn decided(&self, key: &NameKey, sha256: &str) -> Result<Option<Decided>, LedgerError> {
        use rusqlite::OptionalExtension as _;
        let connection = self.connection();
        let mut query = connection.prepare_cached(
            "SELECT approved, decided_by, decided_at FROM decisions WHERE key = ?1 AND source_sha256 = ?2",
        )?;
        let key = self.locate(&connection, key)?;
        let decided = query.query_row((key.as_str(), sha256), |row| {
            Ok(Decided {
                approval: Approval::from_stored(row.get(0)?),
                by: row.get(1)?,
                at: row.get(2)?,
            })
        });
        Ok(decided.optional()?)
    }
}

impl Ledger {
    /// Stores a person's decision about an image.
    ///
    /// # Errors
    /// The ledger can't be written.
    pub async fn set_decision(
        &self,
        key: &NameKey,
        sha256: &str,
        approval: Approval,
        by: &str,
    ) -> Result<(), LedgerError> {
        let row = (sha256.to_owned(), approval, by.to_owned(), super::now());
        let (key, scope) = (key.clone(), self.view().scope().clone());
        self.transact(move |connection| {
            let key = scope.locate(connection, &key)?;
            let (sha256, approval, by, at) = row;
            match approval.stored() {
                None => connection
                    .prepare_cached("DELETE FROM decisions WHERE key = ?1 AND source_sha256 = ?2")?
                    .execute((key.as_str(), sha256))?,
                Some(approved) => connection
                    .prepare_cached("INSERT OR REPLACE INTO decisions VALUES (?1, ?2, ?3, ?4, ?5)")?
                    .execute((key.as_str(), sha256, approved, by, at))?,
            };
            Ok(())
        })
        .await
    }

    /// Takes over the decisions of another ledger about images on which this one has none; returns how many.
    ///
    /// # Errors
    /// One of them can't be read, or this one can't be written.
    pub async fn copy_decisions(&self, from: &Path) -> Result<usize, LedgerError> {
        let other = LedgerView::open(from)?.ok_or_else(|| LedgerError::Io {
            path: from.to_owned(),
            error: std::io::ErrorKind::NotFound.into(),
        })?;
        type Row = (String, String, i64, String, String);
        let rows: Vec<Row> = {
            let connection = other.connection();
            let mut query = connection
                .prepare("SELECT key, source_sha256, approved, decided_by, decided_at FROM decisions")?;
            let rows = query.query_map([], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })?;
            rows.collect::<Result<_, _>>()?
        };
        self.transact(move |connection| {
            let mut put =
                connection.prepare_cached("INSERT OR IGNORE INTO decisions VALUES (?1, ?2, ?3, ?4, ?5)")?;
            rows.into_iter()
                .try_fold(0, |count, row| Ok(count + put.execute(row)?))
        })
        .await
    }
}
