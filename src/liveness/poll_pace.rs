//! When to ask for the state of a check: providers allow only so many such questions an hour.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::ledger::INIT_WINDOW;

/// Spreads the questions of an hour over the checks in it.
pub struct PollPace {
    per_hour: usize,
    /// The times of the last hour's questions.
    asked: Mutex<VecDeque<Instant>>,
}

impl PollPace {
    /// At most `per_hour` questions within an hour.
    pub fn new(per_hour: usize) -> Self {
        Self {
            per_hour: per_hour.max(1),
            asked: Mutex::default(),
        }
    }

    /// The interval at which to ask for a check whose link is valid for `left`, not below `least`: a check gets a third
    /// of the questions that are left, so that the next ones have some too, and the last of them falls on its end.
    pub(super) fn interval(&self, now: Instant, least: Duration, left: Duration) -> Duration {
        let share = (self.free(now) / 3).max(1);
        least.max(left / u32::try_from(share).unwrap_or(u32::MAX))
    }

    /// How long to wait before another question is allowed; zero if it may be asked now, and then counts.
    pub(super) fn ask(&self, now: Instant) -> Duration {
        let free = self.free(now);
        let mut asked = self.asked();
        if free > 0 {
            asked.push_back(now);
            return Duration::ZERO;
        }
        let oldest = asked.front().copied().unwrap_or(now);
        INIT_WINDOW.saturating_sub(now.saturating_duration_since(oldest))
    }

    fn free(&self, now: Instant) -> usize {
        let mut asked = self.asked();
        while let Some(oldest) = asked.front()
            && now.saturating_duration_since(*oldest) >= INIT_WINDOW
        {
            asked.pop_front();
        }
        self.per_hour.saturating_sub(asked.len())
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, VecDeque<Instant>> {
        self.asked
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: Duration = Duration::from_secs(120);
    const LEAST: Duration = Duration::from_secs(3);

    #[test]
    fn twenty_questions_an_hour_are_enough_for_nine_links_each_asked_at_its_end() {
        let (pace, start) = (PollPace::new(20), Instant::now());
        let (mut now, mut links, mut intervals) = (start, 0, Vec::new());
        while pace.free(now) > 0 {
            let interval = pace.interval(now, LEAST, LINK);
            intervals.push(interval.as_secs());
            let end = now + LINK;
            while now < end {
                now += interval.min(end - now);
                assert_eq!(pace.ask(now), Duration::ZERO, "link {links}");
            }
            links += 1;
        }
        assert_eq!((links, intervals[0]), (9, 20), "{intervals:?}");
        assert!(intervals.is_sorted(), "{intervals:?}");
        let wait = pace.ask(now);
        assert!(!wait.is_zero() && wait <= INIT_WINDOW, "{wait:?}");
        assert_eq!(pace.ask(now + wait), Duration::ZERO);
    }

    #[test]
    fn where_questions_are_plenty_the_wanted_interval_counts() {
        let pace = PollPace::new(3600);
        assert_eq!(pace.interval(Instant::now(), LEAST, LINK), LEAST);
    }
}
