//! `castline report`, and `--report` of other commands: the contact sheet.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;

use super::exit_code;
use crate::app::cast_names::select;
use crate::app::command_hint::same_arguments_or_cast;
use crate::app::context::Context;
use crate::app::ledger_guard::open_view;
use crate::app::output_kind::OutputKind;
use crate::app::overwrite_guard::OverwriteGuard;
use crate::app::settings::{read, select_flags, settings};
use crate::app::signals::signal;
use crate::cli::{CastArgs, Common, SelectArgs};
use crate::exit::{ExitCode, UsageError};
use crate::ledger::LedgerView;
use crate::report::sheet::Sheet;
use crate::settings::Settings;

/// Writes the report of a ledger, with the images of the cast as they are now.
pub(super) fn report(
    common: &Common,
    cast: Option<&Path>,
    out: &Path,
    chosen: &SelectArgs,
) -> anyhow::Result<ExitCode> {
    let settings = settings(common, cast, select_flags(chosen))?;
    OverwriteGuard::new(common, &settings, cast).reserve("--out", out, OutputKind::Report)?;
    let view = open_view(&settings)?.ok_or_else(|| {
        UsageError(format!(
            "no ledger at {}: no run yet; to report on the images alone, run `castline check{} --report FILE`",
            settings.place(),
            same_arguments_or_cast(common, cast)
        ))
    })?;
    let sheet = of_ledger(
        &settings,
        &view,
        (cast, chosen),
        "Ledger",
        out,
        &AtomicBool::new(false),
    )?;
    print_report_path(common, &sheet.write()?);
    Ok(ExitCode::Done)
}

/// Writes the report that a run was asked for, if any; returns the exit code. That still reflects the run itself, above all
/// a doubt.
pub(super) fn report_after(
    common: &Common,
    context: &Context,
    args: &CastArgs,
    out: Option<&Path>,
    exit: ExitCode,
) -> anyhow::Result<ExitCode> {
    let Some(out) = out else { return Ok(exit) };
    Ok(match of_run(common, context, (&args.cast, &args.select), out) {
        Ok(()) => exit,
        Err(error) => {
            eprintln!("castline: the run is done, but its report was not written: {error:#}");
            exit.worst(exit_code(&error))
        }
    })
}

/// Writes the report at the end of a run. Everything is durable by then: an interruption only skips the report.
fn of_run(
    common: &Common,
    context: &Context,
    (cast, chosen): (&Path, &SelectArgs),
    out: &Path,
) -> anyhow::Result<()> {
    let view = open_view(&context.settings)?.context("the ledger no longer exists")?;
    if !common.quiet {
        eprintln!("writing the report…");
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    let to = Arc::clone(&interrupted);
    let listening = tokio::spawn(async move {
        signal().await;
        to.store(true, Ordering::Relaxed);
    });
    let settings = &context.settings;
    let written = tokio::task::block_in_place(|| {
        of_ledger(settings, &view, (Some(cast), chosen), "Run", out, &interrupted)?.write()
    });
    listening.abort();
    print_report_path(common, &written?);
    Ok(())
}

/// Prints the path of a report. Call it only once no progress bars are drawn: they would garble the line.
pub(super) fn print_report_path(common: &Common, report: &Path) {
    if !common.quiet {
        eprintln!("report: {}", report.display());
    }
}

/// The contact sheet of a ledger, with the cast's images as they are now. `kind` is `Run` or `Ledger`.
fn of_ledger(
    settings: &Settings,
    view: &LedgerView,
    (cast, chosen): (Option<&Path>, &SelectArgs),
    kind: &str,
    out: &Path,
    interrupted: &AtomicBool,
) -> anyhow::Result<Sheet> {
    let mut cast = cast.map(|path| read(path, settings)).transpose()?;
    if let Some(cast) = &mut cast {
        select(cast, chosen)?;
    }
    let is_part = chosen.is_part();
    let mut sheet = match &cast {
        Some(cast) => Sheet::new(out, kind, cast),
        None => Sheet::titled(out, kind, &settings.place().to_string()),
    };
    let characters: Vec<_> = cast.into_iter().flat_map(|cast| cast.characters).collect();
    sheet.fill(
        view,
        &settings.inspect,
        settings.jobs,
        (&characters, is_part),
        interrupted,
    )?;
    Ok(sheet)
}
