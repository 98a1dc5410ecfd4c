//! How long to wait before retrying a call that was never sent.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The pause after the `failures`-th failure in a row, from 1: one second, doubled each time, a minute at most.
///
/// Without jitter: the calls of one run leave one at a time anyway.
pub fn backoff(failures: u32) -> Duration {
    let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
    FIRST.saturating_mul(doubled).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let seconds = [0, 1, 2, 3, 6, 7, 8, u32::MAX].map(|n| backoff(n).as_secs());
        assert_eq!(seconds, [1, 1, 2, 4, 32, 60, 60, 60]);
    }
}
