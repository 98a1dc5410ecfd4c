//! `castline manifest`: writes the manifest from the ledger, in any format.

use std::path::{Path, PathBuf};

use crate::app::cast_names::{names_of, select};
use crate::app::ledger_guard::open_view;
use crate::app::overwrite_guard::OverwriteGuard;
use crate::app::receipts::check_manifest;
use crate::app::settings::{is_json, read, select_flags, settings};
use crate::app::stdout::{print, print_with};
use crate::cast::Name;
use crate::cli::{Common, SelectArgs};
use crate::exit::{ExitCode, UsageError};
use crate::manifest::{self, ManifestFormat, from_ledger};

/// Writes the manifest to `out`, or to stdout.
pub(super) fn manifest(
    common: &Common,
    cast: Option<&Path>,
    (format, include_removed): (ManifestFormat, bool),
    chosen: &SelectArgs,
    out: Option<PathBuf>,
) -> anyhow::Result<ExitCode> {
    let settings = settings(common, cast, select_flags(chosen))?;
    if let Some(path) = &out {
        OverwriteGuard::new(common, &settings, cast).reserve_manifest("--out", path, format)?;
    }
    let view = open_view(&settings)?.ok_or_else(|| {
        UsageError(format!(
            "no ledger at {}: nothing has been enrolled yet",
            settings.place()
        ))
    })?;
    if let Some(path) = out.as_deref().filter(|_| format == ManifestFormat::Json) {
        check_manifest(&view, path)?;
    }
    let mut sheet = match cast {
        Some(cast) if !is_json(cast) => Some(read(cast, &settings)?),
        _ => None,
    };
    let names = sheet.as_ref().map(names_of);
    if format == ManifestFormat::Json && !chosen.is_part() {
        let manifest = manifest::stored(&view, names.as_ref())?;
        match &out {
            Some(path) => manifest::write_json_file(path, &manifest)?,
            None => print_with(|stdout| manifest::write_json(stdout, &manifest))?,
        }
    } else {
        let mut manifest = from_ledger(&view, names.as_ref())?;
        if let Some(sheet) = sheet.as_mut().filter(|_| chosen.is_part()) {
            select(sheet, chosen)?;
            let kept = names_of(sheet);
            let is_kept = |name: &str| Name::new(name).is_ok_and(|name| kept.contains(&name.key()));
            manifest.characters.retain(|character| is_kept(&character.name));
        }
        // The full forms say of each character whether it was removed.
        if !include_removed
            && !matches!(
                format,
                ManifestFormat::Json | ManifestFormat::Csv | ManifestFormat::CsvExcel
            )
        {
            manifest = manifest.without_removed();
        }
        match &out {
            Some(path) => manifest::write_file(path, &manifest, format)?,
            None => print(&manifest::render(&manifest, format)?)?,
        }
    }
    if let Some(path) = out.filter(|_| !common.quiet) {
        eprintln!("manifest: {}", path.display());
    }
    Ok(ExitCode::Done)
}
