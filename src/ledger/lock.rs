//! One run at a time: the operating system's lock on a file beside the ledger, which goes with its process.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::LedgerError;

/// Who holds a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holder(String);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "another process"
        } else {
            &self.0
        })
    }
}

/// The lock, as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the ledger at `ledger`, and writes down who holds it.
    pub(super) fn take(ledger: &Path, command: &str) -> Result<Self, LedgerError> {
        let path = beside(ledger, "lock");
        let told = |error| LedgerError::Io {
            path: path.clone(),
            error,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(told)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = ledger.to_owned();
                return Err(LedgerError::Locked {
                    path,
                    holder: holder(&beside(ledger, "holder")),
                });
            }
            Err(TryLockError::Error(error)) => return Err(told(error)),
        }
        // In a file of its own: Windows lets nobody read a locked one.
        let text = format!(
            "process {} (castline {command}) since {}",
            std::process::id(),
            jiff::Timestamp::now()
        );
        std::fs::write(beside(ledger, "holder"), text).map_err(told)?;
        file.rewind().and_then(|()| file.flush()).map_err(told)?;
        Ok(Self { _file: file })
    }
}

fn holder(path: &Path) -> Holder {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(200).read_to_string(&mut text));
    Holder(if read.is_ok() {
        text.chars().filter(|c| !c.is_control()).collect()
    } else {
        String::new()
    })
}

/// `ledger.db` → `ledger.db.lock`
pub(super) fn beside(ledger: &Path, ending: &str) -> PathBuf {
    let mut name = ledger.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    ledger.with_file_name(name)
}
