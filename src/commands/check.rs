//! `castline check`: looks at every picture, writes nothing anywhere but here.

use std::path::Path;
use std::sync::Arc;

use console::Term;
use futures_util::StreamExt;

use super::Context;
use super::context::{Names, cast_flags};
use super::made::Made;
use super::report::{Sheet, told};
use crate::cast::printable;
use crate::cli::{CastArgs, Common};
use crate::exit::ExitCode;
use crate::inspect::{Inspection, Verdict};
use crate::ledger::{LedgerError, LedgerView, Reader};
use crate::pipeline::{Duplicates, Looked};
use crate::plan::{Approval, Policy};
use crate::report::Event;

/// Looks at every picture, and tells the verdicts.
pub(super) async fn check(
    common: &Common,
    args: CastArgs,
    report: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let mut context = Context::new(common, "check", Some(&args.cast), cast_flags(&args))?;
    if let Some(report) = report {
        context.outputs.claim("--report", report, Made::Report)?;
    }
    let cast = context.read_cast(&args, "check")?;
    let mut look = context.look(Names::of(&cast, &args)?, Policy::default(), false, None, None)?;
    look.thumbnails = report.is_some();
    let mut sheet = report.map(|out| Sheet::new(out, "Check", &cast));
    // Where both go to one terminal, the summary says it all.
    let lines = !common.json && (common.quiet || !Term::stdout().is_term() || !Term::stderr().is_term());
    // Without a ledger, nobody has decided anything yet.
    let view = LedgerView::open(&context.settings.ledger)?;
    let mut seen = Duplicates::default();
    let mut looked = std::pin::pin!(Arc::new(look).all(cast.characters));
    while let Some(looked) = looked.next().await {
        let mut looked = looked?;
        seen.judge(&mut looked);
        let (name, source) = (looked.character.name.as_str(), looked.character.source.given());
        if let Some(inspection) = &looked.inspection {
            let decided = decided(&looked, inspection, view.as_ref())?;
            let mut event = Event::checked(name, source, inspection);
            if let Event::Checked { approved, .. } = &mut event {
                *approved = decided;
            }
            context.reporters.tell(event);
            if lines && inspection.verdict != Verdict::Suitable && decided != Some(true) {
                let reasons: Vec<String> = inspection.reasons.iter().map(|r| r.message.clone()).collect();
                let row = [name, source, &reasons.join("; ")].map(printable).join("\t");
                println(&format!("{}\t{row}", inspection.verdict))?;
            }
        }
        if let Some(sheet) = &mut sheet {
            sheet.checked(looked);
        }
    }
    let report = sheet.map(Sheet::write).transpose()?;
    let exit = context.end(None, None);
    if let Some(report) = report {
        told(common, &report);
    }
    Ok(exit)
}

/// What people said of an unsure picture: in the cast, by `--approve`, or in `castline review`.
fn decided(
    looked: &Looked,
    inspection: &Inspection,
    view: Option<&LedgerView>,
) -> Result<Option<bool>, LedgerError> {
    if inspection.verdict != Verdict::Review {
        return Ok(None);
    }
    if looked.approved {
        return Ok(Some(true));
    }
    let key = looked.character.name.key();
    let said = view.map(|view| view.approval(&key, &looked.sha256)).transpose()?;
    Ok(match said.unwrap_or_default() {
        Approval::None => None,
        Approval::Approved => Some(true),
        Approval::Rejected => Some(false),
    })
}

/// Whoever read stdout has enough: the command ends in peace.
#[derive(Debug, thiserror::Error)]
#[error("stdout is closed")]
pub(super) struct StdoutClosed;

/// A line on stdout; a reader that went away ends the command in peace.
pub(super) fn println(line: &str) -> anyhow::Result<()> {
    print(format!("{line}\n").as_bytes())
}

/// The same for what is written at once.
pub(super) fn print(bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write;
    let mut stdout = std::io::stdout();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(StdoutClosed.into()),
        other => Ok(other?),
    }
}
