//! The HTML of the review page.

use maud::{DOCTYPE, PreEscaped, html};
use serde_json::json;

use super::{Decision, Item};
use crate::util::html::{csp_hash, escape_json_for_script};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The Content-Security-Policy: requests only to the page's own server, and only its own script and style.
pub(super) fn policy() -> String {
    format!(
        "default-src 'none'; img-src 'self'; connect-src 'self'; style-src {}; script-src {}; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        csp_hash(STYLE),
        csp_hash(SCRIPT)
    )
}

/// Renders the page with the decisions so far.
pub(super) fn render(title: &str, items: &[Item], decisions: &[Option<Decision>]) -> String {
    let data = json!({"items": items, "decisions": decisions});
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " — review" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { bdi { (title) } }
                    p #place role="status" {}
                    progress #progress aria-label="Decided" {}
                    button #done type="button" { "Done" }
                }
                main #main {
                    figure #stage {}
                    section #about aria-live="polite" {
                        p #said {}
                        h2 #name dir="auto" {}
                        ul #reasons {}
                        p #earlier hidden {}
                        p #file { bdi #source {} " " span #size {} }
                    }
                }
                p #problem role="alert" hidden {}
                footer #keys role="group" aria-label="Decide" {
                    button #back type="button" aria-keyshortcuts="ArrowLeft" { span { "Back" } kbd { "←" } }
                    button #reject type="button" aria-keyshortcuts="R" { span { "Reject" } kbd { "R" } }
                    button #undo type="button" aria-keyshortcuts="U" { span { "Undo" } kbd { "U" } }
                    button #approve type="button" aria-keyshortcuts="A" { span { "Approve" } kbd { "A" } }
                    button #next type="button" aria-keyshortcuts="ArrowRight" { span { "Next" } kbd { "→" } }
                }
                section #end hidden tabindex="-1" {
                    h2 { "Done" }
                    p #tally {}
                    p { "You can close this page. The next " code { "castline run" } " applies your decisions." }
                }
                noscript { p { "This page needs its inline script; allow scripts on this address." } }
                script #data type="application/json" { (PreEscaped(escape_json_for_script(&data))) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}
