//! The decisions of people about a character's image.

use std::collections::HashSet;
use std::path::Path;

use super::database::{Row, values};
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
    /// SHA-256 in hex of the images that a person decided on, whoever's they are: most are not, and need not be asked for.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn decided_images(&self) -> Result<HashSet<String>, LedgerError> {
        let query = "SELECT DISTINCT source_sha256 FROM decisions";
        let images = self.database().rows(query, values![], |row| row.get(0))?;
        Ok(images.into_iter().collect())
    }

    /// The decision about a character's image; `None` without one.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn decided(&self, key: &NameKey, sha256: &str) -> Result<Option<Decided>, LedgerError> {
        let database = self.database();
        let key = self.locate(&database, key)?;
        let query =
            "SELECT approved, decided_by, decided_at FROM decisions WHERE key = ?1 AND source_sha256 = ?2";
        database.first(query, values![key.as_str(), sha256], |row| {
            Ok(Decided {
                approval: Approval::from_stored(row.get(0)?),
                by: row.get(1)?,
                at: row.get(2)?,
            })
        })
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
        self.transact(move |database| {
            let key = scope.locate(database, &key)?;
            let (sha256, approval, by, at) = &row;
            match approval.stored() {
                None => database.execute(
                    "DELETE FROM decisions WHERE key = ?1 AND source_sha256 = ?2",
                    values![key.as_str(), sha256],
                )?,
                Some(approved) => database.execute(
                    "INSERT INTO decisions (key, source_sha256, approved, decided_by, decided_at)
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (key, source_sha256)
                     DO UPDATE SET approved = ?3, decided_by = ?4, decided_at = ?5",
                    values![key.as_str(), sha256, approved, by, at],
                )?,
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
        type Decision = (String, String, i64, String, String);
        let query = "SELECT key, source_sha256, approved, decided_by, decided_at FROM decisions";
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
        let rows: Vec<Decision> = other.database().rows(query, values![], read)?;
        self.transact(move |database| {
            let put = "INSERT INTO decisions (key, source_sha256, approved, decided_by, decided_at)
                       VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
            rows.iter().try_fold(0, |count, (key, sha256, approved, by, at)| {
                Ok(count + database.execute(put, values![key, sha256, *approved, by, at])? as usize)
            })
        })
        .await
    }
}
