//! Counts verdicts against labels, so that a studio can measure the inspection on its own art.
//!
//! The labels are a CSV with the columns `path` (relative to the CSV) and `faces` (0, 1, or 2 for several),
//! and optionally `style` and `note` (free text such as `profile` or `nonhuman`).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Verdict;

/// One labelled image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Label {
    /// The path of the image, relative to the file of labels.
    pub path: String,
    /// Number of faces in the image: 0, 1, or 2 for several.
    pub faces: u8,
    /// The style of the art.
    #[serde(default)]
    pub style: String,
    /// What is special about the image; may be empty.
    #[serde(default)]
    pub note: String,
}

impl Label {
    /// The row of the table that counts the image: by number of faces and note.
    pub fn kind(&self) -> String {
        let note = if self.note.is_empty() { "plain" } else { &self.note };
        match self.faces {
            0 => format!("no face, {note}"),
            1 => format!("one face, {note}"),
            _ => format!("several, {note}"),
        }
    }
}

/// How often each verdict was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Judged suitable.
    pub suitable: u32,
    /// Judged to need review.
    pub review: u32,
    /// Judged unsuitable.
    pub unsuitable: u32,
}

impl Counts {
    /// Counts one verdict.
    pub fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Suitable => self.suitable += 1,
            Verdict::Review => self.review += 1,
            Verdict::Unsuitable => self.unsuitable += 1,
        }
    }

    /// The sum of all counts.
    pub fn total(self) -> u32 {
        self.suitable + self.review + self.unsuitable
    }

    fn plus(self, other: Self) -> Self {
        Self {
            suitable: self.suitable + other.suitable,
            review: self.review + other.review,
            unsuitable: self.unsuitable + other.unsuitable,
        }
    }
}

/// Verdicts against labels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// By number of faces and note.
    pub kinds: BTreeMap<String, Counts>,
    /// By style, with single faces counted separately.
    pub styles: BTreeMap<String, Counts>,
    /// Images with exactly one face.
    pub one: Counts,
    /// Images with no face, or several.
    pub not_one: Counts,
}

impl Confusion {
    /// Counts one image.
    pub fn add(&mut self, label: &Label, verdict: Verdict) {
        let one = label.faces == 1;
        let style = if label.style.is_empty() {
            "no style"
        } else {
            &label.style
        };
        let style = format!("{style}, {}", if one { "one face" } else { "none or several" });
        self.kinds.entry(label.kind()).or_default().add(verdict);
        self.styles.entry(style).or_default().add(verdict);
        if one { &mut self.one } else { &mut self.not_one }.add(verdict);
    }
}

impl fmt::Display for Confusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = self.kinds.keys().chain(self.styles.keys()).map(String::len);
        let wide = wide.max().unwrap_or(0).max(16);
        writeln!(
            f,
            "{:wide$}  {:>5}  {:>14} {:>14} {:>14}",
            "", "all", "suitable", "review", "unsuitable"
        )?;
        let mut row = |name: &str, counts: Counts| {
            let part = |n: u32| {
                format!(
                    "{n} ({:.1} %)",
                    100.0 * f64::from(n) / f64::from(counts.total().max(1))
                )
            };
            let (suitable, review) = (part(counts.suitable), part(counts.review));
            let unsuitable = part(counts.unsuitable);
            writeln!(
                f,
                "{name:wide$}  {:>5}  {suitable:>14} {review:>14} {unsuitable:>14}",
                counts.total()
            )
        };
        for (name, counts) in self.kinds.iter().chain(&self.styles) {
            row(name, *counts)?;
        }
        row("one face", self.one)?;
        row("none or several", self.not_one)?;
        row("everything", self.one.plus(self.not_one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(faces: u8, style: &str, note: &str) -> Label {
        Label {
            path: "a.png".to_owned(),
            faces,
            style: style.to_owned(),
            note: note.to_owned(),
        }
    }

    #[test]
    fn single_faces_are_counted_by_note_and_the_others_by_number() {
        let mut confusion = Confusion::default();
        confusion.add(&label(1, "anime", "chibi"), Verdict::Review);
        confusion.add(&label(1, "anime", ""), Verdict::Suitable);
        confusion.add(&label(2, "anime", ""), Verdict::Suitable);
        assert_eq!(confusion.kinds["one face, chibi"].review, 1);
        assert_eq!(confusion.kinds["one face, plain"].suitable, 1);
        assert_eq!(confusion.kinds["several, plain"].suitable, 1);
        assert_eq!((confusion.one.total(), confusion.not_one.total()), (2, 1));
        assert_eq!(confusion.styles["anime, one face"].total(), 2);
    }

    #[test]
    fn the_table_tells_counts_and_parts() {
        let mut confusion = Confusion::default();
        for verdict in [
            Verdict::Suitable,
            Verdict::Suitable,
            Verdict::Suitable,
            Verdict::Unsuitable,
        ] {
            confusion.add(&label(1, "photo", ""), verdict);
        }
        let table = confusion.to_string();
        assert!(table.contains("3 (75.0 %)"), "{table}");
        assert!(
            table
                .lines()
                .any(|l| l.starts_with("one face, plain") && l.contains("1 (25.0 %)")),
            "{table}"
        );
    }
}
