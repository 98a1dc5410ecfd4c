//! `castline status`: where every character stands.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::check::println;
use super::context;
use crate::cast::printable;
use crate::cli::Common;
use crate::exit::ExitCode;
use crate::ledger::{LedgerView, State};

/// Tells where every character of the ledger stands; needs no lock, a run may go on meanwhile.
pub(super) fn status(common: &Common, cast: Option<&Path>) -> anyhow::Result<ExitCode> {
    let settings = context::settings(common, cast, Vec::new())?;
    let Some(view) = LedgerView::open(&settings.ledger)? else {
        if common.json {
            println(&json!({"type": "castline", "schema": 1, "command": "status"}).to_string())?;
        } else {
            eprintln!("no ledger yet at {}: nothing was run", settings.ledger.display());
        }
        return Ok(ExitCode::Done);
    };
    let records = view.all()?;
    let mut counts: BTreeMap<State, u64> = BTreeMap::new();
    if common.json {
        println(&json!({"type": "castline", "schema": 1, "command": "status"}).to_string())?;
    }
    for record in &records {
        *counts.entry(record.state).or_default() += 1;
        if common.json {
            let mut line = json!({"type": "status", "name": record.name.as_str(), "state": record.state});
            if let Some(asset_id) = &record.asset_id {
                line["asset_id"] = json!(asset_id);
            }
            if let Some(code) = &record.code {
                line["code"] = json!(code);
            }
            println(&line.to_string())?;
        } else {
            let asset = record
                .asset_id
                .as_deref()
                .or(record.message.as_deref())
                .unwrap_or("");
            println(&format!(
                "{:<11} {}\t{}",
                record.state.to_string(),
                printable(record.name.as_str()),
                printable(asset)
            ))?;
        }
    }
    let spend = view.spend(None)?;
    let told: Vec<String> = counts
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    if !common.quiet && !common.json {
        eprintln!(
            "{} characters: {} — paid {}, in doubt {}",
            records.len(),
            told.join(", "),
            spend.enrolled,
            spend.in_doubt
        );
    }
    let doubt = counts.contains_key(&State::InDoubt) || counts.contains_key(&State::Intent);
    Ok(if doubt { ExitCode::InDoubt } else { ExitCode::Done })
}
