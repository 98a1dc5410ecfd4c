//! `castline manifest`: the manifest again, from the ledger, in any format.

use std::path::{Path, PathBuf};

use super::check::print;
use super::outputs::Outputs;
use super::{UsageError, context};
use crate::cli::Common;
use crate::exit::ExitCode;
use crate::ledger::{LedgerError, LedgerView};
use crate::manifest::{self, Manifest, ManifestEntry, ManifestFormat};

/// Writes the manifest to `out`, or to stdout.
pub(super) fn manifest(
    common: &Common,
    cast: Option<&Path>,
    format: &str,
    out: Option<PathBuf>,
) -> anyhow::Result<ExitCode> {
    let format: ManifestFormat = format
        .parse()
        .map_err(|e| UsageError(format!("--format {format}: {e}")))?;
    let settings = context::settings(common, cast, Vec::new())?;
    if let Some(path) = &out {
        Outputs::new(common, &settings, cast).claim_manifest("--out", path)?;
    }
    let view = LedgerView::open(&settings.ledger)?.ok_or_else(|| {
        UsageError(format!(
            "no ledger at {}: nothing was enrolled yet",
            settings.ledger.display()
        ))
    })?;
    let manifest = from_ledger(&view)?;
    match out {
        Some(path) => {
            manifest::write_file(&path, &manifest, format)?;
            if !common.quiet {
                eprintln!("manifest: {}", path.display());
            }
        }
        None => print(&manifest::render(&manifest, format)?)?,
    }
    Ok(ExitCode::Done)
}

/// The manifest: every character of the ledger that has an asset id, in the order of the ledger.
pub(super) fn from_ledger(view: &LedgerView) -> Result<Manifest, LedgerError> {
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
    Ok(Manifest::new(
        view.provider(),
        view.is_sandbox(),
        view.last_run()?,
        entries.collect(),
    ))
}
