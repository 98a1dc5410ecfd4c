//! The list of what has to be fixed in a cast, for the people who draw it: a CSV that Excel opens.

use std::path::Path;

use anyhow::Context as _;

use crate::cast::{RowError, printable};
use crate::inspect::Inspection;
use crate::plan::Standing;
use crate::util::fs;
use crate::util::spreadsheet::{BYTE_ORDER_MARK, safe_cell};

/// The columns.
const COLUMNS: [&str; 5] = ["file", "name", "standing", "reason", "what to do"];

/// Whether a file that starts with these bytes is such a list.
pub fn is_one(start: &[u8]) -> bool {
    let head = start.strip_prefix(BYTE_ORDER_MARK);
    head.is_some_and(|head| head.starts_with(COLUMNS.join(",").as_bytes()))
}

/// What has to be fixed, a row for each reason.
#[derive(Debug, Default)]
pub struct FixList {
    rows: Vec<[String; 5]>,
}

impl FixList {
    /// Begins with the invalid rows of a cast.
    pub fn of_rows(bad_rows: &[RowError]) -> Self {
        let row = |bad: &RowError| {
            let place = bad.line.map(|line| format!("line {line}")).unwrap_or_default();
            let name = bad.name.clone().unwrap_or_default();
            let reason = format!("{}: {}", bad.field, bad.problem);
            [place, name, "invalid row".to_owned(), reason, bad.hint.clone()]
        };
        Self {
            rows: bad_rows.iter().map(row).collect(),
        }
    }

    /// Adds an image that can't be enrolled as it is.
    pub fn add(&mut self, name: &str, source: &str, standing: Standing, inspection: &Inspection) {
        if standing == Standing::Suitable {
            return;
        }
        for reason in &inspection.reasons {
            // Messages say what is wrong, and after a colon or a semicolon what to do.
            let (what, fix) = match reason
                .message
                .split_once(": ")
                .or(reason.message.split_once("; "))
            {
                Some((what, fix)) => (what.to_owned(), fix.to_owned()),
                None => (reason.message.clone(), standing.hint()),
            };
            self.rows.push([
                source.to_owned(),
                name.to_owned(),
                standing.label().to_owned(),
                what,
                fix,
            ]);
        }
    }

    /// Writes the list.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write(&self, out: &Path) -> anyhow::Result<()> {
        let mut csv = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(BYTE_ORDER_MARK.to_vec());
        csv.write_record(COLUMNS)?;
        for row in &self.rows {
            csv.write_record(row.iter().map(|cell| safe_cell(&printable(cell))))?;
        }
        let bytes = csv.into_inner().map_err(|e| e.into_error())?;
        fs::write_atomic(out, &bytes).with_context(|| format!("the fixes {} can't be written", out.display()))
    }
}
