//! Copies a ledger from one database to another: all of it or nothing, verified row by row.

use sha2::{Digest, Sha256};

use super::database::{Cell, Database, Value, values};
use super::{LedgerError, LedgerView, Place, schema, store};

/// A table: its columns, those by which its rows are ordered first, and whether its first column is numbered by itself.
struct Table {
    name: &'static str,
    columns: &'static str,
    order: &'static str,
    numbered: bool,
}

const fn table(name: &'static str, columns: &'static str, order: &'static str, numbered: bool) -> Table {
    Table {
        name,
        columns,
        order,
        numbered,
    }
}

/// Everything that a ledger holds, but for what is computed from it and whose turn it is to write.
const TABLES: [Table; 9] = [
    table(
        "ledger",
        "provider, sandbox, key_secret, created_at, payer",
        "created_at",
        false,
    ),
    table("characters", "seq, key, state, record, digest", "seq", true),
    table(
        "attempts",
        "id, key, run, request_digest, price, started_at, ended_at, outcome, code, message, asset_id, payment, settlement, \
         receipt_number, receipt_call, receipt_written, source_sha256, kind, name",
        "id",
        true,
    ),
    table(
        "history",
        "key, asset_id, source_sha256, replaced_at",
        "key, asset_id, replaced_at, source_sha256",
        false,
    ),
    table(
        "inspections",
        "source_sha256, fingerprint, inspection",
        "source_sha256, fingerprint",
        false,
    ),
    table("signatures", "source_sha256, signature", "source_sha256", false),
    table(
        "decisions",
        "key, source_sha256, approved, decided_by, decided_at",
        "key, source_sha256",
        false,
    ),
    table(
        "runs",
        "id, command, started_at, ended_at, exit_code, started_by",
        "id",
        true,
    ),
    table(
        "realface_sessions",
        "group_id, key, state, started_at, expires_at, operator, consent_at",
        "started_at, group_id",
        false,
    ),
];

/// How many rows were copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copied {
    /// Of characters.
    pub characters: u64,
    /// Of paid calls.
    pub calls: u64,
    /// Of all tables.
    pub rows: u64,
}

/// Copies a ledger, as it is at one moment, to `to`, where none may be yet.
///
/// # Errors
/// There is a ledger, one of them can't be read or written, or the copy differs; nothing is at `to` then.
pub fn copy(from: &LedgerView, to: &Place) -> Result<Copied, LedgerError> {
    let source = from.database();
    source.snapshot(|source| copy_all(source, from.place(), to))
}

fn copy_all(source: &Database, from: &Place, to: &Place) -> Result<Copied, LedgerError> {
    let (provider, sandbox) = schema::identity(source, from)?;
    let identity = schema::Identity {
        provider: &provider,
        sandbox,
    };
    let target = store::new_database(to, &identity)?;
    let copied = target.transaction(|target| {
        let there: i64 = target.one("SELECT count(*) FROM characters", values![], |row| row.get(0))?;
        let runs: i64 = target.one("SELECT count(*) FROM runs", values![], |row| row.get(0))?;
        if there > 0 || runs > 0 {
            return Err(LedgerError::NotCopied(format!("{to} holds a ledger already")));
        }
        let mut copied = Copied::default();
        for table in &TABLES {
            let rows = copy_table(source, target, table)?;
            copied.rows += rows;
            match table.name {
                "characters" => copied.characters = rows,
                "attempts" => copied.calls = rows,
                _ => {}
            }
        }
        Ok(copied)
    });
    if let (Err(_), Place::File(path)) = (&copied, to) {
        drop(target);
        let _ = std::fs::remove_file(path);
    }
    copied
}

fn copy_table(source: &Database, target: &Database, table: &Table) -> Result<u64, LedgerError> {
    let Table {
        name,
        columns,
        order,
        numbered,
    } = table;
    let count = columns.split(',').count();
    let numbers: Vec<String> = (1..=count).map(|number| format!("?{number}")).collect();
    let overriding = match (target, numbered) {
        (Database::Postgres(_), true) => "OVERRIDING SYSTEM VALUE",
        _ => "",
    };
    if *name == "ledger" {
        // That of the new ledger is the old one's.
        target.execute("DELETE FROM ledger", values![])?;
    }
    let insert = format!(
        "INSERT INTO {name} ({columns}) {overriding} VALUES ({})",
        numbers.join(", ")
    );
    let query = format!("SELECT {columns} FROM {name} ORDER BY {order}");
    let mut checksum = Sha256::new();
    let rows = source.rows(&query, values![], |row| {
        let cells: Vec<Cell> = (0..count).map(|at| row.cell(at)).collect::<Result<_, _>>()?;
        add(&mut checksum, &cells);
        let values: Vec<Value<'_>> = cells.iter().map(Value::from).collect();
        target.execute(&insert, &values)
    })?;
    let mut of_copy = Sha256::new();
    let copied = target.rows(&query, values![], |row| {
        let cells: Vec<Cell> = (0..count).map(|at| row.cell(at)).collect::<Result<_, _>>()?;
        add(&mut of_copy, &cells);
        Ok(())
    })?;
    if copied.len() != rows.len() || of_copy.finalize() != checksum.finalize() {
        return Err(LedgerError::NotCopied(format!("the copy of {name} differs")));
    }
    if matches!(target, Database::Postgres(_)) && *numbered {
        let first = columns.split(',').next().unwrap_or_default();
        // The next number of its own follows those that were copied.
        let next = format!(
            "SELECT setval(pg_get_serial_sequence('{name}', '{first}'), (SELECT coalesce(max({first}), 0) + 1 FROM {name}), false)"
        );
        target.one(&next, values![], |_| Ok(()))?;
    }
    Ok(rows.len() as u64)
}

/// Adds a row to a checksum. A truth value is a number in one database, and none in the other.
fn add(checksum: &mut Sha256, cells: &[Cell]) {
    for cell in cells {
        let (kind, bytes) = match cell {
            Cell::Null => (b'n', Vec::new()),
            Cell::Integer(number) => (b'i', number.to_le_bytes().to_vec()),
            Cell::Text(text) => (b't', text.as_bytes().to_vec()),
            Cell::Blob(bytes) => (b'b', bytes.clone()),
        };
        checksum.update([kind]);
        checksum.update((bytes.len() as u64).to_le_bytes());
        checksum.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_places::in_postgres;
    use super::super::{Approval, Ledger, OpenOptions, Reader, Transition};
    use super::*;
    use crate::cast::{Kind, Name};

    #[tokio::test]
    async fn a_ledger_goes_to_a_database_and_back_and_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let [first, last] = ["first.db", "last.db"].map(|name| Place::File(folder.path().join(name)));
        let Some(middle) = in_postgres() else { return };
        let options = || OpenOptions::new("https://api.example", false, "test");
        let ledger = Ledger::open(&first, options()).unwrap();
        for n in 0..30 {
            let name = Name::new(&format!("Zoë {n}")).unwrap();
            let import = Transition::Import {
                kind: Kind::Portrait,
                source: "a.png".to_owned(),
                sha256: Some(format!("{n:064x}")),
                asset_id: format!("ta_{n}"),
                price: Some(crate::util::money::Usd::from_micros(10_000 + n)),
                at: None,
                url: None,
                ids: Default::default(),
                extra: vec![("role".to_owned(), "scout \"first\"\n".to_owned())],
            };
            ledger.write(&name, [import]).await.unwrap();
            let key = name.key();
            let decide = ledger.set_decision(&key, "aa", Approval::Approved, "Ora");
            decide.await.unwrap();
        }
        ledger.bind_payer("me").await.unwrap();
        let (all, spent) = (ledger.view().all().unwrap(), ledger.view().spend(None).unwrap());

        let copied = copy(ledger.view(), &middle).unwrap();
        assert_eq!((copied.characters, copied.calls), (30, 30));
        assert!(copy(ledger.view(), &middle).is_err(), "there is one already");
        let shared = Ledger::open(&middle, options()).unwrap();
        assert_eq!(shared.view().all().unwrap(), all);
        assert_eq!(shared.view().spend(None).unwrap(), spent);
        assert_eq!(shared.key_secret(), ledger.key_secret());
        shared.view().check_payer("me").unwrap();
        // It goes on where the first one ended.
        assert_eq!(shared.run(), ledger.run() + 1);

        copy(shared.view(), &last).unwrap();
        let back = Ledger::open(&last, options()).unwrap();
        assert_eq!(back.view().all().unwrap(), all);
        assert_eq!(back.view().spend(None).unwrap(), spent);
        // A backup is such a copy, over the one before.
        let backup = folder.path().join("backup.db");
        std::fs::write(&backup, "an earlier one").unwrap();
        shared.view().backup(&backup).unwrap();
        assert_eq!(LedgerView::open(&backup).unwrap().unwrap().all().unwrap(), all);
        #[cfg(unix)]
        for copied in [&backup, &folder.path().join("last.db")] {
            let mode = std::fs::metadata(copied).unwrap().permissions();
            let mode = std::os::unix::fs::PermissionsExt::mode(&mode);
            assert_eq!(mode & 0o077, 0, "{} is its owner's alone", copied.display());
        }
        let name = Name::new("zoë 7").unwrap().key();
        assert_eq!(back.approval(&name, "aa").unwrap(), Approval::Approved);
    }
}
