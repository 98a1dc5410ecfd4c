//! The file of a ledger: its creation, and whether the one at its path is still the one that was opened.

use std::path::{Path, PathBuf};

use super::LedgerError;

/// The file that was opened.
#[derive(Debug, Clone)]
pub(super) struct FileIdentity {
    path: PathBuf,
    #[cfg(unix)]
    file: (u64, u64),
}

impl FileIdentity {
    /// The identity of the ledger at `path`, which must exist.
    ///
    /// # Errors
    /// It has a second name (a hard link), under which another process could open it at the same time: the lock is
    /// beside the name.
    pub(super) fn of(path: &Path) -> Result<Self, LedgerError> {
        #[cfg(unix)]
        let file = {
            use std::os::unix::fs::MetadataExt;
            let there = std::fs::metadata(path).map_err(|error| LedgerError::Io {
                path: path.to_owned(),
                error,
            })?;
            if there.nlink() > 1 {
                return Err(LedgerError::SecondName {
                    path: path.to_owned(),
                });
            }
            (there.dev(), there.ino())
        };
        Ok(Self {
            path: path.to_owned(),
            #[cfg(unix)]
            file,
        })
    }

    /// Checks that the file is still there: what is written to a file without a name is lost. On Windows an open file
    /// can't be deleted or replaced.
    pub(super) fn check(&self) -> Result<(), LedgerError> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let there = std::fs::metadata(&self.path);
            if !there.is_ok_and(|there| (there.dev(), there.ino()) == self.file) {
                return Err(LedgerError::Replaced {
                    path: self.path.clone(),
                });
            }
        }
        Ok(())
    }
}

/// Creates the file of a new ledger, readable by its owner alone: it holds signed payments, and what makes object keys
/// unguessable. The log beside it and copies get the same permissions.
pub(super) fn create_private(path: &Path) -> Result<(), LedgerError> {
    let mut options = std::fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(LedgerError::Io {
            path: path.to_owned(),
            error,
        }),
    }
}
