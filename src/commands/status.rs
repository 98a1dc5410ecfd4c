//! `castline status`: the standing of every character.

use std::collections::HashMap;
use std::path::Path;

use console::{Alignment, Term, measure_text_width, pad_str};
use serde_json::json;

use crate::app::cast_names::select;
use crate::app::command_hint::same_arguments_or_cast;
use crate::app::ledger_guard::open_view;
use crate::app::settings::{read, select_flags, settings};
use crate::app::stdout::Lines;
use crate::cast::{Cast, Character, Characters, Look, Name, NameKey, printable, together};
use crate::cli::{Common, SelectArgs};
use crate::event::SCHEMA;
use crate::exit::{ExitCode, UsageError};
use crate::ledger::{LedgerError, LedgerView, Record, Signatures};
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
    let rows = rows(view.as_ref(), cast.as_ref(), is_part, common.json)?;
    let mut lines = Lines::default();
    if common.json {
        let first = json!({
            "type": "castline", "schema": SCHEMA, "version": env!("CARGO_PKG_VERSION"), "command": "status",
            "characters": cast.as_ref().map_or(rows.len(), |cast| cast.characters.len()),
        });
        lines.add(&first.to_string())?;
    }
    let width = Column::of(rows.iter().map(|row| &*row.name));
    let mut counts = ByStanding::<u64>::default();
    let all = rows.len();
    for row in rows {
        let standing = row.standing;
        counts[standing] += 1;
        if common.json {
            lines.add(&row.rest)?;
        } else {
            let name = width.padded(&row.name);
            lines.add(&width.wrapped(format!("{standing:<14} {name}{}", row.rest)))?;
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

/// A row as it is printed: of a large ledger, no more is kept in memory.
struct Row {
    /// The name, printable; empty where `rest` is the whole line.
    name: Box<str>,
    standing: Standing,
    /// The key of the character that it is a look of, if it is a look.
    character: Option<NameKey>,
    /// What follows the name; or the line of JSON.
    rest: Box<str>,
}

/// The rows of the cast in its order, then those that are only in the ledger, unless a part of the cast is asked for.
fn rows(
    view: Option<&LedgerView>,
    cast: Option<&Cast>,
    is_part: bool,
    json: bool,
) -> Result<Vec<Row>, LedgerError> {
    let decided = view
        .map(LedgerView::decided_images)
        .transpose()?
        .unwrap_or_default();
    let make = |character: Option<&Character>, record: Option<&Record>| {
        let standing = match view {
            Some(view) => known_standing((view, &decided), character, record, Image::LastSeen)?,
            None => Standing::NotSeen,
        };
        Ok::<_, LedgerError>(row(standing, (cast.is_some(), character), record, json))
    };
    let characters = cast.map(|cast| &cast.characters);
    let names = characters.into_iter().flat_map(Characters::names);
    let place: HashMap<NameKey, usize> = names.map(|name| name.key()).zip(0..).collect();
    let mut of_cast: Vec<Option<Row>> = std::iter::repeat_with(|| None).take(place.len()).collect();
    let mut others = Vec::new();
    if let Some(view) = view {
        view.each(Signatures::Skip, std::convert::identity, |_, record, _| {
            match place.get(&record.name.key()) {
                Some(&place) => {
                    let character = characters.and_then(|characters| characters.get(place));
                    of_cast[place] = Some(make(character.as_ref(), Some(&record))?);
                }
                None if is_part => {}
                None => others.push(make(None, Some(&record))?),
            }
            Ok(())
        })?;
    }
    drop(place);
    let mut rows = Vec::with_capacity(of_cast.len() + others.len());
    for (place, row) in of_cast.into_iter().enumerate() {
        let character = || characters.and_then(|characters| characters.get(place));
        rows.push(row.map_or_else(|| make(character().as_ref(), None), Ok)?);
    }
    rows.append(&mut others);
    together(&mut rows, |row| row.character.clone());
    Ok(rows)
}

/// The row of a character of the cast (if there is one), the ledger, or both.
fn row(
    standing: Standing,
    (is_cast, character): (bool, Option<&Character>),
    record: Option<&Record>,
    json: bool,
) -> Row {
    let name = character.map(|c| &c.name).or(record.map(|r| &r.name));
    let name = name.map_or("", Name::as_str);
    let asset_id = record.and_then(|r| r.asset_id.as_deref());
    let extra = character.map(|c| &c.extra).or(record.map(|r| &r.extra));
    let look = extra.and_then(|extra| Look::of(extra));
    let character_key = look.and_then(|look| look.character_key());
    if json {
        let mut line = json!({"type": "status", "name": name, "standing": standing});
        // What is durable: `intent` where a call is in progress.
        if let Some(record) = record {
            line["state"] = json!(record.state);
        }
        if let Some(look) = look {
            line["character"] = json!(look.character);
            line["look"] = json!(look.look);
        }
        if record.is_some_and(|r| r.archived) {
            line["archived"] = json!(true);
        }
        if is_cast && character.is_none() {
            line["in_cast"] = json!(false);
        }
        if let Some(asset_id) = asset_id {
            line["asset_id"] = json!(asset_id);
        }
        if let Some(code) = record.and_then(|r| r.code.as_ref()) {
            line["code"] = json!(code);
        }
        return Row {
            name: "".into(),
            standing,
            character: character_key,
            rest: line.to_string().into(),
        };
    }
    let rejected = (standing == Standing::Rejected).then(|| Standing::Rejected.hint());
    let message = rejected.as_deref().or(record.and_then(|r| r.message.as_deref()));
    let gone = match (character, record) {
        (_, Some(record)) if record.archived => "archived; ",
        (None, Some(_)) if is_cast => "no longer in the cast; ",
        _ => "",
    };
    let more = format!("{gone}{}", asset_id.or(message).unwrap_or_default());
    let more = more.strip_suffix("; ").unwrap_or(&more);
    Row {
        name: printable(name).into(),
        standing,
        character: character_key,
        rest: printable(more).into(),
    }
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
    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        if !Term::stdout().is_term() {
            return Self::Tab;
        }
        let widths = names.map(measure_text_width);
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
