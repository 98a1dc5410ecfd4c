//! The rows of a query.

use rusqlite::types::ValueRef;
use tokio_postgres::types::Type;

use super::LedgerError;

/// A row of a query.
pub(in super::super) enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_> {
    /// The value of a column, counted from 0.
    ///
    /// # Errors
    /// It is of another type.
    pub(in super::super) fn get<T: Column>(&self, column: usize) -> Result<T, LedgerError> {
        match self {
            Self::Sqlite(row) => Ok(row.get(column)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }
}

/// A value of any type, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Cell {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Row<'_> {
    /// The value of a column, whatever its type; a truth value as 0 or 1.
    ///
    /// # Errors
    /// It is of no type that a ledger uses.
    pub(in super::super) fn cell(&self, column: usize) -> Result<Cell, LedgerError> {
        let text = |text: Option<String>| text.map_or(Cell::Null, Cell::Text);
        let blob = |bytes: Option<Vec<u8>>| bytes.map_or(Cell::Null, Cell::Blob);
        match self {
            Self::Sqlite(row) => Ok(match row.get_ref(column)? {
                ValueRef::Integer(number) => Cell::Integer(number),
                ValueRef::Text(_) => text(row.get(column)?),
                ValueRef::Blob(bytes) => Cell::Blob(bytes.to_owned()),
                ValueRef::Null | ValueRef::Real(_) => Cell::Null,
            }),
            Self::Postgres(row) => {
                let kind = row.columns()[column].type_();
                if *kind == Type::BOOL {
                    let yes: Option<bool> = row.try_get(column)?;
                    return Ok(yes.map_or(Cell::Null, |yes| Cell::Integer(yes.into())));
                }
                if *kind == Type::INT8 {
                    let number: Option<i64> = row.try_get(column)?;
                    return Ok(number.map_or(Cell::Null, Cell::Integer));
                }
                match *kind == Type::BYTEA {
                    true => Ok(blob(row.try_get(column)?)),
                    false => Ok(text(row.try_get(column)?)),
                }
            }
        }
    }
}

/// The type of a column, in both databases: numbers have 64 bits.
pub(in super::super) trait Column:
    rusqlite::types::FromSql + for<'a> tokio_postgres::types::FromSql<'a>
{
}

impl Column for i64 {}
impl Column for f64 {}
impl Column for bool {}
impl Column for String {}
impl Column for Vec<u8> {}
impl<T: Column> Column for Option<T> {}
