//! Reads the records of characters, and detects damaged rows.

use super::database::{Database, Row, values};
use super::scope::LedgerKey;
use super::{LedgerError, Place, Record};
use crate::util::sha256::sha256;

pub(super) type Raw = (String, Vec<u8>);

pub(super) fn raw(row: &Row<'_>) -> Result<Raw, LedgerError> {
    Ok((row.get(0)?, row.get(1)?))
}

/// The record of a character.
pub(super) fn get(
    database: &Database,
    place: &Place,
    key: &LedgerKey,
) -> Result<Option<Record>, LedgerError> {
    let query = "SELECT record, digest FROM characters WHERE key = ?1";
    let row = database.first(query, values![key.as_str()], raw)?;
    row.map(|row| checked(place, row)).transpose()
}

/// The record in a row, if it matches its digest.
pub(super) fn checked(place: &Place, (text, digest): Raw) -> Result<Record, LedgerError> {
    let damaged = |problem: String| LedgerError::Damaged {
        place: place.clone(),
        problem,
    };
    if digest != self::digest(&text) {
        return Err(damaged("a row does not match its digest".to_owned()));
    }
    serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))
}

/// The digest that detects damage of a row: the first 8 bytes of its SHA-256.
pub(super) fn digest(record: &str) -> [u8; 8] {
    *sha256(record.as_bytes())
        .first_chunk()
        .expect("a SHA-256 has 32 bytes")
}
