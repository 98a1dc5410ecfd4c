//! The manifest as a view of the ledger.

use super::{Manifest, ManifestEntry};
use crate::ledger::{LedgerError, LedgerView};
use crate::net::hosts::is_stand_in;

/// The manifest: every character of the view that has an asset id, in the order of the ledger.
pub fn from_ledger(view: &LedgerView) -> Result<Manifest, LedgerError> {
    let entries = view.all()?.into_iter().filter_map(|record| {
        Some(ManifestEntry {
            asset_id: record.asset_id?,
            name: record.name.as_str().to_owned(),
            kind: record.enrolled_kind.unwrap_or(record.kind),
            source: record.source,
            source_sha256: record.enrolled_sha256,
            published_url: record.url,
            price_usd: record.price,
            enrolled_at: record.enrolled_at,
            settlement: record.settlement,
            extra: record.extra,
        })
    });
    Ok(Manifest {
        cast: view.cast_name().map(str::to_owned),
        stand_in: is_stand_in(view.provider()),
        ..Manifest::new(
            view.provider(),
            view.is_sandbox(),
            view.last_run()?,
            entries.collect(),
        )
    })
}
