//! `castline trust`: allows the configuration file beside a cast to decide where keys go and what is paid.

use std::path::Path;

use crate::app::settings::root_of;
use crate::app::trust::trust as remember;
use crate::exit::{ExitCode, UsageError};
use crate::settings::FILE_NAME;

/// Trusts the `castline.toml` beside `cast`, as it is now.
pub(super) fn trust(cast: &Path) -> anyhow::Result<ExitCode> {
    let file = match cast.file_name() {
        Some(name) if name == FILE_NAME => cast.to_owned(),
        _ => root_of(Some(cast)).join(FILE_NAME),
    };
    if !file.is_file() {
        return Err(UsageError(format!("there is no {}", file.display())).into());
    }
    remember(&file)?;
    eprintln!("trusted {}, until it changes", file.display());
    Ok(ExitCode::Done)
}
