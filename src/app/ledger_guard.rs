//! Locates the ledger and the manifest of a run, and detects a lost ledger.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::manifest_there::manifest_there;
use crate::enroll::{Network, PaymentMode};
use crate::exit::UsageError;
use crate::ledger::{LedgerError, LedgerView};
use crate::manifest::{Count, Manifest};
use crate::settings::Settings;
use crate::util::shell::quote;
use crate::util::text::pluralize;

/// The API whose ids a ledger holds, and the network on which its wallet pays if that is not the main one: the ids of a
/// test network are not those of the main one.
pub(crate) fn provider(settings: &Settings, sandbox: bool) -> String {
    if sandbox {
        return "sandbox".to_owned();
    }
    // The address is normalized when it is parsed, but for the slash at its end.
    let api = settings.api.base_url.as_str().trim_end_matches('/');
    match (settings.payment.mode, settings.payment.network) {
        (PaymentMode::Wallet, Network::BaseSepolia) => format!("{api} on {}", Network::BaseSepolia),
        _ => api.to_owned(),
    }
}

/// The ledger, read-only, for the cast of the command; `None` when there is none yet.
///
/// # Errors
/// It can't be read.
pub(crate) fn open_view(settings: &Settings) -> Result<Option<LedgerView>, LedgerError> {
    LedgerView::open_for(settings.place(), settings.cast_path.as_deref())
}

/// The path of the manifest to write. A sandbox manifest never replaces a real one, and two casts in one folder each have
/// their own.
pub(crate) fn manifest_path(settings: &Settings, sandbox: bool) -> PathBuf {
    let path = manifest_of_cast(settings);
    match sandbox && is_real_manifest(&path) {
        true => path.with_extension("sandbox.json"),
        false => path,
    }
}

/// The manifest of the settings; if that is another cast's, which is still there, one that is named after this cast.
fn manifest_of_cast(settings: &Settings) -> PathBuf {
    let path = settings.manifest.clone();
    let cast = settings
        .cast_path
        .as_deref()
        .and_then(|cast| cast.canonicalize().ok());
    let Some((cast, name)) = cast.as_deref().and_then(|cast| Some((cast, cast.file_name()?))) else {
        return path;
    };
    match manifest_there(&path).and_then(|manifest| manifest.cast) {
        Some(theirs) if *name != *theirs && settings.root.join(&theirs).exists() => {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            let stem = cast.file_stem().unwrap_or_default().to_string_lossy();
            path.with_file_name(format!("{stem}.{file}"))
        }
        _ => path,
    }
}

/// The cast as the argument of a suggested command, after a space; its placeholder where no cast was given.
pub(crate) fn cast_argument(settings: &Settings) -> String {
    let cast = settings
        .cast_path
        .as_deref()
        .map(|cast| cast.display().to_string());
    format!(" {}", cast.map_or_else(|| "CAST".to_owned(), |cast| quote(&cast)))
}

/// Whether the file is a manifest with ids that were paid for.
pub(crate) fn is_real_manifest(path: &Path) -> bool {
    manifest_there(path).is_some_and(|there| !there.sandbox && there.ids > 0)
}

/// Opens the ledger read-only to predict a run; `None` when there is none yet.
///
/// # Errors
/// As a run would fail: the ledger belongs to another provider, or is lost.
pub(crate) fn ledger_to_read(settings: &Settings, sandbox: bool) -> anyhow::Result<Option<LedgerView>> {
    let (view, empty) = own_ledger(settings, sandbox)?;
    if empty {
        lost_ledger(settings, &manifest_path(settings, sandbox))?;
    }
    Ok(view)
}

/// Opens the ledger read-only, and tells whether it is empty.
///
/// # Errors
/// The ledger belongs to another provider, or can't be read.
pub(crate) fn own_ledger(settings: &Settings, sandbox: bool) -> anyhow::Result<(Option<LedgerView>, bool)> {
    let view = open_view(settings)?;
    let empty = match &view {
        Some(view) => {
            view.check_owner(&provider(settings, sandbox), sandbox)?;
            view.is_empty()?
        }
        None => true,
    };
    if empty {
        other_ledger(settings);
    }
    Ok((view, empty))
}

/// Warns when a new ledger is created while another one exists in the working folder, or one folder above the cast's:
/// the same images given as a CSV and as a folder have two ledgers, and would be paid for twice.
fn other_ledger(settings: &Settings) {
    if !settings.is_default("ledger.path") || settings.server.is_some() {
        return;
    }
    let ours = std::path::absolute(&settings.ledger).unwrap_or_default();
    let Some((root, name)) = ours.parent().and_then(Path::parent).zip(ours.file_name()) else {
        return;
    };
    let here = std::env::current_dir().unwrap_or_default();
    let other = [Some(here.as_path()), root.parent()]
        .into_iter()
        .flatten()
        .map(|folder| folder.join(".castline").join(name))
        .find(|other| *other != ours && other.is_file());
    if let Some(other) = other {
        tracing::warn!(
            "creating a new ledger at {}; another one exists at {}; if it is the same cast, use that one \
             with --ledger",
            ours.display(),
            other.display()
        );
    }
}

/// Refuses an empty ledger beside a manifest with real ids: a run would pay twice.
fn lost_ledger(settings: &Settings, manifest: &Path) -> anyhow::Result<()> {
    if !manifest.is_file() {
        return Ok(());
    }
    let there = Manifest::<Count>::read(manifest)
        .with_context(|| format!("{} exists, but can't be read as a manifest", manifest.display()))?;
    let Count(enrolled) = there.characters;
    if there.sandbox || enrolled == 0 {
        return Ok(());
    }
    let restore = match settings.receipts && settings.s3.bucket.is_some() {
        true => format!(
            "Restore the ledger from the receipts in the bucket with `castline ledger restore{}`, or rebuild it",
            cast_argument(settings)
        ),
        false => "Restore the ledger, or rebuild it".to_owned(),
    };
    let message = format!(
        "the ledger {} is empty, but {} contains {} that were paid for: a run would pay for them again. {restore} with \
         `castline ledger import {}`",
        settings.place(),
        manifest.display(),
        pluralize(enrolled, "asset id"),
        manifest.display()
    );
    Err(UsageError(message).into())
}
