//! Rejects characters that share a name: which image is meant is ambiguous, so none of them is enrolled.

use std::collections::HashMap;
use std::fmt;

use super::{Character, Characters, Name, NameKey, RowError};
use crate::util::seen_hashes::SeenHashes;

/// Where a name occurs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Location {
    /// A line of the CSV.
    Line(u64),
    /// A file whose name gives it, relative to the cast's folder.
    File(String),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::File(file) => write!(f, "{file:?}"),
        }
    }
}

impl Location {
    fn of(character: &Character) -> Self {
        match character.line {
            Some(line) => Self::Line(line),
            None => Self::File(character.source.given().to_owned()),
        }
    }
}

/// Removes characters whose names are not unique from `characters`, and reports each of their rows. `rejected` are the names
/// of rows that are bad for another reason.
pub(super) fn reject_duplicates(
    characters: &mut Characters,
    rejected: &[(Name, Location)],
    bad_rows: &mut Vec<RowError>,
) {
    let of_rejected = rejected.iter().map(|(name, _)| name.key());
    let mut repeated = repeated(characters.names().map(|name| name.key()).chain(of_rejected));
    if !repeated.is_empty() {
        let good = characters.iter().map(|c| (c.name.clone(), Location::of(&c)));
        for (name, location) in good.chain(rejected.iter().cloned()) {
            if let Some(places) = repeated.get_mut(&name.key()) {
                places.push((name, location));
            }
        }
        repeated.retain(|_, places| places.len() > 1);
        characters.retain(|c| !repeated.contains_key(&c.name.key()));
    }
    for places in repeated.values_mut() {
        places.sort_by(|(_, a), (_, b)| a.cmp(b));
        for (i, (name, location)) in places.iter().enumerate() {
            let (other_name, other) = &places[usize::from(i == 0)];
            let differs = if name == other_name {
                ""
            } else {
                " (case, white space and the encoding of accents are ignored)"
            };
            let (line, problem, hint) = match location {
                Location::Line(line) => (
                    Some(*line),
                    format!("{:?} is also the name on {other}{differs}", name.as_str()),
                    "rename or remove one of them",
                ),
                Location::File(file) => (
                    None,
                    format!("{file:?} and {other} would both be called {:?}", name.as_str()),
                    "rename one, skip one with --exclude, or name them in a CSV",
                ),
            };
            let name = Some(name.as_str().to_owned());
            bad_rows.push(RowError {
                line,
                field: "name",
                name,
                problem,
                hint: hint.to_owned(),
            });
        }
    }
    // The map has no order; reports are read and compared from top to bottom. Errors of one line stay in the order
    // of its columns.
    bad_rows.sort_by_cached_key(|bad| (bad.line, bad.line.is_none().then(|| bad.problem.clone())));
}

/// The keys that occur more than once, and perhaps some that don't.
fn repeated(keys: impl Iterator<Item = NameKey>) -> HashMap<NameKey, Vec<(Name, Location)>> {
    let mut seen = SeenHashes::default();
    keys.filter(|key| seen.may_repeat(key))
        .map(|key| (key, Vec::new()))
        .collect()
}
