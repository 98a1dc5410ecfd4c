//! Rejects characters that share a name: which image is meant is ambiguous, so none of them is enrolled.

use std::collections::HashMap;
use std::fmt;

use super::{Character, Name, NameKey, RowError};

/// Where a name occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// All names of a cast, including those of bad rows, and where each occurs.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<NameKey, Vec<(Name, Location)>>);

impl Names {
    pub(super) fn add(&mut self, name: &Name, location: Location) {
        self.0
            .entry(name.key())
            .or_default()
            .push((name.clone(), location));
    }
}

/// Removes characters whose names are not unique from `characters`, and reports each of their rows.
pub(super) fn reject_duplicates(
    names: &Names,
    characters: &mut Vec<Character>,
    bad_rows: &mut Vec<RowError>,
) {
    characters.retain(|c| names.0.get(&c.name.key()).is_none_or(|places| places.len() == 1));
    for places in names.0.values().filter(|places| places.len() > 1) {
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
