//! The manifest as a view of the ledger.

use super::{Manifest, ManifestEntry};
use std::collections::HashSet;

use crate::cast::{Look, NameKey, together};
use crate::ledger::{LedgerError, LedgerView, Reader, Record};
use crate::net::hosts::is_stand_in;

/// The manifest: every character of the view that has an asset id, in the order of the ledger, with the looks of a character
/// together. `cast` has the names that are in the cast, if that is known.
pub fn from_ledger(view: &LedgerView, cast: Option<&HashSet<NameKey>>) -> Result<Manifest, LedgerError> {
    let entry = |record: Record, asset_id: String| {
        Ok(ManifestEntry {
            asset_id,
            name: record.name.as_str().to_owned(),
            kind: record.enrolled_kind.unwrap_or(record.kind),
            source: record.source,
            signature: match &record.enrolled_sha256 {
                Some(sha256) => view.signature(sha256)?,
                None => None,
            },
            source_sha256: record.enrolled_sha256,
            group_id: record.ids.group_id,
            request_id: record.ids.request_id,
            published_url: record.url,
            price_usd: record.price,
            enrolled_at: record.enrolled_at,
            removed: record.archived || cast.is_some_and(|cast| !cast.contains(&record.name.key())),
            settlement: record.settlement,
            extra: record.extra,
        })
    };
    let mut records = view.all()?;
    together(&mut records, |record| Look::of(&record.extra)?.character_key());
    let enrolled = records.into_iter().filter_map(|mut record| {
        let asset_id = record.asset_id.take()?;
        Some(entry(record, asset_id))
    });
    Ok(Manifest {
        cast: view.cast_name().map(str::to_owned),
        stand_in: is_stand_in(view.provider()),
        ..Manifest::new(
            view.provider(),
            view.is_sandbox(),
            view.last_run()?,
            enrolled.collect::<Result<_, LedgerError>>()?,
        )
    })
}
