//! What the tests of shared paces have in common.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::SharedPace;

/// When calls left that `payers` made for that long, with four calls of each under way; one takes longer between its turn
/// and its departure than another, as one is made durable.
pub(crate) fn left_by<P: SharedPace>(payers: u64, length: Duration, open: impl Fn() -> P) -> Vec<Duration> {
    let start = Instant::now();
    let left = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for payer in 0..payers {
            let pace = Arc::new(open());
            for call in 0..4 {
                let (left, pace) = (&left, Arc::clone(&pace));
                scope.spawn(move || {
                    let mut turns = payer * 4 + call + 1;
                    while start.elapsed() < length {
                        while let Err(wait) = pace.try_go() {
                            std::thread::sleep(wait);
                        }
                        turns = turns * 31 % 101;
                        std::thread::sleep(Duration::from_millis(turns * 2));
                        while let Err(wait) = pace.try_send() {
                            std::thread::sleep(wait);
                        }
                        left.lock().unwrap().push(start.elapsed());
                    }
                });
            }
        }
    });
    let mut left = left.into_inner().unwrap();
    left.sort();
    left
}

/// No second has more calls than `calls`, and most of them are used.
pub(crate) fn assert_paced(left: &[Duration], calls: usize) {
    let over = left
        .windows(calls + 1)
        .find(|window| window[calls] - window[0] < Duration::from_secs(1));
    assert_eq!(over, None, "{} calls within a second", calls + 1);
    assert!(left.len() > 2 * calls, "{} calls", left.len());
}
