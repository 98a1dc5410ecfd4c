//! Progress for people, on stderr: a line per station on a terminal, a plain line every few seconds
//! elsewhere, and at the end what happened, what it cost, and what needs a person.

mod bars;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use console::{StyledObject, Term, style};

use super::fold::{fold, folded};
use super::{Event, Reporter, Summary};
use crate::cast::printable;
use crate::count::counted;
use crate::inspect::Verdict;
use crate::money::Usd;
use crate::plan::Action;
use bars::Bars;

/// How often a plain line is written when stderr is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(5);
/// The command that tells what happens in its own way.
const REALFACE: &str = "realface";
/// What to do about a picture that a person rejected.
const REJECTED: &str = "a person rejected the picture: give the character another one";
/// How many names are shown for one reason.
const NAMES_SHOWN: usize = 12;
/// How many reasons are shown of one kind, where each picture has its own.
const MENDS_SHOWN: usize = 8;

/// In which order kinds of what needs a person are told: these two end with what to type.
const TO_REVIEW: u8 = 0;
const FAILED: u8 = 4;

/// Coloured where stderr shows colours, whatever stdout is.
fn paint<D>(text: D) -> StyledObject<D> {
    style(text).for_stderr()
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Bars that are drawn over and over.
    Bars,
    /// A plain line every few seconds.
    Plain,
    /// Nothing but errors.
    Quiet,
}

impl Style {
    /// Bars on a terminal, plain lines elsewhere and among other `lines`, nothing when asked to be quiet.
    pub fn choose(quiet: bool, lines: bool) -> Self {
        if quiet {
            Self::Quiet
        } else if Term::stderr().is_term() && !lines {
            Self::Bars
        } else {
            Self::Plain
        }
    }
}

/// Shows events on stderr.
pub struct Terminal {
    style: Style,
    bars: Option<Bars>,
    state: Mutex<State>,
}

/// What the eye said of a picture that is not suitable.
struct Seen {
    unsuitable: bool,
    heading: String,
    mend: String,
    name: String,
}

struct State {
    count: Summary,
    started: Instant,
    plain_at: Instant,
    /// What the eye said of the last picture, until it is known whether somebody approved it.
    seen: Option<Seen>,
    /// What needs a person: heading → each mend, and the names that it is for.
    open: BTreeMap<(u8, String), BTreeMap<String, Vec<String>>>,
    budget: Option<Usd>,
    stopping: Option<String>,
    /// What follows the name of another command, so that it works on the same cast.
    again: String,
}

impl Terminal {
    /// Shows `command` in this style; `budget` is what the run may cost, `interval` the least time between two
    /// paid calls. `again` is what follows the name of another command, so that it works on the same cast.
    pub fn new(
        style: Style,
        command: &'static str,
        budget: Option<Usd>,
        interval: Duration,
        again: String,
    ) -> Self {
        // `realface` draws for itself: codes, one actor at a time.
        let bars =
            (style == Style::Bars && command != REALFACE).then(|| Bars::new(command == "run", interval));
        let now = Instant::now();
        let state = State {
            count: Summary {
                command,
                ..Summary::default()
            },
            started: now,
            plain_at: now,
            seen: None,
            open: BTreeMap::new(),
            budget,
            stopping: None,
            again,
        };
        Self {
            style,
            bars,
            state: Mutex::new(state),
        }
    }

    fn line(&self, text: &str) {
        let text = folded(&Term::stderr(), text, "  ");
        match &self.bars {
            Some(bars) => bars.line(&text),
            // stderr may be gone; a run that pays goes on all the same.
            None => {
                let _ = writeln!(std::io::stderr(), "{text}");
            }
        }
    }
}

impl State {
    fn open(&mut self, order: u8, heading: &str, mend: &str, name: &str) {
        let mends = self.open.entry((order, heading.to_owned())).or_default();
        mends.entry(mend.to_owned()).or_default().push(printable(name));
    }

    /// What to type about all of one kind.
    fn next_command(&self, order: u8) -> Option<String> {
        let again = &self.again;
        match order {
            TO_REVIEW => Some(format!("approve or reject each: `castline review{again}`")),
            // An actor's next try is another liveness check.
            FAILED if self.count.command != REALFACE => Some(format!(
                "once that is mended, send them again: `castline retry{again}`"
            )),
            _ => None,
        }
    }

    fn open_seen(&mut self, name: &str) {
        if let Some(seen) = self.seen.take().filter(|seen| seen.name == name) {
            let order = if seen.unsuitable { 1 } else { TO_REVIEW };
            self.open(order, &seen.heading, &seen.mend, name);
        }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Checked {
                name,
                verdict,
                reasons,
                messages,
                approved,
                ..
            } if !messages.is_empty() => {
                let code = reasons
                    .first()
                    .map_or("", |code| code.split(':').next().unwrap_or(code));
                self.seen = Some(Seen {
                    unsuitable: *verdict == Verdict::Unsuitable,
                    heading: format!("{verdict}: {code}"),
                    mend: messages.join("; "),
                    name: name.clone(),
                });
                // `check` decides nothing: what was seen, and what people said of it, is all there is.
                if self.count.command == "check" {
                    match approved {
                        Some(true) => self.seen = None,
                        Some(false) => self.open(1, "unsuitable: rejected", REJECTED, name),
                        None => self.open_seen(name),
                    }
                }
            }
            Event::Planned {
                name,
                action: Action::Review | Action::Unsuitable,
                ..
            } => self.open_seen(name),
            Event::Planned {
                name,
                action: Action::Hold,
                ..
            } => {
                let mend =
                    "its picture or kind changed after it was enrolled; pay again with --re-enroll changed";
                self.open(2, "held: picture or kind changed", mend, name);
            }
            Event::Planned {
                name,
                action: Action::InDoubt,
                ..
            } => {
                let mend = format!("settle with `castline resolve{}`", self.again);
                self.open(5, "in doubt", &mend, name);
            }
            Event::Planned {
                name,
                action: Action::Refused,
                ..
            } => {
                let mend = format!(
                    "mend the picture, or send it again with `castline retry{}`",
                    self.again
                );
                self.open(3, "refused before", &mend, name);
            }
            Event::Planned {
                name,
                action: Action::Waiting,
                ..
            } => {
                let mend = format!(
                    "real actors go through a liveness check: lead them with `castline realface{}`",
                    self.again
                );
                self.open(3, "waiting: real actors", &mend, name);
            }
            Event::Failed {
                name, code, message, ..
            } => self.open(FAILED, &format!("failed: {code}"), message, name),
            Event::InDoubt {
                name,
                code,
                asset_id: Some(asset_id),
                ..
            } => {
                // The command was told in full when it happened.
                let mend = format!(
                    "its id, {asset_id}, is not in the ledger; settle with `castline resolve{}`",
                    self.again
                );
                self.open(5, &format!("in doubt: {code}"), &mend, name);
            }
            Event::InDoubt {
                name, code, message, ..
            } => {
                let mend = format!("{message}; settle with `castline resolve{}`", self.again);
                self.open(5, &format!("in doubt: {code}"), &mend, name);
            }
            Event::Stopping { message, .. } => self.stopping = Some(message.clone()),
            _ => {}
        }
    }
}

impl Reporter for Terminal {
    fn event(&self, event: &Event) {
        // An id that stands nowhere else is told at once, in full, and however quiet.
        if let Event::InDoubt {
            asset_id: Some(_),
            message,
            ..
        } = event
        {
            self.line(&format!("castline: {}", printable(message)));
        }
        if self.style == Style::Quiet {
            if let Event::Stopping { message, .. } | Event::Unwritten { message, .. } = event {
                self.line(&format!("castline: {}", printable(message)));
            }
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.count.count(event);
        state.note(event);
        match event {
            Event::BadRow { message, .. } => {
                self.line(&format!("{} {}", paint("bad row:").red(), printable(message)))
            }
            Event::Paused { seconds, reason } => {
                if let Some(bars) = &self.bars {
                    let until = Instant::now() + Duration::try_from_secs_f64(*seconds).unwrap_or_default();
                    bars.pause(until);
                }
                self.line(&format!(
                    "{} waiting {seconds:.0} s ({})",
                    paint("paused:").yellow(),
                    printable(reason)
                ));
            }
            Event::Stopping { message, .. } => {
                self.line(&format!(
                    "{} {}",
                    paint("stopping:").red().bold(),
                    printable(message)
                ));
            }
            Event::Unwritten { message, .. } => {
                let told = paint("not written:").red().bold();
                self.line(&format!("{told} {}", printable(message)));
            }
            Event::Summary(summary) => {
                if let Some(bars) = &self.bars {
                    bars.end();
                }
                end(&state, summary);
                return;
            }
            _ => {}
        }
        if let Some(bars) = &self.bars {
            // Before the first picture there is nothing to draw: a question may be asked first.
            if state.count.reached() > 0 {
                bars.show(&state);
            }
        } else if state.count.command != REALFACE && state.plain_at.elapsed() >= PLAIN_EVERY {
            state.plain_at = Instant::now();
            self.line(&plain(&state));
        }
    }
}

/// One plain line of progress.
fn plain(state: &State) -> String {
    let c = &state.count;
    let seconds = state.started.elapsed().as_secs();
    let paid = if c.command == "run" {
        format!(
            ", uploaded {}, enrolled {} of {}, {}",
            c.published, c.enrolled, c.to_enroll, c.cost_usd
        )
    } else {
        String::new()
    };
    format!(
        "{seconds:>5} s: checked {} of {}{paid}",
        c.reached(),
        c.characters
    )
}

/// `text` under its heading; at a terminal, broken between words.
fn below(text: &str) -> String {
    let term = Term::stderr();
    let columns = if term.is_term() {
        usize::from(term.size().1)
    } else {
        usize::MAX
    };
    fold(text, columns, "  ", "    ")
}

/// The last words: what needs a person, then what happened.
fn end(state: &State, summary: &Summary) {
    let mut out = Vec::new();
    let mut kinds = state.open.iter().peekable();
    while let Some(((order, heading), mends)) = kinds.next() {
        let count: usize = mends.values().map(Vec::len).sum();
        let _ = writeln!(out, "{} ({count})", paint(heading).bold());
        for (mend, names) in mends.iter().take(MENDS_SHOWN) {
            let mut shown = names[..names.len().min(NAMES_SHOWN)].join(", ");
            if names.len() > NAMES_SHOWN {
                shown += &format!(" and {} more", names.len() - NAMES_SHOWN);
            }
            let mend = below(&format!("→ {}", printable(mend)));
            let _ = writeln!(out, "{}\n{}", below(&shown), paint(mend).dim());
        }
        let more: usize = mends.values().skip(MENDS_SHOWN).map(Vec::len).sum();
        if more > 0 {
            let _ = writeln!(
                out,
                "  and {more} more, each with its own reason: --report FILE shows all"
            );
        }
        let last_of_kind = kinds.peek().is_none_or(|((next, _), _)| next != order);
        if let Some(command) = state.next_command(*order).filter(|_| last_of_kind) {
            let _ = writeln!(out, "{}", below(&format!("→ {}", printable(&command))));
        }
    }
    if !state.open.is_empty() {
        let _ = writeln!(out);
    }
    let _ = writeln!(out, "{}", folded(&Term::stderr(), &last_line(summary), "  "));
    if let Some(manifest) = &summary.manifest {
        let _ = writeln!(out, "manifest: {}", printable(manifest));
    }
    // stderr may be gone; the ledger holds everything.
    let _ = std::io::stderr().write_all(&out);
}

/// What happened, in one line.
fn last_line(s: &Summary) -> String {
    let parts: Vec<String> = s
        .parts()
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let what = if parts.is_empty() {
        "nothing to do".to_owned()
    } else {
        parts.join(", ")
    };
    let cost = match s.command {
        "plan" => format!(" — {} in all", s.planned_usd),
        "run" | REALFACE if s.in_doubt_usd > Usd::ZERO => {
            format!(" — paid {}, and {} in doubt", s.cost_usd, s.in_doubt_usd)
        }
        "run" | REALFACE => format!(" — paid {}", s.cost_usd),
        _ => String::new(),
    };
    let bad_rows = match s.bad_rows {
        0 => String::new(),
        bad => format!(", without {}", counted(bad, "bad row")),
    };
    let who = if s.command == REALFACE {
        "actor"
    } else {
        "character"
    };
    format!(
        "{}: {what}{cost}{bad_rows}, in {:.1} s",
        counted(s.all(), who),
        s.seconds
    )
}
