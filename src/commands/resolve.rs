//! `castline resolve`: a person settles what is in doubt.

use std::path::Path;

use super::check::println;
use super::{UsageError, context};
use crate::cast::{Name, printable};
use crate::cli::Common;
use crate::exit::ExitCode;
use crate::ledger::{Ledger, LedgerView, OpenOptions, Reader, Resolution, State, Transition, now};

/// Settles doubts as asked; then lists what is left.
pub(super) async fn resolve(
    common: &Common,
    cast: Option<&Path>,
    adopt: &[String],
    forget: &[String],
    retry: &[String],
) -> anyhow::Result<ExitCode> {
    let settings = context::settings(common, cast, Vec::new())?;
    let Some(view) = LedgerView::open(&settings.ledger)? else {
        let told = format!("no ledger at {}: nothing was run", settings.ledger.display());
        return Err(UsageError(told).into());
    };
    let mut asked = Vec::new();
    for pair in adopt {
        let (name, id) = pair
            .rsplit_once('=')
            .filter(|(_, id)| id.trim().starts_with("ta_"))
            .ok_or_else(|| {
                UsageError(format!(
                    "--adopt {pair:?}: write --adopt 'NAME=ta_…', with the id that the provider shows"
                ))
            })?;
        let asset_id = id.trim().to_owned();
        asked.push((named(name)?, Resolution::Adopt { asset_id, at: now() }));
    }
    for name in forget {
        asked.push((named(name)?, Resolution::Forget));
    }
    for name in retry {
        asked.push((named(name)?, Resolution::Retry));
    }
    // Opened for writing also to list: what an interrupted run left open comes into doubt then.
    let options = OpenOptions::new(view.provider(), view.is_sandbox(), "resolve");
    let ledger = Ledger::open(&settings.ledger, options)?;
    for (name, _) in &asked {
        let name_shown = name.as_str();
        match ledger.get(&name.key())?.map(|record| record.state) {
            Some(State::InDoubt) => {}
            Some(state) => {
                let told = format!("{name_shown} is {state}, not in doubt; nothing was changed");
                return Err(UsageError(told).into());
            }
            None => {
                let told = format!("the ledger knows no {name_shown}; nothing was changed");
                return Err(UsageError(told).into());
            }
        }
    }
    for (name, resolution) in asked {
        ledger.write(&name, [Transition::Resolve(resolution)]).await?;
    }
    let mut left = 0;
    for record in ledger.view().all()?.iter().filter(|r| r.state == State::InDoubt) {
        left += 1;
        let code = record.code.as_deref().unwrap_or_default();
        let message = record.message.as_deref().unwrap_or_default();
        let name = printable(record.name.as_str());
        println(&format!("in doubt\t{name}\t{code}: {}", printable(message)))?;
    }
    Ok(if left > 0 {
        ExitCode::InDoubt
    } else {
        ExitCode::Done
    })
}

fn named(name: &str) -> Result<Name, UsageError> {
    Name::new(name).map_err(|e| UsageError(format!("{name:?} is no name: {e}")))
}
