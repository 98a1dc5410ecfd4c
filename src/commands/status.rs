//! `castline status`: where every character stands.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use console::{Alignment, Term, measure_text_width, pad_str};
use serde_json::json;

use super::again::again_on;
use super::check::println;
use super::context;
use crate::cast::{Kind, Name, NameKey, printable};
use crate::cli::Common;
use crate::count::counted;
use crate::exit::ExitCode;
use crate::inspect::Verdict;
use crate::ledger::{LedgerError, LedgerView, Reader, Record, State};
use crate::plan::Approval;
use crate::report::folded;

/// Where a character stands, in the words of the summaries, and in their order.
const STANDINGS: [&str; 10] = [
    ENROLLED, LEFT, HELD, TO_REVIEW, UNSUITABLE, WAITING, REFUSED, FAILED, IN_DOUBT, NOT_RUN,
];
const ENROLLED: &str = "enrolled";
const LEFT: &str = "left";
const HELD: &str = "held";
const TO_REVIEW: &str = "to review";
const UNSUITABLE: &str = "unsuitable";
const WAITING: &str = "waiting";
const REFUSED: &str = "refused";
const FAILED: &str = "failed";
const IN_DOUBT: &str = "in doubt";
/// A character of the cast that no run has seen.
const NOT_RUN: &str = "not run";

/// Where a character stands, for people; `approved` is what its row says of the picture.
fn standing(view: &LedgerView, record: &Record, approved: bool) -> Result<&'static str, LedgerError> {
    let passed = || {
        if record.kind == Kind::RealFace {
            WAITING
        } else {
            LEFT
        }
    };
    Ok(match record.state {
        State::Seen if record.verdict == Some(Verdict::Review) => {
            let picture = record.source_sha256.as_deref().unwrap_or_default();
            match view.approval(&record.name.key(), picture)? {
                Approval::None if !approved => TO_REVIEW,
                Approval::None | Approval::Approved => passed(),
                Approval::Rejected => UNSUITABLE,
            }
        }
        State::Prepared | State::Published if record.has_failed() => FAILED,
        State::Seen if record.code.is_some() => FAILED,
        State::Seen if record.asset_id.is_some() => HELD,
        State::Seen => passed(),
        State::Prepared | State::Published => LEFT,
        State::Unsuitable => UNSUITABLE,
        State::Enrolled => ENROLLED,
        State::Refused => REFUSED,
        State::Intent | State::InDoubt => IN_DOUBT,
    })
}

/// Tells where every character of the cast and of the ledger stands; needs no lock, a run may go on meanwhile.
pub(super) fn status(common: &Common, cast: Option<&Path>) -> anyhow::Result<ExitCode> {
    let settings = context::settings(common, cast, Vec::new())?;
    let given = cast;
    let cast = given.map(|path| context::read(path, &settings)).transpose()?;
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
    let approved = characters.iter().filter(|c| c.approved).map(|c| c.name.key());
    let approved: HashSet<NameKey> = approved.collect();
    let in_cast: HashSet<NameKey> = characters.iter().map(|c| c.name.key()).collect();
    let of_cast = characters
        .iter()
        .map(|c| (&c.name, known.get(&c.name.key()).copied()));
    let others = records
        .iter()
        .filter(|r| !in_cast.contains(&r.name.key()))
        .map(|r| (&r.name, Some(r)));
    let rows: Vec<(&Name, Option<&Record>)> = of_cast.chain(others).collect();
    let width = Column::of(rows.iter().map(|(name, _)| *name));
    let mut counts: HashMap<&str, u64> = HashMap::new();
    let all = rows.len();
    for (name, record) in rows {
        let code = record.map_or("not_run", |record| record.state.as_str());
        let told = match (&view, record) {
            (Some(view), Some(record)) => standing(view, record, approved.contains(&name.key()))?,
            _ => NOT_RUN,
        };
        *counts.entry(told).or_default() += 1;
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
            let name = width.padded(&printable(name.as_str()));
            let row = format!("{told:<11} {name}{}", printable(more.unwrap_or_default()));
            println(&folded(&Term::stdout(), &row, &width.indent()))?;
        }
    }
    if !common.quiet && !common.json {
        match &view {
            None => eprintln!("no ledger yet at {}: nothing was run", settings.ledger.display()),
            Some(view) => {
                let spend = view.spend(None)?;
                let told: Vec<String> = STANDINGS
                    .iter()
                    .filter_map(|told| Some(format!("{} {told}", counts.get(told)?)))
                    .collect();
                let told = if told.is_empty() {
                    "nobody yet".to_owned()
                } else {
                    told.join(", ")
                };
                let told = format!(
                    "{}: {told} — paid {}, in doubt {}",
                    counted(all, "character"),
                    spend.enrolled,
                    spend.in_doubt
                );
                eprintln!("{}", folded(&Term::stderr(), &told, "  "));
            }
        }
        if counts.contains_key(TO_REVIEW) {
            let again = again_on(common, given);
            eprintln!("decide what is to review with `castline review{again}`");
        }
        let bad = cast.as_ref().map_or(0, |cast| cast.bad_rows.len());
        if bad > 0 {
            eprintln!(
                "without {} of the cast: castline check tells why",
                counted(bad, "bad row")
            );
        }
    }
    Ok(match counts.contains_key(IN_DOUBT) {
        true => ExitCode::InDoubt,
        false => ExitCode::Done,
    })
}

/// The column of the names: a tab behind them for scripts, at a terminal as wide as the longest.
enum Column {
    Tab,
    Padded(usize),
}

impl Column {
    fn of<'a>(names: impl Iterator<Item = &'a Name>) -> Self {
        if !Term::stdout().is_term() {
            return Self::Tab;
        }
        let widths = names.map(|name| measure_text_width(&printable(name.as_str())));
        Self::Padded(widths.max().unwrap_or_default())
    }

    /// What stands before the further lines of a message: as much as before the first, if that leaves room.
    fn indent(&self) -> String {
        match self {
            Self::Padded(width @ ..=28) => " ".repeat(width + 14),
            _ => "    ".to_owned(),
        }
    }

    fn padded(&self, name: &str) -> String {
        match self {
            Self::Tab => format!("{name}\t"),
            Self::Padded(width) => pad_str(name, width + 2, Alignment::Left, None).into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_script_line_up() {
        let column = Column::Padded(6);
        assert_eq!(column.padded("Ada"), "Ada     ");
        assert_eq!(column.padded("騎士"), "騎士    ", "two columns each");
        assert_eq!(Column::Tab.padded("Ada"), "Ada\t");
    }
}
