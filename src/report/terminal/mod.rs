//! Progress on stderr: one bar per stage on a terminal, a plain line every few seconds elsewhere, and
//! at the end what happened, what it cost, and what needs attention.

mod bars;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use console::{StyledObject, Term, style};

use crate::cast::printable;
use crate::event::{Event, Reporter, Summary};
use crate::plan::Standing;
use crate::util::money::Usd;
use crate::util::text::pluralize;
use crate::util::wrap::{fill, wrap};
use bars::Bars;

/// The interval of plain lines when stderr is not a terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(5);
/// The command that shows its own progress.
const REALFACE: &str = "realface";
/// The maximum number of names shown for one reason.
const NAMES_SHOWN: usize = 12;
/// The maximum number of reasons shown for one standing and code.
const HINTS_SHOWN: usize = 8;

/// Colours text if stderr supports colours, independent of stdout.
fn paint<D>(text: D) -> StyledObject<D> {
    style(text).for_stderr()
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Progress bars.
    Bars,
    /// A plain line every few seconds.
    Plain,
    /// Only errors.
    Quiet,
}

impl Style {
    /// Chooses bars on a terminal, plain lines elsewhere or if other `lines` are printed, and only errors if `quiet`.
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

/// The reason why an image is not suitable.
struct Objection {
    code: String,
    hint: String,
    name: String,
}

struct State {
    count: Summary,
    started: Instant,
    plain_at: Instant,
    /// The objection to the last image, until it is known whether the image was approved.
    objection: Option<Objection>,
    /// What needs attention: standing and heading → each hint, and the names it applies to.
    open: BTreeMap<(Standing, String), BTreeMap<String, Vec<String>>>,
    budget: Option<Usd>,
    stopping: Option<String>,
    /// The arguments after a suggested command that select the same cast.
    same_arguments: String,
}

impl Terminal {
    /// Shows `command` in this style. `budget` is the most that the run may cost, `interval` the minimum time between
    /// two paid calls, and `same_arguments` the arguments after a suggested command that select the same cast.
    pub fn new(
        style: Style,
        command: &'static str,
        budget: Option<Usd>,
        interval: Duration,
        same_arguments: String,
    ) -> Self {
        // `realface` draws its own display: the codes, one actor at a time.
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
            objection: None,
            open: BTreeMap::new(),
            budget,
            stopping: None,
            same_arguments,
        };
        Self {
            style,
            bars,
            state: Mutex::new(state),
        }
    }

    /// With `--quiet`: one line if a person must act.
    fn quiet_end(&self, summary: &Summary) {
        let waiting = summary.needs_a_person();
        if waiting > 0 && matches!(summary.command, "run" | REALFACE | "check") {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let command = if summary.command == "check" {
                "check"
            } else {
                "status"
            };
            let arguments = &state.same_arguments;
            let (count, need) = match waiting {
                1 => ("1 character".to_owned(), "needs"),
                more => (format!("{more} characters"), "need"),
            };
            self.line(&format!(
                "castline: {count} {need} a person: `castline {command}{arguments}`"
            ));
        }
    }

    fn line(&self, text: &str) {
        let text = wrap(&Term::stderr(), text, "  ");
        match &self.bars {
            Some(bars) => bars.line(&text),
            // stderr may be closed; a run that pays continues anyway.
            None => {
                let _ = writeln!(std::io::stderr(), "{text}");
            }
        }
    }
}

impl State {
    fn open(&mut self, standing: Standing, code: Option<&str>, hint: &str, name: &str) {
        let heading = match code {
            Some(code) => format!("{standing}: {}", in_words(code)),
            None => standing.to_string(),
        };
        let hints = self.open.entry((standing, heading)).or_default();
        hints.entry(hint.to_owned()).or_default().push(printable(name));
    }

    /// The command that handles all characters of one standing.
    fn next_step(&self, standing: Standing) -> Option<String> {
        match standing {
            // An actor's next attempt is another liveness check.
            Standing::Failed | Standing::Refused if self.count.command == REALFACE => None,
            Standing::ToReview | Standing::Failed | Standing::Refused | Standing::InDoubt => {
                Some(standing.next_step(&self.same_arguments))
            }
            _ => None,
        }
    }

    fn open_objection(&mut self, standing: Standing, name: &str) {
        if let Some(objection) = self.objection.take().filter(|o| o.name == name) {
            self.open(standing, Some(&objection.code), &objection.hint, name);
        }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Checked {
                name,
                reasons,
                messages,
                ..
            } if !messages.is_empty() => {
                let code = reasons
                    .first()
                    .map_or("", |code| code.split(':').next().unwrap_or(code));
                self.objection = Some(Objection {
                    code: code.to_owned(),
                    hint: messages.join("; "),
                    name: name.clone(),
                });
                // `check` plans nothing: the image alone determines the standing.
                if self.count.command == "check" {
                    match self.count.by_name.get(name) {
                        Some(Standing::Rejected) => self.open_standing(Standing::Rejected, name),
                        Some(standing @ (Standing::ToReview | Standing::Unsuitable)) => {
                            self.open_objection(*standing, name);
                        }
                        _ => self.objection = None,
                    }
                }
            }
            Event::Planned { name, standing, .. } => match standing {
                Standing::ToReview | Standing::Unsuitable => self.open_objection(*standing, name),
                Standing::Refused => self.open(*standing, None, "refused by the API in an earlier run", name),
                Standing::InDoubt => self.open(*standing, None, "left by an earlier run", name),
                Standing::Rejected
                | Standing::Changed
                | Standing::NeedsConsent
                | Standing::AwaitingLiveness => self.open_standing(*standing, name),
                Standing::Enrolled
                | Standing::Suitable
                | Standing::ToEnroll
                | Standing::Failed
                | Standing::NotSeen => {}
            },
            Event::Failed {
                name,
                standing,
                code,
                message,
                ..
            } => self.open(*standing, Some(code), message, name),
            Event::InDoubt {
                name,
                code,
                asset_id: Some(asset_id),
                ..
            } => {
                // The command was printed in full when it happened.
                let hint = format!("its id, {asset_id}, is not in the ledger");
                self.open(Standing::InDoubt, Some(code), &hint, name);
            }
            Event::InDoubt {
                name, code, message, ..
            } => self.open(Standing::InDoubt, Some(code), message, name),
            Event::Stopping { message, .. } => self.stopping = Some(message.clone()),
            _ => {}
        }
    }

    fn open_standing(&mut self, standing: Standing, name: &str) {
        let hint = standing.next_step(&self.same_arguments);
        self.open(standing, None, &hint, name);
    }
}

impl Reporter for Terminal {
    fn event(&self, event: &Event) {
        // An id that is recorded nowhere else is printed at once, in full, even with --quiet.
        if let Event::InDoubt {
            asset_id: Some(_),
            message,
            ..
        } = event
        {
            self.line(&format!("castline: {}", printable(message)));
        }
        if self.style == Style::Quiet {
            if let Event::Summary(summary) = event {
                self.quiet_end(summary);
            }
            if let Event::Stopping { message, .. } | Event::WriteFailed { message, .. } = event {
                self.line(&format!("castline: {}", printable(message)));
            }
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.count.count(event);
        state.note(event);
        match event {
            Event::BadRow { message, .. } => {
                self.line(&format!("{} {}", paint("invalid row:").red(), printable(message)))
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
            Event::WriteFailed { message, .. } => {
                let text = paint("not written:").red().bold();
                self.line(&format!("{text} {}", printable(message)));
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
            // Draws nothing before the first image: a question may be asked first.
            if state.count.reached() > 0 {
                bars.show(&state);
            }
        } else if state.count.command != REALFACE && state.plain_at.elapsed() >= PLAIN_EVERY {
            state.plain_at = Instant::now();
            self.line(&plain(&state));
        }
    }
}

/// A code in words for people; scripts read codes in the events.
fn in_words(code: &str) -> String {
    match code {
        "no_face" => "no clear face".to_owned(),
        "duplicate_of" => "same image as another".to_owned(),
        "hdr" => "high dynamic range".to_owned(),
        code => code.replace('_', " "),
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

/// Indents `text` below its heading; on a terminal, wraps it between words.
fn below(text: &str) -> String {
    let term = Term::stderr();
    let columns = if term.is_term() {
        usize::from(term.size().1)
    } else {
        usize::MAX
    };
    fill(text, columns, "  ", "    ")
}

/// Prints the end of the output: what needs attention, then what happened.
fn end(state: &State, summary: &Summary) {
    let mut out = Vec::new();
    let mut kinds = state.open.iter().peekable();
    while let Some(((standing, heading), hints)) = kinds.next() {
        let count: usize = hints.values().map(Vec::len).sum();
        let heading = match standing.tone() {
            "look" => paint(heading).yellow(),
            "bad" => paint(heading).red(),
            "doubt" => paint(heading).magenta(),
            _ => paint(heading),
        };
        let _ = writeln!(out, "{} ({count})", heading.bold());
        for (hint, names) in hints.iter().take(HINTS_SHOWN) {
            let mut shown = names[..names.len().min(NAMES_SHOWN)].join(", ");
            if names.len() > NAMES_SHOWN {
                shown += &format!(" and {} more", names.len() - NAMES_SHOWN);
            }
            let hint = below(&format!("→ {}", printable(hint)));
            let _ = writeln!(out, "{}\n{}", below(&shown), paint(hint).dim());
        }
        let more: usize = hints.values().skip(HINTS_SHOWN).map(Vec::len).sum();
        if more > 0 {
            let _ = writeln!(
                out,
                "  and {more} more, for other reasons; --report FILE shows all"
            );
        }
        let last_of_kind = kinds.peek().is_none_or(|((next, _), _)| next != standing);
        if let Some(command) = state.next_step(*standing).filter(|_| last_of_kind) {
            let _ = writeln!(out, "{}", below(&format!("→ {}", printable(&command))));
        }
    }
    if !state.open.is_empty() {
        let _ = writeln!(out);
    }
    let _ = writeln!(out, "{}", wrap(&Term::stderr(), &last_line(summary), "  "));
    if let Some(manifest) = summary.manifest.as_ref().filter(|_| !is_idle(summary)) {
        let _ = writeln!(out, "manifest: {}", printable(manifest));
    }
    // stderr may be closed; the ledger has everything.
    let _ = std::io::stderr().write_all(&out);
}

/// Whether a run had nothing to do: everybody is enrolled.
fn is_idle(s: &Summary) -> bool {
    let all = s.standing[Standing::Enrolled];
    s.command == "run" && all > 0 && all == s.all() && s.enrolled == 0 && s.bad_rows == 0
}

/// The summary line.
fn last_line(s: &Summary) -> String {
    if is_idle(s) {
        return match s.all() {
            1 => "nothing to do: the character is enrolled".to_owned(),
            all => format!("nothing to do: all {all} are enrolled"),
        };
    }
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
        bad => format!(", without {}", pluralize(bad, "invalid row")),
    };
    let who = if s.command == REALFACE {
        "actor"
    } else {
        "character"
    };
    format!(
        "{}: {what}{cost}{bad_rows}, in {:.1} s",
        pluralize(s.all(), who),
        s.seconds
    )
}
