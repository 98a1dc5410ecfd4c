//! `castline check`: looks at every picture, writes nothing anywhere but here.

use std::path::Path;
use std::sync::Arc;

use console::Term;
use futures_util::StreamExt;

use super::Context;
use super::context::cast_flags;
use super::made::Made;
use super::report::Sheet;
use crate::cli::{CastArgs, Common};
use crate::exit::ExitCode;
use crate::inspect::Verdict;
use crate::pipeline::Duplicates;
use crate::plan::Policy;
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
    let mut look = context.look(&cast, &args, Policy::default(), false, None, None)?;
    look.thumbnails = report.is_some();
    let mut sheet = report.map(|out| Sheet::new(out, "Check", &cast));
    // Where both go to one terminal, the summary says it all.
    let lines = !common.json && (common.quiet || !Term::stdout().is_term() || !Term::stderr().is_term());
    let mut seen = Duplicates::default();
    let mut looked = std::pin::pin!(Arc::new(look).all(cast.characters));
    while let Some(looked) = looked.next().await {
        let mut looked = looked?;
        seen.judge(&mut looked);
        let (name, source) = (looked.character.name.as_str(), looked.character.source.given());
        if let Some(inspection) = &looked.inspection {
            context.reporters.tell(Event::checked(name, source, inspection));
            if lines && inspection.verdict != Verdict::Suitable {
                let reasons: Vec<String> = inspection.reasons.iter().map(|r| r.message.clone()).collect();
                let told = format!("{}\t{name}\t{source}\t{}", inspection.verdict, reasons.join("; "));
                println(&told)?;
            }
        }
        if let Some(sheet) = &mut sheet {
            sheet.checked(looked);
        }
    }
    if let Some(sheet) = sheet {
        sheet.write(common)?;
    }
    Ok(context.end(None, None))
}

/// A line on stdout; a reader that went away ends the command in peace.
pub(super) fn println(line: &str) -> std::io::Result<()> {
    print(format!("{line}\n").as_bytes())
}

/// The same for what is written at once.
pub(super) fn print(bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let mut stdout = std::io::stdout();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other,
    }
}
