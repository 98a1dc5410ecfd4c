//! `castline init`: a commented configuration file.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;

use crate::app::trust::trust;
use crate::exit::{ExitCode, UsageError};
use crate::settings::{FILE_NAME, keys};

/// Writes a commented `castline.toml` into `folder`; overwrites an existing one only when forced.
pub(super) fn init(folder: &Path, force: bool) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} can't be created", folder.display()))?;
    let path = folder.join(FILE_NAME);
    let mut open = std::fs::OpenOptions::new();
    open.write(true).create(true).truncate(force).create_new(!force);
    let mut file = open.open(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => anyhow::Error::from(UsageError(format!(
            "{} already exists; overwrite it with --force",
            path.display()
        ))),
        _ => anyhow::Error::from(error).context(format!("{} can't be written", path.display())),
    })?;
    file.write_all(keys::commented_file().as_bytes())?;
    if let Err(error) = trust(&path) {
        tracing::debug!("{} is not remembered as trusted: {error:#}", path.display());
    }
    eprintln!(
        "wrote {}; set s3.bucket in it, and export CASTLINE_API_KEY",
        path.display()
    );
    Ok(ExitCode::Done)
}
