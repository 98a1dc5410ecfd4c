//! `castline status`: where every character stands.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde_json::json;

use super::check::println;
use super::context;
use crate::cast::{self, NameKey, printable};
use crate::cli::Common;
use crate::count::counted;
use crate::exit::ExitCode;
use crate::ledger::{LedgerView, Record, State};

/// What a character of the cast is that no run has seen, for scripts and for people.
const NOT_RUN: (&str, &str) = ("not_run", "not run");

/// Tells where every character of the cast and of the ledger stands; needs no lock, a run may go on meanwhile.
pub(super) fn status(common: &Common, cast: Option<&Path>) -> anyhow::Result<ExitCode> {
    let settings = context::settings(common, cast, Vec::new())?;
    let options = context::cast_options(&settings);
    let cast = cast.map(|path| cast::read(path, &options)).transpose()?;
    let view = LedgerView::open(&settings.ledger)?;
    let records = view
        .as_ref()
        .map(LedgerView::all)
        .transpose()?
        .unwrap_or_default();
    if common.json {
        println(&json!({"type": "castline", "schema": 1, "command": "status"}).to_string())?;
    }
    // In the order of the cast; then those whom only the ledger knows.
    let known: HashMap<NameKey, &Record> = records.iter().map(|r| (r.name.key(), r)).collect();
    let characters = cast.as_ref().map_or(&[][..], |cast| &cast.characters);
    let in_cast: HashSet<NameKey> = characters.iter().map(|c| c.name.key()).collect();
    let of_cast = characters
        .iter()
        .map(|c| (&c.name, known.get(&c.name.key()).copied()));
    let others = records
        .iter()
        .filter(|r| !in_cast.contains(&r.name.key()))
        .map(|r| (&r.name, Some(r)));
    let mut counts: BTreeMap<(Option<State>, &str), u64> = BTreeMap::new();
    let mut all = 0u64;
    for (name, record) in of_cast.chain(others) {
        all += 1;
        let state = record.map(|record| record.state);
        let (code, told) = state.map_or(NOT_RUN, |state| (state.as_str(), state.as_str()));
        *counts.entry((state, told)).or_default() += 1;
        let asset_id = record.and_then(|r| r.asset_id.as_deref());
        if common.json {
            let mut line = json!({"type": "status", "name": name.as_str(), "state": code});
            if let Some(asset_id) = asset_id {
                line["asset_id"] = json!(asset_id);
            }
            if let Some(code) = record.and_then(|r| r.code.as_ref()) {
                line["code"] = json!(code);
            }
            println(&line.to_string())?;
        } else {
            let more = asset_id.or(record.and_then(|r| r.message.as_deref()));
            println(&format!(
                "{told:<11} {}\t{}",
                printable(name.as_str()),
                printable(more.unwrap_or_default())
            ))?;
        }
    }
    if !common.quiet && !common.json {
        match &view {
            None => eprintln!("no ledger yet at {}: nothing was run", settings.ledger.display()),
            Some(view) => {
                let spend = view.spend(None)?;
                let told: Vec<String> = counts
                    .iter()
                    .map(|((_, told), count)| format!("{count} {told}"))
                    .collect();
                let told = if told.is_empty() {
                    "nobody yet".to_owned()
                } else {
                    told.join(", ")
                };
                eprintln!(
                    "{}: {told} — paid {}, in doubt {}",
                    counted(all, "character"),
                    spend.enrolled,
                    spend.in_doubt
                );
            }
        }
        let bad = cast.as_ref().map_or(0, |cast| cast.bad_rows.len());
        if bad > 0 {
            eprintln!(
                "without {} of the cast: castline check tells why",
                counted(bad, "bad row")
            );
        }
    }
    let in_doubt = |state: &Option<State>| matches!(state, Some(State::InDoubt | State::Intent));
    let doubt = counts.keys().any(|(state, _)| in_doubt(state));
    Ok(if doubt { ExitCode::InDoubt } else { ExitCode::Done })
}
