//! `castline adopt`: a lost ledger, built again from a manifest; or an older one, brought up to date.

use std::collections::HashMap;
use std::path::Path;

use super::resolve::only_free_ids;
use super::wallet::keeping;
use super::{UsageError, context};
use crate::cast::{Name, NameKey, printable};
use crate::cli::Common;
use crate::count::counted;
use crate::exit::ExitCode;
use crate::ledger::{Ledger, OpenOptions, Reader, Record, Resolution, State, Transition, now};
use crate::manifest::{Manifest, ManifestEntry};

/// Brings the ids of a manifest into the ledger beside it, all or none. Ids that are there already stay; a name with
/// another id, and an id of another name, are errors.
pub(super) async fn adopt(common: &Common, path: &Path) -> anyhow::Result<ExitCode> {
    let manifest = Manifest::read(path).map_err(|e| UsageError(e.to_string()))?;
    let settings = context::settings(common, Some(path), Vec::new())?;
    if manifest.sandbox != common.sandbox {
        let told = if manifest.sandbox {
            "its ids are the sandbox's: add --sandbox"
        } else {
            "its ids are real: leave --sandbox out"
        };
        return Err(UsageError(format!("{}: {told}", path.display())).into());
    }
    let names = names(&manifest)?;
    // What the next run can send again stays open, unless the manifest tells how it ended.
    let options = OpenOptions::new(&manifest.provider, manifest.sandbox, "adopt");
    let ledger = Ledger::open(&settings.ledger, keeping(options, &settings))?;
    let mut new = Vec::new();
    for (name, entry) in names.iter().zip(&manifest.characters) {
        let record = ledger.get(&name.key())?;
        if record.as_ref().and_then(|r| r.asset_id.as_deref()) != Some(&entry.asset_id) {
            new.push((name, entry, brought(record.as_ref(), entry)?));
        }
    }
    only_free_ids(
        &ledger,
        new.iter()
            .map(|(name, entry, _)| (*name, entry.asset_id.as_str())),
    )?;
    let brought = new.len();
    let transitions = new
        .into_iter()
        .flat_map(|(name, _, steps)| steps.into_iter().map(|step| (name.clone(), step)));
    ledger.write_all(transitions.collect()).await?;
    let all = manifest.characters.len();
    let known = match all - brought {
        0 => String::new(),
        1 => "; 1 was there already".to_owned(),
        known => format!("; {known} were there already"),
    };
    if !common.quiet {
        eprintln!(
            "brought {brought} of {} into {}{known}",
            counted(all, "id"),
            settings.ledger.display()
        );
    }
    Ok(ExitCode::Done)
}

/// The names of a manifest's characters, each there once and with an id.
fn names(manifest: &Manifest) -> Result<Vec<Name>, UsageError> {
    let mut seen: HashMap<NameKey, &str> = HashMap::new();
    let mut names = Vec::new();
    for entry in &manifest.characters {
        let shown = printable(&entry.name);
        let name = Name::new(&entry.name).map_err(|e| UsageError(format!("{:?}: {e}", entry.name)))?;
        if entry.asset_id.trim().is_empty() {
            return Err(UsageError(format!(
                "{shown} has no id in the manifest; nothing was changed"
            )));
        }
        if let Some(other) = seen.insert(name.key(), &entry.name) {
            return Err(UsageError(format!(
                "{shown} and {} are one name, and stand in the manifest twice; nothing was changed",
                printable(other)
            )));
        }
        names.push(name);
    }
    Ok(names)
}

/// What brings an entry to a character that the ledger knows under another id, without one, or not at all.
fn brought(record: Option<&Record>, entry: &ManifestEntry) -> Result<Vec<Transition>, UsageError> {
    let open = record.filter(|r| matches!(r.state, State::Intent | State::InDoubt));
    // The manifest is newer than the ledger, and tells what became of the call that the ledger left open.
    let answered = |r: &Record| match &entry.source_sha256 {
        Some(sha256) => r.attempted_sha256.as_ref() == Some(sha256),
        None => r.asset_id.is_none(),
    };
    let id = record.and_then(|r| r.asset_id.as_deref());
    if let Some(id) = id.filter(|_| !open.is_some_and(answered)) {
        return Err(UsageError(format!(
            "{} is {} in the ledger and {} in the manifest; nothing was changed",
            printable(&entry.name),
            printable(id),
            printable(&entry.asset_id)
        )));
    }
    let import = Transition::Import {
        kind: entry.kind,
        source: entry.source.clone(),
        sha256: entry.source_sha256.clone(),
        asset_id: entry.asset_id.clone(),
        price: entry.price_usd,
        at: entry.enrolled_at.clone(),
        url: entry.published_url.clone(),
        extra: entry.extra.clone(),
    };
    let Some(open) = open else {
        return Ok(vec![import]);
    };
    let mut steps = Vec::new();
    if open.state == State::Intent {
        steps.push(Transition::interrupted());
    }
    if answered(open) {
        let at = entry.enrolled_at.clone().unwrap_or_else(now);
        let asset_id = entry.asset_id.clone();
        steps.push(Transition::Resolve(Resolution::Adopt { asset_id, at }));
    } else {
        // The id is of another picture than the call in doubt, which stays counted as spent.
        steps.extend([Transition::Resolve(Resolution::Retry), import]);
    }
    Ok(steps)
}
