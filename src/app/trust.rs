//! Which configuration files beside a cast the user has trusted: by path and content, as direnv does.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::prompt::{ask_person, can_ask};
use super::user_folder;
use crate::exit::UsageError;
use crate::settings::Settings;
use crate::util::sha256::sha256_hex;
use crate::util::shell::quote;

/// Checks that the configuration file beside the cast sets nothing that needs trust, or is trusted; at a terminal, asks.
///
/// # Errors
/// It is not trusted.
pub(crate) fn check(settings: &Settings) -> anyhow::Result<()> {
    let Some(untrusted) = &settings.untrusted else {
        return Ok(());
    };
    if is_trusted(&untrusted.file) {
        return Ok(());
    }
    let file = untrusted.file.display();
    let keys = untrusted.keys.join(", ");
    let what = format!("{file} was found beside the cast and sets {keys}");
    if can_ask() && ask_person(&format!("{what}. Trust it, as it is now?")) {
        return trust(&untrusted.file);
    }
    let cast = quote(&settings.root.display().to_string());
    Err(UsageError(format!(
        "{what}, which decide where keys go, what is paid, or which files are used; read it, then run `castline trust \
         {cast}`, or name it with --config"
    ))
    .into())
}

/// Remembers that a file is trusted, as it is now.
///
/// # Errors
/// It can't be read, or the user's folder can't be written.
pub(crate) fn trust(file: &Path) -> anyhow::Result<()> {
    let place = place_of(file).context("there is no home folder to remember it in; use --config")?;
    let digest = digest(file).with_context(|| format!("{} can't be read", file.display()))?;
    let folder = place.parent().context("a file has a folder")?;
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&place, digest))
        .with_context(|| format!("{} can't be written", place.display()))
}

fn is_trusted(file: &Path) -> bool {
    let remembered = place_of(file).and_then(|place| std::fs::read_to_string(place).ok());
    remembered.is_some_and(|remembered| digest(file).is_ok_and(|digest| digest == remembered.trim()))
}

/// Where the digest of a trusted file is kept: under the digest of its path.
fn place_of(file: &Path) -> Option<PathBuf> {
    let path = file.canonicalize().ok()?;
    let name = sha256_hex(path.as_os_str().as_encoded_bytes());
    Some(user_folder::state()?.join("trusted").join(name))
}

fn digest(file: &Path) -> std::io::Result<String> {
    Ok(sha256_hex(&std::fs::read(file)?))
}
