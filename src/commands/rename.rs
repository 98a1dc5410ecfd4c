//! `castline rename` and `castline archive`: what becomes of a character that was enrolled.

use std::path::Path;

use crate::app::context::Context;
use crate::app::ledger_guard::provider;
use crate::app::receipts::write_after;
use crate::app::wallet::ledger_options;
use crate::cast::{Name, printable};
use crate::cli::Common;
use crate::exit::{ExitCode, UsageError};
use crate::ledger::{Ledger, LedgerView, NotRenamed, OpenOptions};

/// Moves a character, with its id and its history, to another name.
pub(super) async fn rename(common: &Common, cast: &Path, old: &str, new: &str) -> anyhow::Result<ExitCode> {
    let (old, new) = (named(old)?, named(new)?);
    let context = Context::new(common, "rename", Some(cast), Vec::new())?;
    let ledger = open(&context, common, "rename")?;
    let (shown, to) = (printable(old.as_str()), printable(new.as_str()));
    let problem = match ledger.rename(&old, &new).await? {
        Ok(()) => None,
        Err(NotRenamed::Unknown) => Some(format!("{shown} is not in the ledger")),
        Err(NotRenamed::InDoubt) => Some(format!(
            "{shown} is in doubt: settle it first with `castline resolve{}`",
            context.same_arguments
        )),
        Err(NotRenamed::Taken) => Some(format!(
            "{to} was paid for itself, or perhaps was: choose another name"
        )),
    };
    if let Some(problem) = problem {
        return Err(UsageError(format!("{problem}; nothing was changed")).into());
    }
    write_after(&context, &ledger, Some(cast)).await;
    if !common.quiet {
        eprintln!(
            "{shown} is {to} now; rename the character in the cast too, and run again: nothing is paid"
        );
    }
    Ok(ExitCode::Done)
}

/// Marks a character as archived, or takes the mark away.
pub(super) async fn archive(
    common: &Common,
    cast: &Path,
    name: &str,
    archived: bool,
) -> anyhow::Result<ExitCode> {
    let name = named(name)?;
    let context = Context::new(common, "archive", Some(cast), Vec::new())?;
    let ledger = open(&context, common, "archive")?;
    let shown = printable(name.as_str());
    if !ledger.archive(&name, archived).await? {
        return Err(UsageError(format!("{shown} is not in the ledger; nothing was changed")).into());
    }
    if !common.quiet {
        match archived {
            true => eprintln!("{shown} is archived: tables for engines leave it out; its id stays"),
            false => eprintln!("{shown} is in the tables for engines again"),
        }
    }
    Ok(ExitCode::Done)
}

fn open(context: &Context, common: &Common, command: &str) -> anyhow::Result<Ledger> {
    let settings = &context.settings;
    if LedgerView::open(settings.place())?.is_none() {
        return Err(UsageError(format!("no ledger at {}: no run yet", settings.place())).into());
    }
    let options = OpenOptions::new(&provider(settings, common.sandbox), common.sandbox, command);
    Ok(Ledger::open(settings.place(), ledger_options(options, settings))?)
}

fn named(name: &str) -> Result<Name, UsageError> {
    Name::new(name).map_err(|e| UsageError(format!("{name:?} is not a valid name: {e}")))
}
