//! `castline ledger`: copies the ledger, or rebuilds it.

use std::path::Path;

use crate::app::overwrite_guard::OverwriteGuard;
use crate::app::settings::settings;
use crate::app::wallet::with_resumable_payments;
use crate::cli::{Common, LedgerCommand};
use crate::exit::{ExitCode, UsageError};
use crate::ledger::{Ledger, LedgerView, OpenOptions, Reader, check_ids_free};
use crate::manifest::{Manifest, import_steps, names};
use crate::util::text::pluralize;

/// Runs a subcommand of `ledger`.
pub(super) async fn ledger(common: &Common, command: LedgerCommand) -> anyhow::Result<ExitCode> {
    match command {
        LedgerCommand::Backup { cast, out } => backup(common, cast.as_deref(), &out),
        LedgerCommand::Import { manifest } => import(common, &manifest).await,
    }
}

/// Copies the ledger, even while a run is in progress.
fn backup(common: &Common, cast: Option<&Path>, out: &Path) -> anyhow::Result<ExitCode> {
    let settings = settings(common, cast, Vec::new())?;
    let view = LedgerView::open(&settings.ledger)?
        .ok_or_else(|| UsageError(format!("no ledger at {}", settings.ledger.display())))?;
    OverwriteGuard::new(common, &settings, cast).reserve_copy("--out", out)?;
    view.backup(out)?;
    if !common.quiet {
        eprintln!("copied {} to {}", settings.ledger.display(), out.display());
    }
    Ok(ExitCode::Done)
}

/// Imports the ids of a manifest into the ledger beside it, all or none. Ids already in the ledger are kept; a name
/// with a different id, and an id under a different name, are errors.
async fn import(common: &Common, path: &Path) -> anyhow::Result<ExitCode> {
    let manifest = Manifest::read(path).map_err(|e| UsageError(e.to_string()))?;
    let settings = settings(common, Some(path), Vec::new())?;
    if manifest.sandbox != common.sandbox {
        let message = if manifest.sandbox {
            "its ids are from the sandbox; add --sandbox"
        } else {
            "its ids are real; leave out --sandbox"
        };
        return Err(UsageError(format!("{}: {message}", path.display())).into());
    }
    let names = names(&manifest)?;
    // A call that the next run can resend stays open, unless the manifest has its outcome.
    let options = OpenOptions::new(&manifest.provider, manifest.sandbox, "ledger import");
    let ledger = Ledger::open(&settings.ledger, with_resumable_payments(options, &settings))?;
    let mut new = Vec::new();
    for (name, entry) in names.iter().zip(&manifest.characters) {
        let record = ledger.get(&name.key())?;
        if record.as_ref().and_then(|r| r.asset_id.as_deref()) != Some(&entry.asset_id) {
            new.push((name, entry, import_steps(record.as_ref(), entry)?));
        }
    }
    check_ids_free(
        &ledger,
        new.iter()
            .map(|(name, entry, _)| (*name, entry.asset_id.as_str())),
    )?;
    let imported = new.len();
    let transitions = new
        .into_iter()
        .flat_map(|(name, _, steps)| steps.into_iter().map(|step| (name.clone(), step)));
    ledger.write_all(transitions.collect()).await?;
    let all = manifest.characters.len();
    let known = match all - imported {
        0 => String::new(),
        1 => "; 1 was already in it".to_owned(),
        known => format!("; {known} were already in it"),
    };
    if !common.quiet {
        eprintln!(
            "imported {imported} of {} into {}{known}",
            pluralize(all, "id"),
            settings.ledger.display()
        );
    }
    Ok(ExitCode::Done)
}
