//! Progress bars: one line per stage, redrawn in place, with the remaining time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::State;
use crate::plan::Standing;
use crate::util::duration::format_duration;

/// The width of a bar before its message, in columns.
const BAR_WIDTH: usize = 59;

pub(super) struct Bars {
    all: MultiProgress,
    top: ProgressBar,
    checked: ProgressBar,
    published: ProgressBar,
    enrolled: ProgressBar,
    pacing: Arc<Mutex<Pacing>>,
}

/// Estimates the time for the remaining paid calls whenever a bar is drawn, from the rate limit or the measured speed
/// of the API, whichever is slower.
#[derive(Default)]
struct Pacing {
    /// Remaining paid calls.
    left: u64,
    /// The minimum time between two of them.
    interval: Duration,
    /// The end of the pause requested by the API.
    paused_until: Option<Instant>,
    /// When the first call since the start or the last pause ended, and the total ended by then.
    from: Option<(Instant, u64)>,
    /// When the last call ended, and the total ended by then.
    to: Option<(Instant, u64)>,
}

impl Pacing {
    /// Updates the numbers of calls that have ended by `now` and that are left.
    fn count(&mut self, ended: u64, left: u64, now: Instant) {
        self.left = left;
        if ended > self.to.map_or(0, |(_, before)| before) {
            self.to = Some((now, ended));
            self.from = self.from.or(self.to);
        }
    }

    fn pause(&mut self, until: Instant) {
        self.paused_until = Some(until);
        // A pause must not count as time taken by calls.
        self.from = None;
    }

    /// The expected time between two calls.
    fn each(&self) -> Duration {
        let measured = match (self.from, self.to) {
            (Some((from, before)), Some((to, ended))) if ended > before => {
                (to - from).div_f64((ended - before) as f64)
            }
            _ => Duration::ZERO,
        };
        measured.max(self.interval)
    }

    /// The remaining time: `12 s`, or `paused 12 s`.
    fn eta(&self, now: Instant) -> String {
        let pause = self
            .paused_until
            .map(|until| until.saturating_duration_since(now));
        match pause {
            Some(pause) if !pause.is_zero() => format!("paused {}", format_duration(pause)),
            _ if self.left == 0 => String::new(),
            _ => format_duration(
                self.each()
                    .saturating_mul(u32::try_from(self.left).unwrap_or(u32::MAX)),
            ),
        }
    }
}

// Clears the bars when an error ends a command while they are drawn.
impl Drop for Bars {
    fn drop(&mut self) {
        self.end();
    }
}

/// Truncates a message to the space beside a bar.
fn fitting(message: String) -> String {
    let (_, columns) = Term::stderr().size();
    let room = usize::from(columns).saturating_sub(BAR_WIDTH + 1);
    console::truncate_str(&message, room, "…").into_owned()
}

impl Bars {
    pub(super) fn new(run: bool, interval: Duration) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let pacing = Arc::new(Mutex::new(Pacing {
            interval,
            ..Pacing::default()
        }));
        let message = Arc::clone(&pacing);
        let limit = move |_: &ProgressState, to: &mut dyn std::fmt::Write| {
            let message = message
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .eta(Instant::now());
            let _ = write!(to, "{message}");
        };
        let speed = |state: &ProgressState, to: &mut dyn std::fmt::Write| {
            let _ = write!(to, "{:.1}/s", state.per_sec());
        };
        let columns = usize::from(Term::stderr().size().1);
        // At 80 columns, this leaves room for `$12.34 of $50.00`.
        let bar = |name: &'static str, shown: bool| {
            let left = if name == "enrolled" {
                "{limit:>11}"
            } else {
                "{eta:>11}"
            };
            // A line that wraps would leave remains when redrawn.
            let form = match columns {
                ..BAR_WIDTH => format!("{{prefix:>9}} {{pos:>6}}/{{len:<6}} {left}"),
                _ => format!(
                    "{{prefix:>9}} {{bar:12.cyan/dim}} {{pos:>6}}/{{len:<6}} {{speed:>8}} {left}  {{msg}}"
                ),
            };
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
        // The terminal echoes `^C` after the last bar, which adds an untracked line: clearing the bars then leaves the
        // topmost one, so that one is empty.
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

    pub(super) fn show(&self, state: &State) {
        let count = &state.count;
        if count.to_enroll == 1 && self.enrolled.position() == 0 {
            // Keeps the remaining time and pauses counting down while no events arrive.
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
        let left = count.to_enroll.saturating_sub(count.ended);
        pacing.count(count.ended, left, Instant::now());
        drop(pacing);
        let of_images = [Standing::ToReview, Standing::Rejected, Standing::Unsuitable];
        let unsuitable: u64 = of_images
            .into_iter()
            .map(|standing| count.standing[standing])
            .sum();
        if unsuitable > 0 {
            self.checked
                .set_message(fitting(format!("{unsuitable} not suitable")));
        }
        let budget = state.budget.map(|b| format!(" of {b}")).unwrap_or_default();
        let doubt = match count.standing[Standing::InDoubt] {
            0 => String::new(),
            in_doubt => format!(", {in_doubt} in doubt"),
        };
        self.enrolled
            .set_message(fitting(format!("{}{budget}{doubt}", count.cost_usd)));
    }

    /// Shows a pause until `until`, requested by the API.
    pub(super) fn pause(&self, until: Instant) {
        let mut pacing = self.pacing.lock().unwrap_or_else(PoisonError::into_inner);
        pacing.pause(until);
    }

    /// Prints a line above the bars.
    pub(super) fn line(&self, text: &str) {
        let _ = self.all.println(text);
    }

    pub(super) fn end(&self) {
        for bar in [&self.top, &self.checked, &self.published, &self.enrolled] {
            bar.finish_and_clear();
        }
        let _ = self.all.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_left_takes_as_long_as_the_limiter_makes_it_or_the_calls_themselves() {
        let start = Instant::now();
        let mut pacing = Pacing {
            interval: Duration::from_secs(1),
            ..Pacing::default()
        };
        pacing.count(0, 100, start);
        assert_eq!(pacing.eta(start), "1 min 40 s", "nothing is measured yet");
        // Two concurrent calls of ten seconds each: one every five seconds.
        pacing.count(1, 99, at(start, 10));
        pacing.count(5, 95, at(start, 30));
        assert_eq!(pacing.eta(at(start, 30)), "7 min 55 s");
        // No new calls: the estimate is unchanged.
        pacing.count(5, 95, at(start, 39));
        assert_eq!(pacing.eta(at(start, 39)), "7 min 55 s");
        // Fast calls are limited by the rate.
        pacing.count(95, 5, at(start, 40));
        assert_eq!(pacing.eta(at(start, 40)), "5 s");
        pacing.count(100, 0, at(start, 41));
        assert_eq!(pacing.eta(at(start, 41)), "");
    }

    #[test]
    fn a_pause_says_nothing_of_how_long_calls_take() {
        let start = Instant::now();
        let mut pacing = Pacing {
            interval: Duration::from_secs(1),
            ..Pacing::default()
        };
        pacing.count(1, 10, start);
        pacing.pause(at(start, 900));
        assert_eq!(pacing.eta(start), "paused 15 min");
        pacing.count(2, 9, at(start, 901));
        pacing.count(3, 8, at(start, 903));
        assert_eq!(pacing.eta(at(start, 903)), "16 s");
    }
}
