//! Guards the files that a command writes: never over a ledger, the settings or what castline didn't write.

use std::path::{Path, PathBuf};

use super::output_kind::OutputKind;
use crate::cast::PICTURE_EXTENSIONS;
use crate::cli::Common;
use crate::exit::UsageError;
use crate::ledger::{LedgerView, Place};
use crate::manifest::ManifestFormat;
use crate::settings::{FILE_NAME, Settings};
use crate::util::fs::{self, resolved};

/// The first bytes of every SQLite file.
const SQLITE: &[u8] = b"SQLite format 3\0";
/// The suffixes of a ledger and of the files that SQLite and the lock keep beside it.
const BESIDE_A_LEDGER: [&str; 6] = ["", "-wal", "-shm", "-journal", ".lock", ".holder"];

/// Checks the files that a command writes, before it works or pays.
#[derive(Clone)]
pub(crate) struct OverwriteGuard {
    /// Files that must not be overwritten: the path, and its description for messages.
    protected: Vec<(PathBuf, String)>,
    ledger: Place,
    sandbox: bool,
}

impl OverwriteGuard {
    /// The guard of a command on `cast`. Protects the cast, the settings, the ledgers and the key files.
    pub(crate) fn new(common: &Common, settings: &Settings, cast: Option<&Path>) -> Self {
        let mut protected = Vec::new();
        let mut protect = |path: &Path, what: &str| protected.push((resolved(path), what.to_owned()));
        if let Some(cast) = cast {
            protect(cast, "the cast");
        }
        if let Some(file) = &common.config {
            protect(file, "the settings file");
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
            ledger: settings.place(),
            sandbox: common.sandbox,
        }
    }

    /// Protects another file, described by `what` in messages.
    pub(crate) fn protect(&mut self, path: &Path, what: &str) {
        self.protected.push((resolved(path), what.to_owned()));
    }

    /// Reserves `path` as an output. It must be writable, and free or an earlier file of the same kind. `by` is the
    /// flag or setting that names it; no later one may name the same file.
    ///
    /// # Errors
    /// The path would overwrite another file, or can't be written.
    pub(crate) fn reserve(&mut self, by: &str, path: &Path, made: OutputKind) -> Result<(), UsageError> {
        self.not_taken(by, path)?;
        if starts_like_a_ledger(path) {
            return Err(refused(by, path, "a ledger, or another SQLite file"));
        }
        if !made.may_overwrite(path) {
            let message = format!("not a {} written by castline", made.called());
            return Err(refused(by, path, &message));
        }
        self.protect(path, &format!("the output of {by}"));
        match made {
            OutputKind::Log => Ok(()),
            _ => writable(by, path),
        }
    }

    /// As [`OverwriteGuard::reserve`], for a manifest: a sandbox manifest never replaces a real one.
    ///
    /// # Errors
    /// As [`OverwriteGuard::reserve`].
    pub(crate) fn reserve_manifest(
        &mut self,
        by: &str,
        path: &Path,
        format: ManifestFormat,
    ) -> Result<(), UsageError> {
        if self.sandbox && super::ledger_guard::is_real_manifest(path) {
            return Err(refused(by, path, "a manifest with real asset ids"));
        }
        self.reserve(by, path, OutputKind::Manifest(format))
    }

    /// As [`OverwriteGuard::reserve`], for a copy of the ledger, which may replace only an earlier copy of that ledger.
    ///
    /// # Errors
    /// As [`OverwriteGuard::reserve`].
    pub(crate) fn reserve_copy(&mut self, by: &str, path: &Path) -> Result<(), UsageError> {
        self.not_taken(by, path)?;
        let open = |place: Place| LedgerView::open(place).ok().flatten();
        let earlier_copy = || match (open(self.ledger.clone()), open(path.into())) {
            (Some(ledger), Some(copy)) => ledger.is_copied_in(&copy).unwrap_or(false),
            _ => false,
        };
        let empty = || std::fs::metadata(path).is_ok_and(|there| there.len() == 0);
        if path.is_file() && !empty() && !earlier_copy() {
            let message = format!(
                "not an earlier copy of {}{}",
                self.ledger,
                if starts_like_a_ledger(path) {
                    ", and may be a newer one"
                } else {
                    ""
                }
            );
            return Err(refused(by, path, &message));
        }
        self.protect(path, &format!("the output of {by}"));
        writable(by, path)
    }

    fn not_taken(&self, by: &str, path: &Path) -> Result<(), UsageError> {
        let place = resolved(path);
        if let Some((_, what)) = self.protected.iter().find(|(protected, _)| *protected == place) {
            return Err(refused(by, path, what));
        }
        if path.file_name().is_some_and(|name| name == FILE_NAME) {
            return Err(refused(by, path, "a settings file"));
        }
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        if extension.is_some_and(|e| PICTURE_EXTENSIONS.contains(&e.as_str())) {
            return Err(refused(by, path, "named like an image"));
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
        "{by}: refusing to overwrite {}: it is {why}; choose another file",
        path.display()
    ))
}

fn starts_like_a_ledger(path: &Path) -> bool {
    fs::start(path, SQLITE.len() as u64).is_ok_and(|start| start == SQLITE)
}
