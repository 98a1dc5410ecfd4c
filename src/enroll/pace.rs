//! Keeps to the rate: one call at a time is let go, evenly spaced, and all wait when the API says so.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::DefaultClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Calls per time at most: `5/s`, `3/min`, `100/h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    calls: NonZeroU32,
    per: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
}

/// What was typed is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no rate: write for example 5/s, 3/min or 100/h")]
pub struct ParseRateError(String);

impl Rate {
    /// Time between two calls.
    pub fn interval(self) -> Duration {
        self.per.length() / self.calls.get()
    }
}

impl Unit {
    fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        })
    }
}

impl FromStr for Rate {
    type Err = ParseRateError;

    fn from_str(text: &str) -> Result<Self, ParseRateError> {
        let wrong = || ParseRateError(text.to_owned());
        let (calls, per) = text.split_once('/').ok_or_else(wrong)?;
        let per = match per.trim() {
            "s" | "sec" | "second" => Unit::Second,
            "m" | "min" | "minute" => Unit::Minute,
            "h" | "hour" => Unit::Hour,
            _ => return Err(wrong()),
        };
        let calls: NonZeroU32 = calls.trim().parse().map_err(|_| wrong())?;
        // An interval of no time would be no limit.
        if calls.get() > 1_000_000 {
            Err(wrong())
        } else {
            Ok(Self { calls, per })
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.per {
            Unit::Second => "s",
            Unit::Minute => "min",
            Unit::Hour => "h",
        };
        write!(f, "{}/{per}", self.calls)
    }
}

/// Lets paid calls go.
pub struct Pace {
    limiter: RateLimiter<NotKeyed, InMemoryState, DefaultClock, NoOpMiddleware>,
    in_flight: Arc<Semaphore>,
    /// One waiter at a time asks the limiter: whoever came first goes first.
    line: Mutex<()>,
    /// Start of this pace; pauses are told in milliseconds since.
    started: Instant,
    paused_until: AtomicU64,
}

/// A call may be made; the place in flight is free again when this is dropped.
#[derive(Debug)]
pub struct Turn {
    _place: OwnedSemaphorePermit,
}

impl Pace {
    /// At most `rate`, with at most `in_flight` calls under way.
    pub fn new(rate: Rate, in_flight: usize) -> Self {
        // A burst of one: calls leave evenly spaced, and no second sees more than its share.
        let quota = Quota::with_period(rate.interval()).expect("an interval is longer than nothing");
        Self {
            limiter: RateLimiter::direct(quota.allow_burst(NonZeroU32::MIN)),
            in_flight: Arc::new(Semaphore::new(in_flight)),
            line: Mutex::new(()),
            started: Instant::now(),
            paused_until: AtomicU64::new(0),
        }
    }

    /// Waits for a turn: a place in flight, the end of a pause, and the rate.
    pub async fn turn(&self) -> Turn {
        let place = Arc::clone(&self.in_flight)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let _first_in_line = self.line.lock().await;
        loop {
            self.end_of_pause().await;
            self.limiter.until_ready().await;
            // A pause may have been asked for while the limiter was waited for.
            if !self.is_paused() {
                return Turn { _place: place };
            }
        }
    }

    /// Lets no call go for so long, by the monotonic clock; the longest of several pauses holds.
    pub fn pause(&self, length: Duration) {
        let until = self.started.elapsed().saturating_add(length);
        let millis = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.paused_until.fetch_max(millis, Ordering::AcqRel);
    }

    fn is_paused(&self) -> bool {
        self.remaining() > Duration::ZERO
    }

    fn remaining(&self) -> Duration {
        let until = Duration::from_millis(self.paused_until.load(Ordering::Acquire));
        until.saturating_sub(self.started.elapsed())
    }

    async fn end_of_pause(&self) {
        while self.is_paused() {
            tokio::time::sleep(self.remaining()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_told() {
        for (text, interval) in [
            ("5/s", 200),
            ("3/min", 20_000),
            ("100/h", 36_000),
            (" 2 / m ", 30_000),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.interval(), Duration::from_millis(interval), "{text}");
            assert_eq!(rate.to_string().parse(), Ok(rate));
        }
        for text in ["", "5", "0/s", "-1/s", "1/day", "1.5/s", "9999999/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn no_window_sees_more_than_its_share_and_a_pause_holds_everyone() {
        let pace = Arc::new(Pace::new("50/s".parse().unwrap(), 8));
        let started = std::time::Instant::now();
        let mut calls = tokio::task::JoinSet::new();
        for call in 0..12 {
            let pace = Arc::clone(&pace);
            calls.spawn(async move {
                let turn = pace.turn().await;
                if call == 0 {
                    pace.pause(Duration::from_millis(150));
                }
                let at = started.elapsed();
                drop(turn);
                at
            });
        }
        let mut times: Vec<Duration> = calls.join_all().await;
        times.sort();
        assert!(
            times[1] - times[0] >= Duration::from_millis(145),
            "the pause holds: {times:?}"
        );
        // 20 ms apart, whatever happened before: no burst at the end of the pause.
        for pair in times[1..].windows(2) {
            assert!(pair[1] - pair[0] >= Duration::from_millis(15), "{times:?}");
        }
    }
}
