//! The QR codes in the terminal: one actor at a time, with a countdown; plain lines without a terminal.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use console::{Term, measure_text_width, style};

use super::qr::{Code, TerminalColors};
use crate::cast::printable;
use crate::event::{Event, LivenessState, Reporter};

/// Shows the code of the current actor on stderr. Clones share its state.
#[derive(Clone)]
pub struct TerminalQr {
    term: Term,
    ink: TerminalColors,
    shown: Arc<Mutex<Shown>>,
}

#[derive(Default)]
struct Shown {
    /// The number of terminal lines taken by the code and its countdown.
    lines: usize,
    /// The end of the countdown.
    until: Option<Instant>,
    left_this_hour: usize,
    in_progress: bool,
}

impl TerminalQr {
    /// Shows codes on this process's stderr, with colours unless disabled (`NO_COLOR`).
    pub fn new() -> Self {
        let coloured = console::colors_enabled_stderr();
        Self {
            term: Term::stderr(),
            ink: if coloured {
                TerminalColors::Colour
            } else {
                TerminalColors::Plain
            },
            shown: Arc::default(),
        }
    }

    /// Updates the countdown every second, until the future is dropped.
    pub async fn count_down(self) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        loop {
            second.tick().await;
            let mut shown = self.shown();
            if shown.lines > 0 && shown.until.is_some() {
                let _ = self.term.clear_last_lines(1);
                self.line(&countdown(&mut shown));
            }
        }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints a line. stderr may be closed; a run that pays continues anyway.
    fn line(&self, text: &str) {
        let _ = writeln!(&self.term, "{text}");
    }

    /// Draws the code and its countdown, to be cleared when the check is over.
    fn draw(&self, shown: &mut Shown, heading: &str, link: &str) {
        let (rows, columns) = self.term.size();
        let (rows, columns) = (usize::from(rows), usize::from(columns).max(1));
        let mut lines = vec![heading.to_owned()];
        match Code::new(link) {
            Ok(code) if code.side() > columns => lines.push(format!(
                "the code needs {} columns, and this terminal has {columns}: widen it, or use --qr-dir or --serve",
                code.side()
            )),
            Ok(code) => {
                // The heading, the link and the countdown are around it.
                let needed = code.side().div_ceil(2) + 3 + link.len() / columns;
                if needed > rows {
                    lines[0].push_str(&format!(
                        "\nthe code needs {needed} lines, and this terminal has {rows}: enlarge it, reduce the font \
                         size, or use --qr-dir or --serve"
                    ));
                }
                lines.extend(code.lines(self.ink));
            }
            Err(error) => lines.push(error.to_string()),
        }
        lines.push(link.to_owned());
        lines.push(countdown(shown));
        for line in &lines {
            self.line(line);
        }
        let height = |line: &str| measure_text_width(line).div_ceil(columns).max(1);
        shown.lines = lines.iter().flat_map(|l| l.split('\n')).map(height).sum();
    }

    /// Clears the code from the terminal.
    fn clear(&self, shown: &mut Shown) {
        if shown.lines > 0 {
            let _ = self.term.clear_last_lines(shown.lines);
        }
        shown.lines = 0;
        shown.until = None;
    }
}

impl Default for TerminalQr {
    fn default() -> Self {
        Self::new()
    }
}

impl Reporter for TerminalQr {
    fn event(&self, event: &Event) {
        let mut shown = self.shown();
        match event {
            Event::LivenessLink {
                name,
                number,
                of,
                link,
                expires_in,
                left_this_hour,
                ..
            } => {
                self.clear(&mut shown);
                let (name, link) = (printable(name), printable(link));
                let turn = format!("{} ({number} of {of})", style(&name).bold().for_stderr());
                if self.term.is_term() {
                    shown.until =
                        Instant::now().checked_add(Duration::from_secs_f64(expires_in.clamp(0.0, 1e6)));
                    (shown.left_this_hour, shown.in_progress) = (*left_this_hour, false);
                    self.draw(&mut shown, &format!("{turn}: scan this with the phone"), &link);
                } else {
                    self.line(&format!(
                        "{turn}: open within {expires_in:.0} s, on the phone ({left_this_hour} more this hour): {link}"
                    ));
                }
            }
            Event::Liveness { name, state, .. } => {
                let name = printable(name);
                let text = match state {
                    LivenessState::InProgress if self.term.is_term() => {
                        shown.in_progress = true;
                        return;
                    }
                    LivenessState::InProgress => "has started the check",
                    LivenessState::Passed => "has passed; enrolling",
                    LivenessState::Expired => "the link has expired",
                    LivenessState::Failed => "the check was not passed",
                };
                self.clear(&mut shown);
                self.line(&format!("{name}: {text}"));
            }
            Event::Enrolled {
                name,
                asset_id,
                cost_usd,
            } => {
                self.clear(&mut shown);
                let (name, asset_id) = (printable(name), printable(asset_id));
                self.line(&format!(
                    "{} {name}: {asset_id}, {cost_usd}",
                    style("✓").green().for_stderr()
                ));
            }
            Event::Failed { name, message, .. } => {
                self.clear(&mut shown);
                let (name, message) = (printable(name), printable(message));
                self.line(&format!("{} {name}: {message}", style("✗").red().for_stderr()));
            }
            Event::InDoubt { .. }
            | Event::Paused { .. }
            | Event::Stopping { .. }
            | Event::WriteFailed { .. }
            | Event::Summary(_) => {
                self.clear(&mut shown);
            }
            _ => {}
        }
    }
}

fn countdown(shown: &mut Shown) -> String {
    let left = shown
        .until
        .map(|until| until.saturating_duration_since(Instant::now()));
    let seconds = left.unwrap_or_default().as_secs_f64().ceil();
    let what = if shown.in_progress {
        "the actor has started the check"
    } else {
        "waiting for the phone"
    };
    format!(
        "{seconds:>4} s left · {what} · {} more this hour",
        shown.left_this_hour
    )
}
