//! Where a command may write: never over what castline did not make, a ledger or the settings, and only where it can.

use std::path::{Path, PathBuf};

use super::output_kind::OutputKind;
use crate::cast::PICTURE_EXTENSIONS;
use crate::cli::Common;
use crate::exit::UsageError;
use crate::ledger::LedgerView;
use crate::settings::{FILE_NAME, Settings};
use crate::util::fs::{self, folder_of};

/// What every SQLite file begins with.
const SQLITE: &[u8] = b"SQLite format 3\0";
/// What SQLite and the lock keep beside a ledger.
const BESIDE_A_LEDGER: [&str; 6] = ["", "-wal", "-shm", "-journal", ".lock", ".holder"];

/// The files that a command writes, checked before it works or pays.
#[derive(Clone)]
pub(crate) struct OverwriteGuard {
    /// What must stay as it is: the file, and what it is called for people.
    protected: Vec<(PathBuf, String)>,
    ledger: PathBuf,
    sandbox: bool,
}

impl OverwriteGuard {
    /// Of a command on that cast, as it was typed.
    pub(crate) fn new(common: &Common, settings: &Settings, cast: Option<&Path>) -> Self {
        let mut protected = Vec::new();
        let mut protect = |path: &Path, what: &str| protected.push((resolved(path), what.to_owned()));
        if let Some(cast) = cast {
            protect(cast, "the cast");
        }
        if let Some(file) = &common.config {
            protect(file, "the settings");
        }
        let ledgers = [
            settings.ledger.clone(),
            settings.ledger.with_file_name("ledger.db"),
            settings.ledger.with_file_name("sandbox.db"),
        ];
        for ledger in ledgers {
            for suffix in BESIDE_A_LEDGER {
                let mut file = ledger.clone().into_os_string();
                file.push(suffix);
                protect(Path::new(&file), "the ledger");
            }
        }
        let secrets = [
            (&settings.api.key_file, "api.key_file"),
            (&settings.payment.key_file, "payment.key_file"),
            (&settings.ca_file, "tls.ca_file"),
        ];
        for (file, what) in secrets {
            if let Some(file) = file {
                protect(file, what);
            }
        }
        Self {
            protected,
            ledger: settings.ledger.clone(),
            sandbox: common.sandbox,
        }
    }

    /// Another file that must stay as it is.
    pub(crate) fn protect(&mut self, path: &Path, what: &str) {
        self.protected.push((resolved(path), what.to_owned()));
    }

    /// Refuses `path` unless a file can be written there that takes the place of nothing but an earlier one of its
    /// sort. `by` is the flag or setting that names it; no later one may name the same file.
    ///
    /// # Errors
    /// What would be lost, or why it can't be written.
    pub(crate) fn reserve(&mut self, by: &str, path: &Path, made: OutputKind) -> Result<(), UsageError> {
        self.not_taken(by, path)?;
        if starts_like_a_ledger(path) {
            return Err(refused(by, path, "is a ledger, or another SQLite file"));
        }
        if !made.may_overwrite(path) {
            let message = format!("is no {} that castline wrote", made.called());
            return Err(refused(by, path, &message));
        }
        self.protect(path, &format!("what {by} writes"));
        match made {
            OutputKind::Log => Ok(()),
            _ => writable(by, path),
        }
    }

    /// The same for a manifest: a sandbox's never takes the place of a real one.
    ///
    /// # Errors
    /// As [OverwriteGuard::reserve].
    pub(crate) fn reserve_manifest(&mut self, by: &str, path: &Path) -> Result<(), UsageError> {
        if self.sandbox && super::ledger_guard::is_real_manifest(path) {
            return Err(refused(by, path, "is a manifest with real asset ids"));
        }
        self.reserve(by, path, OutputKind::Manifest)
    }

    /// The same for a copy of the ledger, which may take the place of an earlier copy of that ledger alone.
    ///
    /// # Errors
    /// As [OverwriteGuard::reserve].
    pub(crate) fn reserve_copy(&mut self, by: &str, path: &Path) -> Result<(), UsageError> {
        self.not_taken(by, path)?;
        let open = |path: &Path| LedgerView::open(path).ok().flatten();
        let earlier_copy = || match (open(&self.ledger), open(path)) {
            (Some(ledger), Some(copy)) => ledger.is_copied_in(&copy).unwrap_or(false),
            _ => false,
        };
        let empty = || std::fs::metadata(path).is_ok_and(|there| there.len() == 0);
        if path.is_file() && !empty() && !earlier_copy() {
            let message = format!(
                "is no earlier copy of {}{}",
                self.ledger.display(),
                if starts_like_a_ledger(path) {
                    ": it may be the better one"
                } else {
                    ""
                }
            );
            return Err(refused(by, path, &message));
        }
        self.protect(path, &format!("what {by} writes"));
        writable(by, path)
    }

    fn not_taken(&self, by: &str, path: &Path) -> Result<(), UsageError> {
        let place = resolved(path);
        if let Some((_, what)) = self.protected.iter().find(|(protected, _)| *protected == place) {
            return Err(refused(by, path, &format!("is {what}")));
        }
        if path.file_name().is_some_and(|name| name == FILE_NAME) {
            return Err(refused(by, path, "holds settings"));
        }
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        if extension.is_some_and(|e| PICTURE_EXTENSIONS.contains(&e.as_str())) {
            return Err(refused(by, path, "is named as an image"));
        }
        Ok(())
    }
}

fn writable(by: &str, path: &Path) -> Result<(), UsageError> {
    fs::can_be_written(path)
        .map_err(|e| UsageError(format!("{by} {}: can't be written: {e}", path.display())))
}

fn refused(by: &str, path: &Path, why: &str) -> UsageError {
    UsageError(format!(
        "{by} {}: this {why}, and would be written over; choose another file",
        path.display()
    ))
}

/// The place that a path means, also of a file that is not there yet.
fn resolved(path: &Path) -> PathBuf {
    let of_folder = || {
        let folder = folder_of(path).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    };
    path.canonicalize()
        .ok()
        .or_else(of_folder)
        .unwrap_or_else(|| path.to_owned())
}

fn starts_like_a_ledger(path: &Path) -> bool {
    use std::io::Read;
    // Not of a pipe, which would be waited for.
    if !path.is_file() {
        return false;
    }
    let mut start = [0; 16];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == SQLITE
}
