//! `castline history`: what was done and paid, run by run; or all that one character has.

use std::path::Path;

use serde_json::json;

use crate::app::ledger_guard::open_view;
use crate::app::settings::settings;
use crate::app::stdout::println;
use crate::cast::{Name, printable};
use crate::cli::Common;
use crate::exit::{ExitCode, UsageError};
use crate::ledger::{LedgerView, Reader};
use crate::util::money::Usd;

/// Prints the runs of a ledger, or the calls of one character.
pub(super) fn history(common: &Common, cast: Option<&Path>, name: Option<&str>) -> anyhow::Result<ExitCode> {
    let settings = settings(common, cast, Vec::new())?;
    let view = open_view(&settings)?
        .ok_or_else(|| UsageError(format!("no ledger at {}: no run yet", settings.place())))?;
    match name {
        None => runs(common, &view)?,
        Some(name) => character(common, &view, name)?,
    }
    Ok(ExitCode::Done)
}

fn runs(common: &Common, view: &LedgerView) -> anyhow::Result<()> {
    let runs = view.runs()?;
    if common.json {
        for run in &runs {
            let mut line = json!(run);
            line["type"] = json!("run");
            println(&line.to_string())?;
        }
        return Ok(());
    }
    let mut total = Usd::ZERO;
    for run in &runs {
        total = total + run.cost_usd;
        let mut parts = vec![format!("{} enrolled, {}", run.enrolled, run.cost_usd)];
        if run.in_doubt > 0 {
            parts.push(format!("{} in doubt, {}", run.in_doubt, run.in_doubt_usd));
        }
        match (run.exit_code, &run.ended_at) {
            (Some(0), _) => {}
            (Some(3), _) => parts.push("some needed a person".to_owned()),
            (Some(5), _) => parts.push("the budget was reached".to_owned()),
            (Some(6), _) => parts.push("some calls may have been charged".to_owned()),
            (Some(130), _) => parts.push("interrupted".to_owned()),
            (Some(code), _) => parts.push(format!("exit code {code}")),
            (None, _) => parts.push("did not end".to_owned()),
        }
        parts.extend(run.by.as_deref().map(|by| format!("by {}", printable(by))));
        let when = run
            .started_at
            .get(..16)
            .unwrap_or(&run.started_at)
            .replace('T', " ");
        println(&format!(
            "{:>5}  {when}  {:<9} {}",
            run.run,
            run.command,
            parts.join("; ")
        ))?;
    }
    if !common.quiet {
        let spend = view.spend(None)?;
        let elsewhere = spend.enrolled.saturating_sub(total);
        eprint!("paid {} in all", spend.enrolled);
        if elsewhere > Usd::ZERO {
            eprint!(", {elsewhere} of it by runs that are not in this ledger");
        }
        eprintln!("; in doubt {}", spend.in_doubt);
    }
    Ok(())
}

fn character(common: &Common, view: &LedgerView, name: &str) -> anyhow::Result<()> {
    let key = Name::new(name)
        .map_err(|e| UsageError(format!("{name:?}: {e}")))?
        .key();
    let Some(record) = view.get(&key)? else {
        let text = format!("{name:?} is not in the ledger; if it was renamed, ask by its new name");
        return Err(UsageError(text).into());
    };
    let calls = view.past_calls(&key)?;
    if common.json {
        for call in &calls {
            let mut line = json!(call);
            line["type"] = json!("call");
            line["name"] = json!(record.name.as_str());
            println(&line.to_string())?;
        }
        return Ok(());
    }
    for call in &calls {
        let when = call
            .started_at
            .get(..16)
            .unwrap_or(&call.started_at)
            .replace('T', " ");
        let id = call.asset_id.as_deref().map(printable).unwrap_or_default();
        let now = if call.asset_id.is_some() && call.asset_id == record.asset_id {
            " (now)"
        } else {
            ""
        };
        let image = call
            .source_sha256
            .as_deref()
            .and_then(|sha256| sha256.get(..12))
            .unwrap_or("unknown");
        let why = match (&*call.outcome, &call.message) {
            ("enrolled", _) | (_, None) => String::new(),
            (_, Some(message)) => format!("  {}", printable(message)),
        };
        println(&format!(
            "{when}  {:<9} {:>9}  image {image}  {id}{now}{why}",
            call.outcome,
            call.price_usd.to_string()
        ))?;
    }
    if calls.is_empty() && !common.quiet {
        eprintln!("{}: no paid call", printable(record.name.as_str()));
    }
    Ok(())
}
