//! One run at a time: an operating system lock on a file beside the ledger, released with its process.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::LedgerError;
use super::place::network;

/// The most links that are followed in a chain.
const MOST_LINKS: u8 = 40;

/// The process that holds a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holder(pub(super) String);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "another process"
        } else {
            &self.0
        })
    }
}

/// The lock, held as long as this value lives.
#[derive(Debug)]
pub(super) struct Lock {
    _beside: File,
    /// The ledger itself, locked where that is possible: a file that is mounted elsewhere has another lock beside it. Closed
    /// after SQLite's own connections, since closing it ends their locks on the same file.
    ledger: Option<File>,
    holder: PathBuf,
}

impl Lock {
    /// Takes the lock of the ledger at `ledger`, and records the holder. A ledger has one lock, whatever path it is
    /// named by.
    pub(super) fn take(ledger: &Path, command: &str) -> Result<Self, LedgerError> {
        let named = ledger;
        let ledger = &place(ledger, MOST_LINKS);
        let path = beside(ledger, "lock");
        let message = |error| LedgerError::Io {
            path: path.clone(),
            error,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(message)?;
        match try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LedgerError::Locked {
                    place: named.into(),
                    holder: holder(&beside(ledger, "holder")),
                });
            }
            Err(TryLockError::Error(error)) => return Err(message(error)),
        }
        // In a file of its own: on Windows nobody can read a locked file.
        let text = format!(
            "process {} (castline {command}) since {}",
            std::process::id(),
            jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ")
        );
        std::fs::write(beside(ledger, "holder"), text).map_err(message)?;
        file.rewind().and_then(|()| file.flush()).map_err(message)?;
        Ok(Self {
            _beside: file,
            ledger: None,
            holder: beside(ledger, "holder"),
        })
    }

    /// Locks the ledger's file as well, which exists by now. Only on Linux, where these locks and SQLite's don't see one
    /// another; on a network file system they would.
    ///
    /// # Errors
    /// Another process has it, under another name.
    pub(super) fn with_file(mut self, ledger: &Path) -> Result<Self, LedgerError> {
        if cfg!(not(target_os = "linux")) || network(ledger).is_some() {
            return Ok(self);
        }
        let Ok(file) = OpenOptions::new().read(true).write(true).open(ledger) else {
            return Ok(self);
        };
        match try_lock(&file) {
            Err(TryLockError::WouldBlock) => Err(LedgerError::Locked {
                place: ledger.into(),
                holder: holder(&self.holder),
            }),
            Ok(()) => {
                self.ledger = Some(file);
                Ok(self)
            }
            Err(TryLockError::Error(_)) => Ok(self),
        }
    }
}

/// Locks a file. A process that is just being started by another thread has a copy of its parent's locks for a moment.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    for _ in 0..10 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            done => return done,
        }
    }
    file.try_lock()
}

/// The real path of a ledger, with links resolved; also of a ledger that doesn't exist yet.
fn place(ledger: &Path, links: u8) -> PathBuf {
    if let Ok(place) = ledger.canonicalize() {
        return place;
    }
    let folder = ledger.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    match ledger.read_link() {
        Ok(target) if links > 0 => place(&folder.join(target), links - 1),
        _ => {
            let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
            folder.join(ledger.file_name().unwrap_or_default())
        }
    }
}

fn holder(path: &Path) -> Holder {
    let mut text = String::new();
    if File::open(path)
        .and_then(|file| file.take(200).read_to_string(&mut text))
        .is_err()
    {
        return Holder::default();
    }
    text.retain(|c| !c.is_control());
    if let Some(ago) = ago(&text) {
        text.push_str(&ago);
    }
    Holder(text)
}

/// How long ago the time at the end of `text` was: `, 3 min ago`.
fn ago(text: &str) -> Option<String> {
    let since: jiff::Timestamp = text.rsplit(' ').next()?.parse().ok()?;
    let ago = Duration::try_from(jiff::Timestamp::now().duration_since(since)).ok()?;
    Some(format!(", {} ago", crate::util::duration::format_duration(ago)))
}

/// The path of a file beside the ledger: `ledger.db` → `ledger.db.lock`.
pub(super) fn beside(ledger: &Path, ending: &str) -> PathBuf {
    let mut name = ledger.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    ledger.with_file_name(name)
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn people_learn_for_how_long_it_is_held() {
        let since = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(125);
        let text = format!(
            "process 7 (castline run) since {}",
            since.strftime("%Y-%m-%dT%H:%M:%SZ")
        );
        let message = ago(&text).unwrap();
        assert!(
            message.starts_with(", 2 min ") && message.ends_with(" s ago"),
            "{message}"
        );
        assert_eq!(ago("another form"), None);
    }

    #[test]
    #[cfg(unix)]
    fn a_ledger_has_one_lock_by_whatever_path_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for sub in ["real", "elsewhere"] {
            std::fs::create_dir(at(sub)).unwrap();
        }
        symlink(at("real"), at("folder")).unwrap();
        symlink("../real/ledger.db", at("elsewhere/link.db")).unwrap();
        symlink(at("elsewhere/link.db"), at("link to link.db")).unwrap();
        let paths = ["folder/ledger.db", "elsewhere/link.db", "link to link.db"].map(at);
        let ledger = at("real/ledger.db");
        // First without a ledger, then with one.
        for _ in 0..2 {
            let lock = Lock::take(&ledger, "run").unwrap();
            for path in &paths {
                let message = Lock::take(path, "run").unwrap_err();
                assert!(
                    matches!(&message, LedgerError::Locked { place: super::super::Place::File(named), .. } if named == path),
                    "{message}"
                );
            }
            drop(lock);
            for path in &paths {
                let _lock = Lock::take(path, "run").unwrap();
                assert!(matches!(
                    Lock::take(&ledger, "run"),
                    Err(LedgerError::Locked { .. })
                ));
            }
            std::fs::write(&ledger, "").unwrap();
        }
        assert!(!at("elsewhere/link.db.lock").exists());
    }

    #[test]
    #[cfg(unix)]
    fn links_that_go_round_are_followed_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
        symlink(&a, &b).unwrap();
        symlink(&b, &a).unwrap();
        let _lock = Lock::take(&a, "run").unwrap();
    }
}
