//! Remembers when the last calls of an account left: the rate holds across the runs, casts and processes of one machine.

use std::collections::VecDeque;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::rate::Rate;
use super::rate_limiter::{SharedPace, Spacing};
use super::retry_after::LONGEST_WAIT;
use super::rolling_window::RollingWindow;

/// How soon to ask again while another process writes the file; it takes microseconds.
const BUSY: Duration = Duration::from_millis(1);

/// A file with the time when the next call of an account is due, until when the API asked all calls to wait, and when the
/// last ones were sent. Times are of the machine's clock: one that was set back makes nobody wait for longer than the
/// interval, or the pause.
#[derive(Debug)]
pub struct Departures {
    // The system's lock keeps other processes out, but not other threads of this one.
    file: Mutex<File>,
    rate: Rate,
    spacing: Spacing,
}

/// The content of the file, in microseconds since 1970, each in 8 bytes, little-endian.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Times {
    due: u64,
    paused_until: u64,
    /// The last calls, at most as many as a window has.
    sent: VecDeque<u64>,
}

/// More than a file has.
const MOST_BYTES: u64 = 1 << 16;

impl Departures {
    /// The file of `account` in `folder`, which is created, for calls at this rate.
    ///
    /// # Errors
    /// The file can't be opened for writing.
    pub fn open(folder: &Path, account: &str, rate: Rate) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(account))?;
        Ok(Self {
            file: Mutex::new(file),
            rate,
            spacing: Spacing::of(rate),
        })
    }

    fn interval(&self) -> u64 {
        micros(self.spacing.interval).max(1)
    }

    /// When the call after one that leaves now is due; an error says how long this one must wait.
    fn next_due(&self, times: &Times, now: u64) -> Result<u64, Duration> {
        let tolerance = micros(self.spacing.tolerance);
        // Further away than a call that leaves as early as it may puts it: the clock was set back.
        let due = match times.due > now.saturating_add(self.interval() + tolerance) {
            true => now,
            false => times.due,
        };
        let paused = match times.paused_until.saturating_sub(now) > micros(LONGEST_WAIT) {
            true => 0,
            false => times.paused_until,
        };
        match due.saturating_sub(tolerance).max(paused).saturating_sub(now) {
            // As in the process's own limiter, one that is late within the tolerance does not shift the next.
            0 => Ok(due.max(now) + self.interval()),
            wait => Err(Duration::from_micros(wait)),
        }
    }

    /// Changes the times under the file's lock; `None` where the file fails.
    fn change(
        &self,
        change: impl FnOnce(&mut Times, u64) -> Result<(), Duration>,
    ) -> Option<Result<(), Duration>> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Some(Err(BUSY)),
            Err(TryLockError::Error(_)) => return None,
        }
        let changed = (|| {
            let mut times = Times::read(&file)?;
            let changed = change(&mut times, now());
            if changed.is_ok() {
                times.write(&file)?;
            }
            io::Result::Ok(changed)
        })();
        let _ = file.unlock();
        changed.ok()
    }
}

impl Times {
    fn read(mut file: &File) -> io::Result<Self> {
        let mut bytes = Vec::new();
        file.rewind()?;
        file.take(MOST_BYTES).read_to_end(&mut bytes)?;
        let (numbers, rest) = bytes.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
        Ok(match (numbers.next(), numbers.next()) {
            (Some(due), Some(paused_until)) if rest.is_empty() => Self {
                due,
                paused_until,
                sent: numbers.collect(),
            },
            _ => Self::default(),
        })
    }

    fn write(&self, mut file: &File) -> io::Result<()> {
        let numbers = [self.due, self.paused_until]
            .into_iter()
            .chain(self.sent.iter().copied());
        let bytes: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
        file.rewind()?;
        file.write_all(&bytes)?;
        file.set_len(bytes.len() as u64)
    }
}

impl SharedPace for Departures {
    fn try_go(&self) -> Result<(), Duration> {
        self.change(|times, now| {
            times.due = self.next_due(times, now)?;
            Ok(())
        })
        .unwrap_or(Ok(()))
    }

    fn try_send(&self) -> Result<(), Duration> {
        self.change(|times, now| {
            // Those to come were noted before the clock was set back.
            let before = times.sent.iter().filter(|sent| **sent <= now);
            let before = before.map(|sent| Duration::from_micros(*sent)).collect();
            let mut window = RollingWindow::after(self.rate, before);
            window.try_send(Duration::from_micros(now))?;
            times.sent = window.sent().into_iter().map(micros).collect();
            Ok(())
        })
        .unwrap_or(Ok(()))
    }

    fn pause(&self, length: Duration) {
        let length = micros(length.min(LONGEST_WAIT));
        while let Some(Err(wait)) = self.change(|times, now| {
            times.paused_until = times.paused_until.max(now.saturating_add(length));
            Ok(())
        }) {
            std::thread::sleep(wait);
        }
    }
}

fn now() -> u64 {
    micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::shared_pace_tests::{assert_paced, left_by};
    use super::*;

    fn slow() -> Rate {
        "3/min".parse().unwrap()
    }

    #[test]
    fn several_processes_keep_one_pace_however_long_their_calls_take_to_leave() {
        let folder = tempfile::tempdir().unwrap();
        let rate: Rate = "20/s".parse().unwrap();
        let left = left_by(3, Duration::from_secs(3), || {
            Departures::open(folder.path(), "a", rate).unwrap()
        });
        assert_paced(&left, 20);
        let other = Departures::open(folder.path(), "b", rate).unwrap();
        assert_eq!(other.try_send(), Ok(()), "another account");
    }

    #[test]
    fn a_second_process_waits_for_the_departures_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let open = |account| Departures::open(folder.path(), account, slow()).unwrap();
        let (first, second) = (open("a"), open("a"));
        assert_eq!(first.try_go(), Ok(()));
        let wait = second.try_go().unwrap_err();
        assert!(
            wait > Duration::from_secs(18) && wait <= Spacing::of(slow()).interval,
            "{wait:?}"
        );
        assert_eq!(open("b").try_go(), Ok(()), "another account");
        second.pause(Duration::from_secs(300));
        assert!(first.try_go().unwrap_err() > Duration::from_secs(290));
    }

    proptest! {
        #[test]
        fn no_window_sees_more_calls_than_the_rate_whichever_processes_ask_when(
            rate in prop::sample::select(vec!["1/s", "5/s", "20/s", "3/min", "30/min"]),
            steps in prop::collection::vec(prop_oneof![3 => Just(0u64), 1 => 0..90_000_000u64], 2..150),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let rate: Rate = rate.parse().unwrap();
            let departures = Departures::open(folder.path(), "a", rate).unwrap();
            let (mut times, mut now, mut left) = (Times::default(), 1_700_000_000_000_000, Vec::new());
            for later in steps {
                now += later;
                times.due = loop {
                    match departures.next_due(&times, now) {
                        Ok(due) => break due,
                        Err(wait) => now += micros(wait),
                    }
                };
                left.push(now);
            }
            let calls = rate.calls() as usize;
            for first in 0..left.len().saturating_sub(calls) {
                let span = Duration::from_micros(left[first + calls] - left[first]);
                prop_assert!(span >= rate.window(), "{} calls within {span:?}", calls + 1);
            }
        }
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nobody_wait_for_years() {
        let folder = tempfile::tempdir().unwrap();
        let departures = Departures::open(folder.path(), "a", slow()).unwrap();
        let year = 365 * 24 * 3_600_000_000;
        let now = 2 * year;
        let next = |due, paused_until| {
            let sent = VecDeque::new();
            departures.next_due(
                &Times {
                    due,
                    paused_until,
                    sent,
                },
                now,
            )
        };
        let Spacing { interval, tolerance } = Spacing::of(slow());
        assert_eq!(next(now + year, 0), Ok(now + micros(interval)));
        let due = now + 15_000_000 + micros(tolerance);
        assert_eq!(next(due, now + year), Err(Duration::from_secs(15)));
        std::fs::write(folder.path().join("a"), "no numbers").unwrap();
        assert_eq!(departures.try_go(), Ok(()));
        assert!(departures.try_go().is_err(), "what was damaged is written anew");
    }
}
