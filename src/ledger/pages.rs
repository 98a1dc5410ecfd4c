//! Reads the characters of a ledger page by page: of a large cast, few are in memory.

use std::sync::mpsc;

use super::database::values;
use super::scope::LedgerKey;
use super::{LedgerError, LedgerView, Record, records};
use crate::inspect::ImageSignature;

/// The number of characters that are read together, where not all are kept.
const PAGE: i64 = 500;

/// Whether signatures are read with the characters: they are as large as the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signatures {
    /// They are.
    Read,
    /// They are not.
    Skip,
}

/// A character with its number, its key, and the signature of the image that it was enrolled with.
type Numbered = (i64, LedgerKey, Record, Option<ImageSignature>);

impl LedgerView {
    /// Reads every character of the cast, or of the whole ledger, in the order in which they were first seen, some at a
    /// time: its number in the ledger, and if asked for, the signature of the image that it was enrolled with. `failed`
    /// makes an error of the ledger one of `read`'s.
    ///
    /// # Errors
    /// Those of `read`; or the ledger can't be read, or is damaged.
    pub fn each<E>(
        &self,
        signatures: Signatures,
        failed: impl Fn(LedgerError) -> E,
        mut read: impl FnMut(i64, Record, Option<ImageSignature>) -> Result<(), E>,
    ) -> Result<(), E> {
        std::thread::scope(|scope| {
            // The next page is read while this one is used.
            let (send, pages) = mpsc::sync_channel(1);
            scope.spawn(move || {
                let mut next = Some(0);
                while let Some(last) = next {
                    let page = self.page(last, i64::MAX, PAGE, signatures);
                    next = page.as_ref().ok().and_then(|page| Some(page.last()?.0));
                    // Nobody reads on after an error.
                    if send.send(page).is_err() {
                        return;
                    }
                }
            });
            for page in pages {
                for (number, key, record, signature) in page.map_err(&failed)? {
                    if self.scope().includes(&key) {
                        read(number, record, signature)?;
                    }
                }
            }
            Ok(())
        })
    }

    /// The character of this number, and the signature of the image that it was enrolled with.
    ///
    /// # Errors
    /// The ledger can't be read, or is damaged.
    pub fn of_number(&self, number: i64) -> Result<Option<(Record, Option<ImageSignature>)>, LedgerError> {
        let found = self.page(number - 1, number, 1, Signatures::Read)?.pop();
        Ok(found.map(|(_, _, record, signature)| (record, signature)))
    }

    /// The next `count` characters of all casts, after this number and up to that one.
    fn page(
        &self,
        after: i64,
        to: i64,
        count: i64,
        signatures: Signatures,
    ) -> Result<Vec<Numbered>, LedgerError> {
        let query = match signatures {
            Signatures::Read => {
                "SELECT c.record, c.digest, c.key, c.seq, s.signature FROM character_fields c
                 LEFT JOIN signatures s ON s.source_sha256 = c.enrolled_sha256
                 WHERE c.seq > ?1 AND c.seq <= ?2 ORDER BY c.seq LIMIT ?3"
            }
            Signatures::Skip => {
                "SELECT record, digest, key, seq, NULL FROM characters
                 WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3"
            }
        };
        self.database().rows(query, values![after, to, count], |row| {
            let record = records::checked(self.place(), records::raw(row)?)?;
            let signature: Option<String> = row.get(4)?;
            let signature = signature.and_then(|text| text.parse().ok());
            Ok((
                row.get(3)?,
                LedgerKey::from_stored(row.get(2)?),
                record,
                signature,
            ))
        })
    }
}
