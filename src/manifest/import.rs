//! Imports the ids of a manifest into a ledger.

use std::collections::HashMap;

use super::{Manifest, ManifestEntry};
use crate::cast::{Name, NameKey, printable};
use crate::exit::UsageError;
use crate::ledger::{Record, Resolution, State, Transition, now};
use crate::util::provider_ids::ProviderIds;

/// The names of a manifest's characters; each is unique and has an id.
pub fn names(manifest: &Manifest) -> Result<Vec<Name>, UsageError> {
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
                "{shown} and {} are the same name, and are both in the manifest; nothing was changed",
                printable(other)
            )));
        }
        names.push(name);
    }
    Ok(names)
}

/// The transitions that apply an entry to a character that the ledger has under another id, without one, or not at all.
pub fn import_steps(record: Option<&Record>, entry: &ManifestEntry) -> Result<Vec<Transition>, UsageError> {
    let open = record.filter(|r| matches!(r.state, State::Intent | State::InDoubt));
    // The manifest is newer than the ledger, and shows the outcome of the call that the ledger left open.
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
        ids: ProviderIds {
            group_id: entry.group_id.clone(),
            request_id: entry.request_id.clone(),
        },
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
        // The id is of another image than the call in doubt, which remains counted as spent.
        steps.extend([Transition::Resolve(Resolution::Retry), import]);
    }
    Ok(steps)
}
