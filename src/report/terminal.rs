//! Progress for people, on stderr: a line per station on a terminal, a plain line every few seconds
//! elsewhere, and at the end what happened, what it cost, and what needs a person.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use console::{StyledObject, Term, style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::{Event, Reporter, Summary};
use crate::cast::printable;
use crate::count::counted;
use crate::inspect::Verdict;
use crate::money::Usd;
use crate::plan::{Action, length};

/// How often a plain line is written when stderr is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(5);
/// The command that tells what happens in its own way.
const REALFACE: &str = "realface";
/// What a bar takes before its message.
const BAR_WIDTH: usize = 59;
/// How many names are shown for one reason.
const NAMES_SHOWN: usize = 12;
/// How many reasons are shown of one kind, where each picture has its own.
const MENDS_SHOWN: usize = 8;

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
    /// Bars on a terminal, plain lines elsewhere and among the lines of `-v`, nothing when asked to be quiet.
    pub fn choose(quiet: bool, verbose: bool) -> Self {
        if quiet {
            Self::Quiet
        } else if Term::stderr().is_term() && !verbose {
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

struct Bars {
    all: MultiProgress,
    top: ProgressBar,
    checked: ProgressBar,
    published: ProgressBar,
    enrolled: ProgressBar,
    pacing: Arc<Mutex<Pacing>>,
}

/// What the limiter makes of the time, read whenever a bar is drawn: what was fast so far says nothing about it.
#[derive(Default)]
struct Pacing {
    /// Paid calls that are left.
    left: u64,
    /// The time between two of them.
    interval: Duration,
    /// The API asked to wait until then.
    paused_until: Option<Instant>,
}

impl Pacing {
    /// `12 s` to go, or `paused 12 s`.
    fn told(&self) -> String {
        let now = Instant::now();
        let pause = self
            .paused_until
            .map(|until| until.saturating_duration_since(now));
        match pause {
            Some(pause) if !pause.is_zero() => format!("paused {}", length(pause)),
            _ if self.left == 0 => String::new(),
            _ => length(self.interval * u32::try_from(self.left).unwrap_or(u32::MAX)),
        }
    }
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
}

impl Terminal {
    /// Shows `command` in this style; `budget` is what the run may cost, `interval` the least time between two
    /// paid calls.
    pub fn new(style: Style, command: &'static str, budget: Option<Usd>, interval: Duration) -> Self {
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
        };
        Self {
            style,
            bars,
            state: Mutex::new(state),
        }
    }

    fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => {
                let _ = bars.all.println(text);
            }
            // stderr may be gone; a run that pays goes on all the same.
            None => {
                let _ = writeln!(std::io::stderr(), "{text}");
            }
        }
    }
}

/// As much of a bar's message as fits beside it.
fn fitting(message: String) -> String {
    let (_, columns) = Term::stderr().size();
    let room = usize::from(columns).saturating_sub(BAR_WIDTH + 1);
    console::truncate_str(&message, room, "…").into_owned()
}

impl Bars {
    fn new(run: bool, interval: Duration) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let pacing = Arc::new(Mutex::new(Pacing {
            interval,
            ..Pacing::default()
        }));
        let told = Arc::clone(&pacing);
        let limit = move |_: &ProgressState, to: &mut dyn std::fmt::Write| {
            let told = told.lock().unwrap_or_else(PoisonError::into_inner).told();
            let _ = write!(to, "{told}");
        };
        let speed = |state: &ProgressState, to: &mut dyn std::fmt::Write| {
            let _ = write!(to, "{:.1}/s", state.per_sec());
        };
        // At 80 columns, room is left for `$12.34 of $50.00`.
        let bar = |name: &'static str, shown: bool| {
            let left = if name == "enrolled" {
                "{limit:>11}"
            } else {
                "{eta:>11}"
            };
            let form = format!(
                "{{prefix:>9}} {{bar:12.cyan/dim}} {{pos:>6}}/{{len:<6}} {{speed:>8}} {left}  {{msg}}"
            );
            let style = ProgressStyle::with_template(&form)
                .expect("the template is valid")
                .with_key("limit", limit.clone())
                .with_key("speed", speed)
                .progress_chars("━╸─");
            let bar = ProgressBar::no_length().with_style(style).with_prefix(name);
            if shown {
                all.add(bar)
            } else {
                bar.set_draw_target(ProgressDrawTarget::hidden());
                bar
            }
        };
        // The terminal writes `^C` behind the last bar, which makes a line more than are known of: the topmost one
        // stays when they are cleared. So that one is empty.
        let empty = ProgressStyle::with_template(" ").expect("the template is valid");
        let top = all.add(ProgressBar::no_length().with_style(empty));
        let checked = bar("checked", true);
        let published = bar("uploaded", run);
        let enrolled = bar("enrolled", run);
        Self {
            all,
            top,
            checked,
            published,
            enrolled,
            pacing,
        }
    }

    fn show(&self, state: &State) {
        let count = &state.count;
        if count.to_enroll == 1 && self.enrolled.position() == 0 {
            // So that what is left, and pauses, count down while nothing happens.
            self.enrolled.enable_steady_tick(Duration::from_millis(500));
        }
        self.top.tick();
        self.checked.set_length(count.characters);
        self.checked.set_position(count.reached());
        self.published.set_length(count.to_enroll);
        self.published.set_position(count.published);
        self.enrolled.set_length(count.to_enroll);
        self.enrolled.set_position(count.enrolled);
        let mut pacing = self.pacing.lock().unwrap_or_else(PoisonError::into_inner);
        pacing.left = count.left;
        drop(pacing);
        let unsure = count.unsure();
        if unsure > 0 {
            self.checked
                .set_message(fitting(format!("{unsure} not suitable")));
        }
        let budget = state.budget.map(|b| format!(" of {b}")).unwrap_or_default();
        let doubt = if count.in_doubt > 0 {
            format!(", {} in doubt", count.in_doubt)
        } else {
            String::new()
        };
        self.enrolled
            .set_message(fitting(format!("{}{budget}{doubt}", count.cost_usd)));
    }

    fn end(&self) {
        for bar in [&self.top, &self.checked, &self.published, &self.enrolled] {
            bar.finish_and_clear();
        }
        let _ = self.all.clear();
    }
}

impl State {
    fn open(&mut self, order: u8, heading: &str, mend: &str, name: &str) {
        let mends = self.open.entry((order, heading.to_owned())).or_default();
        mends.entry(mend.to_owned()).or_default().push(printable(name));
    }

    fn open_seen(&mut self, name: &str) {
        if let Some(seen) = self.seen.take().filter(|seen| seen.name == name) {
            self.open(u8::from(seen.unsuitable), &seen.heading, &seen.mend, name);
        }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Checked {
                name,
                verdict,
                reasons,
                messages,
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
                // `check` decides nothing: what was seen is all there is.
                if self.count.command == "check" {
                    self.open_seen(name);
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
                self.open(5, "in doubt", "settle with `castline resolve`", name);
            }
            Event::Planned {
                name,
                action: Action::Refused,
                ..
            } => {
                self.open(
                    3,
                    "refused before",
                    "mend the picture, or send it again with `castline retry`",
                    name,
                );
            }
            Event::Planned {
                name,
                action: Action::Waiting,
                ..
            } => {
                self.open(
                    3,
                    "waiting: real actors",
                    "real actors go through a liveness check: lead them with `castline realface`",
                    name,
                );
            }
            Event::Failed {
                name, code, message, ..
            } => self.open(4, &format!("failed: {code}"), message, name),
            Event::InDoubt {
                name,
                code,
                asset_id: Some(asset_id),
                ..
            } => {
                // The command was told in full when it happened.
                let mend =
                    format!("its id, {asset_id}, is not in the ledger; settle with `castline resolve`");
                self.open(5, &format!("in doubt: {code}"), &mend, name);
            }
            Event::InDoubt {
                name, code, message, ..
            } => {
                let mend = format!("{message}; settle with `castline resolve`");
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
            if let Event::Stopping { message, .. } = event {
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
                    let mut pacing = bars.pacing.lock().unwrap_or_else(PoisonError::into_inner);
                    pacing.paused_until = Some(until);
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
fn folded(text: &str) -> String {
    let term = Term::stderr();
    let columns = if term.is_term() {
        usize::from(term.size().1)
    } else {
        usize::MAX
    };
    let options = textwrap::Options::new(columns)
        .initial_indent("  ")
        .subsequent_indent("    ");
    textwrap::fill(text, options)
}

/// The last words: what needs a person, then what happened.
fn end(state: &State, summary: &Summary) {
    let mut out = Vec::new();
    for ((_, heading), mends) in &state.open {
        let count: usize = mends.values().map(Vec::len).sum();
        let _ = writeln!(out, "{} ({count})", paint(heading).bold());
        for (mend, names) in mends.iter().take(MENDS_SHOWN) {
            let mut shown = names[..names.len().min(NAMES_SHOWN)].join(", ");
            if names.len() > NAMES_SHOWN {
                shown += &format!(" and {} more", names.len() - NAMES_SHOWN);
            }
            let mend = folded(&format!("→ {}", printable(mend)));
            let _ = writeln!(out, "{}\n{}", folded(&shown), paint(mend).dim());
        }
        let more: usize = mends.values().skip(MENDS_SHOWN).map(Vec::len).sum();
        if more > 0 {
            let _ = writeln!(
                out,
                "  and {more} more, each with its own reason: --report FILE shows all"
            );
        }
    }
    if !state.open.is_empty() {
        let _ = writeln!(out);
    }
    let _ = writeln!(out, "{}", last_line(summary));
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
