//! `castline status`: the standing of every character.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use console::{Alignment, Term, measure_text_width, pad_str};
use serde_json::json;

use crate::app::cast_names::select;
use crate::app::command_hint::same_arguments_or_cast;
use crate::app::ledger_guard::open_view;
use crate::app::settings::{read, select_flags, settings};
use crate::app::stdout::Lines;
use crate::cast::{Character, Look, Name, NameKey, printable, together};
use crate::cli::{Common, SelectArgs};
use crate::event::SCHEMA;
use crate::exit::{ExitCode, UsageError};
use crate::ledger::{LedgerError, LedgerView, Record};
use crate::manifest::{Count, Manifest};
use crate::plan::{ByStanding, Image, Standing, known_standing};
use crate::util::text::pluralize;
use crate::util::wrap::wrap;

/// Prints the standing of every character of the cast and the ledger. Takes no lock: a run may be in progress.
pub(super) fn status(common: &Common, path: Option<&Path>, chosen: &SelectArgs) -> anyhow::Result<ExitCode> {
    let settings = settings(common, path, select_flags(chosen))?;
    let mut cast = path.map(|path| read(path, &settings)).transpose()?;
    let is_part = chosen.is_part();
    match &mut cast {
        Some(cast) => select(cast, chosen)?,
        None if is_part => {
            let message =
                "--only and --skip choose from a cast: name it, as in `castline status cast.csv --only NAME`";
            return Err(UsageError(message.to_owned()).into());
        }
        None => {}
    }
    let view = open_view(&settings)?;
    let records = view
        .as_ref()
        .map(LedgerView::all)
        .transpose()?
        .unwrap_or_default();
    let mut lines = Lines::default();
    if common.json {
        let first = json!({
            "type": "castline", "schema": SCHEMA, "version": env!("CARGO_PKG_VERSION"), "command": "status",
            "characters": cast.as_ref().map_or(records.len(), |cast| cast.characters.len()),
        });
        lines.add(&first.to_string())?;
    }
    // In the order of the cast, then those that are only in the ledger.
    let known: HashMap<NameKey, &Record> = records.iter().map(|r| (r.name.key(), r)).collect();
    let characters = cast.as_ref().map_or(&[][..], |cast| &cast.characters);
    let in_cast: HashSet<NameKey> = characters.iter().map(|c| c.name.key()).collect();
    let of_cast = characters
        .iter()
        .map(|c| (&c.name, Some(c), known.get(&c.name.key()).copied()));
    let others = records
        .iter()
        .filter(|r| !is_part && !in_cast.contains(&r.name.key()))
        .map(|r| (&r.name, None, Some(r)));
    let mut rows: Vec<(&Name, Option<&Character>, Option<&Record>)> = of_cast.chain(others).collect();
    together(&mut rows, |(_, character, record)| {
        let extra = character.map(|c| &c.extra).or(record.map(|r| &r.extra))?;
        Look::of(extra)?.character_key()
    });
    let decided = view
        .as_ref()
        .map(LedgerView::decided_images)
        .transpose()?
        .unwrap_or_default();
    let width = Column::of(rows.iter().map(|(name, ..)| *name));
    let mut counts = ByStanding::<u64>::default();
    let all = rows.len();
    for (name, character, record) in rows {
        let standing = match &view {
            Some(view) => known_standing((view, &decided), character, record, Image::LastSeen)?,
            None => Standing::NotSeen,
        };
        counts[standing] += 1;
        let asset_id = record.and_then(|r| r.asset_id.as_deref());
        if common.json {
            let mut line = json!({"type": "status", "name": name.as_str(), "standing": standing});
            // What is durable: `intent` where a call is in progress.
            if let Some(record) = record {
                line["state"] = json!(record.state);
            }
            let extra = character.map(|c| &c.extra).or(record.map(|r| &r.extra));
            if let Some(look) = extra.and_then(|extra| Look::of(extra)) {
                line["character"] = json!(look.character);
                line["look"] = json!(look.look);
            }
            if record.is_some_and(|r| r.archived) {
                line["archived"] = json!(true);
            }
            if cast.is_some() && character.is_none() {
                line["in_cast"] = json!(false);
            }
            if let Some(asset_id) = asset_id {
                line["asset_id"] = json!(asset_id);
            }
            if let Some(code) = record.and_then(|r| r.code.as_ref()) {
                line["code"] = json!(code);
            }
            lines.add(&line.to_string())?;
        } else {
            let rejected = (standing == Standing::Rejected).then(|| Standing::Rejected.hint());
            let message = rejected.as_deref().or(record.and_then(|r| r.message.as_deref()));
            let gone = match (character, record) {
                (_, Some(record)) if record.archived => "archived; ",
                (None, Some(_)) if cast.is_some() => "no longer in the cast; ",
                _ => "",
            };
            let more = format!("{gone}{}", asset_id.or(message).unwrap_or_default());
            let more = more.strip_suffix("; ").unwrap_or(&more);
            let name = width.padded(&printable(name.as_str()));
            let row = format!("{standing:<14} {name}{}", printable(more));
            lines.add(&width.wrapped(row))?;
        }
    }
    lines.print()?;
    if !common.quiet && !common.json {
        match &view {
            None => {
                eprintln!("no ledger at {}: no run yet", settings.place());
                let there = Manifest::<Count>::read(&settings.manifest);
                let ids = there.map_or(0, |manifest| manifest.characters.0);
                if ids > 0 && !common.sandbox {
                    eprintln!(
                        "but {} has {}: `castline ledger restore{}` brings the ledger back",
                        settings.manifest.display(),
                        pluralize(ids, "id"),
                        same_arguments_or_cast(common, path)
                    );
                }
            }
            Some(view) => eprintln!("{}", wrap(&Term::stderr(), &last_line(view, &counts, all)?, "  ")),
        }
        let same_arguments = same_arguments_or_cast(common, path);
        for standing in [Standing::ToReview, Standing::InDoubt] {
            if counts[standing] > 0 {
                eprintln!("{standing}: {}", standing.next_step(&same_arguments));
            }
        }
        let bad = cast.as_ref().map_or(0, |cast| cast.bad_rows.len());
        if bad > 0 {
            eprintln!(
                "not listed: {} of the cast; run `castline check{same_arguments}` to see why",
                pluralize(bad, "invalid row")
            );
        }
    }
    Ok(match counts[Standing::InDoubt] {
        0 => ExitCode::Done,
        _ => ExitCode::InDoubt,
    })
}

/// The summary line: `13 characters: 12 enrolled, 1 in doubt — paid $0.12, in doubt $0.01`.
fn last_line(view: &LedgerView, counts: &ByStanding<u64>, all: usize) -> Result<String, LedgerError> {
    let spend = view.spend(None)?;
    let parts: Vec<String> = counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(standing, count)| format!("{count} {standing}"))
        .collect();
    let parts = match parts.is_empty() {
        true => "none yet".to_owned(),
        false => parts.join(", "),
    };
    Ok(format!(
        "{}: {parts} — paid {}, in doubt {}",
        pluralize(all, "character"),
        spend.enrolled,
        spend.in_doubt
    ))
}

/// The name column: followed by a tab for scripts; padded to the longest name at a terminal.
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
        // A long name moves its own row, not all of them: the rest of a narrow terminal is for what is said.
        let most = usize::from(Term::stdout().size().1).saturating_sub(48).max(12);
        Self::Padded(widths.max().unwrap_or_default().min(most))
    }

    /// A row as wide as the terminal.
    fn wrapped(&self, row: String) -> String {
        match self {
            Self::Padded(_) => wrap(&Term::stdout(), &row, &self.indent()),
            Self::Tab => row,
        }
    }

    /// The indent of a message's continuation lines: aligned with its first line, if that leaves room.
    fn indent(&self) -> String {
        match self {
            Self::Padded(width @ ..=28) => " ".repeat(width + 17),
            _ => "    ".to_owned(),
        }
    }

    fn padded(&self, name: &str) -> String {
        match self {
            Self::Tab => format!("{name}\t"),
            Self::Padded(width) if measure_text_width(name) > *width => format!("{name}  "),
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
