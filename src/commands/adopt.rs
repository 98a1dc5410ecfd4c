//! `castline adopt`: a lost ledger, built again from a manifest.

use std::path::Path;

use super::{UsageError, context};
use crate::cast::Name;
use crate::cli::Common;
use crate::count::counted;
use crate::exit::ExitCode;
use crate::ledger::{Ledger, OpenOptions, Reader, Transition};
use crate::manifest::Manifest;

/// Brings the ids of a manifest into the ledger beside it. Ids that are there already stay; a name with
/// another id is an error, and nothing is brought then.
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
    let options = OpenOptions::new(&manifest.provider, manifest.sandbox, "adopt");
    let ledger = Ledger::open(&settings.ledger, options)?;
    let mut new = Vec::new();
    for entry in &manifest.characters {
        let name = Name::new(&entry.name).map_err(|e| UsageError(format!("{:?}: {e}", entry.name)))?;
        let known = ledger.get(&name.key())?;
        match known.as_ref().and_then(|record| record.asset_id.as_deref()) {
            Some(id) if id == entry.asset_id => {}
            Some(id) => {
                let told = format!(
                    "{} is {id} in the ledger and {} in the manifest; nothing was changed",
                    entry.name, entry.asset_id
                );
                return Err(UsageError(told).into());
            }
            None => new.push((name, entry)),
        }
    }
    for (name, entry) in &new {
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
        ledger.write(name, [import]).await?;
    }
    let all = manifest.characters.len();
    let known = match all - new.len() {
        0 => String::new(),
        1 => "; 1 was there already".to_owned(),
        known => format!("; {known} were there already"),
    };
    if !common.quiet {
        eprintln!(
            "brought {} of {} into {}{known}",
            new.len(),
            counted(all, "id"),
            settings.ledger.display()
        );
    }
    Ok(ExitCode::Done)
}
