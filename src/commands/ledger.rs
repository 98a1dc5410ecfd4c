//! `castline ledger`: copies the ledger, or rebuilds it.

use std::path::Path;

use crate::app::context::Context;
use crate::app::ledger_guard::provider;
use crate::app::overwrite_guard::OverwriteGuard;
use crate::app::receipts::{self as app, Restored};
use crate::app::services::ServiceConfig;
use crate::app::settings::{read, settings};
use crate::app::wallet::ledger_options;
use crate::cli::{Common, LedgerCommand};
use crate::enroll::KeyError;
use crate::exit::{ExitCode, UsageError};
use crate::ledger::{self, Copied, Ledger, LedgerView, OpenOptions, Place, Reader, check_ids_free};
use crate::manifest::{Manifest, import_steps, names};
use crate::net::hosts::is_stand_in;
use crate::pipeline::write_receipts;
use crate::receipts::Receipts;
use crate::util::text::pluralize;

/// Runs a subcommand of `ledger`.
pub(super) async fn ledger(common: &Common, command: LedgerCommand) -> anyhow::Result<ExitCode> {
    match command {
        LedgerCommand::Backup { cast, out } => backup(common, cast.as_deref(), &out),
        LedgerCommand::Restore { cast } => restore(common, &cast).await,
        LedgerCommand::Rebind { cast, new_series } => rebind(common, &cast, new_series).await,
        LedgerCommand::Decisions { cast, from } => decisions(common, &cast, from.as_deref()).await,
        LedgerCommand::Copy { from, to } => copy(common, &from, &to),
        LedgerCommand::Import { manifest } => import(common, &manifest).await,
    }
}

/// Takes over people's decisions from another ledger.
async fn decisions(common: &Common, cast: &Path, from: Option<&Path>) -> anyhow::Result<ExitCode> {
    let context = Context::new(common, "ledger decisions", Some(cast), Vec::new())?;
    let settings = &context.settings;
    let from = match from {
        Some(from) => from.to_owned(),
        None if common.sandbox => settings.ledger.with_file_name("ledger.db"),
        None => settings.ledger.with_file_name("sandbox.db"),
    };
    if !from.is_file() {
        return Err(UsageError(format!("no ledger at {}: name it with --from", from.display())).into());
    }
    let options = OpenOptions::new(
        &provider(settings, common.sandbox),
        common.sandbox,
        "ledger decisions",
    );
    let ledger = Ledger::open(settings.place(), ledger_options(options, settings))?;
    let count = ledger.copy_decisions(&from).await?;
    if !common.quiet {
        let (path, from) = (settings.place(), from.display());
        eprintln!(
            "took over {} from {from} into {path}",
            pluralize(count, "decision")
        );
    }
    Ok(ExitCode::Done)
}

/// Copies the ledger, even while a run is in progress.
fn backup(common: &Common, cast: Option<&Path>, out: &Path) -> anyhow::Result<ExitCode> {
    let settings = settings(common, cast, Vec::new())?;
    let view = LedgerView::open(settings.place())?
        .ok_or_else(|| UsageError(format!("no ledger at {}", settings.place())))?;
    OverwriteGuard::new(common, &settings, cast).reserve_copy("--out", out)?;
    view.backup(out)?;
    if !common.quiet {
        eprintln!("copied {} to {}", settings.place(), out.display());
    }
    Ok(ExitCode::Done)
}

/// Copies a ledger from one place to another, where none may be yet.
fn copy(common: &Common, from: &str, to: &str) -> anyhow::Result<ExitCode> {
    let settings = settings(common, None, Vec::new())?;
    let place = |text: &str| -> anyhow::Result<Place> {
        Ok(match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Place::Postgres(settings.server_at(text)?),
            _ => Place::File(text.into()),
        })
    };
    let (from, to) = (place(from)?, place(to)?);
    let view = LedgerView::open(&from)?.ok_or_else(|| UsageError(format!("no ledger at {from}")))?;
    // Held: nothing is paid meanwhile.
    let options = OpenOptions::new(view.provider(), view.is_sandbox(), "ledger copy");
    let ledger = Ledger::open(&from, ledger_options(options, &settings))?;
    let Copied {
        characters,
        calls,
        rows,
    } = ledger::copy(ledger.view(), &to)?;
    if !common.quiet {
        eprintln!(
            "copied {} and {} from {from} to {to}, {rows} rows in all, each compared. Use one of them from now on: two \
             ledgers pay twice",
            pluralize(characters as usize, "character"),
            pluralize(calls as usize, "paid call"),
        );
    }
    Ok(ExitCode::Done)
}

/// Takes over from the bucket every id and every doubt of the cast that the ledger does not know.
async fn restore(common: &Common, cast: &Path) -> anyhow::Result<ExitCode> {
    let context = Context::new(common, "ledger restore", Some(cast), Vec::new())?;
    let receipts = connect(common, &context, cast).await?;
    let names = read(cast, &context.settings)?.characters;
    let names = names.names().map(|name| name.key()).collect();
    let ledger = open(&context, &provider(&context.settings, false), "ledger restore")?;
    ledger.view().check_payer(&receipts.fingerprint())?;
    receipts.check_series().await?;
    write_receipts(&ledger, &receipts).await?;
    let Restored {
        ids,
        doubts,
        under_way,
    } = app::restore(&ledger, &receipts, &names).await?;
    if !common.quiet {
        let path = context.settings.place();
        eprintln!("restored {} into {path}", pluralize(ids, "id"));
        if doubts > 0 {
            eprintln!(
                "{} without outcome: settle with `castline resolve{}`",
                pluralize(doubts, "call"),
                context.same_arguments
            );
        }
        if under_way > 0 {
            eprintln!(
                "{} may be under way elsewhere: left alone. Restore again later",
                pluralize(under_way, "call")
            );
        }
    }
    Ok(match doubts {
        0 => ExitCode::Done,
        _ => ExitCode::InDoubt,
    })
}

/// Makes the ledger and the bucket's receipts those of the key and the API that are configured now.
async fn rebind(common: &Common, cast: &Path, new_series: bool) -> anyhow::Result<ExitCode> {
    let context = Context::new(common, "ledger rebind", Some(cast), Vec::new())?;
    // Without receipts there is a ledger still, which is bound to its key.
    let receipts = match context.settings.receipts {
        true => Some(connect(common, &context, cast).await?),
        false => None,
    };
    let payer = ServiceConfig::new(&context, None)?
        .payer_fingerprint()
        .ok_or(KeyError::Missing)?;
    let ours = provider(&context.settings, false);
    let before = match LedgerView::open(context.settings.place())? {
        Some(view) if view.is_sandbox() => {
            // What a sandbox gave is never taken for real.
            view.check_owner(&ours, false)?;
            None
        }
        view => view.map(|view| view.provider().to_owned()),
    };
    let network = |api: &str| api.split_once(" on ").map(|(_, network)| network.to_owned());
    if let Some(before) = before
        .as_deref()
        .filter(|before| network(before) != network(&ours))
    {
        let text = format!("{before} and {ours} are on different networks: use another ledger with --ledger");
        return Err(UsageError(text).into());
    }
    if let Some(before) = before
        .as_deref()
        .filter(|before| is_stand_in(before) != is_stand_in(&ours))
    {
        let text =
            format!("the ids from {before} are no ids of {ours}: one of them is on this machine, a stand-in");
        return Err(UsageError(text).into());
    }
    // Locked first: a run that is under way keeps its series until its end.
    let ledger = match &before {
        Some(before) => Some(open(&context, before, "ledger rebind")?),
        None => None,
    };
    let carried = match receipts {
        Some(receipts) => receipts.rebind(before.as_deref(), !new_series).await?,
        None => 0,
    };
    if let Some(ledger) = ledger {
        ledger.rebind(&ours, &payer).await?;
    }
    if !common.quiet {
        eprintln!(
            "{} now belongs to {ours}; {} carried over to your key",
            context.settings.place(),
            pluralize(carried, "receipt")
        );
    }
    Ok(ExitCode::Done)
}

/// The receipts in the configured bucket.
async fn connect(common: &Common, context: &Context, cast: &Path) -> anyhow::Result<Receipts> {
    if common.sandbox {
        let text = "receipts of the sandbox are not worth restoring; leave out --sandbox";
        return Err(UsageError(text.to_owned()).into());
    }
    app::connect(context, cast).await
}

fn open(context: &Context, provider: &str, command: &str) -> anyhow::Result<Ledger> {
    let settings = &context.settings;
    let options = OpenOptions::new(provider, false, command);
    Ok(Ledger::open(settings.place(), ledger_options(options, settings))?)
}

/// Imports the ids of a manifest into the ledger beside it, all or none. Ids already in the ledger are kept; a name
/// with a different id, and an id under a different name, are errors.
async fn import(common: &Common, path: &Path) -> anyhow::Result<ExitCode> {
    let manifest: Manifest = Manifest::read(path).map_err(|e| UsageError(e.to_string()))?;
    let mut settings = settings(common, Some(path), Vec::new())?;
    let cast = manifest.cast.as_ref().map(|cast| settings.root.join(cast));
    settings.cast_path = cast.filter(|cast| cast.exists());
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
    let ledger = Ledger::open(settings.place(), ledger_options(options, &settings))?;
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
    let seen = manifest.characters.iter();
    let seen = seen.filter_map(|entry| Some((entry.source_sha256.clone()?, entry.signature?)));
    ledger.put_signatures(seen.collect()).await?;
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
            settings.place()
        );
    }
    Ok(ExitCode::Done)
}
