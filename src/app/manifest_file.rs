//! Writes the manifest of a run from its ledger.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::cast::NameKey;
use crate::ledger::Ledger;
use crate::manifest;
use crate::pipeline::Checkpoint;

/// The manifest file, written from the ledger.
pub(super) struct ManifestFile {
    pub(super) ledger: Ledger,
    pub(super) path: PathBuf,
    /// The names in the cast.
    pub(super) names: HashSet<NameKey>,
    /// Serializes the writes: an older manifest must not overwrite a newer one.
    pub(super) writing: Mutex<()>,
}

impl Checkpoint for ManifestFile {
    fn write(&self) -> anyhow::Result<Option<PathBuf>> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let manifest = manifest::stored(self.ledger.view(), Some(&self.names))?;
        if manifest.characters.count() == 0 && !self.path.exists() {
            return Ok(None);
        }
        manifest::write_json_file(&self.path, &manifest)?;
        Ok(Some(self.path.clone()))
    }
}
