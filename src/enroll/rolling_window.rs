//! Counts the calls of every window of the rate, at the moment when they are sent.

use std::collections::VecDeque;
use std::time::Duration;

use super::rate::Rate;

/// How much longer than the rate's window this one is, in thousandths: the network shifts calls by some milliseconds
/// against one another, and the server counts when they arrive.
const LONGER: u32 = 15;

/// The most calls that are remembered: of a rate with more, such as 100000/h, a part of the window counts.
const MOST: u32 = 1000;

/// When the last calls were sent. A turn alone doesn't bound a window: between its turn and its departure, a call is
/// made durable and its receipt stored, which takes one call longer than another.
#[derive(Debug)]
pub(super) struct RollingWindow {
    /// In order, as times since the start; at most as many as the rate allows in a window.
    sent: VecDeque<Duration>,
    calls: usize,
    length: Duration,
}

impl RollingWindow {
    pub(super) fn new(rate: Rate) -> Self {
        Self::after(rate, VecDeque::new())
    }

    /// A window in which these calls were sent, in order.
    pub(super) fn after(rate: Rate, mut sent: VecDeque<Duration>) -> Self {
        let (calls, length) = departure_window(rate);
        sent.drain(..sent.len().saturating_sub(calls));
        Self { sent, calls, length }
    }

    /// The calls that were sent last, in order.
    pub(super) fn sent(self) -> VecDeque<Duration> {
        self.sent
    }

    /// Records a call that is sent `now`, or returns how long it must wait first. `now` must not decrease.
    pub(super) fn try_send(&mut self, now: Duration) -> Result<(), Duration> {
        if self.sent.len() == self.calls
            && let Some(first) = self.sent.front()
        {
            let free = *first + self.length;
            if now < free {
                return Err(free - now);
            }
            self.sent.pop_front();
        }
        self.sent.push_back(now);
        Ok(())
    }
}

/// How many calls are sent at most, in how long a time.
pub fn departure_window(rate: Rate) -> (usize, Duration) {
    let parts = rate.calls().div_ceil(MOST);
    let length = rate.window() * (1000 + LONGER) / 1000 / parts;
    ((rate.calls() / parts) as usize, length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_window_has_more_calls_than_the_rate_however_calls_bunch(
            rate in prop::sample::select(vec!["1/s", "5/s", "20/s", "3/min"]),
            waits_ms in prop::collection::vec(prop_oneof![3 => Just(0u64), 1 => 0..3000u64], 1..200),
        ) {
            let rate: Rate = rate.parse().unwrap();
            let mut window = RollingWindow::new(rate);
            let (mut now, mut sent) = (Duration::ZERO, Vec::new());
            for wait in waits_ms {
                now += Duration::from_millis(wait);
                while let Err(wait) = window.try_send(now) {
                    prop_assert!(!wait.is_zero(), "waiting for nothing would spin");
                    now += wait;
                }
                sent.push(now);
            }
            let calls = rate.calls() as usize;
            for first in 0..sent.len().saturating_sub(calls) {
                let span = sent[first + calls] - sent[first];
                prop_assert!(span >= rate.window() * 1015 / 1000, "{} calls within {span:?}", calls + 1);
            }
        }
    }
}
