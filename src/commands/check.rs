//! `castline check`: inspects every image; writes nothing except a report.

use std::path::Path;
use std::sync::Arc;

use console::Term;
use futures_util::StreamExt;

use crate::app::context::Context;
use crate::app::ledger_guard::open_view;
use crate::app::output_kind::OutputKind;
use crate::app::settings::cast_flags;
use crate::app::stdout::println;
use crate::cast::printable;
use crate::cli::{CastArgs, Common};
use crate::event::{Event, messages};
use crate::exit::ExitCode;
use crate::inspect::{Inspection, ThumbnailSize, Verdict};
use crate::ledger::{Approval, LedgerError, LedgerView, Reader};
use crate::pipeline::{Duplicates, Inspected};
use crate::plan::{Policy, Standing};
use crate::report::fixes::FixList;
use crate::report::sheet::Sheet;

/// Inspects every image, and reports the verdicts.
pub(super) async fn check(
    common: &Common,
    args: CastArgs,
    report: Option<&Path>,
    fixes: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let mut context = Context::new(common, "check", Some(&args.cast), cast_flags(&args))?;
    for (flag, file, kind) in [
        ("--report", report, OutputKind::Report),
        ("--fixes", fixes, OutputKind::Fixes),
    ] {
        if let Some(file) = file {
            context.guard.reserve(flag, file, kind)?;
        }
    }
    let (cast, names) = context.read_cast(&args, "check")?;
    let mut inspect = context.inspect_stage(names, Policy::default(), false, None, None)?;
    inspect.thumbnails = report.map(|_| ThumbnailSize::for_characters(cast.characters.len()));
    let mut fix_list = fixes.map(|_| FixList::of_rows(&cast.bad_rows));
    let mut sheet = report.map(|out| Sheet::new(out, "Check", &cast).of_sandbox(common.sandbox));
    // Where stdout and stderr share a terminal, the summary covers everything.
    let lines = !common.json && (common.quiet || !Term::stdout().is_term() || !Term::stderr().is_term());
    // Without a ledger, no decision exists yet.
    let view = open_view(&context.settings)?;
    let inspect = Arc::new(inspect);
    let mut duplicates = Duplicates::of(&inspect, &cast.characters).await?;
    let mut all = std::pin::pin!(inspect.all(cast.characters));
    while let Some(inspected) = all.next().await {
        let mut inspected = inspected?;
        duplicates.judge(&mut inspected)?;
        if let Some(inspection) = inspected.evidence.inspection() {
            let approval = approval(&inspected, inspection, view.as_ref())?;
            let standing = Standing::of_image(inspection.verdict, approval);
            inspected.standing = standing;
            let note = inspected.note_on_approval();
            let inspection = inspected.evidence.inspection().expect("as just found");
            let (name, source) = (
                inspected.character.name.as_str(),
                inspected.character.source.given(),
            );
            let mut event = Event::checked(name, source, inspection, approval);
            if let Event::Checked { messages, .. } = &mut event {
                messages.extend(note.clone());
            }
            context.reporters.emit(event);
            if lines && standing != Standing::Suitable {
                let reasons: Vec<String> = messages(inspection, approval).into_iter().chain(note).collect();
                let row = [name, source, &reasons.join("; ")].map(printable).join("\t");
                println(&format!("{standing}\t{row}"))?;
            }
            if let Some(list) = &mut fix_list {
                list.add(name, source, standing, inspection);
            }
        }
        if let Some(sheet) = &mut sheet {
            sheet.checked(inspected);
        }
    }
    let report = sheet.map(Sheet::write).transpose()?;
    if let (Some(list), Some(out)) = (&fix_list, fixes) {
        list.write(out)?;
    }
    let exit = context.end(None, None);
    if let Some(report) = report {
        super::report::print_report_path(common, &report);
    }
    if let Some(fixes) = fixes.filter(|_| !common.quiet) {
        eprintln!("fixes: {}", fixes.display());
    }
    Ok(exit)
}

/// The decision on an image that needs review: from the cast, `--approve`, or `castline review`.
fn approval(
    inspected: &Inspected,
    inspection: &Inspection,
    view: Option<&LedgerView>,
) -> Result<Approval, LedgerError> {
    let approval = match view {
        _ if inspection.verdict == Verdict::Suitable => Approval::None,
        _ if inspected.character.overrides => Approval::Overridden,
        Some(view) => match view.approval(&inspected.character.name.key(), &inspected.sha256)? {
            Approval::Overridden => Approval::Overridden,
            _ if inspected.approved => Approval::Approved,
            decided => decided,
        },
        None if inspected.approved => Approval::Approved,
        None => Approval::None,
    };
    // What is not decided, or has no effect on such an image, is not reported.
    Ok(match (inspection.verdict, approval.for_image(inspection)) {
        (Verdict::Unsuitable, Approval::Approved | Approval::Rejected) => Approval::None,
        (_, approval) => approval,
    })
}
