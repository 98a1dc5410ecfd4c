//! The HTML report: a contact sheet of the whole cast in one file.
//!
//! The file is self-contained and makes no requests: its Content-Security-Policy allows only its inline
//! script and style sheet, by hash, and data: images. Texts from the cast (names, sources, messages) are
//! embedded as JSON and only ever set as text.

mod card;

use maud::{DOCTYPE, PreEscaped, html};

use crate::plan::Standing;
use crate::util::html::{csp_hash, escape_json_for_script};

pub use card::Card;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The `generator` meta tag that identifies a report as written by castline.
const GENERATOR: &str = concat!("castline ", env!("CARGO_PKG_VERSION"));

/// Whether a file that starts with these bytes is a report of any castline version: the tag precedes all cast texts.
pub fn is_one(start: &[u8]) -> bool {
    let start = String::from_utf8_lossy(start);
    start.starts_with("<!DOCTYPE html>") && start.contains(r#"<meta name="generator" content="castline "#)
}

/// One report.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The title: the cast's file name.
    pub title: String,
    /// When the report was written: `2026-11-23 09:05 UTC`.
    pub generated_at: String,
    /// The kind of report: `Check`, `Plan`, `Run` or `Ledger`.
    pub kind: String,
    /// Whether the ids are from the sandbox, and not valid elsewhere.
    pub sandbox: bool,
    /// Amounts with their labels, in display order: `("Paid", "$5.00")`.
    pub amounts: Vec<(String, String)>,
    /// Notes about the whole report, such as skipped rows.
    pub notes: Vec<String>,
    /// The characters, in the order of the cast.
    pub cards: Vec<Card>,
    /// What each run paid, the oldest first: its date, and dollars.
    pub runs: Vec<(String, f64)>,
}

/// Renders the report as one HTML document in UTF-8.
pub fn render(page: &Page) -> String {
    let policy = format!(
        "default-src 'none'; img-src data:; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
        csp_hash(STYLE),
        csp_hash(SCRIPT)
    );
    let heading = format!("{} — {}", page.title, page.kind);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="generator" content=(GENERATOR);
                meta name="referrer" content="no-referrer";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (heading) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#sheet" { "Skip to the characters" }
                header {
                    div.lead {
                        p.kind {
                            (page.kind)
                            @if page.sandbox { " " span.badge { "Sandbox: ids mean nothing outside" } }
                        }
                        h1 { bdi { (page.title) } }
                        p.when { "castline " (env!("CARGO_PKG_VERSION")) " · " (page.generated_at) }
                    }
                    @if !page.amounts.is_empty() {
                        dl.amounts {
                            @for (label, amount) in &page.amounts {
                                div { dt { (label) } dd { (amount) } }
                            }
                        }
                    }
                }
                @if page.runs.len() > 1 { (chart(&page.runs)) }
                @for note in &page.notes { p.note { (note) } }
                noscript { p.note { "This page draws its cards with an inline script; allow scripts to see them." } }
                search.bar aria-label="Which characters are shown" {
                    div #filters role="group" aria-label="Filter by state" {}
                    label.sort {
                        span.hidden { "Sort by" }
                        select #sort {
                            option value="" { "In the order of the cast" }
                            option value="name" { "By name" }
                            option value="standing" { "By state" }
                        }
                    }
                    label.find {
                        span.hidden { "Search by name, image, reason, other columns or asset id" }
                        input #q type="search" placeholder="Search name, reason, role, asset id" autocomplete="off" spellcheck="false";
                    }
                    p #count role="status" {}
                    div.take {
                        button #ids type="button" { "Copy all ids" }
                        button #fixes type="button" { "Save the list of fixes" }
                    }
                }
                main #sheet tabindex="-1" {
                    h2.hidden { "Characters" }
                    ul #cards role="list" {}
                    button #more type="button" hidden { "Show more" }
                    p #none hidden { "No character matches. " button #clear type="button" { "Show all" } }
                }
                dialog #large aria-labelledby="large-name" {
                    form method="dialog" { button aria-label="Close" { "✕" } }
                    div #large-frame {}
                    h2 #large-name {}
                    p #large-seen {}
                    p.legend { "Solid line: the face. Dashed: what may be another." }
                    p #large-source {}
                }
                p #said .hidden role="status" {}
                script #data type="application/json" { (PreEscaped(escape_json_for_script(&data(page)))) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

/// What the runs paid, as bars.
fn chart(runs: &[(String, f64)]) -> maud::Markup {
    /// The most bars.
    const MOST: usize = 40;
    let runs = &runs[runs.len().saturating_sub(MOST)..];
    let most = runs.iter().map(|(_, usd)| *usd).fold(f64::MIN_POSITIVE, f64::max);
    let (first, last) = (runs.first().map(|(day, _)| day), runs.last().map(|(day, _)| day));
    html! {
        figure.chart {
            figcaption {
                "Paid by run"
                @if let (Some(first), Some(last)) = (first, last) {
                    ", " (first)
                    @if first != last { " to " (last) }
                }
            }
            svg width=(runs.len() * 16) viewBox={ "0 0 " (runs.len() * 10) " 40" } preserveAspectRatio="none" role="img"
                aria-label={ "Paid by run; the most in one run was $" (format!("{most:.2}")) } {
                @for (at, (day, usd)) in runs.iter().enumerate() {
                    @let height = (usd / most * 38.0).max(1.0);
                    rect x=(at * 10 + 1) y=(format!("{:.1}", 40.0 - height)) width="8" height=(format!("{height:.1}")) {
                        title { (day) ": $" (format!("{usd:.2}")) }
                    }
                }
            }
        }
    }
}

/// The JSON data that the script draws from.
fn data(page: &Page) -> serde_json::Value {
    let standings: Vec<_> = Standing::ALL
        .iter()
        .map(|s| serde_json::json!({"code": s.code(), "label": title(s.label()), "tone": s.tone()}))
        .collect();
    serde_json::json!({"standings": standings, "cards": page.cards})
}

/// A label with its first letter in upper case.
fn title(label: &str) -> String {
    let mut letters = label.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_known_by_its_head() {
        let page = render(&Page::default());
        assert!(is_one(&page.as_bytes()[..1 << 10]));
        assert!(!is_one(
            b"<!DOCTYPE html><html><head><title>castline </title></head></html>"
        ));
    }

    #[test]
    fn script_and_style_do_not_end_their_own_elements() {
        assert!(!SCRIPT.contains("</script") && !SCRIPT.contains("<!--"));
        assert!(!STYLE.contains("</style"));
    }
}
