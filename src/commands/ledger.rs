//! `castline ledger backup`: a copy of the ledger, while a run may go on.

use super::outputs::Outputs;
use super::{UsageError, context};
use crate::cli::{Common, LedgerCommand};
use crate::exit::ExitCode;
use crate::ledger::LedgerView;

/// Looks after the ledger.
pub(super) fn ledger(common: &Common, command: LedgerCommand) -> anyhow::Result<ExitCode> {
    let LedgerCommand::Backup { cast, out } = command;
    let settings = context::settings(common, cast.as_deref(), Vec::new())?;
    let view = LedgerView::open(&settings.ledger)?
        .ok_or_else(|| UsageError(format!("no ledger at {}", settings.ledger.display())))?;
    Outputs::new(common, &settings, cast.as_deref()).claim_copy("--out", &out)?;
    view.backup(&out)?;
    if !common.quiet {
        eprintln!("{} is a copy of {}", out.display(), settings.ledger.display());
    }
    Ok(ExitCode::Done)
}
